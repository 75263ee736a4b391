"""Declaration of the cases for a SECC of ISO 15118-20: what their files share."""

from __future__ import annotations

from emulators.conformance.case import Requirement
from emulators.conformance.iso15118.mutation import Mutant
from emulators.conformance.iso15118.profiles import (
    DC_BPT,
    Profile,
)
from emulators.conformance.iso15118.secc_procedures import (
    ISO20,
    Procedure,
    SeccCase,
    secc_case,
)

PARAMETERS, SCHEDULES, START = (
    "ISO 15118-20: charge parameters",
    "ISO 15118-20: schedules",
    "ISO 15118-20: start of power",
)
DC_CPD, AC_CPD = "DC_ChargeParameterDiscoveryReq", "AC_ChargeParameterDiscoveryReq"
BPT_DC_RES, BPT_AC_RES = "BPT_DC_CPDResEnergyTransferMode", "BPT_AC_CPDResEnergyTransferMode"
WRONG = "FAILED_WrongChargeParameter"


def energy_case(
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
    lacks: tuple[str, ...] = (),
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
        lacks=lacks,
    )
