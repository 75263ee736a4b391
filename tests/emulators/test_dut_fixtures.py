"""Fixtures of a vendor's own devices: sessions, cases, artefacts, and the errors without a device."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emulators.runtime import candump
from gateway.cli.chademo_report import observed
from tests.inner_pytest import PYTEST
from tests.peers import ROOT

SAMPLE = ROOT / "examples" / "vendor-dut"
START_WITHIN_S = 60.0
INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
AT_A_SECC = """
def test_it_discharges(v2x_dut_secc):
    session = v2x_dut_secc.charge(loops=12)
    assert session.ok and session.messages[-1] == "SessionStopRes"
    assert min(session.currents_a) < -5
    assert len(session.powers_w) == 12 and min(session.powers_w) < -2000

def test_a_case(v2x_dut_secc):
    v2x_dut_secc.check("SECC-20-SES-05")

def test_not_applicable(v2x_dut_secc):
    v2x_dut_secc.check("SECC-2-TIM-10")
"""
WITHOUT = """
import pytest

def test_no_option(v2x_dut_secc):
    pass

@pytest.mark.v2x_dut(secc="[::1]:1")
def test_an_address_of_the_mark(v2x_dut_secc):
    v2x_dut_secc.check("SECC-SAP-01")

@pytest.mark.v2x_dut(secc="[::1]:1")
def test_no_session_at_the_address(v2x_dut_secc):
    v2x_dut_secc.charge()

@pytest.mark.v2x_dut(secc="[::1]:1")
def test_no_such_case(v2x_dut_secc):
    v2x_dut_secc.check("SECC-20-PWR-3")

@pytest.mark.v2x_dut(secc="[::1]:1")
def test_no_such_service(v2x_dut_secc):
    v2x_dut_secc.charge(service="hydrogen")

@pytest.mark.v2x_dut(sec="[::1]:1")
def test_no_such_argument_of_the_mark(v2x_dut_secc):
    pass

def test_nobody_connects(v2x_dut_ev):
    v2x_dut_ev.serve(within_s=0.2)

def test_no_channel(v2x_dut_chademo_ev):
    pass

@pytest.mark.v2x_dut(can="no-such-can0")
def test_no_bus(v2x_dut_chademo_ev):
    v2x_dut_chademo_ev.serve()

@pytest.mark.v2x_dut(can="memory:nobody")
def test_no_vehicle(v2x_dut_chademo_ev):
    v2x_dut_chademo_ev.serve(within_s=0.2)

@pytest.mark.v2x_dut(can="memory:nobody")
def test_no_charger(v2x_dut_chademo_charger):
    v2x_dut_chademo_charger.charge(within_s=0.2)
"""
OVER_CAN = """
def test_a_charger(v2x_dut_chademo_charger):
    session = v2x_dut_chademo_charger.charge(loops=20)
    assert session.ok and min(session.powers_w) < -2500
    assert {"0x102", "0x109", "0x200", "0x208"} <= set(session.messages)

def test_a_vehicle(v2x_dut_chademo_ev):
    session = v2x_dut_chademo_ev.serve(power_w=-3000, loops=20)
    assert session.ok and min(session.powers_w) < -2500
    assert {"0x102", "0x109", "0x200", "0x208"} <= set(session.messages)
"""
CHARGER_ON_CAN = """
import asyncio, io, sys
from emulators.charger.chademo.run import ChargerOptions, ChargerRun
from emulators.ev.report import Reporter
from emulators.runtime.clock import RealClock
from protocols.dc_modules.io import open_bus

async def main():
    bus, reporter = open_bus(sys.argv[1]), Reporter(io.StringIO(), True, {})
    await ChargerRun(bus, ChargerOptions(loops=1000), reporter, RealClock()).run()

