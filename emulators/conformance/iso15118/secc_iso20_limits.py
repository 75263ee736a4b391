"""Cases for a SECC, ISO 15118-20: limits and energy direction."""

from __future__ import annotations

from emulators.conformance.case import expect
from emulators.conformance.iso15118.mutation import Mutant, alters
from emulators.conformance.iso15118.plain import Plain, find, number
from emulators.conformance.iso15118.profiles import AC_BPT, DC_BPT, DC_BPT_SCHEDULED
from emulators.conformance.iso15118.requests import rational
from emulators.conformance.iso15118.secc_access import SeccAccess
from emulators.conformance.iso15118.secc_iso20_case import (
    AC_CPD,
    AC_LOOP,
    AC_REQUEST,
    AC_RESPONSE,
    BPT_AC_RES,
    CURRENT_SLACK_A,
    DC_LOOP,
    LIMITS,
    POWER_SLACK_W,
    REQUEST,
    between,
    power_case,
)
from emulators.conformance.iso15118.secc_procedures import Changes, Check, finish, in_loop
from emulators.conformance.iso15118.vehicle import total
from protocols.json_values import members

MINIMUM_W = 1_400.0
ALL_PHASES = ("", "_L2", "_L3")


def _current(fields: Plain) -> float:
    return number(fields.get("EVSEPresentCurrent"))


def _power(fields: Plain) -> float:
    return _current(fields) * number(fields.get("EVSEPresentVoltage"))


def _limited(low: float, high: float) -> Check:
    return lambda f: between("EVSEPresentCurrent", _current(f), low, high, CURRENT_SLACK_A)


def _powered(low: float, high: float) -> Check:
    return lambda f: between("power in W", _power(f), low, high, POWER_SLACK_W)


def _target(low: float, high: float) -> Check:
    return lambda f: between(
        "EVSETargetActivePower",
        total(members(f.get(AC_RESPONSE)), "EVSETargetActivePower"),
        low,
        high,
        POWER_SLACK_W,
    )


def _dc(**values: float) -> Changes:
    return {f"{REQUEST}.{name}": rational(value) for name, value in values.items()}


def _ac(**values: float) -> Changes:
    return {f"{AC_REQUEST}.{name}": rational(value) for name, value in values.items()}


def _states(amperes: float) -> Mutant:
    return alters(DC_LOOP, EVSEPresentCurrent=rational(amperes))


def _targets(watts: float) -> Mutant:
    values = {f"{AC_RESPONSE}.EVSETargetActivePower{phase}": rational(watts / 3) for phase in ALL_PHASES}
    return alters(AC_LOOP, values)


async def _stops_discharging(device: SeccAccess) -> None:
    """Forbid discharging after some loops with it, and observe the current fall to 0."""
    vehicle = await device.reach(DC_BPT, DC_BPT.loop)
    for _ in range(8):
        await vehicle.loop()
        await vehicle.wait(0.2)
    forbidden = _dc(EVMaximumDischargePower=0, EVMaximumDischargeCurrent=0)
    for n in range(14):
        response = await vehicle.loop(forbidden)
        current = _current(response.fields)
        expect(n < 10 or current >= -CURRENT_SLACK_A, f"EVSEPresentCurrent is {current:g} A, 2 s after the limit of 0")
        await vehicle.wait(0.2)
    await finish(vehicle)


async def _off_after_stop(device: SeccAccess) -> None:
    vehicle = await device.reach(DC_BPT, "DC_WeldingDetectionReq")
    voltage = float("inf")
    for _ in range(20):
        response = await vehicle.request("DC_WeldingDetectionReq", {"EVProcessing": "Ongoing"})
        voltage = number(response.fields.get("EVSEPresentVoltage"))
        if voltage < 60:
            return
        await vehicle.wait(0.25)
    expect(voltage < 60, f"EVSEPresentVoltage is {voltage:g} V, 5 s after PowerDelivery(Stop)")


def _dead_band(fields: Plain) -> str:
    target = total(members(fields.get(AC_RESPONSE)), "EVSETargetActivePower")
    inside = 1.0 < abs(target) < MINIMUM_W - 1.0
    return f"EVSETargetActivePower of {target:g} W, below the minimum power of 1,400 W" if inside else ""


