"""OCPP 1.6, smart charging (5.5, 5.7, 5.16)."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.ocpp.declarations import V16, Declared
from emulators.conformance.ocpp.mutants import Answers, Intrudes, Misreads, Mutant, Pretends
from emulators.conformance.ocpp.pattern import ANY
from emulators.conformance.ocpp.stations.ocpp16 import VEHICLE, Declaring, profile_16
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, REJECTED, Station, exchange
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

DECLARED: Declared[Station] = Declared("CS", "Smart charging 1.6")
SET, CHARGING = "SetChargingProfile", "station.smart-charging"


def smart(reference: str, stimulus: str, expectation: str, mutant: Mutant, *needs: str) -> Declaring:
    """Declare a case of smart charging."""
    return DECLARED.case(V16, reference, stimulus, expectation, mutant, CHARGING, *needs)


async def _install(station: Station, profile: Payload, connector: int = 1, expected: object = ACCEPTED) -> None:
    await station.request(SET, {"connectorId": connector, "csChargingProfiles": profile}, expected)


async def _clear(station: Station) -> None:
    for number in (900_001, 900_002):
        await station.call("ClearChargingProfile", {"id": number})


async def _limit(station: Station, connector: int = 1) -> float:
    """Return the limit at the start of the composite schedule."""
    body = {"connectorId": connector, "duration": 300, "chargingRateUnit": "W"}
    answer = await station.request("GetCompositeSchedule", body, ACCEPTED)
    return float(answer["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"])


IGNORES = Pretends(SET, ACCEPTED)
ACCEPTS = Answers(SET, ACCEPTED)


@smart("5.16 TxProfile", "TxProfile of 4 kW in a transaction", "the power is 4 kW", IGNORES, VEHICLE, "station.power")
async def _(station: Station) -> None:
    await station.transaction(sampled=True)
    await _install(station, profile_16(4000.0))
    await station.power_becomes(4000.0)
    await station.power_stays(4000.0)


DECLARED.add(
    V16,
    "5.16.4 no transaction",
    "TxProfile without a transaction",
    "Rejected",
    ACCEPTS,
    exchange(SET, {"connectorId": 1, "csChargingProfiles": profile_16(4000.0)}, REJECTED),
    CHARGING,
)


@smart("5.16.3 other transaction", "TxProfile with the id of another transaction", "Rejected", ACCEPTS, VEHICLE)
async def _(station: Station) -> None:
    await station.transaction()
    await _install(station, profile_16(4000.0, transactionId=987_654), expected=REJECTED)


@smart("5.16 TxDefaultProfile", "TxDefaultProfile of 4.3 kW", "it is in the composite schedule", IGNORES)
async def _(station: Station) -> None:
    await _install(station, profile_16(4300.0, "TxDefaultProfile"))
    try:
        found = await _limit(station)
        expect(found == 4300.0, f"composite limit {found} W")
    finally:
        await _clear(station)


@smart(
    "5.16 all connectors",
    "TxDefaultProfile for connector 0",
    "it applies to every connector",
    Misreads(SET, {"connectorId": 1}),
    "station.two-evses",
)
async def _(station: Station) -> None:
    await _install(station, profile_16(4300.0, "TxDefaultProfile"), 0)
    try:
        for connector in (1, 2):
            found = await _limit(station, connector)
            expect(found == 4300.0, f"composite limit {found} W of connector {connector}")
    finally:
        await _clear(station)


@smart("3.13.1 ChargePointMaxProfile", "ChargePointMaxProfile for connector 1", "Rejected", ACCEPTS)
async def _(station: Station) -> None:
    profile = profile_16(4300.0, "ChargePointMaxProfile") | {"chargingProfileKind": "Absolute"}
    profile["chargingSchedule"]["startSchedule"] = stamp(station.clock.wall() - 2.0)
    await _install(station, profile, 1, REJECTED)


@smart(
    "3.13.2 stack level",
    "two TxDefaultProfiles",
    "that of the higher stack level is in force",
    Misreads(
        SET,
        lambda p: {
            **p,
            "csChargingProfiles": {**p["csChargingProfiles"], "stackLevel": 4 - p["csChargingProfiles"]["stackLevel"]},
        },
    ),
)
async def _(station: Station) -> None:
    await _install(station, profile_16(5000.0, "TxDefaultProfile"))
    await _install(station, profile_16(6000.0, "TxDefaultProfile", 900_002, stackLevel=3))
    try:
        found = await _limit(station)
        expect(found == 6000.0, f"composite limit {found} W")
    finally:
        await _clear(station)


@smart(
    "3.13.3 combined purposes",
    "TxDefaultProfile and a lower ChargePointMaxProfile",
    "the lowest limit",
    Pretends(SET, ACCEPTED, {"connectorId": 0}),
)
async def _(station: Station) -> None:
    await _install(station, profile_16(6000.0, "TxDefaultProfile"))
    maximum = profile_16(4000.0, "ChargePointMaxProfile", 900_002) | {"chargingProfileKind": "Absolute"}
    maximum["chargingSchedule"]["startSchedule"] = stamp(station.clock.wall() - 2.0)
    await _install(station, maximum, 0)
    try:
        found = await _limit(station)
        expect(found <= 4000.0, f"composite limit {found} W")
    finally:
        await _clear(station)


@smart(
    "5.16 same id",
    "SetChargingProfile with the id of an installed profile",
    "it is replaced",
    Pretends(
        SET, ACCEPTED, {"csChargingProfiles": {"chargingSchedule": {"chargingSchedulePeriod": [{"limit": 2000.0}]}}}
    ),
)
async def _(station: Station) -> None:
    await _install(station, profile_16(5000.0, "TxDefaultProfile"))
    await _install(station, profile_16(2000.0, "TxDefaultProfile"))
    try:
        found = await _limit(station)
        expect(found == 2000.0, f"composite limit {found} W")
    finally:
        await _clear(station)


@smart(
    "7.8 validTo",
    "validTo in the past",
    "the profile is not in force",
    Misreads(SET, {"csChargingProfiles": {"validTo": None}}),
)
async def _(station: Station) -> None:
    body = profile_16(1500.0, "TxDefaultProfile", validTo=stamp(station.clock.wall() - 60))
    await _install(station, body)
    try:
        found = await _limit(station)
        expect(found > 1600, f"composite limit {found} W of a profile that is no longer valid")
    finally:
        await _clear(station)


DECLARED.add(
    V16,
    "5.16 unknown connector",
    "SetChargingProfile for an unknown connector",
    "Rejected",
    ACCEPTS,
    exchange(SET, {"connectorId": 99, "csChargingProfiles": profile_16(4000.0, "TxDefaultProfile")}, REJECTED),
    CHARGING,
)
DECLARED.add(
    V16,
    "5.5 unknown",
    "ClearChargingProfile without a match",
    "Unknown",
    Answers("ClearChargingProfile", ACCEPTED),
    exchange("ClearChargingProfile", {"id": 987_654}, {"status": "Unknown"}),
    CHARGING,
)


@smart(
    "5.5 cleared",
    "ClearChargingProfile by id",
    "Accepted, and it is not in force",
    Pretends("ClearChargingProfile", ACCEPTED),
)
async def _(station: Station) -> None:
    await _install(station, profile_16(1500.0, "TxDefaultProfile"))
    await station.request("ClearChargingProfile", {"id": 900_001}, ACCEPTED)
    found = await _limit(station)
    expect(found > 1600, f"composite limit {found} W after the profile was cleared")


DECLARED.add(
    V16,
    "5.7 unknown connector",
    "GetCompositeSchedule of an unknown connector",
    "Rejected",
    Answers("GetCompositeSchedule", ACCEPTED),
    exchange("GetCompositeSchedule", {"connectorId": 99, "duration": 60}, REJECTED),
    CHARGING,
)
DECLARED.add(
    V16,
    "5.7 duration",
    "GetCompositeSchedule of 300 s",
    "a schedule from now",
    Answers("GetCompositeSchedule", {"scheduleStart": "2020-01-01T00:00:00Z"}),
    exchange(
        "GetCompositeSchedule",
        {"connectorId": 1, "duration": 300},
        {"connectorId": 1, "scheduleStart": lambda at: not str(at).startswith("2020"), "chargingSchedule": ANY},
    ),
    CHARGING,
)


@smart(
    "3.13.6 offline",
    "offline with a TxProfile",
    "it stays in force",
    Misreads(
        SET,
        lambda p: {
            **p,
            "csChargingProfiles": {
                **p["csChargingProfiles"],
                "chargingSchedule": {**p["csChargingProfiles"]["chargingSchedule"], "duration": 15},
            },
        },
    ),
    VEHICLE,
    "station.power",
)
async def _(station: Station) -> None:
    await station.transaction(sampled=True)
    await _install(station, profile_16(3000.0))
    await station.power_becomes(3000.0, within=12)
    await station.offline(20)
    await station.sleep(5)
    station.stimulus()
    await station.power_becomes(3000.0)


@smart(
    "5.16.3 end of transaction",
    "the transaction of a TxProfile ends",
    "the next one is not limited by it",
    Intrudes(
        "MeterValues",
        {
            "connectorId": 1,
            "meterValue": [
                {
                    "timestamp": "2026-01-15T00:00:00Z",
                    "sampledValue": [{"value": "1500", "measurand": "Power.Active.Import", "unit": "W"}],
                }
            ],
        },
        after="MeterValues",
        where={"transactionId": lambda number: number > 1},
    ),
    VEHICLE,
    "station.power",
)
async def _(station: Station) -> None:
    await station.transaction(sampled=True)
    await _install(station, profile_16(1500.0))
    await station.power_becomes(1500.0)
    await station.stop()
    await station.sleep(2)
    await station.start()
    await station.until_running()
    station.stimulus()
    await station.sleep(8)
    power = station.power() or 0.0
    expect(power > 1700, f"{power:.0f} W under the TxProfile of the former transaction")
