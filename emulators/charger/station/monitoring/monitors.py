"""Variable monitors of an emulated station: which there are, and when one fires (OCPP 2.x N02-N08).

Pure: values and times are handed in. Where a value is read and how an event is told is in `monitoring.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from math import floor
from typing import Any

from emulators.charger.station.device_model.model import Name, Variable, as_text

HARD_WIRED, PRECONFIGURED, CUSTOM = "HardWiredMonitor", "PreconfiguredMonitor", "CustomMonitor"
THRESHOLDS = frozenset({"UpperThreshold", "LowerThreshold"})
PERIODS = frozenset({"Periodic", "PeriodicClockAligned"})
CRITERIA = {"ThresholdMonitoring": THRESHOLDS, "DeltaMonitoring": frozenset({"Delta"}), "PeriodicMonitoring": PERIODS}
MOST = 200
SEVERITIES = range(10)
CUSTOM_FROM = 1000  # our own have the numbers below


@dataclass(slots=True)
class Monitor:
    """One monitor, and what it remembers: the value that was told last, whether it stands beyond its threshold."""

    id: int
    name: Name
    type: str
    value: float
    severity: int
    transaction: bool = False
    kind: str = CUSTOM
    active: bool = True
    exceeded: bool = False
    known: str | None = None  # Delta: the value when it was set or told
    since: float = 0.0  # Periodic: when it was set or fired
    stream: int | None = None  # 2.1: its values go by a periodic event stream

    @property
    def alerts(self) -> bool:
        return self.type in THRESHOLDS


@dataclass(frozen=True, slots=True)
class Fired:
    """A monitor has something to tell. `cleared`: the value is back within its threshold."""

    monitor: Monitor
    value: str
    trigger: str  # Alerting | Delta | Periodic
    cleared: bool = False


Read = Callable[[Name], object]  # the value as it is, None where there is none


class Monitors:
    """All monitors of one station."""

    def __init__(self, built_in: Iterable[Monitor] = ()) -> None:
        self._factory = tuple(built_in)
        self._all: dict[int, Monitor] = {one.id: replace(one) for one in self._factory}
        self.base = "All"
        self.level = SEVERITIES[-1]
        self._numbers = CUSTOM_FROM

    def __iter__(self) -> Iterator[Monitor]:
        return iter(list(self._all.values()))

    def __len__(self) -> int:
        return len(self._all)

    @property
    def custom(self) -> bool:
        """Whether anybody has set one: the maker's own watch nothing that changes in a station at rest unheard."""
        return any(one.kind == CUSTOM for one in self._all.values())

    def get(self, number: int) -> Monitor | None:
        """The monitor of that id."""
        return self._all.get(number)

    # N04

    def set(self, asked: dict[str, Any], name: Name, variable: Variable, now: float) -> tuple[str, Monitor | None]:
        """Status and monitor of one SetMonitoringData whose variable is known (N04.FR.05-16)."""
        kind, value, number = asked["type"], float(asked["value"]), asked.get("id")
        if kind not in THRESHOLDS | PERIODS | {"Delta"} or (kind in THRESHOLDS and not variable.numeric):
            return "UnsupportedMonitorType", None
        if asked["severity"] not in SEVERITIES or not self._sensible(kind, value, variable):
            return "Rejected", None
        before = None if number is None else self._all.get(number)
        if number is not None and (before is None or before.name != name or before.kind == HARD_WIRED):
            return "Rejected", None
        if any(
            (one.name, one.type, one.severity) == (name, kind, asked["severity"]) and one is not before for one in self
        ):
            return "Duplicate", None
        if before is None and len(self._all) >= MOST:
            return "Rejected", None
        if number is None:
            self._numbers += 1
            number = self._numbers
        new = Monitor(number, name, kind, value, asked["severity"], asked.get("transaction", False))
        new.known, new.since = variable.value, now
        new.exceeded = before is not None and before.alerts and before.exceeded and before.type == kind
        self._all[number] = new
        return "Accepted", new

    @staticmethod
    def _sensible(kind: str, value: float, variable: Variable) -> bool:
        if kind in THRESHOLDS:  # N04.FR.06
            low, high = variable.low, variable.high
            return (low is None or value >= low) and (high is None or value <= high)
        return value >= 0 if kind == "Delta" else value > 0

    # N06, N03, N02

    def clear(self, number: int) -> str:
        """ClearMonitoringStatus."""
        found = self._all.get(number)
        if found is None:
            return "NotFound"
        if found.kind == HARD_WIRED:
            return "Rejected"
        del self._all[number]
        return "Accepted"

    def set_base(self, base: str) -> None:
        """N03: the preconfigured ones come back or go; custom ones stay only with All."""
        self.base = base
        mine = {n: m for n, m in self._all.items() if m.kind == CUSTOM} if base == "All" else {}
        for one in self._factory:
            if one.id not in mine:
                mine[one.id] = replace(one, active=one.kind == HARD_WIRED or base != "HardWiredOnly")
        self._all = mine

    def select(self, wanted: Callable[[Name], bool], criteria: Iterable[str]) -> list[Monitor]:
        """N02: the active ones."""
        types = frozenset().union(*(CRITERIA[one] for one in criteria))
        return [one for one in self if one.active and wanted(one.name) and (not types or one.type in types)]

    # N07, N08

    def look(
        self, read: Read, running: Callable[[Name], bool], now: float, most: float = SEVERITIES[-1]
    ) -> list[Fired]:
        """What fires at `now` (Unix time), of severities up to `most`; the others keep for the next look.

        `running`: whether a transaction runs where a variable is.
        """
        found: list[Fired] = []
        for one in self._all.values():
            if not one.active or one.severity > most or (one.transaction and not running(one.name)):
                continue
            value = read(one.name)
            if value is not None:
                fired = self._look(one, value, now)
                if fired is not None:
                    found.append(fired)
        return found

    def _look(self, one: Monitor, value: object, now: float) -> Fired | None:
        if one.type in PERIODS:
            if one.type == "Periodic":
                due, last = now >= one.since + one.value, one.since + one.value
                last += floor(max(0.0, now - last) / one.value) * one.value  # not later each time, and never a burst
            else:
                last = floor(now / one.value + 1e-9) * one.value
                due = last > one.since
            if due:
                one.since = last
            return Fired(one, as_text(value), "Periodic") if due else None
        if one.type == "Delta":
            if not _moved(one.known, value, one.value):
                return None
            one.known = as_text(value)
            return Fired(one, one.known, "Delta")
        number = _number(value)
        if number is None:
            return None
        beyond = number > one.value if one.type == "UpperThreshold" else number < one.value
        if beyond == one.exceeded:
            return None
        one.exceeded = beyond
        return Fired(one, as_text(value), "Alerting", cleared=not beyond)

    def next_turn(self) -> float | None:
        """When the next periodic one fires, Unix time."""
        turns = []
        for one in self._all.values():
            if one.active and one.type == "Periodic":
                turns.append(one.since + one.value)
            elif one.active and one.type == "PeriodicClockAligned":
                turns.append((floor(one.since / one.value + 1e-9) + 1) * one.value)
        return min(turns, default=None)

    # over a restart (N07.FR.13, .14)

    def saved(self) -> dict[str, Any]:
        """What is kept."""
        return {"base": self.base, "level": self.level, "number": self._numbers, "all": [asdict(m) for m in self]}

    def restore(self, saved: dict[str, Any]) -> None:
        """What was kept; streams are opened anew."""
        self.base, self.level, self._numbers = saved["base"], int(saved["level"]), int(saved["number"])
        kept = [Monitor(**{**one, "name": tuple(one["name"]), "stream": None}) for one in saved["all"]]
        self._all = {one.id: one for one in kept}


def _moved(before: str | None, value: object, by: float) -> bool:
    """N07.FR.18, .19: numbers by more than `by`, anything else at all."""
    new = _number(value)
    old = None if new is None else _number(before)
    if old is not None and new is not None:
        return abs(new - old) > by
    return before != as_text(value)


def _number(value: object) -> float | None:
    if isinstance(value, float):
        return value
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(str(value))
    except ValueError:
        return None
