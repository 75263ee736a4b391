"""The SECC's responses from charge parameter discovery to pre-charge, as pure functions.

Source: ISO 15118-20, ChargeParameterDiscovery, ScheduleExchange, DC_CableCheck, DC_PreCharge; V2G20-2681.
"""

from __future__ import annotations

from dataclasses import replace

from protocols.iso15118.iso20 import ac_messages, dc_messages, timers
from protocols.iso15118.iso20.ac import (
    AC_ChargeParameterDiscoveryReq,
    AC_ChargeParameterDiscoveryRes,
    BPT_AC_CPDReqEnergyTransferMode,
)
from protocols.iso15118.iso20.common import (
    Dynamic_SEReqControlMode,
    Dynamic_SEResControlMode,
    Scheduled_SEReqControlMode,
    Scheduled_SEResControlMode,
    ScheduleExchangeReq,
    ScheduleExchangeRes,
)
from protocols.iso15118.iso20.dc import (
    BPT_DC_CPDReqEnergyTransferMode,
    DC_CableCheckReq,
    DC_CableCheckRes,
    DC_ChargeParameterDiscoveryReq,
    DC_ChargeParameterDiscoveryRes,
    DC_PreChargeReq,
    DC_PreChargeRes,
)
from protocols.iso15118.iso20.events import CableCheckRequested, Event, LimitsStated, NeedsStated, PreChargeRequested
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.loop_messages import read_needs, seconds
from protocols.iso15118.iso20.prices import level_message, price_message
from protocols.iso15118.iso20.rational import number, rational
from protocols.iso15118.iso20.schedules import ScheduleOffer, flat_offer, offer_message
from protocols.iso15118.iso20.secc_session import Answer, Refusal, RequestContext, Session, Verdict
from protocols.iso15118.iso20.services import MobilityNeedsMode
from protocols.iso15118.iso20.states import State
from protocols.iso15118.iso20.types import Processing, ResponseCode

MAX_TUPLES = 3
MATCHED_V = 20.0  # permitted difference of output and battery voltage before a contactor closes


def answer_dc_discovery(request: DC_ChargeParameterDiscoveryReq, session: Session, context: RequestContext) -> Answer:
    choice = session.agreed
    mode = request.DC_CPDReqEnergyTransferMode
    if isinstance(mode, BPT_DC_CPDReqEnergyTransferMode) is not choice.is_bpt:
        raise Refusal(ResponseCode.FAILED_WrongChargeParameter, f"not the parameters of {choice.service.name}")
    ev, evse = dc_messages.read_discovery_request_mode(mode), context.limits(session)
    _check(ev)
    if ev.max_voltage_v < evse.min_voltage_v or ev.min_voltage_v > evse.max_voltage_v:
        raise Refusal(ResponseCode.FAILED_WrongChargeParameter, "the voltage ranges of car and charger do not overlap")
    response = DC_ChargeParameterDiscoveryRes(
        Header=context.header,
        ResponseCode=ResponseCode.OK,
        DC_CPDResEnergyTransferMode=dc_messages.discovery_response_mode(
            evse, bpt=choice.is_bpt, ramp_pct_per_min=context.settings.ramp_pct_per_min
        ),
    )
    event = LimitsStated(choice=choice, ev=ev, evse=evse, target_soc_pct=mode.TargetSOC)
    return Answer(response, State.SCHEDULE_EXCHANGE, replace(session, ev_limits=ev), (event,))


def answer_ac_discovery(request: AC_ChargeParameterDiscoveryReq, session: Session, context: RequestContext) -> Answer:
    choice = session.agreed
    mode = request.AC_CPDReqEnergyTransferMode
    if isinstance(mode, BPT_AC_CPDReqEnergyTransferMode) is not choice.is_bpt:
        raise Refusal(ResponseCode.FAILED_WrongChargeParameter, f"not the parameters of {choice.service.name}")
    ev = ac_messages.read_discovery_request_mode(mode)
    _check(ev)
    evse = replace(context.limits(session), phases=ev.phases)
    response = AC_ChargeParameterDiscoveryRes(
        Header=context.header,
        ResponseCode=ResponseCode.OK,
        AC_CPDResEnergyTransferMode=ac_messages.discovery_response_mode(
            evse,
            bpt=choice.is_bpt,
            frequency_hz=context.settings.frequency_hz,
            ramp_pct_per_min=context.settings.ramp_pct_per_min,
        ),
    )
    event = LimitsStated(choice=choice, ev=ev, evse=evse)
    return Answer(response, State.SCHEDULE_EXCHANGE, replace(session, ev_limits=ev), (event,))


