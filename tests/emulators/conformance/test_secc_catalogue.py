"""Every case for a SECC passes on the emulated SECC, and fails on each of its mutants."""

from __future__ import annotations

import pytest

from emulators.conformance.capabilities import Capabilities
from emulators.conformance.case import Inconclusive, Verdict
from emulators.conformance.evidence import Evidence
from emulators.conformance.iso15118.declaration import SeccCase
from emulators.conformance.iso15118.profiles import DC_BPT, STOP
from emulators.conformance.iso15118.secc_bench import MemorySeccBench
from emulators.conformance.iso15118.secc_catalogue import SECC
from emulators.conformance.runner import run_case
from emulators.runtime.clock import LoopClock
from tests.rounds import some

pytestmark = pytest.mark.virtual_time
CLOCK = LoopClock(1.77e9)
EVERY = 10  # case of `make test`; all in soak


@pytest.mark.parametrize("case", some(SECC.cases, EVERY), ids=lambda case: case.id)
async def test_the_emulated_secc_passes_and_each_mutant_fails(case: SeccCase) -> None:
    capabilities = Capabilities(SECC.capabilities, dict.fromkeys(case.lacks, False))
    result = await run_case(case, MemorySeccBench(CLOCK), capabilities, CLOCK)
    assert (result.verdict, result.reason) == (Verdict.PASS, "")
    assert case.mutants
    for mutant in case.mutants:
        wrong = await run_case(case, MemorySeccBench(CLOCK, mutant), capabilities, CLOCK)
        assert wrong.verdict is Verdict.FAIL, f"{mutant.text}: {wrong.verdict}: {wrong.reason}"


async def test_a_tester_that_is_late_in_the_charge_loop_does_not_judge() -> None:
    capabilities = Capabilities(SECC.capabilities)
    async with MemorySeccBench(CLOCK).access("late", Evidence(CLOCK.now), capabilities) as access:
        vehicle = await access.reach(DC_BPT, STOP)
        await vehicle.loop()
        await vehicle.wait(0.6)
        with pytest.raises(Inconclusive, match=r"the tester sent DC_ChargeLoopReq 0.60 s after"):
            await vehicle.loop()
