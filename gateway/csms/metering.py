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
from functools import lru_cache
from typing import Any, TypeAlias

from gateway.model.event import Metered
from protocols.ocpp.enums import v16, v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

Measurand, Location, Phase = v21.MeasurandEnumType, v21.LocationEnumType, v21.PhaseEnumType
REGISTER = Measurand.energy_active_import_register  # the default measurand of every version
_SIGNED = v16.ValueFormat.signed_data
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
_TOTAL, _BETWEEN = "", "between"  # places of values beside the phases
_PLACES: dict[str | None, str] = {
    None: _TOTAL,
    "": _TOTAL,
    **{phase.value: phase.value[:2] for phase in (Phase.l1, Phase.l2, Phase.l3, Phase.l1_n, Phase.l2_n, Phase.l3_n)},
    **dict.fromkeys((Phase.l1_l2, Phase.l2_l3, Phase.l3_l1), _BETWEEN),
}
_POWER = Measurand.power_active_import, Measurand.power_active_export
_CURRENT = Measurand.current_import, Measurand.current_export
_DISPLAYED_SOC = Measurand.display_present_soc
_SOC = frozenset({Measurand.soc, _DISPLAYED_SOC})
_MEMBERS: dict[str, str] = {  # of `Metered`; negative zeros become zeros
    REGISTER: "energy_charged_wh",
    Measurand.energy_active_export_register: "energy_discharged_wh",
    Measurand.soc: "soc_pct",
    Measurand.voltage: "voltage_v",
    Measurand.frequency: "frequency_hz",
    Measurand.energy_request_minimum_v2x: "min_v2x_energy_wh",
    Measurand.energy_request_maximum_v2x: "max_v2x_energy_wh",
    Measurand.energy_request_minimum: "min_energy_wh",
    Measurand.energy_request_target: "target_energy_wh",
}
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
_FLOWING_A = 1.0  # from here on a current shows the phases in use
_LARGEST_MAINS_V = 300.0  # of a phase
_SAME_FLOW_W, _SAME_FLOW_SHARE = 50.0, 0.1  # differences up to these are no second flow


@dataclass(slots=True)
class _Values:
    """Values of one measurand at its best location."""

    rank: int  # of the location
    by_place: dict[str, float] = field(default_factory=dict)

    @property
    def phases(self) -> dict[str, float]:
        """Return the values of the phases, L1 first."""
        return {place: value for place, value in sorted(self.by_place.items()) if place not in (_TOTAL, _BETWEEN)}

    def combined(self, name: str) -> float | None:
        """Return the total, else the sum (or mean) of the phases. A total of 0 beside phases is one not measured."""
        total = self.by_place.get(_TOTAL)
        if total or (len(self.by_place) == 1 and total is not None):
            return total
        phases = self.phases
        if phases:
            combined = sum(phases.values())
            combined = combined / len(phases) if name in _MEANS else combined
            return total if total is not None and not combined else combined
        return total if total is not None else self._between(name)

    def _between(self, name: str) -> float | None:
        """Return the voltage of a phase from those between the phases."""
        between = self.by_place.get(_BETWEEN) if name == Measurand.voltage else None
        return None if between is None else between / math.sqrt(3)


Elements: TypeAlias = dict[float | str, list[Payload]]
"""Sampled values by the Unix time of their elements; by the text of a time stamp that cannot be read."""


def by_time(meter_values: Iterable[Payload]) -> Elements:
    """Return the sampled values of a message by their time stamps."""
    elements: Elements = {}
    for value in meter_values:
        text = value.get("timestamp")
        stamp = parse(text)
        elements.setdefault(str(text) if stamp is None else stamp, []).extend(value.get("sampledValue", ()))
    return elements


def readings(
    elements: Elements, evse: str, at: float, sign: int = 1, scale: float = 1.0, voltage_v: float | None = None
) -> list[Metered]:
    """Return one `Metered` per timestamp, oldest first. Values that cannot be read are left out.

    `sign` and `scale` are those of the import power; `voltage_v` is the last reported one, for currents without one.
    """
    found = []
    for stamp, samples in elements.items():
        wall = stamp if isinstance(stamp, float) else None
        one = _reading(samples, evse, at, wall, sign, scale, voltage_v)
        if one is not None:
            found.append(one)
    return sorted(found, key=lambda metered: metered.wall or 0.0)


def joined(before: Iterable[Payload], after: list[Payload]) -> list[Payload]:
    """Return the sampled values of two messages with one time stamp. What both have counts as in the later one."""
    places = {_place(sample) for sample in after}
    return [*(sample for sample in before if _place(sample) not in places), *after]


