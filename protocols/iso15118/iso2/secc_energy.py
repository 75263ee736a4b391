"""The SECC's responses from charge parameter discovery to pre-charge, as pure functions, for ISO 15118-2 and DIN 70121.

Source: V2G2-303, 304, 305, 476, 477, 621, 688; V2G-DC-397, 398. Uncertain: the status code during the cable check
(EVSE_IsolationMonitoringActive is sent; some cars stop at EVSE_NotReady), and the end without energy
(IEC 61851-23:2023 CC.5.3.2, as EVerest has it).
"""

from __future__ import annotations

from dataclasses import replace

from protocols.iso15118.iso2 import both, timers
from protocols.iso15118.iso2.dialect import PHASES, EvParameters
from protocols.iso15118.iso2.schedules import LONGEST_S, MOST_ENTRIES
from protocols.iso15118.iso2.secc_session import Answer, Refusal, RequestContext, Session, charging
from protocols.iso15118.iso2.states import State
from protocols.iso15118.iso2.tolerances import Tolerance
from protocols.iso15118.iso2.values import number
from protocols.iso15118.iso20.events import (
    CableCheckRequested,
    Event,
    LimitsStated,
    NeedsStated,
    PreChargeRequested,
    ServiceAgreed,
)
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.schedules import ScheduleOffer, flat_offer
from protocols.iso15118.iso20.secc_session import Verdict
from protocols.iso15118.iso20.setpoint import EnergyRequests
from protocols.iso15118.session import control_pilot

MAX_TUPLES = 3
PRE_CHARGE_A = 2.0  # the highest current during pre-charge
NO_ERRORS = ("NO_ERROR", "NoData")


def answer_charge_parameters(
    request: both.ChargeParameterDiscoveryReq, session: Session, context: RequestContext
) -> Answer:
    """Ongoing until schedules and power are available; without power at the end the session stops without energy."""
    car = context.dialect.read_parameters(request)
    session, events = _record(car, session, context)
    limits, offers = context.limits(session), context.evse.schedules
    since = session.ongoing_since if session.ongoing_since is not None else context.now
    late = context.now - since > timers.ONGOING_SECC
    if offers is None and late:
        raise Refusal("FAILED", "no schedule was available in time")
    no_energy = limits.max_charge_w <= 0 or limits.max_charge_a <= 0
    if offers is None or (no_energy and not late):
        session = replace(session, ongoing_since=since)
        response = _parameters(session, context, limits, "Ongoing", "EVSE_NotReady")
        return Answer(response, State.CHARGE_PARAMETERS, session, events)
    kept = offers[: min(MAX_TUPLES, session.most_entries)] or (_flat(session, context, limits, car.departure_s),)
    session = replace(session, schedules=kept, ongoing_since=None, requested=session.requested - {"schedules"})
    session = replace(session, offer=None, ending=False)
    if no_energy:
        return Answer(
            _parameters(session, context, limits, "Finished", None, stop=True), State.NO_ENERGY, session, events
        )
    after = State.CABLE_CHECK if session.agreed.is_dc else State.POWER_DELIVERY
    return Answer(_parameters(session, context, limits, "Finished", None), after, session, events)


def _record(car: EvParameters, session: Session, context: RequestContext) -> tuple[Session, tuple[Event, ...]]:
    """Check and record the EV's parameters; report them on the first request of an exchange."""
    settings = context.settings
    modes = settings.dc_modes[:1] if context.dialect.is_din else settings.dc_modes + settings.ac_modes
    if car.mode not in modes:
        raise Refusal("FAILED_WrongEnergyTransferMode", f"{car.mode} is not offered")
    if car.is_dc is not (car.mode in settings.dc_modes):
        raise Refusal("FAILED_WrongChargeParameter", f"not the parameters of {car.mode}")
    choice = charging(car.is_dc)
    if session.renegotiating and choice != session.choice:
        raise Refusal("FAILED_WrongEnergyTransferMode", "the kind of current cannot change within a session")
    _check(car.limits, settings.dc if car.is_dc else None)
    session = replace(session, mode=car.mode, choice=choice, ev_limits=car.limits, soc_pct=car.soc_pct)
    session = replace(session, most_entries=car.most_entries or MOST_ENTRIES)
    if "schedules" in session.requested:
        return session, ()
    session = replace(session, requested=session.requested | {"schedules"})
    events: list[Event] = [] if session.renegotiating else [ServiceAgreed(choice)]
    evse = context.limits(session)
    events.append(LimitsStated(choice=choice, ev=car.limits, evse=evse, target_soc_pct=car.full_soc_pct))
    events.append(
        NeedsStated(
            choice=choice,
            ev=car.limits,
            needs=_needs(car),
            departure_s=car.departure_s,
            target_soc_pct=car.full_soc_pct,
            renegotiation=session.renegotiating,
        )
    )
    return session, tuple(events)


def _check(ev: Limits, evse: Limits | None) -> None:
    impossible = ev.impossible()
    if impossible is None and evse is not None and ev.max_charge_a < evse.min_charge_a:
        impossible = "the car's highest current is below the charger's lowest"
    if impossible is None and evse is not None and ev.max_voltage_v < evse.min_voltage_v:
        impossible = "the car's highest voltage is below the charger's lowest"
    if impossible is not None:
        raise Refusal("FAILED_WrongChargeParameter", impossible)


def _needs(car: EvParameters) -> EnergyRequests | None:
    if car.request_wh is None:
        return None
    wanted = car.request_wh
    return EnergyRequests(target_wh=wanted, maximum_wh=wanted, minimum_wh=min(wanted, 0.0))


