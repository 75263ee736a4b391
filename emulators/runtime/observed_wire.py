"""Wire that reports the bytes in both directions, above TLS."""

from __future__ import annotations

from collections.abc import Callable

from protocols.ports import Wire

Observe = Callable[[bool, bytes], None]  # True for sent bytes; b"" is the end of the stream


class ObservedWire:
    """A wire with an observer. Attributes beyond `Wire`, such as the peer's certificate, are those of the wire."""

    def __init__(self, wire: Wire, observe: Observe) -> None:
        self._wire, self._observe = wire, observe

    def __getattr__(self, name: str) -> object:
        found: object = getattr(self._wire, name)
        return found

    @property
    def peer(self) -> str:
        """See `Wire`."""
        return self._wire.peer

    async def read(self) -> bytes:
        """See `Wire`."""
        data = await self._wire.read()
        self._observe(False, data)
        return data

    async def write(self, data: bytes) -> None:
        """See `Wire`."""
        self._observe(True, data)
        await self._wire.write(data)

    async def close(self) -> None:
        """See `Wire`."""
        await self._wire.close()
