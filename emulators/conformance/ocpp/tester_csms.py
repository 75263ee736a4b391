"""The tester as a CSMS for one station: connections, default and configured responses, and the record of messages."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from emulators.conformance.case import Inconclusive
from emulators.conformance.ocpp.peer import ErrorAnswer, Message, NoAnswer, Peer
from emulators.conformance.ocpp.recorded import Recorded
from protocols.ocpp.events import Lost, Reply
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp
from protocols.ports import Clock, TextWire

TOKENS = ("DEC0DE01", "DEC0DE02", "DEC0DE03")  # that the tester accepts; the first two are of one group
GROUP = "V2XGROUP"
BLOCKED = "DEC0DEB0"
HEARTBEAT_S = 300
TRANSFERS = ("AC_single_phase", "AC_three_phase", "AC_BPT", "AC_BPT_DER", "DC", "DC_BPT")


class Silence:
    """The response of `SILENT`: none."""


SILENT = Silence()
AnswerValue: TypeAlias = Payload | ErrorAnswer | Silence | None
Answer: TypeAlias = AnswerValue | Callable[[Payload], AnswerValue]  # None is the default response


@dataclass(frozen=True, slots=True)
class Handshake:
    """Opening handshake of a station."""

    station: str
    subprotocols: tuple[str, ...] = ()
    authorization: str = ""  # the header
    tls: bool = False

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password of HTTP Basic authentication; None without one or where it cannot be decoded."""
        scheme, _, encoded = self.authorization.partition(" ")
        if scheme.casefold() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return user, password


class TesterCsms:
    """A CSMS for one station, which accepts what is not configured otherwise in `answers`."""

    __test__ = False  # no test, whatever its name begins with

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.recorded = Recorded(clock)
        self.version = Version.V21
        self.answers: dict[str, Answer] = {}
        self.handshakes: list[tuple[float, Handshake]] = []
        self.accepted = True  # as the last response to BootNotification
        self.refuses = False  # refuses connections: the station is offline
        self.interruptions = 0  # connections that the tester has closed
        self.passwords: set[str] = set()  # with one of which the station has to authenticate; empty: none is known
        self.peer: Peer | None = None
        self._transactions = 0
        self._connected = asyncio.Event()

    async def serve(self, wire: TextWire, handshake: Handshake) -> None:
        """Serve one connection until it ends; a newer connection of the station takes its place."""
        self.version = Version(wire.subprotocol)
        self.handshakes.append((self.clock.now(), handshake))
        peer = Peer(wire, self.version, self.clock, self.recorded.add, self._answer, f"t{len(self.handshakes)}-")
        before, self.peer = self.peer, peer
        self._connected.set()
        self.recorded.wake()
        if before is not None and not before.closed.is_set():
            await before.close()
        try:
            await peer.run()
        finally:
            if self.peer is peer:
                self.peer = None
                self._connected.clear()

    async def connected(self, within: float = 120.0) -> Peer:
        """Return the present connection; wait for one. Raises Inconclusive."""
        try:
            async with self.clock.timeout_at(self.clock.now() + within):
                while self.peer is None or self.peer.closed.is_set():
                    self._connected.clear()
                    await self._connected.wait()
        except TimeoutError:
            raise Inconclusive(f"no station connected within {within:g} s") from None
        return self.peer

    async def disconnect(self) -> None:
        """Close the present connection."""
        if self.peer is not None:
            peer = self.peer
            self.interruptions += 1
            await peer.close()
            await peer.closed.wait()

    async def call(self, action: str, payload: Payload, within: float = 30.0) -> Reply:
        """Send a CALL on the present connection as a new stimulus."""
        peer = await self.connected()
        self.recorded.stimulus()
        reply = await peer.call(action, payload, within)
        if isinstance(reply, Lost):
            raise Inconclusive(f"the connection ended before {action} was answered")
        return reply

    # responses

    def _answer(self, call: Message) -> Payload | ErrorAnswer:
        answer = self.answers.get(call.action)
        if callable(answer):
            answer = answer(call.payload)
        if isinstance(answer, Silence):
            raise NoAnswer
        found = self.default(call.action, call.payload) if answer is None else answer
        if call.action == "BootNotification" and isinstance(found, dict):
            self.accepted = found.get("status") == "Accepted"
        return found

    def token_status(self, token: str) -> str:
        """Return the authorisation status of a token."""
        if token in TOKENS or not token:
            return "Accepted"
        return "Blocked" if token == BLOCKED else "Invalid"

    def default(self, action: str, request: Payload) -> Payload:
        """Return the response of a CSMS that accepts."""
        now = stamp(self.clock.wall())
        if action == "BootNotification":
            return {"status": "Accepted", "interval": HEARTBEAT_S, "currentTime": now}
        if action == "Heartbeat":
            return {"currentTime": now}
        if self.version is Version.V16:
            return self._default_16(action, request)
        return self._default_2(action, request)

    def _default_16(self, action: str, request: Payload) -> Payload:
        info: Payload = {"status": self.token_status(str(request.get("idTag", "")))}
        if request.get("idTag") in TOKENS[:2]:
            info["parentIdTag"] = GROUP
        if action == "Authorize":
            return {"idTagInfo": info}
        if action == "StartTransaction":
            self._transactions += 1
            return {"transactionId": self._transactions, "idTagInfo": info}
        return {"status": "Accepted"} if action in ("DataTransfer", "SignCertificate") else {}

    def _default_2(self, action: str, request: Payload) -> Payload:
        token = request.get("idToken", {})
        if action == "Authorize" or (action == "TransactionEvent" and token):
            info: Payload = {"status": self.token_status(str(token.get("idToken", "")))}
            if token.get("idToken") in TOKENS[:2]:
                info["groupIdToken"] = {"idToken": GROUP, "type": "Central"}
            late = action == "Authorize" and self.version is Version.V21  # Q01.FR.01
            return {"idTokenInfo": info} | ({"allowedEnergyTransfer": list(TRANSFERS)} if late else {})
        accepting = {
            "DataTransfer",
            "Get15118EVCertificate",
            "NotifyEVChargingNeeds",
            "NotifyEVChargingSchedule",
            "OpenPeriodicEventStream",
            "SignCertificate",
        }
        return {"status": "Accepted"} if action in accepting else {}
