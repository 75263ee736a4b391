"""Cases for a SECC, ISO 15118-20: charge loop."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.mutation import Mutant, accepts, alters
from emulators.conformance.iso15118.plain import ABSENT, Plain, find, number
from emulators.conformance.iso15118.profiles import AC_BPT, DC_BPT
from emulators.conformance.iso15118.requests import rational
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso20_case import (
    AC_LOOP,
    AC_RESPONSE,
    BPT_DC_RES,
    DC_CPD,
    DC_LOOP,
    LOOP,
    REQUEST,
    RESPONSE,
    VOLTAGE_SLACK_V,
    between,
    power_case,
)
from emulators.conformance.iso15118.secc_procedures import Check, finish, in_loop, refused
from protocols.json_values import members

SCHEDULED = "BPT_Scheduled_DC_CLReqControlMode"


def _mode(name: str) -> Check:
    return lambda f: "" if name in f else f"there is no {name}"


def _metered(fields: Plain) -> str:
    meter = members(fields.get("MeterInfo"))
    return "" if meter.get("MeterID") and "ChargedEnergyReadingWh" in meter else "there is no MeterInfo"


async def _growing(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, DC_BPT.loop)
    before = (-1.0, -1.0)
    for _ in range(12):
        meter = members((await vehicle.loop()).fields.get("MeterInfo"))
        charged = number(meter.get("ChargedEnergyReadingWh"))
        discharged = number(meter.get("BPT_DischargedEnergyReadingWh", 0))
        expect(
            charged >= before[0] and discharged >= before[1], f"readings {charged:g} and {discharged:g} after {before}"
        )
        before = (charged, discharged)
        await vehicle.wait(0.2)
    await finish(vehicle)


async def _tightens_only(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, DC_BPT.loop)
    stated = members(find(vehicle.history[DC_CPD].fields, BPT_DC_RES))
    for _ in range(4):
        mode = members((await vehicle.loop()).fields.get(RESPONSE))
        for name in ("ChargePower", "ChargeCurrent", "DischargePower", "DischargeCurrent", "Voltage"):
            before, now = (number(one.get(f"EVSEMaximum{name}")) for one in (stated, mode))
            expect(now <= before * 1.001, f"EVSEMaximum{name} is {now:g} in the loop, {before:g} before")
        await vehicle.wait(0.2)
    await finish(vehicle)


def _magnitudes(fields: Plain) -> str:
    mode = members(fields.get(RESPONSE))
    negative = [name for name, value in mode.items() if number(value) < 0]
    return f"{', '.join(negative)} below 0" if negative else ""


def _voltage(fields: Plain) -> str:
    return between("EVSEPresentVoltage", number(fields.get("EVSEPresentVoltage")), 280, 450, VOLTAGE_SLACK_V)


CASES = (
    power_case(
        "LOOP-01",
        "8.3.5.5.7.5",
        "DC_BPT, dynamic: the response has the control mode of the request",
        LOOP,
        in_loop(DC_BPT, _mode(RESPONSE), settle=0, judged=2),
        Mutant(
            text="limits of charging only",
            message=DC_LOOP,
            rewrite=lambda f: {
                **{name: value for name, value in f.items() if name != RESPONSE},
                "Dynamic_DC_CLResControlMode": {
                    name: value
                    for name, value in members(f[RESPONSE]).items()
                    if "Discharge" not in name and name != "EVSEMinimumVoltage"
                },
            },
        ),
        stimulus="DC_ChargeLoopReq with BPT_Dynamic_DC_CLReqControlMode",
        expectation=RESPONSE,
        tags=("nominal", "energy-direction"),
    ),
    power_case(
        "LOOP-02",
        "8.3.5.4.7.5",
        "AC_BPT, dynamic: the response has the control mode of the request",
        LOOP,
        in_loop(AC_BPT, _mode(AC_RESPONSE), settle=0, judged=2),
        Mutant(
            text="the control mode without discharging",
            message=AC_LOOP,
            rewrite=lambda f: {
                **{name: value for name, value in f.items() if name != AC_RESPONSE},
                "Dynamic_AC_CLResControlMode": f[AC_RESPONSE],
            },
        ),
        profile=AC_BPT,
        stimulus="AC_ChargeLoopReq with BPT_Dynamic_AC_CLReqControlMode",
        expectation=AC_RESPONSE,
        tags=("nominal", "energy-direction"),
    ),
    power_case(
        "LOOP-03",
        "8.3.4.5.5.3",
        "a loop request for another control mode than the selected one is refused",
        LOOP,
        refused(
            DC_BPT,
            "DC_ChargeLoopReq",
            "DC_ChargeLoopReq",
            ("FAILED", "FAILED_WrongChargeParameter", "FAILED_SequenceError"),
            {
                REQUEST: ABSENT,
                SCHEDULED: {"EVTargetCurrent": rational(10), "EVTargetVoltage": rational(450)},
            },
        ),
        accepts(DC_LOOP),
        stimulus=f"DC_ChargeLoopReq with {SCHEDULED} after the selection of dynamic control",
        expectation="a FAILED code",
        tags=("negative",),
    ),
    power_case(
        "LOOP-04",
        "8.3.4.5.5.3",
        "meter information is stated on request",
        LOOP,
        in_loop(DC_BPT, _metered, {"MeterInfoRequested": True}, settle=2, judged=2),
        alters(DC_LOOP, MeterInfo=ABSENT),
        stimulus="DC_ChargeLoopReq with MeterInfoRequested",
        expectation="MeterInfo with MeterID and reading",
        tags=("nominal",),
    ),
    power_case(
        "LOOP-05",
        "8.3.5.3.7",
        "both counters of the meter only grow",
        LOOP,
        _growing,
        Mutant(
            text="a reading that falls",
            message=DC_LOOP,
            first=2,
            once=True,
            rewrite=lambda f: {
                **f,
                "MeterInfo": {**members(f.get("MeterInfo")), "ChargedEnergyReadingWh": 5_000_000},
            },
        ),
        stimulus="DC_ChargeLoopReq for 2.4 s",
        expectation="ChargedEnergyReadingWh and BPT_DischargedEnergyReadingWh never fall",
        tags=("nominal",),
    ),
    power_case(
        "LOOP-06",
        "[V2G20-2654]",
        "limits of the loop are never above those of charge parameter discovery",
        LOOP,
        _tightens_only,
        alters(DC_LOOP, {f"{RESPONSE}.EVSEMaximumDischargePower": rational(300_000)}),
        alters(DC_LOOP, {f"{RESPONSE}.EVSEMaximumVoltage": rational(2_000)}),
        stimulus="DC_ChargeLoopReq",
        expectation="no EVSEMaximum… above that of DC_ChargeParameterDiscoveryRes",
    ),
    power_case(
        "LOOP-07",
        "8.3.5.5.7.5",
        "limits of the loop are magnitudes in both directions",
        LOOP,
        in_loop(DC_BPT, _magnitudes, settle=0, judged=4),
        alters(DC_LOOP, {f"{RESPONSE}.EVSEMaximumDischargePower": rational(-4_000)}),
        stimulus="DC_ChargeLoopReq",
        expectation="no limit below 0",
    ),
    power_case(
        "LOOP-08",
        "8.3.4.5.5.3",
        "the voltage of the loop stays within the limits of the EV",
        LOOP,
        in_loop(DC_BPT, _voltage),
        alters(DC_LOOP, EVSEPresentVoltage=rational(600)),
        alters(DC_LOOP, EVSEPresentVoltage=rational(100)),
        stimulus="DC_ChargeLoopReq of an EV with 280 to 450 V",
        expectation="EVSEPresentVoltage within these limits, 10 V tolerance",
        tags=("nominal", "limits"),
    ),
)
