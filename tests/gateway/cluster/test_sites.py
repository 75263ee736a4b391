"""Two gateways serve three sites whose stations have the same ids, over real NATS, Postgres and Mosquitto.

Each site has its holder, its records and its topics. When one gateway is lost the other takes its sites over, and gives
some back later; nothing of a site reaches another, and every command has one final result.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from gateway.clock import SystemClock
from gateway.cluster import status
from gateway.store.sql import SqlStore
from tests.gateway.cluster.judge import FIRST, Setpoint
from tests.gateway.cluster.light_station import LightStation
from tests.gateway.cluster.rig import Rig, rig

SITES = {"north": 1001.0, "south": 2003.0, "west": 3007.0}  # each with the power that only its stations are commanded
STATIONS = ("CP1", "CP2")
STATIONS_OF_SITE = len(STATIONS) + 1
INSTANCES = ("gw1", "gw2")
PART = "stations"
LEASE_S = 3.0
WITHIN_S = 90.0


class Town:
    """The cluster, its stations and a facility controller of all sites."""

    def __init__(self, cluster: Rig) -> None:
        self.rig = cluster
        folder = cluster.folder / "sites"
        folder.mkdir()
        for site in SITES:
            entries = "".join(f'[[stations]]\nid = "{name}"\n' for name in (*STATIONS, f"only-{site}"))
            limits = "max_charge_w = 10000\nmax_discharge_w = 10000\n"
            entries = entries.replace('"\n', f'"\n{limits}')
            (folder / f"{site}.toml").write_text(f'[site]\nid = "{site}"\n{entries}')
        for name in INSTANCES:
            table = cluster.table(name)
            table["stations"] = []
            table["site"].pop("id", None)
            table["cluster"]["sites"] = [str(folder / "*.toml")]
        self.names = [(site, name) for site in SITES for name in (*STATIONS, f"only-{site}")]
        self.setpoints: dict[tuple[str, str], list[Setpoint]] = {}
        self.ready: set[tuple[str, str]] = set()
        self.lost: list[tuple[str, str]] = []  # stations whose connection ended
        self.results: dict[tuple[str, str], list[dict[str, Any]]] = {}  # by site and command
        self.accepted: dict[tuple[str, str, str], str] = {}  # the last attempt of each command

    def stations(self) -> list[LightStation]:
        """Two stations of each site by its path, and one by the short path."""
        urls = [self.rig.url(PART, name) for name in INSTANCES]
        found = []
        for site, name in self.names:
            paths = urls if name.startswith("only") else [f"{url}/{site}" for url in urls]

            def received(station: str, one: Setpoint, site: str = site) -> None:
                self.setpoints.setdefault((site, station), []).append(one)

            def ready(station: str, is_ready: bool, site: str = site) -> None:
                (self.ready.add if is_ready else self.ready.discard)((site, station))
                if not is_ready:
                    self.lost.append((site, station))

            found.append(LightStation(name, paths, seed=site, session=True, received=received, ready=ready))
        return found

    @asynccontextmanager
    async def running(self) -> AsyncIterator[aiomqtt.Client]:
        """Run the stations and the facility controller."""
        broker = self.rig.broker
        async with aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
            await client.subscribe("v2x/1/+/evse/+/result", qos=1)
            tasks = [asyncio.create_task(one.run()) for one in self.stations()]
            tasks.append(asyncio.create_task(self._listen(client)))
            try:
                yield client
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            found = json.loads(message.payload)
            self.results.setdefault((message.topic.value.split("/")[2], found["id"]), []).append(found)

    async def command(self, client: aiomqtt.Client, command: str, lease_s: float) -> None:
        """Command all stations of all sites until each is accepted; the commands of two sites have the same ids."""
        waiting = list(self.names)
        for attempt in range(20):
            for site, name in waiting:
                self.accepted[site, name, command] = f"{command}-{name}-{attempt}"
                body = {"id": f"{command}-{name}-{attempt}", "power_w": SITES[site], "lease_s": lease_s}
                text = json.dumps(body | {"issued_at": time.time()})
                await client.publish(f"v2x/1/{site}/evse/{name}-1/cmd/discharge", text, qos=1)
            await self.until("no results", lambda: all(self.statuses(*one, command) for one in self.names))
            waiting = [one for one in self.names if not set(self.statuses(*one, command)) & set(FIRST)]
            if not waiting:
                return
        raise AssertionError(f"{waiting} are not accepted: {self.results}")

    def statuses(self, site: str, name: str, command: str) -> list[str]:
        """Return the statuses of the results of a command to a station, each once."""
        found = self.results.get((site, self.accepted[site, name, command]), [])
        return sorted({one["status"] for one in found})

    def final(self, *commands: str) -> bool:
        """Return whether all commands have a final result, at every station."""
        return all(set(self.statuses(*one, command)) - set(FIRST) for one in self.names for command in commands)

    async def holders(self) -> dict[str, str | None]:
        """Return the holders of all sites."""
        found = await status.read(self.rig.settings, SystemClock())
        return {one.site: one.holder if one.present else None for one in found.sites}

    async def divided(self) -> bool:
        """Return whether one instance has one site and the other two."""
        held = list((await self.holders()).values())
        return sorted(map(held.count, INSTANCES)) == [1, 2]

    def get(self, instance: str, path: str) -> Any:
        """Return an answer of the admin API of an instance, None while there is none."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.rig.ports[instance][1]}{path}")
        request.add_header("Authorization", "Bearer a-token-of-the-cluster")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read())
        except (urllib.error.HTTPError, TimeoutError):  # a loaded machine: the holder is still building it
            return None

    async def until(self, what: str, holds: Callable[[], bool | Awaitable[bool]]) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            assert time.monotonic() < deadline, f"{what}\n{self.ready}\n{self.results}\n{self.rig.log()}"
            await asyncio.sleep(0.1)


