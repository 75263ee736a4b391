"""Division of a power into equal parts: the baseline that `v2x bench dispatch` compares sharing by merit with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capacity:
    """Power that one EVSE can take of a total, in W, + charge; between 0 and the dead bands it cannot run."""

    evse: str
    low_w: float
    high_w: float
    dead_discharge_w: float = 0.0
    dead_charge_w: float = 0.0

    def most(self, total_w: float) -> float:
        """Return the largest magnitude in the direction of `total_w`."""
        return max(0.0, -self.low_w) if total_w < 0 else max(0.0, self.high_w)

    def least(self, total_w: float) -> float:
        """Return the smallest magnitude in that direction."""
        return self.dead_discharge_w if total_w < 0 else self.dead_charge_w


def equal_parts(total_w: float, capacities: Sequence[Capacity]) -> dict[str, float]:
    """Return equal parts of `total_w`, none beyond its capacity; an EVSE inside its dead band gets 0 W."""
    sign = -1.0 if total_w < 0 else 1.0
    taking = sorted((one for one in capacities if one.most(total_w) > 0), key=lambda one: one.evse)
    taking = [one for one in taking if one.most(total_w) >= one.least(total_w)]
    while True:
        parts = _level(abs(total_w), [(one.evse, one.most(total_w)) for one in taking])
        too_small = [one for one in taking if parts[one.evse] < one.least(total_w)]
        if not too_small:
            break
        taking.remove(max(too_small, key=lambda one: (one.least(total_w), one.evse)))
    return {one.evse: sign * parts.get(one.evse, 0.0) + 0.0 for one in capacities}


def _level(total_w: float, limits: list[tuple[str, float]]) -> dict[str, float]:
    """Fill all to the same level, each up to its own limit."""
    parts: dict[str, float] = {}
    left_w, left = total_w, len(limits)
    for evse, most_w in sorted(limits, key=lambda one: (one[1], one[0])):
        parts[evse] = max(0.0, min(most_w, left_w / left))
        left_w -= parts[evse]
        left -= 1
    return parts
