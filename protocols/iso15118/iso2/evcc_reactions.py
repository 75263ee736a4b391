"""The EVCC's reactions to responses of ISO 15118-2 and DIN 70121, as pure functions of response, session and context.

Limits of a response count when it is Finished and the charger is not NotReady with 0 A (chargers in the field answer
so). A charger stops the EV by the notification StopCharging (ISO 15118-2) or by the status code. Source: V2G2-735,
845, 854; notifications and status codes of both generations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from protocols.iso15118.iso2 import both
from protocols.iso15118.iso2.dialect import PHASES
from protocols.iso15118.iso2.evcc_session import EvccContext, EvSession, Reaction
from protocols.iso15118.iso2.schedules import plan, selected
from protocols.iso15118.iso2.secc_session import charging
from protocols.iso15118.iso2.states import Step
from protocols.iso15118.iso2.tolerances import ChargerTolerance
from protocols.iso15118.iso2.types import AC_EVSEChargeParameter
from protocols.iso15118.iso2.values import number, optional
from protocols.iso15118.iso20.common import ChargingSession
from protocols.iso15118.iso20.events import (
    Authorized,
    ChargeLoopAnswered,
    Event,
    LimitsStated,
    Notified,
    Paused,
    PowerStarted,
    PowerStopped,
    Renegotiated,
    SchedulesReceived,
    ServiceAgreed,
    SessionEnded,
    SessionOpened,
    SessionPaused,
    ValueAddedServicesSelected,
    VoltageMatched,
    WeldingChecked,
)
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.loop import Meter, StationReport
from protocols.iso15118.iso20.orders import Stop
from protocols.iso15118.iso20.schedules import ScheduleOffer
from protocols.iso15118.iso20.types import EVSENotification, ResponseCode
from protocols.iso15118.session.evcc_engine import EndConnection
from protocols.iso15118.session.guard import judge

FAULT_CODES = frozenset({"EVSE_EmergencyShutdown", "EVSE_Malfunction"})
STOPPING_CODES = FAULT_CODES | {"EVSE_Shutdown", "EVSE_UtilityInterruptEvent"}
UNSAFE_ISOLATION = ("Fault", "No_IMD")


def terminate(session: EvSession, code: str | None, explanation: str) -> EvSession:
    """Return the session with a request to stop, unless it already has one."""
    if session.stop is not None:
        return session
    return replace(session, stop=Stop(ChargingSession.Terminate, code, explanation))


def on_session_setup(response: both.SessionSetupRes, session: EvSession, context: EvccContext) -> Reaction:
    session_id, resume = context.session_id, context.settings.resume
    if not any(session_id):
        raise EndConnection("the charger assigned no session id")
    resumed = response.ResponseCode == "OK_OldSessionJoined"
    if resumed and (resume is None or session_id != resume.session_id):
        raise EndConnection("the charger joined another session")
    evse_id = response.EVSEID if isinstance(response.EVSEID, str) else response.EVSEID.hex().upper()
    opened = SessionOpened(session_id, context.settings.evccid.hex().upper(), evse_id, resumed)
    session = replace(session, session_id=session_id, resumed=resumed, evse_id=evse_id)
    return Reaction(Step.SERVICE_DISCOVERY, session, (opened,))


def on_service_discovery(response: both.ServiceDiscoveryRes, session: EvSession, context: EvccContext) -> Reaction:
    external, offered = context.dialect.read_services(response)
    if not external:
        refused = terminate(session, "no authorization", "the charger offers no external payment")
        return Reaction(Step.SESSION_STOP, refused)
    mode = next((one for one in context.settings.modes if one in offered), None)
    if mode is None:
        return Reaction(Step.SESSION_STOP, terminate(session, "no service", "the charger offers no usable service"))
    categories = context.settings.services
    wanted = tuple(one for one, category in context.dialect.read_value_added(response) if category in categories)
    session = replace(session, mode=mode, choice=charging(mode not in PHASES), wanted_services=wanted)
    return Reaction(Step.SERVICE_DETAIL if wanted else Step.PAYMENT_SELECTION, session)


def on_service_detail(response: both.ServiceDetailRes, session: EvSession, context: EvccContext) -> Reaction:
    """Select the first parameter set of a value-added service."""
    offered = response.ServiceParameterList
    set_id = None if offered is None else offered.ParameterSet[0].ParameterSetID
    chosen, rest = (session.wanted_services[0], set_id), session.wanted_services[1:]
    session = replace(session, wanted_services=rest, services=(*session.services, chosen))
    return Reaction(Step.SERVICE_DETAIL if rest else Step.PAYMENT_SELECTION, session)


def on_selection(response: both.PaymentServiceSelectionRes, session: EvSession, context: EvccContext) -> Reaction:
    agreed: tuple[Event, ...] = (ServiceAgreed(session.agreed),)
    selected = (ValueAddedServicesSelected(session.services),) if session.services else ()
    return Reaction(Step.AUTHORIZATION, session, agreed + selected)


def on_authorization(response: both.AuthorizationRes, session: EvSession, context: EvccContext) -> Reaction:
    processing = str(response.EVSEProcessing)
    if processing != "Finished":
        waits = processing == "Ongoing_WaitingForCustomerInteraction"
        return Reaction(Step.AUTHORIZATION, replace(session, waits_for_customer=waits), poll=True)
    session = replace(session, waits_for_customer=False)
    return Reaction(Step.CHARGE_PARAMETERS, session, (Authorized(response.ResponseCode),))


def on_charge_parameters(
    response: both.ChargeParameterDiscoveryRes, session: EvSession, context: EvccContext
) -> Reaction:
    finished = response.EVSEProcessing == "Finished"
    dc = session.agreed.is_dc
    status, limits, nominal = _parameters(response.EVSEChargeParameter, session)
    code = status_code(status)
    tolerated = ChargerTolerance.FINISHED_NOT_READY in context.settings.tolerances
    not_ready = tolerated and code == "EVSE_NotReady" and limits.max_charge_a <= 0
    stopped = status.EVSENotification == "StopCharging" or code in STOPPING_CODES
    if finished and stopped:
        return Reaction(Step.SESSION_STOP, terminate(session, None, "the charger has no energy"))
    if not finished or not_ready:
        return Reaction(Step.CHARGE_PARAMETERS, session, poll=True)
    voltage = context.car.voltage_v
    if dc and not limits.min_voltage_v <= voltage <= limits.max_voltage_v:
        wrong = terminate(
            session, "wrong voltage", f"the battery voltage of {voltage:.0f} V is outside the EVSE's range"
        )
        return Reaction(Step.SESSION_STOP, wrong)
    offers = context.dialect.read_schedules(response, 0)
    if not offers:
        raise EndConnection("the charger sent no schedule")
    session = _planned(replace(session, evse_limits=limits, nominal_voltage_v=nominal), offers, context)
    event = LimitsStated(choice=session.agreed, ev=context.car.limits, evse=limits)
    found: tuple[Event, ...] = (event, SchedulesReceived(offers))
    return Reaction(Step.CABLE_CHECK if dc else Step.POWER_START, session, found)


def _planned(session: EvSession, offers: tuple[ScheduleOffer, ...], context: EvccContext) -> EvSession:
    """Select a schedule and plan the power in it. With DC there is a profile only if there is a choice: chargers in the
    field state wrong powers there, which cars ignore."""
    car, choice = context.car, len(offers) > 1 or offers[0].levels is not None
    own_w = min(car.limits.max_charge_w, session.evse_limits.max_charge_w)
    need_wh = max(0.0, car.needs.target_wh) if car.needs is not None else 0.0
    offer = selected(offers, own_w, need_wh, car.departure_s)
    profile = plan(offer, own_w, need_wh, car.departure_s) if choice or not session.agreed.is_dc else ()
    return replace(session, tuple_id=offer.tuple_id, profile=profile, profile_since=context.now)


def status_code(status: both.EVSEStatus) -> str:
    """Return the status code; AC has none."""
    return str(status.EVSEStatusCode) if isinstance(status, both.DC_EVSEStatus) else "EVSE_Ready"


def _parameters(stated: both.EVSEChargeParameter, session: EvSession) -> tuple[both.EVSEStatus, Limits, float]:
    """Return status, limits and nominal voltage. Raises EndConnection for those of the other kind of current."""
    if session.agreed.is_dc and isinstance(stated, both.DC_EVSEChargeParameter):
        return stated.DC_EVSEStatus, _dc_limits(stated), 0.0
    if not session.agreed.is_dc and isinstance(stated, AC_EVSEChargeParameter):
        volts, phases = number(stated.EVSENominalVoltage), PHASES[session.mode]
        limits = Limits(max_charge_w=number(stated.EVSEMaxCurrent) * volts * phases, phases=phases)
        return stated.AC_EVSEStatus, limits, volts
    raise EndConnection("the charger's parameters do not fit the requested mode")


def _dc_limits(stated: both.DC_EVSEChargeParameter) -> Limits:
    amps, volts = number(stated.EVSEMaximumCurrentLimit), number(stated.EVSEMaximumVoltageLimit)
    return Limits(
        max_charge_a=amps,
        max_charge_w=optional(stated.EVSEMaximumPowerLimit, amps * volts),
        max_voltage_v=volts,
        min_voltage_v=number(stated.EVSEMinimumVoltageLimit),
        max_discharge_a=0.0,
    )


def on_cable_check(response: both.CableCheckRes, session: EvSession, context: EvccContext) -> Reaction:
    """React to the insulation test: Fault and No_IMD end the session, Warning does not."""
    status = response.DC_EVSEStatus
    if response.EVSEProcessing != "Finished":
        return Reaction(Step.CABLE_CHECK, session, poll=True)
    if str(status.EVSEIsolationStatus) in UNSAFE_ISOLATION or str(status.EVSEStatusCode) in STOPPING_CODES:
        return Reaction(Step.SESSION_STOP, terminate(session, "insulation", "the insulation test failed"))
    return Reaction(Step.PRE_CHARGE, session)


def on_pre_charge(response: both.PreChargeRes, session: EvSession, context: EvccContext) -> Reaction:
    """React to the output voltage; only on equal voltage the host may close the contactor (`VoltageMatched`)."""
    voltage = number(response.EVSEPresentVoltage)
    if str(response.DC_EVSEStatus.EVSEStatusCode) in STOPPING_CODES:
        return Reaction(Step.SESSION_STOP, terminate(session, None, "requested by the charger"))
    if abs(voltage - context.car.voltage_v) > context.settings.pre_charge_tolerance_v:
        return Reaction(Step.PRE_CHARGE, session, poll=True)
    return Reaction(Step.POWER_START, session, (VoltageMatched(voltage),))


def on_power_start(response: both.PowerDeliveryRes, session: EvSession, context: EvccContext) -> Reaction:
    events: list[Event] = [Renegotiated(None, response.ResponseCode)] if session.renegotiating else []
    events.append(PowerStarted(again=session.power_on))
    session = replace(session, power_on=True, started=True, renegotiating=False)
    return _notified(response.EVSEStatus, session, context, events, poll=False)


def on_current_demand(response: both.CurrentDemandRes, session: EvSession, context: EvccContext) -> Reaction:
    known, current = session.evse_limits, number(response.EVSEPresentCurrent)
    limits = replace(
        known,
        max_charge_a=optional(response.EVSEMaximumCurrentLimit, known.max_charge_a),
        max_charge_w=optional(response.EVSEMaximumPowerLimit, known.max_charge_w),
        max_voltage_v=optional(response.EVSEMaximumVoltageLimit, known.max_voltage_v),
    )
    report = StationReport(
        limits=limits,
        present_current_a=current,
        present_voltage_v=number(response.EVSEPresentVoltage),
        power_limited=response.EVSEPowerLimitAchieved,
        current_limited=response.EVSECurrentLimitAchieved,
        voltage_limited=response.EVSEVoltageLimitAchieved,
        meter=_meter(getattr(response, "MeterInfo", None)),
    )
    return _on_loop(response.DC_EVSEStatus, report, _guarded(current, session, context), context)


def on_charging_status(response: both.ChargingStatusRes, session: EvSession, context: EvccContext) -> Reaction:
    limits = session.evse_limits
    if response.EVSEMaxCurrent is not None:
        power_w = number(response.EVSEMaxCurrent) * session.nominal_voltage_v * PHASES[session.mode]
        limits = replace(limits, max_charge_w=max(0.0, power_w))
    report = StationReport(limits=limits, target_power_w=limits.max_charge_w, meter=_meter(response.MeterInfo))
    return _on_loop(response.AC_EVSEStatus, report, session, context)


def _meter(info: both.MeterInfo | None) -> Meter | None:
    if info is None:
        return None
    reading = info.MeterReading or 0
    return Meter(meter_id=info.MeterID, charged_wh=float(reading) if isinstance(reading, int) else number(reading))


def _on_loop(status: both.EVSEStatus, report: StationReport, session: EvSession, context: EvccContext) -> Reaction:
    session = replace(session, station=report, evse_limits=report.limits, loops=session.loops + 1)
    return _notified(status, session, context, [ChargeLoopAnswered(station=report, code=ResponseCode.OK)], poll=True)


def _notified(
    status: both.EVSEStatus, session: EvSession, context: EvccContext, events: list[Event], *, poll: bool
) -> Reaction:
    """React to notification and status code of PowerDelivery and the loop."""
    code = status_code(status)
    notification = str(status.EVSENotification)
    step = Step.CHARGE_LOOP
    rcd = not isinstance(status, both.DC_EVSEStatus) and status.RCD
    if code in FAULT_CODES or rcd:
        session = terminate(session, code if code in FAULT_CODES else "residual current", "fault of the charger")
    elif notification == "StopCharging" or code in STOPPING_CODES:
        events.append(Notified(EVSENotification.Terminate, status.NotificationMaxDelay))
        if EVSENotification.Terminate not in context.settings.ignores:
            session = terminate(session, None, f"requested by the charger: {notification}, {code}")
    elif notification == "ReNegotiation" and not context.dialect.is_din:
        events.append(Notified(EVSENotification.ScheduleRenegotiation, status.NotificationMaxDelay))
        if poll and EVSENotification.ScheduleRenegotiation not in context.settings.ignores:
            step, poll = Step.RENEGOTIATION, False
    return Reaction(step, session, tuple(events), poll=poll)


def _guarded(current_a: float, session: EvSession, context: EvccContext) -> EvSession:
    """Terminate when the current flows in reverse, or has been beyond the EV's limits for too long."""
    car, since, for_s = context.car, session.outside_since, context.settings.guard_s
    found = judge(current_a, car.limits, car.voltage_v, discharges=False, since=since, now=context.now, for_s=for_s)
    if found.outside_since != since:
        session = replace(session, outside_since=found.outside_since)
    return session if found.refusal is None else terminate(session, "current outside limits", found.refusal)


