"""Prices over time: what a kWh costs and earns, as far ahead as the facility reports it.

Built from the facility's `site/input/price`, or from a fixed tariff of the site. An unknown price is None; the user of
a tariff decides what to do then (the planner repeats the day, the rule of `modes/by_price.py` does nothing).
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

from gateway.energy.time_steps import parts
from gateway.model.site import Price

DAY_S = 86_400.0
OTHER_DAYS = (-1, -2, 1, -3, -7)  # whose prices stand for unknown ones, best first
CHEAP_QUANTILE, EXPENSIVE_QUANTILE = 0.25, 0.85  # of the day's prices


@dataclass(frozen=True, slots=True)
class Tariff:
    """Steps of price per kWh, in order: `starts[i]` to `ends[i]`, Unix time; `exports` is 0 where nothing is paid."""

    starts: tuple[float, ...] = ()
    ends: tuple[float, ...] = ()
    imports: tuple[float, ...] = ()
    exports: tuple[float, ...] = ()

    def at(self, wall: float) -> tuple[float, float] | None:
        """Return (import, export) per kWh at that moment, None where it is unknown."""
        index = bisect.bisect_right(self.starts, wall) - 1
        if index < 0 or wall >= self.ends[index]:
            return None
        return self.imports[index], self.exports[index]

    def series(
        self, start: float, step_s: float, steps: int, since: float = -math.inf
    ) -> tuple[list[float], list[float]]:
        """Return the import and export prices of `steps` steps: the mean of each over its time, of the first from
        `since` on.

        Unknown time takes the price of another day at the same time, else the mean; ValueError for an empty tariff.
        """
        if not self.starts:
            raise ValueError("no price is known")
        mean = sum(self.imports) / len(self.imports), sum(self.exports) / len(self.exports)
        edges = sorted({edge - days * DAY_S for edge in {*self.starts, *self.ends} for days in (0, *OTHER_DAYS)})
        buy, sell = [], []
        for number in range(steps):
            begin, end = max(start + number * step_s, since), start + (number + 1) * step_s
            import_sum = export_sum = 0.0
            for middle, seconds in parts(edges, begin, end):
                import_price, export_price = self._at_or_like(middle) or mean
                import_sum += import_price * seconds
                export_sum += export_price * seconds
            buy.append(import_sum / (end - begin))
            sell.append(export_sum / (end - begin))
        return buy, sell

    def _at_or_like(self, wall: float) -> tuple[float, float] | None:
        """Return the prices at that moment, else those of another day at the same time."""
        for days in (0, *OTHER_DAYS):
            if (found := self.at(wall + days * DAY_S)) is not None:
                return found
        return None


def tariff_of(price: Price) -> Tariff:
    """Return the tariff of a facility's message; where periods overlap the later one cuts the earlier."""
    periods = sorted(price.prices, key=lambda period: period.start)
    starts = [period.start for period in periods]
    ends = [period.start + period.duration_s for period in periods]
    for index in range(len(periods) - 1):
        ends[index] = min(ends[index], starts[index + 1])
    return Tariff(
        tuple(starts),
        tuple(ends),
        tuple(period.import_per_kwh for period in periods),
        tuple(period.export_per_kwh or 0.0 for period in periods),
    )


def flat(import_per_kwh: float, export_per_kwh: float = 0.0) -> Tariff:
    """Return one price for all time."""
    return Tariff((0.0,), (float("inf"),), (import_per_kwh,), (export_per_kwh,))
