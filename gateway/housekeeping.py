"""Housekeeping: telemetry samples are stored in batches, and old rows of the store are removed.

A clock that jumps ahead does not remove the ids of commands and with them what keeps a command from acting twice: the
age of rows is counted from a time that advances at most twice as fast as the gateway runs, stored across restarts.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from itertools import islice

from gateway.control.control_state import EvseRegistry
from gateway.control.settings import ServiceSettings
from gateway.model.journal import Kept
from gateway.store.journal import Journal
from gateway.store.store import Sample, StoreError
from protocols.ports import Clock

PRUNE_EVERY_S = 3600.0
CATCH_UP = 2.0  # s per s of running by which the time of the retention follows a clock that is ahead
KIND, KEY = "housekeeping", "retention"
BATCH, BATCH_S, MAX_SAMPLES = 500, 30.0, 20_000  # of telemetry
PORTION = 100  # samples after which other work has its turn: those of 1,000 EVSEs take 6 ms
SHORTEST_PAUSE_S = 1.0  # between two attempts to write to a store in trouble
DAY_S = 86_400.0

log = logging.getLogger("v2x")


class Housekeeping:
    """Housekeeping of one gateway's store."""

    def __init__(self, registry: EvseRegistry, journal: Journal, clock: Clock, settings: ServiceSettings) -> None:
        self._registry = registry
        self._store, self._journal = journal.store, journal
        self._clock = clock
        self._settings = settings
        self._pruned = self._sampled = clock.now()
        self._samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)
        self._trouble = ""  # of the store, as logged last

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        while True:
            await self._clock.sleep(max(SHORTEST_PAUSE_S, self._due() - self._clock.now()))
            await self.step()

    def _due(self) -> float:
        """Return when the next step is due, in monotonic time."""
        due = self._pruned + PRUNE_EVERY_S
        if self._settings.telemetry_days:
            due = min(due, self._sampled + self._settings.telemetry_every_s)
        if self._samples:
            due = min(due, self._clock.now() + BATCH_S - (self._clock.wall() - self._samples[0].wall))
        return due

    async def step(self) -> None:
        """Sample, store and prune what is due."""
        now, wall, settings = self._clock.now(), self._clock.wall(), self._settings
        if settings.telemetry_days and now - self._sampled >= settings.telemetry_every_s:
            self._sampled = now
            await self._sample(wall)
        try:
            if len(self._samples) >= BATCH or (self._samples and wall - self._samples[0].wall >= BATCH_S):
                await self._write_samples()
            if now - self._pruned >= PRUNE_EVERY_S:
                until, self._pruned = await self._retention(wall, now - self._pruned), now
                days = (settings.command_days, settings.journal_days, settings.telemetry_days)
                await self._store.prune(*(until - one * DAY_S for one in days))
            self._trouble = ""
        except StoreError as error:
            if str(error) != self._trouble:  # logged once, and not each second onto a disk that is full
                log.warning("telemetry or old rows: %s", error)
            self._trouble = str(error)

    async def _retention(self, wall: float, ran_s: float) -> float:
        """Return the time that the age of rows is counted from, and store it."""
        kept = await self._store.kept(0)
        before = next((float(one.body) for one in kept if (one.kind, one.key) == (KIND, KEY)), None)
        until = wall if before is None else min(wall, before + CATCH_UP * ran_s)
        self._journal.later(Kept(KIND, KEY, repr(until), wall))
        return until

    async def _sample(self, wall: float) -> None:
        """Take one sample per EVSE that measures."""
        measuring = [state.evse for state in self._registry if state.evse.power_w is not None]
        for first in range(0, len(measuring), PORTION):
            for evse in measuring[first : first + PORTION]:
                energies = evse.charged.total_wh, evse.discharged.total_wh
                self._samples.append(Sample(evse.name, wall, evse.power_w, evse.soc_pct, *energies))
            await asyncio.sleep(0)

    async def _write_samples(self) -> None:
        """Write all samples. Raises StoreError; those that are not written are kept."""
        while self._samples:
            portion = list(islice(self._samples, PORTION))
            await self._store.sample(portion)
            for _ in portion:
                self._samples.popleft()
