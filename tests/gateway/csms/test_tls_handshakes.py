"""TLS handshakes in turns: a flood of half ones from one address delays no station elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from gateway.csms import tls_handshakes
from gateway.csms.tls_handshakes import MAX_AT_ONCE, MAX_WAITING, PER_S, TlsHandshakes
from tests.gateway.csms.test_security import PASSWORD, Authority, basic, serving

ELSEWHERE = ("127.0.0.2", 0)


def client_hello() -> bytes:
    """Return the first message of a TLS handshake, upon which a server signs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def held(ended: asyncio.Event) -> Callable[[TlsHandshakes, str, Counter[str]], Callable[[], Awaitable[None]]]:
    """Return what makes handshakes that last until an event."""

    def make(turns: TlsHandshakes, address: str, begun: Counter[str]) -> Callable[[], Awaitable[None]]:
        async def handshake() -> None:
            async with turns.turn(address):
                begun[address] += 1
                await ended.wait()

        return handshake

    return make


@pytest.mark.virtual_time
async def test_handshakes_begin_at_a_rate_in_turns_of_their_addresses() -> None:
    turns, begun, ended = TlsHandshakes(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)), Counter[str](), asyncio.Event()
    ended.set()
    make = held(ended)
    for _ in range(MAX_WAITING):
        assert turns.start("a", make(turns, "a", begun))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    at_once = begun["a"]
    assert at_once == tls_handshakes.BURST
    for address in ("b", "c"):
        assert turns.start(address, make(turns, address, begun))  # type: ignore[arg-type]
    await asyncio.sleep(5.5 / PER_S)
    assert (begun["b"], begun["c"]) == (1, 1)
    await asyncio.sleep(1.0)
    assert begun["a"] <= at_once + (1.0 + 6 / PER_S) * PER_S
    await asyncio.sleep(MAX_WAITING / PER_S)
    assert begun["a"] == MAX_WAITING


@pytest.mark.virtual_time
async def test_slow_handshakes_of_an_address_delay_no_other() -> None:
    turns, begun, ended = TlsHandshakes(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)), Counter[str](), asyncio.Event()
    make = held(ended)
    started = [turns.start("a", make(turns, "a", begun)) for _ in range(MAX_WAITING)]  # type: ignore[arg-type]
    await asyncio.sleep(5)
    assert begun["a"] == MAX_AT_ONCE
    started += [turns.start("a", make(turns, "a", begun)) for _ in range(MAX_AT_ONCE)]  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert all(started)
    assert not turns.start("a", make(turns, "a", begun))  # type: ignore[arg-type]
    assert turns.start("b", make(turns, "b", begun))  # type: ignore[arg-type]
    await asyncio.sleep(2 / PER_S)
    assert begun["b"] == 1
    turns.close()
    await asyncio.sleep(0)


async def test_half_handshakes_of_one_address_delay_no_station_elsewhere(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    certificate, key = ca.issue("localhost")
    about = {"security_profile": 2, "tls_cert": certificate, "tls_key": key}
    hello, sent = client_hello(), Counter[str]()

    async def attack(port: int, reads: bool) -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=ELSEWHERE)
                try:
                    writer.write(hello)
                    sent["hello"] += 1
                    if reads and await reader.read(1):
                        sent["signed"] += 1
                    else:
                        await asyncio.sleep(0.05)
                finally:
                    writer.transport.abort()

    async with serving(**about) as (_, port):
        attacks = [asyncio.create_task(attack(port, number % 2 == 0)) for number in range(40)]
        await asyncio.sleep(0.5)
        context = ssl.create_default_context(cafile=str(ca.file))
        before, began = sent["signed"], asyncio.get_running_loop().time()
        for _ in range(3):
            async with (
                asyncio.timeout(20),
                connect(
                    f"wss://localhost:{port}/ocpp/CP1",
                    ssl=context,
                    subprotocols=[Subprotocol("ocpp2.1")],
                    additional_headers=basic("CP1", PASSWORD),
                    proxy=None,
                ) as socket,
            ):
                await (await socket.ping())
        between, passed_s = sent["signed"] - before, asyncio.get_running_loop().time() - began
        for task in attacks:
            task.cancel()
        await asyncio.gather(*attacks, return_exceptions=True)
        await asyncio.sleep(0.1)  # for the transports that were aborted
    assert sent["hello"] > 50
    assert between <= 2 * MAX_AT_ONCE + PER_S * passed_s, sent


async def test_waiting_handshakes_do_not_delay_the_end(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    certificate, key = ca.issue("localhost")
    about = {"security_profile": 2, "tls_cert": certificate, "tls_key": key}
    idle = []
    async with serving(**about) as (_, port):
        for _ in range(MAX_AT_ONCE + 20):
            idle.append(await asyncio.open_connection("127.0.0.1", port))
        await asyncio.sleep(0.2)
    async with asyncio.timeout(3):
        for reader, writer in idle:
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
