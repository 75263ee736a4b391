"""Faults of every kind over real OCPP stations and cars: killed, paused, broker, disk, lock, PostgreSQL, clock."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.gateway.crash.fault_run import FAULTS, round_of, run_round
from tests.gateway.mqtt.facility import mosquitto
from tests.gateway.store.postgres import postgres

log = logging.getLogger(__name__)
SEED = int(os.environ.get("V2X_SEED", "20260"))
ROUNDS = int(os.environ.get("V2X_FAULT_ROUNDS", "30"))  # of each kind, in `make soak`: 210
FAILED_ONCE: list[tuple[str, int, int]] = [
    ("pause", 7, 20260),
    ("pause", 9, 20260),
    ("clock", 14, 20260),
    ("disk", 15, 20260),
    ("lock", 13, 20260),
    ("broker", 9, 20261),
]
AT_ONCE = int(os.environ.get("V2X_FAULT_ROUNDS_AT_ONCE", "4"))


async def run_rounds(rounds: list[tuple[str, int, int]], folder: Path, at_once: int) -> list[str]:
    """Run rounds (kind, number, seed) and return the violated rules."""
    gate = asyncio.Semaphore(at_once)

    async def one(kind: str, number: int, seed: int) -> list[str]:
        own, stack = folder / f"{kind}{number}", ExitStack()
        async with gate:
            own.mkdir()
            try:  # in threads: the stations of other rounds go on meanwhile
                broker = await asyncio.to_thread(stack.enter_context, mosquitto(own))
                cluster, database = None, f"sqlite:///{own / 'v2x.db'}"
                if kind == "postgres":
                    cluster = await asyncio.to_thread(stack.enter_context, postgres(own))
                    database = await asyncio.to_thread(cluster.database)
                found = await run_round(round_of(kind, number, seed, broker, database, cluster))
            finally:
                await asyncio.to_thread(stack.close)
        log.warning("%s %d: %s", kind, number, found or "passed")
        return [f"seed {seed}, round {number}: {violation}" for violation in found]

    return [violation for found in await asyncio.gather(*(one(*each) for each in rounds)) for violation in found]


@pytest.mark.peer
@pytest.mark.timeout(240)
async def test_a_round_of_the_kinds_that_end_soon(tmp_path: Path) -> None:
    kinds = ["kill", "broker", "disk", "lock", "clock"]
    found = await run_rounds([(kind, 0, SEED) for kind in kinds], tmp_path, len(kinds))
    assert not found, "\n".join(found)


@pytest.mark.soak
@pytest.mark.peer
@pytest.mark.timeout(0)
async def test_rounds_that_failed_once(tmp_path: Path) -> None:
    found = await run_rounds(FAILED_ONCE, tmp_path, AT_ONCE)
    assert not found, "\n".join(found)


@pytest.mark.soak
@pytest.mark.peer
@pytest.mark.timeout(0)
async def test_two_hundred_rounds(tmp_path: Path) -> None:
    rounds = [(kind, number, SEED) for number in range(ROUNDS) for kind in FAULTS]
    found = await run_rounds(rounds, tmp_path, AT_ONCE)
    assert not found, "\n".join(found)
