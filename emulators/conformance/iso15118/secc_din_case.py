"""Declaration of the cases for a SECC of DIN SPEC 70121: what their files share."""

from __future__ import annotations

from emulators.conformance.case import Requirement
from emulators.conformance.iso15118.mutation import Mutant
from emulators.conformance.iso15118.profiles import DIN
from emulators.conformance.iso15118.secc_procedures import (
    DIN70121,
    Procedure,
    SeccCase,
    secc_case,
)

SEQUENCE, SETUP, POWER, TIMERS = (
    "DIN SPEC 70121: sequence",
    "DIN SPEC 70121: session, services and parameters",
    "DIN SPEC 70121: power",
    "DIN SPEC 70121: timers",
)
CPD, CPD_RES = "ChargeParameterDiscoveryReq", "ChargeParameterDiscoveryRes"
SELECTION, SELECTION_RES = "ServicePaymentSelectionReq", "ServicePaymentSelectionRes"
AUTHENTICATION = "ContractAuthenticationReq"


def din_case(
    id: str,
    reference: int | str,
    rule: str,
    feature: str,
    procedure: Procedure,
    *mutants: Mutant,
    before: str = "",
    stimulus: str = "",
    expectation: str,
    tags: tuple[str, ...] = ("nominal",),
) -> SeccCase:
    return secc_case(
        f"SECC-DIN-{id}",
        Requirement(DIN70121, f"[V2G-DC-{reference}]" if isinstance(reference, int) else reference, rule),
        feature,
        procedure,
        *mutants,
        profile=DIN,
        before=before,
        stimulus=stimulus or before,
        expectation=expectation,
        tags=tags,
    )
