"""Interfaces between engines' adapters and their environment: clock, byte stream, message stream, MQTT broker.

Implemented over sockets in the `io.py` files and in memory in `emulators/runtime/transports.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from typing import Protocol, runtime_checkable

from protocols.frozen import frozen


class Scope(Protocol):
    """The block of a time-out, as of `asyncio.timeout`."""

    def reschedule(self, when: float | None) -> None:
        """Set the deadline, in time of the event loop."""


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Do not call; without effect afterwards."""


class Clock(Protocol):
    """Monotonic time and wall-clock time, both in seconds."""

    def now(self) -> float:
        """Return monotonic time, for deadlines and leases."""

    def wall(self) -> float:
        """Return Unix time (UTC), for published timestamps."""

    async def sleep(self, seconds: float) -> None:
        """Return `seconds` later."""

    def timeout_at(self, deadline: float | None) -> AbstractAsyncContextManager[Scope]:
        """Raise TimeoutError inside the block when monotonic time reaches `deadline`; None never expires."""

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call back when monotonic time reaches `when`."""


class Wire(Protocol):
    """An ordered stream of bytes, such as a TCP connection."""

    @property
    def peer(self) -> str:
        """Name of the peer for log lines."""

    async def read(self) -> bytes:
        """Return the next bytes, in any segmentation; b"" is the end of the stream."""

    async def write(self, data: bytes) -> None:
        """Send in one piece. Raises ConnectionError when the stream has ended."""

    async def close(self) -> None:
        """End the stream; idempotent."""


class PushingWire(ABC):
    """A `Wire` that can pass bytes on where it receives them, and send without waiting; not by structure but by
    inheritance, as a wire around another one may change or observe what is read and written.
    """

    @abstractmethod
    def push_to(self, sink: Callable[[bytes], object]) -> None:
        """Pass what has arrived and arrives to `sink` instead of to `read`; b"" is the end of the stream."""

    @abstractmethod
    def send(self, data: bytes) -> bool:
        """Send in one piece; False: the peer does not read, and `drain` is to be awaited before more is sent. Raises
        ConnectionError when the stream has ended.
        """

    @abstractmethod
    async def drain(self) -> None:
        """Return when the peer has read. Raises ConnectionError when the stream has ended."""


@runtime_checkable
class PushesText(Protocol):
    """A `TextWire` that passes messages on where it receives them."""

    def push_to(self, sink: Callable[[str], list[str]]) -> None:
        """Pass messages to `sink`, which returns the messages to send, instead of to `receive` where possible."""


@runtime_checkable
class SendsAtOnce(Protocol):
    """A `TextWire` that can send without waiting."""

    def send_at_once(self, text: str) -> bool:
        """Send one message without waiting, where the peer reads what it is sent; False: it was not sent."""


@runtime_checkable
class AnswersPing(Protocol):
    """A `TextWire` whose peer can be tested."""

    async def answers(self, within_s: float) -> bool:
        """Return whether the peer answers to a Ping in time."""


class TextWire(Protocol):
    """An ordered stream of text messages, such as a WebSocket."""

    @property
    def peer(self) -> str:
        """Name of the peer for log lines."""

    @property
    def subprotocol(self) -> str:
        """The negotiated subprotocol."""

    async def receive(self) -> str | None:
        """Return the next message; None is the end of the stream."""

    async def send(self, text: str) -> None:
        """Send one message. Raises ConnectionError when the stream has ended."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the stream; idempotent."""


@frozen
class BusMessage:
    """One MQTT message, in or out. Fields of MQTT 5 are empty on 3.1.1.

    Of a received one: `redelivered` where the broker sends it again, `arrived` in monotonic time.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    response_topic: str | None = None
    correlation_data: bytes | None = None
    expiry_s: int | None = None
    user_properties: tuple[tuple[str, str], ...] = field(default=())
    redelivered: bool = False
    arrived: float | None = None


class Bus(Protocol):
    """A connection to an MQTT broker, established while its context is entered."""

    @property
    def keeps_session(self) -> bool:
        """True where the broker sends the next link what is not acknowledged at the end of this one."""

    def acknowledge(self, message: BusMessage) -> None:
        """Confirm that a received message of QoS 1 is processed."""

    async def publish(self, message: BusMessage) -> None:
        """Publish a message; QoS 1 returns after the broker's acknowledgement. Raises ConnectionError when not
        connected."""

    async def subscribe(self, topic_filter: str, qos: int = 1) -> None:
        """Subscribe to a topic filter."""

    async def unsubscribe(self, topic_filter: str) -> None:
        """End a subscription."""

    def messages(self) -> AsyncIterator[BusMessage]:
        """Yield received messages until the connection is lost (ConnectionError) or the bus is closed
        (StopAsyncIteration)."""
