"""Composition root of one instance of a cluster: `[cluster]` of the configuration.

Every instance accepts stations of all sites, and serves the admin API and the page, which the holder of the site
answers. `clustered_site` has what belongs to one site.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import replace

from starlette.types import ASGIApp

from gateway import __version__, app, garbage_collection, listeners
from gateway.app import StartError
from gateway.clock import SystemClock
from gateway.cluster.control import Start
from gateway.cluster.io import ClusterError
from gateway.cluster.metrics import ClusterRoute
from gateway.cluster.node import Node
from gateway.cluster.site_routes import PageRoutes, SiteRoutes
from gateway.clustered_site import ServedSite
from gateway.config import Config, host_and_port
from gateway.config.mapping import cluster_settings, csms_settings
from gateway.csms.admission import Admission, Shared
from gateway.csms.csms import Csms
from gateway.csms.settings import UnknownStations
from gateway.csms.site_paths import UNKNOWN, SitePaths
from gateway.csms.websocket_server import WebSocketServer
from gateway.model.event import Event, SecurityNoticed, StationRejected
from gateway.mqtt.connection import first_error
from gateway.observability import service_manager
from gateway.observability.health import HealthRoutes
from gateway.store.postgres_pool import postgres_pool
from gateway.store.postgres_writer import WriterThread
from gateway.store.store import StoreError
from protocols.ports import Clock

log = logging.getLogger("v2x.cluster")

ONE_SITE, SEVERAL_SITES = (3, 1), (8, 4)  # connections to the database that last: for reading, for writing
MAX_OPENING = 8  # sites at the same time, at the start; less than there are connections


class Instance:
    """One instance: the sockets of stations and clients, and its part of the cluster."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self.config, self.clock = config, clock
        self._alone = not config.cluster.sites
        self._settings = csms_settings(config)
        self._shared = Shared.of(self._settings)
        starts: dict[str, Start] = {}
        self.node = Node(cluster_settings(config), starts, __version__, clock, alone=self._alone)
        self._shared.cut_off = lambda: self.node.cut_off.lasts
        url, (reading, writing) = config.store.url, ONE_SITE if self._alone else SEVERAL_SITES
        self._pool = postgres_pool(url, fenced=True, connections=reading)
        self._writer = WriterThread(url, fenced=True, connections=writing)
        self.sites: dict[str, ServedSite] = {}
        for each in config.sites:
            site = ServedSite(each, self.node, self._pool, self._writer, clock, alone=self._alone)
            self.sites[site.name], starts[site.name] = site, site.start
        self.ports: dict[str, int] = {}
        self.started = asyncio.Event()

    # stations

    def _server(self) -> WebSocketServer:
        settings, shared = self._settings, self._shared
        admissions = {name: site.admission(shared) for name, site in self.sites.items()}
        if self._alone:
            return WebSocketServer(next(iter(admissions.values())))
        settings = replace(settings, unknown_stations=UnknownStations.REJECT)
        nowhere = Csms(settings, _log, self.clock)
        unknown = UNKNOWN.format(path=settings.path)
        elsewhere = Admission(
            nowhere.context, {}, nowhere.credentials, nowhere.attach, nowhere.stations.pop, shared=shared,
            unknown=unknown,
        )  # fmt: skip
        listed = {name: site.listed for name, site in self.sites.items()}
        return WebSocketServer(elsewhere, SitePaths(settings.path, admissions, listed, elsewhere))

    async def _listen(self) -> None:
        def ready(port: int) -> None:
            self.ports["ocpp"] = port

        try:
            await self._server().serve(ready)
        except OSError as error:
            raise listeners.not_listening("ocpp.listen", self.config.ocpp.listen, error) from error

    # admin API and page

    def _admin(self) -> ASGIApp:
        apps: dict[str, ASGIApp] = {name: site.forwarding["admin"] for name, site in self.node.sites.items()}
        if not self._alone:
            apps = {name: HealthRoutes(one, self.node.sites[name]) for name, one in apps.items()}
        inner = next(iter(apps.values())) if self._alone else SiteRoutes(apps, self.node.holders, self._protect)
        return ClusterRoute(HealthRoutes(inner, self), self.node, self._protect)

    def _protect(self, serving: ASGIApp) -> ASGIApp:
        """Return the application behind the guard of the admin API."""
        return listeners.guarded(self.config, serving, lambda text: log.warning("%s", text), self.clock)

    def _page(self) -> ASGIApp:
        apps: dict[str, ASGIApp] = {name: site.forwarding["page"] for name, site in self.node.sites.items()}
        if self._alone:
            return next(iter(apps.values()))
        from gateway.web.page.access import SecurityHeaders

        login = self.config.web.login_required
        return SecurityHeaders(PageRoutes(apps, self.node.holders, lists=not login), tls=login)

    async def _serve_http(self, name: str, serving: ASGIApp, listen: str, tls: tuple[str, str] | None) -> None:
        from gateway.web import server

        host, port = host_and_port(listen)

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

    async def _open_sites(self) -> None:
        """Open the stores of all sites, several at the same time; StoreError for the first one that fails."""
        slots = asyncio.Semaphore(MAX_OPENING)

        async def opened(site: ServedSite) -> None:
            async with slots:
                await site.open()

        async with asyncio.TaskGroup() as tasks:
            for site in self.sites.values():
                tasks.create_task(opened(site), name=f"store of {site.name}")

    async def drain(self) -> None:
        """Hand all sites over and close all connections, for the end of this instance; no station connects any more."""
        self._shared.stopping = True
        await self.node.drain()

    async def run(self) -> None:
        """Take part in the cluster until cancelled."""
        joined = asyncio.Event()
        try:
            await self._open_sites()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.node.run(joined.set), name="cluster")
                await joined.wait()
                tasks.create_task(self._listen(), name="ocpp")
                admin, web = self.config.admin, self.config.web
                if admin.listen is not None:
                    tasks.create_task(self._serve_http("admin", self._admin(), admin.listen, None), name="admin")
                if web.listen is not None:
                    tls = (str(web.cert), str(web.key)) if web.cert is not None else None
                    tasks.create_task(self._serve_http("page", self._page(), web.listen, tls), name="page")
                wanted = 1 + (admin.listen is not None) + (web.listen is not None)
                while len(self.ports) < wanted:
                    await self.clock.sleep(0.02)
                self.started.set()
        finally:
            for site in self.sites.values():
                await site.close()
            await self._writer.close()
            await self._pool.dispose()


def _log(event: Event) -> None:
    """Log what belongs to no site."""
    if isinstance(event, StationRejected):
        log.info("%s: rejected from %s at %s: %s", event.station or "a client", event.address, event.path, event.reason)
    elif isinstance(event, SecurityNoticed):
        log.warning("%s: %s: %s", event.station, event.kind, event.text)


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
                log.info("draining: sites are handed over, then stations are closed to connect elsewhere")
                await instance.drain()
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
