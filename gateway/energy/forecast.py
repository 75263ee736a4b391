"""Forecast of load and PV with its uncertainty.

Three sources, best first, for each step: the facility's `site/input/forecast`; the mean of the same time of day on past
days; the last value measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter

from gateway.energy.time_steps import parts
from gateway.model.site import Forecast

DAY_S = 86_400.0
SLOT_S = 1800.0
SLOTS = int(DAY_S / SLOT_S)
NEWEST_WEIGHT = 0.3  # of the newest day in the mean


# standard deviation of a value, relative to it, by its source
FORECAST_SIGMA = 0.15
PAST_DAYS_SIGMA = 0.25
LAST_SIGMA = 0.4


@dataclass(frozen=True, slots=True)
class Outlook:
    """Load and PV of equal steps, W ≥ 0, each with its relative standard deviation."""

    step_s: float
    load_w: tuple[float, ...]
    pv_w: tuple[float, ...]
    load_sigma: tuple[float, ...]
    pv_sigma: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.load_w)


@dataclass(slots=True)
class _Day:
    """Mean day of half hours."""

    mean: list[float | None] = field(default_factory=lambda: [None] * SLOTS)
    slot: int | None = None
    total: float = 0.0
    count: int = 0
    last: float | None = None

    def record(self, wall: float, value: float) -> None:
        slot = int(wall % DAY_S // SLOT_S)
        if slot != self.slot:
            self._close()
            self.slot = slot
        self.total += value
        self.count += 1
        self.last = value

    @property
    def recent(self) -> float | None:
        """Return the mean of the current half hour, else the last value: one wrong reading must not rule a day."""
        return self.total / self.count if self.count else self.last

    def _close(self) -> None:
        if self.slot is not None and self.count:
            before, now = self.mean[self.slot], self.total / self.count
            self.mean[self.slot] = now if before is None else before + NEWEST_WEIGHT * (now - before)
        self.total, self.count = 0.0, 0


@dataclass(slots=True)
class DayProfile:
    """The site's mean day of load and PV. `record` takes each measurement, None for an unknown one."""

    _load: _Day = field(default_factory=_Day)
    _pv: _Day = field(default_factory=_Day)

    def record(self, wall: float, load_w: float | None, pv_w: float | None) -> None:
        if load_w is not None:
            self._load.record(wall, load_w)
        if pv_w is not None:
            self._pv.record(wall, pv_w)

    def days(self) -> tuple[list[float | None], list[float | None]]:
        """Return the half hours of load and PV, W, for the store."""
        return list(self._load.mean), list(self._pv.mean)

    def restore(self, load_w: list[float | None], pv_w: list[float | None]) -> None:
        """Restore the half hours after a restart; ValueError if they are incomplete."""
        if len(load_w) != SLOTS or len(pv_w) != SLOTS:
            raise ValueError(f"a day has {SLOTS} half hours")
        self._load.mean, self._pv.mean = list(load_w), list(pv_w)

    def outlook(self, start: float, step_s: float, steps: int, forecast: Forecast | None = None) -> Outlook:
        """Return the next `steps` steps; ValueError without a forecast, a past day or a measurement of load."""
        load_w, load_sigma = _series(start, step_s, steps, forecast, "load_w", self._load)
        pv_w, pv_sigma = _series(start, step_s, steps, forecast, "pv_w", self._pv, default_w=0.0)
        return Outlook(step_s, load_w, pv_w, load_sigma, pv_sigma)


def _series(
    start: float,
    step_s: float,
    steps: int,
    forecast: Forecast | None,
    name: str,
    day: _Day,
    default_w: float | None = None,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean of each step and its relative standard deviation, the greatest of its parts.

    `default_w` for a quantity that was never measured, None is an error.
    """
    end = start + steps * step_s
    periods = [] if forecast is None else [(one.start, one.start + one.duration_s, one) for one in forecast.series]
    series = sorted((one for one in periods if one[0] < end and one[1] > start), key=itemgetter(0))
    edges = sorted({edge for period in series for edge in period[:2]})
    last_w = day.recent if day.recent is not None else default_w
    values: list[float] = []
    sigmas: list[float] = []
    at = 0
    for number in range(steps):
        total = sigma = 0.0
        for middle, seconds in parts(edges, start + number * step_s, start + (number + 1) * step_s):
            while at < len(series) - 1 and series[at][1] <= middle:
                at += 1
            value: float | None = None
            part_sigma = FORECAST_SIGMA
            if series and series[at][0] <= middle < series[at][1]:
                value = getattr(series[at][2], name)
            if value is None:
                value, part_sigma = day.mean[int(middle % DAY_S // SLOT_S)], PAST_DAYS_SIGMA
            if value is None:
                value, part_sigma = last_w, LAST_SIGMA
            if value is None:
                raise ValueError("the site's load is unknown: no forecast, no past day, no measurement")
            total += max(0.0, value) * seconds
            sigma = max(sigma, part_sigma)
        values.append(total / step_s)
        sigmas.append(sigma)
    return tuple(values), tuple(sigmas)
