"""OCPP 2.1, K28: Dynamic profiles of the CSMS."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.ocpp.declarations import V21, Declared
from emulators.conformance.ocpp.mutants import Answers, Misreads, Omits, Pretends
from emulators.conformance.ocpp.stations.bidirectional import (
    DYNAMIC,
    POWER,
    UPDATE,
    VEHICLE,
    declare_rejected,
    reports_update_time,
    update_time,
    with_schedules,
)
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, REJECTED, Station, charging_transaction
from emulators.conformance.ocpp.stations.profiles import (
    OTHER,
    PROFILE,
    SET,
    absolute,
    clear,
    dynamic,
    install,
    period,
    profile,
    setpoint,
)
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add


def _two_schedules(_: Station) -> Payload:
    body = dynamic(1000.0)
    body["chargingSchedule"].append({**body["chargingSchedule"][0], "id": 2})
    return body


def _late_period(_: Station) -> Payload:
    body = dynamic(1000.0)
    body["chargingSchedule"][0]["chargingSchedulePeriod"][0]["startPeriod"] = 5
    return body


def _two_periods(_: Station) -> Payload:
    return profile(setpoint(1000.0), setpoint(2000.0, 60), purpose="TxProfile", kind="Dynamic", stack=5)


declare_rejected(DECLARED, "K28.FR.01", "a Dynamic profile of two schedules", _two_schedules, DYNAMIC)
declare_rejected(DECLARED, "K28.FR.02", "a Dynamic profile whose period starts at 5 s", _late_period, DYNAMIC)
declare_rejected(DECLARED, "K28.FR.03", "a Dynamic profile of two periods", _two_periods, DYNAMIC)
declare_rejected(
    DECLARED,
    "K28.FR.04",
    "dynUpdateInterval in a profile that is not Dynamic",
    lambda station: absolute(station, setpoint(1000.0), purpose="TxProfile", dynUpdateInterval=60),
    DYNAMIC,
)


@case(
    V21,
    "K28.FR.05",
    "a Dynamic profile without dynUpdateTime",
    "it is set to the present time",
    reports_update_time("2020-01-01T00:00:00Z"),
    DYNAMIC,
    VEHICLE,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await install(station, dynamic(1000.0))
    at = await update_time(station)
    expect(abs(at - station.clock.wall()) < 10, "dynUpdateTime is not the present time")


async def _update(station: Station, expected: object = ACCEPTED, number: int = PROFILE, **values: float) -> None:
    await station.request(UPDATE, {"chargingProfileId": number, "scheduleUpdate": values}, expected)


@case(
    V21,
    "K28.FR.06",
    "UpdateDynamicSchedule",
    "Accepted, and the power follows at once",
    Pretends(UPDATE, ACCEPTED),
    DYNAMIC,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await install(station, dynamic(4000.0))
    await station.power_becomes(4000.0)
    await _update(station, setpoint=2000.0)
    await station.power_becomes(2000.0, within=15)


@case(
    V21,
    "K28.FR.08",
    "PullDynamicScheduleUpdate answered with a set-point",
    "the power follows it",
    Misreads("PullDynamicScheduleUpdate", {"scheduleUpdate": {"setpoint": 4000.0}}, response=True),
    DYNAMIC,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    pulled: Payload = {"status": "Accepted", "scheduleUpdate": {"setpoint": 2500.0}}
    station.answer("PullDynamicScheduleUpdate", pulled)
    await install(station, dynamic(4000.0, dynUpdateInterval=5))
    await station.expect("PullDynamicScheduleUpdate", within=20)
    await station.power_becomes(2500.0, within=20)


@case(
    V21,
    "K28.FR.09",
    "UpdateDynamicSchedule",
    "dynUpdateTime is the present time",
    Pretends(UPDATE, ACCEPTED),
    DYNAMIC,
    VEHICLE,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await install(station, dynamic(4000.0))
    await station.sleep(20)
    await _update(station, setpoint=2000.0)
    at = await update_time(station)
    expect(abs(at - station.clock.wall()) < 10, "dynUpdateTime is not the time of the update")


@case(
    V21,
    "K28.FR.10",
    "a Dynamic profile with dynUpdateInterval of 5 s",
    "PullDynamicScheduleUpdate every 5 s",
    Omits("PullDynamicScheduleUpdate", response={"status": "Accepted"}),
    DYNAMIC,
    VEHICLE,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    pulled: Payload = {"status": "Accepted", "scheduleUpdate": {"setpoint": 2500.0}}
    station.answer("PullDynamicScheduleUpdate", pulled)
    await install(station, dynamic(4000.0, dynUpdateInterval=5))
    for _ in range(2):
        await station.expect("PullDynamicScheduleUpdate", {"chargingProfileId": PROFILE}, within=15)
        station.stimulus()


@case(
    V21,
    "K28.FR.11",
    "UpdateDynamicSchedule of a profile that is not Dynamic",
    "Rejected",
    Answers(UPDATE, ACCEPTED),
    DYNAMIC,
)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=4000.0)))
    try:
        await _update(station, REJECTED, limit=2000.0)
    finally:
        await clear(station)


async def _lapsing(station: Station, duration: int = 15) -> None:
    """Install 6 kW for the transaction, and 3 kW above it that lapse."""
    await charging_transaction(station)
    await install(station, profile(period(limit=6000.0), number=OTHER))
    await install(station, dynamic(3000.0, duration))
    await station.power_becomes(3000.0, within=12)


@case(
    V21,
    "K28.FR.13",
    "no update of a Dynamic profile for its duration",
    "the next profile is in force",
    Misreads(SET, with_schedules(duration=None)),
    DYNAMIC,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _lapsing(station)
    try:
        station.stimulus()
        await station.power_becomes(6000.0, within=40)
    finally:
        await clear(station, OTHER)


@case(
    V21,
    "K28.FR.14",
    "an update of a Dynamic profile that has lapsed",
    "it is in force again",
    Pretends(UPDATE, ACCEPTED),
    DYNAMIC,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _lapsing(station)
    try:
        await station.sleep(25)
        await _update(station, setpoint=2000.0)
        await station.power_becomes(2000.0, within=12)
    finally:
        await clear(station, OTHER)


@case(
    V21,
    "K28.FR.15",
    "updates within the duration of a Dynamic profile",
    "it does not lapse",
    Pretends(UPDATE, ACCEPTED),
    DYNAMIC,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _lapsing(station)
    try:
        for _ in range(4):
            await station.sleep(7)
            await _update(station, setpoint=3000.0)
        station.stimulus()
        await station.power_stays(3000.0, during=6)
        await station.power_becomes(3000.0, within=6)
    finally:
        await clear(station, OTHER)
