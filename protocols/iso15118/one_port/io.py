"""Listening socket of a port that serves TLS 1.2, TLS 1.3 and plain TCP, as the EV begins.

The first bytes are examined in the socket's buffer; the connection is opened with the context that they require. A
connection without any is plain after `HANDSHAKE_WITHIN` where that is allowed: cars may be slow with their first
request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable

from protocols.iso15118.one_port.client_hello import LARGEST_HELLO, is_complete
from protocols.iso15118.sockets.io import OpenSocket, bound
from protocols.iso15118.tls import RefusedSecurity, ServerContexts

LOG = logging.getLogger(__name__)

HANDSHAKE_WITHIN = 10.0  # s, for the first bytes and for the handshake
REST_S = 0.01  # between two checks of an incomplete ClientHello
ACCEPT_AGAIN_S = 1.0  # after a failure
MAX_OPENING = 16  # connections without their first bytes; of more the oldest one is closed
BACKLOG = 100


class PortServer:
    """Accepts connections on a bound socket and opens each with the context of `contexts` that fits."""

    def __init__(self, sock: socket.socket, factory: Callable[[], asyncio.Protocol], contexts: ServerContexts) -> None:
        self.sockets = (sock,)
        self._factory, self._contexts = factory, contexts
        self._opening: dict[asyncio.Task[None], None] = {}
        self._accepting = asyncio.get_running_loop().create_task(self._accept(sock))

    def close(self) -> None:
        """Stop listening; connections that are open remain."""
        self._accepting.cancel()
        for task in list(self._opening):
            task.cancel()
        self.sockets[0].close()

    async def _accept(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(sock)
            except ConnectionError:  # the peer has closed it already
                continue
            except OSError as error:  # no descriptors left
                LOG.warning("no connection accepted: %s", error)
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            task = loop.create_task(self._open(connection))
            self._opening[task] = None
            task.add_done_callback(lambda done: self._opening.pop(done, None))
            if len(self._opening) > MAX_OPENING:
                next(iter(self._opening)).cancel()

    async def _open(self, connection: socket.socket) -> None:
        """Open one connection, or close it if its security is not allowed or its handshake fails."""
        loop, opened = asyncio.get_running_loop(), False
        connection.setblocking(False)
        try:
            first = b""
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HANDSHAKE_WITHIN):
                    first = await _first_bytes(connection)
            context = self._contexts.choose(first)
            await loop.connect_accepted_socket(
                self._factory, connection, ssl=context, ssl_handshake_timeout=HANDSHAKE_WITHIN if context else None
            )
            opened = True
        except (OSError, ssl.SSLError, TimeoutError, RefusedSecurity) as reason:
            LOG.info("connection refused: %s", reason)
        finally:
            if not opened:
                connection.close()


async def _first_bytes(connection: socket.socket) -> bytes:
    """Return the first bytes of a connection without consuming them; b"" if the peer has closed it."""
    while True:
        await _readable(connection)
        first = connection.recv(LARGEST_HELLO, socket.MSG_PEEK)
        if not first or is_complete(first):
            return first
        await asyncio.sleep(REST_S)


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)


async def listen_on(
    host: str,
    port: int,
    factory: Callable[[], asyncio.Protocol],
    contexts: ServerContexts,
    open_socket: OpenSocket = socket.socket,
) -> PortServer:
    """Listen on [host]:port (port 0: a free one). Raises OSError."""
    sock = await bound(host, port, open_socket)
    try:
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return PortServer(sock, factory, contexts)
