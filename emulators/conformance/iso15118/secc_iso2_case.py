"""Declaration of the cases for a SECC of ISO 15118-2: what their files share."""

from __future__ import annotations

from emulators.conformance.case import Requirement
from emulators.conformance.iso15118.mutation import Mutant
from emulators.conformance.iso15118.profiles import DC_2, Profile
from emulators.conformance.iso15118.secc_procedures import (
    ISO2,
    Procedure,
    SeccCase,
    secc_case,
)

SESSION, SERVICES, PARAMETERS, POWER, PAUSE, TIMERS = (
    "ISO 15118-2: session",
    "ISO 15118-2: services and payment",
    "ISO 15118-2: charge parameters and schedules",
    "ISO 15118-2: power",
    "ISO 15118-2: pause",
    "ISO 15118-2: timers",
)
CPD, CPD_RES = "ChargeParameterDiscoveryReq", "ChargeParameterDiscoveryRes"
DELIVERY_RES = "PowerDeliveryRes"


def iso2_case(
    id: str,
    reference: int | str,
    rule: str,
    feature: str,
    procedure: Procedure,
    *mutants: Mutant,
    profile: Profile = DC_2,
    before: str = "",
    stimulus: str = "",
    expectation: str,
    tags: tuple[str, ...] = ("nominal",),
    requires: tuple[str, ...] = (),
) -> SeccCase:
    return secc_case(
        f"SECC-2-{id}",
        Requirement(ISO2, f"[V2G2-{reference}]" if isinstance(reference, int) else reference, rule),
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
