"""Operation modes: set-point of an EVSE from its composite, W, + into the vehicle.

Pure functions of the values of the mode and the local measurements (OCPP 2.1 part 2, Q03-Q10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from emulators.charger.station.ocpp_enums import OperationMode
from emulators.charger.station.smart_charging.schedule import Composite
from protocols.ocpp.schema import Payload


@dataclass(slots=True)
class LocalConditions:
    """Local measurements on which an operation mode depends."""

    frequency_hz: float = 50.0
    frequency_threshold_mhz: float = 10.0  # V2XChargingCtrlr.LocalFrequencyUpdateThreshold
    upstream_w: float | None = None  # site meter, + is consumption
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class AlgorithmState:
    """State of a local algorithm between two steps; another mode resets it, or another profile of local frequency."""

    frequency_hz: float | None = None  # of the last computation of the set-point
    period: object = None
    setpoint_w: float = 0.0
    afrr_signal: int | None = None
    _source: tuple[str, int | None] | None = None  # mode and profile

    def follow(self, composite: Composite) -> None:
        """Continue with this composite; nothing is inherited from another mode or profile."""
        frequency = composite.mode == OperationMode.local_frequency
        source = composite.mode, composite.profile if frequency else None
        if source != self._source:
            self.frequency_hz, self.period, self.setpoint_w, self.afrr_signal = None, None, 0.0, None
            self._source = source
        if "v2xSignalWattCurve" not in composite.period:
            self.afrr_signal = None


def power_w(composite: Composite, conditions: LocalConditions, algorithm: AlgorithmState, max_charge_w: float) -> float:
    """Return the set-point. Without a limit it is the maximum charging power ("unlimited" in the specification)."""
    algorithm.follow(composite)
    ceiling = max_charge_w if composite.limit_w is None else min(composite.limit_w, max_charge_w)
    match composite.mode:
        case OperationMode.idle:
            setpoint = 0.0
        case OperationMode.local_frequency:
            setpoint = _local_frequency(composite, conditions, algorithm)
        case OperationMode.local_load_balancing:
            setpoint = _load_balance(conditions, algorithm)
        case OperationMode.central_setpoint | OperationMode.central_frequency | OperationMode.external_setpoint:
            setpoint = composite.setpoint_w or 0.0
        case _:
            return ceiling  # ChargingOnly, ExternalLimits
    return _capped(composite, setpoint)


def _capped(composite: Composite, setpoint: float) -> float:
    """Limit a set-point (V2X.03, V2X.04, Q09.FR.05)."""
    if composite.limit_w is not None and setpoint > composite.limit_w:
        return max(composite.limit_w, 0.0)
    if composite.discharge_limit_w is not None and setpoint < composite.discharge_limit_w:
        return min(composite.discharge_limit_w, 0.0)
    return setpoint


def _local_frequency(composite: Composite, conditions: LocalConditions, algorithm: AlgorithmState) -> float:
    """Return baseline plus frequency-watt curve plus aFRR signal curve (Q08.FR.06, .07, .10)."""
    period = composite.period
    moved = algorithm.frequency_hz is None or (
        abs(conditions.frequency_hz - algorithm.frequency_hz) * 1000 >= conditions.frequency_threshold_mhz - 1e-6
    )
    if moved or algorithm.period is not period:
        algorithm.frequency_hz, algorithm.period = conditions.frequency_hz, period
        curve = [(point["frequency"], point["power"]) for point in period["v2xFreqWattCurve"]]
        algorithm.setpoint_w = float(period["v2xBaseline"]) + interpolate(curve, conditions.frequency_hz)
    delta = 0.0
    if algorithm.afrr_signal is not None:
        delta = interpolate([(p["signal"], p["power"]) for p in period["v2xSignalWattCurve"]], algorithm.afrr_signal)
    return algorithm.setpoint_w + delta


def _load_balance(conditions: LocalConditions, algorithm: AlgorithmState) -> float:
    """Integrate one reading of the load, which contains the power of this EVSE (Q09.FR.04)."""
    load, limits = conditions.upstream_w, conditions.thresholds
    if load is not None and limits:
        if load > limits["UpperThreshold"]:
            algorithm.setpoint_w += limits["UpperThreshold"] + limits["UpperOffset"] - load
        elif load < limits["LowerThreshold"]:
            algorithm.setpoint_w += limits["LowerThreshold"] + limits["LowerOffset"] - load
        conditions.upstream_w = None  # each reading is used once
    return algorithm.setpoint_w


def interpolate(curve: Sequence[tuple[float, float]], x: float) -> float:
    """Interpolate linearly between the points; the end values extend beyond them."""
    points = sorted(curve)
    if x <= points[0][0]:
        return float(points[0][1])
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1:
            return float(y0 + (y1 - y0) * (x - x0) / (x1 - x0)) if x1 > x0 else float(y1)
    return float(points[-1][1])


def residual_w(import_w: float, export_w: float, setpoint_w: float) -> float:
    """Return Power.Active.Residual: measured minus ordered power by direction.

    The printed formulas for 0 and below use Import where Export must be meant.
    """
    if setpoint_w > 0:
        return import_w - setpoint_w
    if setpoint_w < 0:
        return export_w - abs(setpoint_w)
    return import_w - export_w


def as_period(composite: Composite, start: float, version: str, unit_factor: float = 1.0) -> Payload:
    """Return a composite as ChargingSchedulePeriodType of a composite schedule."""
    period: Payload = {"startPeriod": round(start)}
    if version != "2.1":
        period["limit"] = round((composite.limit_w or 0.0) * unit_factor, 1)
        return period
    period["operationMode"] = composite.mode
    for name, value in (
        ("limit", composite.limit_w),
        ("dischargeLimit", composite.discharge_limit_w),
        ("setpoint", composite.setpoint_w),
    ):
        if value is not None:
            period[name] = round(value * unit_factor, 1)
    return period
