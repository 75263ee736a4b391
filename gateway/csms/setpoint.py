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
from collections.abc import Callable

from gateway.csms import outcomes, vendor_channel
from gateway.csms.charging_profile import (
    Kind,
    Profile,
    Unit,
    allow_units,
    in_unit,
    rate_unit,
    send_profile,
    supports,
    volt_phases,
)
from gateway.csms.evse import UNSUPPORTED, Evse, SetpointProfile
from gateway.csms.station import Station
from gateway.csms.transactions import Transaction
from gateway.model.event import OperationMode
from gateway.model.station import Answer, Outcome, OutcomeCode, setpoint_refusal
from protocols.ocpp.enums import v21
from protocols.ocpp.events import Priority
from protocols.ocpp.rpc import YIELD_WITHIN
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.vendor import Channel

log = logging.getLogger("v2x.csms")

FALLBACK_PROFILE = 1_000_000  # + EVSE number: ids that other systems are unlikely to use
SETPOINT_PROFILE = 2_000_000
FALLBACK_LEVEL = 0
FALLBACK_TIMEOUT_S = 10.0  # set-points wait for the response
FALLBACK_RETRY_S = (5.0, 30.0, 120.0, 600.0)  # after so many failures
FALLBACK_ATTEMPTS = 8  # by itself; then only before a set-point other than 0 W
PROMPT_S = 1.0  # within which a station responds; a longer wait is no part of a set-point's validity


async def apply(station: Station, evse: Evse, power_w: float, valid_for_s: float) -> Outcome:
    """Run the EVSE at `power_w`, + into the vehicle, for `valid_for_s` unless repeated. Never raises for the peer.

    0 W does not wait for the response to another order: older orders of the EVSE are given up, and other calls before
    it time out early. A power is not sent to another connection than the one at which it was ordered.
    """
    clock, link = station.context.clock, station.link
    began = clock.now()
    if power_w:
        try:
            async with asyncio.timeout(None) as order:
                evse.orders.add(order)
                async with evse.lock:
                    if station.link is not link:
                        return _link_ended(station)
                    return await send(station, evse, power_w, valid_for_s, began)
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


def _link_ended(station: Station) -> Outcome:
    text = "is not connected any more" if station.link is None else "has connected again meanwhile"
    return Outcome(Answer.UNKNOWN, OutcomeCode.NOT_CONNECTED, f"{station.id} {text}")


def _rest(station: Station, valid_for_s: float, began: float) -> float:
    """Return the validity that is left since the order was given."""
    waited_s = station.context.clock.now() - began
    return valid_for_s if waited_s <= PROMPT_S else max(1.0, valid_for_s - waited_s)


async def _turn(station: Station, power_w: float) -> Outcome | None:
    """Wait until a power is sent at once, so that its validity is what is left then; 0 W overtakes other calls."""
    link = station.link
    if power_w and link is not None:
        await link.free()
        if station.link is not link:
            return _link_ended(station)
    return None


async def _prepare(station: Station, evse: Evse, power_w: float) -> Outcome | None:
    """Ensure that the fallback profile is installed when it is the turn of a power; a station may boot meanwhile."""
    while True:
        refused = await require_fallback(station, evse, power_w) or await _turn(station, power_w)
        if refused is not None or not power_w or evse.fallback.installed:
            return refused


async def _hurry(station: Station) -> None:
    """Shorten the wait for the responses to calls that are not urgent, one after the other."""
    while station.link is not None:
        station.link.hurry()
        await station.context.clock.sleep(YIELD_WITHIN)


