"""TransactionEvent of 2.x: events arrive in any order, twice, and hours late."""

from __future__ import annotations

from collections.abc import Awaitable

from gateway.csms import evse_events
from gateway.csms.reservations import ReservationStatus
from gateway.csms.station import Station
from gateway.csms.tokens import Status
from gateway.csms.transactions import Transaction, digest
from gateway.model.event import VehicleIdentified
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

Event, Trigger = v21.TransactionEventEnumType, v21.TriggerReasonEnumType
STARTED, UPDATED, ENDED = Event.started, Event.updated, Event.ended  # a member of an enum costs five comparisons

# Triggers whose token starts a transaction; a token that ends one or belongs to it may be in another transaction.
STARTS = frozenset({Trigger.authorized, Trigger.cable_plugged_in, Trigger.remote_start})


def transaction_event(station: Station, payload: Payload) -> Payload | Awaitable[Payload]:
    """Process E01-E15. The transaction's essentials are stored before the event is answered (E04, E13)."""
    context = station.context
    name, place = payload["transactionInfo"]["transactionId"], payload.get("evse", {}).get("id")
    if place:
        station.evse(place)  # raises Refusal for an invalid number
    kind = payload["eventType"]
    mark = digest(payload["seqNo"], kind, payload["timestamp"], payload["triggerReason"])
    known = context.transactions.get(station.id, name)
    repeated = known is not None and mark in known.seen
    if known is not None and not repeated and _used_again(station, known, payload):
        evse_events.free_id(station, known)
        known = None
    transaction = known or context.transactions.open(station.id, name, place or 1)
    answer = _token_answer(station, transaction, payload)
    if repeated:
        return context.persistence.answer_when_kept(transaction, answer) if transaction.unsaved else answer
    transaction.seen.append(mark)
    current = transaction.in_order(payload["seqNo"]) and not payload.get("offline", False)
    before = transaction.essentials
    if place and place != transaction.evse:
        evse_events.session_moved(station, transaction, place)
    _record(transaction, payload)
    if "reservationId" in payload:
        context.reservations.ended(station.id, payload["reservationId"], ReservationStatus.USED)
    transaction.last_message_at = context.clock.wall()
    superseded = _superseded(station, transaction, payload)
    if kind == UPDATED and current and not superseded:
        transaction.resume()
    _report(station, transaction, payload, current, superseded)
    if kind == STARTED or transaction.unsaved or transaction.essentials != before:
        return context.persistence.answer_when_kept(transaction, answer)
    context.persistence.touch(transaction)
    return answer


def _report(station: Station, transaction: Transaction, payload: Payload, current: bool, superseded: bool) -> None:
    """Report what is new to the gateway, in the order in which it happened."""
    kind, info = payload["eventType"], payload["transactionInfo"]
    at = parse(payload["timestamp"]) or station.context.clock.wall()
    over = transaction.stopped_at is not None
    if kind == STARTED:
        transaction.started_at, transaction.start_received_at = at, station.context.clock.wall()
    if over and kind == UPDATED:
        return
    evse = station.evse(transaction.evse)
    if not over and not superseded:
        vehicle = _vehicle(payload["idToken"]) if "idToken" in payload else None
        evse_events.session_started(station, transaction, vehicle)
        if vehicle is not None and kind != STARTED:
            station.context.report(VehicleIdentified(evse.name, station.context.clock.now(), vehicle))
        if "operationMode" in info:
            evse_events.operation_mode(station, evse, info["operationMode"])
    readings = evse_events.readings(station, evse, payload.get("meterValue", ()))
    evse_events.metered(station, evse, readings, transaction, current=current)
    if kind == ENDED:
        reason = info.get("stoppedReason", v21.ReasonEnumType.local.value)
        evse_events.session_ended(station, transaction, at, reason)


def _used_again(station: Station, known: Transaction, payload: Payload) -> bool:
    """Return True if an event is of a new transaction with the id of a known one: a second start, of after its end or
    of after a boot, or another event of after both, whose start is late. Stations that count from 1 after a boot use an
    id again."""
    stopped_at = None if known.presumed else known.stopped_at
    starts = payload["eventType"] == STARTED
    if known.started_at is None or (stopped_at is None and not starts):  # its start is late, or it goes on
        return False
    at = parse(payload["timestamp"]) or station.context.clock.wall()
    later = stopped_at is not None and at > stopped_at
    booted_at = 0.0 if station.boot is None or payload.get("offline", False) else station.boot.at
    if not starts:
        return later and booted_at > known.last_message_at
    if stopped_at is not None and known.last_message_at > booted_at:  # its end was received after the boot
        return later
    return later or booted_at > (known.start_received_at or known.last_message_at)


def _superseded(station: Station, transaction: Transaction, payload: Payload) -> bool:
    """Return True for an event of before the start of the transaction that is active on the EVSE, and for the end of
    another one."""
    active = station.context.transactions.active_at(station.id, transaction.evse)
    if active is None or active is transaction:
        return False
    if payload["eventType"] == ENDED:
        return True
    if active.started_at is None:
        return False
    at = parse(payload["timestamp"])
    return at is not None and at < active.started_at


def _token_answer(station: Station, transaction: Transaction, payload: Payload) -> Payload:
    token = payload.get("idToken")
    if token is None:
        return {}
    context, starts = station.context, payload["eventType"] == STARTED or payload["triggerReason"] in STARTS
    name, kind = token["idToken"], token["type"]
    status = context.tokens.status(name, kind, context.clock.wall())
    if status == Status.accepted and name and starts and context.transactions.concurrent(name, transaction):
        status = Status.concurrent_tx
    return {"idTokenInfo": context.tokens.info_2(name, kind, context.clock.wall(), status)}


def _record(transaction: Transaction, payload: Payload) -> None:
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


def _vehicle(token: Payload) -> str | None:
    """Return the vehicle's EVCCID (Q01.FR.02)."""
    for more in token.get("additionalInfo", ()):
        if more["type"].upper() == "EVCCID":
            return str(more["additionalIdToken"])
    if token["type"] == "MacAddress":
        return str(token["idToken"])
    return None
