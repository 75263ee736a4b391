"""Highest demand of the billing period: the figure that a demand charge is paid for.

A period is a calendar month or year of the site's time zone, so it also begins at local midnight where clocks change.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from gateway.authority.demand_window import DemandWindow

BillingPeriod = Literal["month", "year"]


@dataclass(slots=True)
class BilledPeak:
    """Highest average of the demand windows that began in the present period.

    `seen`: start of the newest window that was counted, Unix time; None before the first one. `zone` None: that of the
    host.
    """

    period: BillingPeriod = "month"
    zone: ZoneInfo | None = None
    peak_w: float = 0.0
    seen: float | None = None

    def restore(self, peak_w: float, seen: float) -> None:
        """Restore the peak of an earlier run."""
        self.peak_w, self.seen = peak_w, seen

    def count(self, window: DemandWindow) -> None:
        """Count a window that has ended."""
        self.peak_w = max(self.at(window.start), window.average_w)
        self.seen = window.start

    def at(self, wall: float) -> float:
        """Return the peak of the period that contains `wall`, W; 0 in a period later than the last one counted."""
        return self.peak_w if self.seen is None or wall < self.next_start(self.seen) else 0.0

    def next_start(self, wall: float) -> float:
        """Return when the period after that of `wall` begins, Unix time."""
        local = datetime.fromtimestamp(wall, self.zone)
        if self.period == "year" or local.month == 12:
            year, month = local.year + 1, 1
        else:
            year, month = local.year, local.month + 1
        return datetime(year, month, 1, tzinfo=self.zone).timestamp()
