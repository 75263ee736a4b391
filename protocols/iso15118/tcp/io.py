"""TCP or TLS stream as a wire; `protocols.iso15118.io` and `one_port` open the sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from protocols.ports import PushingWire

WRITE_WITHIN = 5.0  # s, for a peer that does not read
READ_AHEAD = 1 << 20  # bytes buffered before reading is paused


class TcpWire(asyncio.Protocol, PushingWire):
    """A TCP or TLS stream as a PushingWire. Each `write` is one send."""

    def __init__(self, connected: Callable[[TcpWire], None] | None = None) -> None:
        self._connected = connected
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._ended = False
        self._waiting: asyncio.Future[None] | None = None
        self._writable: asyncio.Event = asyncio.Event()
        self._writable.set()
        self._closed: asyncio.Event = asyncio.Event()
        self._sink: Callable[[bytes], object] | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._connected is not None:
            self._connected(self)

    def data_received(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink(data)
            return
        self._buffer += data
        if len(self._buffer) > READ_AHEAD and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._closed.set()
        self._writable.set()
        self._wake()

    def pause_writing(self) -> None:
        self._writable.clear()
        if self._sink is not None and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()  # a peer that does not read is not answered

    def resume_writing(self) -> None:
        self._writable.set()
        if self._sink is not None and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _wake(self) -> None:
        if self._sink is not None:
            asyncio.get_running_loop().call_soon(self._sink, b"")
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # Wire

    @property
    def peer(self) -> str:
        name = None if self._transport is None else self._transport.get_extra_info("peername")
        return f"[{name[0]}]:{name[1]}" if name else "?"

    async def read(self) -> bytes:
        while not self._buffer and not self._ended:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        data = bytes(self._buffer)
        if len(data) > READ_AHEAD and self._transport is not None:
            self._transport.resume_reading()
        self._buffer.clear()
        return data

    async def write(self, data: bytes) -> None:
        if not self.send(data):
            await self.drain()

    def push_to(self, sink: Callable[[bytes], object]) -> None:
        self._sink = sink
        if self._buffer:
            sink(bytes(self._buffer))
            self._buffer.clear()
            if self._transport is not None:
                self._transport.resume_reading()
        if self._ended:
            self._wake()

    def send(self, data: bytes) -> bool:
        if self._transport is None or self._transport.is_closing() or self._closed.is_set():
            raise ConnectionError("the connection is closed")
        self._transport.write(data)
        return self._writable.is_set()

    async def drain(self) -> None:
        try:
            async with asyncio.timeout(WRITE_WITHIN):
                await self._writable.wait()
        except TimeoutError:
            self.abort()
            raise ConnectionError("the peer does not read") from None

    async def close(self) -> None:
        if self._transport is None:
            return
        self._transport.close()
        try:
            async with asyncio.timeout(WRITE_WITHIN):
                await self._closed.wait()
        except TimeoutError:
            self._transport.abort()

    def abort(self) -> None:
        """Reset the stream at once."""
        if self._transport is not None:
            self._transport.abort()

    # TLS

    @property
    def tls_version(self) -> str | None:
        """Return "TLSv1.3", ...; None on plain TCP."""
        session = self._tls
        return None if session is None else session.version()

    @property
    def peer_certificate(self) -> bytes | None:
        """Return the peer's leaf certificate, DER."""
        session = self._tls
        return None if session is None else session.getpeercert(binary_form=True)

    @property
    def _tls(self) -> ssl.SSLObject | None:
        found: ssl.SSLObject | None = None if self._transport is None else self._transport.get_extra_info("ssl_object")
        return found
