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

RENEGOTIATION, PAUSE, END, TIMERS = (
    "ISO 15118-20: renegotiation",
    "ISO 15118-20: pause",
    "ISO 15118-20: end of a session",
    "ISO 15118-20: timers",
)
CPD = "DC_ChargeParameterDiscoveryReq"


def stop_case(
    id: str,
    reference: str,
    rule: str,
    feature: str,
    procedure: Procedure,
    *mutants: Mutant,
    profile: Profile = DC_BPT,
    before: str = "",
    stimulus: str,
    expectation: str,
    tags: tuple[str, ...] = ("nominal",),
    requires: tuple[str, ...] = (),
    within_s: float = 120.0,
) -> SeccCase:
    return secc_case(
        f"SECC-20-{id}",
        Requirement(ISO20, reference, rule),
        feature,
        procedure,
        *mutants,
        profile=profile,
        before=before,
        stimulus=stimulus,
        expectation=expectation,
        tags=tags,
        requires=requires,
        within_s=within_s,
    )
