"""The last report of the grid, kept beyond a restart: a grid that was lost stays lost until the facility reports it.

One record, written when the grid changes between present and lost, as reported or as measured.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from gateway.model.grid_report import GridReport
from gateway.model.journal import Kept
from gateway.store.journal import Journal

log = logging.getLogger("v2x")

KIND, KEY = "grid", "last"


class GridRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Presence of the grid at `at` (Unix time)."""

    present: bool
    at: float


class LastGridPersistence:
    """Persistence of the last report of one site's grid."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._present: bool | None = None

    def keep(self, report: GridReport, wall: float) -> None:
        """Write a report that differs from the one before."""
        if report.present is not self._present:
            self._present = report.present
            row = GridRow(report.present, report.at)
            self._journal.later(Kept(KIND, KEY, msgspec.json.encode(row).decode(), wall))

    def restore(self, kept: Sequence[Kept]) -> GridReport | None:
        """Return the last report of an earlier run, None where there is none; one that cannot be read is a loss."""
        body = next((one.body for one in kept if (one.kind, one.key) == (KIND, KEY)), None)
        if body is None:
            return None
        try:
            row = msgspec.json.decode(body, type=GridRow)
        except msgspec.DecodeError:
            log.warning(
                "the record of the last grid report cannot be read: the grid counts as lost until it is reported"
            )
            return GridReport(False, 0.0)
        self._present = row.present
        return GridReport(row.present, row.at)
