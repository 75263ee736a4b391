"""OCPP 2.x, block K: charging profiles of a station, apart from Dynamic ones (`bidirectional.py`)."""

from __future__ import annotations

from emulators.conformance.case import Failed, expect
from emulators.conformance.ocpp.declarations import V2, V21, Declared
from emulators.conformance.ocpp.meter import in_payload
from emulators.conformance.ocpp.mutants import Answers, Misreads, Omits, Pretends, Sends
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, REJECTED, Station, exchange, in_future
from emulators.conformance.ocpp.stations.profiles import (
    PROFILE,
    absolute,
    clear,
    composite,
    ids,
    install,
    one,
    period,
    profile,
    setpoint,
)
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add
SMART, VEHICLE, POWER = "station.smart-charging", "lab.vehicle", "station.power"
SET, EVENT = "SetChargingProfile", "TransactionEvent"
OTHER = PROFILE + 1
IGNORES = Pretends(SET, ACCEPTED)
ACCEPTS = Answers(SET, ACCEPTED)


def _limit(watts: float) -> Misreads:
    """Return a mutant that reads another limit in each period."""

    def change(request: Payload) -> Payload:
        for schedule in request["chargingProfile"]["chargingSchedule"]:
            for one_period in schedule["chargingSchedulePeriod"]:
                one_period["limit"] = watts
        return request

    return Misreads(SET, change)


async def _charging(station: Station) -> str:
    return await station.transaction(sampled=True)


async def _starts_with(station: Station, watts: float, evse: int = 1) -> None:
    """Expect a limit at the start of the composite schedule."""
    found = (await composite(station, evse))[0]
    expect(
        abs(found.get("limit", 0.0) - watts) < 60, f"composite limit {found.get('limit')} W instead of {watts:.0f} W"
    )


# K01: setting profiles


@case(V2, "K01.FR.04", "SetChargingProfile TxProfile of 4 kW", "the power is 4 kW", IGNORES, SMART, VEHICLE, POWER)
async def _(station: Station) -> None:
    await _charging(station)
    await install(station, profile(period(limit=4000.0), purpose="TxProfile"))
    await station.power_becomes(4000.0)
    await station.power_stays(4000.0)


@case(
    V2,
    "K01.FR.05",
    "SetChargingProfile with the id of an installed profile",
    "it replaces it",
    Pretends(SET, ACCEPTED, {"chargingProfile": {"stackLevel": 2}}),
    SMART,
)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=4000.0)))
    await install(station, profile(period(limit=2000.0), stack=2))
    try:
        found = await one(station)
        expect(found["stackLevel"] == 2, f"stackLevel {found['stackLevel']} of the replaced profile")
        expect(len(await ids(station, {"chargingProfileId": [PROFILE]})) == 1, "both profiles are installed")
    finally:
        await clear(station)


@case(
    V2,
    "K01.FR.07",
    "SetChargingProfile during a transaction",
    "the composite schedule follows it at once",
    _limit(9000.0),
    SMART,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    await install(station, profile(period(limit=3500.0), purpose="TxProfile"))
    await _starts_with(station, 3500.0)


add(
    V2,
    "K01.FR.09",
    "SetChargingProfile TxProfile without a transaction",
    "Rejected",
    ACCEPTS,
    exchange(
        SET,
        {
            "evseId": 1,
            "chargingProfile": profile(period(limit=4000.0), purpose="TxProfile", transactionId="v2x-unknown"),
        },
        REJECTED,
    ),
    SMART,
)


@case(
    V2,
    "K01.FR.10",
    "a profile without validFrom and validTo",
    "it is in force until it is replaced",
    Misreads(SET, lambda p: {**p, "chargingProfile": {**p["chargingProfile"], "validTo": "2020-01-01T00:00:00Z"}}),
    SMART,
)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=4100.0)))
    try:
        await station.sleep(5)
        await _starts_with(station, 4100.0)
    finally:
        await clear(station)


