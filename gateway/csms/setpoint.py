"""Set-points: one signed power that expires by itself, and the charging profiles that express it in each OCPP version.

OCPP 2.1 (K28, Q03, Q04): above the fallback profile lies a Dynamic TxProfile with one set-point. Its `duration` counts
from the last update and is the watchdog. Limits, which the CSMS must not send in CentralSetpoint (Q03.FR.02), are not
sent. Stations of 1.6 and 2.0.1 get the set-point as a limit, or through the channel of their vendor profile
(`vendor_channel`).

The fallback profile is a TxDefaultProfile of stack level 0, ChargingOnly, 0 W unless the site configures another limit:
a profile that expires with nothing beneath it would permit charging without limit (2.1 Q11).
"""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass

from gateway.csms import outcomes, vendor_channel
from gateway.csms.evse import UNSUPPORTED, Evse, SetpointProfile
from gateway.csms.rate_unit import Unit, in_unit, rate_unit, volt_phases
from gateway.csms.station import Station
from gateway.csms.transactions import Transaction
from gateway.model.event import OperationMode
from gateway.model.station import Answer, Outcome, OutcomeCode, setpoint_refusal
from protocols.ocpp.enums import v21
from protocols.ocpp.events import Priority
from protocols.ocpp.rpc import YIELD_WITHIN
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp
from protocols.ocpp.vendor import Channel

log = logging.getLogger("v2x.csms")

Purpose = v21.ChargingProfilePurposeEnumType
Kind = v21.ChargingProfileKindEnumType

FALLBACK_PROFILE = 1_000_000  # + EVSE number: ids that other systems are unlikely to use
SETPOINT_PROFILE = 2_000_000
FALLBACK_LEVEL, SETPOINT_LEVEL = 0, 1
FALLBACK_TIMEOUT_S = 10.0  # set-points wait for the response
FALLBACK_RETRY_S = (5.0, 30.0, 120.0, 600.0)  # after so many failures
FALLBACK_ATTEMPTS = 8  # by itself; then only before a set-point other than 0 W
UNSUPPORTED_AFTER = 3  # refusals in a row
CLOCK_TOLERANCE_S = 2.0  # difference of a station's clock that is not corrected
LAST_DATE = 253_402_214_400.0  # Unix time of 9999-12-31: no profile can begin later
PROMPT_S = 1.0  # within which a station responds; a longer wait is no part of a set-point's validity
READ_TIMEOUT_S = 3.0  # for the composite schedule: orders wait for it


async def apply(station: Station, evse: Evse, power_w: float, valid_for_s: float) -> Outcome:
    """Run the EVSE at `power_w`, + into the vehicle, for `valid_for_s` unless repeated. Never raises for the peer.

    0 W does not wait for the response to another order: older orders of the EVSE are given up, and other calls before
    it time out early.
    """
    clock = station.context.clock
    began = clock.now()
    if power_w:
        try:
            async with asyncio.timeout(None) as order:
                evse.orders.add(order)
                async with evse.lock:
                    return await send(station, evse, power_w, _rest(valid_for_s, clock.now() - began))
        except TimeoutError:
            return Outcome(Answer.UNKNOWN, "Overtaken", "0 W was ordered before the station responded")
        finally:
            evse.orders.discard(order)
    evse.give_up_orders()
    hurrying = asyncio.get_running_loop().create_task(_hurry(station)) if evse.lock.locked() else None
    try:
        await evse.lock.acquire()
    finally:
        if hurrying is not None:
            hurrying.cancel()
    try:
        return await send(station, evse, power_w, valid_for_s)
    finally:
        evse.lock.release()


def _rest(valid_for_s: float, waited_s: float) -> float:
    """Return the validity that is left after a wait."""
    return valid_for_s if waited_s <= PROMPT_S else max(1.0, valid_for_s - waited_s)


async def _hurry(station: Station) -> None:
    """Shorten the wait for the responses to calls that are not urgent, one after the other."""
    while station.link is not None:
        station.link.hurry()
        await station.context.clock.sleep(YIELD_WITHIN)


