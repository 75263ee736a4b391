"""Messages of OCPP 1.6J stations and their responses, those of the security whitepaper included.

1.6 has connectors in place of EVSEs: connector n is EVSE n of the gateway, connector 0 is the station. The gateway
assigns transaction ids.
"""

from __future__ import annotations

from collections.abc import Awaitable

from gateway.csms import certificates, evse_events, faults, messages, sampling
from gateway.csms.evse import Evse
from gateway.csms.persistence import COUNTER, NUMBERS
from gateway.csms.station import Handlers, Station
from gateway.csms.transactions import Transaction
from gateway.model.event import Metered
from protocols.ocpp.enums import v16
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse

Action, Status, Authorization = v16.Action, v16.ChargePointStatus, v16.AuthorizationStatus

FREE = frozenset({Status.available, Status.reserved})  # no transaction is active there (4.9)


def boot_notification(station: Station, payload: Payload) -> Payload:
    """Process BootNotification (4.2)."""
    vendor, model = payload["chargePointVendor"], payload["chargePointModel"]
    serial, firmware = payload.get("chargePointSerialNumber"), payload.get("firmwareVersion")
    return messages.booted(station, sampling.configure, vendor, model, serial, firmware)


def status_notification(station: Station, payload: Payload) -> Payload:
    """Process StatusNotification (4.9). Connector 0 is the whole station: it has no plug, and its fault is one of all
    connectors."""
    number, error, status = payload["connectorId"], payload["errorCode"], payload["status"]
    code = None  # an error with another status, such as WeakSignal, is a warning
    if status == Status.faulted:
        code = error if error != v16.ChargePointErrorCode.no_error else payload.get("vendorErrorCode") or status
    text = payload.get("info", "")
    if number <= 0:
        faults.set_station(station, faults.connector(0), code, text)
    else:
        evse = station.evse(number)
        changed = evse.connectors.get(1) != status
        evse_events.connector_status(station, evse, 1, status)
        transaction = station.context.transactions.active_at(station.id, number)
        if transaction is not None:
            transaction.charging_state = status
            if status in FREE:  # no vehicle is connected: StopTransaction is late or lost
                evse_events.presume_ended(station, transaction, f"its end was lost: the connector is {status}")
        faults.set_evse(station, evse, faults.connector(number), code, text)
        if changed:
            station.save()
    return {}


def authorize(station: Station, payload: Payload) -> Payload:
    """Respond to Authorize (4.1)."""
    return {"idTagInfo": station.context.tokens.info_16(payload["idTag"], station.context.clock.wall())}


def start_transaction(station: Station, payload: Payload) -> Payload | Awaitable[Payload]:
    """Process StartTransaction (4.8). A repetition, sent when the response was lost, gets the same id.

    The id is stored before it is sent, so that no other transaction ever gets it.
    """
    context, number, tag = station.context, payload["connectorId"], payload["idTag"]
    station.evse(number)  # raises Refusal for an invalid number
    mark = f"{number} {tag} {payload['meterStart']} {payload['timestamp']}"
    transaction = context.transactions.started(station.id, mark)
    if transaction is not None and not (transaction.active or transaction.presumed):
        transaction = None  # a station without a clock begins each session at the same time
    repeated = transaction is not None
    if transaction is None:
        new = context.transactions.next_number(context.clock.wall())
        transaction = context.transactions.open(station.id, str(new), number)
        context.transactions.mark(transaction, mark)
        transaction.unsaved = True
        _start(station, transaction, payload)
    status = context.tokens.status(tag, None, context.clock.wall())
    if status == Authorization.accepted and context.transactions.concurrent(tag, transaction):
        status = Authorization.concurrent_tx
    info = context.tokens.info_16(tag, context.clock.wall(), status)
    answer: Payload = {"transactionId": int(transaction.id), "idTagInfo": info}
    if repeated and not transaction.unsaved:
        return answer
    return context.persistence.answer_when_kept(
        transaction, answer, context.persistence.row(COUNTER, NUMBERS, int(transaction.id))
    )


