"""`examples/vendor-dut` against foreign OCPP devices: the vendor's tests pass, each verdict is the recorded one."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.emulators.conformance.ocpp.test_device_fixtures import free_port
from tests.interop.ocpp_verdicts import NOT_JUDGED, REASONS, table
from tests.interop.sections import write_section
from tests.interop.test_ocpp_rpc import project
from tests.peers import ROOT, program, python_peer
from tests.rounds import SOAK

pytestmark = [pytest.mark.peer, pytest.mark.timeout(3600 if SOAK else 120)]

EXAMPLE = ROOT / "examples" / "vendor-dut"
PACKAGE = ("ocpp-package", "ocpp==2.1.0", "websockets<16")
TITLE = "Conformance verdicts on foreign OCPP peers"
RUN_WITHIN = 3000.0 if SOAK else 100.0  # s
SAMPLES = {
    "ocpp_station.py": ("OCPP2-CS-B05-FR-04", "OCPP2-CS-B06-FR-07", "OCPP2-CS-F03-FR-08"),
    "rpc_station.js": ("OCPP16-CS-5-3-UNKNOWN-KEY", "OCPP16-CS-5-12-UNKNOWN"),
    "ocpp_csms.py": ("OCPP2-CSMS-G02-FR-03", "OCPP2-CSMS-C09-FR-10", "OCPP2-CSMS-RPC-4-3-UNKNOWN-ACTION"),
}


def interpreter() -> Path:
    """Return the interpreter of the environment with the `ocpp` package."""
    return python_peer(*PACKAGE)


@contextmanager
def device(name: str, port: int) -> Iterator[None]:
    """Run a device: a station that connects to the port, or a CSMS at it."""
    file, url, environment = EXAMPLE / "devices" / name, f"ws://127.0.0.1:{port}/ocpp", dict(os.environ)
    if name == "rpc_station.js":
        environment["NODE_PATH"] = str(project() / "node_modules")
        command = [program("node", "nodejs"), str(file), url, "DUT1"]
    elif name == "ocpp_csms.py":
        command = [str(interpreter()), str(file), str(port)]
    else:
        command = [str(interpreter()), str(file), f"{url}/DUT1"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if name == "ocpp_csms.py":
            until_open(port)
        yield
    finally:
        process.kill()
        process.wait()


def until_open(port: int) -> None:
    """Wait until a port is open."""
    for _ in range(600):
        with socket.socket() as found:
            if found.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens at port {port}")


@pytest.mark.parametrize("name", list(SAMPLES))
def test_the_tests_of_the_vendor_pass(name: str, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "repository")
    port = free_port()
    role, target = ("csms", f"ws://127.0.0.1:{port}/ocpp") if "csms" in name else ("charger", f"127.0.0.1:{port}")
    with device(name, port):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/test_{role}.py"],
            cwd=tmp_path / "repository",
            env=os.environ | {f"V2X_DUT_{role.upper()}": target},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


def report(name: str, directory: Path) -> dict[str, Any]:
    """Return the results of a run of all cases, or of a sample."""
    port = free_port()
    csms = "csms" in name
    target = f"ws://127.0.0.1:{port}/ocpp" if csms else f"127.0.0.1:{port}"
    options = ["--id", "DUT1", "--report", str(directory / name)]
    if csms:
        declared = directory / "csms.toml"
        declared.write_text('[capabilities]\n"lab.tokens" = true\n')
        options += ["--capabilities", str(declared)]
    else:
        options += ["--lab", str(EXAMPLE / "lab.toml")]
    if not SOAK:
        options += [word for case in SAMPLES[name] for word in ("--case", case)]
    role = "csms" if csms else "charger"
    command = [sys.executable, "-m", "gateway.cli", "conformance", role, target, *options]
    with device(name, port):
        subprocess.run(command, capture_output=True, timeout=RUN_WITHIN, check=False)
    found: dict[str, Any] = json.loads((directory / name / "results.json").read_text())
    return found


@pytest.mark.soak
def test_each_verdict_is_the_recorded_one(tmp_path: Path) -> None:
    reports = {name: report(name, tmp_path) for name in SAMPLES}
    for name, found in reports.items():
        for verdict, known in (("fail", REASONS), ("inconclusive", NOT_JUDGED)):
            cases = {case["id"]: case["reason"] for case in found["cases"] if case["verdict"] == verdict}
            assert {case: reason for case, reason in cases.items() if case not in known[name]} == {}
            if SOAK:
                assert set(cases) == set(known[name])
    if SOAK:
        write_section(ROOT / "docs" / "interop.md", TITLE, table(reports))
