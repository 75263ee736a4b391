"""The SECC's responses around the charge loop, as pure functions, for ISO 15118-2 and DIN 70121.

The EV requests a current, the charger limits it. There is no discharge: every range ends at 0 W, whatever is ordered
or requested. Source: V2G2-224, 225, 478, 479, 480, 691, 812; V2G-DC-399, 400, 401. A profile outside the schedule is
reported, and refused without the tolerance. Receipts belong to contracts.
"""

from __future__ import annotations

from dataclasses import replace

from protocols.iso15118.iso2 import both, timers
from protocols.iso15118.iso2.dialect import PHASES, Delivery
from protocols.iso15118.iso2.power import ac_target, dc_demand, dc_target
from protocols.iso15118.iso2.schedules import Span, read
from protocols.iso15118.iso2.secc_energy import NO_ERRORS, phase_current
from protocols.iso15118.iso2.secc_session import Answer, Hold, Refusal, RequestContext, Session
from protocols.iso15118.iso2.states import State
from protocols.iso15118.iso2.tolerances import Tolerance
from protocols.iso15118.iso2.values import number, optional
from protocols.iso15118.iso20.events import (
    ChargeLoopRequested,
    Event,
    Paused,
    PowerStarted,
    PowerStopped,
    Renegotiated,
    SessionEnded,
    SessionPaused,
    Warned,
    WeldingChecked,
)
from protocols.iso15118.iso20.limits import Limits, PowerRange
from protocols.iso15118.iso20.loop import CarReport, Display
from protocols.iso15118.iso20.schedules import SLACK_W, Profile, ScheduleOffer
from protocols.iso15118.iso20.secc_session import Fault
from protocols.iso15118.iso20.setpoint import Target
from protocols.iso15118.iso20.types import EVSENotification
from protocols.iso15118.session import control_pilot

SLACK_S = 2  # whole seconds in both messages
_LEAVING = frozenset({EVSENotification.Terminate, EVSENotification.Pause, EVSENotification.ServiceRenegotiation})
_RENEGOTIATING = frozenset({EVSENotification.ScheduleRenegotiation})


# --------------------------------------------------------------------------------------------------- power delivery


def answer_power_delivery(request: both.PowerDeliveryReq, session: Session, context: RequestContext) -> Answer:
    delivery = context.dialect.read_delivery(request)
    return _PROGRESS[delivery.progress](delivery, session, context)


def _start(delivery: Delivery, session: Session, context: RequestContext) -> Answer:
    if context.state is not State.POWER_DELIVERY:
        raise _misplaced(context, f"power cannot start in state {context.state.value!r}")
    offer = _tuple(delivery, session)
    events: list[Event] = []
    fault = profile_fault(delivery, offer, context.wall_s)
    if fault is not None:
        if not context.tolerates(Tolerance.PROFILE_OUTSIDE_SCHEDULE):
            raise Refusal("FAILED_ChargingProfileInvalid", fault)
        events.append(Warned("PowerDeliveryReq", context.dialect.code("FAILED_ChargingProfileInvalid")))
    if Fault.CONTACTOR in context.evse.faults and not session.agreed.is_dc:
        raise Refusal("FAILED_ContactorError", "contactor fault")
    if context.evse.faults or context.evse.notification in _LEAVING:
        raise Refusal("FAILED_PowerDeliveryNotApplied", "the charger is not ready")
    profile = _profile(delivery, offer, context) if fault is None else None
    power = PowerStarted(profile=profile, again=session.power_on)
    _await_hardware(power, session, context)
    if session.renegotiating:
        events.append(Renegotiated(profile, context.ok))
    if not context.started:
        events.append(power)
    started = replace(
        session,
        tuple_id=offer.tuple_id,
        offer=offer if context.evse.schedules else None,
        power_on=True,
        renegotiating=False,
    )
    return _delivered(context, State.LOOP_START, started, tuple(events), _RENEGOTIATING)


def _await_hardware(power: PowerStarted, session: Session, context: RequestContext) -> None:
    """Wait for state C or D of the control pilot (V2G2-847), then for the contactor of AC (V2G2-860, 862, 865)."""
    evse, most = context.evse, timers.answer_within("PowerDeliveryReq", din=context.dialect.is_din)
    if evse.pilot is not None and evse.pilot not in control_pilot.POWER:
        relaxed = context.tolerates(Tolerance.SLOW_PILOT)
        within = control_pilot.SECC_WITHIN_RELAXED if relaxed else control_pilot.SECC_WITHIN
        raise Hold(Refusal("FAILED", f"the control pilot is in state {evse.pilot}, not C or D"), min(within, most))
    if evse.contactor_closed is False and not session.agreed.is_dc:
        refusal = Refusal("FAILED_ContactorError", "the contactor did not close in time")
        raise Hold(refusal, min(timers.CONTACTOR, most), (power,))


