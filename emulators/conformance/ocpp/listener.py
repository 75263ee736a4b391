"""Port of the tester at which a station under test connects."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from http import HTTPStatus
from types import TracebackType
from urllib.parse import unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from emulators.conformance.ocpp.tester_csms import Handshake, TesterCsms
from protocols.ocpp import io
from protocols.ocpp.io import WebSocketWire
from protocols.ocpp.schema import Version

NEWEST_FIRST = (Version.V21, Version.V201, Version.V16)


class Listener:
    """Accepts one station for a tester. Without `station` it is the first that connects; `rejected` has the others.

    With a password, stations have to authenticate with it (security profiles 1 and 2).
    """

    def __init__(
        self,
        csms: TesterCsms,
        host: str,
        port: int,
        *,
        station: str | None = None,
        versions: Sequence[Version] = NEWEST_FIRST,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.csms, self.host, self.port, self.station = csms, host, port, station
        self.rejected: list[str] = []
        self._versions, self._tls = tuple(versions), tls
        if password is not None:
            csms.passwords.add(password)
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """URL for the station, which appends its id."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ws' if self._tls is None else 'wss'}://{host}:{self.port}/ocpp"

    async def __aenter__(self) -> Listener:
        """Open the port. Raises OSError."""
        server: Server = await self._stack.enter_async_context(
            serve(
                self._connected,
                self.host,
                self.port,
                ssl=self._tls,
                select_subprotocol=self._select,
                process_request=self._admit,
                compression=None,
                ping_interval=io.PING_INTERVAL,
                ping_timeout=io.PING_TIMEOUT,
                close_timeout=io.CLOSE_WITHIN,
                max_size=io.FRAME_LENGTH,
            )
        )
        self.port = next(iter(server.sockets)).getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the port and the connections."""
        await self._stack.aclose()

    def _select(self, connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return next((Subprotocol(one.value) for one in self._versions if one.value in offered), None)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        name = _station(request)
        if self.csms.refuses:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "the tester interrupts the connection\n")
        offered = _offered(request)
        if not any(one.value in offered for one in self._versions):
            known = ", ".join(one.value for one in self._versions)
            self.rejected.append(f"{name or 'a client'} offers {', '.join(offered) or 'no subprotocol'}, not {known}")
            return connection.respond(HTTPStatus.BAD_REQUEST, f"subprotocols: {known}\n")
        if not name or (self.station is not None and name != self.station):
            self.rejected.append(f"{name or 'a client without an id in its path'} is not {self.station or 'a station'}")
            return connection.respond(HTTPStatus.NOT_FOUND, "this tester serves another station\n")
        handshake = _handshake(request, self._tls is not None)
        allowed = [(name, password) for password in self.csms.passwords]
        if allowed and handshake.credentials not in allowed:
            self.rejected.append(f"{name} does not authenticate with its id and the password of the tester")
            return connection.respond(HTTPStatus.UNAUTHORIZED, "wrong id or password\n")
        self.station = name
        return None

    async def _connected(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        await self.csms.serve(WebSocketWire(connection), _handshake(connection.request, self._tls is not None))


def _station(request: Request) -> str:
    return unquote(urlsplit(request.path).path.rstrip("/").rpartition("/")[2])


def _offered(request: Request) -> tuple[str, ...]:
    values = request.headers.get_all("Sec-WebSocket-Protocol")
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _handshake(request: Request, tls: bool) -> Handshake:
    return Handshake(_station(request), _offered(request), request.headers.get("Authorization", ""), tls)
