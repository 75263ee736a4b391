"""Meter values of every version in one model: W, Wh, V, A, Hz, %, + into the vehicle.

2.x reports number, unit and multiplier; 1.6 text, unit and format. Both may give one value per phase, location and
context. Used are the values of the outlet (or without a location), the sum over the phases where no total is given,
and import minus export as the signed power.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.model.event import Metered
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

Measurand, Location, Phase = v21.MeasurandEnumType, v21.LocationEnumType, v21.PhaseEnumType
REGISTER = Measurand.energy_active_import_register  # the default measurand of every version
_SCALE = {"kW": 1e3, "kWh": 1e3, "kvar": 1e3, "MWh": 1e6, "mV": 1e-3, "mA": 1e-3, "mHz": 1e-3}
_RANKS: dict[str | None, int] = {  # best first; Upstream is the meter of the site
    None: 0,
    Location.outlet: 0,
    Location.ev: 1,
    Location.cable: 1,
    Location.body: 2,
    Location.inlet: 3,
}
_TOTALS = frozenset({None, ""})
_PHASES = frozenset({Phase.l1, Phase.l2, Phase.l3, Phase.l1_n, Phase.l2_n, Phase.l3_n})
_MEANS = frozenset({Measurand.voltage, Measurand.frequency, Measurand.soc})  # mean of the phases instead of their sum


@dataclass(slots=True)
class _Best:
    """Values of one measurand at the best location so far."""

    rank: int = 99
    total: float | None = None
    phases: dict[str, float] = field(default_factory=dict)


def readings(meter_values: Iterable[Payload], evse: str, at: float, sign: int = 1, scale: float = 1.0) -> list[Metered]:
    """Return one `Metered` per timestamp, oldest first. Values that cannot be read are left out."""
    found = [one for value in meter_values if (one := _reading(value, evse, at, sign, scale)) is not None]
    return sorted(found, key=lambda metered: metered.wall or 0.0)


def _reading(meter_value: Payload, evse: str, at: float, sign: int, scale: float) -> Metered | None:
    best: dict[str, _Best] = {}
    for sample in meter_value.get("sampledValue", ()):
        _collect(best, sample)
    values = {name: _combine(name, collected) for name, collected in best.items()}
    power = _net(values, Measurand.power_active_import, Measurand.power_active_export, sign)
    current = _net(values, Measurand.current_import, Measurand.current_export, sign)
    metered = Metered(
        evse=evse,
        at=at,
        wall=parse(meter_value.get("timestamp")),
        power_w=None if power is None else power * scale,
        energy_charged_wh=values.get(REGISTER),
        energy_discharged_wh=values.get(Measurand.energy_active_export_register),
        soc_pct=values.get(Measurand.soc, values.get(Measurand.display_present_soc)),
        voltage_v=values.get(Measurand.voltage),
        current_a=current,
        frequency_hz=values.get(Measurand.frequency),
        min_v2x_energy_wh=values.get(Measurand.energy_request_minimum_v2x),
        max_v2x_energy_wh=values.get(Measurand.energy_request_maximum_v2x),
        min_energy_wh=values.get(Measurand.energy_request_minimum),
        target_energy_wh=values.get(Measurand.energy_request_target),
    )
    return metered if any(v is not None for v in values.values()) else None


def _collect(best: dict[str, _Best], sample: Payload) -> None:
    number = _number(sample)
    rank = _RANKS.get(sample.get("location"))
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


def _number(sample: Payload) -> float | None:
    """Return the value in the base unit. Signed data (1.6 `SignedData`) is for billing, not for control."""
    if sample.get("format") == "SignedData":
        return None
    try:
        value = float(sample["value"])
    except (KeyError, TypeError, ValueError):
        return None
    if not math.isfinite(value):
        return None
    unit = sample.get("unitOfMeasure")
    if isinstance(unit, dict):
        multiplier = unit.get("multiplier", 0)
        exponent = multiplier if isinstance(multiplier, int) and abs(multiplier) <= 12 else 0
        return float(value * _SCALE.get(unit.get("unit", ""), 1.0) * 10.0**exponent)
    return value * _SCALE.get(sample.get("unit", ""), 1.0)


def _combine(name: str, collected: _Best) -> float | None:
    if collected.total is not None:
        return collected.total
    if not collected.phases:
        return None
    total = sum(collected.phases.values())
    return total / len(collected.phases) if name in _MEANS else total


def _net(values: dict[str, float | None], inward: str, outward: str, sign: int) -> float | None:
    """Return import minus export. Some stations report a discharge as a negative import without an export."""
    into, out = values.get(inward), values.get(outward)
    if into is None and out is None:
        return None
    return sign * (into or 0.0) - abs(out or 0.0)
