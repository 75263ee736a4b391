"""OCPP 2.1, R02 and R03: DER control of a vehicle with an inverter of its own (AC_BPT_DER).

Whether controls are handed to the vehicle, or performed by the station in its place, is visible to the vehicle only.
"""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.ocpp.declarations import V21, Declared
from emulators.conformance.ocpp.mutants import Answers, Mutant, Sends
from emulators.conformance.ocpp.stations import der
from emulators.conformance.ocpp.stations.procedures import Station, StationProcedure
from protocols.ocpp.schema import Payload

DECLARED: Declared[Station] = Declared("CS")
AC_DER, VEHICLE = "station.ac-der", "lab.vehicle"
NEEDS, WITHIN = "NotifyEVChargingNeeds", 60.0
RATINGS = ("maxApparentPower", "maxChargeApparentPower", "maxDischargeApparentPower")


def _add(reference: str, stimulus: str, expectation: str, mutant: Mutant, procedure: StationProcedure) -> None:
    DECLARED.add(V21, reference, stimulus, expectation, mutant, der.cleared(procedure), AC_DER, VEHICLE)


async def _inverter(station: Station) -> Payload:
    """Start a transaction and return derChargingParameters of the needs of its vehicle."""
    since = len(station.recorded.messages)
    await station.transaction()
    needs = await station.expect(NEEDS, within=WITHIN, since=since)
    found: Payload = needs["chargingNeeds"].get("derChargingParameters", {})
    return found


async def _ratings(station: Station) -> None:
    found = await _inverter(station)
    expect(any(name in found for name in RATINGS), f"derChargingParameters without ratings: {found}")


async def _controls_of_the_vehicle(station: Station) -> None:
    found = await _inverter(station)
    expect(bool(found.get("evSupportedDERControl")), f"derChargingParameters without controls: {found}")


async def _persists(station: Station, control: Payload) -> None:
    number = control["controlId"]
    await der.install_control(station, control)
    await station.boot()
    await station.booted()
    await station.sleep(1)
    expect(number in await der.report(station), "the control is gone after the reset")


async def _vehicle_control_persists(station: Station) -> None:
    await station.transaction()
    await _persists(station, der.curve("v2x-a"))


async def _station_control_persists(station: Station) -> None:
    await _persists(station, der.limit(50.0))


async def _modes(station: Station) -> None:
    modes = await station.variable("ACDERCtrlr", "ModesSupported", evse=1)
    expect(bool(modes), f"ACDERCtrlr.ModesSupported {modes}")


def _without(*names: str) -> Sends:
    return Sends(NEEDS, {"chargingNeeds": {"derChargingParameters": dict.fromkeys(names)}})


def _no_limits(payload: Payload) -> Payload:
    payload.pop("limitMaxDischarge", None)
    return payload


_add(
    "R02.FR.01",
    "a vehicle with AC_BPT_DER",
    "NotifyEVChargingNeeds with the ratings of its inverter",
    _without(*RATINGS),
    _ratings,
)
_add(
    "R02.FR.02",
    "a control while a vehicle with AC_BPT_DER is connected, then a reset",
    "it is still set",
    der.unreported("v2x-a"),
    _vehicle_control_persists,
)
_add(
    "R03.FR.01",
    "a vehicle with AC_BPT_DER and few controls",
    "NotifyEVChargingNeeds with the controls of the vehicle",
    _without("evSupportedDERControl"),
    _controls_of_the_vehicle,
)
_add(
    "R03.FR.02",
    "a control that the station performs in place of the vehicle, then a reset",
    "it is still set",
    Sends(der.REPORT, _no_limits),
    _station_control_persists,
)
_add(
    "R03.FR.03",
    "GetVariables of ACDERCtrlr.ModesSupported",
    "the controls that the station performs itself",
    Answers(
        "GetVariables",
        {
            "getVariableResult": [
                {
                    "attributeStatus": "UnknownVariable",
                    "component": {"name": "ACDERCtrlr"},
                    "variable": {"name": "ModesSupported"},
                }
            ]
        },
    ),
    _modes,
)
