"""Persistence of the vehicle lending state: writes rows that changed, restores them at the start."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from gateway.blue_switch import persisted_rows
from gateway.blue_switch.coordinator import Coordinator
from gateway.model.journal import Kept, Record

log = logging.getLogger("v2x")

KIND = "blue_switch"


class Writer(Protocol):
    """Writer of records: `gateway.store.journal.Journal`."""

    def later(self, *records: Record) -> None: ...


class BlueSwitchPersistence:
    """Persistence of one coordinator."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._written: dict[str, str] = {}
        self._seq = 0

    def keep(self, coordinator: Coordinator, wall: float) -> None:
        """Queue the rows that differ from what was written."""
        outages = persisted_rows.changed(coordinator, self._seq)
        self._seq = coordinator.audit.last_seq
        for key, (body, ended) in persisted_rows.rows(coordinator, outages).items():
            if self._written.get(key) != body:
                self._written[key] = body
                self._writer.later(Kept(KIND, key, body, wall, ended))

    def restore(self, coordinator: Coordinator, kept: Sequence[Kept]) -> None:
        """Restore the stored rows into a new coordinator; before vehicles are reported."""
        rows = {one.key: one.body for one in kept if one.kind == KIND}
        for key in persisted_rows.restore(coordinator, rows):
            log.warning("the Blue Switch row %s cannot be read and is left out", key)
        self._written = rows
        self._seq = coordinator.audit.last_seq
