"""Declaration of the cases for a SECC of ISO 15118-20: what their files share."""

from __future__ import annotations

from emulators.conformance.case import Requirement
from emulators.conformance.iso15118.mutation import Mutant
from emulators.conformance.iso15118.profiles import DC_BPT, Profile
from emulators.conformance.iso15118.secc_procedures import (
    ISO20,
    Procedure,
    SeccCase,
    secc_case,
)

LOOP, LIMITS = "ISO 15118-20: charge loop", "ISO 15118-20: limits and energy direction"
REQUEST, AC_REQUEST = "BPT_Dynamic_DC_CLReqControlMode", "BPT_Dynamic_AC_CLReqControlMode"
RESPONSE, AC_RESPONSE = "BPT_Dynamic_DC_CLResControlMode", "BPT_Dynamic_AC_CLResControlMode"
DC_LOOP, AC_LOOP = "DC_ChargeLoopRes", "AC_ChargeLoopRes"
CURRENT_SLACK_A, POWER_SLACK_W, VOLTAGE_SLACK_V = 1.0, 300.0, 10.0


def power_case(
    id: str,
    reference: str,
    rule: str,
    feature: str,
    procedure: Procedure,
    *mutants: Mutant,
    profile: Profile = DC_BPT,
    stimulus: str,
    expectation: str,
    tags: tuple[str, ...] = ("nominal", "energy-direction", "limits"),
    requires: tuple[str, ...] = (),
) -> SeccCase:
    return secc_case(
        f"SECC-20-{id}",
        Requirement(ISO20, reference, rule),
        feature,
        procedure,
        *mutants,
        profile=profile,
        before=profile.loop,
        stimulus=stimulus,
        expectation=expectation,
        tags=tags,
        requires=requires,
    )


def between(what: str, value: float, low: float, high: float, slack: float) -> str:
    return "" if low - slack <= value <= high + slack else f"{what} is {value:g}, outside {low:g} to {high:g}"
