"""What the messages of an OCPP 1.6J station mean, and what they are answered; with the security whitepaper's.

1.6 knows connectors where 2.x knows EVSEs: connector n is our EVSE n, connector 0 is the station. The transaction's id
is ours to give.
"""

from __future__ import annotations

from collections.abc import Awaitable

from gateway.csms import certificates, evse_events, maintenance_status, metering, registration, sampling
from gateway.csms.registration import Boot
from gateway.csms.station import Handlers, Station
from gateway.csms.transactions import Transaction
from gateway.model.event import Metered, PlugState
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse, stamp

PLUGS = {
    "Available": PlugState.AVAILABLE,
    "Preparing": PlugState.OCCUPIED,
    "Charging": PlugState.OCCUPIED,
    "SuspendedEVSE": PlugState.OCCUPIED,
    "SuspendedEV": PlugState.OCCUPIED,
    "Finishing": PlugState.OCCUPIED,
    "Reserved": PlugState.RESERVED,
    "Unavailable": PlugState.UNAVAILABLE,
    "Faulted": PlugState.FAULTED,
}
FREE = frozenset({"Available", "Reserved"})  # no transaction runs there (4.9)


def boot_notification(station: Station, payload: Payload) -> Payload:
    """4.2."""
    context = station.context
    boot = Boot(
        registration.status_of(station.settings, station.registered, context),
        payload["chargePointVendor"],
        payload["chargePointModel"],
        payload.get("chargePointSerialNumber"),
        payload.get("firmwareVersion"),
        None,
        context.clock.wall(),
    )
    station.booted(boot)
    if station.accepted and context.settings.inventory:
        station.later(sampling.ensure(station))
    return {
        "status": boot.status,
        "currentTime": stamp(context.clock.wall()),
        "interval": registration.interval(boot.status, context),
    }


def heartbeat(station: Station, payload: Payload) -> Payload:
    """4.6."""
    return {"currentTime": stamp(station.context.clock.wall())}


def status_notification(station: Station, payload: Payload) -> Payload:
    """4.9. Connector 0 speaks for the whole station, which has no plug."""
    number = payload["connectorId"]
    if number > 0:
        evse, error, status = station.evse(number), payload["errorCode"], payload["status"]
        changed = evse.connectors.get(1) != status
        evse_events.plug(station, evse, 1, status, PLUGS[status])
        transaction = station.context.transactions.active_at(station.id, number)
        if transaction is not None:
            transaction.charging_state = status
            if status in FREE:  # nobody is plugged in: its StopTransaction is late, or lost
                evse_events.presume_ended(station, transaction, f"its end was lost: the connector is {status}")
        code = None  # an error beside another status, such as WeakSignal, is a warning
        if status == "Faulted":
            code = error if error != "NoError" else payload.get("vendorErrorCode") or "Faulted"
        evse_events.fault(station, evse, code, payload.get("info", ""))
        if changed:
            station.save()
    return {}


def authorize(station: Station, payload: Payload) -> Payload:
    """4.1."""
    return {"idTagInfo": station.context.tokens.info_16(payload["idTag"], station.context.clock.wall())}


def start_transaction(station: Station, payload: Payload) -> Payload | Awaitable[Payload]:
    """4.8. A start that is told again, as a station does when our answer was lost, keeps its id.

    The id is on disk before the station is told of it, so that no other transaction ever gets it.
    """
    context, number, tag = station.context, payload["connectorId"], payload["idTag"]
    station.evse(number)  # one that cannot be has no transactions
    mark = f"{number} {tag} {payload['meterStart']} {payload['timestamp']}"
    transaction = context.transactions.started(station.id, mark)
    told = transaction is not None
    if transaction is None:
        transaction = context.transactions.open(
            station.id, str(context.transactions.next_number(context.clock.wall())), number
        )
        context.transactions.mark(transaction, mark)
        transaction.unkept = True
        _begin(station, transaction, payload)
    status = context.tokens.status(tag, None, context.clock.wall())
    if status == "Accepted" and context.transactions.concurrent(tag, transaction):
        status = "ConcurrentTx"
    info = context.tokens.info_16(tag, context.clock.wall(), status)
    answer: Payload = {"transactionId": int(transaction.id), "idTagInfo": info}
    if told and not transaction.unkept:
        return answer
    return context.ledger.answer_when_kept(transaction, answer, context.ledger.number(int(transaction.id)))


