"""State of charge of a vehicle between what it reports and what its meter counts. Pure.

A report counts while it agrees with the energy that moved since the last one. Two kinds of report do not: one that
stays the same while energy leaves the battery (frozen), and one that rises further than energy and time allow
(jumping). The first is corrected by the energy counted, the second counts when it has been repeated. A lower report
counts at once: a vehicle whose battery may be empty is not discharged.
"""

from __future__ import annotations

from dataclasses import dataclass

FROZEN_PCT = 2.0  # difference to the energy counted that resolution and delay of a report explain
FROZEN_WH = 1500.0  # the same for a battery of unknown capacity
JUMP_PCT = 5.0  # rise at once that a battery management system may correct
REFILL_PCT_PER_S = 0.02  # such corrections are rare
CONFIRMED_AFTER = 3  # reports of a level that was not believed at first


@dataclass(slots=True)
class SocReports:
    """What a vehicle reported last, and the energy counted since."""

    reported_pct: float | None = None
    moved_pct: float = 0.0  # counted since, + into the battery
    at: float = 0.0
    budget_pct: float = JUMP_PCT
    doubted_pct: float | None = None
    doubted: int = 0  # reports in a row
    before_pct: float | None = None  # the level before a sudden fall

    def count(self, moved_pct: float) -> None:
        """Count energy, in percent of the battery."""
        self.moved_pct += moved_pct
        if self.before_pct is not None:
            self.before_pct += moved_pct

    def read(self, pct: float, at: float, rise_pct_per_s: float, frozen_pct: float) -> float | None:
        """Return the state of charge after a report, None where the report is doubted."""
        passed_s = max(0.0, at - self.at)
        if self.reported_pct is None:
            return self._believe(pct, at)
        expected_pct = self.reported_pct + self.moved_pct
        if pct == self.reported_pct:
            self.doubted, self.at = 0, at
            return pct + _beyond(self.moved_pct, frozen_pct)
        self.budget_pct = min(JUMP_PCT, self.budget_pct + REFILL_PCT_PER_S * passed_s)
        ahead_pct = pct - expected_pct - rise_pct_per_s * passed_s
        if ahead_pct <= self.budget_pct:
            self.budget_pct -= max(0.0, min(ahead_pct, self.budget_pct))
            fell = expected_pct - pct > JUMP_PCT
            before_pct = expected_pct if fell else None
            value = self._believe(pct, at)
            self.before_pct = before_pct
            return value
        if self.before_pct is not None and -JUMP_PCT <= pct - self.before_pct <= 1.0:
            return self._believe(pct, at)
        same = self.doubted_pct is not None and abs(pct - self.doubted_pct) <= JUMP_PCT
        self.doubted_pct, self.doubted = pct, self.doubted + 1 if same else 1
        return self._believe(pct, at) if self.doubted >= CONFIRMED_AFTER else None

    def _believe(self, pct: float, at: float) -> float:
        self.reported_pct, self.moved_pct, self.at = pct, 0.0, at
        self.doubted_pct, self.doubted, self.before_pct = None, 0, None
        return pct


def _beyond(value: float, tolerance: float) -> float:
    """Return what of a value is beyond a tolerance on either side."""
    return max(0.0, value - tolerance) + min(0.0, value + tolerance)