def _await_state_b(session: Session, context: RequestContext) -> None:
    """Wait for the end of state C or D after the power (V2G2-848)."""
    pilot = context.evse.pilot
    if pilot in control_pilot.POWER:
        events = (PowerStopped(),) if session.power_on else ()
        raise Hold(Refusal("FAILED", f"the control pilot is still in state {pilot}"), control_pilot.SECC_WITHIN, events)


def _profile(delivery: Delivery, offer: ScheduleOffer, context: RequestContext) -> Profile | None:
    if not delivery.profile:
        return None
    entries = [Span(start, None, power_w) for start, power_w in delivery.profile]
    blocks = read(offer.tuple_id, entries, (), int(context.wall_s)).charge
    return Profile(anchor_s=int(context.wall_s), blocks=blocks, tuple_id=offer.tuple_id)


def _misplaced(context: RequestContext, why: str) -> Refusal:
    """Return the refusal of a progress value: FAILED where PowerDelivery itself is permitted (V2G2-812)."""
    permitted = context.state in (State.POWER_DELIVERY, State.CHARGE_LOOP)
    return Refusal("FAILED" if permitted else "FAILED_SequenceError", why)


def _stop(delivery: Delivery, session: Session, context: RequestContext) -> Answer:
    if session.schedules and not context.tolerates(Tolerance.UNKNOWN_TUPLE_AT_STOP):
        _tuple(delivery, session)
    stopped = replace(session, power_on=False)
    return _delivered(context, State.STOPPED, stopped, (PowerStopped(),), _LEAVING)


def _renegotiate(delivery: Delivery, session: Session, context: RequestContext) -> Answer:
    """Return to charge parameter discovery; with DC the output is switched off meanwhile (V2G2-813)."""
    if context.state is not State.CHARGE_LOOP:
        raise _misplaced(context, "renegotiation requires a charge loop")
    dc = session.agreed.is_dc
    again = replace(
        session,
        renegotiating=True,
        power_on=session.power_on and not dc,
        requested=session.requested - {"schedules", "cable"},
    )
    return _delivered(context, State.CHARGE_PARAMETERS, again, (PowerStopped(),) if dc else (), _RENEGOTIATING)


_PROGRESS = {"Start": _start, "Stop": _stop, "Renegotiate": _renegotiate}


def _delivered(
    context: RequestContext,
    state: State,
    session: Session,
    events: tuple[Event, ...],
    reacted_to: frozenset[EVSENotification],
) -> Answer:
    status = context.status(session, reacted=context.evse.notification in reacted_to)
    response = context.dialect.request("PowerDeliveryRes", ResponseCode=context.ok, EVSEStatus=status)
    return Answer(response, state, session, events, reacted_to)


def _tuple(delivery: Delivery, session: Session) -> ScheduleOffer:
    """Return the selected schedule; the first one where DIN names none. Raises Refusal."""
    if delivery.tuple_id is None and session.schedules:
        return session.schedules[0]
    for one in session.schedules:
        if one.tuple_id == delivery.tuple_id:
            return one
    raise Refusal("FAILED_TariffSelectionInvalid", f"schedule {delivery.tuple_id} was not offered")


def profile_fault(delivery: Delivery, offer: ScheduleOffer, wall_s: float) -> str | None:
    """Return why the charging profile violates the schedule, or None. Starts are offsets from now, ascending."""
    starts = [start for start, _ in delivery.profile]
    if starts != sorted(set(starts)):
        return "the entries of the charging profile do not ascend"
    for start, power_w in delivery.profile:
        if power_w < 0:
            return "the charging profile has a negative power"
        near = [offer.range_at(wall_s + start + shift).high_w for shift in (-SLACK_S, 0, SLACK_S)]
        if power_w > max(near) + SLACK_W:
            return f"the charging profile exceeds the schedule after {start} s"
    return None


# ------------------------------------------------------------------------------------------------------ charge loop


def answer_current_demand(request: both.CurrentDemandReq, session: Session, context: RequestContext) -> Answer:
    """Follow the requested current within the limits of both sides; a negative one is 0 A."""
    _check_pilot(context)
    evse, dialect, limits = context.evse, context.dialect, context.capped(session)
    car = _read_demand(request, session)
    demand_w, voltage = dc_demand(number(request.EVTargetCurrent), number(request.EVTargetVoltage), evse.voltage_v)
    ev_error = str(request.DC_EVStatus.EVErrorCode) not in NO_ERRORS
    target, permitted = dc_target(demand_w, voltage, car.limits, limits, ev_error=ev_error)
    limited = target.power_w < demand_w
    response = dialect.request(
        "CurrentDemandRes",
        ResponseCode=context.ok,
        DC_EVSEStatus=context.dc_status(),
        EVSEPresentVoltage=dialect.quantity(evse.voltage_v, "V"),
        EVSEPresentCurrent=dialect.quantity(evse.current_a, "A"),
        EVSECurrentLimitAchieved=limited,
        EVSEVoltageLimitAchieved=target.binding == "voltage",
        EVSEPowerLimitAchieved=limited,
        EVSEMaximumVoltageLimit=dialect.quantity(limits.max_voltage_v, "V", limit=True),
        EVSEMaximumCurrentLimit=dialect.quantity(limits.max_charge_a, "A", limit=True),
        EVSEMaximumPowerLimit=dialect.quantity(limits.max_charge_w, "W", limit=True),
        **dialect.current_demand_extras(context.settings.evse_id, session.tuple_id, _meter(context)),
    )
    return _looped(response, session, target, permitted, car)