@case(
    V2,
    "K01.FR.12",
    "a schedule of two periods",
    "the composite schedule has both",
    Misreads(
        SET,
        lambda p: {
            **p,
            "chargingProfile": {
                **p["chargingProfile"],
                "chargingSchedule": [
                    {**s, "chargingSchedulePeriod": s["chargingSchedulePeriod"][:1]}
                    for s in p["chargingProfile"]["chargingSchedule"]
                ],
            },
        },
    ),
    SMART,
)
async def _(station: Station) -> None:
    await install(station, absolute(station, period(limit=3000.0), period(60, limit=5000.0)))
    try:
        limits = [p.get("limit") for p in await composite(station)]
        expect(limits[:2] == [3000.0, 5000.0], f"limits {limits}")
    finally:
        await clear(station)


@case(
    V2,
    "K01.FR.11",
    "a period that starts after the duration of its schedule",
    "it is not executed",
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
)
async def _(station: Station) -> None:
    body = absolute(station, period(limit=3000.0), period(60, limit=1234.0), schedule={"duration": 30})
    await install(station, body)
    try:
        limits = [p.get("limit") for p in await composite(station)]
        expect(1234.0 not in limits, f"limits {limits}")
    finally:
        await clear(station)


@case(
    V2,
    "K01.FR.14",
    "TxDefaultProfile for EVSE 0",
    "it applies to every EVSE",
    Misreads(SET, {"evseId": 1}),
    SMART,
    "station.two-evses",
)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=4200.0)), 0)
    try:
        for evse in (1, 2):
            await _starts_with(station, 4200.0, evse)
    finally:
        await clear(station)


@case(
    V2,
    "K01.FR.15",
    "TxDefaultProfile for EVSE 1",
    "it applies to EVSE 1 only",
    Misreads(SET, {"evseId": 0}),
    SMART,
    "station.two-evses",
)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=4200.0)), 1)
    try:
        await _starts_with(station, 4200.0, 1)
        found = (await composite(station, 2))[0]
        expect(found.get("limit") != 4200.0, "the profile of EVSE 1 applies to EVSE 2")
    finally:
        await clear(station)


@case(V2, "K01.FR.16", "TxProfile for EVSE 0", "Rejected", ACCEPTS, SMART, VEHICLE)
async def _(station: Station) -> None:
    number = await _charging(station)
    await install(station, profile(period(limit=4000.0), purpose="TxProfile", transactionId=number), 0, REJECTED)


@case(
    V2,
    "K01.FR.17",
    "two profiles of one purpose",
    "that of the higher stack level is in force",
    Misreads(
        SET,
        lambda p: {
            **p,
            "chargingProfile": {**p["chargingProfile"], "stackLevel": 4 - p["chargingProfile"]["stackLevel"]},
        },
    ),
    SMART,
)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=5000.0), stack=1))
    await install(station, profile(period(limit=6000.0), stack=3, number=OTHER))
    try:
        await _starts_with(station, 6000.0)
    finally:
        await clear(station, PROFILE, OTHER)


@case(
    V2,
    "K01.FR.27",
    "TxDefaultProfile, then a reset",
    "it is still installed",
    Answers("GetChargingProfiles", {"status": "NoProfiles"}),
    SMART,
)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=4000.0)))
    try:
        await station.boot()
        await station.booted()
        found = await ids(station, {"chargingProfileId": [PROFILE]})
        expect(PROFILE in found, "the profile is gone after the reset")
    finally:
        await clear(station)


add(
    V2,
    "K01.FR.28",
    "SetChargingProfile for an unknown EVSE",
    "Rejected",
    ACCEPTS,
    exchange(SET, {"evseId": 99, "chargingProfile": profile(period(limit=4000.0))}, REJECTED),
    SMART,
)


@case(
    V2,
    "K01.FR.30",
    "a schedule that starts in 60 s",
    "it does not limit before",
    Misreads(
        SET,
        lambda p: {
            **p,
            "chargingProfile": {
                **p["chargingProfile"],
                "chargingSchedule": [
                    {**s, "startSchedule": "2020-01-01T00:00:00Z"} for s in p["chargingProfile"]["chargingSchedule"]
                ],
            },
        },
    ),
    SMART,
)
async def _(station: Station) -> None:
    await install(station, absolute(station, period(limit=1500.0), begins=60))
    try:
        first = (await composite(station))[0]
        expect(first.get("limit", 1e9) > 1600, f"limit {first.get('limit')} W before the start of the schedule")
    finally:
        await clear(station)


