"""`v2x conformance` against Josev's SECC and EV: each verdict is the recorded one, each failure has a reason."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emulators.conformance.iso15118.ev_catalogue import EV as EV_CATALOGUE
from emulators.conformance.iso15118.profiles import AC_2, AC_BPT, DC_2, DC_20, DC_BPT, DC_BPT_SCHEDULED, DIN, Profile
from emulators.conformance.iso15118.secc_catalogue import SECC
from tests.interop import josev
from tests.interop.conformance_verdicts import EV_REASONS, REASONS, SET_UP, table, unexplained
from tests.interop.sections import write_section
from tests.interop.veth_link import EV, SE, veth_link
from tests.rounds import SOAK

pytestmark = [pytest.mark.peer, pytest.mark.timeout(5400)]

RUN_WITHIN = 3600.0  # s, of all cases on a busy machine, 25 minutes on a quiet one; timers take a minute each
SECC_TITLE = "Conformance verdicts on Josev's SECC (PyPI `iso15118`)"
EV_TITLE = "Conformance verdicts on Josev's EV (PyPI `iso15118`)"
SECC_HEADING = (
    f"Version {josev.VERSION}, found by SDP over a veth pair, without TLS. The charger behind its engine is simulated\n"
    "with 0 W, so that the cases of energy direction only show that no current is stated where none may flow."
)
EV_HEADING = (
    f"Version {josev.VERSION}, over SDP and a veth pair, without TLS. The car behind its engine is simulated; for\n"
    "each profile it offers the protocol and service of the cases."
)
CARS: dict[Profile, dict[str, Any]] = {  # sessions of the peer's car, by the profile of the cases
    DC_BPT: {"service": "DC_BPT", "control": 2},
    DC_BPT_SCHEDULED: {"service": "DC_BPT", "control": 1},
    DC_20: {"service": "DC", "control": 2},
    AC_BPT: {"service": "AC_BPT", "control": 2},
    DC_2: {"protocols": ["ISO_15118_2"], "mode": "DC_extended"},
    AC_2: {"protocols": ["ISO_15118_2"], "mode": "AC_three_phase_core"},
    DIN: {"protocols": ["DIN_SPEC_70121"], "mode": "DC_extended"},
}
Case = dict[str, Any]


@contextmanager
def lab(directory: Path) -> Iterator[josev.Programs]:
    """A link of its own with the programs of both sides."""
    josev.interpreter()
    with veth_link() as link:
        programs = josev.Programs(link, directory)
        try:
            yield programs
        finally:
            programs.stop()


def command(role: str, interface: str, report: Path, cases: tuple[str, ...]) -> list[Path | str]:
    chosen = [word for case in cases for word in ("--case", case)]
    return ["-m", "gateway.cli", "conformance", role, interface, "--report", report, *chosen]


def results(report: Path) -> list[Case]:
    found: list[Case] = json.loads((report / "results.json").read_text())["cases"]
    return found


@pytest.mark.soak
def test_each_verdict_on_the_peers_secc_is_the_recorded_one(tmp_path: Path) -> None:
    options, report = tmp_path / "charger.json", tmp_path / "report"
    options.write_text('{"power_w": 0}')
    with lab(tmp_path) as programs:
        programs.start_charger(SE, options)
        tester = programs.start_tester(sys.executable, command("secc", EV, report, ()))
        tester.wait(RUN_WITHIN)
    cases = results(report)
    assert unexplained(cases, REASONS) == {}
    run = json.loads((report / "results.json").read_text())["run"]
    assert run["capabilities"]["iso20.dc_bpt"] == "yes (discovered)"
    if SOAK:
        assert set(REASONS) <= {case["id"] for case in cases}
        write_section(josev.DOCUMENT, SECC_TITLE, table(cases, REASONS, SECC_HEADING))


@pytest.mark.soak
def test_each_verdict_on_the_peers_ev_is_the_recorded_one(tmp_path: Path) -> None:
    cases: list[Case] = []
    with lab(tmp_path) as programs:
        cars = programs.their_cars()
        for number, (profile, options) in enumerate(CARS.items()):
            mine = tuple(
                c.id for c in EV_CATALOGUE.cases if c.preconditions.endswith(f"offers {profile.name} connects")
            )
            report = tmp_path / f"report{number}"
            tester = programs.start_tester(sys.executable, command("ev", SE, report, mine))
            sessions = 0
            while tester.process.poll() is None and sessions < 10 * len(mine):
                sessions += 1
                cars.run([{"name": f"WMI{number}C{sessions}", "loops": 200, **options}])
            cases += results(report)
    assert unexplained(cases, EV_REASONS) == {}
    assert set(EV_REASONS) <= {case["id"] for case in cases}
    write_section(josev.DOCUMENT, EV_TITLE, table(cases, EV_REASONS, EV_HEADING))


def test_reasons_are_of_cases() -> None:
    known = {case.id for case in SECC.cases} | {case.id for case in EV_CATALOGUE.cases}
    assert {*REASONS, *EV_REASONS, *SET_UP} <= known
    assert not set(SET_UP) & {*REASONS, *EV_REASONS}


@pytest.mark.parametrize(("title", "cases"), [(SECC_TITLE, len(SECC.cases)), (EV_TITLE, len(EV_CATALOGUE.cases))])
def test_the_document_has_a_verdict_of_each_case(title: str, cases: int) -> None:
    section = josev.DOCUMENT.read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    (total,) = re.findall(r"^\| all \|(.*)\|$", section, re.MULTILINE)
    left_out = re.findall(r"^\* `(\S+)`: ", section, re.MULTILINE)
    assert sum(int(number or 0) for number in total.replace(" ", "").split("|")) + len(left_out) == cases
