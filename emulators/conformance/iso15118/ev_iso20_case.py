"""Declaration of the cases for an EV of ISO 15118-20: what their files share."""

from __future__ import annotations

from emulators.conformance.case import Requirement
from emulators.conformance.iso15118.ev_procedures import (
    Check,
    EvCase,
    Procedure,
    ev_case,
)
from emulators.conformance.iso15118.mutation import Mutant
from emulators.conformance.iso15118.plain import Plain
from emulators.conformance.iso15118.profiles import DC_BPT, Profile
from emulators.conformance.iso15118.secc_procedures import ISO20

SETUP, SERVICES, PARAMETERS, LOOP, REACTIONS, TIMERS = (
    "ISO 15118-20: handshake, session, authorization",
    "ISO 15118-20: services",
    "ISO 15118-20: parameters, schedules, start of power",
    "ISO 15118-20: charge loop",
    "ISO 15118-20: notifications, errors, end",
    "ISO 15118-20: timers",
)
BPT_DC, BPT_AC = "BPT_DC_CPDReqEnergyTransferMode", "BPT_AC_CPDReqEnergyTransferMode"
CPD, AC_CPD = "DC_ChargeParameterDiscoveryReq", "AC_ChargeParameterDiscoveryReq"
ONGOING: Plain = {"EVSEProcessing": "Ongoing"}


def iso20_case(
    id: str,
    reference: str,
    rule: str,
    feature: str,
    procedure: Procedure,
    *mutants: Mutant,
    profile: Profile = DC_BPT,
    stimulus: str,
    expectation: str,
    tags: tuple[str, ...] = ("nominal",),
    requires: tuple[str, ...] = (),
    standard: str = ISO20,
) -> EvCase:
    return ev_case(
        f"EV-20-{id}",
        Requirement(standard, reference, rule),
        feature,
        procedure,
        *mutants,
        profile=profile,
        stimulus=stimulus,
        expectation=expectation,
        tags=tags,
        requires=requires,
    )


def has(name: str) -> Check:
    return lambda f: "" if name in f else f"there is no {name}"
