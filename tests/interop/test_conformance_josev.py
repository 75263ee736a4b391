"""`v2x conformance secc` against Josev's SECC: each verdict is the recorded one, each failure has a reason."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.interop import josev
from tests.interop.conformance_verdicts import NOT_JUDGED, REASONS, table
from tests.interop.sections import write_section
from tests.interop.veth_link import EV, SE, veth_link
from tests.rounds import SOAK

pytestmark = [pytest.mark.peer, pytest.mark.timeout(3600 if SOAK else 300)]

SAMPLE = ("SECC-SAP-02", "SECC-SAP-07", "SECC-TP-02", "SECC-20-SES-05", "SECC-20-SRV-06", "SECC-2-SRV-05")
RUN_WITHIN = 3000.0  # s, of all cases; those of timers take a minute each
TITLE = "Conformance verdicts on Josev's SECC (PyPI `iso15118`)"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the results of a run: all cases in soak, else a sample."""
    directory = tmp_path_factory.mktemp("conformance")
    josev.interpreter()
    with veth_link() as link:
        programs = josev.Programs(link, directory)
        options = directory / "charger.json"
        options.write_text('{"power_w": 0}')
        try:
            programs.start_charger(SE, options)
            cases = [] if SOAK else [word for case in SAMPLE for word in ("--case", case)]
            arguments: list[Path | str] = [
                "-m",
                "gateway.cli",
                "conformance",
                "secc",
                EV,
                "--report",
                directory / "report",
            ]
            tester = programs.start_tester(sys.executable, [*arguments, *cases])
            tester.wait(RUN_WITHIN)
        finally:
            programs.stop()
    found: dict[str, Any] = json.loads((directory / "report" / "results.json").read_text())
    return found


def test_each_verdict_is_the_recorded_one(report: dict[str, Any]) -> None:
    failed = {case["id"]: case["reason"] for case in report["cases"] if case["verdict"] == "fail"}
    ran = {case["id"] for case in report["cases"]}
    assert {case: reason for case, reason in failed.items() if case not in REASONS} == {}
    assert {case for case in REASONS if case in ran and case not in failed} == set()
    undecided = {case["id"] for case in report["cases"] if case["verdict"] == "inconclusive"}
    assert undecided <= set(NOT_JUDGED)
    if SOAK:
        write_section(josev.DOCUMENT, TITLE, table(report, josev.VERSION))


def test_the_peer_is_identified_by_its_dialogue(report: dict[str, Any]) -> None:
    assert report["run"]["capabilities"]["iso20.dc_bpt"] == "yes (discovered)"
    assert report["run"]["device"]
    assert Path(report["run"]["target"]).name == EV
