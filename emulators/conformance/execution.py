"""A whole run: capabilities, cases, reports, exit status. Used by the command and by pytest."""

from __future__ import annotations

import asyncio
import json as jsonlib
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from emulators.conformance import capabilities as capability_file
from emulators.conformance import report as reports
from emulators.conformance import runner
from emulators.conformance.bench import Bench, DeviceUnreachable, Discovery
from emulators.conformance.capabilities import Capabilities, CapabilityError, Declaration
from emulators.conformance.case import Case, Verdict
from emulators.conformance.catalogue import Catalogue, CatalogueError
from emulators.conformance.evidence import Evidence
from emulators.conformance.report import summary
from emulators.conformance.result import CaseResult, RunInfo, result_of
from emulators.conformance.state import RunState, StateError
from emulators.runtime.clock import RealClock
from protocols.ports import Clock

D = TypeVar("D")
M = TypeVar("M")
Print = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Options that every role has. `command`: how the run is started, without the selection and the report."""

    command: str
    cases: Sequence[str] = ()
    tags: Sequence[str] = ()
    capabilities: Path | None = None
    directory: Path | None = None
    resume: bool = False
    json: bool = False
    version: str = ""

    @property
    def text(self) -> str:
        """The selection in words."""
        words = [f"case {one}" for one in self.cases] + [f"tag {one}" for one in self.tags]
        return ", ".join(words) or "all cases"


class RunError(ValueError):
    """The run cannot start: selection, capability file, report directory or state are wrong."""


async def execute(
    catalogue: Catalogue[D, M],
    bench: Bench[D],
    selection: Selection,
    write: Print = print,
    clock: Clock | None = None,
    *,
    begins: Callable[[], None] = lambda: None,
) -> int:
    """Run the selected cases and write the reports; return the exit status. Raises RunError, DeviceUnreachable.

    `begins` is called once the options are known to be right, before the device is searched for. Without one, the
    reports have its absence as the reason of every case that has no verdict from an earlier run.
    """
    clock = clock or RealClock()
    try:
        cases = catalogue.select(selection.cases, selection.tags)
        declared = _declared(selection.capabilities, catalogue)
        state = _state(selection, catalogue, bench.target, [case.id for case in cases])
    except (CatalogueError, CapabilityError, StateError) as error:
        raise RunError(str(error)) from error
    except OSError as error:
        raise RunError(f"{error.filename}: {error.strerror or error}") from error
    begins()
    started = datetime.fromtimestamp(clock.wall(), UTC)

    def described(found: Discovery) -> tuple[Capabilities, RunInfo]:
        capabilities = Capabilities(catalogue.capabilities, declared.capabilities, found.capabilities)
        return capabilities, _info(catalogue, bench.target, selection, declared, found, capabilities, started)

    try:
        try:
            capabilities, info = described(await bench.discover(Evidence(clock.now)))
        except DeviceUnreachable as error:
            info = described(Discovery())[1]
            info = replace(info, selection=f"{info.selection}, the device was not reached")
            _report(selection, info, _unreached(cases, state, error), write)
            raise

        def report(result: CaseResult) -> None:
            write(jsonlib.dumps(_brief(result)) if selection.json else summary.line(result))

        try:
            results = await runner.run(cases, bench, capabilities, clock, state, report)
        except asyncio.CancelledError:
            if state is not None and selection.directory is not None:
                done = [state.results[case.id] for case in cases if case.id in state.results]
                count = f"interrupted after {len(done)} of {len(cases)}"
                path = reports.write(selection.directory, replace(info, selection=f"{info.selection}, {count}"), done)
                if not selection.json:
                    write(f"{count} cases; --resume continues, report: {path}")
            raise
    finally:
        if state is not None:
            state.close()
    _report(selection, info, results, write)
    if not selection.json:
        write(summary.totals(results))
    return 0 if summary.succeeded(results) else 1


def _report(selection: Selection, info: RunInfo, results: Sequence[CaseResult], write: Print) -> None:
    """Write the reports where a directory is given, and print the directory."""
    if selection.directory is None:
        return
    path = reports.write(selection.directory, info, results)
    if not selection.json:
        write(f"report: {path}")


def _unreached(cases: Sequence[Case[D, M]], state: RunState | None, error: DeviceUnreachable) -> list[CaseResult]:
    """Return the results of an earlier run, and of the other cases that the device was not reached."""
    earlier = {} if state is None else state.results
    absent = f"the device cannot be reached: {error}"
    return [earlier.get(case.id) or result_of(case, Verdict.INCONCLUSIVE, absent) for case in cases]


def listed(catalogue: Catalogue[D, M], selection: Selection) -> list[str]:
    """Return a line for each selected case. Raises RunError."""
    try:
        cases = catalogue.select(selection.cases, selection.tags)
    except CatalogueError as error:
        raise RunError(str(error)) from error
    return [jsonlib.dumps(_declaration(case)) if selection.json else _line(case) for case in cases]


def _line(case: Case[D, M]) -> str:
    return f"{case.id}  {case.requirement}  {case.expectation}  [{', '.join(sorted(case.tags))}]"


def _declaration(case: Case[D, M]) -> dict[str, object]:
    return {
        "id": case.id,
        "standard": case.requirement.standard,
        "reference": case.requirement.reference,
        "rule": case.requirement.rule,
        "feature": case.feature,
        "tags": sorted(case.tags),
        "requires": list(case.requires),
        "lacks": list(case.lacks),
        "preconditions": case.preconditions,
        "stimulus": case.stimulus,
        "expectation": case.expectation,
    }


def _brief(result: CaseResult) -> dict[str, object]:
    return {
        "case": result.id,
        "verdict": str(result.verdict),
        "requirement": f"{result.standard} {result.reference}",
        "reason": result.reason,
        "duration_s": result.duration_s,
    }


def _declared(path: Path | None, catalogue: Catalogue[D, M]) -> Declaration:
    return Declaration() if path is None else capability_file.load(path, catalogue.capabilities)


def _state(selection: Selection, catalogue: Catalogue[D, M], target: str, cases: list[str]) -> RunState | None:
    if selection.directory is None:
        if selection.resume:
            raise RunError("--resume needs the directory of the interrupted run: --report DIR")
        return None
    begin = RunState.resume if selection.resume else RunState.start
    return begin(selection.directory, catalogue.role, target, cases)


def _info(
    catalogue: Catalogue[D, M],
    target: str,
    selection: Selection,
    declared: Declaration,
    found: Discovery,
    capabilities: Capabilities,
    started: datetime,
) -> RunInfo:
    device = declared.device.merged(found.device)
    in_force = {name: capabilities.source(name) for name in catalogue.capabilities}
    return RunInfo(
        title=catalogue.title,
        role=catalogue.role,
        target=target,
        command=selection.command,
        started=started.isoformat(timespec="seconds"),
        vendor=device.vendor,
        device=device.name,
        serial=device.serial,
        firmware=device.firmware,
        software={
            "v2x-gateway": selection.version or "unknown",
            "Python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()}",
        },
        capabilities={n: f"{'yes' if value else 'no'} ({source})" for n, (value, source) in in_force.items()},
        selection=selection.text,
    )


__all__ = ["DeviceUnreachable", "RunError", "Selection", "execute", "listed"]
