"""`v2x_dut_ev.check` with an EV of another process: pass, fail, and what does not apply."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from emulators.pytest_plugin.dut_iso15118 import EvDut
from tests.peers import ROOT

# an EV that connects again after each session; its EVCCID is empty, as the mutant of EV-20-SES-03
EV = """
import asyncio, io, sys
from emulators.conformance.iso15118.ev_catalogue import EV
from emulators.conformance.iso15118.mutation import MutantWire
from emulators.ev.run import EvOptions, run
from emulators.runtime.clock import RealClock

(wrong,) = EV.select(["EV-20-SES-03"])

async def main():
    while True:
        options = EvOptions(connect=sys.argv[1], loops=3, json=True)
        await run(options, io.StringIO(), wrap=lambda wire: MutantWire(wire, RealClock(), wrong.mutants[0]))
        await asyncio.sleep(0.05)

asyncio.run(main())
"""


def _free_port() -> int:
    with closing(socket.socket(socket.AF_INET6)) as probe:
        probe.bind(("::1", 0))
        port: int = probe.getsockname()[1]
    return port


ADDRESS = f"[::1]:{_free_port()}"


@contextmanager
def ev_process() -> Iterator[None]:
    """Run the EV; it has no output but the errors of connections that nobody accepts."""
    with subprocess.Popen([sys.executable, "-c", EV, ADDRESS], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.mark.v2x_dut(ev=ADDRESS)
def test_cases_with_an_ev_of_another_process(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(request.config.option, "v2x_artifacts", str(tmp_path))
    device: EvDut = request.getfixturevalue("v2x_dut_ev")
    with ev_process():
        device.check("EV-20-SES-01")
        with pytest.raises(pytest.fail.Exception, match=r"EV-20-SES-03, ISO 15118-20 .*: fail: .*EVCCID is empty"):
            device.check("EV-20-SES-03")
        with pytest.raises(pytest.skip.Exception, match=r"EV-DIN-SES-01: the device does not have din\.dc"):
            device.check("EV-DIN-SES-01")
    (folder,) = tmp_path.iterdir()
    results = {file.name: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}
    assert [one["verdict"] for one in results.values()] == ["pass", "fail", "not applicable"]
    assert results["01_EV-20-SES-01.json"]["messages"]
    assert b"\x01\xfe\x80\x01" in (folder / "01_EV-20-SES-01.pcapng").read_bytes()  # the handshake
