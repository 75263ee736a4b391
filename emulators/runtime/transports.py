"""Streams in memory: pairs of `protocols.ports.Wire` and `TextWire` that behave like sockets on a good or a bad day.

Every pair has one `Link`, which a test or a scenario may slow down, cut, half-open or tamper with while both ends are
in use. What to do to a link and when is decided in `faults.py`; brokers are in `broker.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

M = TypeVar("M", bytes, str)

BYTES_WITHIN = 1 << 20  # bytes on their way in one direction before the writer has to wait
MESSAGES_WITHIN = 1024  # messages likewise

# Turns one piece on its way into what arrives: (further seconds of delay, piece) each, in order. [] loses it.
Tamper = Callable[[str, M], Iterable[tuple[float, M]]]


@dataclass(slots=True)
class Link(Generic[M]):
    """What lies between two ends. Change it at any time; it holds for what is written from then on."""

    latency_s: float = 0.0
    tamper: Tamper[M] | None = None  # called with the name of the sender and the piece
    silent: set[str] = field(default_factory=set)  # senders whose pieces vanish: a half-open link
    count: dict[str, int] = field(default_factory=dict)  # pieces written, by sender
    spy: Callable[[str, M], None] | None = None  # sees every piece as it was written, by sender
    _lanes: list[_Lane[M]] = field(default_factory=list)

    def cut(self) -> None:
        """Both ends see the end of the stream; what is on its way is lost."""
        for lane in self._lanes:
            lane.cut()


class _Lane(Generic[M]):
    """One direction. Keeps order whatever the delays, and makes a writer wait when too much is on its way."""

    def __init__(self, sender: str, link: Link[M], bound: int, weight: Callable[[M], int]) -> None:
        self.sender = sender
        self.link: Link[M] = link
        self.bound = bound
        self.weight: Callable[[M], int] = weight
        self.arrived: deque[M] = deque()
        self.travelling: deque[tuple[float, M | None]] = deque()  # None is the end of the stream
        self.load = 0
        self.ended = False  # the sender closed: the reader gets what is left, then the end
        self.dead = False  # nobody reads any more
        self.reader: asyncio.Future[None] | None = None
        self.writers: deque[asyncio.Future[None]] = deque()
        link._lanes.append(self)

    async def put(self, piece: M) -> None:
        if self.ended or self.dead:
            raise ConnectionResetError(f"{self.sender}: the other end is gone")
        link = self.link
        link.count[self.sender] = link.count.get(self.sender, 0) + 1
        if link.spy is not None:
            link.spy(self.sender, piece)
        if self.sender in link.silent:
            return
        if link.tamper is None:
            self._send(link.latency_s, piece)
        else:
            for delay, part in link.tamper(self.sender, piece):
                self._send(link.latency_s + delay, part)
        while self.load > self.bound and not self.dead:
            waiter = asyncio.get_running_loop().create_future()
            self.writers.append(waiter)
            await waiter
        if self.dead:
            raise ConnectionResetError(f"{self.sender}: the other end is gone")

    def _send(self, delay: float, piece: M | None) -> None:
        if piece is not None:
            self.load += self.weight(piece)
        if delay <= 0 and not self.travelling:
            self._arrive(piece)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + max(delay, 0.0)
        if self.travelling:
            due = max(due, self.travelling[-1][0])
        self.travelling.append((due, piece))
        if len(self.travelling) == 1:
            loop.call_at(due, self._deliver)

    def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        while self.travelling and self.travelling[0][0] <= loop.time() + 1e-9:
            self._arrive(self.travelling.popleft()[1])
        if self.travelling:
            loop.call_at(self.travelling[0][0], self._deliver)

    def _arrive(self, piece: M | None) -> None:
        if piece is None:
            self.ended = True
        elif self.dead:
            return
        else:
            self.arrived.append(piece)
        self._wake()

    def _wake(self) -> None:
        if self.reader is not None and not self.reader.done():
            self.reader.set_result(None)

    async def get(self) -> M | None:
        """The next piece; None is the end of the stream."""
        while not self.arrived:
            if self.ended or self.dead:
                return None
            if self.reader is not None and not self.reader.done():
                raise RuntimeError(f"two readers on one wire from {self.sender}")
            self.reader = asyncio.get_running_loop().create_future()
            await self.reader
        piece = self.arrived.popleft()
        self.load -= self.weight(piece)
        while self.writers and self.load <= self.bound:
            writer = self.writers.popleft()
            if not writer.done():
                writer.set_result(None)
        return piece

    def finish(self) -> None:
        """The sender closes: after what is on its way comes the end."""
        if not self.ended and not self.dead and self.sender not in self.link.silent:
            self._send(self.link.latency_s, None)

    def cut(self) -> None:
        """The stream is gone at once, for both."""
        self.dead = True
        self.arrived.clear()
        self.travelling.clear()
        self.load = 0
        self._wake()
        while self.writers:
            writer = self.writers.popleft()
            if not writer.done():
                writer.set_result(None)


class MemoryWire:
    """One end of an ordered stream of bytes; a `protocols.ports.Wire`."""

    def __init__(self, peer: str, inward: _Lane[bytes], outward: _Lane[bytes], link: Link[bytes]) -> None:
        self._peer, self._inward, self._outward, self.link = peer, inward, outward, link
        self._closed = False

    @property
    def peer(self) -> str:
        return self._peer

    async def read(self) -> bytes:
        return (await self._inward.get() or b"") if not self._closed else b""

    async def write(self, data: bytes) -> None:
        if self._closed:
            raise ConnectionResetError(f"the wire to {self._peer} is closed")
        if data:
            await self._outward.put(data)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._outward.finish()
            self._inward.cut()


class MemoryTextWire:
    """One end of an ordered stream of text messages; a `protocols.ports.TextWire`."""

    def __init__(self, peer: str, subprotocol: str, inward: _Lane[str], outward: _Lane[str], link: Link[str]) -> None:
        self._peer, self._subprotocol = peer, subprotocol
        self._inward, self._outward, self.link = inward, outward, link
        self._closed = False
        self.close_code: int | None = None  # what this end said when it closed
        self.close_reason = ""

    @property
    def peer(self) -> str:
        return self._peer

    @property
    def subprotocol(self) -> str:
        return self._subprotocol

    async def receive(self) -> str | None:
        return await self._inward.get() if not self._closed else None

    async def send(self, text: str) -> None:
        if self._closed:
            raise ConnectionResetError(f"the wire to {self._peer} is closed")
        await self._outward.put(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if not self._closed:
            self._closed = True
            self.close_code, self.close_reason = code, reason
            self._outward.finish()
            self._inward.cut()


def wire_pair(
    a: str = "a", b: str = "b", *, link: Link[bytes] | None = None, bound: int = BYTES_WITHIN
) -> tuple[MemoryWire, MemoryWire]:
    """The two ends of a byte stream: first the one that `a` holds (its `peer` is `b`), then the other."""
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
    """The two ends of a message stream: first the one that `a` holds (its `peer` is `b`), then the other."""
    link = link if link is not None else Link()
    from_a: _Lane[str] = _Lane(a, link, bound, lambda _: 1)
    from_b: _Lane[str] = _Lane(b, link, bound, lambda _: 1)
    return MemoryTextWire(b, subprotocol, from_b, from_a, link), MemoryTextWire(a, subprotocol, from_a, from_b, link)


def split(chunk: int, every_s: float = 0.0) -> Tamper[bytes]:
    """Cut every write into pieces of `chunk` bytes, `every_s` apart: byte by byte is `split(1)`."""

    def cut(_: str, data: bytes) -> list[tuple[float, bytes]]:
        return [(n * every_s, data[i : i + chunk]) for n, i in enumerate(range(0, len(data), chunk))]

    return cut
