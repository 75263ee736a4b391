"""The WebSocket of OCPP-J as a `TextWire`."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from websockets.asyncio.client import connect as ws_connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidState, InvalidURI
from websockets.frames import Frame, Opcode
from websockets.protocol import Event
from websockets.typing import Subprotocol

from protocols.ocpp.schema import Version

FRAME_LENGTH = 1024 * 1024  # bytes; longer frames close the connection; `rpc` rejects shorter oversized messages
PING_INTERVAL = 20.0  # s
PING_TIMEOUT = 20.0  # s without a pong until the connection counts as lost
CLOSE_WITHIN = 5.0  # s


class PushingConnection(ServerConnection):
    """A server connection that passes whole text messages on as they arrive, without waking a reader for each.

    That halves the cost of a small message. All other cases (a fragmented message, a peer that does not read, a message
    that follows one of these) use the ordinary queue and its reader, which preserves order and back-pressure.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sink: Callable[[str], list[str]] | None = None
        self.queued = 0  # messages in the ordinary queue
        self._fragmented = False

    def process_event(self, event: Event) -> None:
        """Process one frame, or the handshake."""
        if self.sink is not None and isinstance(event, Frame) and event.opcode in _MESSAGE_PARTS:
            whole = event.fin and event.opcode is Opcode.TEXT and not self._fragmented
            if whole and not self.queued and not self.paused and self._push(event, self.sink):
                return
            self._fragmented = not event.fin
            self.queued += event.fin
        super().process_event(event)

    def _push(self, frame: Frame, sink: Callable[[str], list[str]]) -> bool:
        try:
            text = str(frame.data, "utf-8")
        except UnicodeDecodeError:
            return False  # the reader closes the connection (RFC 6455)
        for out in sink(text):
            try:
                self.protocol.send_text(out.encode())
                self.send_data()
            except (ConnectionClosed, InvalidState, OSError):
                break  # the reader detects the end
        return True


_MESSAGE_PARTS = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class WebSocketWire:
    """A WebSocket as a `TextWire`."""

    __slots__ = ("_socket",)

    def __init__(self, socket: Connection) -> None:
        self._socket = socket

    def push_to(self, sink: Callable[[str], list[str]]) -> None:
        """Pass messages to `sink`, which returns the messages to send, instead of to `receive` where possible."""
        if isinstance(self._socket, PushingConnection):
            self._socket.sink = sink

    @property
    def peer(self) -> str:
        """Address and port of the peer."""
        address = self._socket.remote_address
        return f"{address[0]}:{address[1]}" if address else "closed"

    @property
    def subprotocol(self) -> str:
        """The negotiated subprotocol; empty without one."""
        return self._socket.subprotocol or ""

    async def receive(self) -> str | None:
        """Return the next message; binary frames are read as text, as OCPP has no others."""
        try:
            message = await self._socket.recv()
        except ConnectionClosed:
            return None
        if isinstance(self._socket, PushingConnection) and self._socket.queued:
            self._socket.queued -= 1
        return message if isinstance(message, str) else bytes(message).decode("utf-8", "replace")

    async def send(self, text: str) -> None:
        """Send one message. Raises ConnectionError when the connection has ended."""
        try:
            await self._socket.send(text)
        except ConnectionClosed as error:
            raise ConnectionError(str(error)) from error

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a handshake; the reason is truncated to the 123 bytes of a close frame."""
        await self._socket.close(code, reason.encode()[:123].decode(errors="ignore"))


async def connect(
    url: str,
    versions: tuple[Version, ...],
    *,
    password: str | None = None,
    tls: ssl.SSLContext | None = None,
    ping_interval: float | None = PING_INTERVAL,
    open_timeout: float = 10.0,
) -> WebSocketWire:
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
            url,
            subprotocols=[Subprotocol(version.value) for version in versions],
            additional_headers=headers,
            compression=None,
            ssl=tls,
            ping_interval=ping_interval,
            ping_timeout=PING_TIMEOUT,
            open_timeout=open_timeout,
            close_timeout=CLOSE_WITHIN,
            max_size=FRAME_LENGTH,
            proxy=None,
        )
    except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
        raise ConnectionError(f"{url}: {error or type(error).__name__}") from error
    if socket.subprotocol is None:
        await socket.close(1002, "no common OCPP version")
        raise ConnectionError(f"{url} supports none of {', '.join(versions)}")
    return WebSocketWire(socket)
