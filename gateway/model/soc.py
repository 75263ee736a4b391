"""State of charge of a vehicle between what it reports and what its meter counts. Pure.

The counted energy bounds a report from above: a state of charge rises by energy that was measured into the battery, and
falls at least as fast as energy leaves it, within a tolerance. So a report that stays the same, dithers or creeps while
the vehicle is discharged does not hold the level. Reports that fall extend the bound: the capacity may be larger than
known. A lower report counts at once: a vehicle whose battery may be empty is not discharged. A sudden rise at rest
counts when it has been repeated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FROZEN_PCT = 2.0  # difference to the energy counted that resolution and delay of a report explain
FROZEN_WH = 1500.0  # the same for a battery of unknown capacity
COARSE_PCT = 1.0  # the true level may be so far above one that is reported in whole percent
SLOWER = 0.25  # per percent of a fall: further percent of counted energy that a larger capacity explains
SLOWER_ASSUMED = 9.0  # the same for a battery of unknown capacity
JUMP_PCT = 5.0  # a larger change at once is sudden
REST_PCT = 0.5  # a vehicle that was discharged by less has rested
REST_S = 300.0  # after a discharge
CONFIRMED_AFTER = 3  # reports of a level that was doubted at first


@dataclass(slots=True)
class SocReports:
    """Last report of a vehicle, and the energy counted since."""

    reported_pct: float | None = None
    moved_pct: float = 0.0  # counted since, + into the battery
    at: float = 0.0
    ceiling_pct: float = 0.0  # the level is not higher, by the energy counted
    out_pct: float = 0.0  # out of the battery since the first report, or one that was confirmed
    out_before_pct: float = 0.0  # until the last report
    rests_since: float = -math.inf
    trusted_pct: float = 0.0
    lowest_pct: float = 0.0  # reported since
    doubted_pct: float | None = None
    doubted: int = 0  # reports in a row
    before_pct: float | None = None  # the ceiling before a sudden fall

    def count(self, moved_pct: float, ceiling_pct: float) -> None:
        """Count energy, in percent of the battery; `ceiling_pct`: the most by which it changes the level."""
        self.moved_pct += moved_pct
        highest_pct = self.ceiling_pct + ceiling_pct
        self.ceiling_pct = highest_pct if highest_pct < 100.0 else 100.0
        if ceiling_pct < 0.0:
            self.out_pct -= ceiling_pct
        if self.before_pct is not None:
            self.before_pct = min(100.0, self.before_pct + ceiling_pct)

    def read(
        self, pct: float, at: float, tolerance_pct: float, slower: float, unmetered_pct_per_s: float = 0.0
    ) -> float | None:
        """Return the state of charge after a report, None where the report is doubted.

        `unmetered_pct_per_s`: possible rise in the time since the last report, where no power was measured in it.
        """
        if self.reported_pct is None:
            return self._accept(pct, at)
        if self.out_pct > self.out_before_pct:
            self.out_before_pct, self.rests_since = self.out_pct, at
        if pct > self.reported_pct and at - self.rests_since >= REST_S:
            self.ceiling_pct = min(100.0, self.ceiling_pct + unmetered_pct_per_s * max(0.0, at - self.at))
        frozen, last_pct, self.at = pct == self.reported_pct, self.reported_pct, at
        if self._returned(pct, last_pct):
            self._trust(pct, self.before_pct or 0.0)
        elif pct <= self.ceiling_pct and not frozen:
            fell = self.ceiling_pct - pct > JUMP_PCT
            before_pct = self.ceiling_pct if fell else None
            self._trust(pct, min(self.ceiling_pct, pct + COARSE_PCT))
            self.before_pct = before_pct
        self.lowest_pct = min(self.lowest_pct, pct)
        highest_pct = self.ceiling_pct + tolerance_pct + slower * (self.trusted_pct - self.lowest_pct)
        if pct > max(highest_pct, last_pct + JUMP_PCT):
            return self._doubt(pct, at)
        if not frozen:
            self.reported_pct, self.moved_pct = pct, 0.0
        self.doubted_pct, self.doubted = None, 0
        return min(highest_pct, pct + max(0.0, self.moved_pct - tolerance_pct))

    def _returned(self, pct: float, last_pct: float) -> bool:
        """Return whether a report is back at the level before a sudden fall, which was misread then."""
        if self.before_pct is None or pct <= last_pct + JUMP_PCT:
            return False
        return -JUMP_PCT <= pct - self.before_pct <= COARSE_PCT

    def _trust(self, pct: float, ceiling_pct: float) -> None:
        self.trusted_pct = self.lowest_pct = pct
        self.ceiling_pct, self.before_pct = ceiling_pct, None

    def _accept(self, pct: float, at: float) -> float:
        self._trust(pct, pct)
        self.out_pct = self.out_before_pct = 0.0
        self.reported_pct, self.moved_pct, self.at = pct, 0.0, at
        self.doubted_pct, self.doubted = None, 0
        return pct

    def _doubt(self, pct: float, at: float) -> float | None:
        """Return a level that has been reported repeatedly while the vehicle rested, None for any other."""
        same = self.doubted_pct is not None and abs(pct - self.doubted_pct) <= JUMP_PCT
        self.doubted_pct, self.doubted = pct, self.doubted + 1 if same else 1
        if self.doubted < CONFIRMED_AFTER or self.out_pct > REST_PCT:
            return None
        return self._accept(pct, at)
