"""Power of a station as sampled by the process that emulates it, and what may be concluded from the samples.

Station, car and judge share one process. While the machine gives it no time, the station cannot act on the end of a
profile either, and nothing is known of its power: such an interval neither ends a run of power nor counts as lateness.
"""

from __future__ import annotations

from itertools import pairwise

FLOWS_W = 200.0
ENDED_S = 0.5  # without power, after which a later power is another run
UNSEEN_S = 0.2  # longest interval between samples of a process that has time


class PowerRecord:
    """Samples of one EVSE: Unix time and power in W, + into the vehicle."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []

    def add(self, at: float, power_w: float) -> None:
        """Add a sample."""
        self._samples.append((at, power_w))

    def runs(self, since: float, until: float, *, apart: bool = False) -> list[tuple[float, float]]:
        """Return begin and end of each time during which power flowed.

        `apart`: power after an interval without samples is listed by itself, because it may have another cause.
        """
        found: list[tuple[float, float]] = []
        at_rest = False  # seen since the last sample with power
        for at, power_w in self._samples:
            if not since <= at < until:
                continue
            if abs(power_w) < FLOWS_W:
                at_rest = True
            elif found and not ((at_rest or apart) and at - found[-1][1] >= ENDED_S):
                found[-1], at_rest = (found[-1][0], at), False
            else:
                found.append((at, at))
                at_rest = False
        return found

    def unseen_s(self, since: float, until: float) -> float:
        """Return the time without samples, in which the station did not act either."""
        times = [at for at, _ in self._samples]
        gaps = [(max(one, since), min(other, until)) for one, other in pairwise(times) if other - one > UNSEEN_S]
        return sum(end - begin for begin, end in gaps if end > begin)
