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
# Requirements of K28, Q, R and V2X on a CSMS that no case judges, with the reason.
NOT_JUDGED = {
    "Q02.FR.03": "as Q01.FR.08",
    "Q02.FR.05": "depends on an order that every CSMS has in another form: a change of what is allowed",
    "Q07.FR.02": "the order of a power does not choose the operation mode",
    "Q07.FR.03": "the order of a power does not choose the operation mode",
    "Q08.FR.12": "depends on the source of aFRR signals",
    "R04.FR.12": "depends on an order of a DER control",
    "R04.FR.14": "depends on an order of a DER control",
    "R04.FR.16": "depends on an order of a DER control",
}
HANDSHAKE = "Opening handshake"  # `test_csms_handshakes`
PAIRS = [(case.id, version) for case in CATALOGUE.cases if case.feature != HANDSHAKE for version in versions(case)]


@pytest.mark.parametrize(("case", "version"), some(PAIRS, 10))
async def test_a_case_passes_on_the_gateway_and_fails_on_its_mutant(case: str, version: Version) -> None:
    (found,) = CATALOGUE.select([case])
    check(await verdict(GatewayBench(VirtualClock(), version), CATALOGUE, found), Verdict.PASS)
    for mutant in found.mutants:
        check(await verdict(GatewayBench(VirtualClock(), version, mutant), CATALOGUE, found), Verdict.FAIL)


def test_each_case_has_a_requirement_of_its_own_and_a_mutant() -> None:
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
    assert required - judged == set(NOT_JUDGED)
