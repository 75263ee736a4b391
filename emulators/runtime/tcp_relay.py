"""TCP relay between one client and a server, whose connections can be cut, refused and frozen.

Reproduces a broker that is unreachable, stopped or hanging, as its client sees it. Data is forwarded unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeAlias

from emulators.runtime.transports import M
from protocols.iso15118 import io
from protocols.iso15118.io import Listener
from protocols.iso15118.tcp.io import TcpWire
from protocols.ports import TextWire, Wire

Read: TypeAlias = Callable[[], Awaitable[M | None]]
Write: TypeAlias = Callable[[M], Awaitable[None]]


class Relay:
    """Listens on loopback at `port` while its context is entered, and forwards to `host`:`server_port`."""

    def __init__(self, host: str, server_port: int) -> None:
        self._server = (host, server_port)
        self._forwarding = asyncio.Event()
        self._forwarding.set()
        self._open = True
        self._wires: set[Wire] = set()
        self._listener: Listener | None = None
        self.port = 0
        self.accepted = 0  # connections that were forwarded

    async def __aenter__(self) -> Relay:
        self._listener = await io.listen(self._serve, "127.0.0.1", 0)
        self.port = self._listener.port
        return self

    async def __aexit__(self, *_: object) -> None:
        self._forwarding.set()
        if self._listener is not None:
            await self._listener.close()

    def cut(self) -> None:
        """Abort all open connections."""
        for wire in list(self._wires):
            if isinstance(wire, TcpWire):
                wire.abort()

    def close_port(self, closed: bool = True) -> None:
        """Refuse new connections and abort the open ones; with False, accept connections again."""
        self._open = not closed
        if closed:
            self.cut()

    def freeze(self, frozen: bool = True) -> None:
        """Hold back all data while connections stay open; with False, forward it again, in order."""
        if frozen:
            self._forwarding.clear()
        else:
            self._forwarding.set()

    async def _serve(self, near: TcpWire) -> None:
        if not self._open:
            near.abort()
            return
        try:
            far = await io.connect(*self._server)
        except OSError:
            return
        self.accepted += 1
        ends = {near, far}
        self._wires |= ends
        try:
            await forward(near, far, self._forwarding)
        finally:
            self._wires -= ends
            await far.close()


async def forward(near: Wire, far: Wire, forwarding: asyncio.Event | None = None) -> None:
    """Forward bytes both ways until one end closes, then close both; data waits while `forwarding` is not set."""
    there, back = _copy(near.read, far.write, forwarding), _copy(far.read, near.write, forwarding)
    await _until_one_ends(there, back, near, far)


async def forward_text(near: TextWire, far: TextWire) -> None:
    """Forward messages both ways until one end closes, then close both."""
    await _until_one_ends(_copy(near.receive, far.send), _copy(far.receive, near.send), near, far)


async def _copy(read: Read[M], write: Write[M], forwarding: asyncio.Event | None = None) -> None:
    with contextlib.suppress(OSError):
        while (data := await read()) is not None and data != b"":
            if forwarding is not None:
                await forwarding.wait()
            await write(data)


async def _until_one_ends(
    one: Coroutine[object, object, None], other: Coroutine[object, object, None], *ends: Wire | TextWire
) -> None:
    directions = [asyncio.ensure_future(one), asyncio.ensure_future(other)]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        for wire in ends:
            with contextlib.suppress(OSError):
                await wire.close()
