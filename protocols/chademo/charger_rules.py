"""Supervision by the charger: the rows of the stop matrix as functions of session and time."""

from __future__ import annotations

from protocols.chademo import timers
from protocols.chademo.charger_session import ChargerSession
from protocols.chademo.states import ChargerState as State
from protocols.chademo.stops import Cause, Stop

_CLOSED_CIRCUIT = frozenset({State.READY, State.WAIT_REQUEST, State.POWER})
_PERMITTED = frozenset({State.CHECK, State.LOCK, State.INSULATION, *_CLOSED_CIRCUIT})
_TALKING = frozenset({State.NEGOTIATE, *_PERMITTED})
_ENDING = frozenset({State.STOPPING, State.WELD_CHECK, State.RELEASE})


def violated(session: ChargerSession, now: float, status_age: float) -> Stop | None:
    """Return the stop that the present inputs and frames require; None without one."""
    stop = _hardware(session) or _vehicle(session)
    if stop is not None:
        return stop
    if session.state in _ENDING:
        return _voltage_after_stop(session, now)
    if session.state in _TALKING:
        stop = _silence(session, status_age) or _withdrawn(session, now)
    if stop is None and session.state is State.POWER:
        stop = _power(session, now)
    return stop


def _hardware(session: ChargerSession) -> Stop | None:
    inputs = session.inputs
    if inputs.malfunction:
        return Stop(Cause.CHARGER_MALFUNCTION, inputs.malfunction)
    if inputs.earth_fault:
        return Stop(Cause.EARTH_FAULT)
    if not inputs.protective_earth:
        return Stop(Cause.PROTECTIVE_EARTH_LOST)
    if not inputs.plugged:
        return Stop(Cause.UNPLUGGED)
    if session.lock_bit and session.state is not State.RELEASE and not inputs.locked:
        return Stop(Cause.LOCK_LOST)
    if session.state is State.POWER and inputs.insulation_ohm is not None:
        required = timers.INSULATION_OHM_PER_V * max(inputs.voltage_v, timers.BATTERY_SEEN_V)
        if inputs.insulation_ohm < required:
            return Stop(Cause.INSULATION, f"{inputs.insulation_ohm:.0f} ohm, {required:.0f} ohm required")
    return None


def _vehicle(session: ChargerSession) -> Stop | None:
    status = session.vehicle.status
    if status is None:
        return None
    if status.fault:
        return Stop(Cause.VEHICLE_FAULT, status.fault)
    if status.not_in_park:
        return Stop(Cause.NOT_IN_PARK)
    if session.state in _ENDING:
        return None
    if status.stop_before_charge and not session.requested_current:
        return Stop(Cause.VEHICLE_STOP_BEFORE_CHARGE)
    if session.target_seen and status.target_voltage_v == 0:
        return Stop(Cause.TARGET_VOLTAGE_ZERO)
    return None


def _silence(session: ChargerSession, status_age: float) -> Stop | None:
    if status_age < session.settings.frame_loss:
        return None
    cause = Cause.VEHICLE_SILENT if session.state is State.POWER else Cause.NO_POWER_START
    return Stop(cause, f"no frame of the vehicle for {status_age:.1f} s in state {session.state}")


def _withdrawn(session: ChargerSession, now: float) -> Stop | None:
    status = session.vehicle.status
    if status is None:
        return None
    if session.state in _PERMITTED:
        if status.enabled and session.inputs.k:
            return None
        return Stop(Cause.VEHICLE_STOP, "102.5.0" if session.inputs.k else "k")
    inconsistent = status.enabled != session.inputs.k
    if session.durations.lasts("permission", inconsistent, now, timers.PERMISSION_SKEW):
        return Stop(Cause.PERMISSION_INCONSISTENT, f"k {session.inputs.k}, 102.5.0 {status.enabled}")
    return None


def _power(session: ChargerSession, now: float) -> Stop | None:
    voltage, settings = session.inputs.voltage_v, session.settings
    if voltage > session.threshold_v:
        return Stop(Cause.OVERVOLTAGE, f"{voltage:.0f} V, threshold {session.threshold_v} V")
    status = session.vehicle.status
    target = status.target_voltage_v if status is not None else 0
    starved = voltage > target and session.current_a > 2.0 and session.inputs.current_a < session.current_a / 2
    if session.durations.lasts("no current", starved, now, timers.NO_CURRENT):
        return Stop(Cause.NO_CURRENT, f"{voltage:.0f} V, target {target} V, {session.inputs.current_a:.0f} A")
    if session.durations.lasts("undervoltage", _below_floor(session), now, timers.SUSTAINED):
        return Stop(Cause.UNDERVOLTAGE, f"{voltage:.0f} V, threshold {session.floor_v} V")
    too_much = settings.strict and session.request_a > session.offered_a
    if session.durations.lasts("request", too_much, now, timers.SUSTAINED):
        return Stop(Cause.REQUEST_TOO_HIGH, f"{session.request_a} A of {session.offered_a} A")
    if settings.session_min is not None or not session.discharge_agreed:
        limit = session_minutes(session)
        if limit is not None and session.power_at is not None and now - session.power_at >= 60 * limit:
            return Stop(Cause.TIME_UP)
    return None


def session_minutes(session: ChargerSession) -> float | None:
    """Return the longest time with power in minutes; None without a limit."""
    own, time = session.settings.session_min, session.vehicle.time
    if session.discharge_agreed or time is None:
        return own
    vehicle = time.max_time_10s / 6 if time.max_time_10s not in (0, 0xFF) else float(time.max_time_min)
    if not vehicle or vehicle == 0xFF:
        return own
    return vehicle if own is None else min(float(own), vehicle)


def _below_floor(session: ChargerSession) -> bool:
    """Return whether the voltage is at the floor of the vehicle: of discharging, and of the battery in any case."""
    vehicle, voltage = session.vehicle, session.inputs.voltage_v
    if vehicle.limits is not None and voltage <= vehicle.limits.min_voltage_v:
        return True
    discharging = session.requested_a < 0 or session.inputs.current_a < -timers.DIRECTION_A
    return discharging and vehicle.discharge is not None and voltage <= vehicle.discharge.min_voltage_v


def _voltage_after_stop(session: ChargerSession, now: float) -> Stop | None:
    """Return the error of a voltage that stays out of range after the stop for it."""
    stop = session.stop
    if stop is None or stop.error or session.contactors_open:
        return None
    voltage = session.inputs.voltage_v
    if stop.cause is Cause.OVERVOLTAGE:
        high = voltage > session.threshold_v
        if session.durations.lasts("overvoltage after stop", high, now, timers.SUSTAINED):
            return Stop(Cause.OVERVOLTAGE_SUSTAINED, f"{voltage:.0f} V")
    if stop.cause is Cause.UNDERVOLTAGE:
        low = _below_floor(session) and voltage > timers.BATTERY_SEEN_V
        if session.durations.lasts("undervoltage after stop", low, now, timers.SUSTAINED):
            return Stop(Cause.UNDERVOLTAGE_SUSTAINED, f"{voltage:.0f} V")
    return None
