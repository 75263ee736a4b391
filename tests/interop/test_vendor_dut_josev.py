"""`examples/vendor-dut` with Josev's SECC and EV as devices: the tests of the vendor pass."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.interop.josev import Programs
from tests.interop.our_cars import SLOW_PEER
from tests.interop.test_conformance_josev import lab
from tests.interop.veth_link import EV, SE, Running
from tests.peers import ROOT

pytestmark = [pytest.mark.peer, pytest.mark.timeout(900)]

EXAMPLE = ROOT / "examples" / "vendor-dut"
WITHIN_S = 700.0  # on a busy machine; a minute on a quiet one


def vendors(programs: Programs, directory: Path, role: str, interface: str, chosen: str = "test_") -> Running:
    """Start the tests of the vendor's repository for one role."""
    repository = directory / "repository"
    shutil.copytree(EXAMPLE, repository)
    where: list[Path | str] = [
        "--rootdir",
        repository,
        "-c",
        repository / "pyproject.toml",
        repository / "tests" / f"test_{role}.py",
    ]
    options: list[Path | str] = [
        f"--v2x-dut-{role}={interface}",
        f"--v2x-timeout-factor={SLOW_PEER}",
        "--v2x-artifacts",
        directory / "artifacts",
        "-k",
        chosen,
    ]
    return programs.start_tester(
        sys.executable, ["-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *options, *where]
    )


@pytest.mark.parametrize(
    ("chosen", "power_w"), [("discharges", -4000), pytest.param("not discharges", 0, marks=pytest.mark.soak)]
)
def test_the_peers_secc(chosen: str, power_w: float, tmp_path: Path) -> None:
    options = tmp_path / "charger.json"
    options.write_text(json.dumps({"power_w": power_w}))  # its simulator has one power in all sessions
    with lab(tmp_path) as programs:
        programs.start_charger(SE, options)
        tests = vendors(programs, tmp_path, "secc", EV, chosen)
        tests.wait(WITHIN_S)
        shown = tests.text()
    assert "failed" not in shown, shown[-3000:]
    assert "PASSED" in shown, shown[-3000:]
    assert list((tmp_path / "artifacts").rglob("*.pcapng"))


def test_the_peers_ev(tmp_path: Path) -> None:
    with lab(tmp_path) as programs:
        cars = programs.their_cars()
        tests = vendors(programs, tmp_path, "ev", SE)
        sessions, give_up = 0, time.monotonic() + WITHIN_S
        while tests.process.poll() is None and time.monotonic() < give_up:
            sessions += 1
            cars.run([{"name": f"WMIC{sessions}", "loops": 200, "service": "DC_BPT", "control": 2}])
        shown = tests.text()
    assert "failed" not in shown, shown[-3000:]
    assert "PASSED" in shown, shown[-3000:]
