"""Composition root of one instance of a cluster: `[cluster]` of the configuration.

The control of a site is the gateway of `gateway.app`, run by the holder of the site's lease, without sockets of its
own. Every instance accepts stations, and serves the admin API and the page, which the holder answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import __version__, app, garbage_collection, listeners
from gateway.app import Ending, Gateway, Parts, StartError
from gateway.clock import SystemClock
from gateway.cluster.connections import SiteConnections
from gateway.cluster.io import ClusterError
from gateway.cluster.messages import Attach, Noticed
from gateway.cluster.metrics import ClusterRoute
from gateway.cluster.node import Node
from gateway.cluster.site import End, LeaseView
from gateway.config import Config, host_and_port
from gateway.config.mapping import broker_link, cluster_settings, csms_settings
from gateway.csms import persistence, restore
from gateway.csms.csms import Csms
from gateway.csms.settings import UnknownStations
from gateway.csms.websocket_server import WebSocketServer
from gateway.model.event import Event, SecurityNoticed, StationRejected
from gateway.mqtt.client import Connector
from gateway.mqtt.connection import first_error
from gateway.observability import service_manager
from gateway.observability.health import HealthRoutes
from gateway.store.sql import SqlStore
from gateway.store.store import StoreError
from protocols.ocpp.io import WebSocketWire
from protocols.ocpp.schema import Version
from protocols.ports import Bus, BusMessage, Clock, TextWire

log = logging.getLogger("v2x.cluster")

ENDINGS = {End.LOST: Ending.ABANDON, End.HANDED_OVER: Ending.HAND_OVER, End.STOPPED: Ending.STOP}


class LeasedConnector(Connector):
    """Links to the broker that are opened only while the lease of the site is held: they end that of another holder."""

    def __init__(self, config: Config, lease: LeaseView) -> None:
        super().__init__(broker_link(config))
        self._lease = lease

    @asynccontextmanager
    async def beside(self, suffix: str) -> AsyncIterator[Bus]:
        """See `Connector`."""
        self._check()
        async with super().beside(suffix) as bus:
            yield bus

    @asynccontextmanager
    async def __call__(self, will: BusMessage) -> AsyncIterator[Bus]:
        """See `Connector`."""
        self._check()
        async with super().__call__(will) as bus:
            yield bus

    def _check(self) -> None:
        if not self._lease.may_act():
            raise ConnectionError("the lease of the site is not held")


@dataclass
class GatewayControl:
    """`gateway.cluster.site.SiteControl` by the gateway of one process."""

    built: Gateway
    csms: Csms
    apps: dict[str, ASGIApp] = field(default_factory=dict)
    stopping: list[Callable[[], None]] = field(default_factory=list)

    async def serve(self, wire: TextWire, attached: Attach) -> None:
        """Serve one connection of a station until it ends."""
        csms = self.csms
        station = csms.stations.get(attached.station)
        registered = station is not None and station.registered
        if not registered and csms.context.unknown_stations is UnknownStations.REJECT:
            await wire.close(1008, "this station is not registered")
            return
        if station is None:
            unknown = sum(not one.registered for one in csms.stations.values())
            if unknown >= csms.settings.max_unknown:
                await wire.close(1013, "this gateway cannot serve another station")
                return
        else:
            pending = station.settings.next_password_hash
            if pending is not None and attached.password == digest(pending):  # its first use
                await csms.credentials.settle(station, accepted=True)
            csms.promote_security_profile(station, attached.security_profile)
        await csms.attach(wire, attached.station, attached.security_profile, resumes=attached.resumes)

    def noticed(self, message: Noticed) -> None:
        """Report a rejected handshake or a security event."""
        now = self.built.clock.now()
        if message.kind:
            self.built.service.report(SecurityNoticed(message.station, now, message.kind, message.text))
        else:
            rejected = StationRejected(message.station, now, message.address, message.path, message.text)
            self.built.service.report(rejected)

    def busy(self, station: str) -> bool:
        """Return whether a vehicle has a session at a station."""
        states = self.built.control.registry.of_station(station)
        return any(state.evse.session is not None for state in states)

    def end(self, how: End) -> None:
        """Prepare the end of the control."""
        self.built.ending = ENDINGS[how]
        for stop in self.stopping:
            stop()
        if how is not End.STOPPED:
            self.built.mqtt.hands_over = True
            self.built.service.suspend()


class OnDemand:
    """ASGI application that is built for its first request: to build it takes half a second of a take-over."""

    def __init__(self, build: Callable[[], ASGIApp]) -> None:
        self._build = build
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Implement ASGI."""
        if self._app is None:
            self._app = self._build()
        await self._app(scope, receive, send)


