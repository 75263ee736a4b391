"""Trip and momentary cessation curves of an EVSE (OCPP 2.1 block R, IEEE 1547).

Pure: steady times are arguments. A must-trip curve stops the inverter once a grid value has been beyond one of its
points for the time of that point; it returns when the value is normal and EnterService allows it. Momentary cessation
lasts only as long as the value is beyond. May-trip curves permit a trip, which this station does not use.

A point is a value and a time in s. Voltage is in percent of nominal, frequency in Hz, discharging power in percent of
the rating. ISO 15118-20 Amendment 1 has the value on the X axis, IEEE 2030.5 the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from emulators.charger.station.smart_charging.der import DerControls, Grid
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload

TOLERANCE = 1e-6  # of values and times
_POWER = "PowerMonitoringMustTrip"
_FAULTS = {
    "HVMustTrip": v21.GridEventFaultEnumType.over_voltage,
    "LVMustTrip": v21.GridEventFaultEnumType.under_voltage,
    "HFMustTrip": v21.GridEventFaultEnumType.over_frequency,
    "LFMustTrip": v21.GridEventFaultEnumType.under_frequency,
    _POWER: None,  # no grid event: the EVSE discharges too much
    "HVMomCess": v21.GridEventFaultEnumType.over_voltage,
    "LVMomCess": v21.GridEventFaultEnumType.under_voltage,
}


@dataclass(frozen=True, slots=True)
class _Point:
    """One point of a curve: the time in s that a value may be beyond a threshold."""

    kind: str
    threshold: float
    seconds: float
    at_time: float = 0.0  # hysteresisDelay: time within the curve before the return

    def exceeded(self, value: float) -> bool:
        """Return True where the value is beyond the threshold."""
        beyond = self.threshold - value if self.kind.startswith("L") else value - self.threshold
        return beyond >= -TOLERANCE


@dataclass(slots=True)
class GridProtection:
    """Grid protection of one EVSE. `cause` is the control that prevents power, with its grid fault."""

    cause: tuple[str, str | None] | None = None
    _since: dict[tuple[str, float], float] = field(default_factory=dict)  # beyond a threshold, steady time
    _due: list[float] = field(default_factory=list)
    _normal_since: float | None = None

    def update(self, controls: DerControls, grid: Grid, discharge_pct: float, now: float) -> None:
        """Apply the grid values and the discharging power, in percent of the rating, of a steady time."""
        values = {"V": 100.0 * grid.voltage_v / grid.nominal_v, "F": grid.frequency_hz}
        self._due = []
        since: dict[tuple[str, float], float] = {}
        expired: list[_Point] = []
        points = list(_points(controls, grid))
        for point in points:
            if not point.exceeded(values.get(point.kind[1], discharge_pct)):
                continue
            key = point.kind, point.threshold
            since[key] = min(self._since.get(key, now), since.get(key, now))
            if now >= since[key] + point.seconds - TOLERANCE:
                expired.append(point)
            else:
                self._due.append(since[key] + point.seconds)
        self._since = since
        self._decide(controls, values, points, expired, now)

    def next_change_at(self) -> float | None:
        """Return the steady time at which a trip or a return is due without a change of the grid."""
        return min(self._due, default=None)

    def _decide(
        self, controls: DerControls, values: dict[str, float], points: list[_Point], expired: list[_Point], now: float
    ) -> None:
        trips = [point.kind for point in expired if point.kind.endswith("MustTrip")]
        ceases = [point.kind for point in expired if point.kind.endswith("MomCess")]
        tripped = self.cause if self.cause is not None and self.cause[0].endswith("MustTrip") else None
        if trips:
            kind = trips[0] if tripped is None or tripped[0] not in trips else tripped[0]
            self.cause, self._normal_since = (kind, _FAULTS[kind]), None
        elif tripped is None or self._returns(tripped[0], controls, values, points, now):
            self.cause = (ceases[0], _FAULTS[ceases[0]]) if ceases else None

    def _returns(
        self, kind: str, controls: DerControls, values: dict[str, float], points: list[_Point], now: float
    ) -> bool:
        """Return True once the values have been normal for the time that EnterService or the curve states."""
        service = controls.in_force("EnterService")
        body: Payload = {} if service is None else service.body
        normal = not any(key[0] == kind for key in self._since) and (
            service is None
            or (
                body["lowVoltage"] <= values["V"] <= body["highVoltage"]
                and body["lowFreq"] <= values["F"] <= body["highFreq"]
            )
        )
        if not normal:
            self._normal_since = None
            return False
        if self._normal_since is None:
            self._normal_since = now
        delays = [point.at_time for point in points if point.kind == kind]
        returns_at = self._normal_since + float(body.get("delay", max(delays, default=0.0)))
        if now < returns_at - TOLERANCE:
            self._due.append(returns_at)
            return False
        return True


def _points(controls: DerControls, grid: Grid) -> Iterator[_Point]:
    """Iterate over the points of the curves in force."""
    for kind in _FAULTS:
        control = controls.in_force(kind)
        if control is not None:
            yield from _points_of(kind, control.body, grid)
    limit = controls.in_force("LimitMaxDischarge")
    if limit is not None and "powerMonitoringMustTrip" in limit.body:
        yield from _points_of(_POWER, limit.body["powerMonitoringMustTrip"], grid)


def _points_of(kind: str, curve: Payload, grid: Grid) -> Iterator[_Point]:
    points = [(float(point["x"]), float(point["y"])) for point in curve["curveData"]]
    if not _value_first(kind, curve, [x for x, _ in points], grid):
        points = [(y, x) for x, y in points]
    delay = float(curve.get("hysteresis", {}).get("hysteresisDelay", 0.0))
    for threshold, seconds in points:
        yield _Point(kind, threshold, seconds, delay)


def _value_first(kind: str, curve: Payload, xs: list[float], grid: Grid) -> bool:
    """Return True if the X axis has the values: their unit is not that of Y, and they are on the side of the curve."""
    if curve["yUnit"] == v21.DERUnitEnumType.pct_effectivev:
        return False
    nominal = grid.nominal_hz if kind[1] == "F" else 100.0
    if kind[0] == "H":
        return min(xs) > nominal
    return kind[:2] != "LF" or min(xs) > nominal / 2
