"""Driver of a vehicle: visits to the charger, energy driven between them, SoC settings for each visit.

The caller supplies `plug` and `unplug`; nothing here depends on a charger. Random visits are drawn by a seed.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from emulators.ev.car import Car
from protocols.ports import Clock


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay at the charger. Times in s of the run; `driven_wh` is consumed before the arrival."""

    arrives_at: float
    leaves_at: float
    driven_wh: float = 0.0
    floor_pct: float | None = None  # V2X minimum for this stay; None: unchanged
    target_pct: float | None = None
    announces_departure: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.arrives_at < self.leaves_at:
            raise ValueError(f"a visit must end after it begins, not {self.arrives_at} to {self.leaves_at}")


@dataclass(frozen=True, slots=True)
class Habit:
    """Daily visits at about the same times; hours of local time."""

    arrives_h: float = 18.0
    leaves_h: float = 7.5
    spread_h: float = 0.5
    driven_wh: float = 6_000.0
    driven_spread: float = 0.3

    def visits(self, days: int, seed: int | str, start_h: float = 0.0) -> list[Visit]:
        """Return the visits of some days, in seconds from `start_h` of the first day.

        A visit lasts overnight if the vehicle leaves earlier than it arrives. No visit begins before the start.
        """
        draw = random.Random(f"habit-{seed}")
        visits: list[Visit] = []
        stay_h = (self.leaves_h - self.arrives_h) % 24 or 24.0
        for day in range(-1, days):
            arrives = day * 24 + self.arrives_h + draw.gauss(0, self.spread_h)
            leaves = arrives + max(0.5, stay_h + draw.gauss(0, self.spread_h))
            driven = max(0.0, draw.gauss(self.driven_wh, self.driven_wh * self.driven_spread))
            begins, ends = (arrives - start_h) * 3600, (leaves - start_h) * 3600
            if ends <= 0:
                continue
            if visits and begins <= visits[-1].leaves_at:
                begins = visits[-1].leaves_at + 600
            if begins < ends:
                visits.append(Visit(max(0.0, begins), ends, driven if begins > 0 else 0.0))
        return visits


async def make_visits(
    car: Car,
    visits: Sequence[Visit],
    clock: Clock,
    plug: Callable[[Car], Awaitable[None]],
    unplug: Callable[[Car], Awaitable[None]],
) -> None:
    """Make the visits one after the other."""
    for visit in visits:
        await clock.sleep(max(0.0, visit.arrives_at - clock.now()))
        if visit.driven_wh > 0:
            car.drive(visit.driven_wh)
        if visit.floor_pct is not None:
            car.v2x_min_soc_pct = max(visit.floor_pct, car.spec.min_soc_pct)
        if visit.target_pct is not None:
            car.target_soc_pct = visit.target_pct
        car.departure_at = visit.leaves_at if visit.announces_departure else None
        await plug(car)
        await clock.sleep(max(0.0, visit.leaves_at - clock.now()))
        await unplug(car)