def answer_schedule_exchange(request: ScheduleExchangeReq, session: Session, context: RequestContext) -> Answer:
    """Respond to the first exchange, to renegotiation parallel to the loop (`context.stream`) or instead of it."""
    choice = session.agreed
    mode = request.Dynamic_SEReqControlMode if choice.is_dynamic else request.Scheduled_SEReqControlMode
    if mode is None:
        raise Refusal(ResponseCode.FAILED, f"the request is not for {choice.parameters.control.name} control")
    again = context.state is not State.SCHEDULE_EXCHANGE
    session, events = _record_needs(request, mode, session, context, again)
    offers = context.evse.schedules
    since = session.ongoing_since if session.ongoing_since is not None else context.now
    if offers is None and context.now - since > timers.ONGOING_SECC:
        code = ResponseCode.WARNING_ScheduleRenegotiationFailed if again else ResponseCode.FAILED
        raise Refusal(code, "no schedule was available in time")
    finished = offers is not None
    if not choice.is_dynamic and not offers:
        offers = (_default_offer(session, context),)
    if finished:
        kept = (offers or ())[:MAX_TUPLES]
        session = replace(session, ongoing_since=None, requested=session.requested - {"schedules"})
        session = replace(session, renegotiated=kept) if again else replace(session, schedules=kept)
    else:
        session = replace(session, ongoing_since=since)
    pause = context.evse.pause_wanted and finished
    response = ScheduleExchangeRes(
        Header=context.header,
        ResponseCode=ResponseCode.OK,
        EVSEProcessing=Processing.Finished if finished else Processing.Ongoing,
        GoToPause=True if pause else None,
        Dynamic_SEResControlMode=_dynamic_mode(session, context, offers or ()) if choice.is_dynamic else None,
        Scheduled_SEResControlMode=None
        if choice.is_dynamic
        else Scheduled_SEResControlMode(
            ScheduleTuple=tuple(offer_message(one, session.max_points) for one in (offers or ())[:MAX_TUPLES])
        ),
    )
    if pause:
        session = replace(session, pause_offered=True)
    after = State.CABLE_CHECK if choice.is_dc else State.POWER_DELIVERY
    state = context.state if again or not finished else after
    return Answer(response, state, session, events)


def answer_cable_check(request: DC_CableCheckReq, session: Session, context: RequestContext) -> Answer:
    events: tuple[Event, ...] = ()
    if "cable" not in session.requested:
        session = replace(session, requested=session.requested | {"cable"})
        events = (CableCheckRequested(),)
    since = session.ongoing_since if session.ongoing_since is not None else context.now
    if context.evse.insulation is Verdict.NO:
        raise Refusal(ResponseCode.FAILED, "the insulation test failed")
    if context.evse.insulation is Verdict.YES:
        done, state, since_then = Processing.Finished, State.PRE_CHARGE, None
    else:
        if context.now - since > timers.CABLE_CHECK_SECC:
            raise Refusal(ResponseCode.FAILED, "the insulation test took too long")
        done, state, since_then = Processing.Ongoing, State.CABLE_CHECK, since
    response = DC_CableCheckRes(Header=context.header, ResponseCode=ResponseCode.OK, EVSEProcessing=done)
    return Answer(response, state, replace(session, ongoing_since=since_then), events)


def answer_pre_charge(request: DC_PreChargeReq, session: Session, context: RequestContext) -> Answer:
    target = number(request.EVTargetVoltage)
    limits = context.limits(session)
    if target > limits.max_voltage_v or target < 0:
        raise Refusal(ResponseCode.FAILED, f"the charger cannot supply {target} V")
    response = DC_PreChargeRes(
        Header=context.header, ResponseCode=ResponseCode.OK, EVSEPresentVoltage=rational(context.evse.voltage_v)
    )
    # Some EVs never report Finished and continue once the voltages match, which is equally safe.
    finished = request.EVProcessing is Processing.Finished or abs(context.evse.voltage_v - target) <= MATCHED_V
    return Answer(
        response, State.POWER_DELIVERY if finished else State.PRE_CHARGE, session, (PreChargeRequested(target),)
    )


