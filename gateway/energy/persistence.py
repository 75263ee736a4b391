"""Persistence of energy management: energy used in an outage is stored at once, the rest at intervals.

The rows are described in `gateway/energy/persisted_rows.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.energy import persisted_rows
from gateway.energy.controller import SiteController
from gateway.model.journal import Forgotten, Kept, Record

log = logging.getLogger("v2x")

KIND = "energy"
WINDOW_EVERY_S = 30.0  # so short a gap is counted with the last power, not with the contract power
DAYS_EVERY_S = 1800.0


class Writer(Protocol):
    """Destination of records: `gateway.store.journal.Journal`."""

    def later(self, *records: Record) -> None: ...


class EnergyPersistence:
    """Persistence of one site."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._outage: persisted_rows.OutageRow | None = None
        self._at: dict[str, float] = {}

    def keep(self, controller: SiteController, now: float, wall: float) -> None:
        """Write what has changed; after each step."""
        outage = persisted_rows.outage_row(controller)
        if outage != self._outage:
            self._outage = outage
            if outage is None:
                self._writer.later(Forgotten(KIND, persisted_rows.OUTAGE))
            else:
                self._write(persisted_rows.OUTAGE, outage, wall)
        if (
            self._due(persisted_rows.WINDOW, now, WINDOW_EVERY_S)
            and (window := persisted_rows.window_row(controller)) is not None
        ):
            self._write(persisted_rows.WINDOW, window, wall)
        if self._due(persisted_rows.DAYS, now, DAYS_EVERY_S):
            self._write(persisted_rows.DAYS, persisted_rows.days_row(controller), wall)

    def _due(self, key: str, now: float, every_s: float) -> bool:
        if now - self._at.setdefault(key, now) < every_s:
            return False
        self._at[key] = now
        return True

    def _write(self, key: str, row: msgspec.Struct, wall: float) -> None:
        self._writer.later(Kept(KIND, key, msgspec.json.encode(row).decode(), wall))

    def restore(self, controller: SiteController, kept: Sequence[Kept]) -> None:
        """Restore what an earlier run kept; before the first step."""
        for key in persisted_rows.restore(controller, {one.key: one.body for one in kept if one.kind == KIND}):
            log.warning("the energy row %s cannot be read and is left out", key)
        self._outage = persisted_rows.outage_row(controller)
