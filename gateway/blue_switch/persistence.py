"""Keeps the Blue Switch books in the store: only rows that changed, behind what happens, and read back at the start."""

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
    """Where records go: `gateway.store.journal.Journal`."""

    def later(self, *records: Record) -> None: ...


class BlueSwitchPersistence:
    """One desk's."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._written: dict[str, str] = {}
        self._seq = 0

    def keep(self, desk: Coordinator, wall: float) -> None:
        """Hand over what is not written as it stands."""
        outages, self._seq = (
            persisted_rows.changed(desk, self._seq),
            desk.audit.entries[-1].seq if desk.audit.entries else 0,
        )
        for key, (body, ended) in persisted_rows.rows(desk, outages).items():
            if self._written.get(key) != body:
                self._written[key] = body
                self._writer.later(Kept(KIND, key, body, wall, ended))

    def restore(self, desk: Coordinator, kept: Sequence[Kept]) -> None:
        """Take up what an earlier life of the gateway kept; before anybody comes in."""
        rows = {one.key: one.body for one in kept if one.kind == KIND}
        for key in persisted_rows.restore(desk, rows):
            log.warning("the Blue Switch row %s cannot be read and is left out", key)
        self._written = rows
        self._seq = desk.audit.entries[-1].seq if desk.audit.entries else 0
