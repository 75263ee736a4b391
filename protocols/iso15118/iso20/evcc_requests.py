"""The EVCC's requests: one builder for each step, as pure functions of session and context.

Source: ISO 15118-20, messages of the EVCC; V2G20-2681 (both V2X requests or none).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from protocols.errors import LocalProtocolError
from protocols.iso15118.iso20 import ac_messages, dc_messages
from protocols.iso15118.iso20.ac import AC_ChargeParameterDiscoveryReq
from protocols.iso15118.iso20.common import (
    Authorization,
    AuthorizationReq,
    AuthorizationSetupReq,
    ChannelSelection,
    ChargeProgress,
    ChargingSession,
    Dynamic_SEReqControlMode,
    Dynamic_SMDTControlMode,
    EIM_AReqAuthorizationMode,
    EVAbsolutePriceSchedule,
    EVEnergyOffer,
    EVPowerSchedule,
    EVPowerScheduleEntry,
    EVPowerScheduleEntryList,
    EVPriceRule,
    EVPriceRuleStack,
    EVPriceRuleStackList,
    PowerDeliveryReq,
    Scheduled_SEReqControlMode,
    Scheduled_SMDTControlMode,
    ScheduleExchangeReq,
    SelectedService,
    ServiceDetailReq,
    ServiceDiscoveryReq,
    ServiceSelectionReq,
    SessionSetupReq,
    SessionStopReq,
    SignedMeteringData,
)
from protocols.iso15118.iso20.dc import (
    DC_CableCheckReq,
    DC_ChargeParameterDiscoveryReq,
    DC_PreChargeReq,
    DC_WeldingDetectionReq,
)
from protocols.iso15118.iso20.evcc_session import EvccContext, EvSession
from protocols.iso15118.iso20.limits import Limits, allowed
from protocols.iso15118.iso20.loop import CarReport, Display
from protocols.iso15118.iso20.loop_messages import meter_message, needs_fields, scheduled_needs_fields, seconds
from protocols.iso15118.iso20.messages import NO_SESSION
from protocols.iso15118.iso20.orders import CarState
from protocols.iso15118.iso20.prices import ALGORITHMS
from protocols.iso15118.iso20.rational import rational
from protocols.iso15118.iso20.schedules import DAY, Block, Profile, profile_message, profile_within
from protocols.iso15118.iso20.states import Step
from protocols.iso15118.iso20.types import MessageHeader, Processing, V2GRequest
from protocols.quantities import clamp

MIN_POINTS = 12  # MaximumSupportingPoints


def build(session: EvSession, context: EvccContext) -> V2GRequest:
    """Return the request of the context's step."""
    return _BUILDERS[context.step](session, context)


def needs_of(car: CarState) -> dict[str, Any]:
    """Return departure and SoC targets as fields of ScheduleExchangeReq."""
    return {
        "DepartureTime": seconds(DAY if car.departure_s is None else car.departure_s),
        "MinimumSOC": int(clamp(car.minimum_soc_pct, 0, 100)),
        "TargetSOC": int(clamp(max(car.target_soc_pct, car.minimum_soc_pct), 0, 100)),
    }


def profile(session: EvSession, context: EvccContext) -> Profile:
    """Return the EV's power profile: its maximum in dynamic control, the whole schedule in scheduled control."""
    car, choice = context.car, session.agreed
    if choice.is_dynamic or not session.offers:
        duration = seconds(DAY if car.departure_s is None else car.departure_s) or DAY
        return Profile(anchor_s=int(context.wall_s), blocks=(Block(duration, car.limits.max_charge_w),))
    limits = car.limits if choice.is_bpt else car.limits.charge_only()
    permitted = allowed(limits, session.evse_limits, car.voltage_v if choice.is_dc else None)
    return profile_within(session.offers[0], permitted, discharge_first=context.settings.discharge_first)


def metering_confirmation(session: EvSession, context: EvccContext) -> V2GRequest:
    """Return the last reading, signed by the settings' signer."""
    signer, meter = context.settings.metering_signer, meter_message(session.meter)
    if signer is None or meter is None:
        raise LocalProtocolError("no meter reading or no signer")
    tuple_id = session.profile.tuple_id if session.profile is not None else None
    scheduled = None if tuple_id is None else Scheduled_SMDTControlMode(SelectedScheduleTupleID=tuple_id)
    data = SignedMeteringData(
        Id="meter",
        SessionID=session.session_id,
        MeterInfo=meter,
        Dynamic_SMDTControlMode=Dynamic_SMDTControlMode() if scheduled is None else None,
        Scheduled_SMDTControlMode=scheduled,
    )
    return signer(context.header, data)


