"""Where the SECC of one EVSE is found over real sockets: a TCP or TLS port, and SDP while its car looks for it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from protocols.iso15118 import io, pki, tls
from protocols.iso15118.io import Listener, TcpWire
from protocols.ports import Wire
from protocols.sdp import Security

LOOPBACK = "127.0.0.1"


class Port:
    """Where the SECC of one EVSE is found. On an interface, SDP answers only while the car of this EVSE looks for it:
    in the field the cable makes a network of two (SLAC), here one lock stands for all the cables."""

    def __init__(self) -> None:
        self.number = 0
        self._listener: Listener | None = None
        self._came: asyncio.Queue[tuple[TcpWire, asyncio.Event]] = asyncio.Queue(maxsize=8)

    async def open(self, interface: str | None, context: ssl.SSLContext | None) -> None:
        if interface is not None:
            self._listener = await io.listen_on_link(self._take, interface, context)
        else:
            self._listener = await io.listen(self._take, LOOPBACK, 0, context)
        self.number = self._listener.port

    @asynccontextmanager
    async def found_on(self, interface: str | None, secure: bool) -> AsyncIterator[None]:
        if interface is None:
            yield
            return
        offered = frozenset({Security.TLS if secure else Security.NONE})
        responder = io.SdpResponder(interface, self.number, offered)
        await responder.start()
        try:
            yield
        finally:
            await responder.close()

    async def _take(self, wire: TcpWire) -> None:
        over = asyncio.Event()
        await self._came.put((wire, over))
        await over.wait()

    async def taken(self) -> Wire:
        """The stream of the car that has just come."""
        return _Served(*await self._came.get())

    async def close(self) -> None:
        if self._listener is not None:
            await self._listener.close()


class _Served:
    """A stream that tells its listener when it is over."""

    def __init__(self, wire: TcpWire, over: asyncio.Event) -> None:
        self._wire, self._over = wire, over

    @property
    def peer(self) -> str:
        return self._wire.peer

    async def read(self) -> bytes:
        return await self._wire.read()

    async def write(self, data: bytes) -> None:
        await self._wire.write(data)

    async def close(self) -> None:
        try:
            await self._wire.close()
        finally:
            self._over.set()


def certificates(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Test certificates in a folder; the contexts of the charger and of the car, TLS 1.3."""
    pki.create(folder)
    version, profile = tls.TlsVersion.TLS_1_3, tls.TlsProfile.INTEROP
    return tls.server_context(folder, version, profile), tls.client_context(folder, version, profile)
