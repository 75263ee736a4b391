"""A door of its own to a TCP server, in front of one client: it can be cut, shut and frozen while it is in use.

What an unreachable, a dead and a hanging broker look like to those who use it. Bytes are carried as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

from protocols.iso15118 import io
from protocols.iso15118.io import Listener, TcpWire
from protocols.ports import TextWire, Wire


class Relay:
    """Listens on loopback while its context is entered, at `port`; carries to `host`:`port_there`."""

    def __init__(self, host: str, port_there: int) -> None:
        self._there = (host, port_there)
        self._flows = asyncio.Event()
        self._flows.set()
        self._open = True
        self._wires: set[Wire] = set()
        self._listener: Listener | None = None
        self.port = 0
        self.carried = 0  # connections that got through

    async def __aenter__(self) -> Relay:
        self._listener = await io.listen(self._serve, "127.0.0.1", 0)
        self.port = self._listener.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flows.set()
        if self._listener is not None:
            await self._listener.close()

    def cut(self) -> None:
        """Connections that are open end without a word."""
        for wire in list(self._wires):
            if isinstance(wire, TcpWire):
                wire.abort()

    def shut(self, shut: bool = True) -> None:
        """Nobody gets through, and whoever was through is cut; or the door is open again."""
        self._open = not shut
        if shut:
            self.cut()

    def freeze(self, frozen: bool = True) -> None:
        """Connections stay, and nothing passes; or it passes again, in order."""
        if frozen:
            self._flows.clear()
        else:
            self._flows.set()

    async def _serve(self, near: TcpWire) -> None:
        if not self._open:
            near.abort()
            return
        try:
            far = await io.connect(*self._there)
        except OSError:
            return
        self.carried += 1
        ends = {near, far}
        self._wires |= ends
        try:
            await both_ways(near, far, self._flows)
        finally:
            self._wires -= ends
            await far.close()


async def both_ways(near: Wire, far: Wire, flows: asyncio.Event | None = None) -> None:
    """Carry bytes until either end is over, then close both; `flows` holds them back while it is not set."""

    async def carry(source: Wire, sink: Wire) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read():
                if flows is not None:
                    await flows.wait()
                await sink.write(data)

    await _until_one_ends(carry(near, far), carry(far, near), near, far)


async def both_ways_text(near: TextWire, far: TextWire) -> None:
    """Carry messages until either end is over, then close both."""

    async def carry(source: TextWire, sink: TextWire) -> None:
        with contextlib.suppress(OSError):
            while (text := await source.receive()) is not None:
                await sink.send(text)

    await _until_one_ends(carry(near, far), carry(far, near), near, far)


async def _until_one_ends(
    one: Coroutine[Any, Any, None], other: Coroutine[Any, Any, None], *ends: Wire | TextWire
) -> None:
    ways = [asyncio.ensure_future(one), asyncio.ensure_future(other)]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for wire in ends:
            with contextlib.suppress(OSError):
                await wire.close()
