"""Fixtures of devices under test: a station that dials in, a CSMS at a URL, and failures that name what is missing."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

from emulators.charger.station.run import plug_in_cars
from emulators.ev.profile import load
from tests.inner_pytest import PYTEST
from tests.interop.ocpp_sockets import csms, station

TESTS = """
def test_charger(v2x_dut_charger):
    charger = v2x_dut_charger
    assert (charger.name, charger.version, charger.online) == ("CP1", "2.1", True)
    assert charger.requests("BootNotification")[0]["chargingStation"]["vendorName"] == "v2x-gateway"
    charger.start()
    charger.until(lambda: charger.power_w() > 5000, 20, "power")
    charger.stop()
    assert charger.expect("TransactionEvent", {"eventType": "Ended"})["triggerReason"] == "RemoteStop"

def test_the_station_stays_connected(v2x_dut_charger):
    assert v2x_dut_charger.call("UnlockConnector", {"evseId": 1, "connectorId": 1})["status"] == "Unlocked"
"""

CSMS = """
import pytest

@pytest.mark.v2x_dut(ocpp="2.1")
def test_csms(v2x_dut_csms):
    assert v2x_dut_csms.boot()["status"] == "Accepted"
    assert "currentTime" in v2x_dut_csms.call("Heartbeat", {})
"""

ABSENT = """
import pytest

@pytest.mark.v2x_dut(within_s=0.5)
def test_nothing(v2x_dut_charger): ...

@pytest.mark.v2x_dut(csms="ws://127.0.0.1:9/ocpp")
def test_no_csms(v2x_dut_csms): ...
"""

UNSET = """
def test_unset(v2x_dut_csms): ...
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def run(folder: Path, tests: str, *options: str) -> tuple[int, str]:
    """Run pytest on a file in a process of its own; return its status and output."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_device.py").write_text(tests)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("V2X_DUT")}
    process = await asyncio.create_subprocess_exec(
        *(*PYTEST, "-q", "-rs", "test_device.py", *options),
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_a_station_that_dials_in(tmp_path: Path) -> None:
    port, artifacts = free_port(), tmp_path / "artifacts"
    options = (f"--v2x-dut-charger=127.0.0.1:{port}", f"--v2x-artifacts={artifacts}")
    testing = asyncio.create_task(run(tmp_path, TESTS, *options))
    async with station(f"ws://127.0.0.1:{port}/ocpp", id_token="NOBODY") as charger:
        charger.station.settings.put("back_off", 1)
        charger.station.settings.put("back_off_random", 0)
        plug_in_cars(charger, load("ccs-63"), 50.0)
        status, output = await testing
    assert status == 0, output
    (messages, _) = sorted(artifacts.glob("*.ocpp.jsonl"))
    assert '"action": "BootNotification"' in messages.read_text()


async def test_a_csms_at_a_url(tmp_path: Path) -> None:
    async with csms() as (_, url):
        status, output = await run(tmp_path, CSMS, f"--v2x-dut-csms={url}")
    assert status == 0, output


async def test_a_device_that_is_absent(tmp_path: Path) -> None:
    port = free_port()
    status, output = await run(tmp_path, ABSENT, f"--v2x-dut-charger=127.0.0.1:{port}")
    assert status == 1, output
    assert f"no station at ws://127.0.0.1:{port}/ocpp/ID: no station connected within 0.5 s" in output
    assert "no CSMS at ws://127.0.0.1:9/ocpp: " in output
    status, output = await run(tmp_path, UNSET)
    assert "no csms under test: --v2x-dut-csms, V2X_DUT_CSMS or the mark v2x_dut" in output
