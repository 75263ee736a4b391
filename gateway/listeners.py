"""Listeners of a gateway: stations, the admin API and the page."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gateway.config import Config, admin_token, host_and_port
from gateway.csms.csms import Csms
from gateway.observability.health import Health
from gateway.running import Gateway
from protocols.ports import Clock

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from gateway.web.ports import ClusterView


class StartError(Exception):
    """The gateway cannot start; the message names the setting or part that is wrong.

    `may_pass`: a later attempt may succeed with the same settings.
    """

    def __init__(self, text: str, may_pass: bool = False) -> None:
        super().__init__(text)
        self.may_pass = may_pass


async def start_servers(
    built: Gateway, csms: Csms, tasks: asyncio.TaskGroup, running: list[asyncio.Task[None]]
) -> None:
    """Listen for stations, and serve the admin API and the page where they are configured."""
    running.append(tasks.create_task(_listen(csms, built), name="ocpp"))
    await built.ready.wait()
    configured = ((built.config.admin.listen, _serve_admin, "admin"), (built.config.web.listen, serve_page, "page"))
    for listen, serve, name in configured:
        if listen is not None:
            serving = asyncio.Event()
            running.append(tasks.create_task(serve(built, csms, serving), name=name))
            await serving.wait()


async def _listen(csms: Csms, built: Gateway) -> None:
    def ready(port: int) -> None:
        built.ocpp_port = port
        built.ready.set()

    try:
        await csms.serve(ready)
    except OSError as error:
        raise not_listening("ocpp.listen", built.config.ocpp.listen, error) from error


async def _serve_admin(built: Gateway, csms: Csms, serving: asyncio.Event) -> None:
    from gateway.observability import health
    from gateway.web import server  # FastAPI takes half a second to import: only where it is used

    section = built.config.admin
    assert section.listen is not None
    host, port = host_and_port(section.listen)

    def ready(taken: int) -> None:
        built.admin_port = taken
        serving.set()

    try:
        await server.serve(health.HealthRoutes(admin_app(built, csms), _checks(built)), host, port, ready=ready)
    except OSError as error:
        raise not_listening("admin.listen", section.listen, error) from error


def admin_app(built: Gateway, csms: Csms, cluster: ClusterView | None = None) -> ASGIApp:
    """Return the admin API as an ASGI application, with the metrics and its guard; `cluster` of an instance only."""
    from gateway.csms.admin import Admin
    from gateway.observability import endpoint
    from gateway.web import api

    section = built.config.admin
    admin, lending = Admin(csms, built.hosted.sessions), built.lending_service
    app = api.build(
        admin, built.service, raw_calls=section.raw_calls, lending=lending, hosted=built.hosted, cluster=cluster,
        now=built.clock.wall,
    )  # fmt: skip
    app.router.routes.append(endpoint.route(built.metrics))
    return guarded(built.config, app, built.service.security, built.clock)


def guarded(config: Config, app: ASGIApp, report: Callable[[str], None], clock: Clock) -> ASGIApp:
    """Return an application behind the guard of the admin API; `report` receives security events."""
    from gateway.web import guard

    section = config.admin
    assert section.listen is not None
    host, _ = host_and_port(section.listen)
    access = guard.Access(admin_token.read_or_create(config), frozenset({host, *section.hosts}))
    return guard.Guard(app, access, report, clock.now)


async def serve_page(built: Gateway, csms: Csms, serving: asyncio.Event) -> None:
    """Serve the page at `web.listen` until cancelled; `serving` is set when `built.web_port` is known.

    A gateway that listens does it by itself; an emulation without sockets of stations calls it.
    """
    from gateway.web import server

    section = built.config.web
    assert section.listen is not None
    host, port = host_and_port(section.listen)

    def ready(taken: int) -> None:
        built.web_port = taken
        serving.set()

    tls = (str(section.cert), str(section.key)) if section.cert is not None else None
    async with page_app(built, csms) as (app, stopping):
        try:
            await server.serve(app, host, port, tls=tls, ready=ready, stopping=stopping)
        except OSError as error:
            raise not_listening("web.listen", section.listen, error) from error


@asynccontextmanager
async def page_app(
    built: Gateway, csms: Csms, cluster: ClusterView | None = None
) -> AsyncIterator[tuple[ASGIApp, Callable[[], None]]]:
    """Return the page as an ASGI application, and what ends its streams; `cluster` of an instance only."""
    from gateway.config.page import form_token, settings_rows, web_tokens
    from gateway.csms.admin import Admin
    from gateway.web.page import access, application, readouts

    section, service, now = built.config.web, built.service, built.clock.now
    assert section.listen is not None
    host, _ = host_and_port(section.listen)
    rows, wall = settings_rows(built.config), built.clock.wall
    admin = Admin(csms, built.hosted.sessions)
    sources = readouts.Sources(service, admin, _checks(built).ready, rows, wall, cluster=cluster)
    sessions = access.Sessions(web_tokens(section), now, form_token(built.config))
    page = application.Page(sources, sessions, list(section.languages), service.security, now)
    guarded = access.PageGuard(page.app, frozenset({host, *section.hosts}), sessions, service.security, now)
    following = asyncio.get_running_loop().create_task(sources.follow(), name="page")
    try:
        yield access.SecurityHeaders(guarded, tls=section.login_required), page.streams.close
    finally:
        following.cancel()


def _checks(built: Gateway) -> Health:
    return Health(built.journal, built.clock, stopping=lambda: built.stopping, broker=built.mqtt.connected.is_set)


def not_listening(key: str, listen: str, error: OSError) -> StartError:
    """Return the error of an address that cannot be listened on."""
    remedy = "; another process uses this port: stop it, or choose another port" * (error.errno == errno.EADDRINUSE)
    return StartError(f"{key}: cannot listen on {listen}: {error.strerror or error}{remedy}", may_pass=True)
