"""Base load: the site's power without its vehicles and storages, estimated from a delayed grid meter.

The grid meter measures everything, the vehicles included, often seconds late. Subtracting their present power from a
delayed reading would count the controller's own last change as load, and the control loop would oscillate. So their
power is recorded for a while and each reading is compared with their power at its own time; the result is filtered.
There is no integral term, hence no wind-up: a vehicle that discharges less than it reports appears as load.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

KEEP_S = 120.0  # of recorded power; a meter later than this is stale
FILTER_S = 2.0  # time constant
STEP_W = 2000.0  # a change this large is a load switched on, not noise: not filtered


@dataclass(slots=True)
class BaseLoad:
    """Estimate of the base load; `controlled` each step, `metered` for each reading.

    `power_w`: load − PV, None before any reading. `delay_s`: delay of a meter whose readings have no time stamp.
    """

    delay_s: float = 0.0
    power_w: float | None = None
    at: float | None = None
    _times: list[float] = field(default_factory=list)
    _powers: list[float] = field(default_factory=list)

    def controlled(self, now: float, total_w: float) -> None:
        """Record the power of vehicles and storages at `now`, by their own meters, + charge."""
        if self._times and now <= self._times[-1]:
            return
        self._times.append(now)
        self._powers.append(total_w)
        drop = bisect.bisect_left(self._times, now - KEEP_S)
        if drop > 64:
            del self._times[:drop], self._powers[:drop]

    def metered(self, now: float, grid_w: float, measured_at: float | None = None) -> float:
        """Apply a grid meter reading (+ import), taken at `measured_at` of the same clock; return the estimate."""
        then = now - self.delay_s if measured_at is None else min(measured_at, now)
        base_w = grid_w - self._total_at(then)
        if self.power_w is None or self.at is None or abs(base_w - self.power_w) >= STEP_W:
            self.power_w = base_w
        else:
            gap = max(then - self.at, 0.0)
            self.power_w += (base_w - self.power_w) * (gap / (gap + FILTER_S) if gap > 0 else 0.0)
        self.at = then
        return self.power_w

    def _total_at(self, then: float) -> float:
        """Return the recorded power at that time; the oldest before all records, the newest after."""
        if not self._times:
            return 0.0
        at = bisect.bisect_right(self._times, then) - 1
        return self._powers[max(at, 0)]
