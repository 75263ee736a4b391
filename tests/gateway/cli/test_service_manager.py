"""The gateway under systemd: its messages to the service manager, and the unit file."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from tests.gateway.cli.test_gateway_process import CONFIG
from tests.peers import ROOT, program

UNIT = ROOT / "deploy" / "v2x-gateway.service"


def test_the_manager_receives_ready_alive_and_stopping(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(CONFIG)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        command = [sys.executable, "-m", "gateway.cli", "gateway", "-c", "gateway.toml"]
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as process:
            try:
                received = [manager.recv(100) for _ in range(3)]
                process.terminate()
                assert sorted(received) == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
                while manager.recv(100) != b"STOPPING=1":
                    pass
                assert process.wait(20) == 0
            finally:
                process.kill()


def test_the_unit_file_is_valid(tmp_path: Path) -> None:
    analyze = program("systemd-analyze", "systemd")
    unit = tmp_path / UNIT.name
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={Path(sys.executable).resolve()}", UNIT.read_text(), flags=re.M)
    unit.write_text(text)
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
