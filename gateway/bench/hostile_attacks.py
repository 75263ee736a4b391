"""Attackers of `v2x bench hostile`: a process that attacks a gateway from 127.0.0.2 for some seconds.

Usage: `python -m gateway.bench.hostile_attacks ATTACK PORT SECONDS STATIONS`; prints what was sent as one JSON object.
`boot-storm` is no attack: so many known stations connect at once, each with its password, and send a BootNotification.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeAlias

ATTACKERS, STORM, PASSWORD = "EVIL", "STORM", "correct-horse-battery-staple"
SOURCE = ("127.0.0.2", 0)
CONNECTIONS = 8
STORM_WITHIN_S = 60.0
PING, TEXT = 9, 1
Attack: TypeAlias = Callable[[int, Counter[str], int], Awaitable[None]]
HANDSHAKE = (
    "GET /ocpp/{} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: ocpp2.1\r\nAuthorization: Basic {}\r\n\r\n"
)


def frame(opcode: int, content: bytes) -> bytes:
    """Return one masked frame; the mask is zeros."""
    size = len(content)
    length = bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0xFE, size)
    head = bytes([0x80 | opcode]) + length
    return head + bytes(4) + content


def handshake(name: str, password: str) -> bytes:
    """Return a WebSocket handshake with basic authentication."""
    return HANDSHAKE.format(name, base64.b64encode(f"{name}:{password}".encode()).decode()).encode()


async def _flood(port: int, data: bytes, reads: bool, sent: Counter[str], number: int) -> None:
    """Send the same frames over the connection of a registered station, again and again."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=SOURCE, limit=4096)
            sent["requests"] += 1
            writer.write(handshake(f"{ATTACKERS}{number}", PASSWORD))
            reading = asyncio.create_task(_discard(reader)) if reads else None
            try:
                while True:
                    writer.write(data)
                    await writer.drain()
                    sent["bytes"] += len(data)
            finally:
                writer.close()
                if reading is not None:
                    reading.cancel()
        await asyncio.sleep(0.2)


async def _discard(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(65_536):
            pass


async def _knock(port: int, request: Callable[[int], bytes], sent: Counter[str]) -> None:
    """Open one connection after the other, each with one request."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=SOURCE)
            sent["requests"] += 1
            writer.write(request(sent["requests"]))
            await reader.read(1024)
            writer.close()


async def _hold(port: int, sent: Counter[str]) -> None:
    """Open connections that send nothing."""
    held = []
    while True:
        with contextlib.suppress(OSError):
            held.append(await asyncio.open_connection("127.0.0.1", port, local_addr=SOURCE))
            sent["requests"] += 1
        await asyncio.sleep(0.002)


def _client_hello() -> bytes:
    """Return the first message of a TLS handshake, upon which the server signs."""
    outgoing, context = ssl.MemoryBIO(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


async def boot_storm(port: int, sent: Counter[str], stations: int) -> None:
    """Let stations connect and boot at once, again after a second where they are refused; end with the last."""
    began, served = time.monotonic(), asyncio.Event()

    async def station(name: str) -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=SOURCE)
            sent["requests"] += 1
            writer.write(handshake(name, PASSWORD) + frame(TEXT, BOOT))
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                if b" 101 " in await reader.readuntil(b"\r\n\r\n"):
                    await reader.readuntil(b'"status"')
                    sent["served"] += 1
                    sent["served_after_ms"] = round((time.monotonic() - began) * 1000)
                    if sent["served"] == stations:
                        served.set()
                    await served.wait()
                    return
            writer.close()
            await asyncio.sleep(1.0)

    await asyncio.gather(*(station(f"{STORM}{number}") for number in range(stations)))


def _flooding(data: bytes, reads: bool = True) -> Attack:
    return lambda port, sent, number: _flood(port, data, reads, sent, number)


def _knocking(request: Callable[[int], bytes]) -> Attack:
    return lambda port, sent, number: _knock(port, request, sent)


BOOT = b'[2,"1","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v"}}]'
HELLO = _client_hello()
TLS, BOOT_STORM = "tls-half-handshakes", "boot-storm"
NESTED = b'[2,"1","DataTransfer",{"data":' + b"[" * 254 + b"]" * 254 + b',"x":1}]'
LARGE = json.dumps([2, "1", "DataTransfer", {"vendorId": "x", "data": "y" * 60_000}]).encode()
ATTACKS: dict[str, Attack] = {
    "ping-not-reading": _flooding(frame(PING, b"x" * 125) * 500, reads=False),
    "ping": _flooding(frame(PING, b"") * 4000),
    "calls": _flooding(frame(TEXT, b'[2,"1","Heartbeat",{}]') * 1000),
    "large-messages": _flooding(frame(TEXT, LARGE)),
    "nested-json": _flooding(frame(TEXT, NESTED) * 100),
    "handshakes": _knocking(lambda number: handshake(f"nobody{number}", "x")),
    "guessing": _knocking(lambda number: handshake(f"{ATTACKERS}{number % 8}", f"guess {number}")),
    TLS: _knocking(lambda _: HELLO),
    "bad-http": _knocking(lambda _: b"X\r\n\r\n"),
    "idle-connections": lambda port, sent, _: _hold(port, sent),
}


async def attack(name: str, port: int, seconds: float, stations: int, sent: Counter[str]) -> None:
    """Run one attack."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STORM_WITHIN_S if name == BOOT_STORM else seconds):
            if name == BOOT_STORM:
                await boot_storm(port, sent, stations)
            else:
                await asyncio.gather(*(ATTACKS[name](port, sent, number) for number in range(CONNECTIONS)))


def main(name: str, port: str, seconds: str, stations: str) -> None:
    """Run one attack and print what was sent."""
    sent: Counter[str] = Counter()
    asyncio.run(attack(name, int(port), float(seconds), int(stations), sent))
    size = round(sent.pop("bytes", 0) / 1e6, 1)
    print(json.dumps({"sent_mb": size, **sent}))


if __name__ == "__main__":
    main(*sys.argv[1:])
