"""Cases for a SECC, ISO 15118-2: cable check, pre-charge, power."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.mutation import accepts, alters
from emulators.conformance.iso15118.plain import Plain
from emulators.conformance.iso15118.profiles import AC_2, DC_2
from emulators.conformance.iso15118.requests import physical
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso2_case import CPD, POWER, iso2_case
from emulators.conformance.iso15118.secc_older import (
    current_between,
    isolated,
    no_overshoot,
    off_after_stop,
    voltage_below,
)
from emulators.conformance.iso15118.secc_procedures import Procedure, answered, in_loop, refused


def _faulty(status: str, code: str) -> Plain:
    return {f"{status}.EVErrorCode": code}


def _echo(name: str, setup: str) -> Procedure:
    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(AC_2, "ChargingStatusReq")
        response = await vehicle.loop()
        wanted = vehicle.history[setup].fields.get(name) if name == "EVSEID" else vehicle.state.tuple_id
        expect(response.fields.get(name) == wanted, f"{name} is {response.fields.get(name)}, not {wanted}")

    return procedure


CASES = (
    iso2_case(
        "CC-01",
        "8.4.5.2.3",
        "a finished cable check states a valid isolation and EVSE_Ready",
        POWER,
        answered(DC_2, "CableCheckReq", isolated),
        alters("CableCheckRes", {"DC_EVSEStatus.EVSEIsolationStatus": "Invalid"}),
        alters("CableCheckRes", {"DC_EVSEStatus.EVSEStatusCode": "EVSE_NotReady"}),
        before="CableCheckReq",
        stimulus="CableCheckReq until EVSEProcessing is Finished",
        expectation="EVSEIsolationStatus Valid or Warning, EVSE_Ready",
    ),
    iso2_case(
        "CC-02",
        "8.4.5.2.2",
        "a cable check of an EV with an error is refused",
        POWER,
        refused(
            DC_2,
            "CableCheckReq",
            "CableCheckReq",
            "FAILED",
            _faulty("DC_EVStatus", "FAILED_ChargerConnectorLockFault"),
        ),
        accepts("CableCheckRes"),
        before="CableCheckReq",
        stimulus="CableCheckReq with FAILED_ChargerConnectorLockFault",
        expectation="FAILED",
        tags=("negative", "errors"),
    ),
    iso2_case(
        "PC-01",
        "8.4.5.3.3",
        "pre-charge does not exceed the target voltage",
        POWER,
        no_overshoot(DC_2),
        alters("PreChargeRes", EVSEPresentVoltage=physical(435, "V")),
        before="PreChargeReq",
        stimulus="PreChargeReq for 3 s",
        expectation="not above the target (20 V tolerance)",
        tags=("nominal", "limits"),
    ),
    iso2_case(
        "PC-02",
        "8.4.5.3.2",
        "pre-charge with more than 2 A is refused",
        POWER,
        refused(DC_2, "PreChargeReq", "PreChargeReq", "FAILED", {"EVTargetCurrent": physical(20, "A")}),
        accepts("PreChargeRes"),
        before="PreChargeReq",
        stimulus="PreChargeReq with EVTargetCurrent 20 A",
        expectation="FAILED",
        tags=("negative", "limits"),
    ),
    iso2_case(
        "PWR-01",
        "8.4.5.4.2",
        "the current does not exceed EVTargetCurrent",
        POWER,
        in_loop(DC_2, current_between(0, 10)),
        alters("CurrentDemandRes", EVSEPresentCurrent=physical(25, "A")),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq with EVTargetCurrent 10 A",
        expectation="EVSEPresentCurrent from 0 to 10 A (1 A tolerance) after 1.6 s",
        tags=("nominal", "limits"),
    ),
    iso2_case(
        "PWR-02",
        "8.4.5.4.2",
        "no current flows for EVTargetCurrent 0",
        POWER,
        in_loop(DC_2, current_between(0, 0), {"EVTargetCurrent": physical(0, "A")}),
        alters("CurrentDemandRes", EVSEPresentCurrent=physical(6, "A")),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq with EVTargetCurrent 0",
        expectation="EVSEPresentCurrent 0 (1 A tolerance) after 1.6 s",
        tags=("nominal", "limits"),
    ),
    iso2_case(
        "PWR-03",
        "8.4.5.4.3",
        "ISO 15118-2 charges only: the current is never negative",
        POWER,
        in_loop(DC_2, current_between(0, 1_000), {"EVTargetCurrent": physical(-20, "A")}, settle=0, judged=6),
        alters("CurrentDemandRes", EVSEPresentCurrent=physical(-20, "A")),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq with EVTargetCurrent −20 A",
        expectation="EVSEPresentCurrent not below 0 (1 A tolerance), or a FAILED code",
        tags=("negative", "energy-direction", "limits"),
    ),
    iso2_case(
        "PWR-04",
        "8.4.5.4.2",
        "the voltage does not exceed EVMaximumVoltageLimit",
        POWER,
        in_loop(DC_2, voltage_below(450)),
        alters("CurrentDemandRes", EVSEPresentVoltage=physical(600, "V")),
        before="CurrentDemandReq",
        stimulus="CurrentDemandReq with EVMaximumVoltageLimit 450 V",
        expectation="EVSEPresentVoltage not above 450 V (10 V tolerance)",
        tags=("nominal", "limits"),
    ),
    iso2_case(
        "PWR-05",
        "8.4.5.5.3",
        "the output is without voltage after PowerDelivery(Stop)",
        POWER,
        off_after_stop(DC_2),
        alters("WeldingDetectionRes", EVSEPresentVoltage=physical(390, "V")),
        before="WeldingDetectionReq",
        stimulus="WeldingDetectionReq for 5 s",
        expectation="EVSEPresentVoltage below 60 V",
        tags=("nominal", "limits", "stop"),
    ),
    iso2_case(
        "PWR-06",
        "8.4.4.2.3",
        "ChargingStatusRes states the EVSEID of SessionSetupRes",
        POWER,
        _echo("EVSEID", "SessionSetupReq"),
        alters("ChargingStatusRes", EVSEID="DE8AAE99999"),
        profile=AC_2,
        before="ChargingStatusReq",
        expectation="the same EVSEID",
    ),
    iso2_case(
        "PWR-07",
        "8.4.4.2.3",
        "ChargingStatusRes states the selected schedule tuple",
        POWER,
        _echo("SAScheduleTupleID", CPD),
        alters("ChargingStatusRes", SAScheduleTupleID=77),
        profile=AC_2,
        before="ChargingStatusReq",
        expectation="SAScheduleTupleID of PowerDeliveryReq",
        tags=("nominal", "schedules"),
    ),
)
