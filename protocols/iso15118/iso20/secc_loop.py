"""The SECC's responses around the charge loop: power delivery, loop, welding detection, stop.

Pure functions of request, session and context. `setpoint.py` decides the power; its limits are combined here. Source:
ISO 15118-20, PowerDelivery, ChargeLoop, MeteringConfirmation, WeldingDetection, SessionStop; V2G20-1477, 2188, 2654,
2655. In scheduled control the operator's set-point only caps the EV's power.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from protocols.frozen import changed
from protocols.iso15118.iso20 import ac_messages, dc_loop
from protocols.iso15118.iso20.ac import AC_ChargeLoopReq
from protocols.iso15118.iso20.common import (
    ChannelSelection,
    ChargeProgress,
    ChargingSession,
    PowerDeliveryReq,
    PowerDeliveryRes,
    SessionStopReq,
    SessionStopRes,
)
from protocols.iso15118.iso20.dc import DC_ChargeLoopReq, DC_WeldingDetectionReq, DC_WeldingDetectionRes
from protocols.iso15118.iso20.events import (
    ChargeLoopRequested,
    Event,
    Paused,
    PowerStarted,
    PowerStopped,
    Renegotiated,
    ServicesReopened,
    SessionEnded,
    SessionPaused,
    StandbyEntered,
    Warned,
    WeldingChecked,
)
from protocols.iso15118.iso20.limits import Limits, PowerRange
from protocols.iso15118.iso20.loop import CarReport, StationReport
from protocols.iso15118.iso20.rational import rational
from protocols.iso15118.iso20.schedules import Profile, ScheduleOffer, profile_fault, read_profile
from protocols.iso15118.iso20.secc_session import Answer, Fault, Refusal, RequestContext, Session
from protocols.iso15118.iso20.secc_setup import session_binding
from protocols.iso15118.iso20.services import MobilityNeedsMode
from protocols.iso15118.iso20.setpoint import Target, decide
from protocols.iso15118.iso20.states import State
from protocols.iso15118.iso20.types import EVSENotification, Processing, ResponseCode, V2GResponse

_LEAVING = frozenset({EVSENotification.Terminate, EVSENotification.Pause, EVSENotification.ServiceRenegotiation})
_STARTING = frozenset({EVSENotification.ExitStandby})
_RENEGOTIATING = frozenset({EVSENotification.ScheduleRenegotiation})


# --------------------------------------------------------------------------------------------------- power delivery


def answer_power_delivery(request: PowerDeliveryReq, session: Session, context: RequestContext) -> Answer:
    if request.EVProcessing is not Processing.Finished and request.ChargeProgress is ChargeProgress.Start:
        return _delivered(context, context.state, session)
    return _PROGRESS[request.ChargeProgress](request, session, context)


def _start(request: PowerDeliveryReq, session: Session, context: RequestContext) -> Answer:
    session, code = _take_profile(request, session, session.schedules, context)
    if context.evse.faults:
        fault = next((one for one in Fault if one in context.evse.faults), Fault.OUTPUT)
        contactor = fault is Fault.CONTACTOR
        code = ResponseCode.FAILED_ContactorError if contactor else ResponseCode.FAILED_PowerDeliveryNotApplied
        raise Refusal(code, f"{fault.name.lower().replace('_', ' ')} fault")
    event = PowerStarted(
        profile=session.profile,
        discharge_channel=request.BPT_ChannelSelection is ChannelSelection.Discharge,
        again=session.power_on,
    )
    return _delivered(context, State.CHARGE_LOOP, replace(session, power_on=True), code, (event,), _STARTING)


def _stop(request: PowerDeliveryReq, session: Session, context: RequestContext) -> Answer:
    after = State.WELDING_DETECTION if session.agreed.is_dc else State.SESSION_STOP
    return _delivered(context, after, replace(session, power_on=False), events=(PowerStopped(),), reacted_to=_LEAVING)


def _standby(request: PowerDeliveryReq, session: Session, context: RequestContext) -> Answer:
    if not context.settings.standby:
        raise Refusal(ResponseCode.WARNING_StandbyNotAllowed, "standby is not supported")
    return _delivered(context, State.STANDBY, session, events=(StandbyEntered(),))


def _renegotiate(request: PowerDeliveryReq, session: Session, context: RequestContext) -> Answer:
    if context.state not in (State.CHARGE_LOOP, State.RENEGOTIATION, State.STANDBY):
        raise Refusal(ResponseCode.FAILED_SequenceError, "renegotiation requires a charge loop")
    if session.renegotiated is None and request.EVPowerProfile is None:
        return _delivered(context, State.RENEGOTIATION, session)  # without multiplexing: ScheduleExchange follows
    offers = session.schedules if session.renegotiated is None else session.renegotiated
    try:
        fresh, code = _take_profile(request, session, offers, context)
    except Refusal as refusal:
        kept = replace(session, renegotiated=None)
        failed = ResponseCode.WARNING_ScheduleRenegotiationFailed
        events: tuple[Event, ...] = (Warned("PowerDeliveryReq", refusal.code), Renegotiated(kept.profile, failed))
        return _delivered(context, State.CHARGE_LOOP, kept, failed, events, _RENEGOTIATING)
    fresh = replace(fresh, schedules=offers, renegotiated=None)
    return _delivered(context, State.CHARGE_LOOP, fresh, code, (Renegotiated(fresh.profile, code),), _RENEGOTIATING)


_PROGRESS = {
    ChargeProgress.Start: _start,
    ChargeProgress.Stop: _stop,
    ChargeProgress.Standby: _standby,
    ChargeProgress.ScheduleRenegotiation: _renegotiate,
}


def _delivered(
    context: RequestContext,
    state: State,
    session: Session,
    code: ResponseCode = ResponseCode.OK,
    events: tuple[Event, ...] = (),
    reacted_to: frozenset[EVSENotification] = frozenset(),
) -> Answer:
    status = context.status() if context.evse.notification not in reacted_to else None
    response = PowerDeliveryRes(Header=context.header, ResponseCode=code, EVSEStatus=status)
    return Answer(response, state, session, events, reacted_to)


def _take_profile(
    request: PowerDeliveryReq, session: Session, known: tuple[ScheduleOffer, ...], context: RequestContext
) -> tuple[Session, ResponseCode]:
    """Return the session with the request's profile checked against the offers. Raises Refusal if it violates them."""
    message = request.EVPowerProfile
    scheduled = not session.agreed.is_dynamic
    if message is None:
        if scheduled and session.profile is None:
            raise Refusal(ResponseCode.FAILED_EVPowerProfileInvalid, "scheduled control requires a power profile")
        return session, ResponseCode.OK
    profile = read_profile(message)
    if scheduled is (profile.tuple_id is None):
        raise Refusal(ResponseCode.FAILED_EVPowerProfileInvalid, "the profile is for the other control mode")
    fault = profile_fault(profile, known)
    if fault is not None:
        raise Refusal(fault, "the power profile exceeds the offered schedule")
    offer = next((one for one in known if one.tuple_id == profile.tuple_id), None)
    code = ResponseCode.OK
    confirmed = False
    if offer is not None and offer.tolerance_w is not None:
        confirmed = profile.tolerance_accepted is True
        if context.settings.power_tolerance_required and not confirmed:
            raise Refusal(ResponseCode.FAILED_PowerToleranceNotConfirmed, "the car does not accept the tolerance")
        code = ResponseCode.OK_PowerToleranceConfirmed if confirmed else ResponseCode.WARNING_PowerToleranceNotConfirmed
    return replace(session, profile=profile, tolerance_confirmed=confirmed, violations=0), code


