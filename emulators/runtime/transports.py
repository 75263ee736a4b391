"""Transports in memory: pairs of `protocols.ports.Wire` and `TextWire` that behave like sockets.

Every pair has one `Link`, to which tests and faults can add latency, tampering, a half-open state or a cut. Brokers are
in `memory_broker.py` and `embedded_broker.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, NoReturn, TypeVar

from protocols.ports import PushingWire

M = TypeVar("M", bytes, str)

BYTES_WITHIN = 1 << 20  # bytes in transit in one direction before the writer has to wait
MESSAGES_WITHIN = 1024  # messages in transit in one direction

# Maps (sender, message) to its deliveries: (additional delay in s, message) each, in order. [] loses it.
Tamper = Callable[[str, M], Iterable[tuple[float, M]]]


@dataclass(slots=True)
class Link(Generic[M]):
    """Properties of the connection between two ends. A change applies to what is written from then on."""

    latency_s: float = 0.0
    tamper: Tamper[M] | None = None
    silent: set[str] = field(default_factory=set)  # senders whose messages are lost: a half-open connection
    count: dict[str, int] = field(default_factory=dict)  # messages written, by sender
    on_write: Callable[[str, M], None] | None = None  # called with (sender, message), before tampering
    _lanes: list[_Lane[M]] = field(default_factory=list)

    @property
    def senders(self) -> list[str]:
        """Names of both ends."""
        return [lane.sender for lane in self._lanes]

    def cut(self) -> None:
        """Close the stream for both ends; data in transit is lost."""
        for lane in self._lanes:
            lane.cut()


class _Lane(Generic[M]):
    """One direction of a stream. Keeps the order at any delay; writers wait while too much data is in transit."""

    def __init__(self, sender: str, link: Link[M], bound: int, weight: Callable[[M], int]) -> None:
        self.sender = sender
        self.link: Link[M] = link
        self.bound = bound
        self.weight: Callable[[M], int] = weight
        self.arrived: deque[M] = deque()
        self.travelling: deque[tuple[float, M | None]] = deque()  # None is the end of the stream
        self.load = 0
        self.ended = False  # the sender closed: the reader receives the rest, then the end
        self.dead = False  # the reader closed, or the link was cut
        self.reader: asyncio.Future[None] | None = None
        self.writers: deque[asyncio.Future[None]] = deque()
        self.sink: Callable[[M], object] | None = None  # gets what arrives, instead of the reader
        self.at_end: Callable[[], object] | None = None  # is called at the end of the stream
        link._lanes.append(self)

    def offer(self, message: M) -> bool:
        """Send a message; return whether another one may follow at once, else wait for `drain`."""
        if self.ended or self.dead:
            self._raise_dead()
        link = self.link
        link.count[self.sender] = link.count.get(self.sender, 0) + 1
        if link.on_write is not None:
            link.on_write(self.sender, message)
        if self.sender in link.silent:
            return True
        if link.tamper is None:
            self._send(link.latency_s, message)
        else:
            for delay, part in link.tamper(self.sender, message):
                self._send(link.latency_s + delay, part)
        if self.dead:
            self._raise_dead()
        return self.load <= self.bound

    async def drain(self) -> None:
        """Return when another message may be sent."""
        while self.load > self.bound and not self.dead:
            waiter = asyncio.get_running_loop().create_future()
            self.writers.append(waiter)
            await waiter
        if self.dead:
            self._raise_dead()

    def _raise_dead(self) -> NoReturn:
        raise ConnectionResetError(f"{self.sender}: the peer has closed the connection")

    def push_to(self, sink: Callable[[M], object], at_end: Callable[[], object] | None = None) -> None:
        """Pass what has arrived and arrives to a sink, and the end of the stream where `at_end` is given."""
        while self.arrived:
            message = self.arrived.popleft()
            self.load -= self.weight(message)
            sink(message)
        self.sink, self.at_end = sink, at_end
        self._release_writers()
        self._wake()

    def _send(self, delay: float, message: M | None) -> None:
        if message is not None:
            self.load += self.weight(message)
        if delay <= 0 and not self.travelling:
            self._arrive(message)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + max(delay, 0.0)
        if self.travelling:
            due = max(due, self.travelling[-1][0])
        self.travelling.append((due, message))
        if len(self.travelling) == 1:
            loop.call_at(due, self._deliver)

    def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        while self.travelling and self.travelling[0][0] <= loop.time() + 1e-9:
            self._arrive(self.travelling.popleft()[1])
        if self.travelling:
            loop.call_at(self.travelling[0][0], self._deliver)

    def _arrive(self, message: M | None) -> None:
        if message is None:
            self.ended = True
        elif self.dead:
            return
        elif self.sink is not None:
            self.load -= self.weight(message)
            self._release_writers()
            asyncio.get_running_loop().call_soon(self.sink, message)  # not within what the sender does
            return
        else:
            self.arrived.append(message)
        self._wake()

    def _wake(self) -> None:
        if self.at_end is not None and (self.ended or self.dead):
            asyncio.get_running_loop().call_soon(self.at_end)
        if self.reader is not None and not self.reader.done():
            self.reader.set_result(None)

    async def get(self) -> M | None:
        """Return the next message, None at the end of the stream."""
        while not self.arrived:
            if self.ended or self.dead:
                return None
            if self.reader is not None and not self.reader.done():
                raise RuntimeError(f"two readers of one stream from {self.sender}")
            self.reader = asyncio.get_running_loop().create_future()
            await self.reader
        message = self.arrived.popleft()
        self.load -= self.weight(message)
        self._release_writers()
        return message

    def _release_writers(self) -> None:
        while self.writers and self.load <= self.bound:
            writer = self.writers.popleft()
            if not writer.done():
                writer.set_result(None)

    def finish(self) -> None:
        """Close the sending end: the stream ends after the data in transit."""
        if not self.ended and not self.dead and self.sender not in self.link.silent:
            self._send(self.link.latency_s, None)

    def cut(self) -> None:
        """Close the stream for both ends at once."""
        self.dead = True
        self.arrived.clear()
        self.travelling.clear()
        self.load = 0
        self._wake()
        self._release_writers()


class _End(Generic[M]):
    """One end of a stream."""

    def __init__(self, peer: str, inward: _Lane[M], outward: _Lane[M], link: Link[M]) -> None:
        self.peer = peer
        self._inward: _Lane[M] = inward
        self._outward: _Lane[M] = outward
        self.link: Link[M] = link
        self._closed = False

    def _offer(self, message: M) -> bool:
        if self._closed:
            raise ConnectionResetError(f"the connection to {self.peer} is closed")
        return self._outward.offer(message)

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._outward.finish()
            self._inward.cut()


class MemoryWire(_End[bytes], PushingWire):
    """One end of an ordered stream of bytes; a `protocols.ports.PushingWire`."""

    async def read(self) -> bytes:
        return (await self._inward.get() or b"") if not self._closed else b""

    async def write(self, data: bytes) -> None:
        if not self.send(data):
            await self.drain()

    def push_to(self, sink: Callable[[bytes], object]) -> None:
        self._inward.push_to(sink, lambda: sink(b""))

    def send(self, data: bytes) -> bool:
        return not data or self._offer(data)

    async def drain(self) -> None:
        await self._outward.drain()

    async def close(self) -> None:
        self._close()


class MemoryTextWire(_End[str]):
    """One end of an ordered stream of text messages; a `protocols.ports.TextWire`."""

    close_code: int | None = None  # with which this end closed

    def __init__(self, peer: str, subprotocol: str, inward: _Lane[str], outward: _Lane[str], link: Link[str]) -> None:
        super().__init__(peer, inward, outward, link)
        self.subprotocol = subprotocol

    async def receive(self) -> str | None:
        return await self._inward.get() if not self._closed else None

    async def send(self, text: str) -> None:
        if not self._offer(text):
            await self._outward.drain()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if not self._closed:
            self.close_code = code
        self._close()


def wire_pair(
    a: str = "a", b: str = "b", *, link: Link[bytes] | None = None, bound: int = BYTES_WITHIN
) -> tuple[MemoryWire, MemoryWire]:
    """Return the two ends of a byte stream: first that of `a` (its `peer` is `b`), then that of `b`."""
    link = link if link is not None else Link()
    from_a: _Lane[bytes] = _Lane(a, link, bound, len)
    from_b: _Lane[bytes] = _Lane(b, link, bound, len)
    return MemoryWire(b, from_b, from_a, link), MemoryWire(a, from_a, from_b, link)


def text_wire_pair(
    a: str = "station",
    b: str = "gateway",
    *,
    subprotocol: str = "ocpp2.1",
    link: Link[str] | None = None,
    bound: int = MESSAGES_WITHIN,
) -> tuple[MemoryTextWire, MemoryTextWire]:
    """Return the two ends of a message stream: first that of `a` (its `peer` is `b`), then that of `b`."""
    link = link if link is not None else Link()
    from_a: _Lane[str] = _Lane(a, link, bound, lambda _: 1)
    from_b: _Lane[str] = _Lane(b, link, bound, lambda _: 1)
    return MemoryTextWire(b, subprotocol, from_b, from_a, link), MemoryTextWire(a, subprotocol, from_a, from_b, link)


def split(chunk: int, every_s: float = 0.0) -> Tamper[bytes]:
    """Return a tampering that splits every write into chunks of `chunk` bytes, `every_s` apart."""

    def tamper(_: str, data: bytes) -> list[tuple[float, bytes]]:
        return [(n * every_s, data[i : i + chunk]) for n, i in enumerate(range(0, len(data), chunk))]

    return tamper
