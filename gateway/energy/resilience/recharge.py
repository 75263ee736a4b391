"""After the outage, and from the sun during it: who is charged in which order, and whether it will do.

The energy a car lent is owed to it by the time its owner drives; the reserve is owed to the next outage, which likes
to follow the first. Earliest deadline first is optimal for one shared power, so that is the order; what will not be
ready is said now, not at the deadline.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owed:
    """Energy (Wh at the meter) owed to one battery by a moment (Unix time); `power_w` is the most it takes.

    Those of a lower `rank` come first, whenever they are due. `leaves` is when it is there no longer.
    """

    name: str
    energy_wh: float
    due: float
    power_w: float
    rank: int = 1
    leaves: float = math.inf


@dataclass(frozen=True, slots=True)
class Recharge:
    """When one gets its energy: power in [start, end), and by how much energy it is missed when it is due."""

    name: str
    parts: tuple[tuple[float, float, float], ...]  # (start, end, W)
    ready: float
    missing_wh: float

    @property
    def in_time(self) -> bool:
        return self.missing_wh <= 1.0


def recharge_plan(owed: Sequence[Owed], wall: float, power_w: Sequence[float], step_s: float) -> tuple[Recharge, ...]:
    """Spread `power_w` (what is free in each step from `wall`) over what is owed, earliest deadline first."""
    left = {one.name: one.energy_wh for one in owed}
    missing = dict(left)
    parts: dict[str, list[tuple[float, float, float]]] = {one.name: [] for one in owed}
    ready = {one.name: wall if one.energy_wh <= 0 else float("inf") for one in owed}
    order = sorted(owed, key=lambda one: (one.rank, one.due, one.name))
    for step, free_w in enumerate(power_w):
        begin = wall + step * step_s
        for one in order:
            if left[one.name] <= 1e-9 or free_w <= 0 or begin >= one.leaves:
                continue
            given_w = min(free_w, one.power_w, left[one.name] * 3600 / step_s)
            if given_w <= 0:
                continue
            free_w -= given_w
            left[one.name] -= given_w * step_s / 3600
            if begin < one.due:
                missing[one.name] -= given_w * min(step_s, one.due - begin) / 3600
            last = parts[one.name][-1] if parts[one.name] else None
            if last is not None and last[1] == begin and abs(last[2] - given_w) < 1e-6:
                parts[one.name][-1] = (last[0], begin + step_s, given_w)
            else:
                parts[one.name].append((begin, begin + step_s, given_w))
            if left[one.name] <= 1e-9:
                ready[one.name] = begin + step_s
    return tuple(
        Recharge(one.name, tuple(parts[one.name]), ready[one.name], max(0.0, missing[one.name])) for one in order
    )
