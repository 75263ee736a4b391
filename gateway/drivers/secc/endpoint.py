"""Where vehicles connect to a hosted EVSE: TCP or TLS on an address, or on an interface where SDP announces it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.drivers.secc.settings import SeccEvseSettings
from protocols.iso15118 import io, tls
from protocols.iso15118.tcp.io import TcpWire
from protocols.sdp import Security


def tls_context(settings: SeccEvseSettings) -> ssl.SSLContext | None:
    """Return the TLS context, None without TLS. Raises TlsSetupError where certificates are missing or invalid."""
    if settings.pki is None or settings.tls is tls.TlsVersion.NONE:
        return None
    return tls.server_context(settings.pki, settings.tls, settings.tls_profile)


@asynccontextmanager
async def listening(
    settings: SeccEvseSettings,
    serve: Callable[[TcpWire], Awaitable[object]],
    matched: Callable[[], bool] = lambda: True,
) -> AsyncIterator[int]:
    """Listen while the context is entered and yield the port; 0 where vehicles are connected in memory.

    SDP answers while a vehicle is `matched`.
    Raises OSError where the address or the interface cannot be used.
    """
    context = tls_context(settings)
    responder: io.SdpResponder | None = None
    if settings.interface is not None:
        listener = await io.listen_on_link(serve, settings.interface, context)
    elif settings.address is not None:
        listener = await io.listen(serve, *settings.address, context)
    else:
        yield 0
        return
    try:
        if settings.interface is not None:
            security = Security.NONE if context is None else Security.TLS
            responder = io.SdpResponder(settings.interface, listener.port, frozenset({security}), answers=matched)
            await responder.start()
        yield listener.port
    finally:
        if responder is not None:
            await responder.close()
        await listener.close()
