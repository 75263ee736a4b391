"""Steps of the vehicle: for each state a function that returns the next state, a stop, or None to stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from protocols.chademo import timers
from protocols.chademo.states import VehicleState as State
from protocols.chademo.stops import Cause, Stop
from protocols.chademo.vehicle_session import VehicleSession

Step: TypeAlias = State | Stop | None
_WELD_PART = 0.25  # of the voltage, one second after the contactors opened


def _started(session: VehicleSession, now: float) -> Step:
    charger = session.charger
    if charger.limits is not None and charger.status is not None:
        session.charger_seen_at = now
        return State.NEGOTIATE
    if now - session.started_at >= timers.CHARGER_FRAMES:
        return Stop(Cause.NO_CHARGER, f"{timers.CHARGER_FRAMES:g} s after the first frame")
    return None


def _negotiate(session: VehicleSession, now: float) -> Step:
    seen = session.charger_seen_at
    if seen is None:
        return None
    if now - session.started_at >= session.profile.permitted_after and now - seen >= timers.CYCLE:
        session.k = True
        return State.PERMITTED
    return None


def _permitted(session: VehicleSession, now: float) -> Step:
    if session.inputs.d2:
        session.d2_at = now
        return State.CLOSING
    if now - session.entered >= timers.D2_AWAITED:
        return Stop(Cause.NO_POWER_START, f"no d2 {timers.D2_AWAITED:g} s after permission")
    return None


def _closing(session: VehicleSession, now: float) -> Step:
    since = now - session.entered
    if not session.contactors:
        if session.inputs.inlet_v >= timers.CLOSE_BELOW_V:
            if since >= timers.CABLE_WITHOUT_VOLTAGE:
                return Stop(Cause.NO_POWER_START, f"{session.inputs.inlet_v:.0f} V at the inlet before closing")
        elif since >= session.profile.close_after:
            session.contactors = True
    if session.contactors and session.inputs.contactors_closed:
        return State.CLOSED
    return None


def _closed(session: VehicleSession, now: float) -> Step:
    if now - session.entered >= session.profile.request_after:
        session.idle_since = now
        return State.POWER
    return None


def _power(session: VehicleSession, now: float) -> Step:
    if session.power_seen_at is None and now - session.entered >= timers.POWER_AWAITED:
        return Stop(Cause.NO_POWER_START, f"no power {timers.POWER_AWAITED:g} s after the first request")
    return None


def _stopping(session: VehicleSession, now: float) -> Step:
    if not session.contactors:
        return State.OPENING
    measured = abs(session.inputs.current_a) <= timers.LOW_CURRENT_A
    silent = session.stop is not None and session.stop.cause in (Cause.CHARGER_SILENT, Cause.UNPLUGGED)
    reported = silent or (not session.charger.power and session.charger.current_a <= timers.LOW_CURRENT_A)
    if measured and reported:
        return State.OPENING
    if now - session.entered >= timers.CHARGER_OFF:
        if not measured:
            session.adopt(Stop(Cause.CURRENT_REMAINS, f"{session.inputs.current_a:.0f} A"))
        return State.OPENING
    return None


def _opening(session: VehicleSession, now: float) -> Step:
    if session.contactors:
        error = session.stop is not None and session.stop.error
        if not error and now - session.entered < session.profile.open_after:
            return None
        session.contactors, session.opened_at = False, now
        session.open_v = session.inputs.inlet_v
        return None
    if session.opened_at is not None:
        since = now - session.opened_at
        if since < session.profile.weld_check:
            return None
        welded = session.inputs.contactors_closed or session.inputs.inlet_v > max(
            session.open_v * _WELD_PART, timers.CLOSE_BELOW_V
        )
        if welded and since < timers.WELD_FALL + session.profile.weld_check:
            return None
        if welded:
            session.service_lock = Stop(Cause.WELDED, f"{session.inputs.inlet_v:.0f} V at the inlet")
            session.adopt(session.service_lock)
            return State.FAULT
    session.open_reported = True
    return State.FAULT if session.stop is not None and session.stop.error else State.ENDED


STEPS: dict[State, Callable[[VehicleSession, float], Step]] = {
    State.STARTED: _started,
    State.NEGOTIATE: _negotiate,
    State.PERMITTED: _permitted,
    State.CLOSING: _closing,
    State.CLOSED: _closed,
    State.POWER: _power,
    State.STOPPING: _stopping,
    State.OPENING: _opening,
}
