"""Every case for an EV passes on the emulated EV, and fails on each of its mutants."""

from __future__ import annotations

import pytest

from emulators.conformance.capabilities import Capabilities
from emulators.conformance.case import NotApplicable, Verdict
from emulators.conformance.evidence import Evidence
from emulators.conformance.iso15118.declaration import EvCase
from emulators.conformance.iso15118.ev_bench import MemoryEvBench
from emulators.conformance.iso15118.ev_catalogue import EV
from emulators.conformance.iso15118.profiles import AC_2, DC_2
from emulators.conformance.iso15118.station import Station
from emulators.conformance.runner import run_case
from emulators.runtime.clock import LoopClock
from tests.rounds import some

pytestmark = pytest.mark.virtual_time
CLOCK = LoopClock(1.77e9)
EVERY = 16  # case of `make test`; all in soak


@pytest.mark.parametrize("case", some(EV.cases, EVERY), ids=lambda case: case.id)
async def test_the_emulated_ev_passes_and_each_mutant_fails(case: EvCase) -> None:
    result = await run_case(case, MemoryEvBench(CLOCK), Capabilities(EV.capabilities), CLOCK)
    assert (result.verdict, result.reason) == (Verdict.PASS, "")
    assert case.mutants
    for mutant in case.mutants:
        wrong = await run_case(case, MemoryEvBench(CLOCK, mutant), Capabilities(EV.capabilities), CLOCK)
        assert wrong.verdict is Verdict.FAIL, f"{mutant.text}: {wrong.verdict}: {wrong.reason}"


async def test_ac_cases_do_not_apply_to_an_ev_that_charges_dc_only() -> None:
    evidence = Evidence(CLOCK.now)
    async with MemoryEvBench(CLOCK).access("dc", evidence, Capabilities(EV.capabilities)) as access:
        connection = (await access.station(DC_2)).connection
        with pytest.raises(NotApplicable, match="ends the session at the services of ISO 15118-2 AC"):
            await Station(AC_2, connection, CLOCK, evidence).reach("PowerDeliveryReq")
