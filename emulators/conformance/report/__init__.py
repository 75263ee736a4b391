"""Reports of a conformance run: `results.json`, `junit.xml` and `report.html` in one directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emulators.conformance.report import html, junit, summary
from emulators.conformance.result import CaseResult, RunInfo


def write(directory: Path, info: RunInfo, results: Sequence[CaseResult]) -> Path:
    """Write all reports; return the path of the HTML page. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    summary.write(directory / "results.json", info, results)
    junit.write(directory / "junit.xml", info, results)
    return html.write(directory / "report.html", info, results)
