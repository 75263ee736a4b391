"""Physically wrong behaviour of a charger that a vehicle refuses."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from emulators.ev.charger_check import ChargerCheck, ChargerOutput
from emulators.faults.injected_wire import InjectedWire
from emulators.faults.message_injection import Injection, Rule
from emulators.runtime.clock import RealClock
from protocols.iso15118.iso20.limits import Limits
from tests.emulators.session_programs import one_session

GOOD = ChargerOutput(
    current_a=20.0,
    voltage_v=400.0,
    battery_v=401.0,
    contactors_closed=True,
    discharge_agreed=True,
    limits=Limits(max_charge_w=1e5, max_discharge_w=1e5, max_charge_a=50.0, max_discharge_a=30.0, max_voltage_v=420.0),
)


def first_refusal(changes: dict[str, Any], seconds: float = 10.0) -> str | None:
    check, output = ChargerCheck(), replace(GOOD, **changes)
    for tenth in range(int(seconds * 10)):
        if reason := check.refusal(output, tenth / 10):
            return f"{tenth / 10:g} s: {reason}"
    return None


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, None),
        ({"current_a": -20.0}, None),
        ({"current_a": -1.0, "discharge_agreed": False}, None),
        ({"current_a": 0.5, "contactors_closed": False}, None),
        ({"contactors_closed": False}, "0 s: the charger supplies 20.0 A while the contactors"),
        ({"voltage_v": 350.0}, "0 s: current flows before pre-charge is reached: 350 V"),
        ({"current_a": -20.0, "discharge_agreed": False}, "0 s: the charger discharges with 20.0 A"),
        ({"voltage_v": 440.0, "battery_v": 430.0}, None),  # within the error of a measurement
        ({"voltage_v": 445.0, "battery_v": 430.0}, "0 s: the charger's voltage of 445 V is beyond the limit of 420 V"),
        ({"current_a": 60.0}, "4 s: the charger's current of 60.0 A is beyond the limit of 50.0 A"),
        ({"current_a": -40.0}, "4 s: the charger's current of -40.0 A is beyond the limit of 30.0 A"),
    ],
)
def test_refusals(changes: dict[str, Any], refusal: str | None) -> None:
    found = first_refusal(changes)
    assert found == refusal if refusal is None else found is not None and found.startswith(refusal)


DIRECTION = "the charger discharges with 12.0 A, which was not negotiated"
PRE_CHARGE = "current flows before pre-charge is reached: 150 V at the output"
GENERATIONS = {
    "DC_ChargeLoopRes": {"service": "dc"},
    "CurrentDemandRes": {"service": "dc", "protocols": "iso2"},
    "CurrentDemandRes of DIN 70121": {"service": "dc", "protocols": "din"},
}


async def test_an_ac_charger_that_discharges_is_refused() -> None:
    rule = Rule(message="AC_ChargeLoopRes", set={"Dynamic_AC_CLResControlMode.EVSETargetActivePower": -3000.0})
    done = await one_session(
        {"loops": 50, "loop_interval_s": 0.05, "service": "ac"},
        {"power_w": 3000.0, "services": "ac"},
        secc_wrap=lambda wire: InjectedWire(wire, RealClock(), Injection([rule])),
    )
    assert done.ev_status == 1
    assert re.match(r"the charger discharges with \d+ W, which was not negotiated", done.ev[-1]["reason"])


@pytest.mark.parametrize("message", GENERATIONS)
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"EVSEPresentCurrent": -12.0}, DIRECTION),
        ({"EVSEPresentVoltage": 150.0, "EVSEPresentCurrent": 12.0}, PRE_CHARGE),
    ],
)
async def test_a_refusal_is_in_the_report_with_exit_status_1(
    message: str, values: dict[str, object], reason: str
) -> None:
    rule = Rule(message=message.partition(" ")[0], set=values)
    done = await one_session(
        {"loops": 50, "loop_interval_s": 0.05, **GENERATIONS[message]},
        {"power_w": 3000.0},
        secc_wrap=lambda wire: InjectedWire(wire, RealClock(), Injection([rule])),
    )
    assert done.ev_status == 1
    assert done.ev[-1]["reason"].startswith(reason)