# ------------------------------------------------------------------------------------------------------ charge loop


def answer_dc_loop(request: DC_ChargeLoopReq, session: Session, context: RequestContext) -> Answer:
    choice, evse = session.agreed, context.evse
    if not dc_loop.fits_request(request, bpt=choice.is_bpt, dynamic=choice.is_dynamic):
        raise Refusal(ResponseCode.FAILED, "the control mode does not fit the selected service")
    memory, car = context.memory, context.memory.read_request(request, session.ev_limits)
    voltage = car.present_voltage_v or evse.voltage_v
    limits = _capped_limits(session, context)
    permitted = _permitted(session, context, car, limits, voltage)
    if choice.is_dynamic:
        target = memory.decide(_setpoint(context), permitted)
        actual = evse.current_a * evse.voltage_v
    else:
        actual = (car.target_current_a or 0.0) * voltage
        target = decide(actual, permitted)
    session, code = _watch_profile(session, context, car, actual)
    report = _station_report(
        session,
        context,
        car,
        limits,
        present_current_a=evse.current_a,
        present_voltage_v=evse.voltage_v,
        power_limited=target.binding is not None and target.binding != "voltage",
        current_limited=not choice.is_dynamic and target.power_w != actual,
        voltage_limited=target.binding == "voltage",
    )
    response = memory.response(
        context.header, report, bpt=choice.is_bpt, dynamic=choice.is_dynamic, code=code, status=context.status()
    )
    return _looped(response, session, context, target, permitted, car, code)


