"""Opening handshakes of the tester as a station: what it offers, and how the CSMS answers."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

OPENS_WITHIN = 10.0  # s
CLOSES_WITHIN = 5.0  # s in which a CSMS closes a connection that has no OCPP version
SWITCHING = 101


@dataclass(frozen=True, slots=True)
class Opening:
    """An opening handshake. `name` is the last part of the path, percent-encoded; `tls` the TLS of a wss URL."""

    name: str
    subprotocols: tuple[str, ...] = ()
    user: str | None = None  # of HTTP Basic authentication, with the password
    password: str = ""
    tls: ssl.TLSVersion | None = None  # the only version that is offered
    plain: bool = False  # without TLS, also where the URL is wss

    @property
    def text(self) -> str:
        """The request as a report shows it."""
        parts = [f"GET .../{self.name}", f"Sec-WebSocket-Protocol: {', '.join(self.subprotocols) or '(absent)'}"]
        parts += [f"Authorization: Basic (user {self.user}, password not shown)"] if self.user is not None else []
        parts += [f"offers {self.tls.name}"] if self.tls is not None else []
        parts += ["without TLS"] if self.plain else []
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Opened:
    """Answer to an opening handshake. `status` 0: no HTTP response at all, for the `reason`."""

    status: int
    subprotocol: str = ""
    challenge: str = ""  # the header WWW-Authenticate
    closed: bool = False  # by the CSMS, at once after a response 101 without a subprotocol
    reason: str = ""

    @property
    def text(self) -> str:
        """The answer as a report shows it."""
        if not self.status:
            return f"no HTTP response: {self.reason}"
        parts = [f"HTTP {self.status}"]
        parts += [f"Sec-WebSocket-Protocol: {self.subprotocol}"] if self.subprotocol else []
        parts += [f"WWW-Authenticate: {self.challenge}"] if self.challenge else []
        parts += ["connection closed by the CSMS"] if self.closed else []
        return "; ".join(parts)


Open: TypeAlias = Callable[[Opening], Awaitable[Opened]]


async def open_connection(url: str, opening: Opening, tls: ssl.SSLContext | None = None) -> Opened:
    """Return the answer of the CSMS at a URL without the id; the connection is closed again.

    `tls` verifies the CSMS; an offer of one TLS version does not, because its handshake is the subject.
    """
    address = f"{url.rstrip('/')}/{opening.name}"
    context = tls
    if opening.plain:
        address, context = address.replace("wss://", "ws://", 1), None
    elif opening.tls is not None:
        context = _only(opening.tls)
    headers = {}
    if opening.user is not None:
        credentials = f"{opening.user}:{opening.password}".encode()
        headers["Authorization"] = f"Basic {b64encode(credentials).decode()}"
    try:
        socket = await ws_connect(
            address,
            subprotocols=[Subprotocol(one) for one in opening.subprotocols] or None,
            additional_headers=headers,
            compression=None,
            ssl=context,
            ping_interval=None,
            open_timeout=OPENS_WITHIN,
            close_timeout=1.0,
            proxy=None,
        )
    except InvalidStatus as error:
        answer = error.response
        return Opened(answer.status_code, challenge=answer.headers.get("WWW-Authenticate", ""))
    except (OSError, InvalidHandshake, InvalidMessage, TimeoutError) as error:
        return Opened(0, reason=str(error) or type(error).__name__)
    try:
        closed = socket.subprotocol is None and await _closes(socket)
        return Opened(SWITCHING, socket.subprotocol or "", closed=closed)
    finally:
        await socket.close()


async def _closes(socket: ClientConnection) -> bool:
    try:
        async with asyncio.timeout(CLOSES_WITHIN):
            while True:
                await socket.recv()
    except ConnectionClosed:
        return True
    except TimeoutError:
        return False


def _only(version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return a context that offers one version of TLS, also an insecure one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.1: that it is refused is what is tested
        context.minimum_version = context.maximum_version = version
    return context