def digest(password_hash: str | None) -> str | None:
    """Return a digest that names the hash of a password."""
    return None if password_hash is None else hashlib.sha256(password_hash.encode()).hexdigest()


class Instance:
    """One instance: the sockets of stations and clients, and its part of the cluster."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self.config, self.clock = config, clock
        self.site = config.site.id
        self.node = Node(cluster_settings(config), {self.site: self._start}, __version__, clock)
        self.csms = Csms(csms_settings(config), self._noticed, clock)  # settings of stations only: it serves none
        self.store = SqlStore(config.store.url, config.mqtt.gateway_id)
        self._listed = frozenset(one.id for one in self.csms.settings.stations)
        self._refreshed: dict[str, asyncio.Future[None]] = {}  # stations whose settings are waited for
        self._refreshing: asyncio.Task[None] | None = None
        self.ports: dict[str, int] = {}
        self.started = asyncio.Event()

    @property
    def connections(self) -> SiteConnections:
        """Connections of stations here."""
        return self.node.sites[self.site].connections

    # the control of the site

    @asynccontextmanager
    async def _start(self, lease: LeaseView) -> AsyncIterator[GatewayControl]:
        """Run the control of the site in one term of its lease."""
        store = SqlStore(self.config.store.url, self.config.mqtt.gateway_id, term=lease.term)
        parts = Parts(
            self.clock, store=store, listen=False, connector=LeasedConnector(self.config, lease), takes_over=True
        )
        async with app.gateway(self.config, parts) as built:
            assert built.csms is not None
            control = GatewayControl(built, built.csms)
            csms = built.csms
            async with AsyncExitStack() as stack:
                if self.config.admin.listen is not None:
                    control.apps["admin"] = OnDemand(lambda: listeners.admin_app(built, csms))
                if self.config.web.listen is not None:
                    control.apps["page"], stopping = await stack.enter_async_context(listeners.page_app(built, csms))
                    control.stopping.append(stopping)
                yield control

    # stations

    def _noticed(self, event: Event) -> None:
        """Report to the holder what concerns no connection."""
        site = self.node.sites.get(self.site)
        holder = None if site is None else site.holder
        if holder is None:
            return
        if isinstance(event, StationRejected):
            noticed = Noticed(self.site, "", event.station, event.reason, event.address, event.path)
        elif isinstance(event, SecurityNoticed):
            noticed = Noticed(self.site, event.kind, event.station, event.text)
        else:
            return
        self.node.send(holder, noticed)

    async def _attach(self, wire: WebSocketWire, station: str, security_profile: int) -> None:
        if wire.subprotocol not in tuple(Version):
            await wire.close(1002, "no common OCPP version; this gateway supports " + ", ".join(Version))
            return
        known = self.csms.stations.get(station)
        password = None if known is None else digest(known.settings.password_hash)
        await self.connections.serve(wire, station, security_profile, password)

    async def _refresh(self, station: str) -> None:
        """Update the settings of a station from the database, with those of others that connect at the same time."""
        self._refreshed.setdefault(station, asyncio.get_running_loop().create_future())
        waiting = self._refreshed[station]
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._read_settings(), name="settings")
        await asyncio.shield(waiting)

    async def _read_settings(self) -> None:
        """Read the settings of all stations that wait for them; without the database they stay as they are."""
        while self._refreshed:
            waiting, self._refreshed = self._refreshed, {}
            try:
                rows = await self.store.kept_of(persistence.STATION, list(waiting))
                policy = await self.store.kept_of(persistence.POLICY, [persistence.UNKNOWN_STATIONS])
            except StoreError as error:
                log.warning("the settings of %d stations cannot be read: %s", len(waiting), error)
            else:
                csms, found = self.csms, {one.key for one in rows}
                for name in waiting.keys() - found - self._listed:  # removed
                    csms.stations.pop(name, None)
                restore.restore([*rows, *policy], csms.context, csms.stations, csms.create)
            for one in waiting.values():
                if not one.done():
                    one.set_result(None)

    async def _listen(self) -> None:
        server = WebSocketServer(
            self.csms.context,
            self.csms.stations,
            self.csms.credentials,
            self._attach,
            lambda name: self.csms.stations.pop(name, None),
            self._refresh,
        )
        taken = asyncio.Event()

        def ready(port: int) -> None:
            self.ports["ocpp"] = port
            taken.set()

        try:
            await server.serve(ready)
        except OSError as error:
            raise listeners.not_listening("ocpp.listen", self.config.ocpp.listen, error) from error

    # admin API and page

    async def _serve_http(self, name: str, listen: str, tls: tuple[str, str] | None) -> None:
        from gateway.web import server

        host, port = host_and_port(listen)
        forwarding = self.node.sites[self.site].forwarding[name]
        serving = ClusterRoute(HealthRoutes(forwarding, self), self.node) if name == "admin" else forwarding

        def ready(taken: int) -> None:
            self.ports[name] = taken

        try:
            await server.serve(serving, host, port, tls=tls, ready=ready)
        except OSError as error:
            raise listeners.not_listening(f"{name}.listen", listen, error) from error

    async def ready(self) -> dict[str, str]:
        """Return what is wrong, by check; empty for what is in order."""
        return self.node.ready()

    # running

    async def run(self) -> None:
        """Take part in the cluster until cancelled."""
        joined = asyncio.Event()
        await self.store.open()
        try:
            with contextlib.suppress(StoreError):
                self.csms.restore([one for one in await self.store.kept(0) if one.kind == persistence.STATION])
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.node.run(joined.set), name="cluster")
                await joined.wait()
                tasks.create_task(self._listen(), name="ocpp")
                admin, web = self.config.admin, self.config.web
                if admin.listen is not None:
                    tasks.create_task(self._serve_http("admin", admin.listen, None), name="admin")
                if web.listen is not None:
                    tls = (str(web.cert), str(web.key)) if web.cert is not None else None
                    tasks.create_task(self._serve_http("page", web.listen, tls), name="page")
                wanted = 1 + (admin.listen is not None) + (web.listen is not None)
                while len(self.ports) < wanted:
                    await self.clock.sleep(0.02)
                self.started.set()
        finally:
            await self.csms.close()
            await self.store.close()


async def run(config: Config, *, ready: Callable[[Instance], None] | None = None) -> None:
    """Run one instance until SIGINT, SIGTERM or SIGHUP, then drain it. StartError if it cannot start."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    handled = [one for one in app.STOP_SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
    for number in handled:
        loop.add_signal_handler(number, stop.set)
    clock = SystemClock()
    instance = Instance(config, clock)
    try:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(instance.run(), name="instance")
            beside = [
                tasks.create_task(garbage_collection.run(clock), name="garbage collection"),
                tasks.create_task(service_manager.run(clock), name="watchdog"),
            ]
            starting = tasks.create_task(instance.started.wait(), name="start")
            stopped = tasks.create_task(stop.wait(), name="stop")
            await asyncio.wait({running, starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done() and ready is not None:
                ready(instance)
                service_manager.notify(service_manager.READY)
            await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
            service_manager.notify(service_manager.STOPPING)
            if not running.done():
                log.info("draining: the site is handed over, then stations are closed to connect elsewhere")
                await instance.node.drain()
            for task in (running, starting, stopped, *beside):
                task.cancel()
    except* StartError as group:
        raise first_error(group) from None
    except* ClusterError as group:
        raise StartError(f"cluster.servers: {first_error(group)}", may_pass=True) from None
    except* StoreError as group:
        raise StartError(f"store.url: {first_error(group)}", may_pass=True) from None
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