def _flat(session: Session, context: RequestContext, limits: Limits, departure_s: float | None) -> ScheduleOffer:
    """Return an offer of the charger's full power until departure, or for a day (V2G2-303, 304)."""
    duration = {} if departure_s is None else {"duration_s": min(max(1, int(departure_s)), LONGEST_S)}
    return flat_offer(int(context.wall_s), limits.max_charge_w, None, **duration)


def _parameters(
    session: Session,
    context: RequestContext,
    limits: Limits,
    processing: str,
    code: str | None,
    *,
    stop: bool = False,
) -> both.Message:
    dialect, finished = context.dialect, processing == "Finished"
    if session.agreed.is_dc:
        status = dialect.dc_status("EVSE_Shutdown", "Invalid", "StopCharging") if stop else context.dc_status(code)
        parameters = dialect.dc_evse_parameters(status, limits)
    else:
        parameters = dialect.types.AC_EVSEChargeParameter(
            AC_EVSEStatus=dialect.ac_status("StopCharging") if stop else context.ac_status(),
            EVSENominalVoltage=dialect.quantity(context.settings.nominal_voltage_v, "V"),
            EVSEMaxCurrent=dialect.quantity(phase_current(limits.max_charge_w, session, context), "A", limit=True),
        )
    listed = session.schedules if finished else ()
    if dialect.is_din and not listed:
        listed = (flat_offer(int(context.wall_s), limits.max_charge_w, None),)  # mandatory in DIN, while Ongoing too
    return dialect.request(
        "ChargeParameterDiscoveryRes",
        ResponseCode=context.ok,
        EVSEProcessing=dialect.types.EVSEProcessing(processing),
        SASchedules=dialect.schedules(listed, context.wall_s, session.most_entries) if listed else None,
        EVSEChargeParameter=parameters,
    )


def phase_current(power_w: float, session: Session, context: RequestContext) -> float:
    """Return the current of each phase for a total power."""
    return power_w / (context.settings.nominal_voltage_v * PHASES.get(session.mode, 1))


def answer_cable_check(request: both.CableCheckReq, session: Session, context: RequestContext) -> Answer:
    _check_error(request)
    events: tuple[Event, ...] = ()
    pilot = context.evse.pilot
    connected = pilot is None or pilot in control_pilot.POWER  # the test begins in state C or D
    if connected and "cable" not in session.requested:
        session = replace(session, requested=session.requested | {"cable"})
        events = (CableCheckRequested(),)
    since = session.ongoing_since if session.ongoing_since is not None else context.now
    verdict = context.evse.insulation
    if verdict is Verdict.NO:
        raise Refusal("FAILED", "the insulation test failed")
    done = verdict is Verdict.YES and connected
    if not done and context.now - since > timers.CABLE_CHECK_SECC:
        raise Refusal("FAILED", "the insulation test took too long")
    response = context.dialect.request(
        "CableCheckRes",
        ResponseCode=context.ok,
        DC_EVSEStatus=context.dc_status(None if done else "EVSE_IsolationMonitoringActive"),
        EVSEProcessing=context.dialect.types.EVSEProcessing("Finished" if done else "Ongoing"),
    )
    session = replace(session, ongoing_since=None if done else since, pre_charge_since=None)
    return Answer(response, State.PRE_CHARGE if done else State.CABLE_CHECK, session, events)


def answer_pre_charge(request: both.PreChargeReq, session: Session, context: RequestContext) -> Answer:
    _check_error(request)
    limits, target = context.limits(session), number(request.EVTargetVoltage)
    if target > limits.max_voltage_v:
        code = "FAILED_EVSEPresentVoltageToLow" if context.dialect.is_din else "FAILED"
        raise Refusal(code, f"the charger cannot supply {target:g} V")
    if target < limits.min_voltage_v and not context.tolerates(Tolerance.LOW_TARGET_VOLTAGE):
        raise Refusal("FAILED", f"{target:g} V is below the output's range")
    target = max(target, limits.min_voltage_v)
    requested_a = number(request.EVTargetCurrent)
    if requested_a > PRE_CHARGE_A and not context.tolerates(Tolerance.PRE_CHARGE_CURRENT):
        raise Refusal("FAILED", f"{requested_a:g} A is too much for pre-charge")
    if abs(context.evse.current_a) > PRE_CHARGE_A:
        raise Refusal("FAILED", f"{context.evse.current_a:g} A flow during pre-charge")
    since = session.pre_charge_since if session.pre_charge_since is not None else context.now
    long = context.tolerates(Tolerance.LONG_PRE_CHARGE)
    if context.now - since > (timers.LONG_PRE_CHARGE_SECC if long else timers.PRE_CHARGE_SECC):
        raise Refusal("FAILED", "pre-charge took too long")
    response = context.dialect.request(
        "PreChargeRes",
        ResponseCode=context.ok,
        DC_EVSEStatus=context.dc_status(),
        EVSEPresentVoltage=context.dialect.quantity(context.evse.voltage_v, "V"),
    )
    return Answer(
        response,
        State.POWER_DELIVERY,
        replace(session, pre_charge_since=since),
        (PreChargeRequested(target),),
    )


def _check_error(request: both.CableCheckReq | both.PreChargeReq) -> None:
    """Refuse to go on with a car that reports an error (EVReady is not checked: cars in the field set it late)."""
    error = str(request.DC_EVStatus.EVErrorCode)
    if error not in NO_ERRORS:
        raise Refusal("FAILED", f"the car reports {error}")