async def send(station: Station, evse: Evse, power_w: float, valid_for_s: float, began: float | None = None) -> Outcome:
    """Send a set-point while the lock of the EVSE is held; see `apply`. `began`: when it was ordered, else now."""
    clock = station.context.clock
    began = clock.now() if began is None else began
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
    sent = power_w, began + valid_for_s
    before, evse.setpoint = evse.setpoint, sent  # the station may carry it out even where the order is given up
    channel = station.vendor_profile.setpoint
    if channel.channel is Channel.STANDARD:
        outcome = await _apply_21(station, evse, transaction, power_w, valid_for_s, began)
    elif channel.channel in (Channel.DATA_TRANSFER, Channel.VARIABLE):
        outcome = await _turn(station, power_w) or await vendor_channel.set_power(
            station, evse, transaction, power_w, _rest(station, valid_for_s, began)
        )
    else:  # also a station that can only be limited
        outcome = await _apply_limit(station, evse, transaction, power_w, valid_for_s, began)
    refused = outcome.answer is Answer.REFUSED
    if evse.setpoint is sent:  # else its session ended meanwhile
        delayed = clock.now() - began > PROMPT_S
        evse.setpoint = before if refused else sent if delayed else (power_w, clock.now() + valid_for_s)
    if not channel.watchdog and power_w and not refused:
        left_s = _rest(station, valid_for_s, began)
        evse.watchdog = asyncio.get_running_loop().create_task(_expire(station, evse, left_s))
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
    station: Station, evse: Evse, transaction: Transaction, power_w: float, valid_for_s: float, began: float
) -> Outcome:
    if power_w < 0 and evse.bidirectional is None:
        return outcomes.NEEDS_NOT_STATED
    refused = await _prepare(station, evse, power_w)
    if refused is not None:
        return refused
    duration = duration_of(evse, _rest(station, valid_for_s, began))
    profile = evse.setpoint_profile
    same = profile is not None and (profile.transaction, profile.valid_for_s) == (transaction.id, duration)
    if profile is not None and same and (profile.mode, profile.unit) == (_mode(evse), station.rate_unit or Unit.w):
        outcome = await _update(station, evse, profile, power_w)
        if outcome.answer is not Answer.REFUSED:
            return outcome
    return await install(station, evse, transaction, power_w, duration)


def _mode(evse: Evse) -> OperationMode:
    """Return the mode: a vehicle that has not requested a bidirectional transfer is only charged (Q02.FR.01)."""
    return OperationMode.CENTRAL_SETPOINT if evse.bidirectional else OperationMode.CHARGING_ONLY


def schedule_update(mode: OperationMode, power_w: float) -> Payload:
    """Return the ChargingScheduleUpdateType for a power in a mode."""
    return {"limit" if mode is OperationMode.CHARGING_ONLY else "setpoint": round(power_w, 1) + 0.0}


def update_of(station: Station, evse: Evse, mode: OperationMode, power_w: float, unit: Unit | None = None) -> Payload:
    """Return the same in a unit, without one in that of the station."""
    return schedule_update(mode, power_w if unit is Unit.w else in_unit(station, evse, power_w, unit)[1])


async def _update(station: Station, evse: Evse, profile: SetpointProfile, power_w: float) -> Outcome:
    """Send UpdateDynamicSchedule (K28.FR.06), also for an unchanged value: only an update restarts the watchdog."""
    update = update_of(station, evse, profile.mode, power_w, profile.unit)
    body = {"chargingProfileId": profile.profile, "scheduleUpdate": update}
    outcome = outcomes.of_status(
        await station.call(v21.Action.update_dynamic_schedule, body, priority=_priority(power_w))
    )
    if outcome.answer is Answer.APPLIED:
        profile.power_w = power_w
    else:
        evse.setpoint_profile = None
    return outcome


async def install(
    station: Station, evse: Evse, transaction: Transaction, power_w: float, duration: int | None
) -> Outcome:
    mode, number = _mode(evse), SETPOINT_PROFILE + evse.number
    dynamic = supports(station, "SupportsDynamicProfiles") != "false"
    kind = Kind.dynamic if dynamic else Kind.absolute

    def profile(unit: Unit) -> Profile:
        period = {"operationMode": mode, **update_of(station, evse, mode, power_w, unit)}
        return Profile(number, kind, period, transaction, duration, unit=unit, max_offline_s=duration)

    before, evse.setpoint_profile = evse.setpoint_profile, None  # without a response the station may hold either
    outcome = await send_setpoint(station, evse, profile, station.rate_unit or Unit.w, _priority(power_w))
    if outcome.answer is Answer.APPLIED and dynamic:
        unit = station.rate_unit or Unit.w
        evse.setpoint_profile = SetpointProfile(number, transaction.id, mode, unit, power_w, duration)
    elif outcome.answer is Answer.REFUSED:
        evse.setpoint_profile = before
    return outcome