asyncio.run(main())
"""


def pytest_in(directory: Path, text: str, *arguments: str) -> str:
    (directory / "pytest.ini").write_text(INI)
    (directory / "test_device.py").write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("V2X_")}
    command = [*PYTEST, "-q", "-rA", *arguments]
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    return done.stdout + done.stderr


@contextmanager
def secc(directory: Path) -> Iterator[str]:
    """Run `v2x secc` in another process; yield its address."""
    command = [sys.executable, "-m", "gateway.cli", "secc", "--listen", "[::1]:0", "--power-w=-4000"]
    log = directory / "secc.log"
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, stdout=out) as process:
        try:
            give_up = time.monotonic() + START_WITHIN_S
            while (found := re.search(r"listening on (\[::1\]:\d+)", log.read_text())) is None:
                assert time.monotonic() < give_up, log.read_text()
                time.sleep(0.1)
            yield found[1]
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.mark.soak
def test_a_secc_of_another_process(tmp_path: Path) -> None:
    with secc(tmp_path) as address:
        shown = pytest_in(tmp_path, AT_A_SECC, f"--v2x-dut-secc={address}", "--v2x-artifacts=out")
    assert "2 passed, 1 skipped" in shown, shown
    assert "SECC-2-TIM-10: the device does not have iso2.ac" in shown
    stored = {file.name for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert {"01.pcapng", "01.jsonl", "01_SECC-20-SES-05.json"} <= stored


@pytest.mark.soak
def test_the_sample_repository_at_a_secc_of_another_process(tmp_path: Path) -> None:
    with secc(tmp_path) as address:
        command = [*PYTEST, "-q", f"--v2x-dut-secc={address}"]
        where = ["--rootdir", str(SAMPLE), "-c", str(SAMPLE / "pyproject.toml"), str(SAMPLE / "tests" / "test_secc.py")]
        done = subprocess.run(
            [*command, *where], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
        )
    assert "6 passed" in done.stdout, done.stdout


@pytest.mark.soak
@pytest.mark.parametrize("device", ["charger", "vehicle"])
def test_a_device_on_a_can_bus_of_another_process(device: str, tmp_path: Path) -> None:
    pytest.importorskip("can")
    channel = f"udp:239.74.163.{211 + (device == 'vehicle')}"
    vehicle = ["-m", "gateway.cli", "ev", "--chademo", channel, "--soc", "60"]
    command = vehicle if device == "vehicle" else ["-c", CHARGER_ON_CAN, channel]
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            options = (f"--v2x-dut-can={channel}", "--v2x-artifacts=out", "-k", f"test_a_{device}")
            shown = pytest_in(tmp_path, OVER_CAN, *options)
        finally:
            process.kill()
    assert "1 passed" in shown, shown
    folder = tmp_path / "out" / f"test_device.py_test_a_{device}"
    (session,) = observed(candump.read(folder / "01.candump")).sessions
    assert session.powered
    assert session.energy_out_wh > 0.5
    assert (folder / "01.jsonl").stat().st_size


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    shown = pytest_in(tmp_path, WITHOUT, "--v2x-dut-ev=[::1]:0")
    ways = "--v2x-dut-secc [ADDR]:PORT or an interface, V2X_DUT_SECC, or the mark"
    assert f"v2x_dut_secc needs the device: {ways}" in shown
    assert "no device at [::1]:1: " in shown
    assert "no SECC answers at [::1]:1: cannot connect to [::1]:1: " in shown
    assert "unknown case 'SECC-20-PWR-3'; did you mean SECC-20-PWR-" in shown
    assert "v2x ev: unknown service 'hydrogen'; known: dc" in shown
    assert "the mark v2x_dut has the arguments can, charger, csms, ev, " in shown
    assert "no EV has completed a session at [::1]:0 (0 messages of it) within 0.2 s" in shown
    assert "During handling of the above exception" not in shown
    assert "v2x_dut_chademo_ev needs the device: --v2x-dut-can CHANNEL, such as can0, V2X_DUT_CAN, or the mark" in shown
    assert "no CAN bus: CAN no-such-can0: " in shown
    nobody = "no vehicle has completed a session on memory:nobody (none at the plug: no lines of it, 0 frames of it)"
    assert f"{nobody} within 0.2 s" in shown
    assert "no charger has completed a session on memory:nobody (0 frames of it) within 0.2 s" in shown
