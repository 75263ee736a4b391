"""WebSocket server: one port for OCPP 1.6J, 2.0.1 and 2.1, its TLS, and the authentication of the handshake."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as accept
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from gateway.csms import handshakes, passwords, revocation
from gateway.csms.context import Context
from gateway.csms.credentials import Busy, Credentials
from gateway.csms.handshake_limits import UNGUESSABLE, HandshakeLimits
from gateway.csms.handshakes import HandshakeReports
from gateway.csms.rated_connection import Addresses, RatedConnection
from gateway.csms.registration import canonical
from gateway.csms.settings import StationSettings, UnknownStations
from gateway.csms.station import Station
from gateway.csms.tls_handshakes import TlsConnection, TlsHandshakes
from gateway.listener_limits import listen
from protocols.ocpp import io
from protocols.ocpp.io import WebSocketWire
from protocols.ocpp.schema import Version

# identifierString without the colon, at most 48 characters (2.1 part 4, 3.1.1)
STATION_ID = re.compile(r"[A-Za-z0-9*\-_=+|@.]{1,48}")
# TLS 1.2: the four that every CSMS must offer (A00.FR.318, A00.FR.421) and equivalents, best first; 1.3 has its own
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:AES128-GCM-SHA256:AES256-GCM-SHA384:!aNULL:!PSK"

MAX_QUEUE = 4  # frames that wait for the reader of a connection
TOO_MANY = "too many connections at once; try again later\n"
MAX_UNSENT = 32_768  # bytes that wait for a peer to read, until it is not read either


REVOKED = "the certificate of this station is revoked"
REVOKED_CERTIFICATE = "InvalidChargingStationCertificate"  # type of the security event, as OCPP 2.1 names it


class WebSocketServer:
    """Accepts connections and passes authenticated ones to `attach(wire, station id, security profile)`."""

    def __init__(
        self,
        context: Context,
        stations: Mapping[str, Station],
        credentials: Credentials,
        attach: Callable[[WebSocketWire, str, int], Awaitable[None]],
        forget: Callable[[str], object],
        refresh: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """`refresh` updates the settings of a station, which another process changes, before its handshake."""
        self.settings, self.context, self.stations, self.credentials = context.settings, context, stations, credentials
        self._attach = attach
        self._forget = forget
        self._refresh = refresh
        self._reports = HandshakeReports(context.report, context.clock)
        self._addresses = Addresses(context.settings, self._reports.tls_at_plain_port)
        self._limits = HandshakeLimits(context.settings, context.security)
        self._revoked = revocation.revocation_lists(context.settings)
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
                if self._is_revoked(connection):
                    await connection.close(CloseCode.POLICY_VIOLATION, REVOKED)

    def _is_revoked(self, connection: ServerConnection) -> bool:
        socket = connection.transport.get_extra_info("ssl_object")
        certificate = None if socket is None or self._revoked is None else socket.getpeercert(binary_form=True)
        if not certificate or self._revoked is None or not self._revoked.is_revoked(certificate):
            return False
        name = common_name(socket.getpeercert())
        address = _address(connection)
        self.context.security.record(name or "?", REVOKED_CERTIFICATE, f"{REVOKED} (from {address})", address)
        return True

    def _tls(self) -> ssl.SSLContext:
        settings = self.settings
        if settings.tls_cert is None or settings.tls_key is None:
            raise ValueError("ocpp.tls_cert and ocpp.tls_key are required for security profiles 2 and 3")
        context = server_context(settings.tls_cert, settings.tls_key, settings.tls_ca, settings.security_profile)
        self._reports.watch_tls(context)
        return context

    def _listen(self, host: str, port: int, context: ssl.SSLContext | None) -> accept:
        settings = self.settings
        return accept(
            self._connected,
            sock=listen(host, port),
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

    async def _connected(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        request, address = connection.request, _address(connection)
        name, path = self._station_id(request.path) or "", urlsplit(request.path).path
        level = _level(connection, request, name)
        if connection.subprotocol is None:
            offered = request.headers.get("Sec-WebSocket-Protocol")
            self._reports.rejected(address, handshakes.unsupported(offered), name, path)
        else:
            self._reports.accepted(name, address, path, connection.subprotocol, level)
        station = self.stations.get(name)
        pending = None if station is None else station.settings.next_security_profile
        if station is not None and pending is not None and level >= pending:  # A05: the minimum from now on
            station.settings = replace(station.settings, security_profile=pending, next_security_profile=None)
            station.save()
        await self._attach(WebSocketWire(connection), name, level)

    def _station_id(self, path: str) -> str | None:
        """Return the station's id, the last part of the path, which may be percent-encoded; None without one."""
        base, _, name = urlsplit(path).path.removesuffix("/").rpartition("/")
        name = unquote(name)
        if not (base + "/").startswith(self.settings.path + "/") or STATION_ID.fullmatch(name) is None:
            return None
        return canonical(self.stations, name)

    def _report_rejection(self, connection: ServerConnection, request: Request, response: Response) -> None:
        """Report who was rejected, and why; the response stays as it is."""
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            name = self._station_id(request.path) or ""
            reason = handshakes.reason_of(response, request, name)
            self._reports.rejected(_address(connection), reason, name, urlsplit(request.path).path)

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Reject the handshake with a response, or accept it with None."""
        reject, now = connection.respond, self.context.clock.now()
        name = self._station_id(request.path)
        station = None if name is None else self.stations.get(name)
        known = station is not None and station.registered
        if not known and not self._limits.allows_stranger(_address(connection), now):
            return reject(HTTPStatus.SERVICE_UNAVAILABLE, TOO_MANY)
        if name is None:
            text = f"no such path: stations connect to {self.settings.path}/<station id>\n"
            return reject(HTTPStatus.NOT_FOUND, text)
        if self._refresh is not None:
            await self._refresh(name)
            station = self.stations.get(name)
            known = station is not None and station.registered
        if name.casefold() in self.settings.reserved:
            return reject(HTTPStatus.NOT_FOUND, "this id is that of an EVSE which the gateway hosts itself\n")
        if not known and self.context.unknown_stations is UnknownStations.REJECT:
            return reject(HTTPStatus.NOT_FOUND, "unknown id: this station is not registered here\n")
        if not self._has_capacity(name, known):
            return reject(HTTPStatus.SERVICE_UNAVAILABLE, "this gateway cannot serve another station\n")
        try:
            return await self._authenticate(connection, request, name, station)
        except Busy:
            return reject(HTTPStatus.SERVICE_UNAVAILABLE, TOO_MANY)

    def _has_capacity(self, name: str, known: bool) -> bool:
        """Return True if one more station fits. Stations are only counted near the limit: many connect at once."""
        settings, others = self.settings, self.stations
        if len(others) >= settings.max_stations:
            connected = sum(other.connected and other.id != name for other in others.values())
            if connected >= settings.max_stations:
                return False
        if known or len(others) < settings.max_unknown:
            return True
        unknown = [other for other in others.values() if not other.registered and other.id != name]
        if len(unknown) < settings.max_unknown:
            return True
        gone = [one for one in unknown if not one.connected]
        if not gone:
            return False
        self._forget(min(gone, key=self._expendable).id)
        return True

    def _expendable(self, station: Station) -> tuple[bool, float]:
        """Return what orders stations that have gone: those without a transaction first, and of these the oldest."""
        return bool(self.context.transactions.active_of(station.id)), station.disconnected_at

    async def _authenticate(
        self, connection: ServerConnection, request: Request, name: str, station: Station | None
    ) -> Response | None:
        if self._is_revoked(connection):
            return connection.respond(HTTPStatus.FORBIDDEN, REVOKED + "\n")
        if station is not None:
            await self.credentials.resolve(station)
        settings = StationSettings(name) if station is None else station.settings
        own, pending = settings.security_profile, settings.next_security_profile
        required = self.settings.security_profile if own is None else own
        level, reject = _level(connection, request, name), connection.respond
        certified = level == 3 and 3 in (required, pending)
        if required == 3 and not certified:
            return reject(HTTPStatus.FORBIDDEN, "the certificate's common name is not this station's id\n")
        if required == 2 and level < 2:
            return reject(HTTPStatus.FORBIDDEN, "this station connects over TLS (security profile 2)\n")
        if not certified and (required > 0 or settings.has_password):
            return await self._verify_password(connection, request, name, station)
        return self._limit(connection, station, verified=certified)

    async def _verify_password(
        self, connection: ServerConnection, request: Request, name: str, station: Station | None
    ) -> Response | None:
        address, now, limits = _address(connection), self.context.clock.now(), self._limits
        header = request.headers.get("Authorization")
        user, given = passwords.basic_credentials(header) or ("", b"")
        named = user.casefold() == name.casefold()
        recognised = station is not None and named and self.credentials.recognises(station, given)
        wait_s = limits.locked_for(name, address, now)
        if wait_s and not (recognised and len(given) >= UNGUESSABLE):
            rejection = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "too many failed logins\n")
            rejection.headers["Retry-After"] = str(math.ceil(wait_s))
            return rejection
        rejected = self._limit(connection, station, verified=recognised)
        if rejected is not None:
            return rejected
        if recognised or (station is not None and named and await self.credentials.verify(station, given)):
            limits.succeeded(name, address)
            return None
        if header is not None:
            limits.failed(name, address, self.context.clock.now())
        text = "user is the station's id, password is the one registered\n"
        rejection = connection.respond(HTTPStatus.UNAUTHORIZED, text)
        rejection.headers["WWW-Authenticate"] = 'Basic realm="ocpp"'
        return rejection

    def _limit(self, connection: ServerConnection, station: Station | None, verified: bool) -> Response | None:
        """Reject a known station that connects too often; others were counted before."""
        if station is None or not station.registered:
            return None
        now = self.context.clock.now()
        if self._limits.allows_known(station.id, _address(connection), now, verified):
            return None
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, TOO_MANY)


def _address(connection: ServerConnection) -> str:
    assert isinstance(connection, RatedConnection)
    return connection.network


def _port(server: Server) -> int:
    number: int = next(iter(server.sockets)).getsockname()[1]
    return number


def _level(connection: ServerConnection, request: Request, name: str) -> int:
    """Return the security profile that a connection fulfils."""
    socket = connection.transport.get_extra_info("ssl_object")
    if socket is None:
        return 0 if request.headers.get("Authorization") is None else 1
    return 3 if (common_name(socket.getpeercert()) or "").casefold() == name.casefold() else 2


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


def common_name(certificate: dict[str, Any] | None) -> str | None:
    """Return the common name of the subject of a peer certificate, in the form that `ssl` returns."""
    subject = (certificate or {}).get("subject", ())
    return next((str(value) for relative in subject for key, value in relative if key == "commonName"), None)
