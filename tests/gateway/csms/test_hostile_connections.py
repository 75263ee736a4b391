"""Stations that send more than the gateway serves, or never read, over real sockets: they only delay themselves."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import time
from collections import Counter

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from gateway.csms import rated_connection
from gateway.csms.rated_connection import RatedConnection
from gateway.csms.settings import StationSettings
from gateway.event_loop import STATIONS_PER_TURN, make_loop
from protocols.ocpp import io
from tests.gateway.csms.test_security import serving
from tests.interop.ocpp_sockets import until

PING, TEXT = 9, 1


def frame(opcode: int, content: bytes) -> bytes:
    """Return one masked frame."""
    size = len(content)
    head = bytes([0x80 | opcode]) + (bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0xFE, size))
    return head + bytes(4) + content  # a mask of zeros


async def raw(port: int, name: str = "CP1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Complete a handshake and return the stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /ocpp/{name} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp2.1\r\n\r\n".encode()
    )
    assert b" 101 " in await reader.readline()
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def flood(writer: asyncio.StreamWriter, data: bytes, seconds: float) -> int:
    """Send the same data until it is not taken any more; return the bytes sent."""
    sent = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                writer.write(data)
                sent += len(data)
                await writer.drain()
    except (TimeoutError, ConnectionError):
        return sent


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[RatedConnection]:
    """Connections that the server accepts."""
    found: list[RatedConnection] = []
    before = RatedConnection.connection_made

    def recorded(self: RatedConnection, transport: asyncio.BaseTransport) -> None:
        found.append(self)
        before(self, transport)

    monkeypatch.setattr(RatedConnection, "connection_made", recorded)
    return found


async def test_a_peer_that_pings_and_never_reads_fills_no_buffer(made: list[RatedConnection]) -> None:
    async with serving(stations=(StationSettings("CP1"),), max_calls_per_s=1e5, max_burst=1_000_000) as (_, port):
        _, writer = await raw(port)
        await flood(writer, frame(PING, b"x" * 125) * 500, 1.0)
        (connection,) = made
        assert connection.transport.get_write_buffer_size() < 2**17  # what the gateway holds
        ended = time.monotonic()
    assert time.monotonic() - ended < 3 * io.CLOSE_WITHIN  # such a peer does not delay the end of the gateway
    writer.close()


async def test_a_peer_that_never_reads_is_disconnected_when_it_counts_as_silent(made: list[RatedConnection]) -> None:
    about = {"ping_interval_s": 0.2, "silent_after_s": 0.6, "max_calls_per_s": 1e5, "max_burst": 1_000_000}
    async with serving(stations=(StationSettings("CP1"),), **about) as (csms, port):
        _, writer = await raw(port)
        flooding = asyncio.create_task(flood(writer, frame(PING, b"x" * 125) * 500, 8.0))
        await until(lambda: csms.stations["CP1"].connected)
        await until(lambda: not csms.stations["CP1"].connected, 8.0)
        await flooding
        writer.close()


async def test_a_connection_ends_where_nothing_is_acknowledged() -> None:
    """As with a cut path: what waits in the kernel, a set-point perhaps, never arrives then."""
    about = {"acknowledged_within_s": 0.5, "max_calls_per_s": 1e5, "max_burst": 1_000_000}
    async with serving(stations=(StationSettings("CP1"),), **about) as (csms, port):
        _, writer = await raw(port)
        flooding = asyncio.create_task(flood(writer, frame(PING, b"x" * 125) * 500, 30.0))
        await until(lambda: csms.stations["CP1"].connected)
        await until(lambda: not csms.stations["CP1"].connected, 15.0)  # silent is a station after 40 s
        await flooding
        writer.close()


@pytest.mark.parametrize("content", [frame(PING, b""), frame(TEXT, b'[2,"1","Heartbeat",{}]'), frame(0xA, b"")])
async def test_frames_are_served_at_their_rate(content: bytes, made: list[RatedConnection]) -> None:
    async with serving(stations=(StationSettings("CP1"),), max_calls_per_s=50, max_burst=100) as (_, port):
        reader, writer = await raw(port)
        reading = asyncio.create_task(reader.read(-1))
        began = time.monotonic()
        await flood(writer, content * 4000, 1.0)
        elapsed = time.monotonic() - began
        (connection,) = made
        share = rated_connection.FRAMES_PER_CALL
        largest = share * (100 + 50 * elapsed) + rated_connection.SLICE / len(content)
        assert 100 <= connection.frames <= largest
        reading.cancel()
        writer.close()


def test_large_messages_of_many_stations_are_read_a_slice_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[tuple[int, int]] = []  # turn of the loop, bytes
    received = RatedConnection.data_received
    turn = 0

    def recorded(self: RatedConnection, data: bytes) -> None:
        parts.append((turn, len(data)))
        received(self, data)

    def count() -> None:
        nonlocal turn
        turn += 1
        asyncio.get_running_loop().call_soon(count)

    async def run() -> int:
        names = [f"CP{number}" for number in range(12)]
        async with serving(stations=tuple(map(StationSettings, names))) as (_, port):
            streams = [await raw(port, name) for name in names]
            monkeypatch.setattr(RatedConnection, "data_received", recorded)
            text = json.dumps([2, "1", "DataTransfer", {"vendorId": "x", "data": "x" * 50_000}])
            count()
            for _, writer in streams:
                writer.write(frame(TEXT, text.encode()))
            for reader, writer in streams:
                assert b'"1"' in await reader.readuntil(b"}]")
                writer.close()
        return len(names) * len(text)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        sent = runner.run(run())
    of_turns = Counter[int]()
    for one, size in parts:
        of_turns[one] += size
    assert max(of_turns.values()) <= STATIONS_PER_TURN * rated_connection.SLICE
    assert sum(of_turns.values()) >= sent


async def test_every_message_of_a_burst_is_answered_in_the_end() -> None:
    async with (
        serving(stations=(StationSettings("CP1"),), max_calls_per_s=500, max_burst=10) as (_, port),
        connect(f"ws://127.0.0.1:{port}/ocpp/CP1", subprotocols=[Subprotocol("ocpp2.1")]) as socket,
    ):
        for number in range(1500):
            await socket.send(json.dumps([2, str(number), "Heartbeat", {}]))
        answered: list[str] = []
        async with asyncio.timeout(20):
            while len(answered) < 1500:
                kind, mid, *_ = json.loads(await socket.recv())
                answered += [mid] if kind in (3, 4) else []
        assert answered == [str(number) for number in range(1500)]


async def test_another_station_is_answered_during_floods_of_one_address() -> None:
    stations = tuple(StationSettings(f"CP{number}") for number in range(9))
    async with serving(stations=stations) as (_, port):
        writers = [(await raw(port, f"CP{number}")) for number in range(1, 9)]
        readers = [asyncio.create_task(reader.read(-1)) for reader, _ in writers]
        floods = [asyncio.create_task(flood(writer, frame(PING, b"") * 4000, 5.0)) for _, writer in writers]
        async with connect(f"ws://127.0.0.1:{port}/ocpp/CP0", subprotocols=[Subprotocol("ocpp2.1")]) as socket:
            for number in range(20):
                await socket.send(json.dumps([2, str(number), "Heartbeat", {}]))
                async with asyncio.timeout(5):
                    await socket.recv()
        for task in (*floods, *readers):
            task.cancel()
        for _, writer in writers:
            writer.close()


async def test_connections_that_send_no_request_are_bounded_per_address() -> None:
    async with serving(stations=(StationSettings("CP1"),)) as (_, port):
        idle = [
            await asyncio.open_connection("127.0.0.1", port) for _ in range(rated_connection.MAX_WITHOUT_REQUEST + 20)
        ]
        async with asyncio.timeout(3):  # the oldest ones are closed, long before the time-out of the handshake
            assert [await reader.read(1) for reader, _ in idle[:20]] == [b""] * 20
        _, writer = await raw(port)
        writer.close()
        for _, one in idle:
            one.close()