def on_renegotiation(response: both.PowerDeliveryRes, session: EvSession, context: EvccContext) -> Reaction:
    dc = session.agreed.is_dc
    session = replace(session, renegotiating=True, power_on=session.power_on and not dc)
    return Reaction(Step.CHARGE_PARAMETERS, session, (PowerStopped(),) if dc else ())


def on_power_stop(response: both.PowerDeliveryRes, session: EvSession, context: EvccContext) -> Reaction:
    welding = session.agreed.is_dc and context.settings.welding_polls > 0
    stopped = replace(session, power_on=False, pause_offered=session.loops > 0, welding_done=0)
    return Reaction(Step.WELDING_DETECTION if welding else Step.SESSION_STOP, stopped, (PowerStopped(),))


def on_welding_detection(response: both.WeldingDetectionRes, session: EvSession, context: EvccContext) -> Reaction:
    voltage = number(response.EVSEPresentVoltage)
    session = replace(session, welding_done=session.welding_done + 1)
    if voltage >= context.settings.safe_voltage_v and session.welding_done < context.settings.welding_polls:
        return Reaction(Step.WELDING_DETECTION, session, poll=True)
    return Reaction(Step.SESSION_STOP, session, (WeldingChecked(voltage),))


def on_session_stop(response: both.SessionStopRes, session: EvSession, context: EvccContext) -> Reaction:
    stop = session.stop or Stop()
    events: list[Event] = []
    paused = stop.kind is ChargingSession.Pause
    if paused:
        evccid = context.settings.evccid.hex().upper()
        kept = Paused(session.session_id, evccid, session.choice, None, session.namespace)
        events.append(SessionPaused(kept))
    events.append(
        SessionEnded(
            reason=stop.explanation or ("paused" if paused else "ended"),
            ok=stop.code is None,
            kind=stop.kind,
            termination_code=stop.code,
            explanation=stop.explanation,
        )
    )
    return Reaction(Step.ENDED, session, tuple(events))


REACTIONS: dict[Step, Callable[..., Reaction]] = {
    Step.SESSION_SETUP: on_session_setup,
    Step.SERVICE_DISCOVERY: on_service_discovery,
    Step.SERVICE_DETAIL: on_service_detail,
    Step.PAYMENT_SELECTION: on_selection,
    Step.AUTHORIZATION: on_authorization,
    Step.CHARGE_PARAMETERS: on_charge_parameters,
    Step.CABLE_CHECK: on_cable_check,
    Step.PRE_CHARGE: on_pre_charge,
    Step.POWER_START: on_power_start,
    Step.RENEGOTIATION: on_renegotiation,
    Step.POWER_STOP: on_power_stop,
    Step.WELDING_DETECTION: on_welding_detection,
    Step.SESSION_STOP: on_session_stop,
}
