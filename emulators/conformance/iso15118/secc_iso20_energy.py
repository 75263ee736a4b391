"""Cases for a SECC: charge parameters, schedules, cable check, pre-charge and power delivery of ISO 15118-20."""

from __future__ import annotations

from emulators.conformance.case import Requirement, expect
from emulators.conformance.iso15118.connection import Received
from emulators.conformance.iso15118.mutation import Mutant, accepts, alters, refuses
from emulators.conformance.iso15118.plain import ABSENT, Plain, changed, find, number
from emulators.conformance.iso15118.profiles import (
    AC_BPT,
    DC_20,
    DC_BPT,
    DC_BPT_SCHEDULED,
    Profile,
)
from emulators.conformance.iso15118.requests import rational
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_procedures import (
    ISO20,
    SEQUENCE_ERROR,
    Procedure,
    SeccCase,
    answered,
    refused,
    secc_case,
)
from emulators.conformance.iso15118.vehicle import Vehicle, total
from protocols.json_values import items, members

PARAMETERS, SCHEDULES, START = (
    "ISO 15118-20: charge parameters",
    "ISO 15118-20: schedules",
    "ISO 15118-20: start of power",
)
DC_CPD, AC_CPD = "DC_ChargeParameterDiscoveryReq", "AC_ChargeParameterDiscoveryReq"
DC_RES, AC_RES = "DC_ChargeParameterDiscoveryRes", "AC_ChargeParameterDiscoveryRes"
BPT_DC, BPT_AC = "BPT_DC_CPDReqEnergyTransferMode", "BPT_AC_CPDReqEnergyTransferMode"
BPT_DC_RES, BPT_AC_RES = "BPT_DC_CPDResEnergyTransferMode", "BPT_AC_CPDResEnergyTransferMode"
WRONG = "FAILED_WrongChargeParameter"
TUPLE = "Scheduled_SEResControlMode.ScheduleTuple"
ENTRIES = "ChargingSchedule.PowerSchedule.PowerScheduleEntries.PowerScheduleEntry"
LEAST_POINTS = 12
MATCHED_V, PRE_CHARGE_WITHIN_S, CABLE_CHECK_WITHIN_S, ONGOING_WITHIN_S = 20.0, 10.0, 38.0, 55.0


def _case(
    id: str,
    reference: str,
    rule: str,
    feature: str,
    procedure: Procedure,
    *mutants: Mutant,
    profile: Profile = DC_BPT,
    before: str,
    stimulus: str = "",
    expectation: str,
    tags: tuple[str, ...] = ("nominal",),
    requires: tuple[str, ...] = (),
) -> SeccCase:
    return secc_case(
        f"SECC-20-{id}",
        Requirement(ISO20, reference, rule),
        feature,
        procedure,
        *mutants,
        profile=profile,
        before=before,
        stimulus=stimulus or before,
        expectation=expectation,
        tags=tags,
        requires=requires,
    )


# charge parameters ---------------------------------------------------------------------------------------------------


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


