"""TCP: addresses, streams of any size, and invalid clients."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from emulators.charger.hardware.power_stage import PowerStage
from emulators.charger.secc.events import SeccEvent, SessionEnded
from emulators.charger.secc.secc import EvseSecc
from emulators.ev.car import Car
from emulators.ev.session import EvSession, car_settings
from emulators.runtime.clock import RealClock
from protocols.iso15118.io import connect, endpoint, listen
from protocols.iso15118.tcp.io import TcpWire


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[::1]:15118", ("::1", 15118)),
        ("[fe80::1%eth0]:50000", ("fe80::1%eth0", 50000)),
        ("127.0.0.1:9", ("127.0.0.1", 9)),
        (":0", ("::", 0)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert endpoint(text) == expected


@pytest.mark.parametrize("text", ["", "host", "[::1]", "[::1]:", "[::1]:x", "[::1]:65536", "[::1]:-1"])
def test_an_invalid_address(text: str) -> None:
    with pytest.raises(ValueError, match="not \\[ADDRESS\\]:PORT"):
        endpoint(text)


async def test_a_stream_carries_more_than_its_read_ahead() -> None:
    async def echo(wire: TcpWire) -> None:
        while data := await wire.read():
            await wire.write(data)

    server = await listen(echo, "::1", 0)
    wire = await connect("::1", server.port)
    sent, got = bytes(range(256)) * 12_000, bytearray()

    async def receive() -> None:
        while len(got) < len(sent):
            got.extend(await wire.read())

    await asyncio.gather(wire.write(sent), receive())
    assert got == sent
    assert wire.tls_version is None
    assert wire.peer_certificate is None
    await wire.close()
    await wire.close()
    with pytest.raises(ConnectionError):
        await wire.write(b"more")
    assert await wire.read() == b""
    await server.close()


async def test_no_listener() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionError, match="cannot connect"):
        await connect("::1", port)


@pytest.mark.parametrize(
    "rubbish", [b"GET / HTTP/1.1\r\n\r\n", b"\x01\xfe\x80\x01\x00\x00\x00\x04\xff\xff\xff\xff", b""]
)
async def test_an_invalid_client_does_not_block_the_next_session(rubbish: bytes) -> None:
    clock, events = RealClock(), list[SeccEvent]()
    secc = EvseSecc(PowerStage(), clock, events.append, cable_check_s=0)
    server = await listen(secc.serve, "::1", 0)
    bad = await connect("::1", server.port)
    if rubbish:
        await bad.write(rubbish)
        assert await bad.read() == b""
    await bad.close()
    while not events:  # noqa: ASYNC110  the charger's own task has to run
        await asyncio.sleep(0)
    assert isinstance(events[0], SessionEnded)
    assert not events[0].ok
    while secc.connected:  # noqa: ASYNC110
        await asyncio.sleep(0)
    car = Car()
    session = EvSession(car, clock, settings=car_settings(car, loop_interval=0.0, poll_interval=0.0), loops=3)
    ended = await session.run(await connect("::1", server.port))
    assert ended.ok, ended
    await server.close()


async def test_idle_connections_do_not_lock_out_the_car() -> None:
    """Idle ones, one that sends the beginning of a message, and more than are waited for, all before the car."""
    clock, events = RealClock(), list[SeccEvent]()
    secc = EvseSecc(PowerStage(), clock, events.append, cable_check_s=0)
    server = await listen(secc.serve, "::1", 0)
    idle = [await connect("::1", server.port) for _ in range(40)]
    await idle[-1].write(b"\x01\xfe\x80\x01\x00\x00")
    car = Car()
    session = EvSession(car, clock, settings=car_settings(car, loop_interval=0.0, poll_interval=0.0), loops=3)
    ended = await session.run(await connect("::1", server.port))
    assert ended.ok, ended
    assert [one.ok for one in events if isinstance(one, SessionEnded)] == [True]
    for wire in idle:
        await wire.close()
    await server.close()


async def test_an_idle_connection_is_closed_in_time() -> None:
    clock, events = RealClock(), list[SeccEvent]()
    secc = EvseSecc(PowerStage(), clock, events.append)
    secc.settings = replace(secc.settings, setup_timeout=0.3)
    server = await listen(secc.serve, "::1", 0)
    idle = await connect("::1", server.port)
    async with asyncio.timeout(5):
        assert await idle.read() == b""
    await idle.close()
    await server.close()
