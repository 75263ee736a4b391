"""What the messages of an OCPP 2.0.1 station mean, and what they are answered. 2.1 builds on this (`v21`).

An action that is not in the table is refused with NotSupported; nothing is answered Accepted that is not done.
"""

from __future__ import annotations

from typing import Any

from gateway.csms import certificates, metering, sampling
from gateway.csms.station import Boot, Handlers, Station
from gateway.csms.transactions import Transaction
from gateway.model.event import PlugState
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import parse, stamp

PLUGS = {
    "Available": PlugState.AVAILABLE,
    "Occupied": PlugState.OCCUPIED,
    "Reserved": PlugState.RESERVED,
    "Unavailable": PlugState.UNAVAILABLE,
    "Faulted": PlugState.FAULTED,
}
# What a session, a set-point or an operator's page may ask for; the rest of a full inventory is not kept.
KEPT_COMPONENTS = frozenset(
    {
        "EVSE",
        "V2XChargingCtrlr",
        "SmartChargingCtrlr",
        "ISO15118Ctrlr",
        "ConnectedEV",
        "DCDERCtrlr",
        "ACDERCtrlr",
        "SecurityCtrlr",
    }
)

# A problem of these stops the power of their EVSE; one of a lamp or a display does not.
POWER_COMPONENTS = frozenset(
    {
        "CableBreakawaySensor",
        "Connector",
        "ElectricalFeed",
        "EmergencyStopSensor",
        "EVSE",
        "GroundIsolationProtection",
        "OverCurrentBreaker",
        "OverCurrentProtection",
        "PowerContactor",
        "RCD",
        "UpstreamProtectionTrigger",
    }
)


def boot_notification(station: Station, payload: Payload) -> Payload:
    """B01-B03."""
    context = station.context
    about = payload["chargingStation"]
    accepted = station.registered or context.settings.unknown_stations == "accept"
    boot = Boot(
        "Accepted" if accepted else "Pending",
        about["vendorName"],
        about["model"],
        about.get("serialNumber"),
        about.get("firmwareVersion"),
        payload["reason"],
        context.clock.wall(),
    )
    station.booted(boot)
    if accepted and context.settings.inventory:
        station.later(take_stock(station))
    return {
        "currentTime": stamp(context.clock.wall()),
        "interval": context.settings.heartbeat_s if accepted else context.settings.pending_retry_s,
        "status": boot.status,
    }


async def take_stock(station: Station) -> None:
    """Ask for the whole device model (B07); what it says comes as NotifyReport."""
    station.reporting = station.next_request()
    answer = await station.ask("GetBaseReport", {"requestId": station.reporting, "reportBase": "FullInventory"})
    if answer is None or answer["status"] != "Accepted":
        station.reporting = None
    await close_lost(station)
    await sampling.ensure(station)


async def close_lost(station: Station) -> None:
    """Ask after transactions that we believe to run (E14); a station that does not know them has lost their end."""
    for transaction in station.context.transactions.active_of(station.id):
        answer = await station.ask("GetTransactionStatus", {"transactionId": transaction.id})
        if answer is not None and answer.get("ongoingIndicator") is False and not answer["messagesInQueue"]:
            station.presume_ended(transaction, "its end was lost")


def heartbeat(station: Station, payload: Payload) -> Payload:
    """G02."""
    return {"currentTime": stamp(station.context.clock.wall())}


def status_notification(station: Station, payload: Payload) -> Payload:
    """G01."""
    evse = station.evse(payload["evseId"])
    status = payload["connectorStatus"]
    station.plug(evse, payload["connectorId"], status, PLUGS[status])
    station.fault(evse, "Faulted" if status == "Faulted" else None)
    return {}


def authorize(station: Station, payload: Payload) -> Payload:
    """C01-C07."""
    token = payload["idToken"]
    info = station.context.tokens.info_2(token["idToken"], token["type"], station.context.clock.wall())
    answer: Payload = {"idTokenInfo": info}
    if "iso15118CertificateHashData" in payload or "certificate" in payload:
        # C07: nobody here can ask the OCSP responders of contract certificates, and unasked is not Accepted.
        answer["certificateStatus"] = "NoCertificateAvailable"
        answer["idTokenInfo"] = {"status": "Invalid"}
    return answer


