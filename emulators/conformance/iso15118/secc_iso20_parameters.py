"""Cases for a SECC, ISO 15118-20: charge parameters."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.mutation import Mutant, accepts, alters
from emulators.conformance.iso15118.plain import ABSENT, Plain, find, number
from emulators.conformance.iso15118.profiles import AC_BPT, DC_20, DC_BPT, Profile
from emulators.conformance.iso15118.requests import rational
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso20_case import (
    AC_CPD,
    BPT_AC_RES,
    BPT_DC_RES,
    DC_CPD,
    PARAMETERS,
    WRONG,
    iso20_case,
)
from emulators.conformance.iso15118.secc_procedures import Procedure, answered, refused
from emulators.conformance.iso15118.vehicle import total
from protocols.json_values import members

DC_RES, AC_RES = "DC_ChargeParameterDiscoveryRes", "AC_ChargeParameterDiscoveryRes"
BPT_DC, BPT_AC = "BPT_DC_CPDReqEnergyTransferMode", "BPT_AC_CPDReqEnergyTransferMode"


def _plain_dc(state_fields: Plain) -> Plain:
    return {name: value for name, value in state_fields.items() if "Discharge" not in name}


def _wrong_form(profile: Profile, step: str, bpt: str) -> Procedure:
    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(profile, step)
        mode = members(find(vehicle.message(step), f"{step}.{bpt}"))
        response = await vehicle.request(step, {bpt: ABSENT, bpt.removeprefix("BPT_"): _plain_dc(mode)})
        expect(response.code == WRONG, f"{response.name} has the code {response.code}, not {WRONG}")

    return procedure


def _form(name: str) -> Procedure:
    profile, step = (DC_BPT, DC_CPD) if "DC" in name else (AC_BPT, AC_CPD)
    return answered(profile, step, lambda f: "" if name in f else f"there is no {name}")


def _ordered(path: str, pairs: tuple[tuple[str, str], ...]) -> Procedure:
    profile, step = (DC_BPT, DC_CPD) if "DC" in path else (AC_BPT, AC_CPD)

    def check(fields: Plain) -> str:
        mode = members(fields.get(path))
        for low, high in pairs:
            least, most = number(mode.get(low)), number(mode.get(high))
            if not 0 <= least <= most:
                return f"{low} is {least:g}, {high} {most:g}"
        return ""

    return answered(profile, step, check)


def _frequency(fields: Plain) -> str:
    given = number(find(fields, f"{BPT_AC_RES}.EVSENominalFrequency"))
    return "" if 49 <= given <= 51 or 59 <= given <= 61 else f"EVSENominalFrequency is {given:g}"


def _phases(fields: Plain) -> str:
    mode = members(fields.get(BPT_AC_RES))
    for name in mode:
        base = name.removesuffix("_L2").removesuffix("_L3")
        if base not in mode:
            return f"{name} without {base}"
    return ""


def _positive_power(fields: Plain) -> str:
    mode = members(fields.get(BPT_AC_RES))
    power = total(mode, "EVSEMaximumChargePower")
    return "" if power > 0 else f"EVSEMaximumChargePower is {power:g} W in all"


CASES = (
    iso20_case(
        "CPD-01",
        "[V2G20-2272]",
        "DC: parameters without discharging on a BPT service are FAILED_WrongChargeParameter",
        PARAMETERS,
        _wrong_form(DC_BPT, DC_CPD, BPT_DC),
        accepts(DC_RES),
        before=DC_CPD,
        stimulus=f"{DC_CPD} with DC_CPDReqEnergyTransferMode on DC_BPT",
        expectation=WRONG,
        tags=("negative", "energy-direction"),
    ),
    iso20_case(
        "CPD-02",
        "[V2G20-1619]",
        "AC: parameters without discharging on a BPT service are FAILED_WrongChargeParameter",
        PARAMETERS,
        _wrong_form(AC_BPT, AC_CPD, BPT_AC),
        accepts(AC_RES),
        profile=AC_BPT,
        before=AC_CPD,
        stimulus=f"{AC_CPD} with AC_CPDReqEnergyTransferMode on AC_BPT",
        expectation=WRONG,
        tags=("negative", "energy-direction"),
    ),
    iso20_case(
        "CPD-03",
        "8.3.5.5.7.2",
        "DC_BPT: the response has the parameters of charging and discharging",
        PARAMETERS,
        _form(BPT_DC_RES),
        Mutant(
            text="the response has the parameters of charging only",
            message=DC_RES,
            rewrite=lambda f: {
                "Header": f["Header"],
                "ResponseCode": "OK",
                "DC_CPDResEnergyTransferMode": _plain_dc(members(f[BPT_DC_RES])),
            },
        ),
        before=DC_CPD,
        expectation=BPT_DC_RES,
        tags=("nominal", "energy-direction"),
    ),
    iso20_case(
        "CPD-04",
        "8.3.5.4.7.2",
        "AC_BPT: the response has the parameters of charging and discharging",
        PARAMETERS,
        _form(BPT_AC_RES),
        Mutant(
            text="the response has the parameters of charging only",
            message=AC_RES,
            rewrite=lambda f: {
                "Header": f["Header"],
                "ResponseCode": "OK",
                "AC_CPDResEnergyTransferMode": _plain_dc(members(f[BPT_AC_RES])),
            },
        ),
        profile=AC_BPT,
        before=AC_CPD,
        expectation=BPT_AC_RES,
        tags=("nominal", "energy-direction"),
    ),
    iso20_case(
        "CPD-05",
        "8.3.5.5.2",
        "DC: charging limits are magnitudes, the minimum not above the maximum",
        PARAMETERS,
        _ordered(
            BPT_DC_RES,
            (
                ("EVSEMinimumChargePower", "EVSEMaximumChargePower"),
                ("EVSEMinimumChargeCurrent", "EVSEMaximumChargeCurrent"),
            ),
        ),
        alters(DC_RES, {f"{BPT_DC_RES}.EVSEMinimumChargePower": rational(200_000)}),
        alters(DC_RES, {f"{BPT_DC_RES}.EVSEMinimumChargeCurrent": rational(-5)}),
        before=DC_CPD,
        expectation="0 ≤ minimum ≤ maximum, of power and current",
        tags=("nominal", "limits"),
    ),
    iso20_case(
        "CPD-06",
        "8.3.5.5.7.2",
        "DC_BPT: discharging limits are magnitudes, the minimum not above the maximum",
        PARAMETERS,
        _ordered(
            BPT_DC_RES,
            (
                ("EVSEMinimumDischargePower", "EVSEMaximumDischargePower"),
                ("EVSEMinimumDischargeCurrent", "EVSEMaximumDischargeCurrent"),
            ),
        ),
        alters(
            DC_RES,
            {
                f"{BPT_DC_RES}.EVSEMaximumDischargePower": rational(-11_000),
                f"{BPT_DC_RES}.EVSEMinimumDischargePower": rational(-11_000),
            },
        ),
        before=DC_CPD,
        expectation="0 ≤ minimum ≤ maximum, of power and current",
        tags=("nominal", "limits", "energy-direction"),
    ),
    iso20_case(
        "CPD-07",
        "8.3.5.5.2",
        "DC: the maximum voltage is above the minimum voltage",
        PARAMETERS,
        _ordered(BPT_DC_RES, (("EVSEMinimumVoltage", "EVSEMaximumVoltage"),)),
        alters(DC_RES, {f"{BPT_DC_RES}.EVSEMaximumVoltage": rational(100)}),
        before=DC_CPD,
        expectation="0 ≤ EVSEMinimumVoltage ≤ EVSEMaximumVoltage",
        tags=("nominal", "limits"),
    ),
    iso20_case(
        "CPD-08",
        "8.3.5.4.7.2",
        "AC_BPT: limits of both directions are magnitudes, the minimum not above the maximum",
        PARAMETERS,
        _ordered(
            BPT_AC_RES,
            (
                ("EVSEMinimumChargePower", "EVSEMaximumChargePower"),
                ("EVSEMinimumDischargePower", "EVSEMaximumDischargePower"),
            ),
        ),
        alters(AC_RES, {f"{BPT_AC_RES}.EVSEMaximumDischargePower": rational(-3_000)}),
        profile=AC_BPT,
        before=AC_CPD,
        expectation="0 ≤ minimum ≤ maximum, of charging and discharging",
        tags=("nominal", "limits", "energy-direction"),
    ),
    iso20_case(
        "CPD-09",
        "8.3.5.4.2",
        "AC: the nominal frequency is that of the grid",
        PARAMETERS,
        answered(AC_BPT, AC_CPD, _frequency),
        alters(AC_RES, {f"{BPT_AC_RES}.EVSENominalFrequency": rational(50_000)}),
        profile=AC_BPT,
        before=AC_CPD,
        expectation="EVSENominalFrequency of 50 or 60 Hz",
    ),
    iso20_case(
        "CPD-10",
        "8.3.5.4.2",
        "AC: values of L2 and L3 stand beside that of L1",
        PARAMETERS,
        answered(AC_BPT, AC_CPD, _phases),
        alters(
            AC_RES,
            {
                f"{BPT_AC_RES}.EVSEPresentActivePower_L2": rational(0),
                f"{BPT_AC_RES}.EVSEPresentActivePower": ABSENT,
            },
        ),
        profile=AC_BPT,
        before=AC_CPD,
        expectation="no field of L2 or L3 without the field of L1",
    ),
    iso20_case(
        "CPD-11",
        "8.3.4.5.2.3",
        "DC: voltage ranges of EV and EVSE that do not overlap are FAILED_WrongChargeParameter",
        PARAMETERS,
        refused(
            DC_BPT,
            DC_CPD,
            DC_CPD,
            WRONG,
            {f"{BPT_DC}.EVMinimumVoltage": rational(3_000), f"{BPT_DC}.EVMaximumVoltage": rational(3_200)},
        ),
        accepts(DC_RES),
        before=DC_CPD,
        stimulus=f"{DC_CPD} of an EV with 3,000 to 3,200 V",
        expectation=WRONG,
        tags=("negative", "limits"),
    ),
    iso20_case(
        "CPD-12",
        "8.3.4.5.2.3",
        "DC: a minimum above its maximum is FAILED_WrongChargeParameter",
        PARAMETERS,
        refused(DC_BPT, DC_CPD, DC_CPD, WRONG, {f"{BPT_DC}.EVMinimumVoltage": rational(470)}),
        accepts(DC_RES),
        before=DC_CPD,
        stimulus=f"{DC_CPD} with EVMinimumVoltage 470 V above EVMaximumVoltage 450 V",
        expectation=WRONG,
        tags=("negative", "limits"),
    ),
    iso20_case(
        "CPD-13",
        "8.3.5.5.2",
        "a service without discharging has the parameters of charging only",
        PARAMETERS,
        answered(
            DC_20, DC_CPD, lambda f: "" if "DC_CPDResEnergyTransferMode" in f else "there is no charging-only mode"
        ),
        Mutant(
            text="discharging parameters on a service without discharging",
            message=DC_RES,
            rewrite=lambda f: {
                "Header": f["Header"],
                "ResponseCode": "OK",
                BPT_DC_RES: {
                    **members(f["DC_CPDResEnergyTransferMode"]),
                    "EVSEMaximumDischargePower": rational(0),
                    "EVSEMinimumDischargePower": rational(0),
                    "EVSEMaximumDischargeCurrent": rational(0),
                    "EVSEMinimumDischargeCurrent": rational(0),
                },
            },
        ),
        profile=DC_20,
        before=DC_CPD,
        expectation="DC_CPDResEnergyTransferMode",
        tags=("nominal", "energy-direction"),
    ),
    iso20_case(
        "CPD-14",
        "8.3.5.4.2",
        "AC: an EVSE that starts a session can charge",
        PARAMETERS,
        answered(AC_BPT, AC_CPD, _positive_power),
        alters(
            AC_RES,
            {
                f"{BPT_AC_RES}.EVSEMaximumChargePower{phase}": rational(value)
                for phase, value in (("", 0), ("_L2", 0), ("_L3", 0))
            },
        ),
        profile=AC_BPT,
        before=AC_CPD,
        expectation="EVSEMaximumChargePower above 0",
        tags=("nominal", "limits"),
    ),
)
