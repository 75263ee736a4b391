"""WebSocket connection of a station to a CSMS (OCPP-J)."""

from __future__ import annotations

import ssl
from base64 import b64encode
from urllib.parse import unquote

from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from protocols.ocpp.io import CLOSE_WITHIN, FRAME_LENGTH, PING_INTERVAL, PING_TIMEOUT, WebSocketWire
from protocols.ocpp.schema import Version


async def connect(
    url: str, versions: tuple[Version, ...], *, password: str | None = None, tls: ssl.SSLContext | None = None,
    ping_interval: float | None = PING_INTERVAL, open_timeout: float = 10.0,
) -> WebSocketWire:  # fmt: skip
    """Connect as a station: `url` ends with the station's id. Raises ConnectionError with the reason."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("ws", "wss") or not rest:
        raise ConnectionError(f"{url!r} is not a WebSocket URL (ws://host:port/path/station)")
    headers = {}
    if password is not None:
        user = unquote(url.rstrip("/").rpartition("/")[2])
        headers["Authorization"] = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
    try:
        socket = await ws_connect(
            url, subprotocols=[Subprotocol(version.value) for version in versions], additional_headers=headers,
            compression=None, ssl=tls, ping_interval=ping_interval, ping_timeout=PING_TIMEOUT,
            open_timeout=open_timeout, close_timeout=CLOSE_WITHIN, max_size=FRAME_LENGTH, proxy=None,
        )  # fmt: skip
    except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
        raise ConnectionError(f"{url}: {error or type(error).__name__}") from error
    if socket.subprotocol is None:
        await socket.close(1002, "no common OCPP version")
        raise ConnectionError(f"{url} supports none of {', '.join(versions)}")
    return WebSocketWire(socket)
