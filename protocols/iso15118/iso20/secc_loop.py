"""The SECC's answers around the charge loop: power delivery, the loop itself, metering, welding detection, stop.

Pure functions of request, session and desk. What power to drive is decided in `setpoint.py`; here its limits are put
together. Source: ISO 15118-20, PowerDelivery, ChargeLoop, MeteringConfirmation, WeldingDetection, SessionStop;
V2G20-1477, 2188, 2654, 2655. In scheduled control the operator's wish is a cap on what the car does, not a set-point.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

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
    CarLooped,
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
from protocols.iso15118.iso20.limits import Limits, PowerRange, allowed
from protocols.iso15118.iso20.loop import CarTurn, StationTurn
from protocols.iso15118.iso20.rational import rational
from protocols.iso15118.iso20.schedules import Profile, ScheduleOffer, profile_fault, read_profile
from protocols.iso15118.iso20.secc_session import Answer, Desk, Fault, Refusal, Session
from protocols.iso15118.iso20.secc_setup import session_binding
from protocols.iso15118.iso20.services import MobilityNeedsMode
from protocols.iso15118.iso20.setpoint import Target, decide, narrowed_by_needs
from protocols.iso15118.iso20.states import State
from protocols.iso15118.iso20.types import EVSENotification, Processing, ResponseCode, V2GResponse

_LEAVING = frozenset({EVSENotification.Terminate, EVSENotification.Pause, EVSENotification.ServiceRenegotiation})
_STARTING = frozenset({EVSENotification.ExitStandby})
_RENEGOTIATING = frozenset({EVSENotification.ScheduleRenegotiation})


# --------------------------------------------------------------------------------------------------- power delivery


def answer_power_delivery(request: PowerDeliveryReq, session: Session, desk: Desk) -> Answer:
    if request.EVProcessing is not Processing.Finished and request.ChargeProgress is ChargeProgress.Start:
        return _delivered(desk, desk.state, session)
    return _PROGRESS[request.ChargeProgress](request, session, desk)


def _start(request: PowerDeliveryReq, session: Session, desk: Desk) -> Answer:
    session, code = _take_profile(request, session, session.schedules, desk)
    for fault in (Fault.CONTACTOR, Fault.OUTPUT):
        if fault in desk.evse.faults:
            raise Refusal(fault.value, f"the {fault.name.lower()} does not work")
    event = PowerStarted(
        profile=session.profile,
        discharge_channel=request.BPT_ChannelSelection is ChannelSelection.Discharge,
        again=session.power_on,
    )
    return _delivered(desk, State.CHARGE_LOOP, replace(session, power_on=True), code, (event,), _STARTING)


def _stop(request: PowerDeliveryReq, session: Session, desk: Desk) -> Answer:
    after = State.WELDING_DETECTION if session.agreed.is_dc else State.SESSION_STOP
    return _delivered(desk, after, replace(session, power_on=False), events=(PowerStopped(),), reacted_to=_LEAVING)


def _standby(request: PowerDeliveryReq, session: Session, desk: Desk) -> Answer:
    if not desk.settings.standby:
        raise Refusal(ResponseCode.WARNING_StandbyNotAllowed, "this charger has no standby")
    return _delivered(desk, State.STANDBY, session, events=(StandbyEntered(),))


def _renegotiate(request: PowerDeliveryReq, session: Session, desk: Desk) -> Answer:
    if desk.state not in (State.CHARGE_LOOP, State.RENEGOTIATION, State.STANDBY):
        raise Refusal(ResponseCode.FAILED_SequenceError, "there is no charge loop to renegotiate in")
    if session.renegotiated is None and request.EVPowerProfile is None:
        return _delivered(desk, State.RENEGOTIATION, session)  # without multiplexing: ScheduleExchange comes next
    offers = session.schedules if session.renegotiated is None else session.renegotiated
    try:
        fresh, code = _take_profile(request, session, offers, desk)
    except Refusal as refusal:
        kept = replace(session, renegotiated=None)
        failed = ResponseCode.WARNING_ScheduleRenegotiationFailed
        events: tuple[Event, ...] = (Warned("PowerDeliveryReq", refusal.code), Renegotiated(kept.profile, failed))
        return _delivered(desk, State.CHARGE_LOOP, kept, failed, events, _RENEGOTIATING)
    fresh = replace(fresh, schedules=offers, renegotiated=None)
    return _delivered(desk, State.CHARGE_LOOP, fresh, code, (Renegotiated(fresh.profile, code),), _RENEGOTIATING)


_PROGRESS = {
    ChargeProgress.Start: _start,
    ChargeProgress.Stop: _stop,
    ChargeProgress.Standby: _standby,
    ChargeProgress.ScheduleRenegotiation: _renegotiate,
}


def _delivered(
    desk: Desk,
    state: State,
    session: Session,
    code: ResponseCode = ResponseCode.OK,
    events: tuple[Event, ...] = (),
    reacted_to: frozenset[EVSENotification] = frozenset(),
) -> Answer:
    status = desk.status() if desk.evse.notification not in reacted_to else None
    response = PowerDeliveryRes(Header=desk.header, ResponseCode=code, EVSEStatus=status)
    return Answer(response, state, session, events, reacted_to)


def _take_profile(
    request: PowerDeliveryReq, session: Session, known: tuple[ScheduleOffer, ...], desk: Desk
) -> tuple[Session, ResponseCode]:
    """The session with the request's profile checked against the offers; Refusal if it doesn't hold."""
    message = request.EVPowerProfile
    scheduled = not session.agreed.is_dynamic
    if message is None:
        if scheduled and session.profile is None:
            raise Refusal(ResponseCode.FAILED_EVPowerProfileInvalid, "scheduled control needs a power profile")
        return session, ResponseCode.OK
    profile = read_profile(message)
    if scheduled is (profile.tuple_id is None):
        raise Refusal(ResponseCode.FAILED_EVPowerProfileInvalid, "the profile is for the other control mode")
    fault = profile_fault(profile, known)
    if fault is not None:
        raise Refusal(fault, "the power profile leaves the schedule offered")
    offer = next((one for one in known if one.tuple_id == profile.tuple_id), None)
    code = ResponseCode.OK
    confirmed = False
    if offer is not None and offer.tolerance_w is not None:
        confirmed = profile.tolerance_accepted is True
        if desk.settings.power_tolerance_required and not confirmed:
            raise Refusal(ResponseCode.FAILED_PowerToleranceNotConfirmed, "the car does not accept the tolerance")
        code = ResponseCode.OK_PowerToleranceConfirmed if confirmed else ResponseCode.WARNING_PowerToleranceNotConfirmed
    return replace(session, profile=profile, tolerance_confirmed=confirmed, violations=0), code


# ------------------------------------------------------------------------------------------------------ charge loop


def answer_dc_loop(request: DC_ChargeLoopReq, session: Session, desk: Desk) -> Answer:
    choice, evse = session.agreed, desk.evse
    if not dc_loop.fits_request(request, bpt=choice.is_bpt, dynamic=choice.is_dynamic):
        raise Refusal(ResponseCode.FAILED, "the control mode is not that of the service chosen")
    car = dc_loop.read_request(request, session.ev_limits)
    voltage = car.present_voltage_v or evse.voltage_v
    limits = _capped_limits(session, desk)
    room = _room(session, desk, car, limits, voltage)
    if choice.is_dynamic:
        target = decide(_wish(desk), room)
        actual = evse.current_a * evse.voltage_v
    else:
        actual = (car.target_current_a or 0.0) * voltage
        target = decide(actual, room)
    session, code = _watch_profile(session, desk, car, actual)
    turn = _station_turn(
        session,
        desk,
        car,
        limits,
        present_current_a=evse.current_a,
        present_voltage_v=evse.voltage_v,
        power_limited=target.binding is not None and target.binding != "voltage",
        current_limited=not choice.is_dynamic and target.power_w != actual,
        voltage_limited=target.binding == "voltage",
    )
    response = dc_loop.response(
        desk.header, turn, bpt=choice.is_bpt, dynamic=choice.is_dynamic, code=code, status=desk.status()
    )
    return _looped(response, session, desk, target, room, car, code)


def answer_ac_loop(request: AC_ChargeLoopReq, session: Session, desk: Desk) -> Answer:
    choice, evse = session.agreed, desk.evse
    if not ac_messages.fits_request(request, bpt=choice.is_bpt, dynamic=choice.is_dynamic):
        raise Refusal(ResponseCode.FAILED, "the control mode is not that of the service chosen")
    car = ac_messages.read_request(request, session.ev_limits)
    limits = _capped_limits(session, desk)
    room = _room(session, desk, car, limits, None)
    planned = session.profile.power_at(desk.wall_s) if session.profile is not None else None
    target = decide(_wish(desk) if choice.is_dynamic else (planned or 0.0), room)
    session, code = _watch_profile(session, desk, car, car.present_power_w or 0.0)
    turn = _station_turn(
        session,
        desk,
        car,
        limits,
        target_power_w=target.power_w,
        target_reactive_var=evse.reactive_var,
        present_power_w=evse.power_w,
    )
    response = ac_messages.response(
        desk.header,
        turn,
        bpt=choice.is_bpt,
        dynamic=choice.is_dynamic,
        code=code,
        frequency_hz=evse.frequency_hz,
        status=desk.status(),
    )
    return _looped(response, session, desk, target, room, car, code)


def _looped(
    response: V2GResponse,
    session: Session,
    desk: Desk,
    target: Target,
    room: PowerRange,
    car: CarTurn,
    code: ResponseCode,
) -> Answer:
    if desk.state is State.STANDBY:
        target, state = Target(0.0, "standby"), State.STANDBY
    else:
        state = State.CHARGE_LOOP
    session = replace(
        session,
        car=car,
        loops=session.loops + 1,
        needs=car.needs or session.needs,
        departure_at=session.departure_at if car.departure_s is None else desk.now + car.departure_s,
    )
    event = CarLooped(target=target, allowed=room, car=car, code=code)
    return Answer(response, state, session, (event,))


def _wish(desk: Desk) -> float:
    return desk.evse.wish_w or 0.0


def _capped_limits(session: Session, desk: Desk) -> Limits:
    """The charger's limits now; in scheduled control the operator's wish caps them."""
    limits = desk.limits(session)
    if not session.agreed.is_bpt:
        limits = limits.charge_only()
    wish = desk.evse.wish_w
    if session.agreed.is_dynamic or wish is None:
        return limits
    return replace(
        limits,
        max_charge_w=min(limits.max_charge_w, max(wish, 0.0)),
        max_discharge_w=min(limits.max_discharge_w, max(-wish, 0.0)),
    )


def _room(session: Session, desk: Desk, car: CarTurn, limits: Limits, voltage_v: float | None) -> PowerRange:
    """All that stands above the wish, put together."""
    choice = session.agreed
    room = allowed(car.limits, limits, voltage_v)
    needs = car.needs or session.needs
    departure = car.departure_s
    if departure is None and session.departure_at is not None:
        departure = session.departure_at - desk.now
    if choice.is_dynamic:
        room = narrowed_by_needs(room, needs, departure, cycling=desk.settings.cycling)
    elif session.schedules:
        tuple_id = session.profile.tuple_id if session.profile is not None else None
        offer = next((one for one in session.schedules if one.tuple_id == tuple_id), session.schedules[0])
        scheduled = offer.range_at(desk.wall_s)
        slack = offer.tolerance_w or 0.0 if session.tolerance_confirmed else 0.0
        room = room.capped(
            scheduled.low_w - slack if scheduled.low_w < 0 else 0.0, scheduled.high_w + slack, "schedule"
        )
    return room


def _watch_profile(session: Session, desk: Desk, car: CarTurn, actual_w: float) -> tuple[Session, ResponseCode]:
    """Scheduled control: warn a car that leaves its own profile, and fail it in the end if the settings say so."""
    profile: Profile | None = session.profile
    if session.agreed.is_dynamic or profile is None or desk.state is not State.CHARGE_LOOP:
        return session, ResponseCode.OK
    planned = profile.power_at(desk.wall_s)
    if planned is None:
        return session, ResponseCode.OK  # the profile says nothing about now
    low, high = min(planned, 0.0), max(planned, 0.0)
    slack = desk.settings.profile_slack_w
    if low - slack <= actual_w <= high + slack:
        return (replace(session, violations=0) if session.violations else session), ResponseCode.OK
    session = replace(session, violations=session.violations + 1)
    most = desk.settings.violations_before_failure
    if most is not None and session.violations > most:
        raise Refusal(ResponseCode.FAILED_EVPowerProfileViolation, "the car stays outside its power profile")
    return session, ResponseCode.WARNING_EVPowerProfileViolation


def _station_turn(session: Session, desk: Desk, car: CarTurn, limits: Limits, **measured: Any) -> StationTurn:
    evse = desk.evse
    ours = session.agreed.parameters.mobility is MobilityNeedsMode.BY_SECC
    return StationTurn(
        limits=limits if limits.phases == car.limits.phases else replace(limits, phases=car.limits.phases),
        departure_s=evse.departure_s if ours else None,
        minimum_soc_pct=evse.minimum_soc_pct if ours else None,
        target_soc_pct=evse.target_soc_pct if ours else None,
        confirm_within_s=evse.confirm_within_s if ours else None,
        meter=evse.meter if car.meter_requested else None,
        **measured,
    )


# -------------------------------------------------------------------------------------------------------- afterwards


def answer_welding_detection(request: DC_WeldingDetectionReq, session: Session, desk: Desk) -> Answer:
    response = DC_WeldingDetectionRes(
        Header=desk.header, ResponseCode=ResponseCode.OK, EVSEPresentVoltage=rational(desk.evse.voltage_v)
    )
    return Answer(response, State.WELDING_DETECTION, session, (WeldingChecked(desk.evse.voltage_v),))


def answer_session_stop(request: SessionStopReq, session: Session, desk: Desk) -> Answer:
    kind = request.ChargingSession
    after_loop = desk.state in (State.WELDING_DETECTION, State.SESSION_STOP)
    response = SessionStopRes(Header=desk.header, ResponseCode=ResponseCode.OK)
    if kind is ChargingSession.ServiceRenegotiation:
        if not (after_loop and desk.settings.service_renegotiation):
            raise Refusal(ResponseCode.FAILED_NoServiceRenegotiationSupported, "services can't be renegotiated here")
        return Answer(response, State.SERVICE_DISCOVERY, _reopened(session), (ServicesReopened(),))
    events: tuple[Event, ...] = ()
    if kind is ChargingSession.Pause:
        if not (desk.settings.pause and (after_loop or session.pause_offered)):
            raise Refusal(ResponseCode.FAILED_PauseNotAllowed, "the session can't be paused now")
        binding = session_binding(session.session_id, desk.vehicle_certificate)
        events = (SessionPaused(Paused(session.session_id, session.evccid, session.choice, binding)),)
    ended = SessionEnded(
        reason="paused by the car" if kind is ChargingSession.Pause else "ended by the car",
        ok=True,
        kind=kind,
        state=desk.state,
        termination_code=request.EVTerminationCode,
        explanation=request.EVTerminationExplanation,
    )
    return Answer(response, State.ENDED, session, (*events, ended))


def _reopened(session: Session) -> Session:
    """Service renegotiation keeps who the car is and forgets what was agreed (V2G20-1477)."""
    return Session(
        session_id=session.session_id,
        namespace=session.namespace,
        evccid=session.evccid,
        resumed=session.resumed,
        loops=session.loops,
    )