PARAMETER_CASES = (
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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
    _case(
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


# schedules -----------------------------------------------------------------------------------------------------------


def _tuples(fields: Plain) -> str:
    given = [number(find(one, "ScheduleTupleID")) for one in items(find(fields, TUPLE))]
    good = 1 <= len(given) <= 3 and len(set(given)) == len(given) and min(given) >= 1
    return "" if good else f"ids of the schedule tuples are {given}"


def _priced(fields: Plain) -> str:
    for one in items(find(fields, TUPLE)):
        names = members(find(one, "ChargingSchedule"))
        if "PriceLevelSchedule" not in names and "AbsolutePriceSchedule" not in names:
            return f"schedule tuple {find(one, 'ScheduleTupleID')} has no price schedule"
    return ""


def _few_entries(fields: Plain) -> str:
    for one in items(find(fields, TUPLE)):
        count = len(items(find(one, ENTRIES)))
        if count > LEAST_POINTS:
            return f"schedule tuple {find(one, 'ScheduleTupleID')} has {count} entries"
    return ""


def _durations(fields: Plain) -> str:
    for one in items(find(fields, TUPLE)):
        short = [entry for entry in items(find(one, ENTRIES)) if number(find(entry, "Duration")) <= 0]
        if short:
            return f"schedule tuple {find(one, 'ScheduleTupleID')} has an entry of no duration"
    return ""


def _needs_of_ev(fields: Plain) -> str:
    mode = members(fields.get("Dynamic_SEResControlMode"))
    given = [name for name in ("DepartureTime", "MinimumSOC", "TargetSOC") if name in mode]
    return f"{', '.join(given)} in MobilityNeedsMode 1" if given else ""


async def _within_power(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT_SCHEDULED, "ScheduleExchangeReq")
    limits = members(find(vehicle.history[DC_CPD].fields, BPT_DC_RES))
    most = number(limits.get("EVSEMaximumChargePower"))
    response = await vehicle.perform("ScheduleExchangeReq")
    for one in items(find(response.fields, TUPLE)):
        powers = [number(find(entry, "Power")) for entry in items(find(one, ENTRIES))]
        expect(
            max(powers, default=0.0) <= most + 1, f"a schedule of {max(powers):g} W, EVSEMaximumChargePower {most:g} W"
        )


async def _anchor(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT_SCHEDULED, "ScheduleExchangeReq")
    response = await vehicle.perform("ScheduleExchangeReq")
    stamp = number(find(response.plain, "ScheduleExchangeRes.Header.TimeStamp"))
    for one in items(find(response.fields, TUPLE)):
        anchor = number(find(one, "ChargingSchedule.PowerSchedule.TimeAnchor"))
        expect(abs(anchor - stamp) <= 60, f"TimeAnchor {anchor:.0f} at the TimeStamp {stamp:.0f}")


_OTHER_MODE: Plain = {"Dynamic_SEReqControlMode": ABSENT, "Scheduled_SEReqControlMode": {}}
_FIRST = f"{TUPLE}.0"

SCHEDULE_CASES = (
    _case(
        "SCH-01",
        "8.3.5.3.16",
        "scheduled control: one to three schedule tuples with different ids from 1",
        SCHEDULES,
        answered(DC_BPT_SCHEDULED, "ScheduleExchangeReq", _tuples),
        Mutant(
            text="two schedule tuples of the same id",
            message="ScheduleExchangeRes",
            rewrite=lambda f: {
                **f,
                "Scheduled_SEResControlMode": {"ScheduleTuple": items(find(f, TUPLE))[:1] * 2},
            },
        ),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        expectation="unique ids",
        tags=("nominal", "schedules"),
    ),
    _case(
        "SCH-02",
        "[V2G20-2176]",
        "scheduled control: every charging schedule has a price schedule",
        SCHEDULES,
        answered(DC_BPT_SCHEDULED, "ScheduleExchangeReq", _priced),
        alters("ScheduleExchangeRes", {f"{_FIRST}.ChargingSchedule.PriceLevelSchedule": ABSENT}),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        expectation="PriceLevelSchedule or AbsolutePriceSchedule",
        tags=("nominal", "schedules"),
    ),
    _case(
        "SCH-03",
        "8.3.4.3.7.2",
        "schedules have no more entries than the EV can store",
        SCHEDULES,
        answered(DC_BPT_SCHEDULED, "ScheduleExchangeReq", _few_entries, {"MaximumSupportingPoints": LEAST_POINTS}),
        Mutant(
            text="13 entries",
            message="ScheduleExchangeRes",
            rewrite=lambda f: _with_entries(f, LEAST_POINTS + 1),
        ),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        stimulus="ScheduleExchangeReq with MaximumSupportingPoints 12",
        expectation="at most 12 entries in each schedule",
        tags=("nominal", "schedules", "limits"),
    ),
    _case(
        "SCH-04",
        "8.3.5.3.41",
        "entries of a power schedule have a duration",
        SCHEDULES,
        answered(DC_BPT_SCHEDULED, "ScheduleExchangeReq", _durations),
        alters("ScheduleExchangeRes", {f"{_FIRST}.{ENTRIES}.0.Duration": 0}),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        expectation="every Duration above 0",
        tags=("nominal", "schedules"),
    ),
    _case(
        "SCH-05",
        "8.3.5.3.40",
        "the time anchor of a schedule is Unix time, near that of the message",
        SCHEDULES,
        _anchor,
        alters("ScheduleExchangeRes", {f"{_FIRST}.ChargingSchedule.PowerSchedule.TimeAnchor": 0}),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        expectation="TimeAnchor within 60 s of the TimeStamp",
        tags=("nominal", "schedules"),
    ),
    _case(
        "SCH-06",
        "8.3.5.3.16",
        "a schedule does not exceed the maximum charge power of the EVSE",
        SCHEDULES,
        _within_power,
        alters("ScheduleExchangeRes", {f"{_FIRST}.{ENTRIES}.0.Power": rational(300_000)}),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        expectation="no entry above EVSEMaximumChargePower",
        tags=("nominal", "schedules", "limits"),
    ),
    _case(
        "SCH-07",
        "8.3.4.3.7.3",
        "a schedule exchange for the other control mode is refused",
        SCHEDULES,
        refused(DC_BPT, "ScheduleExchangeReq", "ScheduleExchangeReq", ("FAILED", SEQUENCE_ERROR, WRONG), _OTHER_MODE),
        accepts("ScheduleExchangeRes"),
        before="ScheduleExchangeReq",
        stimulus="ScheduleExchangeReq with Scheduled_SEReqControlMode after the selection of dynamic control",
        expectation="a FAILED code",
        tags=("negative", "schedules"),
    ),
    _case(
        "SCH-08",
        "8.3.5.3.15",
        "in MobilityNeedsMode 1 the SECC does not state the needs of the EV",
        SCHEDULES,
        answered(DC_BPT, "ScheduleExchangeReq", _needs_of_ev),
        alters("ScheduleExchangeRes", {"Dynamic_SEResControlMode": {"TargetSOC": 90}}),
        before="ScheduleExchangeReq",
        expectation="no DepartureTime, MinimumSOC or TargetSOC",
        tags=("nominal",),
    ),
    _case(
        "SCH-09",
        "8.3.4.3.7.3",
        "the response has the control mode of the selected service",
        SCHEDULES,
        answered(
            DC_BPT_SCHEDULED,
            "ScheduleExchangeReq",
            lambda f: "" if "Scheduled_SEResControlMode" in f else "there is no Scheduled_SEResControlMode",
        ),
        alters("ScheduleExchangeRes", {"Scheduled_SEResControlMode": ABSENT}, Dynamic_SEResControlMode={}),
        profile=DC_BPT_SCHEDULED,
        before="ScheduleExchangeReq",
        expectation="Scheduled_SEResControlMode",
        tags=("nominal", "schedules"),
    ),
)


def _with_entries(fields: Plain, count: int) -> Plain:
    entry = items(find(fields, f"{_FIRST}.{ENTRIES}"))[0]
    return changed(fields, {f"{_FIRST}.{ENTRIES}": [entry] * count})


# cable check, pre-charge, power delivery -----------------------------------------------------------------------------


def _timely(step: str, within_s: float) -> Procedure:
    async def procedure(device: SeccAccess) -> None:
        vehicle = await device.reach(DC_BPT, step)
        began = vehicle.connection.now
        response = await vehicle.perform(step)
        took = vehicle.connection.now - began
        expect(response.code.startswith("OK"), f"{response.name} has the code {response.code}")
        expect(took <= within_s, f"{step} is finished after {took:.1f} s")

    return procedure


async def _no_overshoot(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "DC_PreChargeReq")
    reached: list[float] = []
    for _ in range(30):
        response = await vehicle.request("DC_PreChargeReq", {"EVProcessing": "Ongoing"})
        reached.append(number(response.fields.get("EVSEPresentVoltage")))
        await vehicle.wait(0.1)
    target = vehicle.state.voltage_v
    expect(max(reached) <= target + MATCHED_V, f"{max(reached):g} V at a target of {target:g} V")


def _start_with(changes: Plain, code: str) -> Procedure:
    return refused(DC_BPT_SCHEDULED, "PowerDeliveryReq", "PowerDeliveryReq", code, changes)


async def _after_standby(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "DC_ChargeLoopReq")
    await vehicle.loop()
    response = await _standby(vehicle)
    expect(response.code in ("OK", "WARNING_StandbyNotAllowed"), f"Standby has the code {response.code}")
    response = await vehicle.request("PowerDeliveryReq")
    expect(response.code.startswith("OK"), f"Start after Standby has the code {response.code}")
    response = await vehicle.loop()
    expect(response.code.startswith("OK"), f"DC_ChargeLoopRes has the code {response.code}")


async def _standby(vehicle: Vehicle) -> Received:
    absent = {"EVPowerProfile": ABSENT, "BPT_ChannelSelection": ABSENT}
    return await vehicle.request("PowerDeliveryReq", {"ChargeProgress": "Standby", **absent})


_PROFILE = "EVPowerProfile.EVPowerProfileEntries.EVPowerProfileEntry.0.Power"

START_CASES = (
    _case(
        "CC-01",
        "Table 215, cable check",
        "the cable check is finished within 38 s",
        START,
        _timely("DC_CableCheckReq", CABLE_CHECK_WITHIN_S),
        alters("DC_CableCheckRes", EVSEProcessing="Ongoing"),
        before="DC_CableCheckReq",
        stimulus="DC_CableCheckReq until EVSEProcessing is Finished",
        expectation="Finished within 38 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "PC-01",
        "8.3.4.5.4.3",
        "pre-charge brings the output within 20 V of the target in 10 s",
        START,
        _timely("DC_PreChargeReq", PRE_CHARGE_WITHIN_S),
        alters("DC_PreChargeRes", EVSEPresentVoltage=rational(340)),
        before="DC_PreChargeReq",
        stimulus="DC_PreChargeReq until EVSEPresentVoltage is within 20 V of EVTargetVoltage",
        expectation="within 10 s",
        tags=("nominal", "timers", "limits"),
    ),
    _case(
        "PC-02",
        "8.3.4.5.4.1",
        "pre-charge does not exceed the target voltage",
        START,
        _no_overshoot,
        alters("DC_PreChargeRes", EVSEPresentVoltage=rational(435)),
        before="DC_PreChargeReq",
        stimulus="DC_PreChargeReq with EVProcessing Ongoing for 3 s",
        expectation="EVSEPresentVoltage never more than 20 V above EVTargetVoltage",
        tags=("nominal", "limits"),
    ),
    _case(
        "PD-01",
        "8.3.4.3.8.3",
        "a schedule that was not offered is FAILED_ScheduleSelectionInvalid",
        START,
        _start_with(
            {"EVPowerProfile.Scheduled_EVPPTControlMode.SelectedScheduleTupleID": 4_000},
            "FAILED_ScheduleSelectionInvalid",
        ),
        accepts("PowerDeliveryRes"),
        alters("PowerDeliveryRes", ResponseCode="FAILED"),
        profile=DC_BPT_SCHEDULED,
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq (Start) with the schedule tuple 4000",
        expectation="FAILED_ScheduleSelectionInvalid",
        tags=("negative", "schedules"),
    ),
    _case(
        "PD-02",
        "8.3.4.3.8.3",
        "a power profile above the schedule is FAILED_EVPowerProfileInvalid",
        START,
        _start_with({_PROFILE: rational(900_000)}, "FAILED_EVPowerProfileInvalid"),
        accepts("PowerDeliveryRes"),
        profile=DC_BPT_SCHEDULED,
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq (Start) with a profile of 900 kW",
        expectation="FAILED_EVPowerProfileInvalid",
        tags=("negative", "schedules", "limits"),
    ),
    _case(
        "PD-03",
        "8.3.4.3.8.2",
        "renegotiation before the charge loop is a sequence error",
        START,
        refused(
            DC_BPT,
            "PowerDeliveryReq",
            "PowerDeliveryReq",
            (SEQUENCE_ERROR, "FAILED"),
            {"ChargeProgress": "ScheduleRenegotiation"},
        ),
        accepts("PowerDeliveryRes"),
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq with ScheduleRenegotiation",
        expectation=SEQUENCE_ERROR,
        tags=("negative", "renegotiation"),
    ),
    _case(
        "PD-04",
        "8.3.4.3.8.3",
        "Standby is accepted or refused with WARNING_StandbyNotAllowed; the loop can be started again",
        START,
        _after_standby,
        refuses("PowerDeliveryRes", "FAILED", first=2),
        refuses("PowerDeliveryRes", SEQUENCE_ERROR, first=3),
        before="DC_ChargeLoopReq",
        stimulus="PowerDeliveryReq with Standby in the loop, then with Start, then DC_ChargeLoopReq",
        expectation="no FAILED code",
        tags=("nominal", "pause"),
        requires=("iso20.standby",),
    ),
    _case(
        "PD-05",
        "8.3.4.3.8.2",
        "scheduled control: PowerDelivery(Start) without a power profile is refused",
        START,
        _start_with({"EVPowerProfile": ABSENT}, "FAILED_EVPowerProfileInvalid"),
        accepts("PowerDeliveryRes"),
        profile=DC_BPT_SCHEDULED,
        before="PowerDeliveryReq",
        stimulus="PowerDeliveryReq (Start) without EVPowerProfile",
        expectation="FAILED_EVPowerProfileInvalid",
        tags=("negative", "schedules"),
    ),
    _case(
        "ONG-01",
        "Table 216, ongoing",
        "authorization is finished within 55 s",
        START,
        _timely("AuthorizationReq", ONGOING_WITHIN_S),
        alters("AuthorizationRes", EVSEProcessing="Ongoing"),
        before="AuthorizationReq",
        stimulus="AuthorizationReq until EVSEProcessing is Finished",
        expectation="Finished within 55 s",
        tags=("nominal", "timers"),
    ),
    _case(
        "ONG-02",
        "Table 216, ongoing",
        "the schedule exchange is finished within 55 s",
        START,
        _timely("ScheduleExchangeReq", ONGOING_WITHIN_S),
        alters("ScheduleExchangeRes", EVSEProcessing="Ongoing"),
        before="ScheduleExchangeReq",
        stimulus="ScheduleExchangeReq until EVSEProcessing is Finished",
        expectation="Finished within 55 s",
        tags=("nominal", "timers"),
    ),
)

CASES: tuple[SeccCase, ...] = (*PARAMETER_CASES, *SCHEDULE_CASES, *START_CASES)
