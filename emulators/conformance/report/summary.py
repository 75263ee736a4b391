"""Results as JSON, with all messages, and as text for a console."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from emulators.conformance.case import Verdict
from emulators.conformance.result import CaseResult, RunInfo, counts, to_json
from protocols import private_file


def write(path: Path, info: RunInfo, results: Sequence[CaseResult]) -> None:
    """Write the JSON file: `run`, `counts` and `cases` in the order of the run."""
    with private_file.replacing(path) as out:
        out.write(json.dumps(to_plain(info, results), indent=1, ensure_ascii=False) + "\n")


def to_plain(info: RunInfo, results: Sequence[CaseResult]) -> dict[str, object]:
    """Return the content of the JSON file."""
    return {
        "run": asdict(info),
        "counts": {str(verdict): number for verdict, number in counts(results).items()},
        "cases": [to_json(one) for one in results],
    }


def line(result: CaseResult) -> str:
    """Return a result on one line."""
    reason = f": {result.reason}" if result.reason else ""
    return f"{result.verdict.upper():<14} {result.id}  {result.standard} {result.reference}{reason}"


def totals(results: Sequence[CaseResult]) -> str:
    """Return the number of cases of each verdict."""
    shown = ", ".join(f"{number} {verdict}" for verdict, number in counts(results).items() if number)
    return f"{len(results)} cases: {shown or 'none'}"


def succeeded(results: Sequence[CaseResult]) -> bool:
    """Return True if no case failed or was inconclusive, and at least one passed."""
    number = counts(results)
    return number[Verdict.FAIL] == number[Verdict.INCONCLUSIVE] == 0 and number[Verdict.PASS] > 0
