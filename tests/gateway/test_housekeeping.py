"""Housekeeping of the telemetry of many EVSEs: other work has its turn between; a store in trouble loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest

from emulators.runtime.clock import VirtualClock
from gateway.control.control_state import EvseRegistry
from gateway.control.settings import ServiceSettings
from gateway.housekeeping import BATCH_S, PORTION, Housekeeping
from gateway.model.site import SitePolicy
from gateway.store.journal import Journal
from gateway.store.store import MemoryStore, Sample, StoreError

EVSES = 250


class TroubledStore(MemoryStore):
    """A store that fails in the second portion of the first attempt."""

    def __init__(self) -> None:
        super().__init__()
        self.portions: list[int] = []

    async def sample(self, samples: Sequence[Sample]) -> None:
        self.portions.append(len(samples))
        if len(self.portions) == 2:
            raise StoreError("the disk is full")
        await super().sample(samples)


@pytest.mark.virtual_time
async def test_samples_of_many_evses_are_taken_and_written_in_portions() -> None:
    clock, store, settings = VirtualClock(), TroubledStore(), ServiceSettings(SitePolicy("s"), telemetry_every_s=20.0)
    registry = EvseRegistry(settings)
    for number in range(EVSES):
        registry.ensure(f"CP{number}-1").evse.power_w = float(number)
    keeping = Housekeeping(registry, Journal(store, clock), clock, settings)
    turns: list[int] = []  # samples that are taken, after each turn of the loop

    async def watch() -> None:
        while True:
            turns.append(len(keeping._samples))
            await asyncio.sleep(0)

    await asyncio.sleep(20.0)
    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await keeping.step()
    watching.cancel()
    assert max(later - earlier for earlier, later in pairwise(turns)) <= PORTION
    await asyncio.sleep(BATCH_S)
    await keeping.step()  # takes samples again, and fails in the second portion
    assert len(keeping._samples) == 2 * EVSES - PORTION
    await keeping.step()
    assert max(store.portions) <= PORTION
    written = [one for number in range(EVSES) for one in await store.samples(f"CP{number}-1", 0.0, clock.wall() + 1.0)]
    assert sorted(one.power_w or 0.0 for one in written) == sorted(2 * [float(number) for number in range(EVSES)])