def transaction_event(station: Station, payload: Payload) -> Payload:
    """E01-E15: events come in any order, twice, and hours late."""
    context = station.context
    kind, info, token = payload["eventType"], payload["transactionInfo"], payload.get("idToken")
    place = payload.get("evse")
    known = context.transactions.get(station.id, info["transactionId"])
    number = place["id"] if place else (known.evse if known else 1)
    transaction = known or context.transactions.open(station.id, info["transactionId"], number)
    answer = _token_answer(station, transaction, kind, token)
    if transaction.repeats(payload["seqNo"], kind, payload["timestamp"], payload["triggerReason"]):
        return answer
    _learn(transaction, payload)
    at = parse(payload["timestamp"]) or context.clock.wall()
    transaction.heard_at = context.clock.wall()
    if kind == "Updated" and not payload.get("offline", False):
        transaction.revive()
    over = transaction.stopped_at is not None
    vehicle = _vehicle(token)
    if kind == "Started":
        transaction.started_at = at
    if not over:
        evse = station.evse(transaction.evse)
        station.began(transaction, vehicle)
        if vehicle is not None and kind != "Started":
            station.identified(evse, vehicle)
        if "operationMode" in info:
            station.mode(evse, info["operationMode"])
    if not over or kind != "Updated":
        ways = station.ways.meter
        name = station.evse(transaction.evse).name
        now = context.clock.now()
        values = payload.get("meterValue", ())
        readings = metering.readings(values, name, now, ways.import_sign, ways.power_scale)
        station.metered(readings, transaction)
    if kind == "Ended":
        if transaction.presumed:
            transaction.stopped_at, transaction.stop_reason = at, info.get("stoppedReason", "Local")
            transaction.presumed = False
        station.ended(transaction, at, info.get("stoppedReason", "Local"))
    return answer


def _token_answer(station: Station, transaction: Transaction, kind: str, token: Payload | None) -> Payload:
    if token is None:
        return {}
    context = station.context
    name, sort = token["idToken"], token["type"]
    status = context.tokens.status(name, sort, context.clock.wall())
    if status == "Accepted" and name and kind == "Started" and context.transactions.concurrent(name, transaction):
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
    transaction.reservation = payload.get("reservationId", transaction.reservation)


def _vehicle(token: dict[str, Any] | None) -> str | None:
    """The EVCCID (Q01.FR.02)."""
    for more in (token or {}).get("additionalInfo", ()):
        if more["type"].upper() == "EVCCID":
            return str(more["additionalIdToken"])
    if token is not None and token["type"] == "MacAddress":
        return str(token["idToken"])
    return None


def meter_values(station: Station, payload: Payload) -> Payload:
    """J01: readings outside a transaction; EVSE 0 is the station's own meter and no vehicle's."""
    if payload["evseId"] > 0:
        evse, ways = station.evse(payload["evseId"]), station.ways.meter
        now = station.context.clock.now()
        found = metering.readings(payload["meterValue"], evse.name, now, ways.import_sign, ways.power_scale)
        station.metered(found, None)
    return {}


def notify_report(station: Station, payload: Payload) -> Payload:
    """B07, B08: the device model in parts."""
    for entry in payload.get("reportData", ()):
        component, variable = entry["component"], entry["variable"]
        if component["name"] not in KEPT_COMPONENTS:
            continue
        number = component.get("evse", {}).get("id", 0)
        name = (component["name"], number, variable["name"], variable.get("instance", ""))
        limit = entry.get("variableCharacteristics", {}).get("maxLimit")
        for attribute in entry["variableAttribute"]:
            if attribute.get("type", "Actual") == "Actual":
                station.remember(name, attribute.get("value", ""), limit)
        if component["name"] == "EVSE" and number:
            station.evse(number)
    if not payload.get("tbc", False) and payload["requestId"] == station.reporting:
        station.reporting = None
        for evse in station.evses.values():
            station.describe(evse)
    return {}


