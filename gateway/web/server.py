"""uvicorn in the event loop of the gateway: no signal handlers, and a stop on cancellation.

A connection that does not complete its request, or does not read its response, is closed; of too many the one that has
been idle for longest.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.listener_limits import listen

STOP_WITHIN = 5  # s for pending requests
CHECKED_EVERY_S = 10.0  # a connection without progress since the last check is closed
MAX_CONNECTIONS = 256
MAX_HEADERS = 32_768  # bytes of one request's line and headers
MAX_UNREAD = 8_388_608  # bytes of a body that follow after the response was sent


class RequestTimeoutProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which by itself waits for the rest of a request without a time-out."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Implement `asyncio.Protocol`."""
        super().connection_made(transport)
        self._made_at = self.loop.time()
        self._unread = 0  # bytes received after the response to an incomplete request
        self._unsent = 0  # bytes of responses that the client had not read at the last check
        self._incomplete: Any = self  # the incomplete request at the last check; itself: none
        self._check_at = self.loop.call_later(CHECKED_EVERY_S, self._check)
        idle = [one for one in self.connections if isinstance(one, RequestTimeoutProtocol) and not one.in_progress]
        if len(self.connections) > MAX_CONNECTIONS and idle:
            min(idle, key=lambda one: one._made_at).transport.abort()

    @property
    def in_progress(self) -> bool:
        """A request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Implement `asyncio.Protocol`."""
        if self.cycle is not None and self.cycle.response_complete and self.cycle.more_body:
            self._unread += len(data)
            if self._unread > MAX_UNREAD:
                self.transport.abort()
                return
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Implement `asyncio.Protocol`."""
        self._check_at.cancel()
        super().connection_lost(exc)

    def _check(self) -> None:
        cycle = self.cycle  # of the last request; None before the first
        unfinished = cycle is None or cycle.more_body or cycle.response_complete
        unsent = self.transport.get_write_buffer_size()
        if (unfinished and self._incomplete is cycle) or (unsent and unsent == self._unsent):
            self.transport.abort()
            return
        self._unsent = unsent
        self._incomplete = cycle if unfinished else self
        self._check_at = self.loop.call_later(CHECKED_EVERY_S, self._check)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[int], None] | None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, and report the port."""
        await super().startup(sockets)
        if self._ready is not None and sockets:
            self._ready(sockets[0].getsockname()[1])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the gateway."""
        yield


async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    tls: tuple[str, str] | None = None,
    ready: Callable[[int], None] | None = None,
    stopping: Callable[[], None] | None = None,
) -> None:
    """Listen until cancelled; `ready` is called with the port, `stopping` before open responses are waited for.

    Raises OSError where the address is not available.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=RequestTimeoutProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEADERS,
        timeout_graceful_shutdown=STOP_WITHIN,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )
    server = _Server(config, ready)
    task = asyncio.get_running_loop().create_task(server.serve([listen(host, port)]))
    try:
        await asyncio.shield(task)
    finally:
        if stopping is not None:
            stopping()
        server.should_exit = True
        await task
