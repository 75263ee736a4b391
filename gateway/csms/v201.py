"""Messages of OCPP 2.0.1 stations and their responses. 2.1 extends them (`v21`).

An action that is not in the table is rejected with NotSupported; only what is carried out is answered Accepted.
"""

from __future__ import annotations

from gateway.csms import capabilities, certificates, device_model, evse_events, messages, negotiated_profile
from gateway.csms.charging_needs import vehicle_needs
from gateway.csms.reservations import ReservationStatus
from gateway.csms.station import Handlers, Station
from gateway.csms.transaction_event import transaction_event
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload, Version

Action, Generic = v21.Action, v21.GenericStatusEnumType  # 2.1 has the same names and more

RESERVATION_ENDS: dict[str, ReservationStatus] = {
    v21.ReservationUpdateStatusEnumType.expired: ReservationStatus.EXPIRED,
    v21.ReservationUpdateStatusEnumType.removed: ReservationStatus.CANCELLED,
}

ROUNDING_W = 1.0  # rounding of a limit on its way to the EV and back


def boot_notification(station: Station, payload: Payload) -> Payload:
    """Process BootNotification (B01-B03)."""
    unit = payload["chargingStation"]
    serial, firmware, inventory = unit.get("serialNumber"), unit.get("firmwareVersion"), device_model.request_inventory
    return messages.booted(station, inventory, unit["vendorName"], unit["model"], serial, firmware, payload["reason"])


def status_notification(station: Station, payload: Payload) -> Payload:
    """Process StatusNotification (G01). EVSE 0 is the whole station, which some stations report after a boot."""
    evse_events.availability(station, payload["evseId"], payload["connectorId"], payload["connectorStatus"])
    return {}


def authorize(station: Station, payload: Payload) -> Payload:
    """Respond to Authorize (C01-C07)."""
    token = payload["idToken"]
    info = station.context.tokens.info_2(token["idToken"], token["type"], station.context.clock.wall())
    answer: Payload = {"idTokenInfo": info}
    if "iso15118CertificateHashData" in payload or "certificate" in payload:
        # C07: no OCSP responder of contract certificates is queried, so none of them is Accepted.
        answer["certificateStatus"] = v21.AuthorizeCertificateStatusEnumType.no_certificate_available
        answer["idTokenInfo"] = {"status": v21.AuthorizationStatusEnumType.invalid}
    return answer


def meter_values(station: Station, payload: Payload) -> Payload:
    """Process meter values outside a transaction (J01); EVSE 0 is the main meter of the station."""
    if payload["evseId"] > 0:
        evse = station.evse(payload["evseId"])
        evse_events.metered(station, evse, evse_events.readings(station, evse, payload["meterValue"]), None)
    return {}


def notify_charging_limit(station: Station, payload: Payload) -> Payload:
    """Process a limit of another system (K12, K13) for an EVSE, or with EVSE 0 the station: its present value
    narrows the capabilities."""
    number, unlimited = payload.get("evseId", 0), float("inf")
    schedules = payload.get("chargingSchedule", ())
    if schedules and schedules[0]["chargingRateUnit"] == v21.ChargingRateUnitEnumType.w:
        first = schedules[0]["chargingSchedulePeriod"][0]
        discharge_w = abs(first.get("dischargeLimit", unlimited))
        station.external_limits[number] = (max(0.0, first.get("limit", unlimited)), discharge_w)
        station.describe_all()
    return {}


def cleared_charging_limit(station: Station, payload: Payload) -> Payload:
    """Process the end of a limit of another system (K13)."""
    if station.external_limits.pop(payload.get("evseId", 0), None) is not None:
        station.describe_all()
    return {}


def notify_ev_charging_needs(station: Station, payload: Payload) -> Payload:
    """Process the vehicle's needs (K15-K17 of 2.0.1): the profile in force is sent again; without one, it is sent
    with the first set-point."""
    evse = station.evse(payload["evseId"])
    evse.needs = vehicle_needs(payload["chargingNeeds"])
    capabilities.report_needs(station, evse)
    if evse.setpoint is None or station.context.transactions.active_at(station.id, evse.number) is None:
        return {"status": v21.NotifyEVChargingNeedsStatusEnumType.processing}
    station.spawn(negotiated_profile.repeat(station, evse))
    return {"status": Generic.accepted}


def notify_ev_charging_schedule(station: Station, payload: Payload) -> Payload:
    """Reject a schedule of the EV beyond the limit (K15.FR.11, .12), and send the profile in force again."""
    evse, schedule = station.evse(payload["evseId"]), payload["chargingSchedule"]
    watts = schedule["chargingRateUnit"] == v21.ChargingRateUnitEnumType.w
    if station.version is not Version.V201 or evse.setpoint is None or not watts:
        return {"status": Generic.accepted}
    most = max(0.0, evse.setpoint[0]) + ROUNDING_W
    if all(period["limit"] <= most for period in schedule["chargingSchedulePeriod"]):
        return {"status": Generic.accepted}
    station.spawn(negotiated_profile.repeat(station, evse))
    return {"status": Generic.rejected}


def reservation_status_update(station: Station, payload: Payload) -> Payload:
    """Process the end of a reservation (H04)."""
    status = RESERVATION_ENDS.get(payload["reservationUpdateStatus"])
    if status is not None:
        station.context.reservations.ended(station.id, payload["reservationId"], status)
    return {}


def get_certificate_status(station: Station, payload: Payload) -> Payload:
    """Reject GetCertificateStatus (M06): no OCSP responder is queried."""
    return {"status": v21.GetCertificateStatusEnumType.failed, "statusInfo": {"reasonCode": "NoOcsp"}}


HANDLERS: Handlers = {
    Action.authorize: authorize,
    Action.boot_notification: boot_notification,
    Action.cleared_charging_limit: cleared_charging_limit,
    Action.data_transfer: messages.data_transfer,
    Action.firmware_status_notification: messages.maintenance("firmware"),
    Action.get_certificate_status: get_certificate_status,
    Action.heartbeat: messages.heartbeat,
    Action.log_status_notification: messages.maintenance("log"),
    Action.meter_values: meter_values,
    Action.notify_charging_limit: notify_charging_limit,
    Action.notify_customer_information: messages.acknowledge,
    Action.notify_display_messages: messages.acknowledge,
    Action.notify_ev_charging_needs: notify_ev_charging_needs,
    Action.notify_ev_charging_schedule: notify_ev_charging_schedule,
    Action.notify_event: device_model.notify_event,
    Action.notify_monitoring_report: messages.acknowledge,
    Action.notify_report: device_model.notify_report,
    Action.publish_firmware_status_notification: messages.maintenance("published_firmware"),
    Action.report_charging_profiles: messages.acknowledge,
    Action.reservation_status_update: reservation_status_update,
    Action.security_event_notification: messages.security_event,
    Action.sign_certificate: certificates.sign_certificate,
    Action.status_notification: status_notification,
    Action.transaction_event: transaction_event,
}
