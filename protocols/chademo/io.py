"""Connection of an engine to a CAN bus: receive, run cycles when due, send. No rule of CHAdeMO is here.

The bus is one of `protocols/dc_modules/io.py` (python-can) or in memory. Lines are not on it: the host passes them as
orders, which take effect at once, and reads the outputs of the engine after each call of `report`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from protocols.can import CanFrame
from protocols.chademo.events import Event
from protocols.chademo.frames import FROM_CHARGER, FROM_VEHICLE
from protocols.dc_modules.bus import CanBus
from protocols.ports import Clock

Order = TypeVar("Order", contravariant=True)
MOST_WAITING = 256  # frames; the oldest are lost in a flood
_IDS = FROM_VEHICLE | FROM_CHARGER


class Engine(Protocol[Order]):
    """The engine contract of both roles."""

    def receive(self, frame: CanFrame, now: float) -> Sequence[Event]: ...
    def command(self, order: Order, now: float) -> Sequence[Event]: ...
    def expire(self, now: float) -> Sequence[Event]: ...
    def data_to_send(self) -> Sequence[CanFrame]: ...
    def deadline(self) -> float | None: ...


class Connection(Generic[Order]):
    """Runs an engine on a bus until it is cancelled or the bus is lost (ConnectionError).

    `report(events)` is called after each change, also without events. `spacing` is the time between two frames of a
    cycle. `foreign` counts frames of identifiers that CHAdeMO does not use, which are not passed on.
    """

    def __init__(
        self,
        engine: Engine[Order],
        bus: CanBus,
        clock: Clock,
        report: Callable[[Sequence[Event]], None],
        *,
        spacing: float = 0.0,
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._clock = clock
        self._report = report
        self._spacing = spacing
        self._waiting: deque[CanFrame] = deque(maxlen=MOST_WAITING)
        self._changed = asyncio.Event()
        self.foreign = 0

    def command(self, order: Order) -> None:
        """Pass an order to the engine now. Raises LocalProtocolError if it does not fit the state."""
        self._report(self._engine.command(order, self._clock.now()))
        self._changed.set()

    async def run(self) -> None:
        """Run until the bus is lost; closes it."""
        reader = asyncio.ensure_future(self._read())
        try:
            while True:
                await self._send()
                self._changed.clear()
                while self._waiting:
                    self._report(self._engine.receive(self._waiting.popleft(), self._clock.now()))
                now, deadline = self._clock.now(), self._engine.deadline()
                if deadline is not None and deadline <= now:
                    self._report(self._engine.expire(now))
                    continue
                if reader.done():
                    await reader
                await self._wait(deadline)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            await self._bus.close()

    async def _send(self) -> None:
        for number, frame in enumerate(self._engine.data_to_send()):
            if number and self._spacing:
                await self._clock.sleep(self._spacing)
            await self._bus.send(frame)

    async def _wait(self, deadline: float | None) -> None:
        try:
            async with self._clock.timeout_at(deadline):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _read(self) -> None:
        try:
            while True:
                frame = await self._bus.receive()
                if frame.can_id in _IDS and not frame.extended:
                    self._waiting.append(frame)
                    self._changed.set()
                else:
                    self.foreign += 1
        finally:
            self._changed.set()
