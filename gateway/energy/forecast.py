"""Forecast of load and PV with its uncertainty.

Three sources, best first, for each step: the facility's `site/input/forecast`; the mean of the same time of day on past
days; the last value measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.energy.time_steps import parts
from gateway.model.site import Forecast

DAY_S = 86_400.0
SLOT_S = 1800.0
SLOTS = int(DAY_S / SLOT_S)
NEWEST_WEIGHT = 0.3  # of the newest day in the mean


class Origin(StrEnum):
    """Source of a step's value."""

    FORECAST = "forecast"
    PAST_DAYS = "past_days"
    LAST = "last"


SIGMA = {Origin.FORECAST: 0.15, Origin.PAST_DAYS: 0.25, Origin.LAST: 0.4}  # standard deviation, of the value


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
        load, load_from = _series(start, step_s, steps, forecast, "load_w", self._load)
        pv, pv_from = _series(start, step_s, steps, forecast, "pv_w", self._pv, default_w=0.0)
        return Outlook(
            step_s,
            tuple(load),
            tuple(pv),
            tuple(SIGMA[origin] for origin in load_from),
            tuple(SIGMA[origin] for origin in pv_from),
        )


def _series(
    start: float,
    step_s: float,
    steps: int,
    forecast: Forecast | None,
    name: str,
    day: _Day,
    default_w: float | None = None,
) -> tuple[list[float], list[Origin]]:
    """Return the mean of each step and its source, the worst of its parts.

    `default_w` for a quantity that was never measured, None is an error.
    """
    series = sorted(forecast.series, key=lambda period: period.start) if forecast else []
    edges = sorted({edge for period in series for edge in (period.start, period.start + period.duration_s)})
    values: list[float] = []
    origins: list[Origin] = []
    at = 0
    for number in range(steps):
        total, worst = 0.0, Origin.FORECAST
        for middle, seconds in parts(edges, start + number * step_s, start + (number + 1) * step_s):
            while at < len(series) - 1 and series[at].start + series[at].duration_s <= middle:
                at += 1
            value: float | None = None
            if at < len(series) and series[at].start <= middle < series[at].start + series[at].duration_s:
                value = getattr(series[at], name)
            origin = Origin.FORECAST
            if value is None:
                value, origin = day.mean[int(middle % DAY_S // SLOT_S)], Origin.PAST_DAYS
            if value is None:
                value, origin = day.recent if day.recent is not None else default_w, Origin.LAST
            if value is None:
                raise ValueError("the site's load is unknown: no forecast, no past day, no measurement")
            total += max(0.0, value) * seconds
            worst = max(worst, origin, key=SIGMA.__getitem__)
        values.append(total / step_s)
        origins.append(worst)
    return values, origins