def planned_power(session: EvSession, context: EvccContext) -> float:
    """Return the power in scheduled control: the profile within the SECC's present limits."""
    car, choice = context.car, session.agreed
    planned = session.profile.power_at(context.wall_s) if session.profile is not None else None
    power_w = planned or 0.0
    if car.requested_power_w is not None:
        power_w = clamp(car.requested_power_w, min(power_w, 0.0), max(power_w, 0.0))
    evse = session.station.limits if session.station is not None else session.evse_limits
    limits = car.limits if choice.is_bpt else car.limits.charge_only()
    permitted = allowed(limits, evse, car.voltage_v if choice.is_dc else None)
    return clamp(power_w, permitted.low_w, permitted.high_w)


def _stated(context: EvccContext) -> Limits:
    """Return the limits in the sign convention of this EV."""
    limits = context.car.limits
    if not context.settings.negative_discharge_limits:
        return limits
    return replace(limits, max_discharge_w=-limits.max_discharge_w, max_discharge_a=-limits.max_discharge_a)


def _session_setup(session: EvSession, context: EvccContext) -> V2GRequest:
    resume = context.settings.resume
    session_id = resume.session_id if resume is not None else NO_SESSION
    header = MessageHeader(SessionID=session_id, TimeStamp=context.header.TimeStamp)
    return SessionSetupReq(Header=header, EVCCID=context.settings.evccid)


def _authorization(session: EvSession, context: EvccContext) -> V2GRequest:
    return AuthorizationReq(
        Header=context.header,
        SelectedAuthorizationService=Authorization.EIM,
        EIM_AReqAuthorizationMode=EIM_AReqAuthorizationMode(),
    )


def _service_detail(session: EvSession, context: EvccContext) -> V2GRequest:
    return ServiceDetailReq(Header=context.header, ServiceID=int(session.candidates[0]))


def _service_selection(session: EvSession, context: EvccContext) -> V2GRequest:
    choice = session.agreed
    selected = SelectedService(ServiceID=int(choice.service), ParameterSetID=choice.parameters.set_id)
    return ServiceSelectionReq(Header=context.header, SelectedEnergyTransferService=selected)


def _charge_parameters(session: EvSession, context: EvccContext) -> V2GRequest:
    choice, car = session.agreed, context.car
    limits = _stated(context)
    if not choice.is_dc:
        return AC_ChargeParameterDiscoveryReq(
            Header=context.header,
            AC_CPDReqEnergyTransferMode=ac_messages.discovery_request_mode(limits, bpt=choice.is_bpt),
        )
    return DC_ChargeParameterDiscoveryReq(
        Header=context.header,
        DC_CPDReqEnergyTransferMode=dc_messages.discovery_request_mode(
            limits, bpt=choice.is_bpt, target_soc_pct=int(clamp(car.target_soc_pct, 0, 100))
        ),
    )


def _schedule_exchange(session: EvSession, context: EvccContext) -> V2GRequest:
    choice, car = session.agreed, context.car
    points = max(MIN_POINTS, min(context.settings.max_points, 1024))
    if choice.is_dynamic:
        fields = needs_fields(car.needs, car.departure_s, bpt=choice.is_bpt) | needs_of(car)
        return ScheduleExchangeReq(
            Header=context.header,
            MaximumSupportingPoints=points,
            Dynamic_SEReqControlMode=Dynamic_SEReqControlMode(**fields),
        )
    mode = Scheduled_SEReqControlMode(
        DepartureTime=seconds(car.departure_s),
        EVEnergyOffer=_energy_offer(context) if choice.is_bpt else None,
        **scheduled_needs_fields(car.needs),
    )
    return ScheduleExchangeReq(Header=context.header, MaximumSupportingPoints=points, Scheduled_SEReqControlMode=mode)


def _energy_offer(context: EvccContext) -> EVEnergyOffer | None:
    """Return the energy that the EV offers to sell: power below zero, and its price."""
    blocks = context.settings.sell
    if not blocks:
        return None
    anchor = int(context.wall_s)
    return EVEnergyOffer(
        EVPowerSchedule=EVPowerSchedule(
            TimeAnchor=anchor,
            EVPowerScheduleEntries=EVPowerScheduleEntryList(
                EVPowerScheduleEntry=tuple(
                    EVPowerScheduleEntry(Duration=duration, Power=rational(power)) for duration, power, _ in blocks
                )
            ),
        ),
        EVAbsolutePriceSchedule=EVAbsolutePriceSchedule(
            TimeAnchor=anchor,
            Currency=context.settings.currency,
            PriceAlgorithm=ALGORITHMS["power"],
            EVPriceRuleStacks=EVPriceRuleStackList(
                EVPriceRuleStack=tuple(
                    EVPriceRuleStack(
                        Duration=duration,
                        EVPriceRule=(EVPriceRule(EnergyFee=rational(price), PowerRangeStart=rational(0)),),
                    )
                    for duration, _, price in blocks
                )
            ),
        ),
    )


def _pre_charge(session: EvSession, context: EvccContext) -> V2GRequest:
    return DC_PreChargeReq(
        Header=context.header,
        EVProcessing=Processing.Finished if session.pre_charged else Processing.Ongoing,
        EVPresentVoltage=rational(context.car.inlet_voltage_v),
        EVTargetVoltage=rational(context.car.voltage_v),
    )


