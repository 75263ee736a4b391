"""Steps of the charger: for each state a function that returns the next state, a stop, or None to stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from protocols.chademo import timers
from protocols.chademo.charger_session import ChargerSession
from protocols.chademo.states import ChargerState as State
from protocols.chademo.stops import Cause, Stop

Step: TypeAlias = State | Stop | None
FIRST_REPORTING = 2  # protocol number from which vehicles report their contactors


def _wake(session: ChargerSession, now: float) -> Step:
    vehicle = session.vehicle
    if None not in (vehicle.limits, vehicle.time, vehicle.status):
        return State.NEGOTIATE
    if vehicle.status is None and session.inputs.k:
        return Stop(Cause.PERMISSION_INCONSISTENT, "k before the first frame")
    if now - session.started_at >= timers.FIRST_FRAME and vehicle.status is None:
        return Stop(Cause.NO_VEHICLE, f"{timers.FIRST_FRAME:g} s after d1")
    return _start_overdue(session, now)


def _negotiate(session: ChargerSession, now: float) -> Step:
    status = session.vehicle.status
    if status is not None and status.enabled and session.inputs.k and session.cycles:
        session.permitted_at = now
        return State.CHECK
    return _start_overdue(session, now)


def _start_overdue(session: ChargerSession, now: float) -> Step:
    if now - session.started_at >= timers.PERMISSION:
        return Stop(Cause.NO_POWER_START, f"no permission of the vehicle {timers.PERMISSION:g} s after d1")
    return None


def _check(session: ChargerSession, now: float) -> Step:
    status, limits, settings = session.vehicle.status, session.vehicle.limits, session.settings
    if status is None or limits is None:
        return None
    if status.target_voltage_v > settings.max_voltage_v:
        return Stop(
            Cause.BATTERY_INCOMPATIBLE,
            f"target voltage {status.target_voltage_v} V, available {settings.max_voltage_v} V",
        )
    stated = f"battery {limits.min_voltage_v} to {limits.max_voltage_v} V, charger from {settings.min_voltage_v} V"
    too_low = 0 < limits.max_voltage_v < settings.min_voltage_v
    if too_low or (settings.strict and 0 < limits.min_voltage_v < settings.min_voltage_v):
        return Stop(Cause.BATTERY_INCOMPATIBLE, stated)
    session.lock = True
    return State.LOCK


def _lock(session: ChargerSession, now: float) -> Step:
    if session.inputs.locked and session.inputs.voltage_v < timers.SAFE_V:
        session.lock_bit = True
        session.test_v = float(session.settings.test_voltage_v)
        return State.INSULATION
    return _d2_overdue(session, now)


def _insulation(session: ChargerSession, now: float) -> Step:
    measured = session.inputs.insulation_ohm
    if session.tested_at is None and measured is not None and now - session.entered >= session.settings.test_s:
        required = timers.INSULATION_OHM_PER_V * session.settings.test_voltage_v
        if measured < required:
            return Stop(Cause.INSULATION, f"{measured:.0f} ohm, {required:.0f} ohm required")
        session.tested_at, session.test_v = now, 0.0
    if session.tested_at is not None and session.inputs.voltage_v < timers.CLOSE_BELOW_V:
        session.d2, session.d2_at = True, now
        return State.READY
    return _d2_overdue(session, now)


def _d2_overdue(session: ChargerSession, now: float) -> Step:
    if session.permitted_at is not None and now - session.permitted_at >= timers.D2_AFTER_PERMISSION:
        what = "the lock is not closed or the cable has a voltage" if not session.lock_bit else "no insulation test"
        return Stop(Cause.NO_POWER_START, f"{what} {timers.D2_AFTER_PERMISSION:g} s after permission")
    return None


def _ready(session: ChargerSession, now: float) -> Step:
    reported = session.protocol >= FIRST_REPORTING
    seen = session.inputs.voltage_v > timers.BATTERY_SEEN_V
    if (not session.contactors_open) if reported else seen:
        session.closed_at = now
        return State.WAIT_REQUEST
    if session.d2_at is not None and now - session.d2_at >= timers.CONTACTORS_CLOSED:
        return Stop(Cause.NO_POWER_START, f"no closed contactors {timers.CONTACTORS_CLOSED:g} s after d2")
    return None


def _wait_request(session: ChargerSession, now: float) -> Step:
    since = now - session.entered
    if since >= timers.VOLTAGE_AFTER_CLOSED and session.inputs.voltage_v < timers.BATTERY_SEEN_V:
        return Stop(Cause.NO_VOLTAGE, f"{session.inputs.voltage_v:.0f} V")
    if session.inputs.voltage_v >= timers.BATTERY_SEEN_V and session.requested_current:
        session.power_bit = True
        session.power_at = session.current_seen_at = now
        return State.POWER
    if since >= timers.FIRST_REQUEST:
        return Stop(Cause.NO_POWER_START, f"no request {timers.FIRST_REQUEST:g} s after the contactors closed")
    return None


def _stopping(session: ChargerSession, now: float) -> Step:
    if session.power_bit and session.cycles == session.stopped_cycle:
        return None  # 109.5.5 is set at least one frame before 109.5.0 is cleared
    if abs(session.inputs.current_a) <= timers.LOW_CURRENT_A or session.contactors_open:
        session.power_bit = False
        session.test_v = 0.0
        return State.WELD_CHECK
    if now - session.entered >= timers.CURRENT_OFF:
        return Stop(Cause.CURRENT_REMAINS, f"{session.inputs.current_a:.0f} A")
    return None


def _weld_check(session: ChargerSession, now: float) -> Step:
    since, low = now - session.entered, session.inputs.voltage_v <= timers.SAFE_V
    if session.closed_at is None and session.d2_at is None:
        return _release(session)  # d2 was never on: the contactors were never closed
    reported = session.protocol >= FIRST_REPORTING and session.stop is not None
    lost = session.stop is not None and session.stop.cause in (Cause.VEHICLE_SILENT, Cause.UNPLUGGED)
    if reported and not lost:
        if session.contactors_open and low:
            return _release(session)
    elif low and (lost or since >= timers.CONTACTORS_OPEN_UNREPORTED):
        return _release(session)
    if since >= timers.CONTACTORS_OPEN:
        session.adopt(Stop(Cause.CONTACTORS_REMAIN_CLOSED, f"{session.inputs.voltage_v:.0f} V at the cable"))
        return _release(session)
    return None


def _release(session: ChargerSession) -> Step:
    session.d2 = False
    return State.RELEASE


def _release_wait(session: ChargerSession, now: float) -> Step:
    since = now - session.entered
    if since >= timers.D1_AFTER_D2:
        session.d1 = False
        if session.released_at is None and session.inputs.voltage_v <= timers.SAFE_V:
            session.lock = session.lock_bit = False
            session.released_at = now
    if session.released_at is not None and now - session.released_at >= timers.SILENT_AFTER_RELEASE:
        return State.FAULT if session.stop is not None and session.stop.error else State.IDLE
    return None


STEPS: dict[State, Callable[[ChargerSession, float], Step]] = {
    State.WAKE: _wake,
    State.NEGOTIATE: _negotiate,
    State.CHECK: _check,
    State.LOCK: _lock,
    State.INSULATION: _insulation,
    State.READY: _ready,
    State.WAIT_REQUEST: _wait_request,
    State.STOPPING: _stopping,
    State.WELD_CHECK: _weld_check,
    State.RELEASE: _release_wait,
}
