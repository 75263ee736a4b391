"""Cases for an EV, ISO 15118-20: parameters, schedules, start of power."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.ev_access import EvAccess
from emulators.conformance.iso15118.ev_iso20_case import (
    AC_CPD,
    BPT_AC,
    BPT_DC,
    CPD,
    ONGOING,
    PARAMETERS,
    has,
    iso20_case,
)
from emulators.conformance.iso15118.ev_procedures import Check, Procedure, repeated, requested
from emulators.conformance.iso15118.mutation import Mutant, alters
from emulators.conformance.iso15118.plain import ABSENT, Plain, find, number
from emulators.conformance.iso15118.profiles import AC_BPT, DC_BPT, DC_BPT_SCHEDULED
from emulators.conformance.iso15118.requests import rational
from protocols.json_values import members

DYNAMIC = "Dynamic_SEReqControlMode"


def _ordered(path: str, *names: str) -> Check:
    def check(fields: Plain) -> str:
        mode = members(fields.get(path))
        for name in names:
            low, high = number(mode.get(f"EVMinimum{name}")), number(mode.get(f"EVMaximum{name}"))
            if not 0 <= low <= high:
                return f"EVMinimum{name} is {low:g}, EVMaximum{name} {high:g}"
        return ""

    return check


def _v2x(fields: Plain) -> str:
    mode = members(fields.get(DYNAMIC))
    given = [name for name in ("EVMinimumV2XEnergyRequest", "EVMaximumV2XEnergyRequest") if name in mode]
    return "" if len(given) != 1 else f"{given[0]} alone"


def _energy(fields: Plain) -> str:
    mode = members(fields.get(DYNAMIC))
    low, goal, high = (number(mode.get(f"EV{name}EnergyRequest")) for name in ("Minimum", "Target", "Maximum"))
    return "" if low <= goal <= high else f"energy requests: minimum {low:g}, target {goal:g}, maximum {high:g} Wh"


def _soc_order(fields: Plain) -> str:
    mode = members(fields.get(DYNAMIC))
    low, target = number(mode.get("MinimumSOC")), number(mode.get("TargetSOC"))
    return f"MinimumSOC is {low:g} %, TargetSOC {target:g} %" if low > target else ""


def _window(fields: Plain) -> str:
    mode = members(fields.get(DYNAMIC))
    if "EVMinimumV2XEnergyRequest" not in mode:
        return ""
    low, high = (number(mode.get(f"EV{name}EnergyRequest")) for name in ("Minimum", "Maximum"))
    v2x_low, v2x_high = (number(mode.get(f"EV{name}V2XEnergyRequest")) for name in ("Minimum", "Maximum"))
    inside = low <= v2x_low <= v2x_high <= high
    return "" if inside else f"V2X window {v2x_low:g} to {v2x_high:g} Wh, outside {low:g} to {high:g} Wh"


async def _waits_for_voltage(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    request = await station.reach("DC_PreChargeReq")
    began, held = station.now, {"EVSEPresentVoltage": rational(120)}
    while station.now - began < 4.0:
        stated = request.fields.get("EVProcessing")
        expect(stated == "Ongoing", f"EVProcessing is {stated} at 120 V")
        await station.answer(request, held)
        following = await station.receive(5.0)
        if following is None or following.name == "SessionStopReq":
            return
        expect(following.name == "DC_PreChargeReq", f"{following.name} at 120 V")
        request = following
    await station.finish()


async def _gives_up_check(device: EvAccess) -> None:
    station = await device.station(DC_BPT)
    request = await station.reach("DC_CableCheckReq")
    began = station.now
    while station.now - began < 50.0:
        await station.answer(request, ONGOING)
        following = await station.receive(5.0)
        if following is None or following.name == "SessionStopReq":
            passed = station.now - began
            expect(passed >= 35.0, f"the EV gives up after {passed:.1f} s")
            return
        expect(following.name == "DC_CableCheckReq", f"{following.name} during the cable check")
        request = following
    expect(False, "the EV still repeats DC_CableCheckReq after 50 s")


def _start(check: Check) -> Procedure:
    """Expect `check` of the request that starts power, once the EV is ready."""

    async def procedure(device: EvAccess) -> None:
        station = await device.station(DC_BPT_SCHEDULED)
        request = await station.reach("PowerDeliveryReq")
        while request.fields.get("EVProcessing") == "Ongoing":
            await station.answer(request)
            request = await station.next("PowerDeliveryReq", within_s=10.0)
        wrong = check(request.fields)
        expect(not wrong, f"{request.name}: {wrong}")
        await station.finish()

    return procedure


def _profile(fields: Plain) -> str:
    profile = members(fields.get("EVPowerProfile"))
    return "" if "EVPowerProfileEntries" in profile else "there is no EVPowerProfile"


def _tuple(fields: Plain) -> str:
    given = find(fields, "EVPowerProfile.Scheduled_EVPPTControlMode.SelectedScheduleTupleID")
    return "" if given == 1 else f"the selected schedule tuple is {given}"


CASES = (
    iso20_case(
        "CPD-01",
        "8.3.5.5.7.1",
        "DC_BPT: the EV states limits of charging and discharging",
        PARAMETERS,
        requested(DC_BPT, CPD, has(BPT_DC)),
        Mutant(
            text="limits of charging only",
            message=CPD,
            rewrite=lambda f: {"Header": f["Header"], "DC_CPDReqEnergyTransferMode": _charging(f, BPT_DC)},
        ),
        stimulus="ServiceSelectionRes for DC_BPT",
        expectation=BPT_DC,
        tags=("nominal", "energy-direction"),
    ),
    iso20_case(
        "CPD-02",
        "8.3.5.4.7.1",
        "AC_BPT: the EV states limits of charging and discharging",
        PARAMETERS,
        requested(AC_BPT, AC_CPD, has(BPT_AC)),
        Mutant(
            text="limits of charging only",
            message=AC_CPD,
            rewrite=lambda f: {"Header": f["Header"], "AC_CPDReqEnergyTransferMode": _charging(f, BPT_AC)},
        ),
        profile=AC_BPT,
        stimulus="ServiceSelectionRes for AC_BPT",
        expectation=BPT_AC,
        tags=("nominal", "energy-direction"),
    ),
    iso20_case(
        "CPD-03",
        "8.3.5.5.7.1",
        "DC_BPT: limits are magnitudes, the minimum not above the maximum",
        PARAMETERS,
        requested(
            DC_BPT,
            CPD,
            _ordered(BPT_DC, "ChargePower", "ChargeCurrent", "DischargePower", "DischargeCurrent", "Voltage"),
        ),
        alters(CPD, {f"{BPT_DC}.EVMaximumDischargePower": rational(-20_000)}),
        alters(CPD, {f"{BPT_DC}.EVMinimumVoltage": rational(900)}),
        stimulus="ServiceSelectionRes for DC_BPT",
        expectation="0 ≤ minimum ≤ maximum, of power, current and voltage",
        tags=("nominal", "limits", "energy-direction"),
    ),
    iso20_case(
        "CPD-04",
        "8.3.5.4.7.1",
        "AC_BPT: limits are magnitudes, the minimum not above the maximum",
        PARAMETERS,
        requested(AC_BPT, AC_CPD, _ordered(BPT_AC, "ChargePower", "DischargePower")),
        alters(AC_CPD, {f"{BPT_AC}.EVMaximumDischargePower": rational(-3_000)}),
        profile=AC_BPT,
        stimulus="ServiceSelectionRes for AC_BPT",
        expectation="0 ≤ minimum ≤ maximum",
        tags=("nominal", "limits", "energy-direction"),
    ),
    iso20_case(
        "SCH-01",
        "[V2G20-2681]",
        "both V2X energy requests are stated, or none",
        PARAMETERS,
        requested(DC_BPT, "ScheduleExchangeReq", _v2x),
        alters("ScheduleExchangeReq", {f"{DYNAMIC}.EVMinimumV2XEnergyRequest": ABSENT}),
        stimulus="ScheduleExchangeReq",
        expectation="EVMinimumV2XEnergyRequest and EVMaximumV2XEnergyRequest, or neither",
        tags=("nominal", "energy-direction"),
    ),
    iso20_case(
        "SCH-02",
        "8.3.5.3.13",
        "the minimum energy request is not above the target, nor this above the maximum",
        PARAMETERS,
        requested(DC_BPT, "ScheduleExchangeReq", _energy),
        alters("ScheduleExchangeReq", {f"{DYNAMIC}.EVMinimumEnergyRequest": rational(60_000)}),
        stimulus="ScheduleExchangeReq",
        expectation="minimum ≤ target ≤ maximum",
        tags=("nominal", "limits"),
    ),
    iso20_case(
        "SCH-03",
        "8.3.5.3.13",
        "the V2X window lies within the minimum and maximum energy requests",
        PARAMETERS,
        requested(DC_BPT, "ScheduleExchangeReq", _window),
        alters("ScheduleExchangeReq", {f"{DYNAMIC}.EVMaximumV2XEnergyRequest": rational(90_000)}),
        stimulus="ScheduleExchangeReq",
        expectation="EVMinimumEnergyRequest ≤ V2X window ≤ EVMaximumEnergyRequest",
        tags=("nominal", "limits", "energy-direction"),
    ),
    iso20_case(
        "SCH-04",
        "8.3.4.3.7.2",
        "the schedule exchange has the control mode of the selected parameter set",
        PARAMETERS,
        requested(DC_BPT_SCHEDULED, "ScheduleExchangeReq", has("Scheduled_SEReqControlMode")),
        Mutant(
            text="dynamic instead of scheduled",
            message="ScheduleExchangeReq",
            rewrite=lambda f: {
                "Header": f["Header"],
                "MaximumSupportingPoints": 12,
                DYNAMIC: {
                    "DepartureTime": 3_600,
                    "EVTargetEnergyRequest": rational(1),
                    "EVMaximumEnergyRequest": rational(1),
                    "EVMinimumEnergyRequest": rational(1),
                },
            },
        ),
        profile=DC_BPT_SCHEDULED,
        stimulus="ServiceDetailRes with scheduled control alone",
        expectation="Scheduled_SEReqControlMode",
        tags=("nominal", "schedules"),
    ),
    iso20_case(
        "SCH-05",
        "8.3.4.3.7.3",
        "while the schedule exchange is Ongoing, ScheduleExchangeReq is repeated",
        PARAMETERS,
        repeated(DC_BPT, "ScheduleExchangeReq", ONGOING),
        Mutant(text="the EV ends the session", message="ScheduleExchangeReq", first=2, close=True),
        stimulus="ScheduleExchangeRes with Ongoing, three times",
        expectation="ScheduleExchangeReq again",
        tags=("nominal", "schedules"),
    ),
    iso20_case(
        "SCH-06",
        "[V2G20-1640]",
        "the minimum state of charge is not above the target",
        PARAMETERS,
        requested(DC_BPT, "ScheduleExchangeReq", _soc_order),
        alters("ScheduleExchangeReq", {f"{DYNAMIC}.MinimumSOC": 90, f"{DYNAMIC}.TargetSOC": 50}),
        stimulus="ScheduleExchangeReq",
        expectation="MinimumSOC ≤ TargetSOC, where both are stated",
        tags=("nominal", "limits"),
    ),
    iso20_case(
        "CC-01",
        "8.3.4.5.3.3",
        "while the cable check is Ongoing, DC_CableCheckReq is repeated",
        PARAMETERS,
        repeated(DC_BPT, "DC_CableCheckReq", ONGOING),
        Mutant(
            text="pre-charge during the cable check",
            received="DC_CableCheckRes",
            received_rewrite=lambda f: {**f, "EVSEProcessing": "Finished"},
        ),
        stimulus="DC_CableCheckRes with Ongoing, three times",
        expectation="DC_CableCheckReq again",
    ),
    iso20_case(
        "CC-02",
        "Table 215, EVCC cable check time-out",
        "the EV gives up a cable check after 40 s",
        PARAMETERS,
        _gives_up_check,
        Mutant(
            text="the EV gives up after some seconds",
            message="DC_CableCheckReq",
            first=20,
            close=True,
        ),
        stimulus="DC_CableCheckRes with Ongoing for 50 s",
        expectation="SessionStopReq or the end of the connection after 35 to 50 s",
        tags=("negative", "timers", "long"),
    ),
    iso20_case(
        "PC-01",
        "8.3.4.5.4.1",
        "EVProcessing is Finished only when the voltage of the output matches",
        PARAMETERS,
        _waits_for_voltage,
        alters("DC_PreChargeReq", EVProcessing="Finished"),
        stimulus="DC_PreChargeRes with 120 V for 4 s",
        expectation="EVProcessing Ongoing, no PowerDeliveryReq",
        tags=("negative", "limits"),
    ),
    iso20_case(
        "PD-01",
        "8.3.4.3.8.2",
        "PowerDelivery(Start) carries a power profile",
        PARAMETERS,
        _start(_profile),
        alters("PowerDeliveryReq", EVPowerProfile=ABSENT),
        profile=DC_BPT_SCHEDULED,
        stimulus="PowerDeliveryReq",
        expectation="EVPowerProfile",
        tags=("nominal", "schedules"),
    ),
    iso20_case(
        "PD-02",
        "8.3.5.3.45",
        "the power profile refers to an offered schedule tuple",
        PARAMETERS,
        _start(_tuple),
        alters("PowerDeliveryReq", {"EVPowerProfile.Scheduled_EVPPTControlMode.SelectedScheduleTupleID": 9}),
        profile=DC_BPT_SCHEDULED,
        stimulus="ScheduleExchangeRes with the schedule tuple 1 alone",
        expectation="SelectedScheduleTupleID 1",
        tags=("nominal", "schedules"),
    ),
)


def _charging(fields: Plain, name: str) -> Plain:
    return {key: value for key, value in members(fields[name]).items() if "Discharge" not in key}
