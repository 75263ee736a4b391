"""Prices over time: what a kWh costs and earns, as far ahead as anybody has said.

Built from the facility's `site/input/price`, or from a fixed tariff of the site. What is not known is None; whoever
needs a number for it has to say which (`plan.py` repeats the day, the rules of `modes/by_price.py` then do nothing).
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.model.site import Price

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Tariff:
    """Steps of price per kWh, in order: `starts[i]` to `ends[i]`, Unix time. `export` is None where nothing is paid."""

    starts: tuple[float, ...] = ()
    ends: tuple[float, ...] = ()
    imports: tuple[float, ...] = ()
    exports: tuple[float, ...] = ()

    def at(self, wall: float) -> tuple[float, float] | None:
        """(import, export) per kWh at that moment, None where nobody said."""
        index = bisect.bisect_right(self.starts, wall) - 1
        if index < 0 or wall >= self.ends[index]:
            return None
        return self.imports[index], self.exports[index]

    def known_until(self, wall: float) -> float:
        """How far ahead of `wall` the tariff reaches without a gap."""
        while (index := bisect.bisect_right(self.starts, wall) - 1) >= 0 and wall < self.ends[index]:
            wall = self.ends[index]
        return wall

    def series(self, start: float, step_s: float, steps: int) -> tuple[list[float], list[float], int]:
        """Import and export prices of `steps` steps, each at its middle, and how many of them were told.

        A step nobody told is taken from a day (or some days) before or after, then from the mean; ValueError for an
        empty tariff.
        """
        if not self.starts:
            raise ValueError("no price is known")
        mean = sum(self.imports) / len(self.imports), sum(self.exports) / len(self.exports)
        buy, sell, told = [], [], 0
        for number in range(steps):
            middle = start + (number + 0.5) * step_s
            found = self.at(middle)
            told += found is not None
            for days in (-1, -2, 1, -3, -7):
                found = found or self.at(middle + days * DAY_S)
            import_price, export_price = found or mean
            buy.append(import_price)
            sell.append(export_price)
        return buy, sell, told


def tariff_of(price: Price) -> Tariff:
    """The tariff in a facility's message; where periods overlap the later one cuts the earlier."""
    periods = sorted(price.prices, key=lambda one: one.start)
    starts = [one.start for one in periods]
    ends = [one.start + one.duration_s for one in periods]
    for index in range(len(periods) - 1):
        ends[index] = min(ends[index], starts[index + 1])
    return Tariff(
        tuple(starts),
        tuple(ends),
        tuple(one.import_per_kwh for one in periods),
        tuple(one.export_per_kwh or 0.0 for one in periods),
    )


def flat(import_per_kwh: float, export_per_kwh: float = 0.0) -> Tariff:
    """One price for ever."""
    return Tariff((0.0,), (float("inf"),), (import_per_kwh,), (export_per_kwh,))


def stepped(start: float, step_s: float, imports: Sequence[float], exports: Sequence[float] | None = None) -> Tariff:
    """Prices in equal steps from `start`."""
    starts = tuple(start + number * step_s for number in range(len(imports)))
    sells = tuple(exports) if exports is not None else (0.0,) * len(imports)
    return Tariff(starts, tuple(one + step_s for one in starts), tuple(imports), sells)