async def send(station: Station, evse: Evse, power_w: float, valid_for_s: float) -> Outcome:
    """Send a set-point while the lock of the EVSE is held; see `apply`."""
    why_not = refusal(station, evse, power_w, valid_for_s)
    if why_not is not None:
        return why_not
    transaction = station.context.transactions.active_at(station.id, evse.number)
    if transaction is None:
        return Outcome(Answer.REFUSED, OutcomeCode.TX_NOT_FOUND, f"no transaction is active on {evse.name}")
    needs_id = power_w != 0 or station.version is Version.V16  # where the response has the id; else 0 W goes at once
    if needs_id and transaction.unsaved and not await station.context.persistence.answered(transaction):
        text = f"the start of transaction {transaction.id} is not confirmed to the station"
        return Outcome(Answer.UNKNOWN, OutcomeCode.TX_NOT_CONFIRMED, text)
    if evse.watchdog is not None:
        evse.stop_watchdog()
    clock = station.context.clock
    began = clock.now()
    sent = power_w, began + valid_for_s
    before, evse.setpoint = evse.setpoint, sent  # the station may carry it out even where the order is given up
    channel = station.vendor_profile.setpoint
    if channel.channel is Channel.STANDARD:
        outcome = await _apply_21(station, evse, transaction, power_w, valid_for_s)
    elif channel.channel in (Channel.DATA_TRANSFER, Channel.VARIABLE):
        outcome = await vendor_channel.set_power(station, evse, transaction, power_w, valid_for_s)
    else:  # also a station that can only be limited
        outcome = await _apply_limit(station, evse, transaction, power_w, valid_for_s)
    refused = outcome.answer is Answer.REFUSED
    if evse.setpoint is sent:  # else its session ended meanwhile
        delayed = clock.now() - began > PROMPT_S
        evse.setpoint = before if refused else sent if delayed else (power_w, clock.now() + valid_for_s)
    if not channel.watchdog and power_w and not refused:
        evse.watchdog = asyncio.get_running_loop().create_task(_expire(station, evse, valid_for_s))
    return outcome


def refusal(station: Station, evse: Evse, power_w: float, valid_for_s: float) -> Outcome | None:
    """Return the reason why a set-point is not sent, or None."""
    if not station.connected:
        return Outcome(Answer.UNKNOWN, OutcomeCode.NOT_CONNECTED, f"{station.id} is not connected")
    if not station.accepted:
        return Outcome(Answer.REFUSED, OutcomeCode.NOT_ACCEPTED, f"{station.id} has not booted and been accepted")
    why_not = None if evse.can_discharge else evse.why_not or f"{evse.name} cannot discharge"
    refused = setpoint_refusal(power_w, valid_for_s, why_not=why_not, bidirectional=evse.bidirectional)
    if refused is not None:
        return refused
    if power_w < 0 and evse.priority:
        return Outcome(Answer.REFUSED, OutcomeCode.PRIORITY_CHARGING, "the driver requested priority charging")
    return None


async def _expire(station: Station, evse: Evse, valid_for_s: float) -> None:
    """Send 0 W at the end of the validity, to a station without a watchdog of its own."""
    await station.context.clock.sleep(valid_for_s)
    evse.watchdog = None
    await apply(station, evse, 0.0, valid_for_s)


async def _apply_21(
    station: Station, evse: Evse, transaction: Transaction, power_w: float, valid_for_s: float
) -> Outcome:
    if power_w < 0 and evse.bidirectional is None:
        return outcomes.NEEDS_NOT_STATED
    began = station.context.clock.now()
    refused = await require_fallback(station, evse, power_w)
    if refused is not None:
        return refused
    valid_for_s = _rest(valid_for_s, station.context.clock.now() - began)
    duration = duration_of(evse, valid_for_s)
    profile = evse.setpoint_profile
    same = profile is not None and (profile.transaction, profile.valid_for_s) == (transaction.id, duration)
    if profile is not None and same and profile.mode is _mode(evse):
        outcome = await _update(station, evse, profile, power_w)
        if outcome.answer is not Answer.REFUSED:
            return outcome
    return await install(station, evse, transaction, power_w, duration)


def _mode(evse: Evse) -> OperationMode:
    """Return the operation mode: a vehicle whose needs do not request a bidirectional transfer, or are not stated yet,
    is only charged (Q02.FR.01)."""
    return OperationMode.CENTRAL_SETPOINT if evse.bidirectional else OperationMode.CHARGING_ONLY


def schedule_update(mode: OperationMode, power_w: float) -> Payload:
    """Return the ChargingScheduleUpdateType for a power in a mode."""
    return {"limit" if mode is OperationMode.CHARGING_ONLY else "setpoint": round(power_w, 1) + 0.0}


def update_of(station: Station, evse: Evse, mode: OperationMode, power_w: float) -> Payload:
    """Return the same in the unit of the station."""
    return schedule_update(mode, in_unit(station, evse, power_w)[1])


async def _update(station: Station, evse: Evse, profile: SetpointProfile, power_w: float) -> Outcome:
    """Send UpdateDynamicSchedule (K28.FR.06), also for an unchanged value: only an update restarts the watchdog."""
    body = {"chargingProfileId": profile.profile, "scheduleUpdate": update_of(station, evse, profile.mode, power_w)}
    outcome = outcomes.of_status(await station.call("UpdateDynamicSchedule", body, priority=_priority(power_w)))
    if outcome.answer is Answer.APPLIED:
        profile.power_w = power_w
    else:
        evse.setpoint_profile = None
    return outcome


