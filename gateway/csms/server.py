"""The door: one port for OCPP 1.6J, 2.0.1 and 2.1, who may come in, and who is already there.

`Csms` is the core's `Stations`. A second connection of a station wins over the first. In memory, `attach` takes a wire
that somebody else has made.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from gateway.csms import charging_profile, modes, security, setpoint, v16, v21, v201
from gateway.csms.context import Context
from gateway.csms.settings import CsmsSettings, StationSettings, UnknownStations
from gateway.csms.station import Evse, Handlers, Station
from gateway.model.event import OperationMode, Report
from gateway.model.station import Answer, Outcome
from protocols.ocpp.io import (
    CLOSE_WITHIN,
    FRAME_LENGTH,
    PING_INTERVAL,
    PING_TIMEOUT,
    PushingConnection,
    WebSocketWire,
)
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp
from protocols.ocpp.vendor import Channel
from protocols.ports import Clock, TextWire

log = logging.getLogger("v2x.csms")

HANDLERS: dict[Version, Handlers] = {
    Version.V16: v16.HANDLERS,
    Version.V201: v201.HANDLERS,
    Version.V21: v21.HANDLERS,
}
# identifierString without the colon, at most 48 characters (2.1 part 4, 3.1.1)
STATION_ID = re.compile(r"[A-Za-z0-9*\-_=+|@.]{1,48}")


class Csms:
    """The gateway's side of every charging station."""

    def __init__(self, settings: CsmsSettings, report: Report, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.context = Context.of(settings, report, clock)
        self.stations: dict[str, Station] = {}
        self._handshakes = security.Bucket(settings.max_handshakes_per_s, settings.max_handshakes_per_s * 2)
        self._believed: dict[str, bytes] = {}  # the last password that was right, keyed: scrypt once, not every time
        self._key = os.urandom(32)
        self._closing: set[asyncio.Task[None]] = set()
        for station in settings.stations:
            self.register(station)

    # who is known

    def register(self, station: StationSettings) -> Station:
        """Make a station known, or change what is known of it."""
        known = self.stations.get(station.id)
        if known is None:
            known = self.stations[station.id] = Station(station.id, station, self.context, True)
        else:
            if known.settings.password_hash != station.password_hash:
                self._believed.pop(station.id, None)
            known.settings, known.registered, known.vendor = station, True, None
        return known

    async def remove(self, station: str) -> bool:
        """Forget a station and close its connection; whether it was known."""
        known = self.stations.pop(station, None)
        self._believed.pop(station, None)
        if known is None:
            return False
        if known.link is not None:
            await known.link.close(1008, "this station was removed")
        return True

    def find(self, evse: str) -> tuple[Station, Evse] | None:
        """The station and EVSE of a name such as `CP1-1`."""
        name, _, number = evse.rpartition("-")
        station = self.stations.get(name)
        if station is None or not number.isdecimal() or int(number) not in station.evses:
            return None
        return station, station.evses[int(number)]

    # the core's `Stations`

    def reaches(self, evse: str) -> bool:
        """Whether the EVSE's station is connected and accepted."""
        found = self.find(evse)
        return found is not None and found[0].connected and found[0].accepted

    async def set_power(self, evse: str, power_w: float, hold_s: float) -> Outcome:
        """See `gateway.model.station.Stations`."""
        found = self.find(evse)
        if found is None:
            return Outcome(Answer.REFUSED, "UnknownEvse", f"no station has told of {evse}")
        return await setpoint.order(*found, power_w, hold_s)

    async def end_session(self, evse: str) -> Outcome:
        """RequestStopTransaction, or RemoteStopTransaction in 1.6."""
        found = self.find(evse)
        if found is None:
            return Outcome(Answer.REFUSED, "UnknownEvse", f"no station has told of {evse}")
        station, place = found
        transaction = self.context.transactions.active_at(station.id, place.number)
        if transaction is None:
            return Outcome(Answer.REFUSED, "TxNotFound", f"no transaction runs on {evse}")
        if station.version is Version.V16:
            reply = await station.call("RemoteStopTransaction", {"transactionId": int(transaction.id)})
        else:
            reply = await station.call("RequestStopTransaction", {"transactionId": transaction.id})
        return charging_profile.read_status(reply)

    async def reconcile(self, evse: str) -> float | None:
        """Put the safe profile back and ask what the station holds."""
        found = self.find(evse)
        if found is None or not self.reaches(evse):
            return None
        station, place = found
        async with place.order:
            place.safe = False
            if station.ways.safe_profile or station.ways.setpoint.channel is Channel.NONE:
                await charging_profile.install_safe(station, place)
            return await charging_profile.held_power(station, place)

    async def allow_energy_transfer(self, evse: str, modes: Sequence[str]) -> Outcome:
        """Q02.FR.05: what the vehicle may now ask for, such as DC_BPT once somebody has permitted it. OCPP 2.1 only."""
        found = self.find(evse)
        transaction = None if found is None else self.context.transactions.active_at(found[0].id, found[1].number)
        if found is None or transaction is None:
            return Outcome(Answer.REFUSED, "TxNotFound", f"no transaction runs on {evse}")
        if found[0].version is not Version.V21:
            return Outcome(Answer.REFUSED, "NotSupported", "only OCPP 2.1 can change the allowed energy transfers")
        transaction.allowed = tuple(modes)
        body: Payload = {"transactionId": transaction.id, "allowedEnergyTransfer": list(modes)}
        return charging_profile.read_status(await found[0].call("NotifyAllowedEnergyTransfer", body))

    async def set_mode(
        self, evse: str, mode: OperationMode, values: Mapping[str, Any], hold_s: float | None = None
    ) -> Outcome:
        """Let a 2.1 station run in a mode of its own, such as LocalFrequency; see `modes.set_mode`."""
        found = self.find(evse)
        if found is None:
            return Outcome(Answer.REFUSED, "UnknownEvse", f"no station has told of {evse}")
        return await modes.set_mode(*found, mode, values, hold_s)

    async def afrr_signal(self, evse: str, signal: int) -> Outcome:
        """Q08.FR.12: pass on a signal of the grid operator at once. OCPP 2.1 only."""
        found = self.find(evse)
        if found is None or found[0].version is not Version.V21:
            return Outcome(Answer.REFUSED, "NotSupported", "only OCPP 2.1 stations take aFRR signals")
        body: Payload = {"timestamp": stamp(self.clock.wall()), "signal": signal}
        return charging_profile.read_status(await found[0].call("AFRRSignal", body))

    # connections

    async def attach(self, wire: TextWire, station_id: str, security_profile: int = 0) -> None:
        """Serve one connection that has been let in, until it ends."""
        try:
            version = Version(wire.subprotocol)
        except ValueError:
            await wire.close(1002, "no common OCPP version; this gateway speaks " + ", ".join(Version))
            return
        station = self.stations.get(station_id)
        if station is None:
            station = self.stations[station_id] = Station(
                station_id, StationSettings(station_id), self.context, registered=False
            )
        before = station.link
        link = station.connect(wire, version, HANDLERS[version], security_profile)
        if before is not None:
            log.warning("%s connected again from %s; the connection before it is closed", station_id, wire.peer)
            closing = asyncio.get_running_loop().create_task(before.close(1000, "a newer connection took over"))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        try:
            await link.run()
        finally:
            station.disconnect(link, "the connection ended")

    async def serve(self, ready: Callable[[int], None] | None = None) -> None:
        """Listen until cancelled; `ready` is told the port. Connections are then closed in order."""
        settings = self.settings
        tls = None
        if settings.security_profile >= 2:
            if settings.tls_cert is None or settings.tls_key is None:
                raise ValueError("ocpp.tls_cert and ocpp.tls_key are needed for security profiles 2 and 3")
            tls = security.server_context(
                settings.tls_cert, settings.tls_key, settings.tls_ca, settings.security_profile
            )
        server: Server
        async with serve(
            self._connected,
            settings.host,
            settings.port,
            select_subprotocol=_select,
            process_request=self._admit,
            compression="deflate" if settings.compression else None,
            server_header=None,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            close_timeout=CLOSE_WITHIN,
            max_size=FRAME_LENGTH,
            logger=_quiet_logger(),
            ssl=tls,
            create_connection=PushingConnection,
        ) as server:
            if ready is not None:
                ready(next(iter(server.sockets)).getsockname()[1])
            await asyncio.get_running_loop().create_future()

    async def _connected(self, connection: ServerConnection) -> None:
        wire = WebSocketWire(connection)
        assert connection.request is not None
        station = self._station_id(connection.request.path)
        profile = 0 if connection.request.headers.get("Authorization") is None else 1
        if self.settings.security_profile >= 2:
            profile = self.settings.security_profile
        await self.attach(wire, station or "", profile)

    def _station_id(self, path: str) -> str | None:
        base, _, name = urlsplit(path).path.rpartition("/")
        name = unquote(name)
        return name if base == self.settings.path and STATION_ID.fullmatch(name) else None

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse the handshake, or let it go on."""
        if not self._handshakes.take(self.clock.now()):
            return _refuse(http.HTTPStatus.SERVICE_UNAVAILABLE, "too many connections at once; try again later")
        name = self._station_id(request.path)
        if name is None:
            return _refuse(http.HTTPStatus.NOT_FOUND, f"stations connect to {self.settings.path}/<station id>")
        station = self.stations.get(name)
        known = station is not None and station.registered
        if not known and self.settings.unknown_stations is UnknownStations.REJECT:
            return _refuse(http.HTTPStatus.NOT_FOUND, "this station is not registered here")
        connected = sum(1 for other in self.stations.values() if other.connected and other.id != name)
        unknown = sum(1 for other in self.stations.values() if not other.registered and other.id != name)
        if connected >= self.settings.max_stations or (not known and unknown >= self.settings.max_unknown):
            return _refuse(http.HTTPStatus.SERVICE_UNAVAILABLE, "this gateway has no room for another station")
        return await self._authenticate(connection, request, name, station)

    async def _authenticate(
        self, connection: ServerConnection, request: Request, name: str, station: Station | None
    ) -> Response | None:
        kept = station.settings.password_hash if station is not None else None
        own = station.settings.security_profile if station is not None else None
        profile = self.settings.security_profile if own is None else own
        if profile == 3:
            tls = connection.transport.get_extra_info("ssl_object")
            if tls is None or security.common_name(tls.getpeercert()) != name:
                return _refuse(http.HTTPStatus.FORBIDDEN, "the certificate's common name is not this station's id")
            return None
        if profile == 0 and kept is None:
            return None
        given = security.basic_credentials(request.headers.get("Authorization"))
        if given is None or given[0] != name or kept is None or not await self._right(name, given[1], kept):
            refusal = _refuse(http.HTTPStatus.UNAUTHORIZED, "user is the station's id, password is the one registered")
            refusal.headers["WWW-Authenticate"] = 'Basic realm="ocpp"'
            return refusal
        return None

    async def _right(self, name: str, password: str, kept: str) -> bool:
        mark = hmac.digest(self._key, password.encode(), hashlib.sha256)
        believed = self._believed.get(name)
        if believed is not None and hmac.compare_digest(mark, believed):
            return True
        right = await asyncio.to_thread(security.matches, password, kept)
        if right:
            self._believed[name] = mark
        return right

    async def renew_password(self, station: str) -> Outcome:
        """A01: give the station a new password over OCPP; the old one is right until the station has taken it."""
        known = self.stations.get(station)
        if known is None or not known.connected:
            return Outcome(Answer.UNKNOWN, "NotConnected", f"{station} is not connected")
        password = security.fresh_password()
        if known.version is Version.V16:
            body: Payload = {"key": "AuthorizationKey", "value": password}
            outcome = charging_profile.read_status(await known.call("ChangeConfiguration", body))
        else:
            entry = {
                "attributeValue": password,
                "component": {"name": "SecurityCtrlr"},
                "variable": {"name": "BasicAuthPassword"},
            }
            answer = await known.ask("SetVariables", {"setVariableData": [entry]})
            status = "NoAnswer" if answer is None else answer["setVariableResult"][0]["attributeStatus"]
            outcome = Outcome(Answer.APPLIED) if status == "Accepted" else Outcome(Answer.REFUSED, status)
        if outcome.answer is Answer.APPLIED:
            self.register(replace(known.settings, password_hash=security.hashed(password)))
        return outcome


def _select(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The station's first choice that we speak; without one the handshake ends without a subprotocol (3.3)."""
    ours = {version.value for version in Version}
    return next((protocol for protocol in offered if protocol in ours), None)


def _refuse(status: http.HTTPStatus, text: str) -> Response:
    body = (text + "\n").encode()
    headers = Headers({"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))})
    headers["Connection"] = "close"
    return Response(status.value, status.phrase, headers, body)


def _quiet_logger() -> logging.Logger:
    """What websockets logs; a handshake that fails is one line, because port scanners are no fault of ours."""
    logger = logging.getLogger("v2x.websockets")
    logger.addFilter(_without_traceback)
    return logger


def _without_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and "handshake" in record.getMessage():
        cause = record.exc_info[1]
        record.msg, record.args = "%s: %s", (record.getMessage(), cause)
        record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
    return True
