"""CAN bus in memory, for tests in virtual time, with faults of the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from protocols.can import CanFrame

Tamper = Callable[[CanFrame], CanFrame | None]


class MemoryCan:
    """A bus: what a participant sends reaches all others. `tamper` changes or drops frames; `down`: the bus is lost."""

    def __init__(self) -> None:
        self._participants: list[MemoryCanPort] = []
        self.tamper: Tamper = lambda frame: frame
        self.down = False
        self.trace: list[CanFrame] = []

    def port(self) -> MemoryCanPort:
        """Return a new participant."""
        port = MemoryCanPort(self)
        self._participants.append(port)
        return port

    def deliver(self, sender: MemoryCanPort, frame: CanFrame) -> None:
        """Distribute a frame."""
        self.trace.append(frame)
        changed = self.tamper(frame)
        if changed is not None:
            self.distribute(sender, changed)

    def distribute(self, sender: MemoryCanPort, frame: CanFrame) -> None:
        """Pass a frame to all participants but its sender."""
        for port in self._participants:
            if port is not sender:
                port.frames.put_nowait(frame)

    def remove(self, port: MemoryCanPort) -> None:
        """Remove a participant."""
        if port in self._participants:
            self._participants.remove(port)


class MemoryCanPort:
    """One participant; implements `protocols.dc_modules.bus.CanBus`."""

    def __init__(self, bus: MemoryCan) -> None:
        self._bus = bus
        self.frames: asyncio.Queue[CanFrame | None] = asyncio.Queue()  # None: closed

    async def send(self, frame: CanFrame) -> None:
        """Send a frame. Raises ConnectionError while the bus is down."""
        if self._bus.down:
            raise ConnectionError("the bus is down")
        self._bus.deliver(self, frame)

    async def receive(self) -> CanFrame:
        """Return the next frame. Raises ConnectionError after `close`."""
        frame = await self.frames.get()
        if frame is None:
            raise ConnectionError("the bus is closed")
        return frame

    async def close(self) -> None:
        """Leave the bus."""
        self._bus.remove(self)
        self.frames.put_nowait(None)
