"""Meter values of every version in one model: W, Wh, V, A, Hz, %, + into the vehicle.

2.x reports number, unit and multiplier; 1.6 text, unit and format. Both may give one value per phase, location and
context. Elements with one time stamp are one reading, in whatever order and however they are divided. Used are the
values of the outlet (or without a location), the sum over the phases where no total is given, and import minus export
as the signed power; power is calculated from currents and voltages where nothing better is reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from gateway.csms.sampled_values import DISPLAYED_SOC, REGISTER, TOTAL, Measurand, Values, by_measurand, collect
from gateway.model.event import Metered
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

_POWER = Measurand.power_active_import.value, Measurand.power_active_export.value
_CURRENT = Measurand.current_import.value, Measurand.current_export.value
_MEMBERS = {  # of `Metered`; negative zeros become zeros
    REGISTER.value: "energy_charged_wh",
    Measurand.energy_active_export_register.value: "energy_discharged_wh",
    Measurand.soc.value: "soc_pct",
    Measurand.voltage.value: "voltage_v",
    Measurand.frequency.value: "frequency_hz",
    Measurand.energy_request_minimum_v2x.value: "min_v2x_energy_wh",
    Measurand.energy_request_maximum_v2x.value: "max_v2x_energy_wh",
    Measurand.energy_request_minimum.value: "min_energy_wh",
    Measurand.energy_request_target.value: "target_energy_wh",
}
_FLOWING_A = 1.0  # from here on a current shows the phases in use
_LARGEST_MAINS_V = 300.0  # of a phase
_SAME_FLOW_W, _SAME_FLOW_SHARE = 50.0, 0.1  # differences up to these are no second flow


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
    return sorted(found, key=lambda metered: metered.wall or 0.0) if len(found) > 1 else found


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
    collected = collect(samples)
    voltages = collected.get(Measurand.voltage, Values(0))
    voltage = voltages.combined(Measurand.voltage)
    currents = [one for name in _CURRENT if (one := collected.get(name)) is not None]
    if not voltage or not currents:
        return None
    flows = max((list(one.phases.values()) for one in currents), key=lambda found: sum(map(abs, found)))
    if flows:
        largest = max(map(abs, flows))
        flowing = sum(abs(flow) >= largest / 2 for flow in flows)
        return voltage * flowing if largest >= _FLOWING_A else None
    current = max(abs(one.by_place.get(TOTAL, 0.0)) for one in currents)
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
    samples: list[Payload],
    evse: str,
    at: float,
    wall: float | None,
    sign: int,
    scale: float,
    voltage_v: float | None,
) -> Metered | None:
    values = by_measurand(samples)
    if not values:
        return None
    power, current = _net(values, *_POWER, sign), _net(values, *_CURRENT, sign)
    if power is not None:
        power *= scale
    elif current is not None:
        power = _apparent_power(collect(samples), current, sign, voltage_v)
    found: dict[str, Any] = {_MEMBERS[name]: value + 0.0 for name, value in values.items() if name in _MEMBERS}
    soc = found.pop("soc_pct", values.get(DISPLAYED_SOC))
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
    collected: Mapping[str, Values], current: float, sign: int, voltage_v: float | None
) -> float | None:
    """Return the power of currents and voltages, + into the vehicle; per phase where the currents are."""
    voltages = collected.get(Measurand.voltage, Values(0))
    mean = voltages.combined(Measurand.voltage)
    mean = voltage_v if mean is None else mean
    into = collected.get(Measurand.current_import, Values(0)).phases
    out = collected.get(Measurand.current_export, Values(0)).phases
    factor = collected.get(Measurand.power_factor, Values(0)).by_place.get(TOTAL)
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
