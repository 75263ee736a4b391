"""Recharge schedule: which battery is charged in which order from one shared power, and what will be missing.

Earliest deadline first, which is optimal for one shared power. Energy that will be missing is known from the schedule,
not at the deadline.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RechargeDemand:
    """Energy (Wh at the meter) to charge into one battery by `due` (Unix time), with at most `power_w`.

    A lower `rank` comes first, whatever the deadlines. `leaves`: the battery is not available afterwards.
    """

    name: str
    energy_wh: float
    due: float
    power_w: float
    rank: int = 1
    leaves: float = math.inf


@dataclass(frozen=True, slots=True)
class Recharge:
    """Schedule of one battery: power in [start, end), the time at which it is charged, the energy missing when due."""

    name: str
    parts: tuple[tuple[float, float, float], ...]  # (start, end, W)
    ready: float
    missing_wh: float


def recharge_schedule(
    demands: Sequence[RechargeDemand], wall: float, power_w: Sequence[float], step_s: float
) -> tuple[Recharge, ...]:
    """Return the schedule of `power_w` (free power of each step from `wall`) over the demands."""
    left = {one.name: one.energy_wh for one in demands}
    missing = dict(left)
    parts: dict[str, list[tuple[float, float, float]]] = {one.name: [] for one in demands}
    ready = {one.name: wall if one.energy_wh <= 0 else float("inf") for one in demands}
    order = sorted(demands, key=lambda one: (one.rank, one.due, one.name))
    for step, free_w in enumerate(power_w):
        begin = wall + step * step_s
        for one in order:
            if left[one.name] <= 1e-9 or free_w <= 0 or begin >= one.leaves:
                continue
            charge_w = min(free_w, one.power_w, left[one.name] * 3600 / step_s)
            if charge_w <= 0:
                continue
            free_w -= charge_w
            left[one.name] -= charge_w * step_s / 3600
            if begin < one.due:
                missing[one.name] -= charge_w * min(step_s, one.due - begin) / 3600
            _append(parts[one.name], begin, begin + step_s, charge_w)
            if left[one.name] <= 1e-9:
                ready[one.name] = begin + step_s
    return tuple(
        Recharge(one.name, tuple(parts[one.name]), ready[one.name], max(0.0, missing[one.name])) for one in order
    )


def _append(parts: list[tuple[float, float, float]], begin: float, end: float, charge_w: float) -> None:
    """Append a part, or extend the last one where it goes on with the same power."""
    if parts and parts[-1][1] == begin and abs(parts[-1][2] - charge_w) < 1e-6:
        parts[-1] = (parts[-1][0], end, charge_w)
    else:
        parts.append((begin, end, charge_w))
