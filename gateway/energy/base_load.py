"""What the site draws without its cars and storages, found from a meter that is late.

The grid meter shows everything, the cars included, and often shows it seconds late. Who subtracts what the cars do
*now* from what the meter saw *then* counts his own last change as load, answers it, and hunts. So the cars' powers
are kept for a while and the meter's value is compared with theirs at its own time; what is left is filtered a little.
There is no integral term, hence nothing to wind up: a car that gives less than it says shows as load.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

KEEP_S = 120.0  # s of history; a meter later than this is stale
FILTER_S = 2.0  # s, time constant; more where the delay of the meter is not known
STEP_W = 2000.0  # a change this large is a load switched on, not noise: taken at once


@dataclass(slots=True)
class Residual:
    """Feed `controlled` each step and `metered` for each reading.

    `power_w` is the site's own draw (load − PV), None before any reading. `delay_s` is the meter's delay where its
    readings carry no time of their own.
    """

    delay_s: float = 0.0
    filter_s: float = FILTER_S
    power_w: float | None = None
    at: float | None = None
    _times: list[float] = field(default_factory=list)
    _powers: list[float] = field(default_factory=list)

    def controlled(self, now: float, total_w: float) -> None:
        """What cars and storages do together at `now` by their own meters, + into them."""
        if self._times and now <= self._times[-1]:
            return
        self._times.append(now)
        self._powers.append(total_w)
        drop = bisect.bisect_left(self._times, now - KEEP_S)
        if drop > 64:
            del self._times[:drop], self._powers[:drop]

    def metered(self, now: float, grid_w: float, measured_at: float | None = None) -> float:
        """A reading of the grid meter (+ import), taken at `measured_at` of the same clock; the new estimate."""
        then = now - self.delay_s if measured_at is None else min(measured_at, now)
        seen_w = grid_w - self._total_at(then)
        if self.power_w is None or self.at is None or abs(seen_w - self.power_w) >= STEP_W:
            self.power_w = seen_w
        else:
            gap = max(then - self.at, 0.0)
            self.power_w += (seen_w - self.power_w) * (gap / (gap + self.filter_s) if gap > 0 else 0.0)
        self.at = then
        return self.power_w

    def _total_at(self, then: float) -> float:
        """The cars' power at that time; the oldest known before, the newest after."""
        if not self._times:
            return 0.0
        at = bisect.bisect_right(self._times, then) - 1
        return self._powers[max(at, 0)]
