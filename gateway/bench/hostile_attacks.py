"""Attackers of `v2x bench hostile`: a process that attacks a gateway from 127.0.0.2 for some seconds.

Usage: `python -m gateway.bench.hostile_attacks ATTACK PORT SECONDS`; prints what was sent as one JSON object.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeAlias

ATTACKERS, PASSWORD = "EVIL", "correct-horse-battery-staple"
SOURCE = ("127.0.0.2", 0)
CONNECTIONS = 8
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


def _flooding(data: bytes, reads: bool = True) -> Attack:
    return lambda port, sent, number: _flood(port, data, reads, sent, number)


def _knocking(request: Callable[[int], bytes]) -> Attack:
    return lambda port, sent, number: _knock(port, request, sent)


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
    "bad-http": _knocking(lambda _: b"X\r\n\r\n"),
    "idle-connections": lambda port, sent, _: _hold(port, sent),
}


async def main(name: str, port: int, seconds: float) -> None:
    """Run one attack."""
    sent: Counter[str] = Counter()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(ATTACKS[name](port, sent, number) for number in range(CONNECTIONS)))
    print(json.dumps({"sent_mb": round(sent["bytes"] / 1e6, 1), "requests": sent["requests"]}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