def answer_ac_loop(request: AC_ChargeLoopReq, session: Session, context: RequestContext) -> Answer:
    choice, evse = session.agreed, context.evse
    if not ac_messages.fits_request(request, bpt=choice.is_bpt, dynamic=choice.is_dynamic):
        raise Refusal(ResponseCode.FAILED, "the control mode does not fit the selected service")
    car = ac_messages.read_request(request, session.ev_limits)
    limits = _capped_limits(session, context)
    permitted = _permitted(session, context, car, limits, None)
    planned = session.profile.power_at(context.wall_s) if session.profile is not None else None
    target = decide(_setpoint(context) if choice.is_dynamic else (planned or 0.0), permitted)
    session, code = _watch_profile(session, context, car, car.present_power_w or 0.0)
    report = _station_report(
        session,
        context,
        car,
        limits,
        target_power_w=target.power_w,
        target_reactive_var=evse.reactive_var,
        present_power_w=evse.power_w,
    )
    response = ac_messages.response(
        context.header,
        report,
        bpt=choice.is_bpt,
        dynamic=choice.is_dynamic,
        code=code,
        frequency_hz=evse.frequency_hz,
        status=context.status(),
    )
    return _looped(response, session, context, target, permitted, car, code)


def _looped(
    response: V2GResponse,
    session: Session,
    context: RequestContext,
    target: Target,
    permitted: PowerRange,
    car: CarReport,
    code: ResponseCode,
) -> Answer:
    if context.state is State.STANDBY:
        target, state = Target(0.0, "standby"), State.STANDBY
    else:
        state = State.CHARGE_LOOP
    session = changed(
        session,
        car=car,
        loops=session.loops + 1,
        needs=car.needs or session.needs,
        departure_at=session.departure_at if car.departure_s is None else context.now + car.departure_s,
    )
    event = ChargeLoopRequested(target=target, allowed=permitted, car=car, code=code)
    return Answer(response, state, session, (event,))


def _setpoint(context: RequestContext) -> float:
    return context.evse.setpoint_w or 0.0


def _capped_limits(session: Session, context: RequestContext) -> Limits:
    """Return the charger's present limits; in scheduled control capped by the operator's set-point."""
    limits = context.limits(session)
    if not session.agreed.is_bpt:
        limits = context.memory.charge_only(limits)
    cap_w = context.evse.setpoint_w
    if session.agreed.is_dynamic or cap_w is None:
        return limits
    return replace(
        limits,
        max_charge_w=min(limits.max_charge_w, max(cap_w, 0.0)),
        max_discharge_w=min(limits.max_discharge_w, max(-cap_w, 0.0)),
    )


def _permitted(
    session: Session, context: RequestContext, car: CarReport, limits: Limits, voltage_v: float | None
) -> PowerRange:
    """Return the combined power range of all constraints above the set-point."""
    choice = session.agreed
    permitted = context.memory.allowed(car.limits, limits, voltage_v)
    needs = car.needs or session.needs
    departure = car.departure_s
    if departure is None and session.departure_at is not None:
        departure = session.departure_at - context.now
    if choice.is_dynamic:
        cycling = context.settings.cycling
        permitted = context.memory.narrowed_by_needs(permitted, needs, departure, cycling=cycling)
    elif session.schedules:
        tuple_id = session.profile.tuple_id if session.profile is not None else None
        offer = next((one for one in session.schedules if one.tuple_id == tuple_id), session.schedules[0])
        scheduled = offer.range_at(context.wall_s)
        slack = offer.tolerance_w or 0.0 if session.tolerance_confirmed else 0.0
        permitted = permitted.capped(
            scheduled.low_w - slack if scheduled.low_w < 0 else 0.0, scheduled.high_w + slack, "schedule"
        )
    return permitted