def volt_phases(samples: Iterable[Payload]) -> float | None:
    """Return the power per ampere of one phase, voltage times phases, where a current flows or the voltage is that of
    direct current; else None.

    Currents of phases give the number of phases. Of a current without a phase the power does: as large as voltage times
    current for direct current and one phase, more for three phases; without a power, a current beside a voltage above
    that of a mains phase is direct current, as in the power that is calculated from them.
    """
    collected = _collect(samples)
    voltages = collected.get(Measurand.voltage, _Values(0))
    voltage = voltages.combined(Measurand.voltage)
    currents = [one for name in _CURRENT if (one := collected.get(name)) is not None]
    if not voltage or not currents:
        return None
    flows = max((list(one.phases.values()) for one in currents), key=lambda found: sum(map(abs, found)))
    if flows:
        largest = max(map(abs, flows))
        flowing = sum(abs(flow) >= largest / 2 for flow in flows)
        return voltage * flowing if largest >= _FLOWING_A else None
    current = max(abs(one.by_place.get(_TOTAL, 0.0)) for one in currents)
    power = max((abs(one.combined(name) or 0.0) for name in _POWER if (one := collected.get(name))), default=None)
    if power is None:
        return voltage if voltage > _LARGEST_MAINS_V and not voltages.phases else None
    if current < _FLOWING_A:
        return None
    share = power / (voltage * current)
    return next((voltage * phases for phases in (1.0, math.sqrt(3), 3.0) if abs(share / phases - 1) <= 0.2), None)


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
    values = {name: value for name, one in collected.items() if (value := one.combined(name)) is not None}
    if not values:
        return None
    power, current = _net(values, *_POWER, sign), _net(values, *_CURRENT, sign)
    if power is not None:
        power *= scale
    elif current is not None:
        power = _apparent_power(collected, current, sign, voltage_v)
    found: dict[str, Any] = {member: value + 0.0 for name, value in values.items() if (member := _MEMBERS.get(name))}
    soc = found.pop("soc_pct", values.get(_DISPLAYED_SOC))
    frequency = found.pop("frequency_hz", 0.0)
    return Metered(
        evse=evse,
        at=at,
        wall=wall,
        power_w=_plain(power),
        current_a=_plain(current),
        soc_pct=_plain(soc) if soc is not None and soc >= 0 else None,
        frequency_hz=frequency if frequency > 0 else None,
        **found,
    )


def _plain(value: float | None) -> float | None:
    """Return the value without a negative zero."""
    return None if value is None else value + 0.0


def _collect(samples: Iterable[Payload]) -> dict[str, _Values]:
    """Return the values by measurand, at the best location that has any. The order of the samples does not matter: of
    several for one place the one with the largest magnitude counts, of states of charge the lowest."""
    collected: dict[str, _Values] = {}
    for sample in samples:
        get = sample.get
        of_2, unit, multiplier = get("unitOfMeasure"), get("unit"), None
        if isinstance(of_2, dict):
            unit, multiplier = of_2.get("unit"), of_2.get("multiplier")
        try:
            kind = _kind_of(get("measurand"), get("location"), get("phase"), unit, multiplier, get("format"))
        except TypeError:  # of a member that has no text or number
            kind = _kind(get("measurand"), get("location"), get("phase"), unit, multiplier, get("format"))
        if kind is None or (number := _number(get("value"), kind)) is None:
            continue
        name, rank, place = kind.name, kind.rank, kind.place
        values = collected.get(name)
        if values is None or rank < values.rank:
            values = collected[name] = _Values(rank)
        elif rank > values.rank:
            continue
        before = values.by_place.get(place)
        values.by_place[place] = number if before is None else _stronger(name, before, number)
    return collected


def _stronger(name: str, one: float, other: float) -> float:
    if one == other:
        return one
    if name in _SOC:
        return min(one, other)
    return max(one, other, key=lambda value: (abs(value), value))


@dataclass(frozen=True, slots=True)
class _Kind:
    """Description of a sampled value by its members beside the number."""

    name: str  # measurand
    rank: int  # of the location
    place: str
    scale: float  # of the multiplier
    unit_scale: float
    sentinels: frozenset[float]  # numbers of a register that is not filled


def _kind(measurand: Any, location: Any, phase: Any, unit: object, multiplier: object, format_: object) -> _Kind | None:
    """Return what a sampled value is; None for one that is not used. Signed data (1.6 `SignedData`) is for billing, not
    for control."""
    rank, place = _RANKS.get(location), _PLACES.get(phase)
    if rank is None or place is None or format_ == _SIGNED:
        return None
    sentinels = _SMALL_SENTINELS if measurand in _SMALL else _SENTINELS
    scale = 10.0 ** _exponent(multiplier) if multiplier else 1.0
    return _Kind(measurand or REGISTER, rank, place, scale, 1.0 if unit is None else _scale(unit), sentinels)


_kind_of = lru_cache(1024)(_kind)  # a station sends the same members with every number


def _number(raw: object, kind: _Kind) -> float | None:
    """Return the value in the base unit."""
    if type(raw) is not float:
        if raw is None or raw is True or raw is False:
            return None
        try:
            raw = float(raw)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            return None
    if not -_LARGEST < raw < _LARGEST or raw in kind.sentinels:  # also what is not a number
        return None
    return raw * kind.scale * kind.unit_scale


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
    voltages = collected.get(Measurand.voltage, _Values(0))
    mean = voltages.combined(Measurand.voltage)
    mean = voltage_v if mean is None else mean
    into = collected.get(Measurand.current_import, _Values(0)).phases
    out = collected.get(Measurand.current_export, _Values(0)).phases
    factor = collected.get(Measurand.power_factor, _Values(0)).by_place.get(_TOTAL)
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