@pytest.mark.timeout(240)
async def test_two_gateways_serve_three_sites_and_one_takes_over(tmp_path: Path) -> None:
    with rig(tmp_path, [], LEASE_S) as cluster:
        town = Town(cluster)
        try:
            async with town.running() as client:
                await cluster.network.ready()
                for name in INSTANCES:
                    cluster.start(name)
                await _scenario(town, client)
        finally:
            cluster.stop()
            await cluster.network.close()
        for site, name in town.names:
            powers = {-one.power_w for one in town.setpoints[site, name]} & {*SITES.values()}
            assert powers == {SITES[site]}, (site, name)
        for site in SITES:
            database = cluster.tables["gw1"]["store"]["url"].rpartition("/")[2]
            url = f"postgresql://v2x@127.0.0.1:{cluster.postgres.port}/{database}"
            store = SqlStore(url, "gwc", tables=f"site_{site}")
            await store.open()
            stored = await store.recent_commands(100)
            await store.close()
            assert {json.loads(one.body)["power_w"] for one in stored} == {SITES[site]}
            assert len(stored) >= 2 * STATIONS_OF_SITE


async def _scenario(town: Town, client: aiomqtt.Client) -> None:
    def served() -> bool:
        return len(town.ready) == len(town.names)

    await town.until("the sites are not divided", town.divided)
    await town.until("stations are not served", served)
    for site in SITES:  # of two holders, at one instance
        path, own = f"/sites/{site}/admin/v1/stations", {name for at, name in town.names if at == site}

        async def answered(path: str = path, own: set[str] = own) -> bool:
            stations = await asyncio.to_thread(town.get, "gw1", path)
            return stations is not None and {one["id"] for one in stations} == own

        await town.until("the admin API of a site does not answer", answered)
    expected = [(site, True, STATIONS_OF_SITE) for site in SITES]

    async def counted() -> bool:  # with the next record of each instance
        seen = await asyncio.to_thread(town.get, "gw2", "/sites/north/admin/v1/cluster")
        if seen is None or seen["seen_by"] != (await town.holders())["north"]:
            return False
        return [(one["site"], one["present"], one["stations"]) for one in seen["sites"]] == expected

    await town.until("the holder of a site does not see the cluster", counted)
    await town.command(client, "a", 120.0)

    held = list((await town.holders()).values())
    lost, left = sorted(INSTANCES, key=held.count, reverse=True)
    town.rig.signal(lost, signal.SIGKILL)

    async def taken_over() -> bool:
        return set((await town.holders()).values()) == {left}

    await town.until("the sites are not taken over", taken_over)
    await town.until("stations are not served again", served)
    await town.command(client, "b", 5.0)
    town.rig.processes[lost].join(10)
    town.lost.clear()
    town.rig.start(lost)
    await town.until("the sites are not divided again", town.divided)
    await town.until("no final results", lambda: town.final("a", "b"))
    assert town.lost == []  # a hand-over keeps the connections
    for one in town.names:
        for command in "ab":
            statuses = town.statuses(*one, command)
            assert len(set(statuses) & set(FIRST)) == 1, (one, town.results)
            assert len(set(statuses) - set(FIRST)) == 1, (one, town.results)
