"""Console output of `v2x charger`, `v2x ev` and `v2x secc`, and that no output of them and the gateway has a secret."""

from __future__ import annotations

import asyncio
import base64
import http.server
import io
import json
import sys
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from emulators.charger.secc.run import RunOptions
from emulators.charger.secc.run import run as run_secc
from emulators.charger.station.run import Options
from emulators.charger.station.run import run as run_charger
from emulators.ev.report import PowerChanges
from emulators.ev.run import EvOptions
from emulators.ev.run import run as run_ev
from gateway.csms.payload_secrets import without_secrets
from tests.gateway.mqtt.facility import free_port

Program: TypeAlias = Coroutine[None, None, int]
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


class Output(io.StringIO):
    """Output of a program; `wait_for` returns the next line with a text."""

    _seen = 0

    async def wait_for(self, text: str, seconds: float = 30) -> str:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    lines = self.getvalue().splitlines()
                    for number in range(self._seen, len(lines)):
                        if text in lines[number]:
                            self._seen = number + 1
                            return lines[number]
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"no {text!r} in {self.getvalue()[-3000:]}") from None


@asynccontextmanager
async def running(work: Program) -> AsyncIterator[asyncio.Task[int]]:
    """Run a program; interrupt it at the end."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def gateway_process(folder: Path, out: list[str]) -> AsyncIterator[None]:
    """Run a gateway as a process; its output is in `out` at the end."""
    command = [sys.executable, "-m", "gateway.cli", "gateway", "-c", "gateway.toml"]
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            while not (out or [""])[-1].startswith('{"event": "ready"'):
                out.append((await process.stderr.readline()).decode())
                assert out[-1], out
        yield
    finally:
        process.terminate()
        out.append((await process.communicate())[1].decode())


def charger(csms: str, file: Path, out: Output, trace: bool = True, car: str | None = None) -> Program:
    return run_charger(Options(csms, car=car), redact=without_secrets, password_file=file, trace=trace, out=out)


async def test_a_charger_states_why_it_cannot_connect_and_no_log_has_a_secret(tmp_path: Path) -> None:
    ocpp, log, outputs = free_port(), list[str](), list[str]()
    (tmp_path / "gateway.toml").write_text(CONFIG.format(ocpp=ocpp, admin=free_port()))
    right, wrong = tmp_path / "password", tmp_path / "other"
    right.write_text(PASSWORD)
    wrong.write_text(OTHER)
    address = f"127.0.0.1:{ocpp}"
    async with gateway_process(tmp_path, log):
        for csms, file, reason in (
            (f"ws://{address}/ocpp", wrong, "HTTP 401 Unauthorized: wrong password"),
            (f"ws://{address}/elsewhere", right, "HTTP 404 Not Found: no such path"),
            (f"wss://{address}/ocpp", right, "without TLS its address begins with ws://"),
            ("ws://127.0.0.1:1/ocpp", right, "connection refused"),
        ):
            async with running(charger(csms, file, out := Output())):
                line = await out.wait_for("not connected")
            assert reason in line
            assert "; next attempt in " in line
            outputs.append(out.getvalue())
        async with running(charger(f"ws://{address}/ocpp", right, traced := Output(), car="ccs-63")):
            await traced.wait_for("EVSE 1: Occupied, transaction")
            await traced.wait_for('"TransactionEvent"')
            await traced.wait_for("accepted by the CSMS")
        async with running(charger(f"ws://{address}/ocpp", right, quiet := Output(), trace=False, car="ccs-63")):
            await quiet.wait_for("EVSE 1: vehicle WMIV1234567890ABCDEX requests DC_BPT")
            await quiet.wait_for("accepted by the CSMS")
        token = (tmp_path / "admin-token").read_text().strip()
    assert "TransactionEvent" not in quiet.getvalue()
    assert len(quiet.getvalue().splitlines()) < 12
    outputs += [traced.getvalue(), quiet.getvalue(), "".join(log)]
    for text in (
        "site: station rejected: CP1 from 127.0.0.1 at /ocpp/CP1: wrong password (HTTP 401).",
        "site: station rejected: A station from 127.0.0.1 at /elsewhere/CP1: no such path",
        "site: station rejected: A station from 127.0.0.1: TLS (wss://) at a port without TLS",
        "CP1: accepted from 127.0.0.1 at /ocpp/CP1, ocpp2.1, security profile 1",
        "CP1: boot accepted:",
        "CP1-1: station connected: ocpp2.1",
        "site: broker lost: There is no link to the broker: ",
    ):
        assert text in outputs[-1]
    secrets = [PASSWORD, OTHER, token, "Authorization:", "Basic Q1Ax"]
    secrets += [base64.b64encode(f"CP1:{one}".encode()).decode() for one in (PASSWORD, OTHER)]
    for output in outputs:
        assert "Traceback" not in output
        assert not [secret for secret in secrets if secret in output]


async def test_a_server_that_is_no_csms_is_named(tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            options, out = Options(f"ws://127.0.0.1:{server.server_port}/ocpp"), Output()
            async with running(run_charger(options, redact=without_secrets, json=True, out=out)):
                record = json.loads(await out.wait_for("Disconnected"))
        finally:
            server.shutdown()
    assert "no response of a WebSocket server" in record["reason"]
    assert record["retry_in_s"] > 0


async def test_ev_and_secc_print_changes_and_whole_messages_only_with_trace() -> None:
    address = f"127.0.0.1:{free_port()}"
    secc, ev, traced = Output(), Output(), Output()
    async with running(run_secc(RunOptions(listen=address, power_w=-5000.0, sessions=2), secc)):
        await secc.wait_for("listening")
        async with running(run_ev(EvOptions(address), ev)):
            await ev.wait_for("connecting to [127.0.0.1]")
            assert "battery at 80 %; the charger permits charging up to" in await ev.wait_for("discharging")
        async with running(run_ev(EvOptions(address, loops=2, trace=True), traced)):
            await traced.wait_for("succeeded")
        assert "target -5000 W" in await secc.wait_for("discharging 5.0 kW")
    assert len(ev.getvalue().splitlines()) < 15
    assert len(secc.getvalue().splitlines()) < 25
    assert "-> SessionSetupReq {" in traced.getvalue()
    assert "-> " not in ev.getvalue()


async def test_an_ev_states_that_it_does_not_try_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert await run_ev(EvOptions("127.0.0.1:1"), Output()) == 1
    error = capsys.readouterr().err
    assert "cannot connect to [127.0.0.1]:1" in error
    assert error.endswith("; not tried again\n")


def test_a_change_is_selected_once_it_is_steady() -> None:
    changes = PowerChanges()
    shown = [changes.select(power_w, -5_000.0, 80.0) for power_w in (0, -2_000, -5_000, -5_000, -5_010, -4_990)]
    assert shown == [False, False, False, True, False, False]
    assert [changes.select(-5_000, -5_000, soc) for soc in (78.0, 75.0, 74.0, 70.0)] == [False, True, False, True]
