"""Autobahn's WebSocket cases at the connection class of the OCPP port, which passes whole messages on by itself.

The suite expects an echo: the server of the test returns every message, texts through the sink that OCPP uses. The
performance (9) and compression (12, 13) cases are left out. The same cases at a running gateway, which answers none
of them with an echo, end connections only.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from protocols.ocpp.io import PushingConnection
from tests.fuzz.autobahn import wstest
from tests.fuzz.gateway_program import gateway_program

FEW = ("1.1.*", "2.*", "5.*")
ALL = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
# a Close within a fragmented message: `websockets` closes with 1002 instead of 1000, after the same messages
OTHERWISE = {"7.1.5"}
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}


async def echo(connection: ServerConnection) -> None:
    assert isinstance(connection, PushingConnection)
    connection.sink = lambda text: [text]
    try:
        async for message in connection:
            connection.queued -= 1
            await connection.send(message)
    except ConnectionClosed:
        pass


def command(folder: Path, port: int, cases: Sequence[str]) -> list[str]:
    specification = {
        "outdir": str(folder / "report"),
        "servers": [{"agent": "v2x", "url": f"ws://127.0.0.1:{port}/ocpp/CP1"}],
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (folder / "cases.json").write_text(json.dumps(specification))
    return [*wstest(), "-m", "fuzzingclient", "-s", str(folder / "cases.json")]


async def run(folder: Path, cases: Sequence[str], within_s: float) -> None:
    async with serve(echo, "127.0.0.1", 0, compression=None, create_connection=PushingConnection) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        program = command(folder, port, cases)
        process = await asyncio.create_subprocess_exec(*program, stdout=subprocess.DEVNULL, cwd=folder)
        async with asyncio.timeout(within_s):
            assert await process.wait() == 0
    results = json.loads((folder / "report" / "index.json").read_text())["v2x"]
    bad = {name: one for name, one in results.items() if not {one["behavior"], one["behaviorClose"]} <= GOOD}
    assert results
    assert bad.keys() <= OTHERWISE, bad


@pytest.mark.peer
async def test_some_cases(tmp_path: Path) -> None:
    await run(tmp_path, FEW, 60)


@pytest.mark.peer
@pytest.mark.soak
async def test_all_cases(tmp_path: Path) -> None:
    await run(tmp_path, ALL, 1200)


@pytest.mark.peer
@pytest.mark.soak
def test_all_cases_at_a_gateway(tmp_path: Path) -> None:
    with gateway_program(tmp_path) as gateway:
        program = command(tmp_path, gateway.ocpp, ALL)
        subprocess.run(program, cwd=tmp_path, stdout=subprocess.DEVNULL, timeout=1200, check=True)
