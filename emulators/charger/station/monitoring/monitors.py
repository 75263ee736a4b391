"""Variable monitors of an emulated station and the conditions under which they fire (OCPP 2.x N02-N08).

Pure: values and times are arguments. Values are read and events reported in `monitoring.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from math import floor

from emulators.charger.station.device_model.model import Name, Variable, as_text
from emulators.charger.station.store import Saved
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload

MonitorType, Origin, Criterion = v21.MonitorEnumType, v21.EventNotificationEnumType, v21.MonitoringCriterionEnumType
THRESHOLDS = frozenset({MonitorType.upper_threshold, MonitorType.lower_threshold})
PERIODS = frozenset({MonitorType.periodic, MonitorType.periodic_clock_aligned})
CRITERIA: dict[str, frozenset[str]] = {
    Criterion.threshold_monitoring: THRESHOLDS,
    Criterion.delta_monitoring: frozenset({MonitorType.delta}),
    Criterion.periodic_monitoring: PERIODS,
}
MAX_MONITORS = 200
SEVERITIES = range(10)
CUSTOM_FROM = 1000  # ids below are those of factory monitors


@dataclass(slots=True)
class Monitor:
    """One monitor with its state since the last event. Its fields are a stored format."""

    id: int
    name: Name
    type: str
    value: float
    severity: int
    transaction: bool = False
    kind: str = Origin.custom_monitor
    active: bool = True
    exceeded: bool = False
    known: str | None = None  # Delta: value when the monitor was set or fired last
    since: float = 0.0  # Periodic: time when it was set or fired last
    stream: int | None = None  # 2.1: id of the periodic event stream that carries its values

    @property
    def alerts(self) -> bool:
        """True for a threshold monitor, which reports alerts."""
        return self.type in THRESHOLDS


@dataclass(frozen=True, slots=True)
class MonitorEvent:
    """A monitor has fired. `cleared`: the value is back within its threshold."""

    monitor: Monitor
    value: str
    trigger: str  # Alerting | Delta | Periodic
    cleared: bool = False


Read = Callable[[Name], object]  # current value, None if there is none


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
        """True if the CSMS has set a monitor. Values of factory monitors do not change while a station is idle."""
        return any(one.kind == Origin.custom_monitor for one in self._all.values())

    def get(self, number: int) -> Monitor | None:
        """Return the monitor of an id."""
        return self._all.get(number)

    # N04

    def set(self, requested: Payload, name: Name, variable: Variable, now: float) -> tuple[str, Monitor | None]:
        """Apply one SetMonitoringData for an existing variable; return status and monitor (N04.FR.05-16)."""
        kind, value, number = requested["type"], float(requested["value"]), requested.get("id")
        if kind not in THRESHOLDS | PERIODS | {MonitorType.delta} or (kind in THRESHOLDS and not variable.numeric):
            return v21.SetMonitoringStatusEnumType.unsupported_monitor_type, None
        if requested["severity"] not in SEVERITIES or not self._valid(kind, value, variable):
            return v21.SetMonitoringStatusEnumType.rejected, None
        before = None if number is None else self._all.get(number)
        if number is not None and (before is None or before.name != name or before.kind == Origin.hard_wired_monitor):
            return v21.SetMonitoringStatusEnumType.rejected, None
        if any(
            (one.name, one.type, one.severity) == (name, kind, requested["severity"]) and one is not before
            for one in self
        ):
            return v21.SetMonitoringStatusEnumType.duplicate, None
        if before is None and len(self._all) >= MAX_MONITORS:
            return v21.SetMonitoringStatusEnumType.rejected, None
        if number is None:
            self._numbers += 1
            number = self._numbers
        new = Monitor(number, name, kind, value, requested["severity"], requested.get("transaction", False))
        new.known, new.since = variable.value, now
        new.exceeded = before is not None and before.alerts and before.exceeded and before.type == kind
        self._all[number] = new
        return v21.SetMonitoringStatusEnumType.accepted, new

    @staticmethod
    def _valid(kind: str, value: float, variable: Variable) -> bool:
        if kind in THRESHOLDS:  # N04.FR.06
            low, high = variable.low, variable.high
            return (low is None or value >= low) and (high is None or value <= high)
        return value >= 0 if kind == MonitorType.delta else value > 0

    # N06, N03, N02

    def clear(self, number: int) -> str:
        """Remove a monitor; return ClearMonitoringStatus."""
        found = self._all.get(number)
        if found is None:
            return v21.ClearMonitoringStatusEnumType.not_found
        if found.kind == Origin.hard_wired_monitor:
            return v21.ClearMonitoringStatusEnumType.rejected
        del self._all[number]
        return v21.ClearMonitoringStatusEnumType.accepted

    def set_base(self, base: str) -> None:
        """Apply SetMonitoringBase (N03). Custom monitors remain only with base All."""
        self.base = base
        mine = {n: m for n, m in self._all.items() if m.kind == Origin.custom_monitor} if base == "All" else {}
        for one in self._factory:
            if one.id not in mine:
                mine[one.id] = replace(one, active=one.kind == Origin.hard_wired_monitor or base != "HardWiredOnly")
        self._all = mine

    def set_level(self, severity: int) -> None:
        """Apply SetMonitoringLevel (N05): events of a higher number are not sent."""
        self.level = severity

    def select(self, matches_name: Callable[[Name], bool], criteria: Iterable[str]) -> list[Monitor]:
        """Return the active monitors that match (N02)."""
        types = frozenset().union(*(CRITERIA[one] for one in criteria))
        return [one for one in self if one.active and matches_name(one.name) and (not types or one.type in types)]

    # N07, N08

    def evaluate(
        self, read: Read, running: Callable[[Name], bool], now: float, most: float = SEVERITIES[-1]
    ) -> list[MonitorEvent]:
        """Return the events at `now` (Unix time) of monitors with severities up to `most`.

        `running` returns True if a transaction runs at the EVSE of a variable.
        """
        found: list[MonitorEvent] = []
        for one in self._all.values():
            if not one.active or one.severity > most or (one.transaction and not running(one.name)):
                continue
            value = read(one.name)
            if value is not None:
                fired = self._evaluate(one, value, now)
                if fired is not None:
                    found.append(fired)
        return found

    def _evaluate(self, one: Monitor, value: object, now: float) -> MonitorEvent | None:
        if one.type in PERIODS:
            if one.type == MonitorType.periodic:
                due, last = now >= one.since + one.value, one.since + one.value
                last += floor(max(0.0, now - last) / one.value) * one.value  # neither drift nor a burst
            else:
                last = floor(now / one.value + 1e-9) * one.value
                due = last > one.since
            if due:
                one.since = last
            return MonitorEvent(one, as_text(value), "Periodic") if due else None
        if one.type == MonitorType.delta:
            if not _moved(one.known, value, one.value):
                return None
            one.known = as_text(value)
            return MonitorEvent(one, one.known, v21.EventTriggerEnumType.delta)
        number = _number(value)
        if number is None:
            return None
        beyond = number > one.value if one.type == MonitorType.upper_threshold else number < one.value
        if beyond == one.exceeded:
            return None
        one.exceeded = beyond
        return MonitorEvent(one, as_text(value), "Alerting", cleared=not beyond)

    def next_change_at(self) -> float | None:
        """Return when the next periodic monitor fires, Unix time."""
        times = []
        for one in self._all.values():
            if one.active and one.type == MonitorType.periodic:
                times.append(one.since + one.value)
            elif one.active and one.type == MonitorType.periodic_clock_aligned:
                times.append((floor(one.since / one.value + 1e-9) + 1) * one.value)
        return min(times, default=None)

    # persistence (N07.FR.13, .14)

    def saved(self) -> Saved:
        """Return the stored form."""
        return {"base": self.base, "level": self.level, "number": self._numbers, "all": [asdict(m) for m in self]}

    def restore(self, saved: Saved) -> None:
        """Restore the stored form; event streams are not restored."""
        self.base, self.level, self._numbers = saved["base"], int(saved["level"]), int(saved["number"])
        restored = [Monitor(**{**one, "name": tuple(one["name"]), "stream": None}) for one in saved["all"]]
        self._all = {one.id: one for one in restored}


def _moved(before: str | None, value: object, by: float) -> bool:
    """Return True if a number changed by more than `by`, or any other value changed (N07.FR.18, .19)."""
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
