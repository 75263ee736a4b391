"""Plausibility of reported values; every event is checked here before it is applied. Pure.

A meter may report 10^300 W, a vehicle a battery of -5 Wh, a station whose clock was never set a reading of 1970. An
implausible value is left out, as if it had not been reported: no power, no state of charge, no battery capacity. A
limit that is no number allows nothing. The bounds are wide: they exclude the impossible, not the unlikely.
"""

from __future__ import annotations

import math
from dataclasses import replace

from gateway.model.event import Event, EvseDescribed, Metered, NeedsStated, PowerLimits, VehicleNeeds
from gateway.model.moment import is_moment

MOST_W = 1e8  # of one EVSE; the largest in the field have a few MW
MOST_WH = 1e12  # of an energy register
MOST_REQUEST_WH = 1e9  # of one battery
MOST_V, MOST_A, MOST_HZ = 1e5, 1e5, 1e3
SOC_SLACK_PCT = 1.0  # a vehicle may report 100.4 % when it is full


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
    return replace(
        event,
        wall=_moment(event.wall),
        power_w=_within(event.power_w, MOST_W),
        energy_charged_wh=_within(event.energy_charged_wh, MOST_WH),
        energy_discharged_wh=_within(event.energy_discharged_wh, MOST_WH),
        soc_pct=_percent(event.soc_pct),
        voltage_v=_within(event.voltage_v, MOST_V),
        current_a=_within(event.current_a, MOST_A),
        frequency_hz=_within(event.frequency_hz, MOST_HZ),
        min_v2x_energy_wh=_within(event.min_v2x_energy_wh, MOST_REQUEST_WH),
        max_v2x_energy_wh=_within(event.max_v2x_energy_wh, MOST_REQUEST_WH),
        min_energy_wh=_within(event.min_energy_wh, MOST_REQUEST_WH),
        target_energy_wh=_within(event.target_energy_wh, MOST_REQUEST_WH),
    )


def _needs(needs: VehicleNeeds) -> VehicleNeeds:
    capacity_wh = _within(needs.battery_capacity_wh, MOST_REQUEST_WH)
    return replace(
        needs,
        limits=_limits(needs.limits),
        target_energy_wh=_within(needs.target_energy_wh, MOST_REQUEST_WH),
        min_energy_wh=_within(needs.min_energy_wh, MOST_REQUEST_WH),
        max_energy_wh=_within(needs.max_energy_wh, MOST_REQUEST_WH),
        min_v2x_energy_wh=_within(needs.min_v2x_energy_wh, MOST_REQUEST_WH),
        max_v2x_energy_wh=_within(needs.max_v2x_energy_wh, MOST_REQUEST_WH),
        soc_pct=_percent(needs.soc_pct),
        target_soc_pct=_percent(needs.target_soc_pct),
        departure=_moment(needs.departure),
        battery_capacity_wh=capacity_wh if capacity_wh is not None and capacity_wh > 0 else None,
    )


def _limits(limits: PowerLimits) -> PowerLimits:
    return PowerLimits(
        _magnitude(limits.max_charge_w),
        _magnitude(limits.max_discharge_w),
        _magnitude(limits.min_charge_w),
        _magnitude(limits.min_discharge_w),
    )


def _magnitude(value: float) -> float:
    """Return 0 for what is no number or below 0, and the bound for what is beyond it."""
    return 0.0 if math.isnan(value) else min(max(0.0, value), MOST_W)


def _within(value: float | None, most: float) -> float | None:
    return value if value is not None and abs(value) <= most else None


def _percent(value: float | None) -> float | None:
    if value is None or not -SOC_SLACK_PCT <= value <= 100.0 + SOC_SLACK_PCT:
        return None
    return min(100.0, max(0.0, value))


def _moment(wall: float | None) -> float | None:
    return wall if wall is not None and is_moment(wall) else None
