"""Console output of `v2x charger`, `v2x ev` and `v2x secc` as processes, and that no output has a secret."""

from __future__ import annotations

import base64
import http.server
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from emulators.ev.report import PowerChanges
from tests.gateway.mqtt.facility import free_port

PASSWORD, OTHER = "correct-horse-battery", "wrong-horse-battery-1"
CONFIG = """
[ocpp]
listen = "127.0.0.1:{ocpp}"
security_profile = 1
[mqtt]
url = "mqtt://127.0.0.1:1"
[admin]
listen = "127.0.0.1:{admin}"
[store]
url = "memory:"
[log]
level = "debug"
[[stations]]
id = "CP1"
password_file = "password"
"""


class Program:
    """A running `v2x` command; `output` has all lines of both outputs so far."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "gateway.cli", *arguments],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.output: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def wait_for(self, text: str, seconds: float = 30) -> str:
        """Return the next line that contains a text."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(queue.Empty):
                line = self._lines.get(timeout=0.5)
                if line is None:
                    self._lines.put(None)
                    break
                self.output.append(line)
                if text in line:
                    return line
        raise AssertionError(f"no {text!r} in {[one[:200] for one in self.output][-20:]}")

    def end(self) -> str:
        """Interrupt the program and return its whole output."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self._process.wait(20)
        self._reader.join(20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        while (line := self._lines.get()) is not None:
            self.output.append(line)
        self._lines.put(None)
        return "\n".join(self.output)


@contextmanager
def program(folder: Path, *arguments: str) -> Iterator[Program]:
    started = Program(folder, *arguments)
    try:
        yield started
    finally:
        started.end()


def test_a_charger_states_why_it_cannot_connect_and_no_log_has_a_secret(tmp_path: Path) -> None:
    ocpp, admin = free_port(), free_port()
    (tmp_path / "gateway.toml").write_text(CONFIG.format(ocpp=ocpp, admin=admin))
    for name, secret in (("password", PASSWORD), ("other", OTHER)):
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    address = f"127.0.0.1:{ocpp}"
    outputs = []
    with program(tmp_path, "gateway", "-c", "gateway.toml") as gateway:
        gateway.wait_for('"event": "ready"')
        for csms, file, reason in (
            (f"ws://{address}/ocpp", "other", "HTTP 401 Unauthorized: wrong password"),
            (f"ws://{address}/elsewhere", "password", "HTTP 404 Not Found: no such path"),
            (f"wss://{address}/ocpp", "password", "without TLS its address begins with ws://"),
            ("ws://127.0.0.1:1/ocpp", "password", "connection refused"),
        ):
            with program(tmp_path, "charger", "--csms", csms, "--password-file", file, "--trace") as charger:
                line = charger.wait_for("not connected")
            assert reason in line
            assert "; next attempt in " in line
            outputs.append(charger.end())
        arguments = ("--csms", f"ws://{address}/ocpp", "--password-file", "password", "--car", "ccs-63")
        with program(tmp_path, "charger", *arguments, "--trace") as charger:
            charger.wait_for("EVSE 1: Occupied, transaction")
            charger.wait_for('"TransactionEvent"')
            charger.wait_for("accepted by the CSMS")
        with program(tmp_path, "charger", *arguments) as quiet:
            quiet.wait_for("EVSE 1: vehicle WMIV1234567890ABCDEX requests DC_BPT")
            quiet.wait_for("accepted by the CSMS")
            time.sleep(2)
        assert "TransactionEvent" not in quiet.end()
        assert len(quiet.output) < 12
        token = (tmp_path / "admin-token").read_text().strip()
        outputs += [charger.end(), quiet.end(), gateway.end()]
    assert "station CP1 rejected from 127.0.0.1 at /ocpp/CP1: 401 Unauthorized, user is the station's id" in outputs[-1]
    assert "station without a valid id rejected from 127.0.0.1 at /elsewhere/CP1: 404 Not Found" in outputs[-1]
    assert "station CP1 accepted from 127.0.0.1 at /ocpp/CP1" in outputs[-1]
    secrets = [PASSWORD, OTHER, token, "Authorization:", "Basic Q1Ax"]
    secrets += [base64.b64encode(f"CP1:{one}".encode()).decode() for one in (PASSWORD, OTHER)]
    for output in outputs:
        assert "Traceback" not in output
        assert not [secret for secret in secrets if secret in output]


def test_a_server_that_is_no_csms_is_named(tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            url = f"ws://127.0.0.1:{server.server_port}/ocpp"
            with program(tmp_path, "charger", "--csms", url, "--json") as charger:
                record = json.loads(charger.wait_for("Disconnected"))
        finally:
            server.shutdown()
    assert "no response of a WebSocket server" in record["reason"]
    assert record["retry_in_s"] > 0


def test_ev_and_secc_print_changes_and_whole_messages_only_with_trace(tmp_path: Path) -> None:
    port = str(free_port())
    with program(tmp_path, "secc", "--listen", f"127.0.0.1:{port}", "--power-w=-5000", "--sessions", "2") as secc:
        secc.wait_for("listening")
        with program(tmp_path, "ev", "--connect", f"127.0.0.1:{port}", "--soc", "80") as ev:
            ev.wait_for("connecting to [127.0.0.1]")
            assert "battery at 80 %; the charger permits charging up to" in ev.wait_for("discharging")
            time.sleep(2)
        with program(tmp_path, "ev", "--connect", f"127.0.0.1:{port}", "--loops", "2", "--trace") as traced:
            traced.wait_for("succeeded")
        assert "target -5000 W" in secc.wait_for("discharging 5.0 kW")
    assert len(ev.end().splitlines()) < 15
    assert len(secc.end().splitlines()) < 25
    assert "-> SessionSetupReq {" in traced.end()
    assert "-> " not in ev.end()


def test_an_ev_states_that_it_does_not_try_again(tmp_path: Path) -> None:
    with program(tmp_path, "ev", "--connect", "127.0.0.1:1") as ev:
        assert "cannot connect to [127.0.0.1]:1" in ev.wait_for("; not tried again")


def test_a_change_is_selected_once_it_is_steady() -> None:
    changes = PowerChanges()
    shown = [changes.select(power_w, -5_000.0, 80.0) for power_w in (0, -2_000, -5_000, -5_000, -5_010, -4_990)]
    assert shown == [False, False, False, True, False, False]
    assert [changes.select(-5_000, -5_000, soc) for soc in (78.0, 75.0, 74.0, 70.0)] == [False, True, False, True]