def _power(progress: ChargeProgress) -> Callable[[EvSession, EvccContext], V2GRequest]:
    def request(session: EvSession, context: EvccContext) -> V2GRequest:
        starts = progress in (ChargeProgress.Start, ChargeProgress.ScheduleRenegotiation)
        waiting = progress is ChargeProgress.Start and not session.starts
        without_multiplexing = progress is ChargeProgress.ScheduleRenegotiation and not session.renegotiated
        channel: ChannelSelection | None = None
        if starts and session.agreed.is_bpt:
            channel = ChannelSelection.Discharge if session.discharge_channel else ChannelSelection.Charge
        sends_profile = starts and not waiting and not without_multiplexing and session.profile is not None
        return PowerDeliveryReq(
            Header=context.header,
            EVProcessing=Processing.Ongoing if waiting else Processing.Finished,
            ChargeProgress=progress,
            EVPowerProfile=profile_message(session.profile) if sends_profile and session.profile else None,
            BPT_ChannelSelection=channel,
        )

    return request


def _charge_loop(session: EvSession, context: EvccContext) -> V2GRequest:
    car, choice, settings = context.car, session.agreed, context.settings
    every = settings.meter_every
    report = CarReport(
        limits=_stated(context),
        needs=car.needs,
        departure_s=car.departure_s,
        present_voltage_v=car.voltage_v,
        present_power_w=car.power_w,
        present_reactive_var=car.reactive_var,
        display=car.display or _display(car),
        meter_requested=bool(every) and session.loops % every == 0,
    )
    if not choice.is_dc:
        return ac_messages.request(context.header, report, bpt=choice.is_bpt, dynamic=choice.is_dynamic)
    if not choice.is_dynamic:
        power = 0.0 if session.standby else planned_power(session, context)
        report = CarReport(
            limits=report.limits,
            needs=report.needs,
            present_voltage_v=car.voltage_v,
            target_current_a=power / car.voltage_v if car.voltage_v > 0 else 0.0,
            target_voltage_v=car.limits.max_voltage_v if power >= 0 else car.limits.min_voltage_v,
            display=report.display,
            meter_requested=report.meter_requested,
        )
    return context.memory.request(context.header, report, bpt=choice.is_bpt, dynamic=choice.is_dynamic)


def _display(car: CarState) -> Display:
    return Display(
        present_soc_pct=car.soc_pct,
        minimum_soc_pct=car.minimum_soc_pct,
        target_soc_pct=max(car.target_soc_pct, car.minimum_soc_pct),
        maximum_soc_pct=car.maximum_soc_pct,
        complete=car.complete,
        capacity_wh=car.capacity_wh,
    )


def _welding(session: EvSession, context: EvccContext) -> V2GRequest:
    last = session.welding_done + 1 >= context.settings.welding_polls
    return DC_WeldingDetectionReq(
        Header=context.header, EVProcessing=Processing.Finished if last else Processing.Ongoing
    )


def _session_stop(session: EvSession, context: EvccContext) -> V2GRequest:
    stop = session.stop
    return SessionStopReq(
        Header=context.header,
        ChargingSession=ChargingSession.Terminate if stop is None else stop.kind,
        EVTerminationCode=None if stop is None else stop.code,
        EVTerminationExplanation=None if stop is None else stop.explanation,
    )


_BUILDERS: dict[Step, Callable[[EvSession, EvccContext], V2GRequest]] = {
    Step.SESSION_SETUP: _session_setup,
    Step.AUTHORIZATION_SETUP: lambda session, context: AuthorizationSetupReq(Header=context.header),
    Step.AUTHORIZATION: _authorization,
    Step.SERVICE_DISCOVERY: lambda session, context: ServiceDiscoveryReq(Header=context.header),
    Step.SERVICE_DETAIL: _service_detail,
    Step.SERVICE_SELECTION: _service_selection,
    Step.CHARGE_PARAMETERS: _charge_parameters,
    Step.SCHEDULE_EXCHANGE: _schedule_exchange,
    Step.SCHEDULE_AGAIN: _schedule_exchange,
    Step.CABLE_CHECK: lambda session, context: DC_CableCheckReq(Header=context.header),
    Step.PRE_CHARGE: _pre_charge,
    Step.POWER_START: _power(ChargeProgress.Start),
    Step.RENEGOTIATION: _power(ChargeProgress.ScheduleRenegotiation),
    Step.POWER_STANDBY: _power(ChargeProgress.Standby),
    Step.POWER_STOP: _power(ChargeProgress.Stop),
    Step.CHARGE_LOOP: _charge_loop,
    Step.STANDBY: _charge_loop,
    Step.WELDING_DETECTION: _welding,
    Step.SESSION_STOP: _session_stop,
}
