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
    wait_s = _wait_s(station) if status == registration.Status.accepted else 0
    if wait_s:
        status = registration.Status.pending
    about = " ".join(text for text in (vendor, model, firmware, f"({reason})" if reason else "") if text)
    log.info("%s: boot %s: %s", station.id, status.lower(), about)
    station.booted(Boot(status, vendor, model, serial, firmware, reason, context.clock.wall()))
    if station.accepted and context.settings.inventory:
        housekeeping.spawn(station, inventory(station))
    interval = context.settings.heartbeat_s if station.accepted else context.settings.boot_retry_s
    return {"currentTime": stamp(context.clock.wall()), "interval": wait_s or interval, "status": status}


def _wait_s(station: Station) -> int:
    """Return how long a boot is postponed because there are too many, in s; not that of a station in a transaction."""
    context = station.context
    urgent = any(True for _ in context.transactions.active_of(station.id))
    return context.boots.wait_s(station.id, context.clock.now(), urgent=urgent)


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
