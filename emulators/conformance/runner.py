"""Runs the cases of a catalogue in order, each in bounded time, and keeps the state of the run.

A case that exceeds its time is cancelled and inconclusive; one that does not end when cancelled is left behind, and the
run goes on. Errors of the tester itself are inconclusive with their place.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Sequence
from typing import TypeVar

from emulators.conformance.bench import Bench, DeviceUnreachable
from emulators.conformance.capabilities import Capabilities
from emulators.conformance.case import Case, CaseEnd, Verdict
from emulators.conformance.evidence import Evidence
from emulators.conformance.result import CaseResult, result_of
from emulators.conformance.state import RunState
from protocols.ports import Clock

D = TypeVar("D")
M = TypeVar("M")

ENDS_WITHIN_S = 10.0  # of a case that is cancelled


async def run(
    cases: Sequence[Case[D, M]],
    bench: Bench[D],
    capabilities: Capabilities,
    clock: Clock,
    state: RunState | None = None,
    report: Callable[[CaseResult], None] = lambda result: None,
) -> list[CaseResult]:
    """Run the cases in order and return their results; those that `state` already has are not run again."""
    results: list[CaseResult] = []
    for case in cases:
        done = state.results.get(case.id) if state is not None else None
        if done is not None:
            results.append(done)
            continue
        if state is not None:
            state.begin(case.id)
        result = await _bounded(case, bench, capabilities, clock, state)
        if state is not None:
            state.finish(result)
        results.append(result)
        report(result)
    return results


async def _bounded(
    case: Case[D, M], bench: Bench[D], capabilities: Capabilities, clock: Clock, state: RunState | None
) -> CaseResult:
    if state is not None and state.exhausted(case.id):
        return result_of(case, Verdict.INCONCLUSIVE, "the run ended during this case each time")
    missing = capabilities.missing(case.requires)
    if missing is not None:
        name, source = missing
        return result_of(case, Verdict.NOT_APPLICABLE, f"the device does not have {name} ({source})")
    for name in case.lacks:
        value, source = capabilities.source(name)
        if value:
            return result_of(case, Verdict.NOT_APPLICABLE, f"the device has {name} ({source})")
    return await run_case(case, bench, capabilities, clock)


async def run_case(case: Case[D, M], bench: Bench[D], capabilities: Capabilities, clock: Clock) -> CaseResult:
    """Run one case in bounded time and return its result."""
    evidence = Evidence(clock.now)
    task = asyncio.ensure_future(_judge(case, bench, capabilities, evidence))
    try:
        await asyncio.wait({task}, timeout=case.within_s)
        if task.done():
            verdict, reason = task.result()
            return result_of(case, verdict, reason, evidence)
        task.cancel()
        await asyncio.wait({task}, timeout=ENDS_WITHIN_S)
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task}, timeout=ENDS_WITHIN_S)
        raise
    late = "" if task.done() else ", and did not end when it was cancelled"
    return result_of(case, Verdict.INCONCLUSIVE, f"no verdict within {case.within_s:g} s{late}", evidence)


async def _judge(
    case: Case[D, M], bench: Bench[D], capabilities: Capabilities, evidence: Evidence
) -> tuple[Verdict, str]:
    try:
        async with bench.access(case.id, evidence, capabilities) as device:
            await case.procedure(device)
    except CaseEnd as end:
        return end.verdict, str(end)
    except DeviceUnreachable as error:
        return Verdict.INCONCLUSIVE, f"the device cannot be reached: {error}"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename.rpartition('/')[2]}:{place.lineno}"
        return Verdict.INCONCLUSIVE, f"error of the tester: {type(error).__name__}: {error} ({where})"
    return Verdict.PASS, ""
