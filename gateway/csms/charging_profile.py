"""Charging profiles in the words of each version, and the one that lies beneath all others.

That one is a TxDefaultProfile of stack level 0, ChargingOnly, 0 W unless the site says otherwise: a profile that lapses
with nothing beneath it would mean charging without a limit (2.1 Q11).
"""

from __future__ import annotations

import logging
from typing import Any

from gateway.csms import capabilities
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.csms.transactions import Transaction
from gateway.model.event import OperationMode
from gateway.model.station import Answer, Outcome
from protocols.ocpp.link import Answered, Refused, Reply
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp

log = logging.getLogger("v2x.csms")

SAFE_PROFILE = 1_000_000  # + EVSE number: ids nobody else is likely to use
POWER_PROFILE = 2_000_000
SAFE_LEVEL = 0
SAFE_WITHIN_S = 10.0  # for the answer: what stops a car waits behind it
SAFE_RETRY_S = (5.0, 30.0, 120.0, 600.0)  # after so many attempts in vain
SAFE_TRIES = 8  # by ourselves; then only before an order with power in it
NO_SAFE_PROFILE = "NoSafeProfile"
HELD_WITHIN_S = 3.0  # for what a station holds: orders wait for it, and one that does not say is told anew


def fallback_w(station: Station) -> float:
    """What the vehicle may draw when nobody commands it."""
    own = station.settings.fallback_limit_w
    return station.context.settings.fallback_limit_w if own is None else own


async def install_safe(station: Station, evse: Evse) -> Outcome:
    """The profile beneath all others. Installed once per connection.

    A station that refuses it, or does not answer, is asked again with patience, and its EVSE is described as one that
    cannot discharge once that has come to nothing several times; between two attempts nothing is sent.
    """
    safe, now = evse.safe, station.context.clock.now()
    if safe.held:
        return Outcome(Answer.APPLIED)
    if now < safe.retry_at:
        return Outcome(Answer.REFUSED, NO_SAFE_PROFILE, safe.trouble)
    period: Payload = {"startPeriod": 0, "limit": round(fallback_w(station), 1)}
    if station.version is Version.V21:
        period["operationMode"] = OperationMode.CHARGING_ONLY
    number = SAFE_PROFILE + evse.number
    schedule: Payload = {"chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
    outcome = await send_profile(
        station, evse, number, SAFE_LEVEL, "TxDefaultProfile", "Relative", schedule, timeout=SAFE_WITHIN_S
    )
    safe.held = outcome.answer is Answer.APPLIED
    if safe.held:
        safe.tries, safe.trouble = 0, ""
        capabilities.describe(station, evse)
    elif station.link is not None:
        safe.tries += 1
        safe.trouble = " ".join(filter(None, (outcome.code, outcome.text)))
        safe.retry_at = station.context.clock.now() + SAFE_RETRY_S[min(safe.tries, len(SAFE_RETRY_S)) - 1]
        log.warning("%s: no safe profile after %d attempts: %s", evse.name, safe.tries, safe.trouble)
        station.later(_again(station, evse))
        capabilities.describe(station, evse)
    return outcome


async def beneath(station: Station, evse: Evse, power_w: float) -> Outcome | None:
    """See that the safe profile lies beneath what comes; why it may not come, or None.

    0 W always goes out, and once the safe profile has come to nothing it does not even wait for another attempt.
    """
    if not power_w and evse.safe.tries:
        return None
    safe = await install_safe(station, evse)
    if safe.answer is Answer.APPLIED or not power_w:
        return None
    why = f"the safe profile could not be installed: {safe.text or safe.code}"
    return Outcome(safe.answer, safe.code, why)


async def _again(station: Station, evse: Evse) -> None:
    """Ask once more when it is time: a station that has come to its senses may discharge again."""
    clock = station.context.clock
    await clock.sleep(max(0.0, evse.safe.retry_at - clock.now()))
    if 0 < evse.safe.tries < SAFE_TRIES:
        async with evse.order:
            evse.safe.retry_at = 0.0
            await install_safe(station, evse)


async def send_profile(
    station: Station,
    evse: Evse,
    number: int,
    level: int,
    purpose: str,
    kind: str,
    schedule: Payload,
    *,
    transaction: Transaction | None = None,
    hold: int | None = None,
    timeout: float | None = None,
) -> Outcome:
    """SetChargingProfile in the words of the station's version."""
    now = stamp(station.context.clock.wall())
    if kind == "Absolute":
        schedule = {"startSchedule": now, **schedule}
    profile: Payload = {"stackLevel": level, "chargingProfilePurpose": purpose, "chargingProfileKind": kind}
    if transaction is not None:
        early = station.version is Version.V16
        profile["transactionId"] = int(transaction.id) if early else transaction.id
    if hold is not None and station.variable("SmartChargingCtrlr", "SupportsMaxOfflineDuration") == "true":
        profile["maxOfflineDuration"] = hold
    if station.version is Version.V16:
        profile = {"chargingProfileId": number, **profile, "chargingSchedule": schedule}
        body: Payload = {"connectorId": evse.number, "csChargingProfiles": profile}
    else:
        profile = {"id": number, **profile, "chargingSchedule": [{"id": number, **schedule}]}
        body = {"evseId": evse.number, "chargingProfile": profile}
    return read_status(await station.call("SetChargingProfile", body, timeout))


def read_status(reply: Reply) -> Outcome:
    """What a station's answer with a `status` means for an order."""
    if isinstance(reply, Answered):
        if reply.violation is not None:
            return Outcome(
                Answer.UNKNOWN, "InvalidAnswer", f"the station's answer is not valid: {reply.violation.text}"
            )
        if reply.payload["status"] == "Accepted":
            return Outcome(Answer.APPLIED)
        info: dict[str, Any] = reply.payload.get("statusInfo", {})
        return Outcome(
            Answer.REFUSED, str(info.get("reasonCode", reply.payload["status"])), info.get("additionalInfo") or ""
        )
    if isinstance(reply, Refused):
        return Outcome(Answer.REFUSED, reply.code, reply.description)
    return Outcome(Answer.UNKNOWN, type(reply).__name__, "the station did not answer")


def read_set(reply: Reply) -> Outcome:
    """What the answer to a SetVariables of one variable means."""
    if isinstance(reply, Answered) and reply.violation is None:
        status = reply.payload["setVariableResult"][0]["attributeStatus"]
        return Outcome(Answer.APPLIED) if status == "Accepted" else Outcome(Answer.REFUSED, status)
    return read_status(reply)


async def held_power(station: Station, evse: Evse) -> float | None:
    """The set-point in force, from the station's own composite schedule; None where it cannot tell."""
    body: Payload = {"duration": 60, "chargingRateUnit": "W"}
    body["connectorId" if station.version is Version.V16 else "evseId"] = evse.number
    clock = station.context.clock
    try:
        async with clock.timeout_at(clock.now() + HELD_WITHIN_S):
            answer = await station.ask("GetCompositeSchedule", body)
    except TimeoutError:
        return None
    if answer is None or answer["status"] != "Accepted":
        return None
    schedule = answer.get("chargingSchedule" if station.version is Version.V16 else "schedule") or {}
    periods = schedule.get("chargingSchedulePeriod", [])
    if not periods:
        return None
    first = periods[0]
    value = first.get("setpoint", first.get("limit"))
    return None if value is None else float(value)
