"""uvicorn in the event loop of the gateway: no signal handlers, and a stop on cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from gateway.listener_limits import listen
from gateway.web.request_timeout import RequestTimeoutProtocol

STOP_WITHIN = 5  # s for pending requests


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, and set `listening`."""
        await super().startup(sockets)
        self.listening.set()

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
    server = _Server(config)
    listener = listen(host, port)
    task = asyncio.get_running_loop().create_task(server.serve([listener]))
    reporting = asyncio.get_running_loop().create_task(_report_port(server, listener.getsockname()[1], ready))
    try:
        await asyncio.shield(task)
    finally:
        reporting.cancel()
        server.should_exit = True
        await task


async def _report_port(server: _Server, port: int, ready: Callable[[int], None] | None) -> None:
    await server.listening.wait()
    if ready is not None:
        ready(port)