async def install(
    station: Station, evse: Evse, transaction: Transaction, power_w: float, duration: int | None
) -> Outcome:
    mode, number = _mode(evse), SETPOINT_PROFILE + evse.number
    dynamic = _supports(station, "SupportsDynamicProfiles") != "false"
    kind = Kind.dynamic if dynamic else Kind.absolute
    period = {"operationMode": mode, **update_of(station, evse, mode, power_w)}
    unit, _ = in_unit(station, evse, power_w)
    profile = Profile(number, kind, period, transaction, duration, unit=unit, max_offline_s=duration)
    before, evse.setpoint_profile = evse.setpoint_profile, None  # without a response the station may hold either
    outcome = await send_profile(station, evse, profile, priority=_priority(power_w))
    if outcome.answer is Answer.APPLIED and dynamic:
        evse.setpoint_profile = SetpointProfile(number, transaction.id, mode, power_w, duration)
    elif outcome.answer is Answer.REFUSED:
        evse.setpoint_profile = before
    return outcome


async def _apply_limit(
    station: Station, evse: Evse, transaction: Transaction, power_w: float, valid_for_s: float
) -> Outcome:
    """Send a TxProfile whose limit may be negative; its duration is the watchdog, the fallback profile is beneath."""
    began = station.context.clock.now()
    refused = await require_fallback(station, evse, power_w)
    if refused is not None:
        return refused
    valid_for_s = _rest(valid_for_s, station.context.clock.now() - began)
    vendor, number = station.vendor_profile, SETPOINT_PROFILE + evse.number
    unit, value = in_unit(station, evse, power_w)
    period, duration, level = {"limit": value}, duration_of(evse, valid_for_s), vendor.setpoint.stack_level
    profile = Profile(number, Kind.absolute, period, transaction, duration, level, unit)
    return await send_profile(station, evse, profile, priority=_priority(power_w))


def _priority(power_w: float) -> Priority:
    return Priority.NORMAL if power_w else Priority.URGENT


def duration_of(evse: Evse, valid_for_s: float) -> int | None:
    """Return the duration of a set-point, whole seconds within its validity (1 s at least); without a fallback profile,
    0 W that expires would permit charging without limit, so it has none."""
    return max(1, math.floor(valid_for_s + 1e-6)) if evse.fallback.installed else None


# the fallback profile


def fallback_limit_w(station: Station) -> float:
    """Return the power that a vehicle may charge with without a command."""
    own = station.settings.fallback_limit_w
    return station.context.settings.fallback_limit_w if own is None else own


async def install_fallback(station: Station, evse: Evse) -> Outcome:
    """Install the fallback profile, once per connection.

    After a rejection or a missing response the attempt is repeated after increasing times, nothing is sent in between,
    and after several failures the EVSE is reported as one that cannot discharge.
    """
    fallback, now = evse.fallback, station.context.clock.now()
    if fallback.installed:
        return Outcome(Answer.APPLIED)
    if now < fallback.retry_at:
        return Outcome(Answer.REFUSED, OutcomeCode.NO_FALLBACK_PROFILE, fallback.error)
    outcome = await _send_fallback(station, evse)
    fallback.installed = outcome.answer is Answer.APPLIED
    if fallback.installed:
        fallback.failures, fallback.rejected, fallback.error = 0, False, ""
        station.describe(evse)
    elif station.link is not None:
        fallback.failures += 1
        fallback.rejected = outcome.answer is Answer.REFUSED and outcome.code not in UNSUPPORTED
        fallback.error = " ".join(filter(None, (outcome.code, outcome.text)))
        delay_s = FALLBACK_RETRY_S[min(fallback.failures, len(FALLBACK_RETRY_S)) - 1]
        fallback.retry_at = station.context.clock.now() + delay_s
        log.warning("%s: no fallback profile after %d attempts: %s", evse.name, fallback.failures, fallback.error)
        station.spawn(_retry(station, evse))
        station.describe(evse)
    return outcome


async def _send_fallback(station: Station, evse: Evse) -> Outcome:
    """Send the fallback profile; where the unit is not known, after a rejection in the other one by turns."""
    turned = station.rate_unit is None and evse.fallback.rejected and evse.fallback.failures % 2 == 1
    unit, limit = Unit.a if turned else rate_unit(station), fallback_limit_w(station)
    if unit is Unit.a:
        limit = math.floor(limit / volt_phases(station, evse) * 10) / 10
    period: Payload = {"limit": round(limit, 1)}
    if station.version is Version.V21:
        period["operationMode"] = OperationMode.CHARGING_ONLY
    profile = Profile(FALLBACK_PROFILE + evse.number, Kind.relative, period, level=FALLBACK_LEVEL, unit=unit)
    outcome = await send_profile(station, evse, profile, FALLBACK_TIMEOUT_S, Priority.URGENT)
    if turned and outcome.answer is Answer.APPLIED:
        station.rate_unit = unit
    return outcome


