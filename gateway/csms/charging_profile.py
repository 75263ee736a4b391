"""Charging profiles in the terms of a station: its version, its clock, its unit, and the power of an ampere, which is
that of one phase."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

from gateway.csms import metering, outcomes
from gateway.csms.evse import Evse
from gateway.csms.station import Station
from gateway.csms.transactions import Transaction
from gateway.model.station import Answer, Outcome
from protocols.ocpp.enums import v21
from protocols.ocpp.events import Priority
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp
from protocols.ocpp.vendor import Channel

log = logging.getLogger("v2x.csms")

Unit = v21.ChargingRateUnitEnumType
Purpose = v21.ChargingProfilePurposeEnumType
Kind = v21.ChargingProfileKindEnumType

SETPOINT_LEVEL = 1
UNSUPPORTED_AFTER = 3  # refusals in a row
CLOCK_TOLERANCE_S = 2.0  # difference of a station's clock that is not corrected
LAST_DATE = 253_402_214_400.0  # Unix time of 9999-12-31: no profile can begin later


def allow_units(station: Station, units: str) -> None:
    """Apply the units that the station reports: `Current`, `Power` of 1.6, `A`, `W` of 2.x.

    A fallback profile that was rejected is sent in the other unit at once.
    """
    allowed, before = {unit.strip().casefold() for unit in units.split(",")}, station.rate_unit
    if allowed & {"power", "w"}:
        station.use_rate_unit(Unit.w)
    elif allowed & {"current", "a"}:
        station.use_rate_unit(Unit.a)
    if station.rate_unit is not before:
        for evse in station.evses.values():
            evse.fallback.retry_at = 0.0
            station.describe(evse)


def rate_unit(station: Station) -> Unit:
    """Return the unit of charging profiles: that of the vendor profile, else the one that the station takes."""
    channel = station.vendor_profile.setpoint
    if channel.channel is Channel.LIMIT and channel.unit == "A":
        return Unit.a
    return Unit.a if station.rate_unit == Unit.a else Unit.w


def in_unit(station: Station, evse: Evse, power_w: float, unit: Unit | None = None) -> tuple[Unit, float]:
    """Return the unit, without one that of the station, and a signed power in it, in the sign of the vendor profile."""
    unit, vendor = unit or rate_unit(station), station.vendor_profile
    if unit is Unit.w or vendor.setpoint.unit == "A":
        limit = vendor.setpoint.channel is Channel.LIMIT
        return unit, vendor.wire_value(power_w) if limit else round(power_w, 1) + 0.0
    value = power_w / volt_phases(station, evse)
    value = math.copysign(math.floor(abs(value) * 10) / 10, value)
    return unit, (value if vendor.setpoint.sign == -1 else -value) + 0.0


def volt_phases(station: Station, evse: Evse) -> float:
    """Return voltage times phases: of the vendor profile, else as measured; three phases where nothing is known, as the
    standard assumes."""
    setpoint = station.vendor_profile.setpoint
    if setpoint.unit == "A":
        return setpoint.voltage_v * setpoint.phases
    meter = evse.meter
    meter.volt_phases = metering.volt_phases(meter.samples()) or meter.volt_phases
    return meter.volt_phases or (meter.voltage_v or setpoint.voltage_v) * 3


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
    if offline_s is not None and supports(station, "SupportsMaxOfflineDuration") == "true":
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
    outcome = outcomes.of_status(await station.call(v21.Action.set_charging_profile, body, timeout, priority))
    retry.answered(outcome.code if outcome.answer is Answer.REFUSED else "", station.context.clock.now())
    if retry.count == UNSUPPORTED_AFTER:
        log.warning("%s: SetChargingProfile is answered %s; it is sent less often now", evse.name, retry.code)
    return outcome


def supports(station: Station, feature: str) -> str | None:
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
