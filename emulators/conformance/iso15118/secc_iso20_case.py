"""Cases for a SECC of ISO 15118-20: what their files share."""

from __future__ import annotations

from dataclasses import replace

from emulators.conformance.iso15118.declaration import ISO20, Declaration
from emulators.conformance.iso15118.profiles import DC_BPT
from emulators.conformance.iso15118.secc_access import SeccAccess

SESSION, AUTHORIZATION, SERVICES = (
    "ISO 15118-20: session",
    "ISO 15118-20: authorization",
    "ISO 15118-20: services",
)
PARAMETERS, SCHEDULES, START = (
    "ISO 15118-20: charge parameters",
    "ISO 15118-20: schedules",
    "ISO 15118-20: start of power",
)
DC_CPD, AC_CPD = "DC_ChargeParameterDiscoveryReq", "AC_ChargeParameterDiscoveryReq"
BPT_DC_RES, BPT_AC_RES = "BPT_DC_CPDResEnergyTransferMode", "BPT_AC_CPDResEnergyTransferMode"
WRONG = "FAILED_WrongChargeParameter"
LOOP, LIMITS = "ISO 15118-20: charge loop", "ISO 15118-20: limits and energy direction"
REQUEST, AC_REQUEST = "BPT_Dynamic_DC_CLReqControlMode", "BPT_Dynamic_AC_CLReqControlMode"
RESPONSE, AC_RESPONSE = "BPT_Dynamic_DC_CLResControlMode", "BPT_Dynamic_AC_CLResControlMode"
DC_LOOP, AC_LOOP = "DC_ChargeLoopRes", "AC_ChargeLoopRes"
CURRENT_SLACK_A, POWER_SLACK_W, VOLTAGE_SLACK_V = 1.0, 300.0, 10.0
RENEGOTIATION, PAUSE, END, TIMERS = (
    "ISO 15118-20: renegotiation",
    "ISO 15118-20: pause",
    "ISO 15118-20: end of a session",
    "ISO 15118-20: timers",
)

iso20_case = Declaration[SeccAccess](prefix="SECC-20-", standard=ISO20, profile=DC_BPT)
power_case = replace(iso20_case, tags=("nominal", "energy-direction", "limits"), in_loop=True)


def between(what: str, value: float, low: float, high: float, slack: float) -> str:
    return "" if low - slack <= value <= high + slack else f"{what} is {value:g}, outside {low:g} to {high:g}"
