"""CAN bus that is opened again after it was lost; the engine on it runs on and processes the silence by its timers."""

from __future__ import annotations

from collections.abc import Callable

from protocols.can import CanFrame
from protocols.dc_modules.bus import CanBus
from protocols.ports import Clock

REOPEN_S = 2.0  # between two attempts


class ReopeningBus:
    """A bus of the driver. `open_bus` raises ConnectionError or ImportError; `changed(reason)` is called at each loss,
    and with "" when the bus is open."""

    def __init__(self, open_bus: Callable[[], CanBus], clock: Clock, changed: Callable[[str], None]) -> None:
        self._open, self._clock, self._changed = open_bus, clock, changed
        self._bus: CanBus | None = None
        self._reason: str | None = None  # of the loss; "" while it is open

    async def send(self, frame: CanFrame) -> None:
        """Send a frame; it is dropped while there is no bus."""
        bus = self._bus
        if bus is None:
            return
        try:
            await bus.send(frame)
        except ConnectionError as error:
            await self._lose(bus, str(error))

    async def receive(self) -> CanFrame:
        """Return the next frame, after as many attempts to open the bus as are necessary."""
        while True:
            bus = self._bus or self._opened()
            if bus is None:
                await self._clock.sleep(REOPEN_S)
                continue
            try:
                return await bus.receive()
            except ConnectionError as error:
                await self._lose(bus, str(error))

    async def close(self) -> None:
        """Close; idempotent."""
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.close()

    def _opened(self) -> CanBus | None:
        try:
            self._bus = self._open()
        except (ConnectionError, ImportError) as error:
            self._note(str(error) or "the bus cannot be opened")
            return None
        self._note("")
        return self._bus

    async def _lose(self, bus: CanBus, reason: str) -> None:
        if self._bus is bus:
            self._bus = None
            self._note(reason or "the bus is lost")
        await bus.close()

    def _note(self, reason: str) -> None:
        if reason != self._reason:
            self._reason = reason
            self._changed(reason)
