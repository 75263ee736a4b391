"""The pump does not take its own delay for the silence of the peer."""

from __future__ import annotations

import asyncio
import time

from emulators.runtime.clock import RealClock
from protocols.iso15118 import io
from protocols.iso15118.pump import pump

SEQUENCE_S = 0.1


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


async def served(busy_s: float, sends: bool) -> Patient:
    """Return the engine of a connection, after this process was busy for a time in which the peer sent."""
    clock, engines = RealClock(), list[Patient]()

    async def serve(wire: io.TcpWire) -> None:
        engines.append(Patient(clock.now()))
        await pump(engines[0], wire, clock, lambda events: None)

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


async def test_a_request_that_arrived_while_the_process_was_busy_is_in_time() -> None:
    engine = await served(3 * SEQUENCE_S, sends=True)
    assert (engine.received, engine.expired) == (b"request", False)


async def test_silence_is_a_timeout() -> None:
    assert (await served(0.0, sends=False)).expired
