"""What each operation mode makes of the composite: the power an EVSE asks of its converter, W, + into the vehicle.

Pure functions of the mode's own values and what the station measures (OCPP 2.1 part 2, Q03-Q10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from emulators.charger.station.smart_charging.schedule import Composite


@dataclass(slots=True)
class Surroundings:
    """What the station measures or is told beside OCPP."""

    frequency_hz: float = 50.0
    frequency_threshold_mhz: float = 10.0  # V2XChargingCtrlr.LocalFrequencyUpdateThreshold
    afrr_signal: int | None = None
    upstream_w: float | None = None  # the house's meter, + is consumption
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Memory:
    """What a local algorithm keeps from one step to the next."""

    frequency_hz: float | None = None  # at which the set-point was last computed
    period: object = None
    setpoint_w: float = 0.0


def power_w(composite: Composite, around: Surroundings, memory: Memory, max_charge_w: float) -> float:
    """The power to ask for. Without any bound it is what the hardware can charge: the specification's "unlimited"."""
    ceiling = max_charge_w if composite.limit_w is None else min(composite.limit_w, max_charge_w)
    match composite.mode:
        case "Idle":
            wish = 0.0
        case "LocalFrequency":
            wish = _local_frequency(composite, around, memory)
        case "LocalLoadBalancing":
            wish = _load_balance(around, memory)
        case "CentralSetpoint" | "CentralFrequency" | "ExternalSetpoint":
            wish = composite.setpoint_w or 0.0
        case _:
            return ceiling  # ChargingOnly, ExternalLimits: as much as may be
    return _capped(composite, wish)


def _capped(composite: Composite, wish: float) -> float:
    """V2X.03, V2X.04, Q09.FR.05."""
    if composite.limit_w is not None and wish > composite.limit_w:
        return max(composite.limit_w, 0.0)
    if composite.discharge_limit_w is not None and wish < composite.discharge_limit_w:
        return min(composite.discharge_limit_w, 0.0)
    return wish


def _local_frequency(composite: Composite, around: Surroundings, memory: Memory) -> float:
    """Q08.FR.06, .07, .10: the baseline, the curve at the frequency, and the signal's curve on top of both."""
    period = composite.period
    moved = memory.frequency_hz is None or (
        abs(around.frequency_hz - memory.frequency_hz) * 1000 >= around.frequency_threshold_mhz - 1e-6
    )
    if moved or memory.period is not period:
        memory.frequency_hz, memory.period = around.frequency_hz, period
        curve = [(point["frequency"], point["power"]) for point in period["v2xFreqWattCurve"]]
        memory.setpoint_w = float(period["v2xBaseline"]) + interpolate(curve, around.frequency_hz)
    delta = 0.0
    if around.afrr_signal is not None and "v2xSignalWattCurve" in period:
        delta = interpolate([(p["signal"], p["power"]) for p in period["v2xSignalWattCurve"]], around.afrr_signal)
    return memory.setpoint_w + delta


def _load_balance(around: Surroundings, memory: Memory) -> float:
    """Q09.FR.04: a step of the integrator; the load already holds what this EVSE does."""
    load, limits = around.upstream_w, around.thresholds
    if load is not None and limits:
        if load > limits["UpperThreshold"]:
            memory.setpoint_w += limits["UpperThreshold"] + limits["UpperOffset"] - load
        elif load < limits["LowerThreshold"]:
            memory.setpoint_w += limits["LowerThreshold"] + limits["LowerOffset"] - load
        around.upstream_w = None  # each reading counts once
    return memory.setpoint_w


def interpolate(curve: Sequence[tuple[float, float]], x: float) -> float:
    """Linear between the points, flat beyond the outermost."""
    points = sorted(curve)
    if x <= points[0][0]:
        return float(points[0][1])
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1:
            return float(y0 + (y1 - y0) * (x - x0) / (x1 - x0)) if x1 > x0 else float(y1)
    return float(points[-1][1])


def residual_w(import_w: float, export_w: float, setpoint_w: float) -> float:
    """Power.Active.Residual: measured less ordered by direction. The printed formulas for 0 and below use Import where
    Export must be meant; this is by meaning."""
    if setpoint_w > 0:
        return import_w - setpoint_w
    if setpoint_w < 0:
        return export_w - abs(setpoint_w)
    return import_w - export_w


def as_period(composite: Composite, start: float, version: str, unit_factor: float = 1.0) -> dict[str, Any]:
    """A composite as a ChargingSchedulePeriod of a composite schedule."""
    period: dict[str, Any] = {"startPeriod": round(start)}
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
