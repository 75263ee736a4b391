"""Charging profiles in the words of each version, and the one that lies beneath all others.

That one is a TxDefaultProfile of stack level 0, ChargingOnly, 0 W unless the site says otherwise: a profile that lapses
with nothing beneath it would mean charging without a limit (2.1 Q11).
"""

from __future__ import annotations

from typing import Any

from gateway.csms.station import Evse, Station
from gateway.csms.transactions import Transaction
from gateway.model.event import OperationMode
from gateway.model.station import Answer, Outcome
from protocols.ocpp.io import Answered, Refused, Reply
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp

SAFE_PROFILE = 1_000_000  # + EVSE number: ids nobody else is likely to use
POWER_PROFILE = 2_000_000
SAFE_LEVEL = 0
HELD_WITHIN_S = 3.0  # for what a station holds: orders wait for it, and one that does not say is told anew


def fallback_w(station: Station) -> float:
    """What the vehicle may draw when nobody commands it."""
    own = station.settings.fallback_limit_w
    return station.context.settings.fallback_limit_w if own is None else own


async def install_safe(station: Station, evse: Evse) -> Outcome:
    """The profile beneath all others. Installed once per connection."""
    if evse.safe:
        return Outcome(Answer.APPLIED)
    period: Payload = {"startPeriod": 0, "limit": round(fallback_w(station), 1)}
    if station.version is Version.V21:
        period["operationMode"] = OperationMode.CHARGING_ONLY
    number = SAFE_PROFILE + evse.number
    schedule: Payload = {"chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
    outcome = await send_profile(station, evse, number, SAFE_LEVEL, "TxDefaultProfile", "Relative", schedule)
    evse.safe = outcome.answer is Answer.APPLIED
    return outcome


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
    return read_status(await station.call("SetChargingProfile", body))


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
