"""OCPP 2.x, K01: charging profiles of a station, apart from Dynamic ones (`dynamic_profiles.py`)."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.ocpp.declarations import V2, V21, Declared
from emulators.conformance.ocpp.meter import in_payload
from emulators.conformance.ocpp.mutants import Answers, Misreads, Omits, Pretends
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.stations.procedures import (
    ACCEPTED,
    REJECTED,
    Station,
    charging_transaction,
    exchange,
    in_future,
)
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
    one,
    period,
    profile,
    setpoint,
)
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add
SMART, VEHICLE, POWER = "station.smart-charging", "lab.vehicle", "station.power"
EVENT = "TransactionEvent"


def _limit(watts: float) -> Misreads:
    """Return a mutant that reads another limit in each period."""

    def change(request: Payload) -> Payload:
        for schedule in request["chargingProfile"]["chargingSchedule"]:
            for one_period in schedule["chargingSchedulePeriod"]:
                one_period["limit"] = watts
        return request

    return Misreads(SET, change)


@case(V2, "K01.FR.04", "SetChargingProfile TxProfile of 4 kW", "the power is 4 kW", IGNORES, SMART, VEHICLE, POWER)
async def _(station: Station) -> None:
    await charging_transaction(station)
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
    await charging_transaction(station)
    await install(station, profile(period(limit=3500.0), purpose="TxProfile"))
    await composite_starts_with(station, 3500.0)


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
        await composite_starts_with(station, 4100.0)
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
            await composite_starts_with(station, 4200.0, evse)
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
        await composite_starts_with(station, 4200.0, 1)
        found = (await composite(station, 2))[0]
        expect(found.get("limit") != 4200.0, "the profile of EVSE 1 applies to EVSE 2")
    finally:
        await clear(station)


@case(V2, "K01.FR.16", "TxProfile for EVSE 0", "Rejected", ACCEPTS, SMART, VEHICLE)
async def _(station: Station) -> None:
    number = await charging_transaction(station)
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
        await composite_starts_with(station, 6000.0)
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
    await charging_transaction(station)
    try:
        await install(station, profile(period(limit=3300.0)))
        await station.power_becomes(3300.0)
    finally:
        await clear(station)


@case(V2, "K01.FR.33", "TxProfile with the id of another transaction", "Rejected", ACCEPTS, SMART, VEHICLE)
async def _(station: Station) -> None:
    await charging_transaction(station)
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
        await composite_starts_with(station, 1500.0)
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


def priority_profile(*periods: Payload, **more: object) -> Payload:
    return profile(*periods, purpose="PriorityCharging", number=OTHER, **more)  # type: ignore[arg-type]


PRIORITY = "station.priority-charging"


@case(V21, "K01.FR.70", "PriorityCharging with a duration", "Rejected", ACCEPTS, SMART, PRIORITY)
async def _(station: Station) -> None:
    await install(station, priority_profile(period(limit=4000.0), schedule={"duration": 600}), expected=REJECTED)


@case(V21, "K01.FR.71", "PriorityCharging with another mode than ChargingOnly", "Rejected", ACCEPTS, SMART, PRIORITY)
async def _(station: Station) -> None:
    await install(station, priority_profile(setpoint(4000.0)), expected=REJECTED)


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
    await charging_transaction(station)
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
    await charging_transaction(station)
    await install(station, profile(setpoint(2000.0), purpose="TxProfile", stack=3))
    await station.expect(EVENT, {"triggerReason": "OperationModeChanged"}, within=20)


@case(V21, "K01.FR.123", "useLocalTime without SupportsUseLocalTime", "Rejected", ACCEPTS, SMART)
async def _(station: Station) -> None:
    supported = await station.variable("SmartChargingCtrlr", "SupportsUseLocalTime")
    expect(supported in (None, "false", "true"), f"SupportsUseLocalTime {supported}")
    if supported == "true":
        return
    await install(station, absolute(station, period(limit=4000.0), schedule={"useLocalTime": True}), expected=REJECTED)


async def offline_powers(station: Station, seconds: float) -> list[float]:
    """Interrupt the connection; return the powers of the meter values that were taken offline."""
    await station.offline(seconds)
    await station.expect(EVENT, {"offline": True, "meterValue": ANY}, within=60)
    await station.sleep(3)
    events = station.find(EVENT, {"offline": True, "meterValue": ANY})
    return [power[1] for m in events if (power := in_payload(m.action, m.payload)) is not None]


async def _lasting(station: Station, **more: object) -> None:
    await charging_transaction(station)
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
        powers = await offline_powers(station, 40)
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
        powers = await offline_powers(station, 40)
        expect(bool(powers) and abs(powers[-1] - 3000) < 200, f"power offline at the end: {powers[-1:]} W")
    finally:
        await clear(station)
