"""Housekeeping: telemetry samples are stored in batches, and old rows of the store are removed."""

from __future__ import annotations

import logging
from collections import deque

from gateway.control.control_state import EvseRegistry
from gateway.control.settings import ServiceSettings
from gateway.store.store import Sample, Store, StoreError
from protocols.ports import Clock

PRUNE_EVERY_S = 3600.0
BATCH, BATCH_S, MAX_SAMPLES = 500, 30.0, 20_000  # of telemetry
DAY_S = 86_400.0

log = logging.getLogger("v2x")


class Housekeeping:
    """Housekeeping of one gateway's store; `step` each second."""

    def __init__(self, registry: EvseRegistry, store: Store, clock: Clock, settings: ServiceSettings) -> None:
        self._registry = registry
        self._store = store
        self._clock = clock
        self._settings = settings
        self._pruned = self._sampled = clock.now()
        self._samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)
        self._trouble = ""  # of the store, as logged last

    async def step(self) -> None:
        """Sample, store and prune what is due."""
        now, wall, settings = self._clock.now(), self._clock.wall(), self._settings
        if settings.telemetry_days and now - self._sampled >= settings.telemetry_every_s:
            self._sampled = now
            self._samples.extend(self._sample(wall))
        try:
            if len(self._samples) >= BATCH or (self._samples and wall - self._samples[0].wall >= BATCH_S):
                await self._store.sample(list(self._samples))
                self._samples.clear()
            if now - self._pruned >= PRUNE_EVERY_S:
                self._pruned = now
                days = (settings.command_days, settings.journal_days, settings.telemetry_days)
                await self._store.prune(*(wall - one * DAY_S for one in days))
            self._trouble = ""
        except StoreError as error:
            if str(error) != self._trouble:  # logged once, and not each second onto a disk that is full
                log.warning("telemetry or old rows: %s", error)
            self._trouble = str(error)

    def _sample(self, wall: float) -> list[Sample]:
        """Return one sample per EVSE that measures."""
        return [
            Sample(evse.name, wall, evse.power_w, evse.soc_pct, evse.charged.total_wh, evse.discharged.total_wh)
            for evse in (state.evse for state in self._registry)
            if evse.power_w is not None
        ]
