"""Set-points: one signed power that expires by itself, for stations of every version.

OCPP 2.1 (K28, Q03, Q04): above the fallback profile lies a Dynamic TxProfile with one set-point. Its `duration` counts
from the last update and is the watchdog. Limits, which the CSMS must not send in CentralSetpoint (Q03.FR.02), are not
sent. Stations of 1.6 and 2.0.1 get the set-point through the channel of their vendor profile (`vendor_channel`).
"""

from __future__ import annotations

import asyncio
import math

from gateway.csms import charging_profile, outcomes, vendor_channel
from gateway.csms.charging_profile import Kind, Profile, Purpose, Unit
from gateway.csms.evse import Evse, SetpointProfile
from gateway.csms.station import Station
from gateway.csms.transactions import Transaction
from gateway.model.event import OperationMode
from gateway.model.station import Answer, Outcome
from protocols.ocpp.schema import Payload
from protocols.ocpp.vendor import Channel

SETPOINT_LEVEL = 1
REPEATED_VALID_FOR_S = 60.0  # of the 0 W for a vehicle that negotiates while no set-point is in force


async def apply(station: Station, evse: Evse, power_w: float, valid_for_s: float) -> Outcome:
    """Run the EVSE at `power_w`, + into the vehicle, for `valid_for_s` unless repeated. Never raises for the peer."""
    async with evse.lock:
        refused = refusal(station, evse, power_w, valid_for_s)
        if refused is not None:
            return refused
        transaction = station.context.transactions.active_at(station.id, evse.number)
        if transaction is None:
            return Outcome(Answer.REFUSED, "TxNotFound", f"no transaction is active on {evse.name}")
        evse.stop_watchdog()
        channel = station.vendor_profile.setpoint
        if channel.channel is Channel.STANDARD:
            outcome = await _apply_21(station, evse, transaction, power_w, valid_for_s)
        else:
            outcome = await vendor_channel.set_power(station, evse, transaction, power_w, valid_for_s)
        if outcome.answer is Answer.APPLIED:
            evse.setpoint = power_w, station.context.clock.now() + valid_for_s
        if not channel.watchdog and power_w and outcome.answer is not Answer.REFUSED:
            evse.watchdog = asyncio.get_running_loop().create_task(_expire(station, evse, valid_for_s))
        return outcome


async def repeat(station: Station, evse: Evse) -> None:
    """Send the set-point in force again, for a vehicle that negotiates anew; its validity is not extended."""
    now = station.context.clock.now()
    if evse.setpoint is not None and now < evse.setpoint[1]:
        await apply(station, evse, evse.setpoint[0], evse.setpoint[1] - now)
    else:
        await apply(station, evse, 0.0, REPEATED_VALID_FOR_S)


def refusal(station: Station, evse: Evse, power_w: float, valid_for_s: float) -> Outcome | None:
    """Return the reason why a set-point is not sent, or None."""
    if not station.connected:
        return Outcome(Answer.UNKNOWN, "NotConnected", f"{station.id} is not connected")
    if not station.accepted:
        return Outcome(Answer.REFUSED, "NotAccepted", f"{station.id} has not booted and been accepted")
    if not (math.isfinite(power_w) and math.isfinite(valid_for_s)) or valid_for_s <= 0:
        return Outcome(Answer.REFUSED, "InvalidOrder", "a set-point needs a finite power and a validity above 0 s")
    if power_w < 0 and not evse.can_discharge:
        return Outcome(Answer.REFUSED, "CannotDischarge", evse.why_not or f"{evse.name} cannot discharge")
    if power_w < 0 and evse.bidirectional is False:
        return Outcome(Answer.REFUSED, "NotBidirectional", "the vehicle did not agree on a bidirectional transfer")
    if power_w < 0 and evse.priority:
        return Outcome(Answer.REFUSED, "PriorityCharging", "the driver requested priority charging")
    return None


async def _expire(station: Station, evse: Evse, valid_for_s: float) -> None:
    """Send 0 W at the end of the validity, to a station without a watchdog of its own."""
    await station.context.clock.sleep(valid_for_s)
    evse.watchdog = None
    await apply(station, evse, 0.0, valid_for_s)


async def initialise(station: Station, evse: Evse) -> None:
    """Set up a vehicle that has no set-point yet: the fallback profile, and above it 0 W in the mode it agreed on."""
    async with evse.lock:
        transaction = station.context.transactions.active_at(station.id, evse.number)
        if transaction is None or not station.connected:
            return
        await charging_profile.install_fallback(station, evse)
        if evse.setpoint_profile is None:
            idle_w = 0.0 if evse.bidirectional else charging_profile.fallback_limit_w(station)
            await _install(station, evse, transaction, idle_w, None)


async def _apply_21(
    station: Station, evse: Evse, transaction: Transaction, power_w: float, valid_for_s: float
) -> Outcome:
    refused = await charging_profile.require_fallback(station, evse, power_w)
    if refused is not None:
        return refused
    # without a fallback profile, 0 W that expires would permit charging without limit
    duration = math.ceil(valid_for_s) if evse.fallback.installed else None
    profile = evse.setpoint_profile
    same = profile is not None and (profile.transaction, profile.valid_for_s) == (transaction.id, duration)
    if profile is not None and same and profile.mode is _mode(evse):
        outcome = await _update(station, evse, profile, power_w)
        if outcome.answer is not Answer.REFUSED:
            return outcome
    return await _install(station, evse, transaction, power_w, duration)


def _mode(evse: Evse) -> OperationMode:
    """Return the operation mode: a vehicle that requested no bidirectional transfer is only charged (Q02.FR.01)."""
    return OperationMode.CHARGING_ONLY if evse.bidirectional is False else OperationMode.CENTRAL_SETPOINT


def schedule_update(mode: OperationMode, power_w: float) -> Payload:
    """Return the ChargingScheduleUpdateType for a power in a mode."""
    return {"limit" if mode is OperationMode.CHARGING_ONLY else "setpoint": round(power_w, 1) + 0.0}


async def _update(station: Station, evse: Evse, profile: SetpointProfile, power_w: float) -> Outcome:
    """Send UpdateDynamicSchedule (K28.FR.06), also for an unchanged value: only an update restarts the watchdog."""
    body = {"chargingProfileId": profile.profile, "scheduleUpdate": schedule_update(profile.mode, power_w)}
    outcome = outcomes.of_status(await station.call("UpdateDynamicSchedule", body))
    if outcome.answer is Answer.APPLIED:
        profile.power_w = power_w
    else:
        evse.setpoint_profile = None
    return outcome


async def _install(
    station: Station, evse: Evse, transaction: Transaction, power_w: float, duration: int | None
) -> Outcome:
    mode, number = _mode(evse), charging_profile.SETPOINT_PROFILE + evse.number
    period: Payload = {"startPeriod": 0, "operationMode": mode, **schedule_update(mode, power_w)}
    schedule: Payload = {"chargingRateUnit": Unit.w, "chargingSchedulePeriod": [period]}
    if duration is not None:
        schedule["duration"] = duration
    dynamic = station.variable("SmartChargingCtrlr", "SupportsDynamicProfiles") != "false"
    kind = Kind.dynamic if dynamic else Kind.absolute
    profile = Profile(number, SETPOINT_LEVEL, Purpose.tx_profile, kind, schedule, transaction, duration)
    outcome = await charging_profile.send_profile(station, evse, profile)
    if outcome.answer is Answer.APPLIED and dynamic:
        evse.setpoint_profile = SetpointProfile(number, transaction.id, mode, power_w, duration)
    return outcome
