"""Both sides of a replay: an EV that sends the recorded requests, an SECC that gives the recorded responses.

The live peer may be faster or slower than the recorded one: the EV repeats a request while the response is Ongoing or
the pre-charge voltage is not reached, and omits recorded repetitions that are no longer needed; the SECC finds the
response by the request, gives it again for more repetitions and goes on to later ones.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from emulators.replay.adaptation import Adaptation
from emulators.replay.comparison import Difference, compare
from emulators.replay.peer import Peer, PeerClosed
from emulators.replay.recording import Connection, Exchange
from protocols.iso15118.dialogue import Seen, response_limit
from protocols.iso15118.measurements import number
from protocols.json_values import items, members
from protocols.ports import Clock

RESPONSE_WITHIN_S = 5.0  # at least; the timers of the standard are reported, not enforced
REQUEST_WITHIN_S = 60.0
POLL_S = 0.1
POLL_WITHIN_S = 60.0
PRE_CHARGE_V = 20.0
PRE_CHARGE = "DC_PreChargeReq", "PreChargeReq"
OK_JOINED = "OK_OldSessionJoined"


@dataclass(slots=True)
class Score:
    """Result of a replay so far."""

    report: Callable[[Difference], None]
    measured_pct: float | None = None
    exchanges: int = 0
    differences: int = 0
    stopped: str = ""  # why the session could not be played to its end

    def compare(self, recorded: Seen, found: Seen) -> None:
        """Report where a message differs."""
        for one in compare(recorded, found, self.measured_pct):
            self.add(one)

    def add(self, difference: Difference) -> None:
        """Report a difference."""
        self.differences += 1
        self.report(difference)


@dataclass(slots=True)
class Player:
    """Parts that both sides share. `pace`: real seconds for a recorded second."""

    clock: Clock
    score: Score
    pace: float = 1.0
    adaptation: Adaptation = field(default_factory=Adaptation)

    async def play_ev(self, connection: Connection, peer: Peer) -> None:
        """Send the requests of a connection and compare the responses."""
        remaining = list(connection.exchanges)
        try:
            while remaining:
                group = _polls(remaining)
                del remaining[: len(group)]
                if not await self._poll(group, peer):
                    return
        except PeerClosed as error:
            self.score.stopped = str(error)

    async def play_secc(self, connection: Connection, peer: Peer) -> None:
        """Give the responses of a connection and compare the requests."""
        position, last = 0, None
        exchanges = connection.exchanges
        ended = next((one.request.name for one in reversed(exchanges)), "")
        name = ""
        try:
            while True:
                request = await peer.receive(REQUEST_WITHIN_S)
                name = request.name
                found = _matching(exchanges, position, last, request)
                if found is None:
                    self.score.add(Difference(request.name or "request", "", "not sent", _brief(request)))
                    self.score.stopped = f"no response to {request.name or 'an unreadable request'} is recorded"
                    return
                last, position = exchanges[found], max(position, found + 1)
                self.score.exchanges += 1
                self.score.compare(last.request, request)
                if last.response is None:
                    self.score.stopped = f"the recorded SECC gave no response to {request.name}"
                    return
                await self.clock.sleep(last.took_s * self.pace)
                await self._respond(last, request, peer)
        except PeerClosed as error:
            if name != ended:
                self.score.stopped = f"{error} after {name or 'no message'}; the recording goes on to {ended}"

    async def _respond(self, exchange: Exchange, request: Seen, peer: Peer) -> None:
        response = exchange.response
        assert response is not None
        if response.name == "SessionSetupRes" and response.body.get("ResponseCode") == OK_JOINED:
            self.adaptation.ids[response.session_id.upper()] = request.session_id
        if response.name == "supportedAppProtocolRes":
            response = _with_schema(response, exchange.request, request)
        await peer.send(response.payload_type, self.adaptation.payload(response, self.clock.wall()))

    async def _poll(self, group: list[Exchange], peer: Peer) -> bool:
        """Play a request and its repetitions; return whether the session can go on."""
        for exchange in group:
            recorded, request = exchange.response, exchange.request
            await self.clock.sleep(exchange.gap_s * self.pace)
            if recorded is None:
                return await self._unanswered(exchange, peer)
            response = await self._request(exchange, peer)
            until = self.clock.now() + POLL_WITHIN_S
            while _waits(exchange, response) and self.clock.now() < until:
                await self.clock.sleep(POLL_S)
                response = await self._request(exchange, peer)
            early = _finished(response) and _ongoing(recorded)
            self.score.compare((group[-1].response or recorded) if early else recorded, response)
            if _refused(response) and not _refused(recorded):
                self.score.stopped = f"the peer refuses {request.name}: {response.body['ResponseCode']}"
                return False
            if early:
                break
        return True

    async def _unanswered(self, exchange: Exchange, peer: Peer) -> bool:
        """Play a request to which the recorded SECC gave no response."""
        with suppress(PeerClosed):
            response = await self._request(exchange, peer)
            self.score.add(Difference(exchange.request.name or "request", "", "no response", _brief(response)))
        return False

    async def _request(self, exchange: Exchange, peer: Peer) -> Seen:
        request = exchange.request
        await peer.send(request.payload_type, self.adaptation.payload(request, self.clock.wall()))
        limit = response_limit(request.schema, request.name) if request.name else 0.0
        response = await peer.receive(max(RESPONSE_WITHIN_S, limit, 2 * exchange.took_s))
        self.score.exchanges += 1
        if response.name == "SessionSetupRes" and exchange.response is not None:
            self.adaptation.ids[exchange.response.session_id.upper()] = response.session_id
        return response


def _polls(exchanges: list[Exchange]) -> list[Exchange]:
    """Return the first exchange with its repetitions, which end with the response Finished."""
    group = exchanges[:1]
    for exchange in exchanges[1:]:
        last = group[-1].response
        if exchange.request.name != group[0].request.name or last is None or not _ongoing(last):
            break
        group.append(exchange)
    return group


def _processing(seen: Seen | None) -> str:
    return "" if seen is None else str(seen.body.get("EVSEProcessing", ""))


def _ongoing(seen: Seen) -> bool:
    return _processing(seen).startswith("Ongoing")


def _finished(seen: Seen) -> bool:
    return _processing(seen) == "Finished"


def _refused(seen: Seen | None) -> bool:
    return seen is not None and str(seen.body.get("ResponseCode", "")).upper().startswith("FAILED")


def _waits(exchange: Exchange, response: Seen) -> bool:
    """Return whether the live SECC has not yet reached what the recorded one had: repeat the request."""
    request, recorded = exchange.request, exchange.response
    if recorded is None or recorded.name != response.name or _refused(response):
        return False
    if request.name in PRE_CHARGE:
        return _reached(request, recorded) and not _reached(request, response)
    return _finished(recorded) and _ongoing(response)


def _reached(request: Seen, response: Seen) -> bool:
    """Return whether pre-charge is reached, or cannot be judged."""
    target, present = number(request.body.get("EVTargetVoltage")), number(response.body.get("EVSEPresentVoltage"))
    return target is None or present is None or abs(target - present) <= PRE_CHARGE_V


def _key(seen: Seen) -> tuple[object, ...]:
    """Return what a request is found by: its name, and whether it starts or ends the delivery of power."""
    progress = seen.body.get("ChargeProgress", seen.body.get("ReadyToChargeState"))
    return seen.name, progress, seen.payload_type


def _matching(exchanges: list[Exchange], position: int, last: Exchange | None, request: Seen) -> int | None:
    """Return the number of the exchange with the response to a request: the next one, a repetition, or a later one."""
    key = _key(request)
    if position < len(exchanges) and _key(exchanges[position].request) == key:
        return position
    if last is not None and _key(last.request) == key:
        return position - 1 if exchanges[position - 1] is last else exchanges.index(last)
    return next((n for n in range(position, len(exchanges)) if _key(exchanges[n].request) == key), None)


def _with_schema(response: Seen, recorded: Seen, request: Seen) -> Seen:
    """Return the response of the handshake with the SchemaID that the live EV has for the recorded protocol."""
    offers = [_offers(one) for one in (recorded, request)]
    chosen = response.body.get("SchemaID")
    namespace = next((uri for uri, schema_id in offers[0].items() if schema_id == chosen), "")
    if namespace not in offers[1] or offers[1][namespace] == chosen:
        return response
    body = {**response.body, "SchemaID": offers[1][namespace]}
    return replace(response, plain={response.name: body})


def _offers(handshake: Seen) -> dict[str, object]:
    entries = map(members, items(handshake.body.get("AppProtocol")))
    return {str(one["ProtocolNamespace"]): one["SchemaID"] for one in entries}


def _brief(seen: Seen) -> str:
    return seen.error or seen.name
