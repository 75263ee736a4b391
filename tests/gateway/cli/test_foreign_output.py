"""Texts of peers and foreign files in the output of commands: no escape sequence, no false line."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from gateway.cli.main import app
from gateway.model import foreign_text

HOSTILE = "\x9b2J\u202e|`<b>"  # neither control is escaped by JSON itself
PROGRAM = [sys.executable, "-m", "gateway.cli"]


def assert_neutral(text: str) -> None:
    assert foreign_text.line(text.replace("\n", "")) == text.replace("\n", "")


def v2x(*arguments: str, given: str = "") -> str:
    done = CliRunner().invoke(app, arguments, input=given)
    assert isinstance(done.exception, SystemExit | None)
    return done.output


async def test_an_emulated_station_shows_what_the_csms_sends() -> None:
    async def csms(connection: ServerConnection) -> None:
        call = [2, "1", "DataTransfer", {"vendorId": HOSTILE, "data": HOSTILE}]
        await connection.send(json.dumps(call, ensure_ascii=False))
        await connection.send(json.dumps([2, HOSTILE, HOSTILE, {}], ensure_ascii=False))
        await connection.wait_closed()

    async with serve(csms, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp2.1")]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        program = [*PROGRAM, "charger", "--csms", f"ws://127.0.0.1:{port}/ocpp", "--trace"]
        process = await asyncio.create_subprocess_exec(*program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert process.stdout is not None
        shown, received = "", 0
        async with asyncio.timeout(60):
            while received < 2:
                line = (await process.stdout.readline()).decode()
                received += line.startswith("<- ")
                shown += line
        process.terminate()
        shown += (await process.communicate())[0].decode()
    assert "DataTransfer" in shown
    assert_neutral(shown)


def test_files_and_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.toml").write_text('"a\\u009b2J\\u202e\\n" = 1\n[site]\nid = "\\u001b[31m\\u202e"\n')
    (tmp_path / "scenario.toml").write_text('"a\\u009b\\u202e" = 1\n[site]\nname = "\\u009b"\n')
    shown = v2x("check-config", "-c", "gateway.toml")
    shown += v2x("gateway", "-c", "gateway.toml")
    shown += v2x("sim", "scenario.toml")
    assert "\\x9b" in shown
    assert_neutral(shown)


def test_exi() -> None:
    protocol = {"ProtocolNamespace": HOSTILE, "VersionNumberMajor": 1, "VersionNumberMinor": 0, "SchemaID": 1}
    request = {"supportedAppProtocolReq": {"AppProtocol": [{**protocol, "Priority": 1}]}}
    given = json.dumps({"schema": "sap", "json": request}) + "\n"
    encoded = v2x("exi", "encode", given=given)
    assert "exi" in json.loads(encoded), encoded
    line = json.dumps({"schema": "sap", **json.loads(encoded)}) + "\n"
    for options in ((), ("--pretty",), ("--explain",), ("--pretty", "--explain")):
        shown = v2x("exi", "decode", *options, given=line)
        assert "\\u202e" in shown
        assert_neutral(shown)
    shown = v2x("exi", "decode", "--schema", HOSTILE, given=f'{{"schema": "{HOSTILE}"}}\n')
    assert_neutral(shown)
