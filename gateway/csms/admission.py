"""Admission of stations: the authentication of the handshake at the WebSocket server, for the stations of one CSMS."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from gateway.csms import handshakes, passwords, revocation
from gateway.csms.context import Context
from gateway.csms.credentials import Busy, Credentials
from gateway.csms.handshake_limits import UNGUESSABLE, AddressLimits, HandshakeLimits
from gateway.csms.handshakes import HandshakeReports
from gateway.csms.rated_connection import RatedConnection
from gateway.csms.registration import canonical
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownStations
from gateway.csms.station import Station
from gateway.csms.unserved import RETRY_AFTER_S, Unserved
from protocols.ocpp.io import WebSocketWire

# identifierString without the colon, at most 48 characters (2.1 part 4, 3.1.1)
STATION_ID = re.compile(r"[A-Za-z0-9*\-_=+|@.]{1,48}")
TOO_MANY = "too many connections at once; try again later\n"
AGAIN_AFTER_S = 1  # then a balancer leads to another instance
BUSY = "too many stations connect at once; try again later\n"
STOPPING = "this gateway is being stopped; connect again\n"
CUT_OFF = "this gateway has no connection to the others of its cluster; connect again later\n"
UNKNOWN = "unknown id: this station is not registered here\n"
REVOKED = "the certificate of this station is revoked"
REVOKED_CERTIFICATE = "InvalidChargingStationCertificate"  # type of the security event, as OCPP 2.1 names it


@dataclass(slots=True)
class Shared:
    """Settings that all stations at one port share, whichever CSMS they belong to."""

    limits: AddressLimits
    revoked: revocation.RevocationLists | None
    unserved: Unserved
    stopping: bool = False  # no further station is accepted; those that are connected stay
    cut_off: Callable[[], bool] = lambda: False  # as an instance of a cluster that reaches no other: the same

    @classmethod
    def of(cls, settings: CsmsSettings) -> Shared:
        """Return that of a port with these settings."""
        return cls(AddressLimits(settings), revocation.revocation_lists(settings), Unserved(settings.max_unserved))


class Admission:
    """Passes authenticated connections to `attach(wire, station id, security profile)`."""

    def __init__(
        self,
        context: Context,
        stations: Mapping[str, Station],
        credentials: Credentials,
        attach: Callable[[WebSocketWire, str, int], Awaitable[None]],
        forget: Callable[[str], object],
        refresh: Callable[[str], Awaitable[None]] | None = None,
        shared: Shared | None = None,
        unknown: str = UNKNOWN,
        short: str | None = None,
    ) -> None:
        """`refresh` updates the settings of a station, which another process changes, before its handshake. `short` is
        a path directly in front of the id that is accepted beside `settings.path`.
        """
        self.settings, self.context, self.stations, self.credentials = context.settings, context, stations, credentials
        self._attach, self._forget, self._refresh = attach, forget, refresh
        self._unknown, self._short = unknown, short
        self._serving = 0  # connections
        self.shared = shared or Shared.of(context.settings)
        self.reports = HandshakeReports(context.report, context.clock)
        self._limits = HandshakeLimits(self.shared.limits, context.security)

    async def connected(self, connection: ServerConnection) -> None:
        """Report a connection whose handshake is complete, and pass it on."""
        assert connection.request is not None
        assert isinstance(connection, RatedConnection)
        request, address = connection.request, _address(connection)
        name, path = self.station_id(request.path) or "", urlsplit(request.path).path
        level = _level(connection, request, name)
        if connection.subprotocol is None:
            offered = request.headers.get("Sec-WebSocket-Protocol")
            self.reports.rejected(address, handshakes.unsupported(offered), name, path)
        else:
            self.reports.accepted(name, address, path, connection.subprotocol, level)
        station = self.stations.get(name)
        if station is not None:
            station.promote_security_profile(level)
        request.headers.clear()  # of the handshake; 3 kB for as long as the station is connected
        connection.response = None
        self._serving += 1
        try:
            with self.shared.unserved.count((self, name), connection):
                await self._attach(WebSocketWire(connection), name, level)
        finally:
            self._serving -= 1

    def station_id(self, path: str) -> str | None:
        """Return the station's id, the last part of the path, which may be percent-encoded; None without one."""
        base, _, name = urlsplit(path).path.removesuffix("/").rpartition("/")
        base, name = unquote(base), unquote(name)
        below = (base + "/").startswith(self.settings.path + "/") or base == self._short
        if not below or STATION_ID.fullmatch(name) is None:
            return None
        return canonical(self.stations, name)

    def report_rejection(self, connection: ServerConnection, request: Request, response: Response) -> None:
        """Report who was rejected, and why; the response stays as it is."""
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            name = self.station_id(request.path) or ""
            reason = handshakes.reason_of(response, request, name)
            self.reports.rejected(_address(connection), reason, name, urlsplit(request.path).path)

    async def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Reject the handshake with a response, or accept it with None."""
        reject, now = connection.respond, self.context.clock.now()
        if self.shared.stopping or self.shared.cut_off():
            text = STOPPING if self.shared.stopping else CUT_OFF
            return _retry_after(AGAIN_AFTER_S, reject(HTTPStatus.SERVICE_UNAVAILABLE, text))
        name = self.station_id(request.path)
        station = None if name is None else self.stations.get(name)
        known = station is not None and station.registered
        if not known and not self._limits.allows_stranger(_address(connection), now):
            return reject(HTTPStatus.SERVICE_UNAVAILABLE, TOO_MANY)
        if name is None:
            text = f"no such path: stations connect to {self.settings.path}/<station id>\n"
            return reject(HTTPStatus.NOT_FOUND, text)
        if self.shared.unserved.full(lambda: bool(self.context.transactions.active_of(name))):
            return _retry_after(RETRY_AFTER_S, reject(HTTPStatus.SERVICE_UNAVAILABLE, BUSY))
        with self.shared.unserved.admitting((self, name)):  # the same id at another site is another station
            return await self._admit(connection, request, name, known)

    async def _admit(self, connection: ServerConnection, request: Request, name: str, known: bool) -> Response | None:
        """Reject or accept the handshake of a station whose turn it is."""
        reject, station = connection.respond, self.stations.get(name)
        if self._refresh is not None:
            await self._refresh(name)
            station = self.stations.get(name)
            known = station is not None and station.registered
        if name.casefold() in self.settings.reserved:
            return reject(HTTPStatus.NOT_FOUND, "this id is that of an EVSE which the gateway hosts itself\n")
        if not known and self.context.unknown_stations is UnknownStations.REJECT:
            return reject(HTTPStatus.NOT_FOUND, self._unknown)
        if not self._has_capacity(name, known):
            return reject(HTTPStatus.SERVICE_UNAVAILABLE, "this gateway cannot serve another station\n")
        try:
            return await self._authenticate(connection, request, name, station)
        except Busy:
            return reject(HTTPStatus.SERVICE_UNAVAILABLE, TOO_MANY)

    def _has_capacity(self, name: str, known: bool) -> bool:
        """Return True if one more station fits, or the connection of this one is replaced."""
        settings, others = self.settings, self.stations
        if self._serving >= settings.max_stations and not (name in others and others[name].connected):
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
        if self.is_revoked(connection):
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
            return _retry_after(wait_s, connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "too many failed logins\n"))
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

    def is_revoked(self, connection: ServerConnection) -> bool:
        socket = connection.transport.get_extra_info("ssl_object")
        certificate = None if socket is None or self.shared.revoked is None else socket.getpeercert(binary_form=True)
        if not certificate or self.shared.revoked is None or not self.shared.revoked.is_revoked(certificate):
            return False
        name = common_name(socket.getpeercert())
        address = _address(connection)
        self.context.security.record(name or "?", REVOKED_CERTIFICATE, f"{REVOKED} (from {address})", address)
        return True


def _retry_after(wait_s: float, rejection: Response) -> Response:
    rejection.headers["Retry-After"] = str(math.ceil(wait_s))
    return rejection


def _address(connection: ServerConnection) -> str:
    assert isinstance(connection, RatedConnection)
    return connection.network


def _level(connection: ServerConnection, request: Request, name: str) -> int:
    """Return the security profile that a connection fulfils."""
    socket = connection.transport.get_extra_info("ssl_object")
    if socket is None:
        return 0 if request.headers.get("Authorization") is None else 1
    return 3 if (common_name(socket.getpeercert()) or "").casefold() == name.casefold() else 2


def common_name(certificate: dict[str, Any] | None) -> str | None:
    """Return the common name of the subject of a peer certificate, in the form that `ssl` returns."""
    subject = (certificate or {}).get("subject", ())
    return next((str(value) for relative in subject for key, value in relative if key == "commonName"), None)
