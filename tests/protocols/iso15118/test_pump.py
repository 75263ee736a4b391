"""The pump does not take its own delay for the silence of the peer, on wires that push and on those it reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import pytest

from emulators.runtime.clock import RealClock, VirtualClock, run_virtual
from emulators.runtime.transports import wire_pair
from emulators.runtime.wrapped_wire import WrappedWire
from protocols.iso15118 import io
from protocols.iso15118.pump.io import pump
from protocols.iso15118.tcp.io import TcpWire
from protocols.ports import Wire

SEQUENCE_S = 0.1
Kind: TypeAlias = Callable[[Wire], Wire]  # of a wire: as it is, or wrapped


class Patient:
    """Engine that expects bytes within SEQUENCE_S and ends with the first ones."""

    def __init__(self, now: float) -> None:
        self.by, self.received, self.expired = now + SEQUENCE_S, b"", False

    @property
    def ended(self) -> bool:
        return bool(self.received) or self.expired

    def receive(self, data: bytes, now: float) -> list[object]:
        self.received += data
        return []

    def expire(self, now: float) -> list[object]:
        self.expired = True
        return []

    def data_to_send(self) -> bytes:
        return b""

    def deadline(self) -> float | None:
        return self.by


def pushing(wire: Wire) -> Wire:
    return wire


@pytest.fixture(params=[pushing, WrappedWire])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


async def served(busy_s: float, sends: bool, kind: Kind) -> Patient:
    """Return the engine of a connection, after this process was busy for a time in which the peer sent."""
    clock, engines = RealClock(), list[Patient]()

    async def serve(wire: TcpWire) -> None:
        engines.append(Patient(clock.now()))
        await pump(engines[0], kind(wire), clock, lambda events: None)

    server = await io.listen(serve, "127.0.0.1", 0)
    peer = await io.connect("127.0.0.1", server.port)
    while not engines:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    if sends:
        await peer.write(b"request")
    time.sleep(busy_s)  # noqa: ASYNC251 - the event loop is blocked
    while not engines[0].ended:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await peer.close()
    await server.close()
    return engines[0]


async def test_a_request_that_arrived_while_the_process_was_busy_is_in_time(kind: Kind) -> None:
    engine = await served(3 * SEQUENCE_S, sends=True, kind=kind)
    assert (engine.received, engine.expired) == (b"request", False)


async def test_silence_is_a_timeout(kind: Kind) -> None:
    assert (await served(0.0, sends=False, kind=kind)).expired


class Sender(Patient):
    """Engine that sends its messages one after the other, each when the one before was received back, then ends."""

    def __init__(self, messages: list[bytes], now: float) -> None:
        super().__init__(now)
        self.by, self.messages, self.sent, self.lost = now + 3600.0, messages, 0, False

    @property
    def ended(self) -> bool:
        return self.lost or len(self.received) >= sum(map(len, self.messages))

    def receive(self, data: bytes, now: float) -> list[object]:
        self.lost = not data
        return super().receive(data, now)

    def data_to_send(self) -> bytes:
        if self.sent == len(self.messages) or len(self.received) < sum(map(len, self.messages[: self.sent])):
            return b""
        self.sent += 1
        return self.messages[self.sent - 1]


class Echo(Patient):
    """Engine that sends back what it received, until the end of the stream."""

    def __init__(self, now: float) -> None:
        super().__init__(now)
        self.by, self.ends, self.pending = now + 3600.0, False, b""

    @property
    def ended(self) -> bool:
        return self.ends

    def receive(self, data: bytes, now: float) -> list[object]:
        self.pending, self.ends = self.pending + data, not data
        return [data]

    def data_to_send(self) -> bytes:
        pending, self.pending = self.pending, b""
        return pending


def exchanged(kind: Kind, bound: int, report: Callable[[Sequence[object]], None]) -> Sender:
    """Return the engine that has sent messages to one that sends them back; a message is larger than the bound."""

    async def exchange() -> Sender:
        clock = VirtualClock()
        near, far = wire_pair(bound=bound)
        await near.write(b"a")  # before there is a pump
        sender, echo = Sender([b"cd", b"efg", b"h"], clock.now()), Echo(clock.now())
        driving = asyncio.create_task(pump(echo, kind(far), clock, report))
        await clock.sleep(1.0)
        assert await near.read() == b"a"
        await pump(sender, kind(near), clock, lambda events: None)
        await driving
        return sender

    return run_virtual(exchange())


@pytest.mark.parametrize("bound", [1, 1 << 20])
def test_messages_are_sent_back_also_where_the_peer_reads_late(kind: Kind, bound: int) -> None:
    assert exchanged(kind, bound, lambda events: None).received == b"cdefgh"


def test_an_error_of_the_host_ends_the_pump_that_it_belongs_to(kind: Kind) -> None:
    def fails(events: Sequence[object]) -> None:
        if b"efg" in events:
            raise RuntimeError("the host failed")

    with pytest.raises(RuntimeError, match="the host failed"):
        exchanged(kind, 1 << 20, fails)


class Broken(WrappedWire):
    async def read(self) -> bytes:
        raise ValueError("not readable")


@pytest.mark.virtual_time
async def test_an_error_of_the_wire_other_than_its_loss_is_raised() -> None:
    clock = VirtualClock()
    with pytest.raises(ValueError, match="not readable"):
        await pump(Echo(clock.now()), Broken(wire_pair()[0]), clock, lambda events: None)


class Slow(WrappedWire):
    async def write(self, data: bytes) -> None:
        await asyncio.sleep(1.0)
        await super().write(data)


@pytest.mark.virtual_time
async def test_what_arrives_after_the_last_message_is_not_processed() -> None:
    clock = VirtualClock()
    near, far = wire_pair()
    sender = Sender([b"bye"], clock.now())
    sender.received = b"..."  # it ends with its message
    pumping = asyncio.create_task(pump(sender, Slow(far), clock, lambda events: None))
    await asyncio.sleep(0.5)
    await near.write(b"late")
    await pumping
    assert await near.read() == b"bye"
    assert sender.received == b"..."


@pytest.mark.virtual_time
async def test_a_message_after_the_cancellation_of_a_pump_harms_its_sender_not(kind: Kind) -> None:
    clock = VirtualClock()
    near, far = wire_pair()
    pumping = asyncio.create_task(pump(Patient(clock.now()), kind(far), clock, lambda events: None))
    await asyncio.sleep(0)
    pumping.cancel()
    assert near.send(b"request")
    with pytest.raises(asyncio.CancelledError):
        await pumping
