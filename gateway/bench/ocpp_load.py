"""Load of `v2x bench ocpp`: many stations in one process, each with one TransactionEvent of 1.2 kB outstanding.

A small client on plain TCP, so that the load costs little beside the server: it writes frames with a mask of zeros and
reads the responses. Not a WebSocket library.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

from gateway.bench.measuring import Figures, JsonProcess, quantile
from protocols.ocpp.times import stamp

SUBPROTOCOL = "ocpp2.0.1"
BOOT_AGAIN_S = 0.5
MESSAGES_PER_PCT = 30  # of the state of charge
_START = 1_793_534_400.0  # 2026-11-01T12:00:00Z; each message is one second later
_SAMPLES = ("Energy.Active.Import.Register", "Energy.Active.Export.Register", "Power.Active.Import", "Voltage", "SoC")
BOOT = {"reason": "PowerUp", "chargingStation": {"model": "bench", "vendorName": "bench"}}


def event(station: object, number: object, soc_pct: object, at: str) -> Figures:
    """Return a TransactionEventRequest of the size that real stations send."""
    values = [
        {
            "value": number if name.startswith("Energy") else soc_pct,
            "measurand": name,
            "context": "Sample.Periodic",
            "location": "Outlet",
        }
        for name in _SAMPLES
        for _ in range(2)
    ]
    return {
        "eventType": "Updated",
        "timestamp": at,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": number,
        "transactionInfo": {"transactionId": f"tx-{station}", "chargingState": "Charging"},
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [{"timestamp": at, "sampledValue": values}],
    }


def frame(payload: bytes) -> bytes:
    """Return one masked text frame; the mask is zeros, so the payload is unchanged."""
    size = len(payload)
    if size < 126:
        head = bytes((0x81, 0x80 | size))
    elif size < 65536:
        head = bytes((0x81, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x81, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


def _answer(call: list[Any]) -> bytes:
    """Return a plain station's response to calls of the gateway: profiles accepted, the rest not implemented."""
    if call[2] == "SetChargingProfile":
        return json.dumps([3, call[1], {"status": "Accepted"}]).encode()
    return json.dumps([4, call[1], "NotSupported", "", {}]).encode()


class Rejected(ConnectionError):
    """A handshake was rejected; `retry_after_s` is what the gateway states."""

    def __init__(self, head: str) -> None:
        super().__init__(head[:100])
        fields = (line.partition(":") for line in head.lower().splitlines())
        stated = next((value.strip() for name, _, value in fields if name == "retry-after"), "")
        self.retry_after_s = float(stated) if stated.isdecimal() else None


