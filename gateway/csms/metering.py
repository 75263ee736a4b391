"""Meter values of every version in one model: W, Wh, V, A, Hz, %, + into the vehicle.

2.x reports number, unit and multiplier; 1.6 text, unit and format. Both may give one value per phase, location and
context. Elements with one time stamp are one reading, in whatever order and however they are divided. Used are the
values of the outlet (or without a location), the sum over the phases where no total is given, and import minus export
as the signed power; power is calculated from currents and voltages where nothing better is reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.model.event import Metered
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

Measurand, Location, Phase = v21.MeasurandEnumType, v21.LocationEnumType, v21.PhaseEnumType
REGISTER = Measurand.energy_active_import_register  # the default measurand of every version
_SCALE = {"mV": 1e-3, "mA": 1e-3, "mW": 1e-3, "mHz": 1e-3, "MW": 1e6, "MWh": 1e6}
_SCALE_ANY_CASE = {"kw": 1e3, "kwh": 1e3, "kvar": 1e3, "kv": 1e3, "ka": 1e3, "khz": 1e3}
_RANKS: dict[str | None, int] = {  # best first; Upstream is the meter of the site
    None: 0,
    Location.outlet: 0,
    Location.ev: 1,
    Location.cable: 1,
    Location.body: 2,
    Location.inlet: 3,
}
_PHASES: dict[str, str] = {
    phase.value: phase.value[:2] for phase in (Phase.l1, Phase.l2, Phase.l3, Phase.l1_n, Phase.l2_n, Phase.l3_n)
}
_BETWEEN_PHASES = frozenset({Phase.l1_l2, Phase.l2_l3, Phase.l3_l1})  # voltages
_MEANS = frozenset({Measurand.voltage, Measurand.frequency, Measurand.soc})  # mean of the phases instead of their sum
# Registers of a meter that are not filled: the largest numbers of 16 and 32 bits, also with one decimal.
_SENTINELS = frozenset({-32768.0, 65535.0})
_SMALL_SENTINELS = _SENTINELS | {32767.0, 3276.7, -3276.8, 6553.5}  # of quantities that never reach these
_SMALL = frozenset(
    {
        Measurand.voltage,
        Measurand.frequency,
        Measurand.soc,
        Measurand.display_present_soc,
        Measurand.current_import,
        Measurand.current_export,
        Measurand.power_factor,
    }
)
_LARGEST = 2147483647.0  # from here on nothing is a measured value, whatever the unit
_SAME_FLOW_W, _SAME_FLOW_SHARE = 50.0, 0.1  # differences up to these are no second flow


@dataclass(slots=True)
class _Values:
    """Values of one measurand at its best location."""

    total: float | None = None
    phases: dict[str, float] = field(default_factory=dict)
    between: float | None = None  # phase-to-phase voltage

    def combined(self, name: str) -> float | None:
        """Return the total, else the sum (or mean) of the phases. A total of 0 beside phases is one not measured."""
        if self.phases and not self.total:
            total = sum(self.phases.values())
            combined = total / len(self.phases) if name in _MEANS else total
            return self.total if self.total is not None and not combined else combined
        if self.total is None and self.between is not None:
            return self.between / math.sqrt(3)
        return self.total


def readings(
    meter_values: Iterable[Payload],
    evse: str,
    at: float,
    sign: int = 1,
    scale: float = 1.0,
    voltage_v: float | None = None,
) -> list[Metered]:
    """Return one `Metered` per timestamp, oldest first. Values that cannot be read are left out.

    `sign` and `scale` are those of the import power; `voltage_v` is the last reported one, for currents without one.
    """
    groups: dict[object, list[Payload]] = {}
    for value in meter_values:
        stamp = parse(value.get("timestamp"))
        group: object = str(value.get("timestamp")) if stamp is None else stamp
        groups.setdefault(group, []).extend(value.get("sampledValue", ()))
    found = []
    for group, samples in groups.items():
        wall = group if isinstance(group, float) else None
        one = _reading(samples, evse, at, wall, sign, scale, voltage_v)
        if one is not None:
            found.append(one)
    return sorted(found, key=lambda metered: metered.wall or 0.0)


def joined(before: Iterable[Payload], after: Iterable[Payload]) -> list[Payload]:
    """Return the elements of two messages with one time stamp. What both have counts as in the later one."""
    later = list(after)
    places = {_place(sample) for value in later for sample in value.get("sampledValue", ())}
    kept = [
        {**value, "sampledValue": [one for one in value.get("sampledValue", ()) if _place(one) not in places]}
        for value in before
    ]
    return [*kept, *later]


def _place(sample: Payload) -> tuple[str, str, str]:
    return sample.get("measurand") or REGISTER, str(sample.get("phase") or ""), str(sample.get("location") or "")


def _reading(
    samples: Iterable[Payload],
    evse: str,
    at: float,
    wall: float | None,
    sign: int,
    scale: float,
    voltage_v: float | None,
) -> Metered | None:
    collected = _collect(samples)
    values = {name: one.combined(name) for name, one in collected.items()}
    power = _net(values, Measurand.power_active_import, Measurand.power_active_export, sign)
    current = _net(values, Measurand.current_import, Measurand.current_export, sign)
    if power is not None:
        power *= scale
    elif current is not None:
        power = _apparent_power(collected, current, sign, voltage_v)
    soc = values.get(Measurand.soc, values.get(Measurand.display_present_soc))
    frequency = values.get(Measurand.frequency)
    if all(value is None for value in values.values()):
        return None
    return Metered(
        evse=evse,
        at=at,
        wall=wall,
        power_w=_plain(power),
        energy_charged_wh=_plain(values.get(REGISTER)),
        energy_discharged_wh=_plain(values.get(Measurand.energy_active_export_register)),
        soc_pct=_plain(soc) if soc is not None and soc >= 0 else None,
        voltage_v=_plain(values.get(Measurand.voltage)),
        current_a=_plain(current),
        frequency_hz=frequency if frequency is not None and frequency > 0 else None,
        min_v2x_energy_wh=_plain(values.get(Measurand.energy_request_minimum_v2x)),
        max_v2x_energy_wh=_plain(values.get(Measurand.energy_request_maximum_v2x)),
        min_energy_wh=_plain(values.get(Measurand.energy_request_minimum)),
        target_energy_wh=_plain(values.get(Measurand.energy_request_target)),
    )


def _plain(value: float | None) -> float | None:
    """Return the value without a negative zero."""
    return None if value is None else value + 0.0


def _collect(samples: Iterable[Payload]) -> dict[str, _Values]:
    """Return the values by measurand, at the best location that has any. The order of the samples does not matter: of
    several for one place the one with the largest magnitude counts, of states of charge the lowest."""
    best: dict[str, int] = {}
    found: dict[tuple[str, int, str], float] = {}
    for sample in samples:
        number, rank = _number(sample), _RANKS.get(sample.get("location"))
        name, phase = sample.get("measurand") or REGISTER, sample.get("phase") or ""
        if number is None or rank is None or (phase and phase not in _PHASES and phase not in _BETWEEN_PHASES):
            continue
        best[name] = min(rank, best.get(name, rank))
        place = name, rank, _PHASES.get(phase, "between" if phase else "")
        found[place] = number if place not in found else _stronger(name, found[place], number)
    collected: dict[str, _Values] = {}
    for (name, rank, phase), number in sorted(found.items()):
        if rank != best[name]:
            continue
        values = collected.setdefault(name, _Values())
        if not phase:
            values.total = number
        elif phase != "between":
            values.phases[phase] = number
        elif name == Measurand.voltage:
            values.between = number
    return collected


def _stronger(name: str, one: float, other: float) -> float:
    if name in (Measurand.soc, Measurand.display_present_soc):
        return min(one, other)
    return max(one, other, key=lambda value: (abs(value), value))


def _number(sample: Payload) -> float | None:
    """Return the value in the base unit. Signed data (1.6 `SignedData`) is for billing, not for control."""
    if sample.get("format") == "SignedData" or isinstance(sample.get("value"), bool):
        return None
    try:
        value = float(sample["value"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    missing = _SMALL_SENTINELS if sample.get("measurand") in _SMALL else _SENTINELS
    if not math.isfinite(value) or value in missing or abs(value) >= _LARGEST:
        return None
    unit = sample.get("unitOfMeasure")
    if isinstance(unit, Mapping):
        return value * _scale(unit.get("unit")) * 10.0 ** _exponent(unit.get("multiplier", 0))
    return value * _scale(sample.get("unit"))


def _scale(unit: object) -> float:
    if not isinstance(unit, str):
        return 1.0
    return _SCALE.get(unit) or _SCALE_ANY_CASE.get(unit.casefold(), 1.0)


def _exponent(multiplier: object) -> int:
    """Return the exponent of 10; also of one that is written as text or with a decimal point."""
    try:
        exponent = float(multiplier) if isinstance(multiplier, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return 0
    return int(exponent) if exponent.is_integer() and abs(exponent) <= 12 else 0


def _net(values: Mapping[str, float | None], inward: str, outward: str, sign: int) -> float | None:
    """Return import minus export; a flow that is reported both ways counts once.

    Some stations report a discharge as a negative import, without an export or besides it, and some a charge as a
    negative export besides the import.
    """
    into, out = values.get(inward), values.get(outward)
    if into is None:
        return None if out is None else -abs(out)
    into *= sign
    if not out:
        return into
    if into < 0:
        return -max(-into, abs(out))
    if out < 0 and abs(into + out) <= max(_SAME_FLOW_W, _SAME_FLOW_SHARE * into):
        return into
    return into - abs(out)


def _apparent_power(
    collected: Mapping[str, _Values], current: float, sign: int, voltage_v: float | None
) -> float | None:
    """Return the power of currents and voltages, + into the vehicle; per phase where the currents are."""
    voltages = collected.get(Measurand.voltage, _Values())
    mean = voltages.combined(Measurand.voltage)
    mean = voltage_v if mean is None else mean
    into = collected.get(Measurand.current_import, _Values()).phases
    out = collected.get(Measurand.current_export, _Values()).phases
    factor = collected.get(Measurand.power_factor, _Values()).total
    share = abs(factor) if factor is not None and 0 < abs(factor) <= 1 else 1.0
    phases = {*into, *out}
    power = 0.0
    if not phases:
        return None if mean is None else current * mean * share
    for phase in sorted(phases):
        voltage = voltages.phases.get(phase, mean)
        flow = _net({"in": into.get(phase), "out": out.get(phase)}, "in", "out", sign)
        if voltage is None or flow is None:
            return None
        power += flow * voltage
    return power * share
