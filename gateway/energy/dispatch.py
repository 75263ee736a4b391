"""Sharing a power over cars, and walking from one power to another. Pure.

Here is only what a command to the site needs; who should carry how much over hours is decided elsewhere (`plan`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocols.quantities import clamp

MARGIN_W = 0.5  # below this, powers are the same


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one EVSE could take of a total, in W, + into the vehicle; between 0 and the dead bands it cannot run."""

    evse: str
    low_w: float
    high_w: float
    dead_discharge_w: float = 0.0
    dead_charge_w: float = 0.0

    def most(self, total_w: float) -> float:
        """The magnitude it can carry in the direction of `total_w`."""
        return max(0.0, -self.low_w) if total_w < 0 else max(0.0, self.high_w)

    def least(self, total_w: float) -> float:
        """The smallest magnitude it can run at in that direction."""
        return self.dead_discharge_w if total_w < 0 else self.dead_charge_w


def share(total_w: float, capacities: Sequence[Capacity]) -> dict[str, float]:
    """Equal parts of `total_w`, none beyond its capacity, what one cannot carry going to the others.

    An EVSE that would run inside its dead band gets 0 W and leaves its part to the others; the one that needs the most
    to run at all goes first. The sum never exceeds `total_w` in magnitude, and reaches it where the capacities do.
    """
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


def _level(total_w: float, room: list[tuple[str, float]]) -> dict[str, float]:
    """Fill all to the same level, each up to its own room."""
    parts: dict[str, float] = {}
    left_w, left = total_w, len(room)
    for evse, most_w in sorted(room, key=lambda one: (one[1], one[0])):
        parts[evse] = max(0.0, min(most_w, left_w / left))
        left_w -= parts[evse]
        left -= 1
    return parts


def ramp(start_w: float, target_w: float, rate_w_per_s: float, elapsed_s: float) -> float:
    """Where a ramp from `start_w` to `target_w` stands after `elapsed_s`; a rate of 0 or less is a step."""
    if rate_w_per_s <= 0:
        return target_w
    way_w = rate_w_per_s * max(0.0, elapsed_s)
    return clamp(target_w, start_w - way_w, start_w + way_w)


def ramp_s(start_w: float, target_w: float, rate_w_per_s: float) -> float:
    """How long that ramp takes."""
    return 0.0 if rate_w_per_s <= 0 else abs(target_w - start_w) / rate_w_per_s
