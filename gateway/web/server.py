"""uvicorn in the event loop of the gateway: no signal handlers, and a stop on cancellation.

A connection that does not complete its request is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.listener_limits import listen

STOP_WITHIN = 5  # s for pending requests
CHECKED_EVERY_S = 10.0  # a connection without progress since the last check is closed


class RequestTimeoutProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which by itself waits for the rest of a request without a time-out."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Implement `asyncio.Protocol`."""
        super().connection_made(transport)
        self._incomplete: Any = self  # the incomplete request at the last check; itself: none
        self._check_at = self.loop.call_later(CHECKED_EVERY_S, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Implement `asyncio.Protocol`."""
        self._check_at.cancel()
        super().connection_lost(exc)

    def _check(self) -> None:
        cycle = self.cycle  # of the last request; None before the first
        unfinished = cycle is None or cycle.more_body or cycle.response_complete
        if unfinished and self._incomplete is cycle:
            self.transport.abort()
            return
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
    app: FastAPI,
    host: str,
    port: int,
    *,
    tls: tuple[str, str] | None = None,
    ready: Callable[[int], None] | None = None,
) -> None:
    """Listen until cancelled; `ready` is called with the port. Raises OSError where the address is not available."""
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
        server.should_exit = True
        await task