async def _within_stated(device: SeccAccess) -> None:
    vehicle = await device.reach(AC_BPT, AC_BPT.loop)
    stated = members(find(vehicle.history[AC_CPD].fields, BPT_AC_RES))
    low, high = (total(stated, f"EVSEMaximum{name}Power") for name in ("Discharge", "Charge"))
    for _ in range(6):
        wrong = _target(-low, high)((await vehicle.loop()).fields)
        expect(not wrong, wrong)
        await vehicle.wait(0.2)
    await finish(vehicle)


CASES = (
    power_case(
        "PWR-01",
        "[V2G20-2188]",
        "DC: the current never exceeds the discharge current limit of the EV",
        LIMITS,
        in_loop(DC_BPT, _limited(-3, 60), _dc(EVMaximumDischargeCurrent=3), settle=12),
        _states(-20),
        stimulus="DC_ChargeLoopReq with EVMaximumDischargeCurrent 3 A",
        expectation="EVSEPresentCurrent not below −3 A (1 A tolerance) after 2.4 s",
    ),
    power_case(
        "PWR-02",
        "[V2G20-2188]",
        "DC: the power never exceeds the charge power limit of the EV",
        LIMITS,
        in_loop(DC_BPT, _powered(-20_000, 1_000), _dc(EVMaximumChargePower=1_000), settle=12),
        _states(15),
        stimulus="DC_ChargeLoopReq with EVMaximumChargePower 1,000 W",
        expectation="power not above 1,000 W (300 W tolerance) after 2.4 s",
    ),
    power_case(
        "PWR-03",
        "8.3.5.5.7.3",
        "DC: with a discharge limit of 0 no current flows out of the EV",
        LIMITS,
        in_loop(DC_BPT, _limited(0, 60), _dc(EVMaximumDischargePower=0, EVMaximumDischargeCurrent=0), settle=12),
        _states(-8),
        stimulus="DC_ChargeLoopReq with EVMaximumDischargePower and EVMaximumDischargeCurrent 0",
        expectation="EVSEPresentCurrent not below 0 (1 A tolerance) after 2.4 s",
    ),
    power_case(
        "PWR-04",
        "8.3.5.5.3",
        "DC: with a charge limit of 0 no current flows into the EV",
        LIMITS,
        in_loop(DC_BPT, _limited(-60, 0), _dc(EVMaximumChargePower=0, EVMaximumChargeCurrent=0), settle=12),
        _states(8),
        stimulus="DC_ChargeLoopReq with EVMaximumChargePower and EVMaximumChargeCurrent 0",
        expectation="EVSEPresentCurrent not above 0 (1 A tolerance) after 2.4 s",
    ),
    power_case(
        "PWR-05",
        "8.3.5.5.7.3",
        "DC: below the lower edge of the V2X window (EVMinimumV2XEnergyRequest above 0) the EV is not discharged",
        LIMITS,
        in_loop(DC_BPT, _limited(0, 60), _dc(EVMinimumV2XEnergyRequest=3_000), settle=12),
        _states(-8),
        stimulus="DC_ChargeLoopReq with EVMinimumV2XEnergyRequest 3,000 Wh",
        expectation="EVSEPresentCurrent not below 0 (1 A tolerance) after 2.4 s",
    ),
    power_case(
        "PWR-06",
        "8.3.5.5.3",
        "DC: with EVMinimumEnergyRequest above 0 the EV is not discharged",
        LIMITS,
        in_loop(DC_BPT, _limited(0, 60), _dc(EVMinimumEnergyRequest=3_000), settle=12),
        _states(-8),
        stimulus="DC_ChargeLoopReq with EVMinimumEnergyRequest 3,000 Wh",
        expectation="EVSEPresentCurrent not below 0 (1 A tolerance) after 2.4 s",
    ),
    power_case(
        "PWR-07",
        "8.3.5.5.3",
        "DC: with EVMaximumEnergyRequest of 0 the EV is not charged",
        LIMITS,
        in_loop(
            DC_BPT,
            _limited(-60, 0),
            _dc(EVMaximumEnergyRequest=0, EVTargetEnergyRequest=-100, EVMaximumV2XEnergyRequest=-100),
            settle=12,
        ),
        _states(8),
        stimulus="DC_ChargeLoopReq of a full EV",
        expectation="EVSEPresentCurrent not above 0 (1 A tolerance) after 2.4 s",
    ),
    power_case(
        "PWR-08",
        "8.3.4.5.5.2",
        "DC: a limit that the EV lowers in the loop is followed within 2 s",
        LIMITS,
        _stops_discharging,
        Mutant(
            text="the current stays",
            message=DC_LOOP,
            first=3,
            rewrite=lambda f: {**f, "EVSEPresentCurrent": rational(-10)},
        ),
        stimulus="DC_ChargeLoopReq for 1.6 s, then with a discharge limit of 0",
        expectation="EVSEPresentCurrent not below 0 (1 A tolerance) 2 s later",
    ),
    power_case(
        "PWR-09",
        "8.3.4.5.6.3",
        "DC: the output is without voltage after PowerDelivery(Stop)",
        LIMITS,
        _off_after_stop,
        alters("DC_WeldingDetectionRes", EVSEPresentVoltage=rational(390)),
        stimulus="DC_WeldingDetectionReq for 5 s after PowerDeliveryReq with Stop",
        expectation="EVSEPresentVoltage below 60 V",
        tags=("nominal", "limits", "stop"),
    ),
    power_case(
        "PWR-10",
        "8.3.5.5.4",
        "DC, scheduled: the current follows EVTargetCurrent and never exceeds it",
        LIMITS,
        in_loop(
            DC_BPT_SCHEDULED,
            _limited(0, 10),
            settle=10,
        ),
        _states(30),
        _states(-10),
        profile=DC_BPT_SCHEDULED,
        stimulus="DC_ChargeLoopReq with EVTargetCurrent 10 A",
        expectation="EVSEPresentCurrent from 0 to 10 A (1 A tolerance) after 2 s",
    ),
    power_case(
        "PWR-11",
        "8.3.5.4.7.3",
        "AC: with a discharge limit of 0 the target power is not negative",
        LIMITS,
        in_loop(AC_BPT, _target(0, 11_000), _ac(EVMaximumDischargePower=0, EVMinimumDischargePower=0), settle=12),
        _targets(-4_000),
        profile=AC_BPT,
        stimulus="AC_ChargeLoopReq with EVMaximumDischargePower 0",
        expectation="EVSETargetActivePower not below 0 (300 W tolerance) after 2.4 s",
    ),
    power_case(
        "PWR-12",
        "[V2G20-2188]",
        "AC: the target power never exceeds the limits of the EV",
        LIMITS,
        in_loop(
            AC_BPT, _target(-2_000, 2_000), _ac(EVMaximumDischargePower=2_000, EVMaximumChargePower=2_000), settle=12
        ),
        _targets(-6_000),
        _targets(6_000),
        profile=AC_BPT,
        stimulus="AC_ChargeLoopReq with limits of 2,000 W in both directions",
        expectation="EVSETargetActivePower within them (300 W tolerance) after 2.4 s",
    ),
    power_case(
        "PWR-13",
        "8.3.5.4.3",
        "AC: with EVMinimumEnergyRequest above 0 the target power is not negative",
        LIMITS,
        in_loop(AC_BPT, _target(0, 11_000), _ac(EVMinimumEnergyRequest=3_000), settle=12),
        _targets(-4_000),
        profile=AC_BPT,
        stimulus="AC_ChargeLoopReq with EVMinimumEnergyRequest 3,000 Wh",
        expectation="EVSETargetActivePower not below 0 (300 W tolerance) after 2.4 s",
    ),
    power_case(
        "PWR-14",
        "8.3.5.4.7.3",
        "AC: the target power is 0 or at least the minimum power of the EV",
        LIMITS,
        in_loop(AC_BPT, _dead_band, settle=12),
        _targets(-600),
        profile=AC_BPT,
        stimulus="AC_ChargeLoopReq of an EV with a minimum power of 1,400 W in both directions",
        expectation="no EVSETargetActivePower between 0 and 1,400 W",
    ),
    power_case(
        "PWR-15",
        "8.3.5.4.5",
        "AC: the target power never exceeds the limits that the EVSE stated",
        LIMITS,
        _within_stated,
        _targets(-60_000),
        profile=AC_BPT,
        stimulus="AC_ChargeLoopReq",
        expectation=f"EVSETargetActivePower within the limits of {BPT_AC_RES}",
    ),
)
