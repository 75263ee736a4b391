"""Health of the process: `GET /health/live` and `GET /health/ready`, without a token and without secrets.

Live answers as long as the event loop runs: a service manager may restart a process that does not. Ready verifies what
the gateway needs for commands; what fails is named, with status 503. Nothing else of a request is read.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.store.journal import Journal
from gateway.store.store import StoreError
from protocols.ports import Clock

LIVE, READY = "/health/live", "/health/ready"
VERIFIED_FOR_S = 5.0  # a write to the store is not repeated within this time


class Check(StrEnum):
    """Parts that the gateway needs for commands."""

    GATEWAY = "gateway"  # it is not being stopped
    STORE = "store"
    JOURNAL = "journal"
    BROKER = "broker"


class Health:
    """Checks of one gateway. `stopping` and `broker` return the present state."""

    def __init__(
        self, journal: Journal, clock: Clock, *, stopping: Callable[[], bool], broker: Callable[[], bool]
    ) -> None:
        self._journal, self._clock = journal, clock
        self._stopping, self._broker = stopping, broker
        self._verified_at = float("-inf")
        self._store = ""

    async def ready(self) -> dict[str, str]:
        """Return what is wrong, by check; empty for what is in order."""
        return {
            Check.GATEWAY: "the gateway is being stopped" if self._stopping() else "",
            Check.STORE: await self._store_fault(),
            Check.JOURNAL: "" if self._journal.trouble is None else "records of the journal cannot be written",
            Check.BROKER: "" if self._broker() else "the broker is not connected",
        }

    async def _store_fault(self) -> str:
        now = self._clock.now()
        if now - self._verified_at >= VERIFIED_FOR_S:
            self._verified_at = now  # other requests get the former answer meanwhile
            try:
                await self._journal.probe()
                self._store = ""
            except StoreError:
                self._store = "the store cannot be written"
        return self._store


class Checks(Protocol):
    """Checks for `READY`."""

    async def ready(self) -> dict[str, str]:
        """Return what is wrong, by check; empty for what is in order."""


class HealthRoutes:
    """ASGI application in front of another one that answers the two routes."""

    def __init__(self, app: ASGIApp, health: Checks) -> None:
        self._app, self._health = app, health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Implement ASGI."""
        if scope["type"] != "http" or scope["path"] not in (LIVE, READY):
            await self._app(scope, receive, send)
            return
        await (await self._answer(scope))(scope, receive, send)

    async def _answer(self, scope: Scope) -> JSONResponse:
        headers = {"Cache-Control": "no-store"}
        if scope["method"] not in ("GET", "HEAD"):
            return JSONResponse({"detail": "only GET"}, 405, {"Allow": "GET, HEAD"})
        if scope["path"] == LIVE:
            return JSONResponse({"status": "live"}, 200, headers)
        found = await self._health.ready()
        failing = [check for check, fault in found.items() if fault]
        checks = {check: fault or "ok" for check, fault in found.items()}
        status = "not ready" if failing else "ready"
        return JSONResponse({"status": status, "failing": failing, "checks": checks}, 503 if failing else 200, headers)