async def require_fallback(station: Station, evse: Evse, power_w: float) -> Outcome | None:
    """Ensure that the fallback profile is installed; return the reason why a set-point must not be sent, or None.

    0 W is always sent, after a failure even without another attempt.
    """
    if not power_w and evse.fallback.failures:
        return None
    fallback = await install_fallback(station, evse)
    if fallback.answer is Answer.APPLIED or not power_w:
        return None
    text = f"the fallback profile could not be installed: {fallback.text or fallback.code}"
    return Outcome(fallback.answer, fallback.code, text)


async def _retry(station: Station, evse: Evse) -> None:
    """Repeat the installation when it is due: a station that accepts it later may discharge again."""
    clock = station.context.clock
    await clock.sleep(evse.fallback.retry_at - clock.now())
    if evse.fallback.failures < FALLBACK_ATTEMPTS:
        async with evse.lock:
            evse.fallback.retry_at = 0.0
            await install_fallback(station, evse)


# charging profiles


@dataclass(frozen=True, slots=True)
class Profile:
    """A charging profile with one schedule of one period, independent of the OCPP version.

    With a transaction it is a TxProfile, without one a TxDefaultProfile.
    """

    number: int
    kind: Kind
    period: Payload
    transaction: Transaction | None = None
    duration: int | None = None
    level: int = SETPOINT_LEVEL
    unit: Unit = Unit.w
    max_offline_s: int | None = None  # sent where the station supports it


async def send_profile(
    station: Station,
    evse: Evse,
    profile: Profile,
    timeout: float | None = None,
    priority: Priority = Priority.NORMAL,
) -> Outcome:
    """Send SetChargingProfile in the terms of the station's version."""
    number, early, transaction = profile.number, station.version is Version.V16, profile.transaction
    schedule: Payload = {
        "chargingRateUnit": profile.unit,
        "chargingSchedulePeriod": [{"startPeriod": 0} | profile.period],
    }
    if profile.duration is not None:
        schedule["duration"] = profile.duration
    if profile.kind is Kind.absolute:
        schedule["startSchedule"] = stamp(present_at(station, (profile.duration or 0) / 2))
    purpose = Purpose.tx_default_profile if transaction is None else Purpose.tx_profile
    content: Payload = {
        "stackLevel": profile.level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": profile.kind,
    }
    if transaction is not None:
        content["transactionId"] = int(transaction.id) if early else transaction.id
    offline_s = profile.max_offline_s
    if offline_s is not None and _supports(station, "SupportsMaxOfflineDuration") == "true":
        content["maxOfflineDuration"] = offline_s
    if early:
        content = {"chargingProfileId": number, **content, "chargingSchedule": schedule}
        body: Payload = {"connectorId": evse.number, "csChargingProfiles": content}
    else:
        content = {"id": number, **content, "chargingSchedule": [{"id": number, **schedule}]}
        body = {"evseId": evse.number, "chargingProfile": content}
    retry = evse.unsupported
    if retry.count >= UNSUPPORTED_AFTER and station.context.clock.now() < retry.at:
        return Outcome(Answer.REFUSED, retry.code, "the station does not support charging profiles; sent again later")
    outcome = outcomes.of_status(await station.call("SetChargingProfile", body, timeout, priority))
    retry.answered(outcome.code if outcome.answer is Answer.REFUSED else "", station.context.clock.now())
    if retry.count == UNSUPPORTED_AFTER:
        log.warning("%s: SetChargingProfile is answered %s; it is sent less often now", evse.name, retry.code)
    return outcome


def _supports(station: Station, feature: str) -> str | None:
    """Return the last reported value of a variable of the smart charging controller."""
    return station.variables.get(("SmartChargingCtrlr", 0, feature, ""))


def present_at(station: Station, doubt_s: float = 0.0) -> float:
    """Return the present time by the station, so that a profile begins now though its clock is wrong; the earliest one
    where it is in doubt by up to `doubt_s`: the profile begins in any case, and ends within its duration."""
    wall, clock = station.context.clock.wall(), station.context.clock.now()
    present = station.clock.now(clock, doubt_s)
    if present is None or abs(present - wall) < CLOCK_TOLERANCE_S or not 0.0 <= present < LAST_DATE:
        return wall
    return present
