"""A V2H box in an outage: what its interconnection status shows, and the permission to re-connect.

A box that may re-connect by itself and operates independently shows that the grid is missing. While it supplies an
island by order its permission is withheld, where the grid is reported by others: then the gateway decides when the site
returns. Once no source has reported the grid for a while the box may decide again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.drivers.echonet.orders import GRID, INDEPENDENT, PERMISSION, PROHIBITED
from gateway.drivers.echonet.reader import ObjectReader
from gateway.model.event import InterconnectionReported

PERMITS_S = 60.0  # without a report of the grid


@dataclass(slots=True)
class OutageRole:
    """Role of one box. `grid_reported` returns whether the grid is reported by others.

    `report_switch` takes whether the main switch is open, where the box disconnects the whole site; None where not.
    """

    grid_reported: Callable[[], bool] = lambda: False
    evidence: bool = True
    report_switch: Callable[[bool], None] | None = None
    _reported: tuple[bool | None, bool] | None = None
    _unreported_since: float | None = None

    def connected(self) -> None:
        """Begin a connection: everything is reported anew."""
        self._reported = None

    def read(self, name: str, box: ObjectReader, at: float) -> list[InterconnectionReported]:
        """Return the events of one round of readings."""
        independent = box.values.get(GRID) == INDEPENDENT if GRID in box.values else None
        if self.report_switch is not None and independent is not None:
            self.report_switch(independent)
        stated = independent, box.values.get(PERMISSION) != PROHIBITED
        if stated == self._reported or (self._reported is None and independent is None):
            return []
        self._reported = stated
        return [InterconnectionReported(name, at, *stated, self.evidence)]

    def may_decide(self, box: ObjectReader, at: float) -> bool:
        """Return whether a box whose permission is withheld is to get it, as no source reports the grid any more."""
        if self.grid_reported() or box.values.get(PERMISSION) != PROHIBITED:
            self._unreported_since = None
            return False
        self._unreported_since = at if self._unreported_since is None else self._unreported_since
        return at - self._unreported_since >= PERMITS_S
