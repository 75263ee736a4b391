"""OCPP 2.1, V2X: composition of set-points and limits."""

from __future__ import annotations

from emulators.conformance.ocpp.declarations import V21, Declared
from emulators.conformance.ocpp.mutants import Misreads, Pretends
from emulators.conformance.ocpp.stations.bidirectional import POWER, V2X, VEHICLE, declare_rejected, with_periods
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, Station, charging_transaction
from emulators.conformance.ocpp.stations.profiles import OTHER, SET, absolute, clear, install, period, profile, setpoint

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add


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
    await charging_transaction(station)
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
    Misreads(SET, with_periods(setpoint=-8000.0, dischargeLimit=-8000.0)),
    V2X,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await install(station, profile(setpoint(-4000.0, dischargeLimit=-4000.0), purpose="TxProfile", stack=3))
    await station.power_becomes(-4000.0)
    await station.power_stays(-4000.0)


declare_rejected(
    DECLARED,
    "V2X.05",
    "a set-point below its own discharge limit",
    lambda _: profile(setpoint(-5000.0, dischargeLimit=-2000.0), purpose="TxProfile", stack=3),
    V2X,
)
declare_rejected(
    DECLARED,
    "V2X.07",
    "a discharge limit for L2 without the plain field",
    lambda _: profile(setpoint(1.0, dischargeLimit_L2=-1.0), purpose="TxProfile", stack=3),
    V2X,
)
declare_rejected(
    DECLARED,
    "V2X.10",
    "a set-point for L2 of an EV that reported none",
    lambda _: profile(setpoint(1.0, setpoint_L2=1.0), purpose="TxProfile", stack=3),
    V2X,
)