def _begin(station: Station, transaction: Transaction, payload: Payload) -> None:
    context = station.context
    transaction.connector = 1
    transaction.id_token = payload["idTag"]
    transaction.started_at = parse(payload["timestamp"]) or context.clock.wall()
    transaction.heard_at = context.clock.wall()
    transaction.meter_start_wh = float(payload["meterStart"])
    transaction.reservation = payload.get("reservationId")
    evse = station.evse(transaction.evse)
    evse_events.began(station, transaction)
    reading = Metered(
        evse.name,
        context.clock.now(),
        wall=transaction.started_at,
        energy_charged_wh=transaction.meter_start_wh,
    )
    evse_events.metered(station, [reading], transaction)


def stop_transaction(station: Station, payload: Payload) -> Payload | Awaitable[Payload]:
    """4.10. An end that was told late keeps its times; one of an unknown transaction is taken and written down, as 1.6
    asks."""
    context, number = station.context, str(payload["transactionId"])
    transaction = context.transactions.get(station.id, number) or context.transactions.open(station.id, number, 0)
    at, reason = parse(payload["timestamp"]) or context.clock.wall(), payload.get("reason", "Local")
    answer: Payload = {}
    if "idTag" in payload:
        answer["idTagInfo"] = context.tokens.info_16(payload["idTag"], context.clock.wall())
    if not (transaction.active or transaction.presumed or transaction.unkept):
        return answer
    transaction.heard_at = context.clock.wall()
    if transaction.active or transaction.presumed:
        _end(station, transaction, payload, at, reason)
    return context.ledger.answer_when_kept(transaction, answer)


def _end(station: Station, transaction: Transaction, payload: Payload, at: float, reason: str) -> None:
    if not transaction.evse:  # nobody told us where it ran
        transaction.energy_charged_wh = float(payload["meterStop"])
        transaction.stopped_at, transaction.stop_reason = at, reason
        return
    evse, ways = station.evse(transaction.evse), station.ways.meter
    now = station.context.clock.now()
    values = payload.get("transactionData", ())
    readings = metering.readings(values, evse.name, now, ways.import_sign, ways.power_scale)
    readings.append(Metered(evse.name, now, wall=at, energy_charged_wh=float(payload["meterStop"])))
    evse_events.metered(station, readings, transaction)
    evse_events.ended(station, transaction, at, reason)


def meter_values(station: Station, payload: Payload) -> Payload:
    """4.7. A transaction that we do not know, on a connector where none runs, has lost its start."""
    place = payload["connectorId"]
    if place <= 0:
        return {}
    context, evse, ways = station.context, station.evse(place), station.ways.meter
    found = metering.readings(payload["meterValue"], evse.name, context.clock.now(), ways.import_sign, ways.power_scale)
    number = payload.get("transactionId")
    transaction = None if number is None else context.transactions.get(station.id, str(number))
    if transaction is None and number is not None and context.transactions.active_at(station.id, place) is None:
        transaction = context.transactions.open(station.id, str(number), place)
        transaction.connector = 1
        evse_events.began(station, transaction)
    if transaction is not None:
        transaction.heard_at = context.clock.wall()
        if transaction.presumed:
            transaction.revive()
            evse_events.began(station, transaction)
        context.ledger.touch(transaction)
    if transaction is None or transaction.active:
        evse_events.metered(station, found, transaction)
    return {}


def data_transfer(station: Station, payload: Payload) -> Payload:
    """4.3: nothing of a vendor is done for a station."""
    known = station.ways.setpoint.vendor_id
    return {"status": "UnknownMessageId" if known and payload["vendorId"] == known else "UnknownVendorId"}


def taken(station: Station, payload: Payload) -> Payload:
    """A notification that asks for nothing; it is kept with the messages heard."""
    return {}


HANDLERS: Handlers = {
    "Authorize": authorize,
    "BootNotification": boot_notification,
    "DataTransfer": data_transfer,
    "DiagnosticsStatusNotification": maintenance_status.told("diagnostics"),
    "FirmwareStatusNotification": maintenance_status.told("firmware"),
    "Heartbeat": heartbeat,
    "LogStatusNotification": maintenance_status.told("log"),
    "MeterValues": meter_values,
    "SecurityEventNotification": taken,
    "SignCertificate": certificates.sign_certificate,
    "SignedFirmwareStatusNotification": maintenance_status.told("firmware"),
    "StartTransaction": start_transaction,
    "StatusNotification": status_notification,
    "StopTransaction": stop_transaction,
}
