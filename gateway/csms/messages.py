"""Messages that every OCPP version has alike, and their responses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine

from gateway.csms import housekeeping, registration
from gateway.csms.registration import Boot
from gateway.csms.station import Handler, Station
from protocols.ocpp.enums import v21
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp

log = logging.getLogger("v2x.csms")


def booted(
    station: Station,
    inventory: Callable[[Station], Coroutine[object, None, None]],
    vendor: str,
    model: str,
    serial: str | None,
    firmware: str | None,
    reason: str | None = None,
) -> Payload:
    """Respond to BootNotification; `inventory` queries an accepted station."""
    context = station.context
    status = registration.status_of(station.settings, station.registered, context.unknown_stations)
    postponed = status == registration.Status.accepted and _postpones(station)
    if postponed:
        status = registration.Status.pending
    about = " ".join(text for text in (vendor, model, firmware, f"({reason})" if reason else "") if text)
    log.info("%s: boot %s: %s", station.id, status.lower(), about)
    station.booted(Boot(status, vendor, model, serial, firmware, reason, context.clock.wall()))
    if station.accepted and context.settings.inventory:
        housekeeping.spawn(station, inventory(station))
    interval = context.settings.heartbeat_s if station.accepted else context.settings.boot_retry_s
    if postponed:
        interval = registration.spread_s(station.id)
    return {"currentTime": stamp(context.clock.wall()), "interval": interval, "status": status}


def _postpones(station: Station) -> bool:
    """Return True for a boot beyond the rate, of a station without a transaction, which can wait."""
    context = station.context
    within = context.boots.take(context.clock.now())
    return not within and not list(context.transactions.active_of(station.id))


def heartbeat(station: Station, payload: Payload) -> Payload:
    """Respond to Heartbeat (2.x G02; 1.6 4.6)."""
    return {"currentTime": stamp(station.context.clock.wall())}


def data_transfer(station: Station, payload: Payload) -> Payload:
    """Reject DataTransfer (2.x P02; 1.6 4.3): no vendor message of a station is supported."""
    known, status = station.vendor_profile.setpoint.vendor_id, v21.DataTransferStatusEnumType
    vendor_known = known and payload["vendorId"] == known
    return {"status": status.unknown_message_id if vendor_known else status.unknown_vendor_id}


def acknowledge(station: Station, payload: Payload) -> Payload:
    """Acknowledge a notification without an effect; it is among the received messages."""
    return {}


def security_event(station: Station, payload: Payload) -> Payload:
    """Record and report a security event (2.x A04; 1.6 security whitepaper)."""
    kind, detail = payload["type"], payload.get("techInfo")
    text = f"{station.id} reports the security event {kind} of {payload['timestamp']}" + (
        f": {detail}" if detail else ""
    )
    station.context.security.record(station.id, kind, text)
    return {}


def maintenance(subject: str) -> Handler:
    """Return a handler that records a notification as the maintenance status of a subject."""

    def handle(station: Station, payload: Payload) -> Payload:
        shown: Payload = {key: payload[key] for key in ("status", "requestId", "location") if key in payload}
        station.record_maintenance(subject, shown)
        return {}

    return handle
