"""The EVCC's reactions to charge loop, welding detection and session stop responses, as pure functions.

The EVCC terminates the session if the current stays outside the EV's limits for some seconds, and at once if it flows
in reverse without BPT. Source: ISO 15118-20, ChargeLoop, EVSENotification, WeldingDetection, SessionStop; V2G20-1477.
"""

from __future__ import annotations

from dataclasses import replace

from protocols.frozen import changed
from protocols.iso15118.iso20 import ac_messages
from protocols.iso15118.iso20.ac import AC_ChargeLoopRes
from protocols.iso15118.iso20.common import ChargingSession, SessionStopRes
from protocols.iso15118.iso20.dc import DC_ChargeLoopRes, DC_WeldingDetectionRes
from protocols.iso15118.iso20.evcc_session import EvccContext, EvSession, Reaction
from protocols.iso15118.iso20.evcc_setup import terminate
from protocols.iso15118.iso20.events import (
    ChargeLoopAnswered,
    Event,
    Notified,
    Paused,
    ServicesReopened,
    SessionEnded,
    SessionPaused,
    Warned,
    WeldingChecked,
)
from protocols.iso15118.iso20.loop import StationReport
from protocols.iso15118.iso20.orders import Stop
from protocols.iso15118.iso20.rational import number
from protocols.iso15118.iso20.states import Step
from protocols.iso15118.iso20.types import EVSENotification, EVSEStatus, ResponseCode
from protocols.iso15118.session.guard import judge

_STOPS = {
    EVSENotification.Terminate: ChargingSession.Terminate,
    EVSENotification.Pause: ChargingSession.Pause,
    EVSENotification.ServiceRenegotiation: ChargingSession.ServiceRenegotiation,
}


def on_dc_loop(response: DC_ChargeLoopRes, session: EvSession, context: EvccContext) -> Reaction:
    report = context.memory.read_response(response, session.evse_limits)
    session = _guard(report, session, context)
    return _on_loop(report, response.ResponseCode, response.EVSEStatus, session, context)


def on_ac_loop(response: AC_ChargeLoopRes, session: EvSession, context: EvccContext) -> Reaction:
    report = ac_messages.read_response(response, session.evse_limits)
    return _on_loop(report, response.ResponseCode, response.EVSEStatus, session, context)


def _on_loop(
    report: StationReport, code: ResponseCode, status: EVSEStatus | None, session: EvSession, context: EvccContext
) -> Reaction:
    notification = status.EVSENotification if status is not None else None
    events: list[Event] = [ChargeLoopAnswered(station=report, code=code, notification=notification)]
    if code.startswith("WARNING"):
        events.append(Warned("ChargeLoopRes", code))
    session = changed(session, station=report, meter=report.meter or session.meter, loops=session.loops + 1)
    step = Step.STANDBY if session.standby else Step.CHARGE_LOOP
    if status is not None:
        session, step = _notified(status, session, step, events, context)
    return Reaction(step, session, tuple(events), poll=True)


def _notified(
    status: EVSEStatus, session: EvSession, step: Step, events: list[Event], context: EvccContext
) -> tuple[EvSession, Step]:
    notification = status.EVSENotification
    events.append(Notified(notification, status.NotificationMaxDelay))
    if notification in context.settings.ignores:
        return session, step
    if notification in _STOPS:
        if session.stop is None:
            kind = _STOPS[notification]
            session = replace(session, stop=Stop(kind, None, f"requested by the charger: {notification}"))
    elif notification is EVSENotification.ExitStandby and session.standby:
        step = Step.POWER_START
    elif notification is EVSENotification.ScheduleRenegotiation and not session.renegotiated and not session.standby:
        session = replace(session, renegotiating=True)
    elif notification is EVSENotification.MeteringConfirmation and context.settings.metering_signer is not None:
        session = replace(session, confirming=session.meter is not None)
    return session, step


def _guard(report: StationReport, session: EvSession, context: EvccContext) -> EvSession:
    """Terminate when the current flows in reverse without BPT, or has been beyond the EV's limits for too long."""
    current, car, since = report.present_current_a or 0.0, context.car, session.outside_since
    bpt, for_s = session.agreed.is_bpt, context.settings.guard_s
    found = judge(current, car.limits, car.voltage_v, discharges=bpt, since=since, now=context.now, for_s=for_s)
    if found.outside_since != since:
        session = replace(session, outside_since=found.outside_since)
    return session if found.refusal is None else terminate(session, "current outside limits", found.refusal)


def on_welding_detection(response: DC_WeldingDetectionRes, session: EvSession, context: EvccContext) -> Reaction:
    voltage = number(response.EVSEPresentVoltage)
    done = session.welding_done + 1
    session = replace(session, welding_done=done)
    if voltage >= context.settings.safe_voltage_v and done < context.settings.welding_polls:
        return Reaction(Step.WELDING_DETECTION, session, poll=True)
    return Reaction(Step.SESSION_STOP, session, (WeldingChecked(voltage),))


def on_session_stop(response: SessionStopRes, session: EvSession, context: EvccContext) -> Reaction:
    stop = session.stop or Stop()
    if stop.kind is ChargingSession.ServiceRenegotiation:
        fresh = EvSession(
            session_id=session.session_id,
            namespace=session.namespace,
            resumed=session.resumed,
            evse_id=session.evse_id,
            loops=session.loops,
        )
        return Reaction(Step.SERVICE_DISCOVERY, fresh, (ServicesReopened(),))
    events: list[Event] = []
    if stop.kind is ChargingSession.Pause:
        events.append(SessionPaused(Paused(session.session_id, context.settings.evccid, session.choice)))
    reason = "paused" if stop.kind is ChargingSession.Pause else "ended"
    events.append(
        SessionEnded(
            reason=stop.explanation or reason,
            ok=stop.code is None,
            kind=stop.kind,
            termination_code=stop.code,
            explanation=stop.explanation,
        )
    )
    return Reaction(Step.ENDED, session, tuple(events))
