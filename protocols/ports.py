"""What an engine's adapter needs from the world: time, a byte stream, a message stream, a broker.

Sockets implement these in the `io.py` files, memory implements them in `emulators/runtime/transports.py`, and the engines' pumps
cannot tell the difference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from typing import Protocol

from protocols.frozen import frozen


class Clock(Protocol):
    """Time in two kinds, both in seconds."""

    def now(self) -> float:
        """Monotonic time: for deadlines and leases."""

    def wall(self) -> float:
        """Unix time, UTC: for timestamps that others read."""

    async def sleep(self, seconds: float) -> None:
        """Return `seconds` later."""

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[object]:
        """Raise TimeoutError inside the block when monotonic time reaches `deadline`; None waits for ever."""


class Wire(Protocol):
    """An ordered stream of bytes, such as a TCP connection."""

    @property
    def peer(self) -> str:
        """Who is at the other end, for people."""

    async def read(self) -> bytes:
        """The next bytes, however they were cut; b"" is the end of the stream."""

    async def write(self, data: bytes) -> None:
        """Send in one piece; ConnectionError when the stream is gone."""

    async def close(self) -> None:
        """End the stream; safe to call twice."""


class TextWire(Protocol):
    """An ordered stream of text messages, such as a WebSocket."""

    @property
    def peer(self) -> str:
        """Who is at the other end, for people."""

    @property
    def subprotocol(self) -> str:
        """What both ends agreed to speak."""

    async def receive(self) -> str | None:
        """The next message; None is the end of the stream."""

    async def send(self, text: str) -> None:
        """Send one message; ConnectionError when the stream is gone."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the stream; safe to call twice."""


@frozen
class BusMessage:
    """One MQTT message, in or out. Fields of MQTT 5 are empty on 3.1.1."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    response_topic: str | None = None
    correlation_data: bytes | None = None
    expiry_s: int | None = None
    user_properties: tuple[tuple[str, str], ...] = field(default=())


class Bus(Protocol):
    """A link to an MQTT broker, connected while its context is entered."""

    async def publish(self, message: BusMessage) -> None:
        """Hand the message to the broker; QoS 1 returns when the broker has it. ConnectionError if the link is down."""

    async def subscribe(self, topic_filter: str, qos: int = 1) -> None:
        """Ask for messages whose topic matches."""

    def messages(self) -> AsyncIterator[BusMessage]:
        """What arrives, until the link ends (ConnectionError) or the bus is closed (StopAsyncIteration)."""
