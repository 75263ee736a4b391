"""Supervision by the vehicle: the rows of the stop matrix as functions of session and time."""

from __future__ import annotations

from protocols.chademo import timers
from protocols.chademo.states import VehicleState as State
from protocols.chademo.stops import Cause, Stop
from protocols.chademo.vehicle_session import VehicleSession

_TALKING = frozenset({State.NEGOTIATE, State.PERMITTED, State.CLOSING, State.CLOSED, State.POWER})
_WITH_D2 = frozenset({State.CLOSING, State.CLOSED, State.POWER})
_ACTIVE = frozenset({State.STARTED, *_TALKING})
_VOLTAGE_V, _VOLTAGE_PART = 10.0, 1 / 8


def violated(session: VehicleSession, now: float, status_age: float) -> Stop | None:
    """Return the stop that the present inputs and frames require; None without one."""
    if session.state not in _ACTIVE:
        return None
    stop = _vehicle(session) or _lines(session)
    if stop is None and session.state in _TALKING:
        stop = _charger(session, now, status_age)
    if stop is None and session.state is State.POWER and session.charger.power:
        stop = _power(session, now)
    return stop


def _vehicle(session: VehicleSession) -> Stop | None:
    faults = session.inputs.battery.faults
    if faults:
        return Stop(sorted(faults)[0])
    return None if session.inputs.parked else Stop(Cause.NOT_IN_PARK)


def _lines(session: VehicleSession) -> Stop | None:
    inputs = session.inputs
    if not inputs.plugged:
        return Stop(Cause.UNPLUGGED)
    if not inputs.d1 or (session.state in _WITH_D2 and not inputs.d2):
        what = "d1 opened" if not inputs.d1 else "d2 opened"
        return Stop(Cause.CHARGER_STOP if session.power_seen_at is not None else Cause.NO_POWER_START, what)
    return None


def _charger(session: VehicleSession, now: float, status_age: float) -> Stop | None:
    if status_age >= timers.FRAME_LOSS:
        cause = Cause.CHARGER_SILENT if session.state in _WITH_D2 else Cause.NO_POWER_START
        return Stop(cause, f"no frame of the charger for {status_age:.1f} s in state {session.state}")
    status = session.charger.status
    if status is None:
        return None
    if status.fault:
        for fault, cause in _FAULTS.items():
            if getattr(status, fault):
                return Stop(cause)
    if session.power_seen_at is None:
        if session.lock_seen and not status.locked:
            return Stop(Cause.NO_POWER_START, "the charger unlocked")
        return None
    if not status.locked:
        return Stop(Cause.LOCK_LOST)
    if session.stop_seen_at is not None and now - session.stop_seen_at >= session.profile.stop_after:
        return Stop(Cause.CHARGER_STOP)
    return None


_FAULTS = {
    "malfunction": Cause.CHARGER_MALFUNCTION,
    "battery_incompatible": Cause.BATTERY_INCOMPATIBLE,
    "system_fault": Cause.CHARGER_SYSTEM_FAULT,
}


def _power(session: VehicleSession, now: float) -> Stop | None:
    status, profile = session.charger.status, session.profile
    if status is None or session.power_seen_at is None:
        return None
    if status.remaining_min == 0 and status.remaining_10s in (0, 0xFF) and not status.stopped:
        return Stop(Cause.TIME_UP)
    since = now - session.power_seen_at
    battery_v = session.inputs.battery.voltage_v
    off = abs(status.voltage_v - battery_v) > max(_VOLTAGE_V, battery_v * _VOLTAGE_PART)
    if since >= timers.DEVIATION_GRACE and session.durations.lasts("voltage", off, now, timers.VOLTAGE_DEVIATION):
        return Stop(Cause.VOLTAGE_DEVIATION, f"charger {status.voltage_v} V, battery {battery_v:.0f} V")
    request = session.request_a
    off = abs(status.charge_a - request) > max(profile.deviation_a, request * profile.deviation_part)
    if session.durations.lasts("current", off, now, timers.DEVIATION):
        return Stop(Cause.CURRENT_DEVIATION, f"{status.charge_a} A of {request:.0f} A requested")
    discharge_a = max(-session.inputs.current_a, 0.0)
    if session.charger.discharge is not None:
        discharge_a = max(discharge_a, session.charger.discharge.discharge_a)
    beyond = discharge_a >= session.ceiling_a + profile.discharge_excess_a
    if session.durations.lasts("discharge", beyond, now, timers.DEVIATION):
        return Stop(Cause.CURRENT_DEVIATION, f"discharging {discharge_a:.0f} A, limit {session.ceiling_a:.0f} A")
    if session.charger.current_a >= timers.DIRECTION_A:
        session.idle_since = now
    elif profile.idle_end is not None and now - session.idle_since >= profile.idle_end:
        return Stop(Cause.IDLE, f"{profile.idle_end:g} s")
    return None
