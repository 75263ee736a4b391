"""OCPP 2.x, K02 to K15: profiles of the station, composite schedules, reports, clearing and charging needs."""

from __future__ import annotations

from emulators.conformance.case import Failed, expect
from emulators.conformance.ocpp.declarations import V2, V21, Declared
from emulators.conformance.ocpp.mutants import Answers, Misreads, Omits, Pretends, Sends
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, REJECTED, Station, charging_transaction, exchange
from emulators.conformance.ocpp.stations.profiles import (
    ACCEPTS,
    IGNORES,
    OTHER,
    PROFILE,
    SET,
    absolute,
    clear,
    composite,
    composite_starts_with,
    ids,
    install,
    period,
    profile,
    setpoint,
)
from emulators.conformance.ocpp.stations.smart_charging import offline_powers
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add
SMART, VEHICLE, POWER = "station.smart-charging", "lab.vehicle", "station.power"


# K02 to K07


@case(
    V2,
    "K02.FR.04",
    "TxProfile besides a TxDefaultProfile",
    "the TxProfile is in force",
    Misreads(SET, {"chargingProfile": {"validTo": "2020-01-01T00:00:00Z"}}, {"chargingProfile": {"id": OTHER}}),
    SMART,
    VEHICLE,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await install(station, profile(period(limit=6000.0)))
    try:
        await install(station, profile(period(limit=7000.0), purpose="TxProfile", number=OTHER))
        await composite_starts_with(station, 7000.0)
    finally:
        await clear(station)


@case(
    V2,
    "K02.FR.05",
    "the transaction of a TxProfile ends",
    "the profile is deleted",
    Answers("GetChargingProfiles", ACCEPTED),
    SMART,
    VEHICLE,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await install(station, profile(period(limit=7000.0), purpose="TxProfile"))
    await station.stop()
    await station.sleep(2)
    body: Payload = {"requestId": 801, "chargingProfile": {"chargingProfileId": [PROFILE]}}
    await station.request("GetChargingProfiles", body, {"status": "NoProfiles"})


@case(
    V2,
    "K02.FR.08",
    "the duration of a TxProfile has passed",
    "the TxDefaultProfile is in force",
    Misreads(
        SET,
        lambda p: {
            **p,
            "chargingProfile": {
                **p["chargingProfile"],
                "chargingSchedule": [
                    {k: v for k, v in s.items() if k != "duration"} for s in p["chargingProfile"]["chargingSchedule"]
                ],
            },
        },
    ),
    SMART,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await install(station, profile(period(limit=5000.0)))
    try:
        await install(
            station,
            absolute(station, period(limit=3000.0), purpose="TxProfile", number=OTHER, schedule={"duration": 15}),
        )
        await station.power_becomes(3000.0, within=12)
        station.stimulus()
        await station.power_becomes(5000.0, within=30)
    finally:
        await clear(station)


@case(V2, "K04.FR.03", "ChargingStationMaxProfile for EVSE 1", "Rejected", ACCEPTS, SMART)
async def _(station: Station) -> None:
    body = absolute(station, period(limit=4000.0), purpose="ChargingStationMaxProfile")
    await install(station, body, 1, REJECTED)


@case(
    V2,
    "K04.FR.05",
    "ChargingStationMaxProfile of 4 kW during a transaction",
    "the power is at most 4 kW",
    IGNORES,
    SMART,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    try:
        await install(station, absolute(station, period(limit=4000.0), purpose="ChargingStationMaxProfile"), 0)
        await station.power_becomes(4000.0)
    finally:
        await clear(station)


@case(
    V2,
    "K06.FR.01",
    "offline with a TxProfile",
    "it stays in force",
    Misreads(
        SET,
        lambda p: {
            **p,
            "chargingProfile": {
                **p["chargingProfile"],
                "chargingSchedule": [{**s, "duration": 12} for s in p["chargingProfile"]["chargingSchedule"]],
            },
        },
    ),
    SMART,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await install(station, absolute(station, period(limit=3000.0), purpose="TxProfile"))
    await station.power_becomes(3000.0, within=10)
    powers = await offline_powers(station, 30)
    expect(bool(powers) and all(abs(p - 3000) < 200 for p in powers), f"powers offline: {powers[-3:]} W")


# K08: composite schedule


@case(
    V2,
    "K08.FR.02",
    "GetCompositeSchedule of 300 s",
    "a schedule of 300 s from now",
    Answers("GetCompositeSchedule", {"schedule": {"duration": 60}}),
    SMART,
)
async def _(station: Station) -> None:
    body: Payload = {"evseId": 1, "duration": 300, "chargingRateUnit": "W"}
    await station.request("GetCompositeSchedule", body, ACCEPTED | {"schedule": {"duration": 300, "evseId": 1}})


@case(
    V2,
    "K08.FR.03",
    "GetCompositeSchedule of EVSE 0",
    "the total of the station",
    Misreads("GetCompositeSchedule", {"evseId": 1}),
    SMART,
)
async def _(station: Station) -> None:
    body: Payload = {"evseId": 0, "duration": 300, "chargingRateUnit": "W"}
    await station.request("GetCompositeSchedule", body, ACCEPTED | {"schedule": {"evseId": 0}})


@case(
    V2,
    "K08.FR.04",
    "TxDefaultProfile of 6 kW and ChargingStationMaxProfile of 4 kW",
    "the lowest limit",
    Pretends(SET, ACCEPTED, {"evseId": 0}),
    SMART,
)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=6000.0)))
    try:
        body = absolute(station, period(limit=4000.0), purpose="ChargingStationMaxProfile", number=OTHER)
        await install(station, body, 0)
        found = (await composite(station))[0].get("limit", 1e9)
        expect(found <= 4000.0, f"composite limit {found} W above the station's 4000 W")
    finally:
        await clear(station, PROFILE, OTHER)


add(
    V2,
    "K08.FR.05",
    "GetCompositeSchedule of an unknown EVSE",
    "Rejected",
    Answers("GetCompositeSchedule", {**ACCEPTED, "statusInfo": None}),
    exchange("GetCompositeSchedule", {"evseId": 99, "duration": 300}, REJECTED),
    SMART,
)


@case(V2, "K08.FR.06", "GetCompositeSchedule without a transaction", "as with the TxDefaultProfile", IGNORES, SMART)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=4300.0)))
    try:
        await composite_starts_with(station, 4300.0)
    finally:
        await clear(station)