def _check(limits: Limits) -> None:
    impossible = limits.impossible()
    if impossible is None and limits.max_charge_w < limits.min_charge_w:
        impossible = "the lowest charge power is above the highest"
    if impossible is None and limits.max_discharge_w < limits.min_discharge_w:
        impossible = "the lowest discharge power is above the highest"
    if impossible is not None:
        raise Refusal(ResponseCode.FAILED_WrongChargeParameter, impossible)


def _record_needs(
    request: ScheduleExchangeReq,
    mode: Dynamic_SEReqControlMode | Scheduled_SEReqControlMode,
    session: Session,
    context: RequestContext,
    again: bool,
) -> tuple[Session, tuple[Event, ...]]:
    """Record the EV's needs, and report them to the host on the first request of an exchange."""
    needs = read_needs(mode)
    if needs is not None and needs.disorder() is not None:
        raise Refusal(ResponseCode.FAILED, needs.disorder() or "")
    departure = mode.DepartureTime
    dynamic = mode if isinstance(mode, Dynamic_SEReqControlMode) else None
    session = replace(
        session,
        needs=needs,
        departure_at=None if departure is None else context.now + departure,
        max_points=request.MaximumSupportingPoints,
        minimum_soc_pct=dynamic.MinimumSOC if dynamic else None,
        target_soc_pct=dynamic.TargetSOC if dynamic else None,
    )
    if "schedules" in session.requested:
        return session, ()
    to_sell: tuple[tuple[int, float], ...] = ()
    if isinstance(mode, Scheduled_SEReqControlMode) and mode.EVEnergyOffer is not None:
        entries = mode.EVEnergyOffer.EVPowerSchedule.EVPowerScheduleEntries.EVPowerScheduleEntry
        to_sell = tuple((entry.Duration, number(entry.Power)) for entry in entries)
    event = NeedsStated(
        choice=session.agreed,
        ev=session.ev_limits,
        needs=needs,
        departure_s=departure,
        minimum_soc_pct=session.minimum_soc_pct,
        target_soc_pct=session.target_soc_pct,
        mobility=session.agreed.parameters.mobility,
        offer_to_sell=to_sell,
        max_points=request.MaximumSupportingPoints,
        renegotiation=again,
    )
    return replace(session, requested=session.requested | {"schedules"}), (event,)


def _default_offer(session: Session, context: RequestContext) -> ScheduleOffer:
    """Return an offer of the charger's full power until departure, or for a day."""
    limits, choice = context.limits(session), session.agreed
    remaining = None if session.departure_at is None else int(session.departure_at - context.now)
    duration = remaining if remaining and remaining > 0 else 24 * 3600
    return flat_offer(
        int(context.wall_s),
        limits.max_charge_w,
        limits.max_discharge_w if choice.is_bpt else None,
        duration_s=duration,
    )


def _dynamic_mode(
    session: Session, context: RequestContext, offers: tuple[ScheduleOffer, ...]
) -> Dynamic_SEResControlMode:
    """Return prices if the host provides any; the driver's needs in MobilityNeedsMode 2 only."""
    evse, by_secc = context.evse, session.agreed.parameters.mobility is MobilityNeedsMode.BY_SECC
    levels = offers[0].levels if offers else None
    prices = offers[0].prices if offers else None
    return Dynamic_SEResControlMode(
        DepartureTime=seconds(evse.departure_s) if by_secc else None,
        MinimumSOC=evse.minimum_soc_pct if by_secc else None,
        TargetSOC=evse.target_soc_pct if by_secc else None,
        AbsolutePriceSchedule=None if prices is None else price_message(prices, offers[0].anchor_s, 1),
        PriceLevelSchedule=None if levels is None or prices else level_message(levels, offers[0].anchor_s, 1),
    )
