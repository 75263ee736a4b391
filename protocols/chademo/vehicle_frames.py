"""Frames of the vehicle for one cycle, from its session and profile. Pure."""

from __future__ import annotations

from functools import lru_cache

from protocols.chademo.frames import (
    NOT_USED,
    BatteryLimits,
    ChargeTime,
    DischargeLimits,
    VehicleExtension,
    VehicleSequence,
    VehicleStatus,
)
from protocols.chademo.layout import Message
from protocols.chademo.levels import raw_level
from protocols.chademo.profile import VehicleProfile
from protocols.chademo.states import VehicleState as State
from protocols.chademo.stops import MATRIX
from protocols.chademo.vehicle_session import VehicleSession

_OPEN_STATES = frozenset({State.STARTED, State.NEGOTIATE, State.PERMITTED, State.CLOSING})
_PERMITTING = frozenset({State.PERMITTED, State.CLOSING, State.CLOSED, State.POWER})
_MOST_A = 0xFF


def key_of_cycle(session: VehicleSession, now: float) -> tuple[object, ...]:
    """Return all that the frames of a cycle depend on."""
    profile, seen = session.profile, session.charger_seen_at
    since = now - seen if seen is not None else -1.0
    return (
        session.state,
        int(session.request_a),
        int(session.ceiling_a),
        session.stop,
        session.inputs.battery.soc_pct,
        session.inputs.contactors_closed,
        session.opened_at,
        session.open_reported,
        session.reports_contactors,
        (seen, since >= profile.levels_after, since >= profile.settled_after, since >= profile.time_after),
    )


def of_cycle(session: VehicleSession, now: float) -> list[Message]:
    """Return the frames in the order of LEAFs: 100, 101, 102, 200, 110, 201, others."""
    profile = session.profile
    seen = session.charger_seen_at
    since = now - seen if seen is not None else None
    messages: list[Message] = [
        _battery_limits(profile, since is not None, session.reports_contactors),
        _charge_time(profile, since),
        _status(session, since),
    ]
    if profile.discharge:
        settled = since is not None and since >= profile.levels_after
        messages.append(_discharge_limits(profile, int(min(session.ceiling_a, _MOST_A)), settled))
    if profile.extension:
        messages.append(_EXTENSION)
    if profile.sequence is not None:
        messages.append(_sequence(profile.sequence))
    messages.extend(profile.extras)
    return messages


_EXTENSION = VehicleExtension(dynamic_control=True)


@lru_cache(maxsize=64)
def _sequence(number: int) -> VehicleSequence:
    return VehicleSequence(sequence=number)


@lru_cache(maxsize=64)
def _battery_limits(profile: VehicleProfile, seen: bool, reporting: bool) -> BatteryLimits:
    constant = profile.rate_constant if reporting else profile.old_rate_constant
    return BatteryLimits(
        min_charge_a=profile.min_charge_a,
        min_voltage_v=profile.min_voltage_v,
        max_voltage_v=profile.max_voltage_v,
        rate_constant=constant if seen else profile.first_rate_constant,
    )


def _charge_time(profile: VehicleProfile, since: float | None) -> ChargeTime:
    if since is None:
        return _times(0, 0, 0)
    capacity = profile.capacity_wh if since >= profile.settled_after else profile.first_capacity_wh
    if since < profile.time_after:
        return _times(0, 0, capacity)
    return _times(NOT_USED, profile.max_time_min, capacity)


@lru_cache(maxsize=256)
def _times(ten_seconds: int, minutes: int, capacity_wh: int) -> ChargeTime:
    return ChargeTime(max_time_10s=ten_seconds, max_time_min=minutes, capacity_wh=capacity_wh)


@lru_cache(maxsize=1024)
def _discharge_limits(profile: VehicleProfile, ceiling_a: int, settled: bool) -> DischargeLimits:
    low, high = profile.first_min_level, 0xFF
    if settled:
        low = raw_level(profile.min_level_pct, profile.capacity_wh, profile.levels_as_energy)
        high = raw_level(profile.max_level_pct, profile.capacity_wh, profile.levels_as_energy)
    return DischargeLimits(
        max_discharge_a=ceiling_a, min_voltage_v=profile.min_discharge_v, min_level=low, max_level=high
    )


def _status(session: VehicleSession, since: float | None) -> VehicleStatus:
    profile, stop = session.profile, session.stop
    fault = MATRIX[stop.cause].vehicle_bit if stop is not None else ""
    return VehicleStatus(
        protocol=profile.protocol,
        target_voltage_v=profile.target_voltage_v,
        charge_request_a=int(min(session.request_a, _MOST_A)),
        battery_overvoltage=fault == "battery_overvoltage",
        battery_undervoltage=fault == "battery_undervoltage",
        current_deviation=fault == "current_deviation",
        battery_overtemperature=fault == "battery_overtemperature",
        voltage_deviation=fault == "voltage_deviation",
        enabled=session.state in _PERMITTING,
        not_in_park=fault == "not_in_park",
        system_fault=fault == "system_fault",
        contactors_open=_reports_open(session, since),
        bit_5_6=profile.bit_5_6,
        discharge_compatible=profile.discharge,
        soc_raw=_soc_raw(session, since),
    )


def _reports_open(session: VehicleSession, since: float | None) -> bool:
    if not session.reports_contactors:
        return False
    if since is None:
        return session.profile.reports_open_at_once
    if session.state in (State.STOPPING, State.OPENING):
        return not session.inputs.contactors_closed and session.opened_at is None
    return session.state in _OPEN_STATES or session.open_reported


def _soc_raw(session: VehicleSession, since: float | None) -> int:
    profile = session.profile
    constant = profile.rate_constant if session.reports_contactors else profile.old_rate_constant
    if profile.first_soc_raw is not None:
        if since is None:
            return profile.first_soc_raw[0]
        if since < profile.settled_after:
            return profile.first_soc_raw[1]
    return min(0xFF, round(session.inputs.battery.soc_pct / 100 * constant))
