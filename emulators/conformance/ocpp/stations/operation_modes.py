"""OCPP 2.1, Q03 and Q07 to Q10: set-points, local frequency, local load balancing and Idle."""

from __future__ import annotations

from emulators.conformance.case import Inconclusive, expect
from emulators.conformance.ocpp.declarations import V21, Declared
from emulators.conformance.ocpp.mutants import Answers, Misreads, Pretends, Sends
from emulators.conformance.ocpp.stations.bidirectional import (
    BPT,
    EVENT,
    GRID,
    MODES,
    POWER,
    V2X,
    VEHICLE,
    declare_rejected,
    with_periods,
)
from emulators.conformance.ocpp.stations.procedures import ACCEPTED, REJECTED, Station, charging_transaction, in_future
from emulators.conformance.ocpp.stations.profiles import ACCEPTS, PROFILE, SET, absolute, install, profile, setpoint
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
case, add = DECLARED.case, DECLARED.add

# Q03, Q07: set-points of the CSMS


def _setpoint_case(reference: str, mode: str, watts: float, stimulus: str, *needs: str) -> None:
    async def procedure(station: Station) -> None:
        await charging_transaction(station)
        kind = "Dynamic" if mode == "CentralFrequency" else "Relative"
        await install(station, profile(setpoint(watts, mode=mode), purpose="TxProfile", kind=kind, stack=3))
        await station.power_becomes(watts)
        await station.power_stays(watts, during=6)

    mutant = Misreads(SET, with_periods(setpoint=-watts))
    add(V21, reference, stimulus, f"the power is {watts:g} W", mutant, procedure, V2X, VEHICLE, POWER, *needs)


_setpoint_case("Q03.FR.01", "CentralSetpoint", -5000.0, "a CentralSetpoint of -5 kW", BPT)
declare_rejected(
    DECLARED,
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


declare_rejected(DECLARED, "Q08.FR.01", "a limit in a LocalFrequency period", lambda s: _local(s, limit=0.0), FREQUENCY)
declare_rejected(
    DECLARED, "Q08.FR.02", "a frequency curve of one point", lambda s: _local(s, v2xFreqWattCurve=CURVE[:1]), FREQUENCY
)
declare_rejected(
    DECLARED,
    "Q08.FR.03",
    "a LocalFrequency period without v2xBaseline",
    lambda s: _local(s, v2xBaseline=None),
    FREQUENCY,
)
declare_rejected(
    DECLARED, "Q08.FR.04", "a set-point in a LocalFrequency period", lambda s: _local(s, setpoint=0.0), FREQUENCY
)
declare_rejected(
    DECLARED,
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
    Misreads(SET, with_periods(v2xBaseline=3000.0)),
    FREQUENCY,
    VEHICLE,
    POWER,
    GRID,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await station.environment.grid(frequency_hz=50.0)
    await install(station, _local(station))
    await station.power_becomes(1000.0)


@case(
    V21,
    "Q08.FR.07",
    "the frequency falls to 49.5 Hz",
    "the power follows the curve",
    Misreads(
        SET, with_periods(v2xFreqWattCurve=[{"frequency": 49.0, "power": 0.0}, {"frequency": 51.0, "power": 0.0}])
    ),
    FREQUENCY,
    VEHICLE,
    POWER,
    GRID,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
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
    await charging_transaction(station)
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
    await charging_transaction(station)
    await install(station, _balancing(station), expected=REJECTED)


@case(V21, "Q09.FR.02", "LocalLoadBalancing with inverted thresholds", "Rejected", ACCEPTS, BALANCING, VEHICLE)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await _thresholds(station, UpperThreshold=1000, LowerThreshold=2000, UpperOffset=0, LowerOffset=0)
    await install(station, _balancing(station), expected=REJECTED)


async def _balanced(station: Station, load_w: float, **more: object) -> None:
    """Balance against one reading of the upstream meter."""
    await charging_transaction(station)
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
    Misreads(SET, with_periods(limit=None)),
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
    Misreads(SET, with_periods(operationMode="ChargingOnly", limit=5000.0)),
    IDLE,
    VEHICLE,
    POWER,
)
async def _(station: Station) -> None:
    await charging_transaction(station)
    await install(station, _idle(station))
    await station.power_becomes(0.0)
    await station.power_stays(0.0)


declare_rejected(DECLARED, "Q10.FR.02", "a limit in an Idle period", lambda s: _idle(s, limit=0.0), IDLE)


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
    await charging_transaction(station)
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
    await charging_transaction(station)
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
    await charging_transaction(station)
    await install(station, _idle(station, evseSleep=True))
    await station.power_becomes(0.0)
    await station.request("ClearChargingProfile", {"chargingProfileId": PROFILE}, ACCEPTED)

    def charges() -> bool:
        return (station.power() or 0.0) > 1000

    if not await station.recorded.wait_for(charges, 60):
        expect(False, f"the power is {station.power()} W after the Idle profile was cleared")
