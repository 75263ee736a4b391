"""One site at one instance of a cluster: what runs its control, and the settings with which its stations are admitted.

The control is the gateway of `gateway.app` without sockets of its own, run by the holder of the site's lease.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import app, listeners
from gateway.app import Ending, Gateway, Parts
from gateway.cluster import status
from gateway.cluster.control import End, LeaseView
from gateway.cluster.messages import Attach, Noticed
from gateway.cluster.node import Node
from gateway.config import Config
from gateway.config.mapping import broker_link, csms_settings, sql_store
from gateway.csms import persistence, restore, site_paths
from gateway.csms.admission import UNKNOWN, Admission, Shared
from gateway.csms.csms import Csms
from gateway.csms.settings import UnknownStations
from gateway.model.event import Event, SecurityNoticed, StationRejected
from gateway.mqtt.client import Connector
from gateway.store.postgres_writer import WriterThread
from gateway.store.store import StoreError
from protocols.ocpp.io import WebSocketWire
from protocols.ocpp.schema import Version
from protocols.ports import Bus, BusMessage, Clock, TextWire

log = logging.getLogger("v2x.cluster")

READ_EVERY_S = 0.05  # least time between two reads of the settings of stations that connect
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
    """`gateway.cluster.control.SiteControl` by the gateway of one process."""

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
            station.promote_security_profile(attached.security_profile)
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

    def calls_waiting(self) -> int:
        """Return the number of calls that wait for the response of a station."""
        links = (one.link for one in self.csms.stations.values())
        return sum(link.calls_waiting for link in links if link is not None)

    def end(self, how: End) -> None:
        """Prepare the end of the control."""
        self.built.ending = ENDINGS[how]
        for stop in self.stopping:
            stop()
        if how is not End.STOPPED:
            self.built.mqtt.hand_over()
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


class ServedSite:
    """One site at one instance."""

    def __init__(
        self, config: Config, node: Node, pool: AsyncEngine, writer: WriterThread, clock: Clock, *, alone: bool
    ) -> None:
        """`pool` and `writer` have the connections to Postgres of all sites; a site that is not `alone` has a path of
        its own.
        """
        self.config, self.name, self._clock, self._node = config, config.site.id, clock, node
        self._pool, self._writer = pool, writer
        settings = csms_settings(config)
        self._path = settings.path
        if not alone:
            settings = replace(settings, path=site_paths.path_of(settings.path, self.name))
        self.csms = Csms(settings, self._noticed, clock)  # settings of stations only: it serves none
        self.listed = frozenset(one.id for one in settings.stations)
        self._store = sql_store(config, pool=pool, writer=writer)
        self._refreshed: dict[str, asyncio.Future[None]] = {}  # stations whose settings are waited for
        self._refreshing: asyncio.Task[None] | None = None
        self._read_at = -math.inf

    async def open(self) -> None:
        """Verify the tables, and read the settings of stations. StoreError where the database cannot be used."""
        await self._store.open()
        self.csms.restore([one for one in await self._store.kept(0) if one.kind == persistence.STATION])

    async def close(self) -> None:
        """End what runs in the background."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        await self.csms.close()
        await self._store.close()

    @asynccontextmanager
    async def start(self, lease: LeaseView) -> AsyncIterator[GatewayControl]:
        """Run the control of the site in one term of its lease."""
        store = sql_store(self.config, lease.term, self._pool, self._writer)
        parts = Parts(
            self._clock, store=store, listen=False, connector=LeasedConnector(self.config, lease), takes_over=True
        )
        async with app.gateway(self.config, parts) as built:
            assert built.csms is not None
            control = GatewayControl(built, built.csms)
            csms = built.csms
            async with AsyncExitStack() as stack:
                if self.config.admin.listen is not None:
                    control.apps["admin"] = OnDemand(lambda: listeners.admin_app(built, csms, self._cluster))
                if self.config.web.listen is not None:
                    page = listeners.page_app(built, csms, self._cluster)
                    control.apps["page"], stopping = await stack.enter_async_context(page)
                    control.stopping.append(stopping)
                yield control

    def _cluster(self) -> dict[str, object]:
        """Return the cluster as this instance sees it."""
        found: dict[str, object] = msgspec.to_builtins(status.seen_by(self._node))
        return found

    # stations

    def admission(self, shared: Shared) -> Admission:
        """Return the admission of the stations of this site at the port of the instance."""
        csms = self.csms
        return Admission(
            csms.context, csms.stations, csms.credentials, self._attach, lambda name: csms.stations.pop(name, None),
            self._refresh, shared, UNKNOWN, self._path,
        )  # fmt: skip

    def _noticed(self, event: Event) -> None:
        """Report to the holder what concerns no connection."""
        site = self._node.sites.get(self.name)
        if site is not None and isinstance(event, StationRejected):
            site.connections.rejected += 1
        holder = None if site is None else site.holder
        if holder is None:
            return
        if isinstance(event, StationRejected):
            noticed = Noticed(self.name, "", event.station, event.reason, event.address, event.path)
        elif isinstance(event, SecurityNoticed):
            noticed = Noticed(self.name, event.kind, event.station, event.text)
        else:
            return
        self._node.send(holder, noticed)

    async def _attach(self, wire: WebSocketWire, station: str, security_profile: int) -> None:
        if wire.subprotocol not in tuple(Version):
            await wire.close(1002, "no common OCPP version; this gateway supports " + ", ".join(Version))
            return
        known = self.csms.stations.get(station)
        password = None if known is None else digest(known.settings.password_hash)
        await self._node.sites[self.name].connections.serve(wire, station, security_profile, password)

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
            pause_s = self._read_at + READ_EVERY_S - self._clock.now()
            await self._clock.sleep(max(0.0, pause_s))  # those of a storm together
            waiting, self._refreshed = self._refreshed, {}
            self._read_at = self._clock.now()
            try:
                names = [(persistence.STATION, name) for name in waiting]
                rows = await self._store.kept_of(*names, (persistence.POLICY, persistence.UNKNOWN_STATIONS))
            except StoreError as error:
                log.warning("the settings of %d stations cannot be read: %s", len(waiting), error)
            else:
                csms, found = self.csms, {one.key for one in rows if one.kind == persistence.STATION}
                for name in waiting.keys() - found - self.listed:  # removed
                    csms.stations.pop(name, None)
                restore.restore(rows, csms.context, csms.stations, csms.create)
            for one in waiting.values():
                if not one.done():
                    one.set_result(None)