async def _apply_limit(
    station: Station, evse: Evse, transaction: Transaction, power_w: float, valid_for_s: float, began: float
) -> Outcome:
    """Send a TxProfile whose limit may be negative; its duration is the watchdog, the fallback profile is beneath."""
    refused = await _prepare(station, evse, power_w)
    if refused is not None:
        return refused
    number, level = SETPOINT_PROFILE + evse.number, station.vendor_profile.setpoint.stack_level
    duration = duration_of(evse, _rest(station, valid_for_s, began))

    def profile(unit: Unit) -> Profile:
        limit = in_unit(station, evse, power_w, unit)[1]
        return Profile(number, Kind.absolute, {"limit": limit}, transaction, duration, level, unit)

    return await send_setpoint(station, evse, profile, rate_unit(station), _priority(power_w))


def _priority(power_w: float) -> Priority:
    return Priority.NORMAL if power_w else Priority.URGENT


def duration_of(evse: Evse, valid_for_s: float) -> int | None:
    """Return the duration of a set-point, whole seconds within its validity (1 s at least); without a fallback profile,
    0 W that expires would permit charging without limit, so it has none."""
    return max(1, math.floor(valid_for_s + 1e-6)) if evse.fallback.installed else None


async def send_setpoint(
    station: Station, evse: Evse, profile: Callable[[Unit], Profile], unit: Unit, priority: Priority
) -> Outcome:
    """Send a set-point in a unit; where that of the station is not known, after a rejection of watts in amperes."""
    known = station.rate_unit is not None or station.vendor_profile.setpoint.unit == "A"
    outcome = await send_profile(station, evse, profile(unit), priority=priority)
    if outcome.answer is Answer.APPLIED and not known:
        station.use_rate_unit(station.rate_unit or unit)
    if outcome.answer is not Answer.REFUSED or known or outcome.code in (*UNSUPPORTED, OutcomeCode.INVALID_ORDER):
        return outcome
    again = await send_profile(station, evse, profile(Unit.a), priority=priority)  # watts come first
    if again.answer is Answer.APPLIED:
        allow_units(station, Unit.a)
    return again if again.answer is Answer.APPLIED else outcome


# the fallback profile


def fallback_limit_w(station: Station) -> float:
    """Return the power that a vehicle may charge with without a command."""
    own = station.settings.fallback_limit_w
    return station.context.settings.fallback_limit_w if own is None else own


async def install_fallback(station: Station, evse: Evse) -> Outcome:
    """Install the fallback profile, once per connection.

    After a rejection or a missing response the attempt is repeated after increasing times, nothing is sent in between,
    and after several failures the EVSE is reported as one that cannot discharge. Where the station has connected again
    meanwhile the attempt says nothing about it: it is repeated at the new connection, at once where that is in use.
    """
    fallback, now, link = evse.fallback, station.context.clock.now(), station.link
    if fallback.installed:
        return Outcome(Answer.APPLIED)
    if now < fallback.retry_at:
        return Outcome(Answer.REFUSED, OutcomeCode.NO_FALLBACK_PROFILE, fallback.error)
    outcome = await _send_fallback(station, evse)
    fallback.installed = outcome.answer is Answer.APPLIED
    if fallback.installed:
        fallback.failures, fallback.rejected, fallback.error = 0, False, ""
        station.describe(evse)
    elif station.link is not link:
        return await install_fallback(station, evse) if station.ready else outcome
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
        station.use_rate_unit(unit)
    return outcome


async def require_fallback(station: Station, evse: Evse, power_w: float) -> Outcome | None:
    """Ensure that the fallback profile is installed; return the reason why a set-point must not be sent, or None.

    0 W is always sent, after a failure even without another attempt.
    """
    if not power_w and evse.fallback.failures:
        return None
    link = station.link
    fallback = await install_fallback(station, evse)
    if power_w and station.link is not link:
        return _link_ended(station)
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
