"""A wire around another one, for what changes or observes its bytes."""

from __future__ import annotations

from protocols.ports import Wire


class WrappedWire:
    """Passes all on. Attributes beyond `Wire`, such as the certificate of the peer, are those of the inner wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def __getattr__(self, name: str) -> object:
        found: object = getattr(self._wire, name)
        return found

    @property
    def peer(self) -> str:
        """See `Wire`."""
        return self._wire.peer

    async def read(self) -> bytes:
        """See `Wire`."""
        return await self._wire.read()

    async def write(self, data: bytes) -> None:
        """See `Wire`."""
        await self._wire.write(data)

    async def close(self) -> None:
        """See `Wire`."""
        await self._wire.close()
