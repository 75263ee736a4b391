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

SESSION, AUTHORIZATION, SERVICES = (
    "ISO 15118-20: session",
    "ISO 15118-20: authorization",
    "ISO 15118-20: services",
)


def setup_case(
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
    )
