"""The gateway killed at every step of a command's life: real processes, Mosquitto, SQLite, and Postgres."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from tests.gateway.crash.rounds import play
from tests.gateway.crash.victim import MOMENTS
from tests.gateway.mqtt.facility import mosquitto
from tests.gateway.store.postgres import postgres

AT_ONCE = 6
SEED = int(os.environ.get("V2X_SEED", "20260"))


def moments(rounds: int, seed: int) -> list[str]:
    """Every moment once, then more of them by chance, in an order by chance."""
    chance = random.Random(seed)
    chosen = [*MOMENTS, *chance.choices(MOMENTS, k=max(0, rounds - len(MOMENTS)))][:rounds]
    chance.shuffle(chosen)
    return chosen


async def play_all(broker: int, databases: list[str], chosen: list[str]) -> list[str]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, moment: str) -> list[str]:
        async with gate:
            return await play(broker, databases[number], f"site{number}", moment)

    found = await asyncio.gather(*(one(number, moment) for number, moment in enumerate(chosen)))
    return [violation for round_ in found for violation in round_]


@pytest.mark.peer
@pytest.mark.timeout(300)
def test_thirty_seeded_rounds_over_mosquitto_and_sqlite(tmp_path: Path) -> None:
    chosen = moments(30, SEED)
    assert set(MOMENTS) <= set(chosen)
    databases = [f"sqlite:///{tmp_path / f'{number}.db'}" for number in range(len(chosen))]
    with mosquitto(tmp_path) as broker:
        found = asyncio.run(play_all(broker.port, databases, chosen))
    assert not found, f"seed {SEED}: " + "\n".join(found)


@pytest.mark.peer
@pytest.mark.timeout(200)
def test_six_rounds_over_mosquitto_and_postgres(tmp_path: Path) -> None:
    chosen = ["after first", "before set", "after station", "after confirmed", "before final", "after final"]
    with mosquitto(tmp_path) as broker, postgres(tmp_path) as cluster:
        databases = [cluster.database() for _ in chosen]
        found = asyncio.run(play_all(broker.port, databases, chosen))
    assert not found, "\n".join(found)


@pytest.mark.soak
@pytest.mark.peer
@pytest.mark.timeout(3600)
def test_two_hundred_seeded_rounds(tmp_path: Path) -> None:
    chosen = moments(200, SEED + 1)
    databases = [f"sqlite:///{tmp_path / f'{number}.db'}" for number in range(len(chosen))]
    with mosquitto(tmp_path) as broker:
        found = asyncio.run(play_all(broker.port, databases, chosen))
    assert not found, f"seed {SEED + 1}: " + "\n".join(found)
