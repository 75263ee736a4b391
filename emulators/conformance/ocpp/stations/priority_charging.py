"""OCPP 2.1, K21: priority charging."""

from __future__ import annotations

from emulators.conformance.ocpp.declarations import V21, Declared
from emulators.conformance.ocpp.mutants import Answers, Omits, Pretends
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, REJECTED, Station, charging_transaction, exchange
from emulators.conformance.ocpp.stations.profiles import OTHER, PROFILE, clear, install, period, profile
from emulators.conformance.ocpp.stations.smart_charging import PRIORITY, priority_profile

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add
VEHICLE, POWER = "lab.vehicle", "station.power"
USE = "UsePriorityCharging"


async def _use(station: Station, activate: bool, expected: object = ACCEPTED) -> None:
    await station.request(USE, {"transactionId": station.running(), "activate": activate}, expected)


async def _with_priority(station: Station) -> None:
    await charging_transaction(station)
    await install(station, profile(period(limit=3000.0)))
    await install(station, priority_profile(period(limit=9000.0)))
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
    await charging_transaction(station)
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
