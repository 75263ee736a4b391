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
AT_ONCE = int(os.environ.get("V2X_FAULT_ROUNDS_AT_ONCE", "4"))


async def run_kinds(kinds: list[str], rounds: int, folder: Path, at_once: int) -> list[str]:
    gate = asyncio.Semaphore(at_once)

    async def one(kind: str, number: int) -> list[str]:
        with ExitStack() as stack:
            own = folder / f"{kind}{number}"
            async with gate:
                own.mkdir()
                broker = stack.enter_context(mosquitto(own))
                cluster = stack.enter_context(postgres(own)) if kind == "postgres" else None
                database = cluster.database() if cluster is not None else f"sqlite:///{own / 'v2x.db'}"
                found = await run_round(round_of(kind, number, SEED, broker, database, cluster))
                log.warning("%s %d: %s", kind, number, found or "passed")
                return found

    work = [one(kind, number) for number in range(rounds) for kind in kinds]
    return [violation for found in await asyncio.gather(*work) for violation in found]


@pytest.mark.peer
@pytest.mark.timeout(240)
async def test_a_round_of_the_kinds_that_end_soon(tmp_path: Path) -> None:
    kinds = ["kill", "broker", "disk", "lock", "clock"]
    found = await run_kinds(kinds, 1, tmp_path, len(kinds))
    assert not found, f"seed {SEED}: " + "\n".join(found)


@pytest.mark.soak
@pytest.mark.peer
@pytest.mark.timeout(0)
async def test_two_hundred_rounds(tmp_path: Path) -> None:
    found = await run_kinds(list(FAULTS), ROUNDS, tmp_path, AT_ONCE)
    assert not found, f"seed {SEED}: " + "\n".join(found)