def _watch_profile(
    session: Session, context: RequestContext, car: CarReport, actual_w: float
) -> tuple[Session, ResponseCode]:
    """Check the EV's power against its profile in scheduled control: a warning first, FAILED later if so configured."""
    profile: Profile | None = session.profile
    if session.agreed.is_dynamic or profile is None or context.state is not State.CHARGE_LOOP:
        return session, ResponseCode.OK
    planned = profile.power_at(context.wall_s)
    if planned is None:
        return session, ResponseCode.OK  # the profile does not cover the present time
    low, high = min(planned, 0.0), max(planned, 0.0)
    slack = context.settings.profile_slack_w
    if low - slack <= actual_w <= high + slack:
        return (replace(session, violations=0) if session.violations else session), ResponseCode.OK
    session = replace(session, violations=session.violations + 1)
    most = context.settings.violations_before_failure
    if most is not None and session.violations > most:
        raise Refusal(ResponseCode.FAILED_EVPowerProfileViolation, "the car stays outside its power profile")
    return session, ResponseCode.WARNING_EVPowerProfileViolation


def _station_report(
    session: Session, context: RequestContext, car: CarReport, limits: Limits, **measured: Any
) -> StationReport:
    evse = context.evse
    by_secc = session.agreed.parameters.mobility is MobilityNeedsMode.BY_SECC
    return StationReport(
        limits=limits if limits.phases == car.limits.phases else replace(limits, phases=car.limits.phases),
        departure_s=evse.departure_s if by_secc else None,
        minimum_soc_pct=evse.minimum_soc_pct if by_secc else None,
        target_soc_pct=evse.target_soc_pct if by_secc else None,
        confirm_within_s=evse.confirm_within_s if by_secc else None,
        meter=evse.meter if car.meter_requested else None,
        **measured,
    )


# --------------------------------------------------------------------------------------------------- end of session


def answer_welding_detection(request: DC_WeldingDetectionReq, session: Session, context: RequestContext) -> Answer:
    response = DC_WeldingDetectionRes(
        Header=context.header, ResponseCode=ResponseCode.OK, EVSEPresentVoltage=rational(context.evse.voltage_v)
    )
    return Answer(response, State.WELDING_DETECTION, session, (WeldingChecked(context.evse.voltage_v),))


def answer_session_stop(request: SessionStopReq, session: Session, context: RequestContext) -> Answer:
    kind = request.ChargingSession
    after_loop = context.state in (State.WELDING_DETECTION, State.SESSION_STOP)
    response = SessionStopRes(Header=context.header, ResponseCode=ResponseCode.OK)
    if kind is ChargingSession.ServiceRenegotiation:
        if not (after_loop and context.settings.service_renegotiation):
            raise Refusal(ResponseCode.FAILED_NoServiceRenegotiationSupported, "service renegotiation is not supported")
        return Answer(response, State.SERVICE_DISCOVERY, _reopened(session), (ServicesReopened(),))
    events: tuple[Event, ...] = ()
    if kind is ChargingSession.Pause:
        if not (context.settings.pause and (after_loop or session.pause_offered)):
            raise Refusal(ResponseCode.FAILED_PauseNotAllowed, "the session cannot be paused now")
        binding = session_binding(session.session_id, context.certificate)
        events = (
            SessionPaused(Paused(session.session_id, session.evccid, session.choice, binding, session.namespace)),
        )
    ended = SessionEnded(
        reason="paused by the car" if kind is ChargingSession.Pause else "ended by the car",
        ok=True,
        kind=kind,
        state=context.state,
        termination_code=request.EVTerminationCode,
        explanation=request.EVTerminationExplanation,
    )
    return Answer(response, State.ENDED, session, (*events, ended))


def _reopened(session: Session) -> Session:
    """Return a session for service renegotiation: identity is kept, agreements are dropped (V2G20-1477)."""
    return Session(
        session_id=session.session_id,
        namespace=session.namespace,
        evccid=session.evccid,
        resumed=session.resumed,
        loops=session.loops,
    )