def notify_event(station: Station, payload: Payload) -> Payload:
    """N07: a component that has a problem is a fault of its EVSE."""
    for event in payload["eventData"]:
        number = event["component"].get("evse", {}).get("id", 0)
        if event["variable"]["name"] != "Problem" or not number or event["component"]["name"] not in POWER_COMPONENTS:
            continue
        on = event["actualValue"].lower() == "true" and not event.get("cleared", False)
        text = event.get("techInfo", "") or event["component"]["name"]
        station.fault(station.evse(number), event.get("techCode", "Problem") if on else None, text)
    return {}


def notify_charging_limit(station: Station, payload: Payload) -> Payload:
    """K12, K13: another system limits the EVSE, or with EVSE 0 the station; its limit of now narrows what we ask."""
    number, endless = payload.get("evseId", 0), float("inf")
    schedules = payload.get("chargingSchedule", ())
    if schedules and schedules[0]["chargingRateUnit"] == "W":
        first = schedules[0]["chargingSchedulePeriod"][0]
        station.external[number] = (max(0.0, first.get("limit", endless)), abs(first.get("dischargeLimit", endless)))
        _describe_all(station)
    return {}


def cleared_charging_limit(station: Station, payload: Payload) -> Payload:
    """K13: it has let go."""
    if station.external.pop(payload.get("evseId", 0), None) is not None:
        _describe_all(station)
    return {}


def _describe_all(station: Station) -> None:
    for evse in station.evses.values():
        station.describe(evse)


def data_transfer(station: Station, payload: Payload) -> Payload:
    """P02: only what the vendor profile knows is taken, and nothing is done for it."""
    known = station.ways.setpoint.vendor_id
    if payload["vendorId"] != known or not known:
        return {"status": "UnknownVendorId"}
    return {"status": "UnknownMessageId"}


def taken(station: Station, payload: Payload) -> Payload:
    """A notification that asks for nothing; it is kept with the messages heard."""
    return {}


def notify_ev_charging_needs(station: Station, payload: Payload) -> Payload:
    """K15 of 2.0.1: unidirectional needs; no profile of ours follows."""
    return {"status": "Processing"}


def notify_ev_charging_schedule(station: Station, payload: Payload) -> Payload:
    """K15: the schedule that the EV chose; ours is the limit, so any is fine."""
    return {"status": "Accepted"}


def reservation_status_update(station: Station, payload: Payload) -> Payload:
    """H04: the reservation is over."""
    status = {"Expired": "EXPIRED", "Removed": "CANCELLED"}.get(payload["reservationUpdateStatus"])
    if status is not None:
        station.context.reservations.ended(station.id, payload["reservationId"], status)
    return {}


def get_certificate_status(station: Station, payload: Payload) -> Payload:
    """M06: we reach no OCSP responder."""
    return {"status": "Failed", "statusInfo": {"reasonCode": "NoOcsp"}}


HANDLERS: Handlers = {
    "Authorize": authorize,
    "BootNotification": boot_notification,
    "ClearedChargingLimit": cleared_charging_limit,
    "DataTransfer": data_transfer,
    "FirmwareStatusNotification": taken,
    "GetCertificateStatus": get_certificate_status,
    "Heartbeat": heartbeat,
    "LogStatusNotification": taken,
    "MeterValues": meter_values,
    "NotifyChargingLimit": notify_charging_limit,
    "NotifyCustomerInformation": taken,
    "NotifyDisplayMessages": taken,
    "NotifyEVChargingNeeds": notify_ev_charging_needs,
    "NotifyEVChargingSchedule": notify_ev_charging_schedule,
    "NotifyEvent": notify_event,
    "NotifyMonitoringReport": taken,
    "NotifyReport": notify_report,
    "PublishFirmwareStatusNotification": taken,
    "ReportChargingProfiles": taken,
    "ReservationStatusUpdate": reservation_status_update,
    "SecurityEventNotification": taken,
    "SignCertificate": certificates.sign_certificate,
    "StatusNotification": status_notification,
    "TransactionEvent": transaction_event,
}
