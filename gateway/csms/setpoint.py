"""Power ordered from a station: one signed set-point that lapses by itself, whatever the station's version.

OCPP 2.1 (K28, Q03, Q04): above the safe profile of `charging_profile` lies a Dynamic TxProfile with one set-point. Its
`duration` counts from the last update: the dead-man. The limits that the CSMS may not send in CentralSetpoint
(Q03.FR.02) are not sent. Older stations are told as their vendor profile says.
"""

from __future__ import annotations

import asyncio
import math

from gateway.csms import setpoint_vendor
from gateway.csms.charging_profile import POWER_PROFILE, beneath, fallback_w, install_safe, read_status, send_profile
from gateway.csms.evse import Evse, Installed
from gateway.csms.station import Station
from gateway.csms.transactions import Transaction
from gateway.model.event import OperationMode
from gateway.model.station import Answer, Outcome
from protocols.ocpp.schema import Payload
from protocols.ocpp.vendor import Channel

POWER_LEVEL = 1
SAID_AGAIN_S = 60.0  # 0 W for a vehicle that asks when nothing is in force


async def order(station: Station, evse: Evse, power_w: float, hold_s: float) -> Outcome:
    """Make the EVSE run at `power_w`, + into the vehicle, for `hold_s` unless told again. Never raises for the peer."""
    async with evse.order:
        refused = refusal(station, evse, power_w, hold_s)
        if refused is not None:
            return refused
        transaction = station.context.transactions.active_at(station.id, evse.number)
        if transaction is None:
            return Outcome(Answer.REFUSED, "TxNotFound", f"no transaction runs on {evse.name}")
        if evse.let_go is not None:
            evse.let_go.cancel()
            evse.let_go = None
        say = station.ways.setpoint
        if say.channel is Channel.STANDARD:
            outcome = await _order_21(station, evse, transaction, power_w, hold_s)
        else:
            outcome = await setpoint_vendor.order(station, evse, transaction, power_w, hold_s)
        if outcome.answer is Answer.APPLIED:
            evse.ordered = power_w, station.context.clock.now() + hold_s
        if not say.watchdog and power_w and outcome.answer is not Answer.REFUSED:
            evse.let_go = asyncio.get_running_loop().create_task(_let_go(station, evse, hold_s))
        return outcome


async def say_again(station: Station, evse: Evse) -> None:
    """The order in force once more, for a vehicle that negotiates anew; never for longer than it was given for."""
    power_w, until = evse.ordered or (0.0, 0.0)
    left_s = until - station.context.clock.now()
    if left_s <= 0:
        power_w, left_s = 0.0, SAID_AGAIN_S
    await order(station, evse, power_w, left_s)


def refusal(station: Station, evse: Evse, power_w: float, hold_s: float) -> Outcome | None:
    """Why an order is not even sent, or None."""
    if not station.connected:
        return Outcome(Answer.UNKNOWN, "NotConnected", f"{station.id} is not connected")
    if not station.accepted:
        return Outcome(Answer.REFUSED, "NotAccepted", f"{station.id} has not booted and been accepted")
    if not (math.isfinite(power_w) and math.isfinite(hold_s)) or hold_s <= 0:
        return Outcome(Answer.REFUSED, "InvalidOrder", "a set-point needs a finite power and a time above 0 s")
    if power_w < 0 and not evse.can_discharge:
        return Outcome(Answer.REFUSED, "CannotDischarge", evse.why_not or f"{evse.name} cannot discharge")
    if power_w < 0 and evse.bidirectional is False:
        return Outcome(Answer.REFUSED, "NotBidirectional", "the vehicle did not agree on a bidirectional transfer")
    if power_w < 0 and evse.priority:
        return Outcome(Answer.REFUSED, "PriorityCharging", "the driver asked for priority charging")
    return None


async def _let_go(station: Station, evse: Evse, hold_s: float) -> None:
    """The dead-man of a station that has none: we say 0 when the time is over."""
    await station.context.clock.sleep(hold_s)
    evse.let_go = None
    await order(station, evse, 0.0, hold_s)


async def prime(station: Station, evse: Evse) -> None:
    """What a vehicle gets before anybody commands it: the safe profile, and above it 0 W in the mode it agreed on."""
    async with evse.order:
        transaction = station.context.transactions.active_at(station.id, evse.number)
        if transaction is None or not station.connected:
            return
        await install_safe(station, evse)
        if evse.installed is None:
            idle = 0.0 if evse.bidirectional else fallback_w(station)
            await _install(station, evse, transaction, idle, None)


async def _order_21(station: Station, evse: Evse, transaction: Transaction, power_w: float, hold_s: float) -> Outcome:
    refused = await beneath(station, evse, power_w)
    if refused is not None:
        return refused
    held = evse.installed
    hold = math.ceil(hold_s) if evse.safe.held else None  # 0 W that lapses into nothing would charge without limit
    if held is not None and held.transaction == transaction.id and held.hold_s == hold and held.mode is _mode(evse):
        outcome = await _update(station, evse, held, power_w)
        if outcome.answer is not Answer.REFUSED:
            return outcome
    return await _install(station, evse, transaction, power_w, hold)


def _mode(evse: Evse) -> OperationMode:
    """Q02.FR.01: a vehicle that did not ask for a bidirectional transfer is only charged."""
    return OperationMode.CHARGING_ONLY if evse.bidirectional is False else OperationMode.CENTRAL_SETPOINT


def update_of(mode: OperationMode, power_w: float) -> Payload:
    """ChargingScheduleUpdateType for a power in a mode."""
    return {"limit" if mode is OperationMode.CHARGING_ONLY else "setpoint": round(power_w, 1) + 0.0}


async def _update(station: Station, evse: Evse, held: Installed, power_w: float) -> Outcome:
    """K28.FR.06: the value is said again even where it did not change, for only that feeds the dead-man."""
    body = {"chargingProfileId": held.profile, "scheduleUpdate": update_of(held.mode, power_w)}
    outcome = read_status(await station.call("UpdateDynamicSchedule", body))
    if outcome.answer is Answer.APPLIED:
        held.power_w = power_w
    else:
        evse.installed = None
    return outcome


async def _install(station: Station, evse: Evse, transaction: Transaction, power_w: float, hold: int | None) -> Outcome:
    mode, number = _mode(evse), POWER_PROFILE + evse.number
    period: Payload = {"startPeriod": 0, "operationMode": mode, **update_of(mode, power_w)}
    schedule: Payload = {"chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
    dynamic = station.variable("SmartChargingCtrlr", "SupportsDynamicProfiles") != "false"
    if hold is not None:
        schedule["duration"] = hold
    kind = "Dynamic" if dynamic else "Absolute"
    outcome = await send_profile(
        station, evse, number, POWER_LEVEL, "TxProfile", kind, schedule, transaction=transaction, hold=hold
    )
    if outcome.answer is Answer.APPLIED and dynamic:
        evse.installed = Installed(number, transaction.id, mode, power_w, hold)
    return outcome
