"""Charging profiles in the terms of each version, and the fallback profile beneath all others.

The fallback profile is a TxDefaultProfile of stack level 0, ChargingOnly, 0 W unless the site configures another limit:
a profile that expires with nothing beneath it would permit charging without limit (2.1 Q11).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from gateway.csms import outcomes
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.csms.transactions import Transaction
from gateway.model.event import OperationMode
from gateway.model.station import Answer, Outcome
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp

log = logging.getLogger("v2x.csms")

Purpose = v21.ChargingProfilePurposeEnumType
Kind = v21.ChargingProfileKindEnumType
Unit = v21.ChargingRateUnitEnumType

FALLBACK_PROFILE = 1_000_000  # + EVSE number: ids that other systems are unlikely to use
SETPOINT_PROFILE = 2_000_000
FALLBACK_LEVEL = 0
FALLBACK_TIMEOUT_S = 10.0  # set-points wait for the response
FALLBACK_RETRY_S = (5.0, 30.0, 120.0, 600.0)  # after so many failures
FALLBACK_ATTEMPTS = 8  # by itself; then only before a set-point other than 0 W
NO_FALLBACK_PROFILE = "NoSafeProfile"  # reason code
READ_TIMEOUT_S = 3.0  # for the composite schedule: orders wait for it


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
        return Outcome(Answer.REFUSED, NO_FALLBACK_PROFILE, fallback.error)
    period: Payload = {"startPeriod": 0, "limit": round(fallback_limit_w(station), 1)}
    if station.version is Version.V21:
        period["operationMode"] = OperationMode.CHARGING_ONLY
    number = FALLBACK_PROFILE + evse.number
    schedule: Payload = {"chargingRateUnit": Unit.w, "chargingSchedulePeriod": [period]}
    profile = Profile(number, FALLBACK_LEVEL, Purpose.tx_default_profile, Kind.relative, schedule)
    outcome = await send_profile(station, evse, profile, FALLBACK_TIMEOUT_S)
    fallback.installed = outcome.answer is Answer.APPLIED
    if fallback.installed:
        fallback.failures, fallback.error = 0, ""
        station.describe(evse)
    elif station.link is not None:
        fallback.failures += 1
        fallback.error = " ".join(filter(None, (outcome.code, outcome.text)))
        delay_s = FALLBACK_RETRY_S[min(fallback.failures, len(FALLBACK_RETRY_S)) - 1]
        fallback.retry_at = station.context.clock.now() + delay_s
        log.warning("%s: no fallback profile after %d attempts: %s", evse.name, fallback.failures, fallback.error)
        station.spawn(_retry(station, evse))
        station.describe(evse)
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
    await clock.sleep(max(0.0, evse.fallback.retry_at - clock.now()))
    if 0 < evse.fallback.failures < FALLBACK_ATTEMPTS:
        async with evse.lock:
            evse.fallback.retry_at = 0.0
            await install_fallback(station, evse)


@dataclass(frozen=True, slots=True)
class Profile:
    """A charging profile with one schedule, independent of the OCPP version."""

    number: int
    level: int
    purpose: Purpose
    kind: Kind
    schedule: Payload
    transaction: Transaction | None = None
    max_offline_s: int | None = None  # sent where the station supports it


async def send_profile(station: Station, evse: Evse, profile: Profile, timeout: float | None = None) -> Outcome:
    """Send SetChargingProfile in the terms of the station's version."""
    schedule, number, early = profile.schedule, profile.number, station.version is Version.V16
    if profile.kind is Kind.absolute:
        schedule = {"startSchedule": stamp(station.context.clock.wall()), **schedule}
    content: Payload = {
        "stackLevel": profile.level,
        "chargingProfilePurpose": profile.purpose,
        "chargingProfileKind": profile.kind,
    }
    if profile.transaction is not None:
        content["transactionId"] = int(profile.transaction.id) if early else profile.transaction.id
    offline_s = profile.max_offline_s
    if offline_s is not None and station.variable("SmartChargingCtrlr", "SupportsMaxOfflineDuration") == "true":
        content["maxOfflineDuration"] = offline_s
    if early:
        content = {"chargingProfileId": number, **content, "chargingSchedule": schedule}
        body: Payload = {"connectorId": evse.number, "csChargingProfiles": content}
    else:
        content = {"id": number, **content, "chargingSchedule": [{"id": number, **schedule}]}
        body = {"evseId": evse.number, "chargingProfile": content}
    return outcomes.of_status(await station.call("SetChargingProfile", body, timeout))


async def composite_power(station: Station, evse: Evse) -> float | None:
    """Return the set-point in force from the station's composite schedule, in W; None where it reports none."""
    body: Payload = {"duration": 60, "chargingRateUnit": Unit.w}
    body["connectorId" if station.version is Version.V16 else "evseId"] = evse.number
    clock = station.context.clock
    try:
        async with clock.timeout_at(clock.now() + READ_TIMEOUT_S):
            answer = await station.request("GetCompositeSchedule", body)
    except TimeoutError:
        return None
    if answer is None or answer["status"] != outcomes.ACCEPTED:
        return None
    schedule = answer.get("chargingSchedule" if station.version is Version.V16 else "schedule") or {}
    periods = schedule.get("chargingSchedulePeriod", [])
    if not periods:
        return None
    first = periods[0]
    value = first.get("setpoint", first.get("limit"))
    return None if value is None else float(value)
