"""OCPP 2.1, K29, Q05 and Q06: an external control system of the laboratory."""

from __future__ import annotations

from collections.abc import Callable

from emulators.conformance.case import expect
from emulators.conformance.ocpp.declarations import V21, Declared
from emulators.conformance.ocpp.mutants import Misreads, Omits, Pretends, Sends
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.stations.bidirectional import (
    EMS,
    EVENT,
    EXTERNAL,
    POWER,
    VEHICLE,
    reports_update_time,
    update_time,
    with_periods,
    with_schedules,
)
from emulators.conformance.ocpp.stations.procedures import Station, charging_transaction, variable
from emulators.conformance.ocpp.stations.profiles import (
    IGNORES,
    OTHER,
    SET,
    clear,
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
    await charging_transaction(station)
    found = await _external(station, limit_w=4000.0)
    periods = [p for s in found["chargingSchedule"] for p in s["chargingSchedulePeriod"]]
    expect(len(found["chargingSchedule"]) == len(periods) == 1, f"{len(periods)} periods")


@case(V21, "K29.FR.02", "an external limit", "its period starts at 0", _reports(_begins_late), EXTERNAL, VEHICLE)
async def _(station: Station) -> None:
    await charging_transaction(station)
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
    await charging_transaction(station)
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
    await charging_transaction(station)
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
    await charging_transaction(station)
    await _external(station, limit_w=4000.0)
    found = await _external(station, limit_w=2000.0)
    limit = found["chargingSchedule"][0]["chargingSchedulePeriod"][0].get("limit")
    expect(limit == 2000.0, f"limit {limit}")


@case(
    V21,
    "K29.FR.06",
    "another external limit",
    "dynUpdateTime is the present time",
    reports_update_time("2020-01-01T00:00:00Z"),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
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
    await charging_transaction(station)
    await install(station, profile(period(limit=6000.0), number=OTHER))
    await install(station, _granting("ExternalLimits", 15))
    await station.environment.external(1, limit_w=3000.0)
    await station.power_becomes(3000.0, within=12)


@case(
    V21,
    "Q05.FR.07",
    "no external value for the duration of a granted profile",
    "the next profile is in force",
    Misreads(SET, with_schedules(duration=None)),
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
    Misreads(SET, with_periods(operationMode="CentralSetpoint", setpoint=0.0)),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
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
    Misreads(SET, with_periods(operationMode="ChargingOnly", limit=9000.0)),
    EXTERNAL,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
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
    await charging_transaction(station)
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
    await charging_transaction(station)
    await install(station, _granting("ExternalLimits"))
    for watts in (3000.0, 1500.0):
        station.stimulus()
        await station.environment.external(1, limit_w=watts)
        await station.power_becomes(watts)


async def _granted_time(station: Station, mode: str, **values: float) -> None:
    await charging_transaction(station)
    await install(station, _granting(mode))
    await station.sleep(20)
    await station.environment.external(1, **values)
    await station.sleep(1)
    at = await update_time(station)
    expect(abs(at - station.clock.wall()) < 10, "dynUpdateTime is not the time of the external value")


@case(
    V21,
    "Q05.FR.05",
    "an external set-point of a granted profile",
    "dynUpdateTime is set",
    reports_update_time("2020-01-01T00:00:00Z"),
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
    reports_update_time(None),
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
    await charging_transaction(station)
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
    await charging_transaction(station)
    found = await _external(station, setpoint_w=1500.0)
    entry = found["chargingSchedule"][0]["chargingSchedulePeriod"][0]
    got = found["chargingProfileKind"], entry.get("operationMode"), entry.get("setpoint")
    expect(got == ("Dynamic", "ExternalSetpoint", 1500.0), f"profile {got}")


async def _external_schedule(station: Station, quantity: str) -> Payload:
    await charging_transaction(station)
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
    await charging_transaction(station)
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
    await charging_transaction(station)
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
    await charging_transaction(station)
    station.stimulus()
    await station.environment.external(1, setpoint_w=1500.0)
    await station.power_becomes(1500.0)


@case(
    V21,
    "Q06.FR.07",
    "another external set-point",
    "dynUpdateTime is the present time",
    reports_update_time("2020-01-01T00:00:00Z"),
    EXTERNAL,
    VEHICLE,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
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
    await charging_transaction(station)
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
    await charging_transaction(station)
    station.stimulus()
    await station.environment.external(1, limit_w=3000.0)
    await station.expect("NotifyChargingLimit", {"chargingLimit": {"chargingLimitSource": "EMS"}}, within=20)


async def _two_setpoints(station: Station, priority: str, watts: float) -> None:
    await charging_transaction(station)
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
    await charging_transaction(station)
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
    await charging_transaction(station)
    station.stimulus()
    await station.environment.external(0, setpoint_w=2000.0)
    await station.power_becomes(2000.0)


async def _constraint_lapses(station: Station) -> None:
    await charging_transaction(station)
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
