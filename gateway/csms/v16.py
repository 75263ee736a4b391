"""What the messages of an OCPP 1.6J station mean, and what they are answered; with the security whitepaper's.

1.6 knows connectors where 2.x knows EVSEs: connector n is our EVSE n, connector 0 is the station. The transaction's id
is ours to give.
"""

from __future__ import annotations

from gateway.csms import certificates, metering, sampling
from gateway.csms.station import Boot, Handlers, Station
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


def boot_notification(station: Station, payload: Payload) -> Payload:
    """4.2."""
    context = station.context
    accepted = station.registered or context.settings.unknown_stations == "accept"
    boot = Boot(
        "Accepted" if accepted else "Pending",
        payload["chargePointVendor"],
        payload["chargePointModel"],
        payload.get("chargePointSerialNumber"),
        payload.get("firmwareVersion"),
        None,
        context.clock.wall(),
    )
    station.booted(boot)
    if accepted and context.settings.inventory:
        station.later(sampling.ensure(station))
    return {
        "status": boot.status,
        "currentTime": stamp(context.clock.wall()),
        "interval": context.settings.heartbeat_s if accepted else context.settings.pending_retry_s,
    }


def heartbeat(station: Station, payload: Payload) -> Payload:
    """4.6."""
    return {"currentTime": stamp(station.context.clock.wall())}


def status_notification(station: Station, payload: Payload) -> Payload:
    """4.9. Connector 0 speaks for the whole station, which has no plug."""
    number = payload["connectorId"]
    if number > 0:
        evse, error = station.evse(number), payload["errorCode"]
        station.plug(evse, 1, payload["status"], PLUGS[payload["status"]])
        transaction = station.context.transactions.active_at(station.id, number)
        if transaction is not None:
            transaction.charging_state = payload["status"]
        code = None  # an error beside another status, such as WeakSignal, is a warning
        if payload["status"] == "Faulted":
            code = error if error != "NoError" else payload.get("vendorErrorCode") or "Faulted"
        station.fault(evse, code, payload.get("info", ""))
    return {}


def authorize(station: Station, payload: Payload) -> Payload:
    """4.1."""
    return {"idTagInfo": station.context.tokens.info_16(payload["idTag"], station.context.clock.wall())}


def start_transaction(station: Station, payload: Payload) -> Payload:
    """4.8. A start that is told again, as a station does when our answer was lost, keeps its id."""
    context, number, tag = station.context, payload["connectorId"], payload["idTag"]
    transaction = _same_start(station, payload)
    if transaction is None:
        transaction = context.transactions.open(
            station.id, str(context.transactions.next_number(context.clock.wall())), number
        )
        transaction.started_mark = hash(("start", number, tag, payload["meterStart"], payload["timestamp"]))
        transaction.connector = 1
        transaction.id_token = tag
        transaction.started_at = parse(payload["timestamp"]) or context.clock.wall()
        transaction.meter_start_wh = float(payload["meterStart"])
        transaction.reservation = payload.get("reservationId")
        evse = station.evse(number)
        station.began(transaction)
        reading = Metered(
            evse.name,
            context.clock.now(),
            wall=transaction.started_at,
            energy_charged_wh=transaction.meter_start_wh,
        )
        station.metered([reading], transaction)
    status = context.tokens.status(tag, None, context.clock.wall())
    if status == "Accepted" and context.transactions.concurrent(tag, transaction):
        status = "ConcurrentTx"
    info = context.tokens.info_16(tag, context.clock.wall(), status)
    return {"transactionId": int(transaction.id), "idTagInfo": info}


def _same_start(station: Station, payload: Payload) -> Transaction | None:
    mark = hash(("start", payload["connectorId"], payload["idTag"], payload["meterStart"], payload["timestamp"]))
    return next((t for t in station.context.transactions.of(station.id) if t.started_mark == mark), None)


def stop_transaction(station: Station, payload: Payload) -> Payload:
    """4.10. An end that was told late keeps its times; one of an unknown transaction is taken, as 1.6 asks."""
    context = station.context
    transaction = context.transactions.get(station.id, str(payload["transactionId"]))
    at = parse(payload["timestamp"]) or context.clock.wall()
    if transaction is not None and transaction.presumed:
        transaction.stopped_at, transaction.stop_reason = at, payload.get("reason", "Local")
        transaction.presumed = False
    if transaction is not None and transaction.active:
        evse, ways = station.evse(transaction.evse), station.ways.meter
        now = context.clock.now()
        values = payload.get("transactionData", ())
        readings = metering.readings(values, evse.name, now, ways.import_sign, ways.power_scale)
        readings.append(Metered(evse.name, now, wall=at, energy_charged_wh=float(payload["meterStop"])))
        station.metered(readings, transaction)
        station.ended(transaction, at, payload.get("reason", "Local"))
    if "idTag" not in payload:
        return {}
    return {"idTagInfo": context.tokens.info_16(payload["idTag"], context.clock.wall())}


def meter_values(station: Station, payload: Payload) -> Payload:
    """4.7."""
    if payload["connectorId"] > 0:
        evse, ways = station.evse(payload["connectorId"]), station.ways.meter
        now = station.context.clock.now()
        found = metering.readings(payload["meterValue"], evse.name, now, ways.import_sign, ways.power_scale)
        number = payload.get("transactionId")
        transaction = None if number is None else station.context.transactions.get(station.id, str(number))
        if transaction is not None:
            transaction.heard_at = station.context.clock.wall()
            if transaction.presumed:
                transaction.revive()
                station.began(transaction)
        if transaction is None or transaction.active:
            station.metered(found, transaction)
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
    "DiagnosticsStatusNotification": taken,
    "FirmwareStatusNotification": taken,
    "Heartbeat": heartbeat,
    "LogStatusNotification": taken,
    "MeterValues": meter_values,
    "SecurityEventNotification": taken,
    "SignCertificate": certificates.sign_certificate,
    "SignedFirmwareStatusNotification": taken,
    "StartTransaction": start_transaction,
    "StatusNotification": status_notification,
    "StopTransaction": stop_transaction,
}
