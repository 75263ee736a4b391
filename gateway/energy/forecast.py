"""What load and PV will be: as the facility forecasts it, else as the site remembers it, and how sure that is.

Three sources, best first, per step: the facility's `site/input/forecast`; the mean of the same time of day on the days
remembered; the last value seen. Which one each step came from is kept, because a plan has to say what it stands on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.model.site import Forecast

DAY_S = 86_400.0
SLOT_S = 1800.0
SLOTS = int(DAY_S / SLOT_S)
MEMORY = 0.3  # weight of the newest day in the remembered one
UNSURE = {"told": 0.15, "remembered": 0.25, "last": 0.4}  # one standard deviation, of the value


class Origin(StrEnum):
    """Where a step's value comes from."""

    TOLD = "told"
    REMEMBERED = "remembered"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Outlook:
    """Load and PV of equal steps from `start` (Unix time), W ≥ 0, each with its relative uncertainty (one sigma)."""

    start: float
    step_s: float
    load_w: tuple[float, ...]
    pv_w: tuple[float, ...]
    load_sigma: tuple[float, ...]
    pv_sigma: tuple[float, ...]
    told: int  # how many steps the facility forecast, both load and PV
    origin: str = ""  # a sentence

    def __len__(self) -> int:
        return len(self.load_w)


@dataclass(slots=True)
class _Day:
    """A remembered day of half hours."""

    mean: list[float | None] = field(default_factory=lambda: [None] * SLOTS)
    slot: int | None = None
    total: float = 0.0
    count: int = 0
    last: float | None = None

    def see(self, wall: float, value: float) -> None:
        slot = int(wall % DAY_S // SLOT_S)
        if slot != self.slot:
            self._close()
            self.slot = slot
        self.total += value
        self.count += 1
        self.last = value

    @property
    def recent(self) -> float | None:
        """The mean of the half hour that runs, else the last value: one wrong reading is not a day."""
        return self.total / self.count if self.count else self.last

    def _close(self) -> None:
        if self.slot is not None and self.count:
            before, now = self.mean[self.slot], self.total / self.count
            self.mean[self.slot] = now if before is None else before + MEMORY * (now - before)
        self.total, self.count = 0.0, 0


@dataclass(slots=True)
class Memory:
    """What the site remembers of its own days. `see` takes each measurement, None for what is not known."""

    _load: _Day = field(default_factory=_Day)
    _pv: _Day = field(default_factory=_Day)

    def see(self, wall: float, load_w: float | None, pv_w: float | None) -> None:
        if load_w is not None:
            self._load.see(wall, load_w)
        if pv_w is not None:
            self._pv.see(wall, pv_w)

    def days(self) -> tuple[list[float | None], list[float | None]]:
        """The remembered half hours of load and PV, W; what outlives the process."""
        return list(self._load.mean), list(self._pv.mean)

    def take_up(self, load_w: list[float | None], pv_w: list[float | None]) -> None:
        """Go on with the days of an earlier life of the gateway. ValueError if they are not whole."""
        if len(load_w) != SLOTS or len(pv_w) != SLOTS:
            raise ValueError(f"a remembered day has {SLOTS} half hours")
        self._load.mean, self._pv.mean = list(load_w), list(pv_w)

    def outlook(self, start: float, step_s: float, steps: int, told: Forecast | None = None) -> Outlook:
        """The next `steps` steps.

        ValueError where there is neither forecast nor memory nor a single measurement of load.
        """
        load, load_from = _series(start, step_s, steps, told, "load_w", self._load)
        pv, pv_from = _series(start, step_s, steps, told, "pv_w", self._pv, night_is_dark=True)
        both = sum(one is two is Origin.TOLD for one, two in zip(load_from, pv_from, strict=True))
        worst = max((*load_from, *pv_from), key=list(Origin).index, default=Origin.TOLD)
        return Outlook(
            start,
            step_s,
            tuple(load),
            tuple(pv),
            tuple(UNSURE[one] for one in load_from),
            tuple(UNSURE[one] for one in pv_from),
            both,
            f"{both} of {steps} steps forecast by the facility, the worst of the rest is {worst.value}",
        )


def _series(
    start: float, step_s: float, steps: int, told: Forecast | None, name: str, day: _Day, night_is_dark: bool = False
) -> tuple[list[float], list[Origin]]:
    values: list[float] = []
    origins: list[Origin] = []
    series = sorted(told.series, key=lambda one: one.start) if told else []
    at = 0
    for number in range(steps):
        middle = start + (number + 0.5) * step_s
        while at < len(series) - 1 and series[at].start + series[at].duration_s <= middle:
            at += 1
        value: float | None = None
        if at < len(series) and series[at].start <= middle < series[at].start + series[at].duration_s:
            value = getattr(series[at], name)
        origin = Origin.TOLD
        if value is None:
            value, origin = day.mean[int(middle % DAY_S // SLOT_S)], Origin.REMEMBERED
        if value is None:
            value, origin = day.recent, Origin.LAST
        if value is None:
            if not night_is_dark:
                raise ValueError("nothing is known about the site's load: no forecast, no memory, no measurement")
            value, origin = 0.0, Origin.LAST  # PV that nobody ever measured is counted as none: the careful side
        values.append(max(0.0, value))
        origins.append(origin)
    return values, origins
