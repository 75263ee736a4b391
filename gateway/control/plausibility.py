"""Plausibility of reported values; every event is checked here before it is applied. Pure.

A meter may report 10^300 W, a vehicle a battery of -5 Wh, a station whose clock was never set a reading of 1970. An
implausible value is left out, as if it had not been reported: no power, no state of charge, no battery capacity. A
limit that is no number allows nothing. The bounds are wide: they exclude the impossible, not the unlikely.
"""

from __future__ import annotations

import math
from dataclasses import astuple, fields, replace
from operator import attrgetter
from typing import Any

from gateway.model.event import Event, EvseDescribed, Metered, NeedsStated, PowerLimits, VehicleNeeds
from gateway.model.message import EARLIEST, LATEST, is_moment

MOST_W = 1e8  # of one EVSE; the largest in the field have a few MW
MOST_REQUEST_WH = 1e9  # of one battery
MOST = {
    "power_w": MOST_W,
    **dict.fromkeys(("energy_charged_wh", "energy_discharged_wh"), 1e12),  # registers
    **dict.fromkeys(("voltage_v", "current_a"), 1e5),
    "frequency_hz": 1e3,
    **dict.fromkeys(("target_energy_wh", "min_energy_wh", "max_energy_wh"), MOST_REQUEST_WH),
    **dict.fromkeys(("min_v2x_energy_wh", "max_v2x_energy_wh", "battery_capacity_wh"), MOST_REQUEST_WH),
}
SOC_SLACK_PCT = 1.0  # a vehicle may report 100.4 % when it is full
_RANGES = {  # of a reading of which nothing is left out or changed
    "wall": (EARLIEST, LATEST),
    "soc_pct": (0.0, 100.0),
    **{one.name: (-MOST[one.name], MOST[one.name]) for one in fields(Metered) if one.name in MOST},
}
_METERED, _PLAUSIBLE = attrgetter(*_RANGES), tuple(_RANGES.values())


def plausible(event: Event) -> Event:
    """Return the event without implausible values."""
    match event:
        case Metered():
            return _metered(event)
        case NeedsStated():
            return replace(event, needs=_needs(event.needs))
        case EvseDescribed():
            return replace(event, limits=_limits(event.limits))
    return event


def _metered(event: Metered) -> Metered:
    for value, (low, high) in zip(_METERED(event), _PLAUSIBLE, strict=True):
        if value is not None and not low <= value <= high:
            break
    else:
        return event
    return replace(event, wall=_moment(event.wall), soc_pct=_percent(event.soc_pct), **_bounded(event))


def _needs(needs: VehicleNeeds) -> VehicleNeeds:
    bounded = _bounded(needs)
    return replace(
        needs,
        limits=_limits(needs.limits),
        soc_pct=_percent(needs.soc_pct),
        target_soc_pct=_percent(needs.target_soc_pct),
        departure=_moment(needs.departure),
        **bounded | {"battery_capacity_wh": max(0.0, bounded["battery_capacity_wh"] or 0.0) or None},
    )


def _bounded(reported: Metered | VehicleNeeds) -> dict[str, Any]:
    """Return the values with a bound, None where they are beyond it."""
    values = {one.name: getattr(reported, one.name) for one in fields(reported) if one.name in MOST}
    return {name: value if value is not None and abs(value) <= MOST[name] else None for name, value in values.items()}


def _limits(limits: PowerLimits) -> PowerLimits:
    return PowerLimits(*map(_magnitude, astuple(limits)))


def _magnitude(value: float) -> float:
    """Return 0 for what is no number or below 0, and the bound for what is beyond it."""
    return 0.0 if math.isnan(value) else min(max(0.0, value), MOST_W)


def _percent(value: float | None) -> float | None:
    if value is None or not 0.0 <= value <= 100.0 + SOC_SLACK_PCT:  # -1 stands for an unknown one
        return None
    return min(100.0, value)


def _moment(wall: float | None) -> float | None:
    return wall if wall is not None and is_moment(wall) else None
