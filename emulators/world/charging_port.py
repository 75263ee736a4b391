"""Charging port over real sockets: the TCP or TLS port of an EVSE's SECC, and its SDP responder."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from protocols.iso15118 import io, pki
from protocols.iso15118 import tls as iso15118_tls
from protocols.iso15118.io import Listener, TcpWire
from protocols.ports import Wire
from protocols.sdp import Security

LOOPBACK = "127.0.0.1"


class ChargingPort:
    """Port of one EVSE's SECC. On an interface, SDP answers only while the vehicle of this EVSE searches: in the field
    SLAC associates one vehicle with one EVSE, here the caller serialises the searches by a lock."""

    def __init__(self) -> None:
        self.number = 0
        self._listener: Listener | None = None
        self._accepted: asyncio.Queue[tuple[TcpWire, asyncio.Event]] = asyncio.Queue(maxsize=8)

    async def open(self, interface: str | None, context: ssl.SSLContext | None) -> None:
        if interface is not None:
            self._listener = await io.listen_on_link(self._accept, interface, context)
        else:
            self._listener = await io.listen(self._accept, LOOPBACK, 0, context)
        self.number = self._listener.port

    @asynccontextmanager
    async def discoverable(self, interface: str | None, tls: bool) -> AsyncIterator[None]:
        if interface is None:
            yield
            return
        offered = frozenset({Security.TLS if tls else Security.NONE})
        responder = io.SdpResponder(interface, self.number, offered)
        await responder.start()
        try:
            yield
        finally:
            await responder.close()

    async def _accept(self, wire: TcpWire) -> None:
        closed = asyncio.Event()
        await self._accepted.put((wire, closed))
        await closed.wait()

    async def accept(self) -> Wire:
        """Return the stream of the vehicle that connected last."""
        return _AcceptedWire(*await self._accepted.get())

    async def close(self) -> None:
        if self._listener is not None:
            await self._listener.close()


class _AcceptedWire:
    """A stream that signals its listener when it is closed."""

    def __init__(self, wire: TcpWire, closed: asyncio.Event) -> None:
        self._wire, self._closed = wire, closed

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
            self._closed.set()


def certificates(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Create test certificates in a folder; return the TLS 1.3 contexts of the charger and of the vehicle."""
    pki.create(folder)
    version, profile = iso15118_tls.TlsVersion.TLS_1_3, iso15118_tls.TlsProfile.INTEROP
    return iso15118_tls.server_context(folder, version, profile), iso15118_tls.client_context(folder, version, profile)
