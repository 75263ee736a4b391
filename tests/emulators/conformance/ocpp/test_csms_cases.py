"""Every case for CSMSs passes on the gateway and fails on its mutant, in each version."""

from __future__ import annotations

import pytest

from emulators.conformance.case import Verdict
from emulators.conformance.ocpp.catalogue import systems
from emulators.runtime.clock import VirtualClock
from protocols.ocpp.schema import Version
from tests.emulators.conformance.ocpp.gateway_csms import GatewayBench
from tests.emulators.conformance.ocpp.judging import check, verdict, versions
from tests.requirement_catalogue import REQUIREMENTS
from tests.rounds import some

pytestmark = pytest.mark.virtual_time

CATALOGUE = systems()
HANDSHAKE = "Opening handshake"  # `test_csms_handshakes`
PAIRS = [(case.id, version) for case in CATALOGUE.cases if case.feature != HANDSHAKE for version in versions(case)]


@pytest.mark.parametrize(("case", "version"), some(PAIRS, 10))
async def test_a_case_passes_on_the_gateway_and_fails_on_its_mutant(case: str, version: Version) -> None:
    (found,) = CATALOGUE.select([case])
    check(await verdict(GatewayBench(VirtualClock(), version), CATALOGUE, found), Verdict.PASS)
    for mutant in found.mutants:
        check(await verdict(GatewayBench(VirtualClock(), version, mutant), CATALOGUE, found), Verdict.FAIL)


def test_each_case_has_a_requirement_of_its_own_and_a_mutant() -> None:
    ids = [case.requirement.reference for case in CATALOGUE.cases if case.requirement.standard != "OCPP 1.6"]
    assert len(ids) == len(set(ids))  # a requirement of 2.x and of 2.1 is the same
    rules = [(case.requirement.standard, case.stimulus, case.expectation) for case in CATALOGUE.cases]
    assert len(rules) == len(set(rules))
    references = [(case.requirement.standard, case.requirement.reference) for case in CATALOGUE.cases]
    assert len(references) == len(set(references)) >= 120
    assert all(case.mutants for case in CATALOGUE.cases)


def test_every_requirement_of_bidirectional_charging_on_a_csms_is_judged() -> None:
    families = ("K28", "K29", "Q", "R0", "V2X")
    required = {
        number
        for number, (actor, _) in REQUIREMENTS.items()
        if number.startswith(families) and actor in ("CSMS", "both")
    }
    judged = {case.requirement.reference for case in CATALOGUE.cases}
    assert required <= judged