@case(
    V2,
    "K01.FR.32",
    "another TxDefaultProfile during a transaction",
    "the transaction follows it",
    IGNORES,
    SMART,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _charging(station)
    try:
        await install(station, profile(period(limit=3300.0)))
        await station.power_becomes(3300.0)
    finally:
        await clear(station)


@case(V2, "K01.FR.33", "TxProfile with the id of another transaction", "Rejected", ACCEPTS, SMART, VEHICLE)
async def _(station: Station) -> None:
    await _charging(station)
    body = profile(period(limit=4000.0), purpose="TxProfile", transactionId="v2x-unknown")
    await install(station, body, expected=REJECTED)


@case(
    V2,
    "K01.FR.36",
    "validFrom in one hour",
    "the profile is not in force",
    Misreads(SET, {"chargingProfile": {"validFrom": None}}),
    SMART,
)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=1500.0), validFrom=in_future(station, 3600)))
    try:
        first = (await composite(station))[0]
        expect(first.get("limit", 1e9) > 1600, f"limit {first.get('limit')} W of a profile that is not valid yet")
    finally:
        await clear(station)


@case(
    V2,
    "K01.FR.37",
    "validTo in 10 s",
    "the profile is not in force after it",
    Misreads(SET, {"chargingProfile": {"validTo": None}}),
    SMART,
)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=1500.0), validTo=in_future(station, 10)))
    try:
        await _starts_with(station, 1500.0)
        await station.sleep(12)
        first = (await composite(station))[0]
        expect(first.get("limit", 1e9) > 1600, f"limit {first.get('limit')} W of a profile that is no longer valid")
    finally:
        await clear(station)


@case(V2, "K01.FR.44", "numberPhases for a DC EVSE", "Rejected", ACCEPTS, SMART, "station.dc")
async def _(station: Station) -> None:
    body = profile(period(limit=4000.0, numberPhases=1))
    try:
        await install(station, body, expected=REJECTED)
    finally:
        await clear(station)


@case(
    V2,
    "K01.FR.52",
    "TxDefaultProfile for EVSE 0 with the level of one for EVSE 1",
    "Rejected",
    Answers(SET, ACCEPTED, {"evseId": 0}),
    SMART,
)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=4000.0)), 1)
    try:
        await install(station, profile(period(limit=4000.0), number=OTHER), 0, REJECTED)
    finally:
        await clear(station, PROFILE, OTHER)


@case(
    V2,
    "K01.FR.53",
    "TxDefaultProfile for EVSE 1 with the level of one for EVSE 0",
    "Rejected",
    Answers(SET, ACCEPTED, {"evseId": 1}),
    SMART,
)
async def _(station: Station) -> None:
    await install(station, profile(period(limit=4000.0)), 0)
    try:
        await install(station, profile(period(limit=4000.0), number=OTHER), 1, REJECTED)
    finally:
        await clear(station, PROFILE, OTHER)


def _priority(*periods: Payload, **more: object) -> Payload:
    return profile(*periods, purpose="PriorityCharging", number=OTHER, **more)  # type: ignore[arg-type]


PRIORITY = "station.priority-charging"


@case(V21, "K01.FR.70", "PriorityCharging with a duration", "Rejected", ACCEPTS, SMART, PRIORITY)
async def _(station: Station) -> None:
    await install(station, _priority(period(limit=4000.0), schedule={"duration": 600}), expected=REJECTED)


@case(V21, "K01.FR.71", "PriorityCharging with another mode than ChargingOnly", "Rejected", ACCEPTS, SMART, PRIORITY)
async def _(station: Station) -> None:
    await install(station, _priority(setpoint(4000.0)), expected=REJECTED)


@case(V21, "K01.FR.81", "an id of at most MaxExternalConstraintsId", "Rejected", ACCEPTS, SMART)
async def _(station: Station) -> None:
    highest = await station.variable("SmartChargingCtrlr", "MaxExternalConstraintsId")
    body = profile(period(limit=4000.0), number=int(highest or 0))
    await install(station, body, expected=REJECTED)


