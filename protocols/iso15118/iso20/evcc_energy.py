"""The EVCC's reactions to responses from charge parameter discovery to power delivery, as pure functions.

Source: ISO 15118-20, ChargeParameterDiscovery, ScheduleExchange, CableCheck, PreCharge, PowerDelivery.
"""

from __future__ import annotations

from dataclasses import replace

from protocols.iso15118.iso20 import ac_messages, dc_messages
from protocols.iso15118.iso20.ac import AC_ChargeParameterDiscoveryRes, BPT_AC_CPDResEnergyTransferMode
from protocols.iso15118.iso20.common import ChargingSession, PowerDeliveryRes, ScheduleExchangeRes
from protocols.iso15118.iso20.dc import (
    BPT_DC_CPDResEnergyTransferMode,
    DC_CableCheckRes,
    DC_ChargeParameterDiscoveryRes,
    DC_PreChargeRes,
)
from protocols.iso15118.iso20.evcc_requests import profile
from protocols.iso15118.iso20.evcc_session import EvccContext, EvSession, Reaction
from protocols.iso15118.iso20.evcc_setup import terminate
from protocols.iso15118.iso20.events import (
    Event,
    LimitsStated,
    PowerStarted,
    PowerStopped,
    Renegotiated,
    SchedulesReceived,
    StandbyEntered,
    VoltageMatched,
    Warned,
)
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.orders import Stop
from protocols.iso15118.iso20.prices import PriceLevels, Prices
from protocols.iso15118.iso20.rational import number
from protocols.iso15118.iso20.schedules import read_offer
from protocols.iso15118.iso20.states import Step
from protocols.iso15118.iso20.types import Processing, ResponseCode
from protocols.iso15118.session.evcc_engine import EndConnection


def on_dc_parameters(response: DC_ChargeParameterDiscoveryRes, session: EvSession, context: EvccContext) -> Reaction:
    mode = response.DC_CPDResEnergyTransferMode
    if isinstance(mode, BPT_DC_CPDResEnergyTransferMode) is not session.agreed.is_bpt:
        raise EndConnection("the charger's parameters do not fit the selected service")
    evse = dc_messages.read_discovery_response_mode(mode)
    if not evse.min_voltage_v <= context.car.voltage_v <= evse.max_voltage_v:
        session = terminate(
            session,
            "wrong voltage",
            f"the battery voltage of {context.car.voltage_v:.0f} V is outside the EVSE's "
            f"{evse.min_voltage_v:.0f}-{evse.max_voltage_v:.0f} V",
        )
        return Reaction(Step.SESSION_STOP, session)
    return _parameters(evse, session, context)


def on_ac_parameters(response: AC_ChargeParameterDiscoveryRes, session: EvSession, context: EvccContext) -> Reaction:
    mode = response.AC_CPDResEnergyTransferMode
    if isinstance(mode, BPT_AC_CPDResEnergyTransferMode) is not session.agreed.is_bpt:
        raise EndConnection("the charger's parameters do not fit the selected service")
    return _parameters(ac_messages.read_discovery_response_mode(mode), session, context)


def _parameters(evse: Limits, session: EvSession, context: EvccContext) -> Reaction:
    event = LimitsStated(choice=session.agreed, ev=context.car.limits, evse=evse)
    return Reaction(Step.SCHEDULE_EXCHANGE, replace(session, evse_limits=evse), (event,))


