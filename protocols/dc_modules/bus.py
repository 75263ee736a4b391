"""Interface of a CAN bus for adapters, implemented by `io.py` and in memory by `emulators/runtime/memory_can.py`."""

from __future__ import annotations

from typing import Protocol

from protocols.can import CanFrame


class CanBus(Protocol):
    """An open bus. Raises ConnectionError when it is lost."""

    async def send(self, frame: CanFrame) -> None:
        """Send a frame."""

    async def receive(self) -> CanFrame:
        """Return the next frame of another participant."""

    async def close(self) -> None:
        """Close; idempotent."""