@case(
    V21,
    "K08.FR.08",
    "a set-point above the limit of the station",
    "the composite set-point is capped",
    Pretends(SET, ACCEPTED, {"evseId": 0}),
    SMART,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await install(station, profile(setpoint(8000.0), purpose="TxProfile", stack=3))
    try:
        body = absolute(station, period(limit=4000.0), purpose="ChargingStationMaxProfile", number=OTHER)
        await install(station, body, 0)
        await station.power_becomes(4000.0)
    finally:
        await clear(station, PROFILE, OTHER)


# K09: reports


async def _two(station: Station) -> None:
    await install(station, profile(period(limit=5000.0)), 1)
    body = absolute(station, period(limit=9000.0), purpose="ChargingStationMaxProfile", number=OTHER)
    await install(station, body, 0)


@case(
    V2,
    "K09.FR.01",
    "GetChargingProfiles",
    "ReportChargingProfiles with its requestId",
    Sends("ReportChargingProfiles", {"requestId": 1}),
    SMART,
)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=5000.0)))
    try:
        body: Payload = {"requestId": 802, "chargingProfile": {"chargingProfileId": [PROFILE]}}
        await station.request("GetChargingProfiles", body, ACCEPTED)
        sent = await station.expect("ReportChargingProfiles", within=20)
        expect(sent["requestId"] == 802, f"requestId {sent['requestId']}")
    finally:
        await clear(station)


@case(
    V2,
    "K09.FR.02",
    "GetChargingProfiles with several reports",
    "tbc on all but the last",
    Sends("ReportChargingProfiles", {"tbc": False}),
    SMART,
)
async def _(station: Station) -> None:
    await _two(station)
    try:
        body: Payload = {"requestId": 803, "chargingProfile": {"chargingLimitSource": ["CSO"]}}
        await station.request("GetChargingProfiles", body, ACCEPTED)
        await station.expect("ReportChargingProfiles", within=20)
        await station.sleep(3)
        flags = [m.payload.get("tbc", False) for m in station.find("ReportChargingProfiles")]
        expect(flags == [True] * (len(flags) - 1) + [False], f"tbc {flags}")
        if len(flags) < 2:
            raise Failed("the profiles of EVSE 0 and of EVSE 1 are in one report")
    finally:
        await clear(station, PROFILE, OTHER)