def on_schedules(response: ScheduleExchangeRes, session: EvSession, context: EvccContext) -> Reaction:
    """React to the first exchange or to a renegotiation, depending on the step of the context."""
    again = context.step is not Step.SCHEDULE_EXCHANGE
    if response.EVSEProcessing is not Processing.Finished:
        return Reaction(context.step, session, poll=True)
    if response.ResponseCode.startswith("WARNING"):
        warned: Event = Warned("ScheduleExchangeRes", response.ResponseCode)
        kept = replace(session, renegotiating=False, renegotiated=False)
        step = Step.CHARGE_LOOP if context.step is Step.CHARGE_LOOP else Step.POWER_STOP
        return Reaction(step if again else Step.SESSION_STOP, kept, (warned,))
    choice = session.agreed
    mode = response.Scheduled_SEResControlMode
    if not choice.is_dynamic and mode is None:
        raise EndConnection("the charger sent no schedule for scheduled control")
    offers = tuple(read_offer(one).covering(context.wall_s) for one in mode.ScheduleTuple) if mode is not None else ()
    pause = response.GoToPause is True
    fresh = replace(session, offers=offers, pause_offered=pause)
    planned = profile(fresh, context)
    discharges = any(block.power_w < 0 for block in planned.blocks)
    fresh = replace(fresh, profile=planned, discharge_channel=discharges or session.discharge_channel)
    dynamic = response.Dynamic_SEResControlMode
    levels = PriceLevels.read(dynamic.PriceLevelSchedule) if dynamic and dynamic.PriceLevelSchedule else None
    prices = Prices.read(dynamic.AbsolutePriceSchedule) if dynamic and dynamic.AbsolutePriceSchedule else None
    events: tuple[Event, ...] = (SchedulesReceived(offers, pause, levels, prices),)
    if again:
        return Reaction(
            Step.RENEGOTIATION if context.step is Step.SCHEDULE_AGAIN else context.step,
            replace(fresh, renegotiating=False, renegotiated=True),
            events,
        )
    if pause and fresh.stop is None:
        paused = replace(fresh, stop=Stop(ChargingSession.Pause, None, "the charger has no power now"))
        return Reaction(Step.SESSION_STOP, paused, events)
    return Reaction(Step.CABLE_CHECK if choice.is_dc else Step.POWER_START, fresh, events)


def on_cable_check(response: DC_CableCheckRes, session: EvSession, context: EvccContext) -> Reaction:
    if response.EVSEProcessing is not Processing.Finished:
        return Reaction(Step.CABLE_CHECK, session, poll=True)
    return Reaction(Step.PRE_CHARGE, session)


def on_pre_charge(response: DC_PreChargeRes, session: EvSession, context: EvccContext) -> Reaction:
    """React to the output voltage; only on equal voltage the host may close the contactor (`VoltageMatched`)."""
    if session.pre_charged:
        return Reaction(Step.POWER_START, session)
    voltage = number(response.EVSEPresentVoltage)
    if abs(voltage - context.car.voltage_v) > context.settings.pre_charge_tolerance_v:
        return Reaction(Step.PRE_CHARGE, session, poll=True)
    return Reaction(Step.PRE_CHARGE, replace(session, pre_charged=True), (VoltageMatched(voltage),))


def on_power_start(response: PowerDeliveryRes, session: EvSession, context: EvccContext) -> Reaction:
    if not session.starts:
        return Reaction(Step.POWER_START, session, poll=True)
    events: list[Event] = []
    if response.ResponseCode.startswith("WARNING"):
        events.append(Warned("PowerDeliveryRes", response.ResponseCode))
    events.append(
        PowerStarted(profile=session.profile, discharge_channel=session.discharge_channel, again=session.power_on)
    )
    return Reaction(Step.CHARGE_LOOP, replace(session, power_on=True, standby=False), tuple(events))


def on_renegotiation(response: PowerDeliveryRes, session: EvSession, context: EvccContext) -> Reaction:
    if not session.renegotiated:
        return Reaction(Step.SCHEDULE_AGAIN, session)  # requested without multiplexing
    done = replace(session, renegotiated=False, renegotiating=False)
    return Reaction(Step.CHARGE_LOOP, done, (Renegotiated(session.profile, response.ResponseCode),))


def on_standby(response: PowerDeliveryRes, session: EvSession, context: EvccContext) -> Reaction:
    if response.ResponseCode is ResponseCode.WARNING_StandbyNotAllowed:
        return Reaction(Step.CHARGE_LOOP, session, (Warned("PowerDeliveryRes", response.ResponseCode),))
    return Reaction(Step.STANDBY, replace(session, standby=True), (StandbyEntered(),))


def on_power_stop(response: PowerDeliveryRes, session: EvSession, context: EvccContext) -> Reaction:
    welding = session.agreed.is_dc and context.settings.welding_polls > 0
    stopped = replace(session, power_on=False, standby=False, welding_done=0)
    return Reaction(Step.WELDING_DETECTION if welding else Step.SESSION_STOP, stopped, (PowerStopped(),))
