"""The quick starts of a hardware vendor and of a CI engineer, as their pages say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from emulators.scenario import loading
from gateway.drivers.board import registry
from tests.docs.pages import LINES_OF_SIM, blocks
from tests.docs.programs import commands, programs
from tests.gateway.mqtt.facility import free_port
from tests.peers import ROOT, program

START = ROOT / "docs" / "start"


@pytest.mark.peer
def test_a_hardware_vendor(tmp_path: Path) -> None:
    page = START / "hardware-vendor.md"
    program("curl", "curl")
    gateway, charger, *rest = commands(page)
    requests, (secc, ev, decode, kit) = rest[:3], rest[3:]
    assert kit.split()[:2] == ["pytest", "--v2x-board"]  # tests/gateway/drivers/board runs the kit on this driver
    assert kit.split()[2] in registry.names()
    (toml,) = blocks(page, "toml")
    with programs(tmp_path, {"9000": free_port(), "9001": free_port(), "15118": free_port()}) as started:
        (tmp_path / "gateway.toml").write_text(started.line(toml.code))
        started.start(gateway)
        started.start(secc)
        decoded = json.loads(started.run(decode))
        assert "supportedAppProtocolReq" in json.dumps(decoded)
        started.until("the gateway listens", lambda: '"ready"' in started.output("gateway"))
        started.start(charger)
        started.until("an SECC", lambda: "istening" in started.output("secc"))
        started.run(ev)
        assert started.running["secc"].wait(20) == 0
        station = {}

        def is_connected() -> bool:
            station.update(json.loads(started.run(requests[0])))
            return station["id"] == "CP1" and bool(station["evses"])

        started.until("a station with an EVSE", is_connected)
        actions = [one["action"] for one in json.loads(started.run(requests[1]))]
        assert "BootNotification" in actions
        assert json.loads(started.run(requests[2])) == []


def test_a_ci_engineer(tmp_path: Path) -> None:
    """The tests of the page and of the documents about simulation, in a process of their own."""
    page = START / "ci-engineer.md"
    (tmp_path / "test_discharge.py").write_text(blocks(page, "python")[0].code)
    (tmp_path / "test_coroutine.py").write_text(blocks(ROOT / "docs" / "simulation.md", "python")[0].code)
    line = next(one for one in commands(page) if one.startswith("pytest "))
    arguments = [*line.split()[1:], "test_coroutine.py", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (suite,) = ElementTree.parse(tmp_path / "artifacts" / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "0", "0")


def test_scenarios_that_pages_run_are_shipped() -> None:
    named = {name for name in LINES_OF_SIM if not name.endswith(".toml") and name != "NAME" and name[0] != "-"}
    assert named <= set(loading.shipped())
    assert "evening-at-home" in named
