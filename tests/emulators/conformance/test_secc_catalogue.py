"""Every case for a SECC passes on the emulated SECC, and fails on each of its mutants."""

from __future__ import annotations

import pytest

from emulators.conformance.capabilities import Capabilities
from emulators.conformance.case import Verdict
from emulators.conformance.iso15118.secc_bench import MemorySeccBench
from emulators.conformance.iso15118.secc_catalogue import SECC
from emulators.conformance.iso15118.secc_procedures import SeccCase
from emulators.conformance.runner import run_case
from emulators.runtime.clock import LoopClock
from tests.rounds import some

pytestmark = pytest.mark.virtual_time
CLOCK = LoopClock(1.77e9)
EVERY = 10  # case of `make test`; all in soak


@pytest.mark.parametrize("case", some(SECC.cases, EVERY), ids=lambda case: case.id)
async def test_the_emulated_secc_passes_and_each_mutant_fails(case: SeccCase) -> None:
    result = await run_case(case, MemorySeccBench(CLOCK), Capabilities(SECC.capabilities), CLOCK)
    assert (result.verdict, result.reason) == (Verdict.PASS, "")
    assert case.mutants
    for mutant in case.mutants:
        wrong = await run_case(case, MemorySeccBench(CLOCK, mutant), Capabilities(SECC.capabilities), CLOCK)
        assert wrong.verdict is Verdict.FAIL, f"{mutant.text}: {wrong.verdict}: {wrong.reason}"
