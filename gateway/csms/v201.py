"""What the messages of an OCPP 2.0.1 station mean, and what they are answered. 2.1 builds on this (`v21`).

An action that is not in the table is refused with NotSupported; nothing is answered Accepted that is not done.
"""

from __future__ import annotations

from gateway.csms import (
    capabilities,
    certificates,
    device_model,
    evse_events,
    maintenance_status,
    metering,
    registration,
    setpoint,
)
from gateway.csms.charging_needs import vehicle_needs
from gateway.csms.registration import Boot
from gateway.csms.station import Handlers, Station
from gateway.csms.transaction_event import transaction_event
from gateway.model.event import PlugState
from protocols.ocpp.schema import Payload, Version
from protocols.ocpp.times import stamp

PLUGS = {
    "Available": PlugState.AVAILABLE,
    "Occupied": PlugState.OCCUPIED,
    "Reserved": PlugState.RESERVED,
    "Unavailable": PlugState.UNAVAILABLE,
    "Faulted": PlugState.FAULTED,
}

ROUNDED_W = 1.0  # what a limit may lose on its way to the EV and back


def boot_notification(station: Station, payload: Payload) -> Payload:
    """B01-B03."""
    context = station.context
    about = payload["chargingStation"]
    boot = Boot(
        registration.status_of(station.settings, station.registered, context),
        about["vendorName"],
        about["model"],
        about.get("serialNumber"),
        about.get("firmwareVersion"),
        payload["reason"],
        context.clock.wall(),
    )
    station.booted(boot)
    if station.accepted and context.settings.inventory:
        station.later(device_model.take_stock(station))
    return {
        "currentTime": stamp(context.clock.wall()),
        "interval": registration.interval(boot.status, context),
        "status": boot.status,
    }


def heartbeat(station: Station, payload: Payload) -> Payload:
    """G02."""
    return {"currentTime": stamp(station.context.clock.wall())}


def status_notification(station: Station, payload: Payload) -> Payload:
    """G01."""
    evse = station.evse(payload["evseId"])
    status = payload["connectorStatus"]
    changed = evse.connectors.get(payload["connectorId"]) != status
    evse_events.plug(station, evse, payload["connectorId"], status, PLUGS[status])
    evse_events.fault(station, evse, "Faulted" if status == "Faulted" else None)
    if changed:
        station.save()
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


def meter_values(station: Station, payload: Payload) -> Payload:
    """J01: readings outside a transaction; EVSE 0 is the station's own meter and no vehicle's."""
    if payload["evseId"] > 0:
        evse, ways = station.evse(payload["evseId"]), station.ways.meter
        now = station.context.clock.now()
        found = metering.readings(payload["meterValue"], evse.name, now, ways.import_sign, ways.power_scale)
        evse_events.metered(station, found, None)
    return {}


def notify_charging_limit(station: Station, payload: Payload) -> Payload:
    """K12, K13: another system limits the EVSE, or with EVSE 0 the station; its limit of now narrows what we ask."""
    number, endless = payload.get("evseId", 0), float("inf")
    schedules = payload.get("chargingSchedule", ())
    if schedules and schedules[0]["chargingRateUnit"] == "W":
        first = schedules[0]["chargingSchedulePeriod"][0]
        station.external[number] = (max(0.0, first.get("limit", endless)), abs(first.get("dischargeLimit", endless)))
        capabilities.describe_all(station)
    return {}


def cleared_charging_limit(station: Station, payload: Payload) -> Payload:
    """K13: it has let go."""
    if station.external.pop(payload.get("evseId", 0), None) is not None:
        capabilities.describe_all(station)
    return {}


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
    """K15-K17 of 2.0.1: the profile in force is said once more; without one, it comes with the first order."""
    evse = station.evse(payload["evseId"])
    evse.stated = vehicle_needs(payload["chargingNeeds"])
    capabilities.vouch(station, evse)
    if evse.ordered is None or station.context.transactions.active_at(station.id, evse.number) is None:
        return {"status": "Processing"}
    station.later(setpoint.say_again(station, evse))
    return {"status": "Accepted"}


def notify_ev_charging_schedule(station: Station, payload: Payload) -> Payload:
    """K15.FR.11, .12: a schedule of the EV beyond our limit is Rejected, and the profile in force said once more."""
    evse, schedule = station.evse(payload["evseId"]), payload["chargingSchedule"]
    if station.version is not Version.V201 or evse.ordered is None or schedule["chargingRateUnit"] != "W":
        return {"status": "Accepted"}
    most = max(0.0, evse.ordered[0]) + ROUNDED_W
    if all(period["limit"] <= most for period in schedule["chargingSchedulePeriod"]):
        return {"status": "Accepted"}
    station.later(setpoint.say_again(station, evse))
    return {"status": "Rejected"}


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
    "FirmwareStatusNotification": maintenance_status.told("firmware"),
    "GetCertificateStatus": get_certificate_status,
    "Heartbeat": heartbeat,
    "LogStatusNotification": maintenance_status.told("log"),
    "MeterValues": meter_values,
    "NotifyChargingLimit": notify_charging_limit,
    "NotifyCustomerInformation": taken,
    "NotifyDisplayMessages": taken,
    "NotifyEVChargingNeeds": notify_ev_charging_needs,
    "NotifyEVChargingSchedule": notify_ev_charging_schedule,
    "NotifyEvent": device_model.notify_event,
    "NotifyMonitoringReport": taken,
    "NotifyReport": device_model.notify_report,
    "PublishFirmwareStatusNotification": maintenance_status.told("published_firmware"),
    "ReportChargingProfiles": taken,
    "ReservationStatusUpdate": reservation_status_update,
    "SecurityEventNotification": taken,
    "SignCertificate": certificates.sign_certificate,
    "StatusNotification": status_notification,
    "TransactionEvent": transaction_event,
}
