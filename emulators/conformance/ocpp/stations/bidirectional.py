"""OCPP 2.1, K28, K29, block Q and V2X rules: Dynamic profiles and bidirectional charging of a station."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from emulators.conformance.case import Inconclusive, expect
from emulators.conformance.ocpp.declarations import V21, Declared
from emulators.conformance.ocpp.mutants import Answers, Misreads, Omits, Pretends, Sends
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.stations.procedures import (
    ACCEPTED,
    REJECTED,
    Station,
    StationProcedure,
    in_future,
    variable,
)
from emulators.conformance.ocpp.stations.profiles import (
    PROFILE,
    absolute,
    clear,
    dynamic,
    ids,
    install,
    one,
    period,
    profile,
    setpoint,
)
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add
SET, UPDATE, EVENT = "SetChargingProfile", "UpdateDynamicSchedule", "TransactionEvent"
V2X, VEHICLE, POWER, EXTERNAL, GRID = "station.v2x", "lab.vehicle", "station.power", "lab.external", "lab.grid"
DYNAMIC = "station.dynamic"
OTHER = PROFILE + 1
IGNORES = Pretends(SET, ACCEPTED)
ACCEPTS = Answers(SET, ACCEPTED)
EMS = {"chargingLimitSource": ["EMS"]}


async def _charging(station: Station) -> str:
    return await station.transaction(sampled=True)


def _schedule(**change: object) -> Callable[[Payload], Payload]:
    """Return a change of every schedule of a profile; None removes a member."""

    def apply(request: Payload) -> Payload:
        for schedule in request["chargingProfile"]["chargingSchedule"]:
            for name, value in change.items():
                if value is None:
                    schedule.pop(name, None)
                else:
                    schedule[name] = value
        return request

    return apply


def _periods(**change: object) -> Callable[[Payload], Payload]:
    """Return a change of every period of a profile; None removes a member."""

    def apply(request: Payload) -> Payload:
        for schedule in request["chargingProfile"]["chargingSchedule"]:
            for entry in schedule["chargingSchedulePeriod"]:
                for name, value in change.items():
                    if value is None:
                        entry.pop(name, None)
                    else:
                        entry[name] = value
        return request

    return apply


# K28: Dynamic profiles of the CSMS


def _rejected(reference: str, stimulus: str, make: Callable[[Station], Payload], *needs: str) -> None:
    """Declare a case: a profile that is rejected."""

    async def procedure(station: Station) -> None:
        await _charging(station)
        try:
            await install(station, make(station), expected=REJECTED)
        finally:
            await clear(station)

    add(V21, reference, stimulus, "Rejected", ACCEPTS, procedure, VEHICLE, *needs)


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


_rejected("K28.FR.01", "a Dynamic profile of two schedules", _two_schedules, DYNAMIC)
_rejected("K28.FR.02", "a Dynamic profile whose period starts at 5 s", _late_period, DYNAMIC)
_rejected("K28.FR.03", "a Dynamic profile of two periods", _two_periods, DYNAMIC)
_rejected(
    "K28.FR.04",
    "dynUpdateInterval in a profile that is not Dynamic",
    lambda station: absolute(station, setpoint(1000.0), purpose="TxProfile", dynUpdateInterval=60),
    DYNAMIC,
)


async def _update_time(station: Station, number: int = PROFILE) -> float:
    at = parse((await one(station, number)).get("dynUpdateTime", ""))
    expect(at is not None, "the reported profile has no dynUpdateTime")
    assert at is not None
    return at


def _reports_time(value: str | None) -> Sends:
    return Sends(
        "ReportChargingProfiles",
        lambda p: {
            **p,
            "chargingProfile": [
                {k: v for k, v in {**one_profile, "dynUpdateTime": value}.items() if v is not None}
                for one_profile in p["chargingProfile"]
            ],
        },
    )


@case(
    V21,
    "K28.FR.05",
    "a Dynamic profile without dynUpdateTime",
    "it is set to the present time",
    _reports_time("2020-01-01T00:00:00Z"),
    DYNAMIC,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    await install(station, dynamic(1000.0))
    at = await _update_time(station)
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
    await _charging(station)
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
    await _charging(station)
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
    await _charging(station)
    await install(station, dynamic(4000.0))
    await station.sleep(20)
    await _update(station, setpoint=2000.0)
    at = await _update_time(station)
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
    await _charging(station)
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
    await _charging(station)
    await install(station, profile(period(limit=6000.0), number=OTHER))
    await install(station, dynamic(3000.0, duration))
    await station.power_becomes(3000.0, within=12)


@case(
    V21,
    "K28.FR.13",
    "no update of a Dynamic profile for its duration",
    "the next profile is in force",
    Misreads(SET, _schedule(duration=None)),
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


# K29 and Q05, Q06: an external control system of the laboratory


def _granting(mode: str, duration: int | None = None) -> Payload:
    schedule = {} if duration is None else {"duration": duration}
    return profile(period(operationMode=mode), purpose="TxProfile", kind="Dynamic", stack=6, schedule=schedule)


async def _external(station: Station, **values: float) -> Payload:
    """Give values of the external system, and return the profile that represents them."""
    await station.environment.external(1, **values)
    await station.sleep(1)
    found = await ids(station, EMS)
    expect(bool(found), "no profile with the source EMS")
    return await one(station, min(found))


def _reports(change: Callable[[Payload], Payload]) -> Sends:
    return Sends(
        "ReportChargingProfiles",
        lambda p: {**p, "chargingProfile": [change(one_profile) for one_profile in p["chargingProfile"]]},
    )


def _twice(charging: Payload) -> Payload:
    return {**charging, "chargingSchedule": charging["chargingSchedule"] * 2}


def _begins_late(charging: Payload) -> Payload:
    for schedule in charging["chargingSchedule"]:
        for entry in schedule["chargingSchedulePeriod"]:
            entry["startPeriod"] = 5
    return charging


@case(
    V21,
    "K29.FR.01",
    "an external limit",
    "its profile has one schedule of one period",
    _reports(_twice),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    found = await _external(station, limit_w=4000.0)
    periods = [p for s in found["chargingSchedule"] for p in s["chargingSchedulePeriod"]]
    expect(len(found["chargingSchedule"]) == len(periods) == 1, f"{len(periods)} periods")


@case(V21, "K29.FR.02", "an external limit", "its period starts at 0", _reports(_begins_late), EXTERNAL, VEHICLE)
async def _(station: Station) -> None:
    await _charging(station)
    found = await _external(station, limit_w=4000.0)
    start = found["chargingSchedule"][0]["chargingSchedulePeriod"][0]["startPeriod"]
    expect(start == 0, f"startPeriod {start}")


@case(
    V21,
    "K29.FR.03",
    "ExternalLimits granted, then an external limit",
    "the granted profile has the value",
    IGNORES,
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    await install(station, _granting("ExternalLimits"))
    await station.environment.external(1, limit_w=3000.0)
    await station.sleep(1)
    found = (await one(station))["chargingSchedule"][0]["chargingSchedulePeriod"][0]
    expect(found.get("limit") == 3000.0, f"limit {found.get('limit')}")


@case(
    V21,
    "K29.FR.04",
    "an external limit",
    "a Dynamic profile ChargingStationExternalConstraints",
    _reports(lambda p: {**p, "chargingProfileKind": "Absolute"}),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    found = await _external(station, limit_w=4000.0)
    got = found["chargingProfilePurpose"], found["chargingProfileKind"]
    expect(got == ("ChargingStationExternalConstraints", "Dynamic"), f"profile {got}")


@case(
    V21,
    "K29.FR.05",
    "another external limit",
    "the profile has the new value",
    _reports(
        lambda p: {
            **p,
            "chargingSchedule": [
                {**s, "chargingSchedulePeriod": [{**e, "limit": 4000.0} for e in s["chargingSchedulePeriod"]]}
                for s in p["chargingSchedule"]
            ],
        }
    ),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    await _external(station, limit_w=4000.0)
    found = await _external(station, limit_w=2000.0)
    limit = found["chargingSchedule"][0]["chargingSchedulePeriod"][0].get("limit")
    expect(limit == 2000.0, f"limit {limit}")


@case(
    V21,
    "K29.FR.06",
    "another external limit",
    "dynUpdateTime is the present time",
    _reports_time("2020-01-01T00:00:00Z"),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    await _external(station, limit_w=4000.0)
    await station.sleep(15)
    found = await _external(station, limit_w=2000.0)
    at = parse(found.get("dynUpdateTime", "")) or 0.0
    expect(abs(at - station.clock.wall()) < 10, f"dynUpdateTime {found.get('dynUpdateTime')}")


def _reading(wrong: float, *right: float) -> Sends:
    """Return a mutant whose meter shows a wrong power where it should have followed an external value."""

    def shown(payload: Payload) -> Payload:
        for entry in payload.get("meterValue", []):
            for sample in entry["sampledValue"]:
                watts = {"Power.Active.Import": 1.0, "Power.Active.Export": -1.0}.get(sample.get("measurand"))
                if watts is not None and any(abs(sample["value"] * watts - r) < 100 for r in right):
                    sample["value"] = abs(wrong)
        return payload

    return Sends(EVENT, shown, {"meterValue": ANY})


async def _granted_lapses(station: Station) -> None:
    await _charging(station)
    await install(station, profile(period(limit=6000.0), number=OTHER))
    await install(station, _granting("ExternalLimits", 15))
    await station.environment.external(1, limit_w=3000.0)
    await station.power_becomes(3000.0, within=12)


@case(
    V21,
    "Q05.FR.07",
    "no external value for the duration of a granted profile",
    "the next profile is in force",
    Misreads(SET, _schedule(duration=None)),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _granted_lapses(station)
    try:
        station.stimulus()
        await station.power_becomes(6000.0, within=40)
    finally:
        await clear(station, OTHER)


@case(
    V21,
    "Q05.FR.08",
    "an external value after a granted profile has lapsed",
    "it is in force again",
    _reading(6000.0, 2000.0),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _granted_lapses(station)
    try:
        await station.sleep(25)
        station.stimulus()
        await station.environment.external(1, limit_w=2000.0)
        await station.power_becomes(2000.0, within=12)
    finally:
        await clear(station, OTHER)


@case(
    V21,
    "Q05.FR.01",
    "ExternalSetpoint granted, then an external set-point",
    "the power follows it",
    Misreads(SET, _periods(operationMode="CentralSetpoint", setpoint=0.0)),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _charging(station)
    await station.write("SmartChargingCtrlr", "ExternalConstraintsProfileDisallowed", "true")
    await install(station, _granting("ExternalSetpoint"))
    station.stimulus()
    await station.environment.external(1, setpoint_w=2500.0)
    await station.power_becomes(2500.0)


@case(
    V21,
    "Q05.FR.02",
    "ExternalLimits granted, then an external limit",
    "the power keeps to it",
    Misreads(SET, _periods(operationMode="ChargingOnly", limit=9000.0)),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _charging(station)
    await station.write("SmartChargingCtrlr", "ExternalConstraintsProfileDisallowed", "true")
    await install(station, _granting("ExternalLimits"))
    station.stimulus()
    await station.environment.external(1, limit_w=3000.0)
    await station.power_becomes(3000.0)


@case(
    V21,
    "Q05.FR.03",
    "two external set-points of a granted profile",
    "the power follows the second",
    _reading(2500.0, 1500.0),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _charging(station)
    await install(station, _granting("ExternalSetpoint"))
    for watts in (2500.0, 1500.0):
        station.stimulus()
        await station.environment.external(1, setpoint_w=watts)
        await station.power_becomes(watts)


@case(
    V21,
    "Q05.FR.04",
    "two external limits of a granted profile",
    "the power keeps to the second",
    _reading(3000.0, 1500.0),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _charging(station)
    await install(station, _granting("ExternalLimits"))
    for watts in (3000.0, 1500.0):
        station.stimulus()
        await station.environment.external(1, limit_w=watts)
        await station.power_becomes(watts)


async def _granted_time(station: Station, mode: str, **values: float) -> None:
    await _charging(station)
    await install(station, _granting(mode))
    await station.sleep(20)
    await station.environment.external(1, **values)
    await station.sleep(1)
    at = await _update_time(station)
    expect(abs(at - station.clock.wall()) < 10, "dynUpdateTime is not the time of the external value")


@case(
    V21,
    "Q05.FR.05",
    "an external set-point of a granted profile",
    "dynUpdateTime is set",
    _reports_time("2020-01-01T00:00:00Z"),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _granted_time(station, "ExternalSetpoint", setpoint_w=2500.0)


@case(
    V21,
    "Q05.FR.06",
    "an external limit of a granted profile",
    "dynUpdateTime is set",
    _reports_time(None),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _granted_time(station, "ExternalLimits", limit_w=2500.0)


@case(
    V21,
    "Q06.FR.02",
    "a single external limit",
    "its period has the mode ExternalLimits",
    _reports(
        lambda p: {
            **p,
            "chargingSchedule": [
                {
                    **s,
                    "chargingSchedulePeriod": [
                        {**e, "operationMode": "CentralSetpoint"} for e in s["chargingSchedulePeriod"]
                    ],
                }
                for s in p["chargingSchedule"]
            ],
        }
    ),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    found = await _external(station, limit_w=4000.0)
    mode = found["chargingSchedule"][0]["chargingSchedulePeriod"][0].get("operationMode")
    expect(mode == "ExternalLimits", f"operationMode {mode}")


@case(
    V21,
    "Q06.FR.04",
    "a single external set-point",
    "a Dynamic profile with the mode ExternalSetpoint",
    _reports(lambda p: {**p, "chargingProfileKind": "Absolute"}),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    found = await _external(station, setpoint_w=1500.0)
    entry = found["chargingSchedule"][0]["chargingSchedulePeriod"][0]
    got = found["chargingProfileKind"], entry.get("operationMode"), entry.get("setpoint")
    expect(got == ("Dynamic", "ExternalSetpoint", 1500.0), f"profile {got}")


async def _external_schedule(station: Station, quantity: str) -> Payload:
    await _charging(station)
    station.stimulus()
    await station.environment.external_schedule(1, quantity, {0: 3000.0, 60: 1000.0})
    await station.sleep(1)
    found = await ids(station, EMS)
    expect(bool(found), "no profile with the source EMS")
    return await one(station, min(found))


def _values(found: Payload, name: str) -> list[tuple[str, object]]:
    periods = found["chargingSchedule"][0]["chargingSchedulePeriod"]
    return [(p.get("operationMode"), p.get(name)) for p in periods]


ABSOLUTE = _reports(lambda p: {**p, "chargingProfileKind": "Dynamic"})


@case(
    V21,
    "Q06.FR.01",
    "an external schedule of limits",
    "an Absolute profile with the mode ExternalLimits",
    ABSOLUTE,
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    found = await _external_schedule(station, "limit")
    expect(found["chargingProfileKind"] == "Absolute", f"chargingProfileKind {found['chargingProfileKind']}")
    values = _values(found, "limit")
    expect(values == [("ExternalLimits", 3000.0), ("ExternalLimits", 1000.0)], f"periods {values}")


@case(
    V21,
    "Q06.FR.03",
    "an external schedule of set-points",
    "an Absolute profile with the mode ExternalSetpoint",
    ABSOLUTE,
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    found = await _external_schedule(station, "setpoint")
    expect(found["chargingProfileKind"] == "Absolute", f"chargingProfileKind {found['chargingProfileKind']}")
    values = _values(found, "setpoint")
    expect(values == [("ExternalSetpoint", 3000.0), ("ExternalSetpoint", 1000.0)], f"periods {values}")


@case(
    V21,
    "Q06.FR.10",
    "an external schedule of limits",
    "NotifyChargingLimit with the schedule",
    Omits("NotifyChargingLimit"),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    station.stimulus()
    await station.environment.external_schedule(1, "limit", {0: 3000.0, 60: 1000.0})
    sent = await station.expect("NotifyChargingLimit", {"chargingSchedule": ANY}, within=20)
    expect(len(sent["chargingSchedule"][0]["chargingSchedulePeriod"]) == 2, "not both periods are reported")


@case(
    V21,
    "Q06.FR.05",
    "an external limit during charging",
    "the power keeps to it",
    _reading(9000.0, 3000.0),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _charging(station)
    station.stimulus()
    await station.environment.external(1, limit_w=3000.0)
    await station.power_becomes(3000.0)


@case(
    V21,
    "Q06.FR.06",
    "an external set-point during charging",
    "the power follows it",
    _reading(9000.0, 1500.0),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _charging(station)
    station.stimulus()
    await station.environment.external(1, setpoint_w=1500.0)
    await station.power_becomes(1500.0)


@case(
    V21,
    "Q06.FR.07",
    "another external set-point",
    "dynUpdateTime is the present time",
    _reports_time("2020-01-01T00:00:00Z"),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    await _external(station, setpoint_w=1500.0)
    await station.sleep(15)
    found = await _external(station, setpoint_w=2500.0)
    at = parse(found.get("dynUpdateTime", "")) or 0.0
    expect(abs(at - station.clock.wall()) < 10, f"dynUpdateTime {found.get('dynUpdateTime')}")


@case(
    V21,
    "Q06.FR.08",
    "ExternalConstraintsProfileDisallowed, then an external limit",
    "no profile of it",
    Misreads(
        "SetVariables",
        lambda p: {
            "setVariableData": [
                {**d, "attributeValue": "false"} if d["attributeValue"] == "true" else d for d in p["setVariableData"]
            ]
        },
    ),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    await station.set("SmartChargingCtrlr", "ExternalConstraintsProfileDisallowed", "true")
    await station.environment.external(1, limit_w=3000.0)
    await station.sleep(2)
    expect(not await ids(station, EMS), "a profile of the external system is installed")


@case(
    V21,
    "Q06.FR.11",
    "an external limit",
    "NotifyChargingLimit with the source EMS",
    Omits("NotifyChargingLimit"),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    station.stimulus()
    await station.environment.external(1, limit_w=3000.0)
    await station.expect("NotifyChargingLimit", {"chargingLimit": {"chargingLimitSource": "EMS"}}, within=20)


async def _two_setpoints(station: Station, priority: str, watts: float) -> None:
    await _charging(station)
    await station.set("SmartChargingCtrlr", "SetpointPriority", priority)
    await install(station, profile(setpoint(4000.0), purpose="TxProfile", stack=3))
    station.stimulus()
    await station.environment.external(1, setpoint_w=1500.0)
    await station.power_becomes(watts)
    await station.power_stays(watts, during=6)


def _priority(value: str) -> Misreads:
    def change(request: Payload) -> Payload:
        for data in request["setVariableData"]:
            if data["variable"]["name"] == "SetpointPriority":
                data["attributeValue"] = value
        return request

    return Misreads("SetVariables", change)


@case(
    V21,
    "Q06.FR.20",
    "SetpointPriority changed between two set-points",
    "it decides which is used",
    Pretends(
        "SetVariables",
        {"setVariableResult": [{"attributeStatus": "Accepted", **variable("SmartChargingCtrlr", "SetpointPriority")}]},
        {"setVariableData": lambda d: "SetpointPriority" in str(d)},
    ),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _two_setpoints(station, "ExternalControl", 1500.0)
    await station.set("SmartChargingCtrlr", "SetpointPriority", "CSMS")
    await station.power_becomes(4000.0)


@case(
    V21,
    "Q06.FR.21",
    "SetpointPriority ExternalControl",
    "the external set-point is used",
    _priority("CSMS"),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _two_setpoints(station, "ExternalControl", 1500.0)


@case(
    V21,
    "Q06.FR.22",
    "SetpointPriority CSMS",
    "the set-point of the TxProfile is used",
    _priority("ExternalControl"),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _two_setpoints(station, "CSMS", 4000.0)


@case(
    V21,
    "Q06.FR.30",
    "an external limit of 3 kW for EVSE 0",
    "the total power keeps to it",
    _reading(9000.0, 3000.0),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _charging(station)
    station.stimulus()
    await station.environment.external(0, limit_w=3000.0)
    await station.power_becomes(3000.0)


@case(
    V21,
    "Q06.FR.31",
    "an external set-point of 2 kW for EVSE 0",
    "the total power matches it",
    _reading(9000.0, 2000.0),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _charging(station)
    station.stimulus()
    await station.environment.external(0, setpoint_w=2000.0)
    await station.power_becomes(2000.0)


async def _constraint_lapses(station: Station) -> None:
    await _charging(station)
    await install(station, profile(period(limit=5000.0), number=OTHER))
    station.stimulus()
    await station.environment.external(1, limit_w=2000.0, duration_s=15)
    await station.power_becomes(2000.0, within=12)
    station.stimulus()


def _lapse(reference: str, mutant: Sends, revived: bool, stimulus: str, expectation: str) -> None:
    async def procedure(station: Station) -> None:
        await _constraint_lapses(station)
        try:
            await station.power_becomes(5000.0, within=40)
            if revived:
                station.stimulus()
                await station.environment.external(1, limit_w=1000.0)
                await station.power_becomes(1000.0)
        finally:
            await clear(station, OTHER)

    add(V21, reference, stimulus, expectation, mutant, procedure, EXTERNAL, VEHICLE, POWER)


_lapse("Q06.FR.40", _reading(2000.0, 5000.0), False, "no external limit for its duration", "it lapses")
_lapse("Q06.FR.41", _reading(5000.0, 1000.0), True, "an external limit after one that has lapsed", "it is in force")
_lapse(
    "K29.FR.07",
    _reading(2000.0, 5000.0),
    False,
    "an external limit is not renewed",
    "the profile of the CSMS is in force after its duration",
)
_lapse(
    "K29.FR.08",
    _reading(5000.0, 1000.0),
    True,
    "an external limit is renewed after it has lapsed",
    "its profile is in force again",
)

# V2X: composition of set-points and limits


@case(
    V21,
    "V2X.03",
    "a set-point of 8 kW and a limit of the station of 3 kW",
    "the power is 3 kW",
    Pretends(SET, ACCEPTED, {"evseId": 0}),
    V2X,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _charging(station)
    await install(station, profile(setpoint(8000.0), purpose="TxProfile", stack=3))
    try:
        maximum = absolute(station, period(limit=3000.0), purpose="ChargingStationMaxProfile", number=OTHER)
        await install(station, maximum, 0)
        await station.power_becomes(3000.0)
    finally:
        await clear(station, OTHER)


@case(
    V21,
    "V2X.04",
    "a set-point of -4 kW with a discharge limit of -4 kW",
    "the power is not below -4 kW",
    Misreads(SET, _periods(setpoint=-8000.0, dischargeLimit=-8000.0)),
    V2X,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _charging(station)
    await install(station, profile(setpoint(-4000.0, dischargeLimit=-4000.0), purpose="TxProfile", stack=3))
    await station.power_becomes(-4000.0)
    await station.power_stays(-4000.0)


_rejected(
    "V2X.05",
    "a set-point below its own discharge limit",
    lambda _: profile(setpoint(-5000.0, dischargeLimit=-2000.0), purpose="TxProfile", stack=3),
    V2X,
)
_rejected(
    "V2X.07",
    "a discharge limit for L2 without the plain field",
    lambda _: profile(setpoint(1.0, dischargeLimit_L2=-1.0), purpose="TxProfile", stack=3),
    V2X,
)
_rejected(
    "V2X.10",
    "a set-point for L2 of an EV that reported none",
    lambda _: profile(setpoint(1.0, setpoint_L2=1.0), purpose="TxProfile", stack=3),
    V2X,
)

# Q01, Q02: authorisation and charging needs
NEEDS = "NotifyEVChargingNeeds"
ISO, BPT = "station.iso15118", "station.bpt-vehicle"


@case(
    V21,
    "Q01.FR.02",
    "a transaction with an ISO 15118-20 vehicle",
    "the EVCCID is in idToken of the start",
    Sends(
        EVENT,
        lambda p: {**p, "idToken": {k: v for k, v in p["idToken"].items() if k != "additionalInfo"}},
        {"idToken": ANY},
    ),
    ISO,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    identity = {"idToken": {"additionalInfo": lambda info: any(i["type"] == "EVCCID" for i in info)}}
    await station.expect(EVENT, {"eventType": "Started"} | identity, since=0)


@case(
    V21,
    "Q01.FR.03",
    "a bidirectional vehicle",
    "NotifyEVChargingNeeds with its energy transfer",
    Sends(NEEDS, {"chargingNeeds": {"requestedEnergyTransfer": "AC_single_phase"}}),
    ISO,
    BPT,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    sent = await station.expect(NEEDS, {"evseId": 1}, since=0)
    transfer = sent["chargingNeeds"]["requestedEnergyTransfer"]
    expect("BPT" in transfer, f"requestedEnergyTransfer {transfer}")


def _without_transfers(station: Station, request: Payload) -> Payload:
    """Return a response to Authorize that does not state what is allowed; unknown tokens are still Invalid."""
    answer = station.csms.default("Authorize", request)
    return {name: value for name, value in answer.items() if name != "allowedEnergyTransfer"}


def _first_rejected(station: Station) -> None:
    answers: list[Payload] = [{"status": "Rejected"}]
    station.answer(NEEDS, lambda _: answers.pop() if answers else None)


@case(
    V21,
    "Q01.FR.05",
    "NotifyEVChargingNeeds answered Rejected",
    "another energy transfer is negotiated",
    Sends(NEEDS, {"chargingNeeds": {"requestedEnergyTransfer": "DC_BPT"}}),
    ISO,
    BPT,
    VEHICLE,
    "station.renegotiation",
)
async def _(station: Station) -> None:
    _first_rejected(station)
    await station.plug()
    await station.sleep(1)
    await station.start()
    first = await station.expect(NEEDS, within=30)
    transfer = first["chargingNeeds"]["requestedEnergyTransfer"]
    other = {"chargingNeeds": {"requestedEnergyTransfer": lambda value: value != transfer}}
    await station.expect(NEEDS, other, within=60)


@case(
    V21,
    "Q01.FR.06",
    "NotifyEVChargingNeeds always answered Rejected",
    "the end has ReqEnergyTransferRejected",
    Sends(EVENT, {"transactionInfo": {"stoppedReason": "Local"}}, {"eventType": "Ended"}),
    ISO,
    VEHICLE,
)
async def _(station: Station) -> None:
    station.answer(NEEDS, {"status": "Rejected"})
    await station.plug()
    await station.sleep(1)
    await station.start()
    ended = {"eventType": "Ended", "transactionInfo": {"stoppedReason": "ReqEnergyTransferRejected"}}
    await station.expect(EVENT, ended, within=90)


@case(
    V21,
    "Q01.FR.09",
    "Authorize answered without allowedEnergyTransfer",
    "plain charging is requested",
    Misreads("Authorize", {"allowedEnergyTransfer": ["DC", "DC_BPT", "AC_BPT", "AC_three_phase"]}, response=True),
    ISO,
    BPT,
    VEHICLE,
    "lab.reader",
)
async def _(station: Station) -> None:
    station.answer("Authorize", partial(_without_transfers, station))
    await station.plug()
    await station.present()
    sent = await station.expect(NEEDS, within=60)
    transfer = sent["chargingNeeds"]["requestedEnergyTransfer"]
    expect("BPT" not in transfer, f"requestedEnergyTransfer {transfer}")


@case(
    V21,
    "Q02.FR.04",
    "Authorize answered without allowedEnergyTransfer",
    "the bidirectional transfer is available",
    Sends(NEEDS, {"chargingNeeds": {"availableEnergyTransfer": ["DC"]}}),
    ISO,
    BPT,
    VEHICLE,
    "lab.reader",
)
async def _(station: Station) -> None:
    station.answer("Authorize", partial(_without_transfers, station))
    await station.plug()
    await station.present()
    sent = await station.expect(NEEDS, within=60)
    available = sent["chargingNeeds"].get("availableEnergyTransfer", [])
    expect(any("BPT" in one_transfer for one_transfer in available), f"availableEnergyTransfer {available}")


ALLOW = "NotifyAllowedEnergyTransfer"


async def _late_permission(station: Station) -> None:
    station.answer("Authorize", partial(_without_transfers, station))
    await station.plug()
    await station.present()
    await station.expect(NEEDS, within=60)
    number = await station.until_running()
    body: Payload = {"transactionId": number, "allowedEnergyTransfer": ["DC", "DC_BPT", "AC_three_phase", "AC_BPT"]}
    await station.request(ALLOW, body, ACCEPTED)


@case(
    V21,
    "Q02.FR.06",
    "NotifyAllowedEnergyTransfer",
    "Accepted",
    Answers(ALLOW, REJECTED),
    ISO,
    BPT,
    VEHICLE,
    "lab.reader",
)
async def _(station: Station) -> None:
    await _late_permission(station)


@case(
    V21,
    "Q02.FR.07",
    "NotifyAllowedEnergyTransfer with a bidirectional transfer",
    "NotifyEVChargingNeeds with it",
    Pretends(ALLOW, ACCEPTED),
    ISO,
    BPT,
    VEHICLE,
    "lab.reader",
    "station.renegotiation",
)
async def _(station: Station) -> None:
    await _late_permission(station)
    wanted = {"chargingNeeds": {"requestedEnergyTransfer": lambda value: "BPT" in value}}
    await station.expect(NEEDS, wanted, within=60)


def _reads(name: str, *wanted: str) -> StationProcedure:
    """Return a procedure that reads a member list of V2XChargingCtrlr of EVSE 1."""

    async def procedure(station: Station) -> None:
        found = await station.variable("V2XChargingCtrlr", name, evse=1)
        expect(bool(found), f"V2XChargingCtrlr.{name} is {found!r}")
        for member in wanted:
            expect(member in (found or "").split(","), f"{member} is not in {found}")

    return procedure


def _value(text: str) -> Answers:
    """Return a mutant that reads another value of a variable."""
    return Answers(
        "GetVariables", lambda p: {"getVariableResult": [{**r, "attributeValue": text} for r in p["getVariableResult"]]}
    )


MODES = "SupportedOperationModes"
add(
    V21,
    "Q01.FR.30",
    "GetVariables V2XChargingCtrlr.SupportedOperationModes",
    "the supported operation modes",
    _value(""),
    _reads(MODES),
    V2X,
)
add(
    V21,
    "Q01.FR.31",
    "GetVariables V2XChargingCtrlr.SupportedOperationModes",
    "ChargingOnly, CentralSetpoint and CentralFrequency",
    _value("ChargingOnly,CentralSetpoint"),
    _reads(MODES, "ChargingOnly", "CentralSetpoint", "CentralFrequency"),
    V2X,
)
add(
    V21,
    "Q01.FR.32",
    "GetVariables V2XChargingCtrlr.SupportedEnergyTransferModes",
    "the supported transfers",
    _value(""),
    _reads("SupportedEnergyTransferModes"),
    V2X,
)
add(
    V21,
    "Q07.FR.01",
    "GetVariables V2XChargingCtrlr.SupportedOperationModes",
    "CentralFrequency is supported",
    _value("ChargingOnly,CentralSetpoint"),
    _reads(MODES, "CentralFrequency"),
    V2X,
)
add(
    V21,
    "Q08.FR.20",
    "GetVariables V2XChargingCtrlr.SupportedOperationModes",
    "LocalFrequency, where it is claimed",
    _value("ChargingOnly"),
    _reads(MODES, "LocalFrequency"),
    V2X,
    "station.local-frequency",
)


@case(
    V21,
    "Q01.FR.36",
    "GetReport ConnectedEV",
    "its required variables",
    Sends(
        "NotifyReport",
        lambda p: {**p, "reportData": [e for e in p["reportData"] if e["variable"]["name"] != "VehicleId"]},
    ),
    V2X,
)
async def _(station: Station) -> None:
    body = {"requestId": 811, "componentVariable": [{"component": {"name": "ConnectedEV"}}]}
    await station.request("GetReport", body, ACCEPTED)
    sent = await station.expect("NotifyReport", within=20)
    names = {entry["variable"]["name"] for entry in sent["reportData"]}
    for name in ("Available", "VehicleId", "VehicleCertificate", "ProtocolAgreed", "ProtocolSupportedByEV"):
        expect(name in names, f"ConnectedEV.{name} is not reported")


def _measurands(reference: str, part: str, stimulus: str, where: Payload) -> None:
    """Declare a case: the measurands of an operation mode are sent."""

    async def procedure(station: Station) -> None:
        await station.set("V2XChargingCtrlr", f"Tx{part}Measurands", "Frequency", "ChargingOnly", 1)
        await _charging(station)
        if part == "Ended":
            await station.stop()
        await station.expect(EVENT, where | {"meterValue": lambda v: "'Frequency'" in str(v)}, within=30, since=0)

    def without(payload: Payload) -> Payload:
        for entry in payload["meterValue"]:
            entry["sampledValue"] = [s for s in entry["sampledValue"] if s["measurand"] != "Frequency"]
        return payload

    mutant = Sends(EVENT, without, where | {"meterValue": ANY})
    add(
        V21,
        reference,
        stimulus,
        f"the measurands of V2XChargingCtrlr.Tx{part}Measurands",
        mutant,
        procedure,
        V2X,
        VEHICLE,
    )


_measurands("Q01.FR.33", "Started", "a transaction starts", {"eventType": "Started"})
_measurands("Q01.FR.34", "Ended", "a transaction ends", {"eventType": "Ended"})
_measurands("Q01.FR.35", "Updated", "a transaction goes on", {"eventType": "Updated"})

# Q03, Q07: set-points of the CSMS


def _setpoint_case(reference: str, mode: str, watts: float, stimulus: str, *needs: str) -> None:
    async def procedure(station: Station) -> None:
        await _charging(station)
        kind = "Dynamic" if mode == "CentralFrequency" else "Relative"
        await install(station, profile(setpoint(watts, mode=mode), purpose="TxProfile", kind=kind, stack=3))
        await station.power_becomes(watts)
        await station.power_stays(watts, during=6)

    mutant = Misreads(SET, _periods(setpoint=-watts))
    add(V21, reference, stimulus, f"the power is {watts:g} W", mutant, procedure, V2X, VEHICLE, POWER, *needs)


_setpoint_case("Q03.FR.01", "CentralSetpoint", -5000.0, "a CentralSetpoint of -5 kW", BPT)
_rejected(
    "Q07.FR.02",
    "CentralFrequency in a profile that is not Dynamic",
    lambda station: absolute(station, setpoint(1000.0, mode="CentralFrequency"), purpose="TxProfile", stack=3),
    V2X,
)

# Q08: local frequency
CURVE = [{"frequency": 49.0, "power": -8000.0}, {"frequency": 51.0, "power": 8000.0}]
FREQUENCY = "station.local-frequency"


def _frequency(**more: object) -> Payload:
    values: Payload = {"operationMode": "LocalFrequency", "v2xBaseline": 1000.0, "v2xFreqWattCurve": CURVE, **more}
    return {"startPeriod": 0, **{k: v for k, v in values.items() if v is not None}}


def _local(station: Station, **more: object) -> Payload:
    return absolute(station, _frequency(**more), purpose="TxProfile", stack=5)


_rejected("Q08.FR.01", "a limit in a LocalFrequency period", lambda s: _local(s, limit=0.0), FREQUENCY)
_rejected("Q08.FR.02", "a frequency curve of one point", lambda s: _local(s, v2xFreqWattCurve=CURVE[:1]), FREQUENCY)
_rejected("Q08.FR.03", "a LocalFrequency period without v2xBaseline", lambda s: _local(s, v2xBaseline=None), FREQUENCY)
_rejected("Q08.FR.04", "a set-point in a LocalFrequency period", lambda s: _local(s, setpoint=0.0), FREQUENCY)
_rejected(
    "Q08.FR.05",
    "a LocalFrequency schedule in A",
    lambda s: absolute(s, _frequency(), purpose="TxProfile", stack=5, schedule={"chargingRateUnit": "A"}),
    FREQUENCY,
)


@case(
    V21,
    "Q08.FR.06",
    "a LocalFrequency period at 50 Hz",
    "the power is baseline plus curve",
    Misreads(SET, _periods(v2xBaseline=3000.0)),
    FREQUENCY,
    VEHICLE,
    POWER,
    GRID,
)
async def _(station: Station) -> None:
    await _charging(station)
    await station.environment.grid(frequency_hz=50.0)
    await install(station, _local(station))
    await station.power_becomes(1000.0)


@case(
    V21,
    "Q08.FR.07",
    "the frequency falls to 49.5 Hz",
    "the power follows the curve",
    Misreads(SET, _periods(v2xFreqWattCurve=[{"frequency": 49.0, "power": 0.0}, {"frequency": 51.0, "power": 0.0}])),
    FREQUENCY,
    VEHICLE,
    POWER,
    GRID,
)
async def _(station: Station) -> None:
    await _charging(station)
    await station.environment.grid(frequency_hz=50.0)
    await install(station, _local(station))
    await station.power_becomes(1000.0)
    station.stimulus()
    await station.environment.grid(frequency_hz=49.5)
    try:
        await station.power_becomes(-3000.0)
    finally:
        await station.environment.grid(frequency_hz=50.0)


SIGNALS = [{"signal": -100, "power": -2000.0}, {"signal": 100, "power": 2000.0}]
AFRR = "AFRRSignal"


@case(
    V21,
    "Q08.FR.10",
    "AFRRSignal with a signal curve",
    "its power is added at its time",
    Pretends(AFRR, ACCEPTED),
    FREQUENCY,
    VEHICLE,
    POWER,
    GRID,
)
async def _(station: Station) -> None:
    await _charging(station)
    await station.environment.grid(frequency_hz=50.0)
    await install(station, _local(station, v2xSignalWattCurve=SIGNALS))
    await station.power_becomes(1000.0)
    await station.request(AFRR, {"timestamp": in_future(station, 0), "signal": 50}, ACCEPTED)
    await station.power_becomes(2000.0)


@case(V21, "Q08.FR.11", "AFRRSignal without a signal curve", "Rejected", Answers(AFRR, ACCEPTED), FREQUENCY)
async def _(station: Station) -> None:
    await station.request(AFRR, {"timestamp": in_future(station, 0), "signal": 50}, REJECTED)


# Q09: local load balancing
BALANCING = "station.load-balancing"
UPPER = "UpperThreshold"


async def _thresholds(station: Station, **values: float) -> None:
    for name, value in values.items():
        await station.set("V2XChargingCtrlr", "LocalLoadBalancing", value, name, 1)


def _balancing(station: Station, **more: object) -> Payload:
    return absolute(
        station, {"startPeriod": 0, "operationMode": "LocalLoadBalancing", **more}, purpose="TxProfile", stack=5
    )


@case(
    V21,
    "Q09.FR.01",
    "LocalLoadBalancing without its support",
    "Rejected",
    ACCEPTS,
    VEHICLE,
    "station.without-load-balancing",
)
async def _(station: Station) -> None:
    found = await station.variable("V2XChargingCtrlr", MODES, evse=1)
    if "LocalLoadBalancing" in (found or ""):
        raise Inconclusive("the station supports LocalLoadBalancing")
    await _charging(station)
    await install(station, _balancing(station), expected=REJECTED)


@case(V21, "Q09.FR.02", "LocalLoadBalancing with inverted thresholds", "Rejected", ACCEPTS, BALANCING, VEHICLE)
async def _(station: Station) -> None:
    await _charging(station)
    await _thresholds(station, UpperThreshold=1000, LowerThreshold=2000, UpperOffset=0, LowerOffset=0)
    await install(station, _balancing(station), expected=REJECTED)


async def _balanced(station: Station, load_w: float, **more: object) -> None:
    """Balance against one reading of the upstream meter."""
    await _charging(station)
    await _thresholds(station, UpperThreshold=2000, LowerThreshold=-1000, UpperOffset=0, LowerOffset=0)
    await install(station, _balancing(station, **more))
    station.stimulus()
    await station.environment.grid(load_w=load_w)


def _no_thresholds(value: str) -> Misreads:
    def change(request: Payload) -> Payload:
        for data in request["setVariableData"]:
            if data["variable"].get("instance") in (UPPER, "LowerThreshold"):
                data["attributeValue"] = value if data["variable"]["instance"] == UPPER else f"-{value}"
        return request

    return Misreads("SetVariables", change)


@case(
    V21,
    "Q09.FR.03",
    "another reading of the upstream meter",
    "the set-point changes",
    _no_thresholds("99000"),
    BALANCING,
    VEHICLE,
    POWER,
    GRID,
)
async def _(station: Station) -> None:
    await _balanced(station, -4000.0)
    await station.power_becomes(3000.0)
    station.stimulus()
    await station.environment.grid(load_w=4000.0)
    await station.power_becomes(1000.0)


@case(
    V21,
    "Q09.FR.04",
    "an upstream load of 3 kW below LowerThreshold",
    "the power rises by the difference",
    _no_thresholds("500"),
    BALANCING,
    VEHICLE,
    POWER,
    GRID,
)
async def _(station: Station) -> None:
    await _balanced(station, -4000.0)
    await station.power_becomes(3000.0)


@case(
    V21,
    "Q09.FR.05",
    "local load balancing with a limit",
    "the set-point is capped",
    Misreads(SET, _periods(limit=None)),
    BALANCING,
    VEHICLE,
    POWER,
    GRID,
)
async def _(station: Station) -> None:
    await _balanced(station, -8000.0, limit=2500.0)
    await station.power_becomes(2500.0)


# Q10: idle
IDLE = "station.idle"


def _idle(station: Station, **more: object) -> Payload:
    return absolute(station, {"startPeriod": 0, "operationMode": "Idle", **more}, purpose="TxProfile", stack=5)


@case(
    V21,
    "Q10.FR.01",
    "an Idle period",
    "no power flows",
    Misreads(SET, _periods(operationMode="ChargingOnly", limit=5000.0)),
    IDLE,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _charging(station)
    await install(station, _idle(station))
    await station.power_becomes(0.0)
    await station.power_stays(0.0)


_rejected("Q10.FR.02", "a limit in an Idle period", lambda s: _idle(s, limit=0.0), IDLE)


@case(
    V21,
    "Q10.FR.04",
    "an Idle period with evseSleep",
    "TransactionEvent with evseSleep = true",
    Sends(EVENT, {"evseSleep": None}),
    IDLE,
    VEHICLE,
    "station.evse-sleep",
)
async def _(station: Station) -> None:
    await _charging(station)
    await install(station, _idle(station, evseSleep=True))
    await station.expect(EVENT, {"evseSleep": True}, within=60)


@case(
    V21,
    "Q10.FR.05",
    "an Idle period with evseSleep without its support",
    "no TransactionEvent with evseSleep = true",
    Sends(EVENT, {"evseSleep": True}),
    IDLE,
    VEHICLE,
    "station.without-evse-sleep",
)
async def _(station: Station) -> None:
    await _charging(station)
    await install(station, _idle(station, evseSleep=True))
    await station.expect_none(EVENT, {"evseSleep": True}, during=20)


@case(
    V21,
    "Q10.FR.03",
    "a sleeping EVSE is to charge again",
    "it wakes",
    Pretends("ClearChargingProfile", ACCEPTED),
    IDLE,
    VEHICLE,
    POWER,
    "station.evse-sleep",
)
async def _(station: Station) -> None:
    await _charging(station)
    await install(station, _idle(station, evseSleep=True))
    await station.power_becomes(0.0)
    await station.request("ClearChargingProfile", {"chargingProfileId": PROFILE}, ACCEPTED)

    def charges() -> bool:
        return (station.power() or 0.0) > 1000

    if not await station.recorded.wait_for(charges, 60):
        expect(False, f"the power is {station.power()} W after the Idle profile was cleared")
