"""TransactionEvent of 2.x: events come in any order, twice, and hours late."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from gateway.csms import evse_events, metering
from gateway.csms.station import Station
from gateway.csms.transactions import Transaction
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

# Who asked is told so; a token that ends a transaction or belongs to it may be anywhere else.
STARTS = frozenset({"Authorized", "CablePluggedIn", "RemoteStart"})


def transaction_event(station: Station, payload: Payload) -> Payload | Awaitable[Payload]:
    """E01-E15. What a transaction is and when it ran is on disk before the event is answered (E04, E13)."""
    context = station.context
    name, place = payload["transactionInfo"]["transactionId"], payload.get("evse", {}).get("id")
    if place:
        station.evse(place)  # one that cannot be has no transactions
    transaction = context.transactions.get(station.id, name) or context.transactions.open(station.id, name, place or 1)
    answer = _token_answer(station, transaction, payload)
    kind = payload["eventType"]
    if transaction.repeats(payload["seqNo"], kind, payload["timestamp"], payload["triggerReason"]):
        return context.ledger.answer_when_kept(transaction, answer) if transaction.unkept else answer
    before = transaction.gist
    if place and place != transaction.evse:
        evse_events.moved(station, transaction, place)
    _learn(transaction, payload)
    if "reservationId" in payload:
        context.reservations.ended(station.id, payload["reservationId"], "USED")
    transaction.heard_at = context.clock.wall()
    if kind == "Updated" and not payload.get("offline", False):
        transaction.revive()
    _tell(station, transaction, payload)
    if kind == "Started" or transaction.unkept or transaction.gist != before:
        return context.ledger.answer_when_kept(transaction, answer)
    context.ledger.touch(transaction)
    return answer


def _tell(station: Station, transaction: Transaction, payload: Payload) -> None:
    """What is new for the core, in the order in which it happened."""
    kind, info, now = payload["eventType"], payload["transactionInfo"], station.context.clock.now()
    at = parse(payload["timestamp"]) or station.context.clock.wall()
    over = transaction.stopped_at is not None
    if kind == "Started":
        transaction.started_at = at
    if not over:
        evse, vehicle = station.evse(transaction.evse), _vehicle(payload.get("idToken"))
        evse_events.began(station, transaction, vehicle)
        if vehicle is not None and kind != "Started":
            evse_events.identified(station, evse, vehicle)
        if "operationMode" in info:
            evse_events.mode(station, evse, info["operationMode"])
    if not over or kind != "Updated":
        ways, name = station.ways.meter, station.evse(transaction.evse).name
        values = payload.get("meterValue", ())
        readings = metering.readings(values, name, now, ways.import_sign, ways.power_scale)
        evse_events.metered(station, readings, transaction, of_now=not payload.get("offline", False))
    if kind == "Ended":
        evse_events.ended(station, transaction, at, info.get("stoppedReason", "Local"))


def _token_answer(station: Station, transaction: Transaction, payload: Payload) -> Payload:
    token = payload.get("idToken")
    if token is None:
        return {}
    context, starts = station.context, payload["eventType"] == "Started" or payload["triggerReason"] in STARTS
    name, sort = token["idToken"], token["type"]
    status = context.tokens.status(name, sort, context.clock.wall())
    if status == "Accepted" and name and starts and context.transactions.concurrent(name, transaction):
        status = "ConcurrentTx"
    return {"idTokenInfo": context.tokens.info_2(name, sort, context.clock.wall(), status)}


def _learn(transaction: Transaction, payload: Payload) -> None:
    info, token, place = payload["transactionInfo"], payload.get("idToken"), payload.get("evse")
    if token is not None and transaction.id_token is None:
        transaction.id_token = token["idToken"]
    if place is not None and "connectorId" in place:
        transaction.connector = place["connectorId"]
    transaction.charging_state = info.get("chargingState", transaction.charging_state)
    transaction.operation_mode = info.get("operationMode", transaction.operation_mode)
    transaction.remote_start = info.get("remoteStartId", transaction.remote_start)
    if "reservationId" in payload:
        transaction.reservation = payload["reservationId"]


def _vehicle(token: dict[str, Any] | None) -> str | None:
    """The EVCCID (Q01.FR.02)."""
    for more in (token or {}).get("additionalInfo", ()):
        if more["type"].upper() == "EVCCID":
            return str(more["additionalIdToken"])
    if token is not None and token["type"] == "MacAddress":
        return str(token["idToken"])
    return None
