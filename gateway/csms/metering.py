"""Meter values of every version as one model: W, Wh, V, A, Hz, %, + into the vehicle.

2.x says number, unit and multiplier; 1.6 says text, unit and format. Both may give one value per phase, per location
and per context. We take what was measured at the outlet (or nowhere in particular), the sum over the phases where no
total is given, and import less export as the one signed power.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.model.event import Metered
from protocols.ocpp.times import parse

REGISTER = "Energy.Active.Import.Register"  # what a value without a measurand is, in every version
_SCALE = {"kW": 1e3, "kWh": 1e3, "kvar": 1e3, "MWh": 1e6, "mV": 1e-3, "mA": 1e-3, "mHz": 1e-3}
_PLACES = {None: 0, "Outlet": 0, "EV": 1, "Cable": 1, "Body": 2, "Inlet": 3}  # best first; Upstream is the house's
_TOTALS = frozenset({None, ""})
_PHASES = frozenset({"L1", "L2", "L3", "L1-N", "L2-N", "L3-N"})
_MEANS = frozenset({"Voltage", "Frequency", "SoC"})  # of the phases, rather than their sum


@dataclass(slots=True)
class _Best:
    """The values of one measurand at the best place seen so far."""

    rank: int = 99
    total: float | None = None
    phases: dict[str, float] = field(default_factory=dict)


def readings(
    meter_values: Iterable[dict[str, Any]], evse: str, at: float, sign: int = 1, scale: float = 1.0
) -> list[Metered]:
    """One `Metered` per time stamp, oldest first. What no one can read is left out."""
    found = [one for value in meter_values if (one := _reading(value, evse, at, sign, scale)) is not None]
    return sorted(found, key=lambda metered: metered.wall or 0.0)


def _reading(meter_value: dict[str, Any], evse: str, at: float, sign: int, scale: float) -> Metered | None:
    best: dict[str, _Best] = {}
    for sample in meter_value.get("sampledValue", ()):
        _collect(best, sample)
    values = {name: _one(name, collected) for name, collected in best.items()}
    power = _net(values, "Power.Active.Import", "Power.Active.Export", sign)
    current = _net(values, "Current.Import", "Current.Export", sign)
    metered = Metered(
        evse=evse,
        at=at,
        wall=parse(meter_value.get("timestamp")),
        power_w=None if power is None else power * scale,
        energy_charged_wh=values.get(REGISTER),
        energy_discharged_wh=values.get("Energy.Active.Export.Register"),
        soc_pct=values.get("SoC", values.get("Display.PresentSOC")),
        voltage_v=values.get("Voltage"),
        current_a=current,
        frequency_hz=values.get("Frequency"),
        min_v2x_energy_wh=values.get("EnergyRequest.Minimum.V2X"),
        max_v2x_energy_wh=values.get("EnergyRequest.Maximum.V2X"),
        min_energy_wh=values.get("EnergyRequest.Minimum"),
        target_energy_wh=values.get("EnergyRequest.Target"),
    )
    return metered if any(v is not None for v in values.values()) else None


def _collect(best: dict[str, _Best], sample: dict[str, Any]) -> None:
    number = _number(sample)
    rank = _PLACES.get(sample.get("location"))
    if number is None or rank is None:
        return
    phase = sample.get("phase")
    collected = best.setdefault(sample.get("measurand") or REGISTER, _Best())
    if rank > collected.rank:
        return
    if rank < collected.rank:
        collected.rank, collected.total, collected.phases = rank, None, {}
    if phase in _TOTALS:
        collected.total = number
    elif phase in _PHASES:
        collected.phases[phase[:2]] = number


def _number(sample: dict[str, Any]) -> float | None:
    """The value in the base unit. Signed data (1.6 `SignedData`) is for whoever bills, not for control."""
    if sample.get("format") == "SignedData":
        return None
    try:
        value = float(sample["value"])
    except (KeyError, TypeError, ValueError):
        return None
    if value != value or value in (float("inf"), float("-inf")):
        return None
    unit = sample.get("unitOfMeasure")
    if isinstance(unit, dict):
        multiplier = unit.get("multiplier", 0)
        exponent = multiplier if isinstance(multiplier, int) and abs(multiplier) <= 12 else 0
        return float(value * _SCALE.get(unit.get("unit", ""), 1.0) * 10.0**exponent)
    return value * _SCALE.get(sample.get("unit", ""), 1.0)


def _one(name: str, collected: _Best) -> float | None:
    if collected.total is not None:
        return collected.total
    if not collected.phases:
        return None
    total = sum(collected.phases.values())
    return total / len(collected.phases) if name in _MEANS else total


def _net(values: dict[str, float | None], inward: str, outward: str, sign: int) -> float | None:
    """Import less export. A negative import without an export is a discharge, as some stations tell it."""
    into, out = values.get(inward), values.get(outward)
    if into is None and out is None:
        return None
    return sign * (into or 0.0) - abs(out or 0.0)