def _report_row(reference: str, stimulus: str, expectation: str, evse: int | None, found: set[int]) -> None:
    other = {1: 0, 0: 1, None: 1}[evse]

    async def procedure(station: Station) -> None:
        await _two(station)
        try:
            reports = await ids(station, {"chargingLimitSource": ["CSO"]}, evse)
            expect(reports & {PROFILE, OTHER} == found, f"reported {sorted(reports)}")
        finally:
            await clear(station, PROFILE, OTHER)

    add(V2, reference, stimulus, expectation, Misreads("GetChargingProfiles", {"evseId": other}), procedure, SMART)


_report_row("K09.FR.04", "GetChargingProfiles of EVSE 1", "those of EVSE 1", 1, {PROFILE})
_report_row("K09.FR.05", "GetChargingProfiles of EVSE 0", "those of the station itself", 0, {OTHER})
_report_row("K09.FR.06", "GetChargingProfiles without an EVSE", "all", None, {PROFILE, OTHER})

# K10: clearing
CLEAR = "ClearChargingProfile"
add(
    V2,
    "K10.FR.01",
    "ClearChargingProfile without a match",
    "Unknown",
    Answers(CLEAR, ACCEPTED),
    exchange(CLEAR, {"chargingProfileId": 987_654}, {"status": "Unknown"}),
    SMART,
)


@case(V2, "K10.FR.03", "ClearChargingProfile by id", "Accepted, and it is gone", Pretends(CLEAR, ACCEPTED), SMART)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=5000.0)))
    await station.request(CLEAR, {"chargingProfileId": PROFILE}, ACCEPTED)
    expect(not await ids(station, {"chargingProfileId": [PROFILE]}), "the profile is still installed")


@case(
    V2,
    "K10.FR.04",
    "ClearChargingProfile by purpose and EVSE",
    "those that match, and no others",
    Misreads(CLEAR, {"chargingProfileCriteria": {"evseId": None, "chargingProfilePurpose": None, "stackLevel": 1}}),
    SMART,
)
async def _(station: Station) -> None:
    await _two(station)
    try:
        criteria = {"chargingProfilePurpose": "TxDefaultProfile", "evseId": 1}
        await station.request(CLEAR, {"chargingProfileCriteria": criteria}, ACCEPTED)
        left = await ids(station, {"chargingProfileId": [PROFILE, OTHER]})
        expect(left == {OTHER}, f"installed: {sorted(left)}")
    finally:
        await clear(station, PROFILE, OTHER)


@case(
    V2,
    "K10.FR.05",
    "ClearChargingProfile of the profile in force",
    "the power follows the rest",
    Pretends(CLEAR, ACCEPTED),
    SMART,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await install(station, profile(period(limit=5000.0)))
    try:
        await install(station, profile(period(limit=3000.0), purpose="TxProfile", number=OTHER))
        await station.power_becomes(3000.0)
        await station.request(CLEAR, {"chargingProfileId": OTHER}, ACCEPTED)
        await station.power_becomes(5000.0)
    finally:
        await clear(station)


@case(
    V2,
    "K10.FR.07",
    "ClearChargingProfile of the TxDefaultProfile in force",
    "the transaction goes on without it",
    Pretends(CLEAR, ACCEPTED),
    SMART,
    VEHICLE,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await install(station, profile(period(limit=3100.0)))
    await composite_starts_with(station, 3100.0)
    await station.request(CLEAR, {"chargingProfileId": PROFILE}, ACCEPTED)
    first = (await composite(station))[0]
    expect(first.get("limit", 1e9) > 3200, f"composite limit {first.get('limit')} W")
    expect(station.running() is not None, "the transaction has ended")


# K15: charging needs


@case(
    V2,
    "K15.FR.01",
    "a vehicle states its charging needs",
    "NotifyEVChargingNeeds",
    Omits("NotifyEVChargingNeeds", response=ACCEPTED),
    VEHICLE,
    "station.iso15118",
)
async def _(station: Station) -> None:
    await station.transaction()
    await station.expect("NotifyEVChargingNeeds", {"evseId": 1}, within=30, since=0)