def _start(station: Station, transaction: Transaction, payload: Payload) -> None:
    context = station.context
    transaction.connector = 1
    transaction.id_token = payload["idTag"]
    transaction.started_at = parse(payload["timestamp"]) or context.clock.wall()
    transaction.last_message_at = context.clock.wall()
    transaction.meter_start_wh = float(payload["meterStart"])
    transaction.reservation = payload.get("reservationId")
    evse = station.evse(transaction.evse)
    evse_events.session_started(station, transaction)
    now, start_wh = context.clock.now(), transaction.meter_start_wh
    reading = Metered(evse.name, now, wall=transaction.started_at, energy_charged_wh=start_wh)
    evse_events.metered(station, evse, [reading], transaction)


def stop_transaction(station: Station, payload: Payload) -> Payload | Awaitable[Payload]:
    """Process StopTransaction (4.10). A late one keeps its times; one of an unknown transaction is accepted and
    stored, as 1.6 requires."""
    context, number = station.context, str(payload["transactionId"])
    transaction = context.transactions.open_unknown(station.id, number)
    at, reason = parse(payload["timestamp"]) or context.clock.wall(), payload.get("reason", v16.Reason.local.value)
    answer: Payload = {}
    if "idTag" in payload:
        answer["idTagInfo"] = context.tokens.info_16(payload["idTag"], context.clock.wall())
    if not (transaction.active or transaction.presumed or transaction.unsaved):
        return answer
    transaction.last_message_at = context.clock.wall()
    if transaction.active or transaction.presumed:
        _end(station, transaction, payload, at, reason)
    return context.persistence.answer_when_kept(transaction, answer)


def _end(station: Station, transaction: Transaction, payload: Payload, at: float, reason: str) -> None:
    if not transaction.evse:  # its connector is unknown
        transaction.energy_charged_wh = float(payload["meterStop"])
        transaction.stopped_at, transaction.stop_reason = at, reason
        return
    evse, now = station.evse(transaction.evse), station.context.clock.now()
    readings = evse_events.readings(station, evse, payload.get("transactionData", ()))
    readings.append(Metered(evse.name, now, wall=at, energy_charged_wh=float(payload["meterStop"])))
    evse_events.metered(station, evse, readings, transaction)
    evse_events.session_ended(station, transaction, at, reason)


def meter_values(station: Station, payload: Payload) -> Payload:
    """Process MeterValues (4.7). An id that was never given, such as 0 or -1, is none: the values are of the running
    session, or of no session."""
    connector = payload["connectorId"]
    if connector <= 0:
        return {}
    context, evse = station.context, station.evse(connector)
    found = evse_events.readings(station, evse, payload["meterValue"])
    active = context.transactions.active_at(station.id, connector)
    transaction = _transaction_of(station, evse, payload.get("transactionId"), active)
    if transaction is not None:
        transaction.last_message_at = context.clock.wall()
        if transaction.presumed and active is None and evse.connectors.get(1) not in FREE:
            transaction.resume()
            evse_events.session_started(station, transaction)
        context.persistence.touch(transaction)
    if transaction is None or transaction.active:
        evse_events.metered(station, evse, found, transaction)
    return {}


def _transaction_of(station: Station, evse: Evse, number: int | None, active: Transaction | None) -> Transaction | None:
    """Return the transaction of meter values. One that is unknown may be of before the store was lost, where
    the connector has a vehicle."""
    if number is None:
        return None
    context = station.context
    known = context.transactions.get(station.id, str(number))
    if known is not None and known.evse:
        return known
    if active is not None or known is not None or evse.connectors.get(1) in FREE:
        return active
    if not context.transactions.may_be_lost(number, context.clock.wall()):
        return None
    new = context.transactions.open(station.id, str(number), evse.number)
    new.connector = 1
    evse_events.session_started(station, new)
    return new


HANDLERS: Handlers = {
    Action.authorize: authorize,
    Action.boot_notification: boot_notification,
    Action.data_transfer: messages.data_transfer,
    Action.diagnostics_status_notification: messages.maintenance("diagnostics"),
    Action.firmware_status_notification: messages.maintenance("firmware"),
    Action.heartbeat: messages.heartbeat,
    Action.log_status_notification: messages.maintenance("log"),
    Action.meter_values: meter_values,
    Action.security_event_notification: messages.security_event,
    Action.sign_certificate: certificates.sign_certificate,
    Action.signed_firmware_status_notification: messages.maintenance("firmware"),
    Action.start_transaction: start_transaction,
    Action.status_notification: status_notification,
    Action.stop_transaction: stop_transaction,
}