@case(V21, "K01.FR.95", "randomizedDelay in a ChargingStationMaxProfile", "Rejected", ACCEPTS, SMART)
async def _(station: Station) -> None:
    body = absolute(
        station, period(limit=9000.0), purpose="ChargingStationMaxProfile", schedule={"randomizedDelay": 30}
    )
    await install(station, body, 0, REJECTED)


@case(
    V21,
    "K01.FR.100",
    "limitAtSoC below the state of charge",
    "its limit caps the power",
    Misreads(
        SET,
        lambda p: {
            **p,
            "chargingProfile": {
                **p["chargingProfile"],
                "chargingSchedule": [
                    {k: v for k, v in s.items() if k != "limitAtSoC"} for s in p["chargingProfile"]["chargingSchedule"]
                ],
            },
        },
    ),
    SMART,
    VEHICLE,
    POWER,
    "station.soc",
)
async def _(station: Station) -> None:
    await _charging(station)
    body = profile(period(limit=6000.0), purpose="TxProfile", schedule={"limitAtSoC": {"soc": 5, "limit": 2000.0}})
    await install(station, body)
    await station.power_becomes(2000.0)


@case(
    V21,
    "K01.FR.110",
    "a period of another operation mode begins",
    "TransactionEvent OperationModeChanged",
    Omits(EVENT, {"triggerReason": "OperationModeChanged"}),
    SMART,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    await install(station, profile(setpoint(2000.0), purpose="TxProfile", stack=3))
    await station.expect(EVENT, {"triggerReason": "OperationModeChanged"}, within=20)


@case(V21, "K01.FR.123", "useLocalTime without SupportsUseLocalTime", "Rejected", ACCEPTS, SMART)
async def _(station: Station) -> None:
    supported = await station.variable("SmartChargingCtrlr", "SupportsUseLocalTime")
    expect(supported in (None, "false", "true"), f"SupportsUseLocalTime {supported}")
    if supported == "true":
        return
    await install(station, absolute(station, period(limit=4000.0), schedule={"useLocalTime": True}), expected=REJECTED)


async def _offline_powers(station: Station, seconds: float) -> list[float]:
    """Interrupt the connection; return the powers of the meter values that were taken offline."""
    await station.offline(seconds)
    await station.expect(EVENT, {"offline": True, "meterValue": ANY}, within=60)
    await station.sleep(3)
    events = station.find(EVENT, {"offline": True, "meterValue": ANY})
    return [power[1] for m in events if (power := in_payload(m.action, m.payload)) is not None]


async def _lasting(station: Station, **more: object) -> None:
    await _charging(station)
    await install(station, profile(period(limit=6000.0), stack=1))
    await install(
        station,
        profile(period(limit=3000.0), purpose="TxProfile", stack=3, number=OTHER, **more),  # type: ignore[arg-type]
    )
    await station.power_becomes(3000.0)


@case(
    V21,
    "K01.FR.101",
    "offline for longer than maxOfflineDuration",
    "the next profile is in force",
    Misreads(SET, {"chargingProfile": {"maxOfflineDuration": None}}),
    SMART,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _lasting(station, maxOfflineDuration=10)
    try:
        powers = await _offline_powers(station, 40)
        expect(bool(powers) and abs(powers[-1] - 6000) < 200, f"power offline at the end: {powers[-1:]} W")
    finally:
        await clear(station)


@case(
    V21,
    "K01.FR.102",
    "online again after maxOfflineDuration",
    "the profile is in force again",
    Misreads(SET, {"chargingProfile": {"invalidAfterOfflineDuration": True}}, {"chargingProfile": {"id": OTHER}}),
    SMART,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _lasting(station, maxOfflineDuration=10)
    try:
        await station.offline(40)
        await station.sleep(5)
        station.stimulus()
        await station.power_becomes(3000.0)
    finally:
        await clear(station)


@case(
    V21,
    "K01.FR.103",
    "offline without maxOfflineDuration",
    "the profile stays in force",
    Misreads(SET, {"chargingProfile": {"maxOfflineDuration": 5}}, {"chargingProfile": {"id": OTHER}}),
    SMART,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _lasting(station)
    try:
        powers = await _offline_powers(station, 40)
        expect(bool(powers) and abs(powers[-1] - 3000) < 200, f"power offline at the end: {powers[-1:]} W")
    finally:
        await clear(station)


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
    await _charging(station)
    await install(station, profile(period(limit=6000.0)))
    try:
        await install(station, profile(period(limit=7000.0), purpose="TxProfile", number=OTHER))
        await _starts_with(station, 7000.0)
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
    await _charging(station)
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
    await _charging(station)
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
    await _charging(station)
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
    await _charging(station)
    await install(station, absolute(station, period(limit=3000.0), purpose="TxProfile"))
    await station.power_becomes(3000.0, within=10)
    powers = await _offline_powers(station, 30)
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
        await _starts_with(station, 4300.0)
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
    await _charging(station)
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
    await _charging(station)
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
    await _charging(station)
    await install(station, profile(period(limit=3100.0)))
    await _starts_with(station, 3100.0)
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


# K21: priority charging (2.1)
USE = "UsePriorityCharging"


async def _use(station: Station, activate: bool, expected: object = ACCEPTED) -> None:
    await station.request(USE, {"transactionId": station.running(), "activate": activate}, expected)


async def _with_priority(station: Station) -> None:
    await _charging(station)
    await install(station, profile(period(limit=3000.0)))
    await install(station, _priority(period(limit=9000.0)))
    await station.power_becomes(3000.0)


@case(
    V21,
    "K21.FR.01",
    "UsePriorityCharging without such a profile",
    "NoProfile",
    Answers(USE, ACCEPTED),
    PRIORITY,
    VEHICLE,
)
async def _(station: Station) -> None:
    await _charging(station)
    await _use(station, True, {"status": "NoProfile"})


add(
    V21,
    "K21.FR.02",
    "UsePriorityCharging of an unknown transaction",
    "Rejected",
    Answers(USE, ACCEPTED),
    exchange(USE, {"transactionId": "v2x-unknown", "activate": True}, REJECTED),
    PRIORITY,
)


@case(
    V21,
    "K21.FR.03",
    "UsePriorityCharging with such a profile",
    "Accepted",
    Answers(USE, REJECTED),
    PRIORITY,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _with_priority(station)
    try:
        await _use(station, True)
    finally:
        await clear(station, PROFILE, OTHER)


@case(
    V21,
    "K21.FR.04",
    "priority charging is activated",
    "its profile is in force",
    Pretends(USE, ACCEPTED),
    PRIORITY,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _with_priority(station)
    try:
        await _use(station, True)
        await station.power_becomes(9000.0)
    finally:
        await clear(station, PROFILE, OTHER)


@case(
    V21,
    "K21.FR.05",
    "priority charging is activated",
    "NotifyPriorityCharging activated",
    Omits("NotifyPriorityCharging"),
    PRIORITY,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _with_priority(station)
    try:
        await _use(station, True)
        await station.expect("NotifyPriorityCharging", {"activated": True}, within=20)
    finally:
        await clear(station, PROFILE, OTHER)


@case(
    V21,
    "K21.FR.06",
    "UsePriorityCharging with activate = false",
    "Accepted",
    Answers(USE, REJECTED, {"activate": False}),
    PRIORITY,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _with_priority(station)
    try:
        await _use(station, True)
        await _use(station, False)
    finally:
        await clear(station, PROFILE, OTHER)


@case(
    V21,
    "K21.FR.07",
    "priority charging is ended",
    "the former profile is in force again",
    Pretends(USE, ACCEPTED, {"activate": False}),
    PRIORITY,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _with_priority(station)
    try:
        await _use(station, True)
        await station.power_becomes(9000.0)
        await _use(station, False)
        await station.power_becomes(3000.0)
    finally:
        await clear(station, PROFILE, OTHER)


@case(
    V21,
    "K21.FR.08",
    "priority charging is ended",
    "NotifyPriorityCharging not activated",
    Omits("NotifyPriorityCharging", {"activated": False}),
    PRIORITY,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await _with_priority(station)
    try:
        await _use(station, True)
        await _use(station, False)
        await station.expect("NotifyPriorityCharging", {"activated": False}, within=20)
    finally:
        await clear(station, PROFILE, OTHER)
