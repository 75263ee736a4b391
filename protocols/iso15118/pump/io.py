"""Pump: runs an engine over a byte stream, for both roles; independent of sockets."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Protocol

from protocols.ports import Clock, PushingWire, Timer, Wire

Report = Callable[[Sequence[object]], None]
Prepare = Callable[[float], None]


class Engine(Protocol):
    """The engine contract of both roles, as far as `pump` uses it."""

    @property
    def ended(self) -> bool: ...

    def receive(self, data: bytes, now: float) -> Sequence[object]: ...
    def expire(self, now: float) -> Sequence[object]: ...
    def data_to_send(self) -> bytes: ...
    def deadline(self) -> float | None: ...


async def pump(
    engine: Engine, wire: Wire, clock: Clock, report: Report, prepare: Prepare | None = None, received: bytes = b""
) -> None:
    """Run `engine` over `wire` until it ends; then close the wire.

    `prepare(now)` is called before the engine receives bytes or time, so that its host can pass measurements.
    `report(events)` receives the events in order. `received`: what has been read from the wire before. A lost wire is
    the end of the stream for the engine.
    """
    pushing: PushingWire = wire if isinstance(wire, PushingWire) else _ReadWire(wire)
    try:
        await _Exchange(engine, pushing, clock, report, prepare).run(received)
        if isinstance(pushing, _ReadWire):
            pushing.raise_error()
    finally:
        if isinstance(pushing, _ReadWire):
            pushing.end()
        await wire.close()


class _Exchange:
    """An engine and its wire: messages and times are processed where they arrive, without waking a task for each."""

    def __init__(
        self, engine: Engine, wire: PushingWire, clock: Clock, report: Report, prepare: Prepare | None
    ) -> None:
        self._engine, self._wire, self._clock = engine, wire, clock
        self._report, self._prepare = report, prepare
        self._arrived: deque[bytes] = deque()
        self._busy = False  # processing, waiting until the peer reads, or ended
        self._full = False  # the peer does not read
        self._timer: Timer | None = None
        self._wakes_at = inf  # time of the timer, which may be before the deadline: most deadlines move on unused
        self._late = False

    async def run(self, received: bytes) -> None:
        """Return when the engine has ended."""
        self._woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if received:
            self._arrived.append(received)
        try:
            self._wire.push_to(self._take)
            self._advance()
            await self._woken
            while self._full:
                try:
                    await self._wire.drain()
                except ConnectionError:
                    self._arrived.append(b"")
                if self._engine.ended:
                    return
                self._full = self._busy = False
                self._woken = asyncio.get_running_loop().create_future()
                self._advance()
                await self._woken
        finally:
            self._busy = True
            if self._timer is not None:
                self._timer.cancel()

    def _take(self, data: bytes) -> None:
        self._arrived.append(data)
        self._advance()

    def _expire(self) -> None:
        """Advance at the time of the timer, after what arrived while this process was busy."""
        deadline, now = self._engine.deadline(), self._clock.now()
        self._late = not self._late and deadline is not None and deadline < now
        if self._late:
            self._timer = self._clock.call_at(now, self._expire)
            return
        self._timer, self._wakes_at = None, inf
        self._advance()

    def _advance(self) -> None:
        """Process all that has arrived or is due."""
        if self._busy:
            return
        self._busy = True
        try:
            while self._next():
                pass
        except Exception as error:
            if not self._woken.done():  # else the pump is cancelled
                self._woken.set_exception(error)
            return
        self._busy = self._full or self._engine.ended
        if self._busy and not self._woken.done():
            self._woken.set_result(None)

    def _next(self) -> bool:
        """Process the next message, or the time if it is due, and send; return False when nothing is left to do."""
        engine, now = self._engine, self._clock.now()
        deadline = None if self._arrived else engine.deadline()
        if self._arrived or (deadline is not None and deadline <= now):
            if self._prepare is not None:
                self._prepare(now)
            self._report(engine.receive(self._arrived.popleft(), now) if self._arrived else engine.expire(now))
            return self._flush()
        if not self._flush():
            return False
        if deadline is not None and deadline < self._wakes_at:
            if self._timer is not None:
                self._timer.cancel()
            self._wakes_at, self._timer = deadline, self._clock.call_at(deadline, self._expire)
        return bool(self._arrived)

    def _flush(self) -> bool:
        """Send what is pending; return whether the engine can go on."""
        if outgoing := self._engine.data_to_send():
            try:
                self._full = not self._wire.send(outgoing)
            except ConnectionError:
                self._report(self._engine.receive(b"", self._clock.now()))
        return not (self._full or self._engine.ended)


class _ReadWire(PushingWire):
    """A wire that does not push, read by a task."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._unsent = b""
        self._reader: asyncio.Task[None] | None = None

    def push_to(self, sink: Callable[[bytes], object]) -> None:
        self._reader = asyncio.get_running_loop().create_task(self._read(sink))

    async def _read(self, sink: Callable[[bytes], object]) -> None:
        try:
            while data := await self._wire.read():
                sink(data)
        except ConnectionError:
            pass
        finally:
            sink(b"")

    def send(self, data: bytes) -> bool:
        self._unsent = data
        return False

    async def drain(self) -> None:
        await self._wire.write(self._unsent)

    def raise_error(self) -> None:
        """Raise the error with which reading has ended, unless that is the loss of the wire."""
        if self._reader is not None and self._reader.done() and not self._reader.cancelled():
            self._reader.result()

    def end(self) -> None:
        """Read no more."""
        if self._reader is not None:
            self._reader.cancel()
