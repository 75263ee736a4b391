"""A gateway with its page over real sockets, an HTTP client without cookies, and stations of the test."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from gateway.app import Gateway, Parts, gateway
from gateway.config import from_table
from gateway.model import event
from gateway.store.store import MemoryStore, Store

OPERATOR, VIEWER = "operator-token-" + "x" * 32, "viewer-token-" + "y" * 32


class RunningPage:
    """A gateway, a client of its page, and events as stations report them."""

    def __init__(self, running: Gateway, http: httpx.AsyncClient) -> None:
        self.gateway, self.http = running, http

    @property
    def url(self) -> str:
        return str(self.http.base_url).rstrip("/")

    def evse(self, name: str = "CP1-1", vehicle: str = "leaf", power_w: float = -2200.0, soc_pct: float = 64.0) -> None:
        """Report an EVSE with a car in session that can charge and discharge."""
        station, (report, at) = name.rpartition("-")[0], (self.gateway.service.report, self.gateway.clock.now())
        report(event.StationConnected(station, at, "ocpp2.1", "v", "m"))
        report(event.EvseDescribed(name, station, at, event.PowerLimits(11_000, 11_000), True))
        report(event.PlugChanged(name, at, event.PlugState.OCCUPIED))
        report(event.SessionStarted(name, at, "s1", vehicle))
        self.metered(power_w, soc_pct, name)

    def input(self, kind: str, **body: Any) -> None:
        """Send an input as the facility does."""
        payload = json.dumps({"ts": self.gateway.clock.wall(), **body}).encode()
        assert self.gateway.service.input(kind, payload) is None

    def metered(self, power_w: float, soc_pct: float = 64.0, name: str = "CP1-1") -> None:
        """Report a reading of the meter of an EVSE."""
        now, wall = self.gateway.clock.now(), self.gateway.clock.wall()
        self.gateway.service.report(event.Metered(name, now, wall, power_w=power_w, soc_pct=soc_pct))

    async def page(self, path: str, **headers: str) -> str:
        answer = await self.http.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def csrf(self, path: str = "/now", **headers: str) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', await self.page(path, **headers))
        assert found is not None
        return found[1]


@asynccontextmanager
async def running_page(
    folder: Path, store: Store | None = None, tables: dict[str, Any] | None = None, within_s: float = 100, **web: Any
) -> AsyncIterator[RunningPage]:
    """Run a gateway; `web` changes its `[web]` table, `tables` replaces others."""
    (folder / "operator").write_text(OPERATOR + "\n")
    (folder / "viewer").write_text(VIEWER + "\n")
    config = from_table(
        {
            "site": {"id": "shelter-1", "import_limit_w": 50_000, "min_soc_pct": 30},
            "mqtt": {"url": "mqtt://user:secret@127.0.0.1:9"},
            "store": {"url": "memory:"},
            "ocpp": {"listen": "127.0.0.1:0", "security_profile": 0},
            "stations": [{"id": "CP1"}],
            "web": {"listen": "127.0.0.1:0", **web},
            **(tables or {}),
        },
        folder,
    )
    async with asyncio.timeout(within_s), gateway(config, Parts(store=store or MemoryStore())) as running:
        base = f"http://127.0.0.1:{running.web_port}"
        async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as http:
            yield RunningPage(running, http)


def with_login() -> dict[str, Any]:
    """Return the `[web]` table of a page behind a proxy."""
    return {"behind_proxy": True, "operator_token_file": "operator", "viewer_token_file": "viewer"}
