"""The gateway killed at every step of a command's lifecycle: real processes, Mosquitto, SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path

import pytest

from tests.forked import processes
from tests.gateway.crash.gateway_process import MOMENTS, ProcessConfig, main
from tests.gateway.crash.kill_run import facility, run_once
from tests.gateway.crash.stations import StationSide
from tests.gateway.mqtt.facility import mosquitto
from tests.gateway.store.postgres import postgres

AT_ONCE = 6
SEED = int(os.environ.get("V2X_SEED", "20260"))


def moments(rounds: int, seed: int) -> list[str]:
    """Return every moment once and random further ones, in random order."""
    chance = random.Random(seed)
    chosen = [*MOMENTS, *chance.choices(MOMENTS, k=max(0, rounds - len(MOMENTS)))][:rounds]
    chance.shuffle(chosen)
    return chosen


async def run_all(broker: int, databases: list[str], chosen: list[str]) -> list[str]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, moment: str) -> list[str]:
        async with gate:
            return await run_once(broker, databases[number], f"site{number}", moment)

    found = await asyncio.gather(*(one(number, moment) for number, moment in enumerate(chosen)))
    return [violation for one_run in found for violation in one_run]


@pytest.mark.peer
@pytest.mark.timeout(300)
async def test_thirty_seeded_kills_over_mosquitto_and_sqlite(tmp_path: Path) -> None:
    chosen = moments(30, SEED)
    assert set(MOMENTS) <= set(chosen)
    databases = [f"sqlite:///{tmp_path / f'{number}.db'}" for number in range(len(chosen))]
    with mosquitto(tmp_path) as broker:
        found = await run_all(broker.port, databases, chosen)
    assert not found, f"seed {SEED}: " + "\n".join(found)


@pytest.mark.peer
@pytest.mark.timeout(200)
async def test_six_kills_over_mosquitto_and_postgres(tmp_path: Path) -> None:
    chosen = ["after first", "before set", "after station", "after confirmed", "before final", "after final"]
    with mosquitto(tmp_path) as broker, postgres(tmp_path) as cluster:
        databases = [cluster.database() for _ in chosen]
        found = await run_all(broker.port, databases, chosen)
    assert not found, "\n".join(found)


@pytest.mark.peer
@pytest.mark.timeout(120)
async def test_the_stations_link_is_cut_under_power(tmp_path: Path) -> None:
    """The command goes on; where the station stays away it ends. Nothing is sent before reconciliation."""
    with mosquitto(tmp_path) as broker:
        station = StationSide()
        await station.start()
        database = f"sqlite:///{tmp_path / 'cut.db'}"
        gateway = processes().Process(
            target=main, args=(ProcessConfig("cut", broker.port, database, station.port),), daemon=True
        )
        gateway.start()
        try:
            async with asyncio.timeout(60), facility(broker.port, "cut") as client:
                while not station.links:  # noqa: ASYNC110 (the station is no event)
                    await asyncio.sleep(0.05)
                await asyncio.sleep(1)
                body = {"id": "a", "power_w": 5000, "lease_s": 300}
                sending = asyncio.create_task(client.send_until_final(body))
                while not station.power_w:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                station.cut()
                await sending
                while station.calls_of_link(2)[1:2] != ["set_power"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                assert station.calls_of_link(2)[0] == "reconcile"
                assert station.power_w == -5000
                station.away = True
                station.cut()
                await asyncio.sleep(16)  # the watchdog: the last order is valid for 15 s
                assert station.power_w == 0
                station.away = False
                while station.links < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                await asyncio.sleep(0.5)
                assert station.calls_of_link(3)[:1] in ([], ["reconcile"])
                assert station.power_w == 0
                final = client.final()[-1]
                assert final["status"] in ("failed", "achieved")
                assert final["status"] == "achieved" or final["reason"]["code"] == "offline"
        finally:
            gateway.kill()
            await asyncio.to_thread(gateway.join)
            await station.stop()


@pytest.mark.peer
@pytest.mark.timeout(120)
async def test_a_release_that_was_accepted_acts_though_the_gateway_was_killed(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        station = StationSide()
        await station.start()
        database = f"sqlite:///{tmp_path / 'release.db'}"
        context = processes()
        gateways = [
            context.Process(
                target=main, args=(ProcessConfig("rel", broker.port, database, station.port, moment),), daemon=True
            )
            for moment in ("before ended", None)  # the release is the only one of the two that ends
        ]
        gateways[0].start()
        try:
            async with asyncio.timeout(60), facility(broker.port, "rel") as client:
                while not station.links:  # noqa: ASYNC110 (the station is no event)
                    await asyncio.sleep(0.05)
                await asyncio.sleep(1)
                for verb in ("emergency_stop", "release"):
                    await client.client.publish(f"v2x/1/rel/site/cmd/{verb}", json.dumps({"id": verb}), qos=1)
                    await asyncio.sleep(0.5)
                while gateways[0].is_alive():  # noqa: ASYNC110 (nor is a process)
                    await asyncio.sleep(0.05)
                gateways[1].start()
                await asyncio.sleep(3)
                await client.send_until_final({"id": "a", "power_w": 5000, "lease_s": 5})
                assert [one["status"] for one in client.final()] == ["achieved"]
        finally:
            for gateway in gateways:
                if gateway.pid is not None:
                    gateway.kill()
                    await asyncio.to_thread(gateway.join)
            await station.stop()


@pytest.mark.soak
@pytest.mark.peer
@pytest.mark.timeout(3600)
async def test_two_hundred_seeded_kills(tmp_path: Path) -> None:
    chosen = moments(200, SEED + 1)
    databases = [f"sqlite:///{tmp_path / f'{number}.db'}" for number in range(len(chosen))]
    with mosquitto(tmp_path) as broker:
        found = await run_all(broker.port, databases, chosen)
    assert not found, f"seed {SEED + 1}: " + "\n".join(found)
