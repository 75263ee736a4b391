"""Wire that reports the bytes in both directions, above TLS."""

from __future__ import annotations

from collections.abc import Callable

from emulators.runtime.wrapped_wire import WrappedWire
from protocols.ports import Wire

Observe = Callable[[bool, bytes], None]  # True for sent bytes; b"" is the end of the stream


class ObservedWire(WrappedWire):
    """A wire with an observer."""

    def __init__(self, wire: Wire, observe: Observe) -> None:
        super().__init__(wire)
        self._observe = observe

    async def read(self) -> bytes:
        """See `Wire`."""
        data = await self._wire.read()
        self._observe(False, data)
        return data

    async def write(self, data: bytes) -> None:
        """See `Wire`."""
        self._observe(True, data)
        await self._wire.write(data)
