"""A rolling upgrade: the instance that stops loses its stations in order, the new one gets its share of them back."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.cluster import status
from gateway.cluster.io import ClusterError
from tests.gateway.cluster.light_station import LightStation, Times
from tests.gateway.cluster.network import HOST, Proxies
from tests.gateway.cluster.rig import Rig, rig

STATIONS, SESSIONS, SHARE = 40, 8, 12
WITHIN_S = 90.0  # on a machine that does other work


class Fleet:
    """Stations in this process; which of them are served, and which lost their connection."""

    def __init__(self, names: list[str], urls: list[str]) -> None:
        self.served: set[str] = set()
        self.lost: list[str] = []
        self.stations = [
            LightStation(
                name, urls, seed="1", session=number < SESSIONS, times=Times(), received=lambda *_: None,
                ready=self._ready,
            )
            for number, name in enumerate(names)
        ]  # fmt: skip

    def _ready(self, name: str, ready: bool) -> None:
        if ready:
            self.served.add(name)
        else:
            self.served.discard(name)
            self.lost.append(name)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(one.run()) for one in self.stations]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def owned(rig: Rig) -> dict[str, int]:
    """Return the number of stations of each instance that is present."""
    with suppress(ClusterError):
        found = await status.read(rig.settings, SystemClock())
        return {one.instance: one.connections for one in found.instances if one.present and not one.draining}
    return {}


async def until(what: str, rig: Rig, reached: Callable[[dict[str, int]], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not reached(found := await owned(rig)):
        assert time.monotonic() < deadline, f"{what}: {found}\n{rig.log()}"
        await asyncio.sleep(0.2)


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_stations_are_moved_back_after_an_upgrade_but_none_in_a_session(tmp_path: Path) -> None:
    names = [f"CP{number}" for number in range(STATIONS)]
    network = Proxies()
    with rig(tmp_path, names, 4.0, network=network) as running:
        running.rebalance_every_s = 1.0
        fleet = Fleet(names, [running.url(HOST, name) for name in ("gw1", "gw2")])
        await network.ready()
        running.start("gw1")
        running.start("gw2")
        await until("both are present", running, lambda found: len(found) == 2)
        async with fleet.running():
            await until("all are connected", running, lambda _: len(fleet.served) == STATIONS)
            running.signal("gw1", signal.SIGTERM)
            await asyncio.to_thread(running.processes["gw1"].join, WITHIN_S)
            assert running.processes["gw1"].exitcode == 0
            await until("the other has all", running, lambda found: found == {"gw2": STATIONS})
            await until("all are served again", running, lambda _: len(fleet.served) == STATIONS)
            fleet.lost.clear()
            running.start("gw1")
            await until("the new one has its share", running, lambda found: found.get("gw1", 0) >= SHARE)
            assert len(fleet.lost) >= SHARE
            assert not {*names[:SESSIONS]} & {*fleet.lost}
        await network.close()
