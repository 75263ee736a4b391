"""WebSocket server: one port for OCPP 1.6J, 2.0.1 and 2.1, and its TLS. `admission` has the authentication."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as accept
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from gateway.csms import revocation
from gateway.csms.admission import REVOKED, Admission
from gateway.csms.rated_connection import Addresses, RatedConnection
from gateway.csms.tls_handshakes import TlsConnection, TlsHandshakes
from gateway.listener_limits import listen
from protocols.ocpp import io
from protocols.ocpp.schema import Version

# TLS 1.2: the four that every CSMS must offer (A00.FR.318, A00.FR.421) and equivalents, best first; 1.3 has its own
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:AES128-GCM-SHA256:AES256-GCM-SHA384:!aNULL:!PSK"

MAX_QUEUE = 4  # frames that wait for the reader of a connection
MAX_UNSENT = 32_768  # bytes that wait for a peer to read, until it is not read either


class WebSocketServer:
    """Accepts connections that `Admission` admits."""

    def __init__(self, admission: Admission, route: Callable[[str], Admission] | None = None) -> None:
        """`route` returns the admission for the path of a request, where the port serves more than one CSMS."""
        self.settings = admission.settings
        self._route = route or (lambda _: admission)
        self._reports, self._revoked = admission.reports, admission.shared.revoked
        self._addresses = Addresses(admission.settings, self._reports.tls_at_plain_port)
        self._handshakes: list[TlsHandshakes] = []  # of the ports with TLS

    async def serve(
        self, ready: Callable[[int], None] | None = None, tls_ready: Callable[[int], None] | None = None
    ) -> None:
        """Listen until cancelled, then close the connections; `ready` and `tls_ready` are called with their port."""
        settings = self.settings
        async with AsyncExitStack() as stack:
            servers: list[Server] = []
            if settings.tls_address is not None:
                second = await stack.enter_async_context(self._listen(*settings.tls_address, self._tls()))
                servers.append(second)
                if tls_ready is not None:
                    tls_ready(_port(second))
            context = self._tls() if settings.security_profile >= 2 else None
            server = await stack.enter_async_context(self._listen(settings.host, settings.port, context))
            servers.append(server)
            if ready is not None:
                ready(_port(server))
            stack.push_async_callback(self._close, servers)
            await self._close_revoked(servers)

    async def _close(self, servers: Sequence[Server]) -> None:
        """Close all connections; a peer that does not read delays it by at most `CLOSE_WITHIN`."""
        closing = []
        for turns in self._handshakes:
            turns.close()
        for server in servers:
            server.close()
            closing.append(asyncio.ensure_future(server.wait_closed()))
        _, late = await asyncio.wait(closing, timeout=io.CLOSE_WITHIN)
        if late:
            for connection in tuple(self._addresses.connections):
                connection.transport.abort()
            await asyncio.wait(late, timeout=io.CLOSE_WITHIN)

    async def _close_revoked(self, servers: Sequence[Server]) -> None:
        """Close the connections of certificates that a new revocation list contains, until cancelled."""
        while True:
            await asyncio.sleep(revocation.READ_EVERY_S)
            if self._revoked is None or not self._revoked.refresh():
                continue
            for connection in {one for server in servers for one in server.connections}:
                if self._of(connection).is_revoked(connection):
                    await connection.close(CloseCode.POLICY_VIOLATION, REVOKED)

    def _of(self, connection: ServerConnection) -> Admission:
        return self._route("" if connection.request is None else connection.request.path)

    async def _connected(self, connection: ServerConnection) -> None:
        await self._of(connection).connected(connection)

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Reject the handshake with a response, or accept it with None."""
        return await self._route(request.path).admit(connection, request)

    def _report_rejection(self, connection: ServerConnection, request: Request, response: Response) -> None:
        self._route(request.path).report_rejection(connection, request, response)

    def _tls(self) -> ssl.SSLContext:
        settings = self.settings
        if settings.tls_cert is None or settings.tls_key is None:
            raise ValueError("ocpp.tls_cert and ocpp.tls_key are required for security profiles 2 and 3")
        context = server_context(settings.tls_cert, settings.tls_key, settings.tls_ca, settings.security_profile)
        self._reports.watch_tls(context)
        return context

    def _listen(self, host: str, port: int, context: ssl.SSLContext | None) -> accept:
        settings = self.settings
        listening = listen(host, port)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # RFC 5482: what waits in a cut network is given up
            milliseconds = round(1000 * settings.acknowledged_within_s)
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        return accept(
            self._connected,
            sock=listening,
            select_subprotocol=_select,
            process_request=self._admit,
            process_response=self._report_rejection,
            compression="deflate" if settings.compression else None,
            server_header=None,
            ping_interval=settings.ping_interval_s,
            ping_timeout=max(0.0, settings.silent_after_s - settings.ping_interval_s),
            close_timeout=io.CLOSE_WITHIN,
            max_size=max(io.FRAME_LENGTH, 2 * settings.max_message, 2 * settings.max_transaction_message),
            logger=_quiet_logger(),
            max_queue=MAX_QUEUE,
            write_limit=MAX_UNSENT,
            create_connection=self._connection_class(context),  # type: ignore[arg-type]
        )

    def _connection_class(self, context: ssl.SSLContext | None) -> Callable[..., RatedConnection]:
        """Return what makes a connection, of a port with TLS where there is a context."""
        if context is None:
            return partial(RatedConnection, addresses=self._addresses)
        turns = TlsHandshakes(context)
        self._handshakes.append(turns)
        return partial(TlsConnection, addresses=self._addresses, handshakes=turns)


def _port(server: Server) -> int:
    number: int = next(iter(server.sockets)).getsockname()[1]
    return number


def _select(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Return the first offered subprotocol that is supported; without one the handshake has no subprotocol (3.3)."""
    ours = {version.value for version in Version}
    return next((protocol for protocol in offered if protocol in ours), None)


def _quiet_logger() -> logging.Logger:
    """Return the logger of websockets; a failed handshake, such as that of a port scanner, is logged in one line.

    One with a request is reported, and not logged a second time.
    """
    logger = logging.getLogger("v2x.websockets")
    logger.addFilter(_without_traceback)
    return logger


def _without_traceback(record: logging.LogRecord) -> bool:
    cause = record.exc_info[1] if record.exc_info else None
    unanswered = isinstance(cause, UnicodeEncodeError)  # websockets cannot encode its answer to a header not in ASCII
    if isinstance(cause, AssertionError) and record.getMessage() == "unexpected internal error":
        # of websockets, where the client closed the connection while it was admitted
        record.msg, cause, unanswered = "opening handshake failed", ConnectionError("the client left"), True
    if cause is not None and (unanswered or "handshake" in record.getMessage()):
        if not unanswered and getattr(getattr(record, "websocket", None), "request", None) is not None:
            return False
        record.msg, record.args = "%s: %s", (record.getMessage(), cause)
        record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
        record.__dict__.pop("websocket", None)  # an object without a text for people
    return True


def server_context(certificate: Path, key: Path, authority: Path | None, profile: int) -> ssl.SSLContext:
    """Return the context for security profile 2 or 3: TLS 1.2 or newer (A00.FR.3xx).

    Profile 3 requires the station's certificate. Raises ValueError where its authority is missing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.load_cert_chain(certificate, key)
    if profile == 3 and authority is None:
        raise ValueError("ocpp.tls_ca is required for security profile 3: the authority of the stations' certificates")
    if authority is not None:  # in other profiles a certificate is optional: a station may migrate to profile 3 (A05)
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED if profile == 3 else ssl.CERT_OPTIONAL
    return context
