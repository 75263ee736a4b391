"""The OCPP port from outside: messages drawn from the schemas and damaged, and boofuzz at handshake, frames and text.

No traceback, no CALLERROR InternalError, bounded memory, and another station is served (`GatewayProgram.check`).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from socket import create_connection
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from protocols.ocpp import schema
from protocols.ocpp.schema import Version
from tests.fuzz.gateway_program import GatewayProgram, gateway_program
from tests.peers import python_peer
from tests.protocols.ocpp.payloads import payloads

BOOFUZZ = "boofuzz==0.4.2"
STATION = Path(__file__).with_name("boofuzz_station.py")
SOAK_SECONDS = int(os.environ.get("V2X_SOAK_SECONDS", "600"))
OPENING = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "ocpp2.1",
}
MESSAGES, SOAK_MESSAGES = 50, 20_000  # of each version
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(max_size=60),
    st.sampled_from(["\0", "\x1b[2J", "\u202e", "x" * 20_000, "9999-99-99T99:99:99Z", "=1+1", "../../etc", "|`<b>"]),
    st.integers(1, 400).map(lambda depth: json.loads("[" * depth + "]" * depth)),
    st.recursive(st.none(), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2)),
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Return every container of a payload with each of its keys."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


@st.composite
def calls(draw: st.DrawFn, version: Version) -> str:
    """Return the text of a call whose payload is valid or has some damage, or of a message that is none."""
    action = draw(st.sampled_from(sorted(schema.actions(version))))
    payload = draw(payloads(version, action))
    for _ in range(draw(st.integers(0, 3))):
        if found := list(places(payload)):
            container, key = draw(st.sampled_from(found))
            if draw(st.booleans()):
                container[key] = deepcopy(draw(JUNK))
            else:
                del container[key]
    message: list[Any] = [2, draw(st.text(max_size=40)), action, payload]
    if draw(st.integers(0, 9)) == 0:
        message[draw(st.integers(0, 3))] = draw(JUNK)
    text = json.dumps(message, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.text(max_size=3)) + text[at + draw(st.integers(0, 3)) :]
    return text.encode("utf-8", "replace").decode()


def opened(gateway: GatewayProgram, version: Version) -> ClientConnection:
    url = f"ws://127.0.0.1:{gateway.ocpp}/ocpp/CP1"
    # without its thread, whose pings draw from `random` while Hypothesis does
    return connect(url, subprotocols=[Subprotocol(version.value)], proxy=None, ping_interval=None)


def exchange(socket: ClientConnection, text: str, number: int) -> None:
    """Send a message and a Heartbeat; read up to the answer of the latter. No answer is an internal error."""
    socket.send(text)
    socket.send(json.dumps([2, f"beat{number}", "Heartbeat", {}]))
    while True:
        answer = json.loads(socket.recv(timeout=20))
        assert answer[0] != 4 or answer[2] != "InternalError", (text, answer)
        if answer[0] in (3, 4) and answer[1] == f"beat{number}":
            return


def attack(folder: Path, messages: int) -> None:
    with gateway_program(folder) as gateway:
        for version in Version:
            attack_as(gateway, version, messages)


def attack_as(gateway: GatewayProgram, version: Version, messages: int) -> None:
    socket, number = opened(gateway, version), 0

    @settings(max_examples=messages, deadline=None, database=None)
    @given(calls(version))
    def run(text: str) -> None:
        nonlocal socket, number
        number += 1
        try:
            exchange(socket, text, number)
        except ConnectionClosed:
            socket = opened(gateway, version)

    run()
    socket.close()


def test_damaged_calls(tmp_path: Path) -> None:
    attack(tmp_path, MESSAGES)


@pytest.mark.soak
def test_damaged_calls_for_long(tmp_path: Path) -> None:
    attack(tmp_path, SOAK_MESSAGES)


def test_headers_that_are_no_ascii(tmp_path: Path) -> None:
    names = ("Sec-WebSocket-Version", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "Upgrade", "Connection", "Host")
    with gateway_program(tmp_path) as gateway:
        for name in (*names, "Origin", "Authorization", "X"):
            with create_connection(("127.0.0.1", gateway.ocpp), 5) as client:
                lines = [f"{one}: {value}" for one, value in OPENING.items() if one != name]
                head = "\r\n".join(["GET /ocpp/CP1 HTTP/1.1", *lines, f"{name}: "]).encode()
                client.sendall(head + b"\xc3\xbf\xff\x80" * 20 + b"\r\n\r\n")
                client.recv(100)


def peer() -> Path:
    """Return the interpreter of the environment of boofuzz."""
    return python_peer("boofuzz", BOOFUZZ)


def boofuzz(folder: Path, seconds: int, seed: int) -> None:
    python = peer()
    with gateway_program(folder) as gateway:
        done = subprocess.run(
            [str(python), str(STATION), str(gateway.ocpp), str(seconds), str(seed)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert int(done.stdout) > 0


@pytest.mark.peer
def test_boofuzz(tmp_path: Path) -> None:
    boofuzz(tmp_path, 3, 1)


@pytest.mark.peer
@pytest.mark.soak
def test_boofuzz_for_long(tmp_path: Path) -> None:
    boofuzz(tmp_path, SOAK_SECONDS, os.getpid())