def _read_demand(request: both.CurrentDemandReq, session: Session) -> CarReport:
    known, soc = session.ev_limits, request.DC_EVStatus.EVRESSSOC
    limits = Limits(
        max_charge_w=max(0.0, optional(request.EVMaximumPowerLimit, known.max_charge_w)),
        max_charge_a=max(0.0, optional(request.EVMaximumCurrentLimit, known.max_charge_a)),
        max_voltage_v=max(0.0, optional(request.EVMaximumVoltageLimit, known.max_voltage_v)),
        max_discharge_a=0.0,
    )
    return CarReport(
        limits=limits,
        target_voltage_v=number(request.EVTargetVoltage),
        target_current_a=number(request.EVTargetCurrent),
        display=Display(present_soc_pct=soc, complete=request.ChargingComplete),
    )


def answer_charging_status(request: both.ChargingStatusReq, session: Session, context: RequestContext) -> Answer:
    """State the present limit; the EV does not report its power."""
    _check_pilot(context)
    dialect, limits = context.dialect, context.capped(session)
    target, permitted = ac_target(session.ev_limits, limits)
    current = phase_current(limits.max_charge_w, session, context)
    response = dialect.request(
        "ChargingStatusRes",
        ResponseCode=context.ok,
        EVSEID=context.settings.evse_id,
        SAScheduleTupleID=session.tuple_id,
        EVSEMaxCurrent=dialect.quantity(current, "A", limit=True),
        MeterInfo=_meter(context),
        ReceiptRequired=False,
        AC_EVSEStatus=context.ac_status(),
    )
    car = CarReport(limits=replace(session.ev_limits, phases=PHASES.get(session.mode, 1)))
    return _looped(response, session, target, permitted, car)


def _check_pilot(context: RequestContext) -> None:
    pilot = context.evse.pilot
    if pilot is not None and pilot not in control_pilot.POWER:
        raise Refusal("FAILED", f"the control pilot left state C: {pilot}")


def _looped(response: both.Message, session: Session, target: Target, permitted: PowerRange, car: CarReport) -> Answer:
    event = ChargeLoopRequested(target=target, allowed=permitted, car=car)
    return Answer(response, State.CHARGE_LOOP, replace(session, car=car, loops=session.loops + 1), (event,))


def _meter(context: RequestContext) -> both.MeterInfo | None:
    meter = context.evse.meter
    return None if meter is None else context.dialect.meter(meter.meter_id, meter.charged_wh)


# --------------------------------------------------------------------------------------------------- end of session


def answer_welding_detection(request: both.WeldingDetectionReq, session: Session, context: RequestContext) -> Answer:
    _await_state_b(session, context)
    response = context.dialect.request(
        "WeldingDetectionRes",
        ResponseCode=context.ok,
        DC_EVSEStatus=context.dc_status(),
        EVSEPresentVoltage=context.dialect.quantity(context.evse.voltage_v, "V"),
    )
    return Answer(response, State.STOPPED, session, (WeldingChecked(context.evse.voltage_v),))


def answer_session_stop(request: both.SessionStopReq, session: Session, context: RequestContext) -> Answer:
    """End the session, or pause it: only after PowerDelivery or WeldingDetection."""
    kind = context.dialect.stop_kind(request)
    paused = kind == "Pause"
    events: list[Event] = []
    if paused and not (context.settings.pause and context.state is State.STOPPED and session.loops):
        raise Refusal("FAILED", "the session cannot be paused now")
    _await_state_b(session, context)
    if session.power_on and not context.started:
        events.append(PowerStopped())
    if paused:
        kept = Paused(session.session_id, session.evccid, session.choice, None, session.namespace)
        events.append(SessionPaused(kept))
    events.append(SessionEnded(reason=f"{'paused' if paused else 'ended'} by the car", ok=True, state=context.state))
    response = context.dialect.request("SessionStopRes", ResponseCode=context.ok)
    return Answer(response, State.ENDED, replace(session, power_on=False), tuple(events))