class Client(asyncio.Protocol):
    """One station: upgrades the connection, then reports each text message of the server."""

    subprotocol = SUBPROTOCOL

    def __init__(self, number: int, on_text: Callable[[Client, bytes], None]) -> None:
        self.number, self._on_text = number, on_text
        self.upgraded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self.sent_at = 0.0
        self.waiting: asyncio.Future[bytes] | None = None
        self.count = 0
        self.due: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        key = base64.b64encode(self.number.to_bytes(16, "big")).decode()
        lines = (
            f"GET /ocpp/B{self.number} HTTP/1.1", "Host: bench", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Protocol: {self.subprotocol}",
        )  # fmt: skip
        transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.upgraded.done():
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if b" 101 " not in self._buffer[:20]:
                self.upgraded.set_exception(Rejected(self._buffer[:end].decode(errors="replace")))
                return
            del self._buffer[: end + 4]
            self.upgraded.set_result(None)
        buffer = self._buffer
        while len(buffer) >= 2:
            size, start = buffer[1] & 0x7F, 2
            if size == 126:
                size, start = int.from_bytes(buffer[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(buffer[2:10], "big"), 10
            if len(buffer) < start + size:
                return
            kind, payload = buffer[0] & 0x0F, bytes(buffer[start : start + size])
            del buffer[: start + size]
            if kind == 1:
                self._on_text(self, payload)
            elif kind == 9 and self.transport is not None:
                self.transport.write(b"\x8a\x80\0\0\0\0")  # pong

    def send(self, text: bytes) -> None:
        """Send one message."""
        assert self.transport is not None
        self.transport.write(frame(text))

    async def boot(self) -> None:
        """Boot until the station is accepted: in a storm of boots the server may postpone it."""
        while True:
            if b'"Accepted"' in await self.call("BootNotification", BOOT):
                return
            await asyncio.sleep(BOOT_AGAIN_S)

    async def call(self, action: str, payload: Figures) -> bytes:
        """Make one call outside the measurement."""
        self.waiting = asyncio.get_running_loop().create_future()
        self.send(json.dumps([2, f"c{self.number}-{action}", action, payload]).encode())
        return await self.waiting


class Load:
    """All stations of one run."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.latencies: list[float] = []
        self._running = False
        self._closed_loop = True

    async def connect(self, port: int, stations: int) -> None:
        """Open the connections of further stations and boot, some at a time."""
        first = len(self.clients)
        for begin in range(first, first + stations, 50):
            batch = range(begin, min(begin + 50, first + stations))
            new = await asyncio.gather(*(self._open(port, number) for number in batch))
            await asyncio.gather(*(client.boot() for client in new))
            self.clients += new

    async def _open(self, port: int, number: int) -> Client:
        """Open one connection; a gateway that is slow at present rejects some, which come back when it states."""
        while True:
            _, client = await asyncio.get_running_loop().create_connection(
                lambda: Client(number, self._text), "127.0.0.1", port
            )
            try:
                await client.upgraded
            except Rejected as rejected:
                if rejected.retry_after_s is None:
                    raise
                await asyncio.sleep(rejected.retry_after_s)
            else:
                return client

    def _text(self, client: Client, payload: bytes) -> None:
        if client.waiting is not None:
            client.waiting.set_result(payload)
            client.waiting = None
            return
        if not payload.startswith(b"[3"):
            if payload.startswith(b"[2"):
                client.send(_answer(json.loads(payload)))
                return
            raise RuntimeError(f"the server rejected the call: {payload[:200]!r}")
        if not self._running:
            return
        self.latencies.append((time.perf_counter() - client.sent_at) * 1000)
        if self._closed_loop:
            self._next(client)

    def _next(self, client: Client) -> None:
        client.count += 1
        body = _TEMPLATE % {
            "station": client.number,
            "number": client.count,
            "soc_pct": 20 + client.count // MESSAGES_PER_PCT % 60,
            "at": stamp(_START + client.count),
        }
        client.sent_at = time.perf_counter()
        client.send(f'[2,"{client.number}-{client.count}","TransactionEvent",{body}]'.encode())

    async def run(self, seconds: float, rate: float | None = None) -> tuple[int, list[float]]:
        """Send one call per station at a time, or `rate` messages/s over all; return count and latencies, ms."""
        self.latencies, self._running, self._closed_loop = [], True, rate is None
        if rate is None:
            for client in self.clients:
                self._next(client)
            await asyncio.sleep(seconds)
        else:
            begun, sent = time.perf_counter(), 0
            while (now := time.perf_counter()) - begun < seconds:
                while sent < (now - begun) * rate:
                    self._next(self.clients[sent % len(self.clients)])
                    sent += 1
                await asyncio.sleep(0.001)
        self._running = False
        await asyncio.sleep(0.3)
        return len(self.latencies), self.latencies

    def close(self) -> None:
        """Close the connections."""
        for client in self.clients:
            if client.transport is not None:
                client.transport.abort()


_TEMPLATE = json.dumps(event("%(station)s", "%(number)s", "%(soc_pct)s", "%(at)s"), separators=(",", ":"))
for _name in ("number", "soc_pct"):
    _TEMPLATE = _TEMPLATE.replace(f'"%({_name})s"', f"%({_name})s")  # a number, not a text


async def measure(server: JsonProcess, stations: int, seconds: float) -> Figures:
    """Return the figures of one server, which answers with its CPU seconds and memory, with a number of stations."""

    async def usage() -> Figures:
        return await asyncio.to_thread(server.request)

    load = Load()
    started_kb = (await usage())["rss_kb"]
    await load.connect(server.started["port"], 1)  # what all share is loaded for the first one, such as schemas
    before = await usage()
    await load.connect(server.started["port"], stations - 1)
    await asyncio.sleep(0.5)
    idle = await usage()
    await load.run(seconds / 4)
    begun = await usage()
    started = time.perf_counter()
    count, times = await load.run(seconds)
    took = time.perf_counter() - started - 0.3
    ended = await usage()
    rate = count / took
    _, half = await load.run(seconds / 2, rate / 2)
    load.close()
    return {
        "stations": stations,
        "messages_per_s": round(rate),
        "p50_ms": quantile(times, 0.5, 2),
        "p99_ms": quantile(times, 0.99, 2),
        "half_load_p99_ms": quantile(half, 0.99, 2),
        "cpu_us_per_message": round(1e6 * (ended["cpu_s"] - begun["cpu_s"]) / max(count, 1), 1),
        "idle_kb_per_station": round((idle["rss_kb"] - before["rss_kb"]) / max(1, stations - 1), 1),
        "first_station_kb": before["rss_kb"] - started_kb,
    }
