"""Views of stations, transactions, tokens, reservations and messages for the admin API, with its member names.

1.6 has no EVSEs: its connector n is EVSE n of the gateway and is shown with its own number.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gateway.csms.context import RecordedViolation
from gateway.csms.evse import Evse
from gateway.csms.message_log import Kind, LoggedMessage
from gateway.csms.reservations import Reservation
from gateway.csms.security_events import RecordedSecurityEvent
from gateway.csms.station import Station
from gateway.csms.tokens import Token
from gateway.csms.transactions import Transaction
from protocols.ocpp.schema import Version
from protocols.ocpp.times import stamp

Row = dict[str, Any]


def station(station: Station) -> Row:
    """Return the view of a station."""
    evses = sorted(station.evses.values(), key=lambda evse: evse.number)
    boot = station.boot
    return {
        "id": station.id,
        "protocol": None if station.version is None else station.version.value,
        "connected": station.connected,
        "registered": station.registered,
        "registration": station.settings.registration.value if station.registered else None,
        "boot": None if boot is None else asdict(boot) | {"at": stamp(boot.at)},
        "evses": [_evse(station, evse) for evse in evses],
        "connectors": [
            {"evseId": evse.number, "connectorId": _connector(station.version, evse.number, number), "status": status}
            for evse in evses
            for number, status in sorted(evse.connectors.items())
        ],
        "der_alarms": dict(station.der.alarms),
        "reboot_required": {"settings": station.reboot_required, "operation": "reset"}
        if station.reboot_required
        else None,
        "upkeep": dict(station.maintenance),
        "streams": station.streams.rows(),
        "profile": station.settings.vendor_profile or (station.vendor.name if station.vendor else None),
        "security_profile": station.security_profile if station.connected else station.required_security_profile,
    }


def _evse(station: Station, evse: Evse) -> Row:
    fallback = "held" if evse.fallback.installed else evse.fallback.error or "not held"
    return {
        "evseId": evse.number,
        "name": evse.name,
        "operationMode": evse.mode,
        "fault": evse.fault,
        "can_discharge": evse.can_discharge,
        "why_not": evse.why_not or None,
        "safe_profile": fallback if station.vendor_profile.fallback_profile else "not used",
    }


def _connector(version: Version | None, evse: int, connector: int | None) -> int | None:
    return evse or None if version is Version.V16 else connector


def transaction(one: Transaction, version: Version | None) -> Row:
    """Return the view of a transaction."""

    def since(now: float | None, start: float | None) -> float | None:
        return None if now is None or start is None else now - start

    number = version is Version.V16 and one.id.lstrip("-").isdecimal()
    return {
        "ref": one.ref,
        "station": one.station,
        "transactionId": int(one.id) if number else one.id,
        "idToken": one.id_token,
        "evseId": one.evse or None,
        "connectorId": _connector(version, one.evse, one.connector),
        "startedAt": None if one.started_at is None else stamp(one.started_at),
        "stoppedAt": None if one.stopped_at is None else stamp(one.stopped_at),
        "stopReason": one.stop_reason,
        "operationMode": one.operation_mode,
        "chargingState": one.charging_state,
        "meterStart": one.meter_start_wh,
        "meterStop": None if one.active else one.energy_charged_wh,
        "energy_charged_wh": since(one.energy_charged_wh, one.meter_start_wh),
        "energy_discharged_wh": since(one.energy_discharged_wh, one.meter_start_out_wh),
    }


def token(token: Token, wall: float) -> Row:
    """Return the view of a token with its present status."""
    return {
        "idToken": token.id,
        "status": token.status_at(wall),
        "type": token.type,
        "expiry": None if token.expiry is None else stamp(token.expiry),
        "parent": token.parent,
        "allowed_energy_transfer": list(token.energy_transfer),
    }


def reservation(one: Reservation) -> Row:
    """Return the view of a reservation."""
    return {
        "ref": one.ref,
        "station": one.station,
        "reservationId": one.id,
        "status": one.status.value,
        "idToken": one.id_token,
        "evseId": one.evse,
        "connectorId": one.connector,
        "connectorType": one.connector_type,
        "expiry": None if one.expiry is None else stamp(one.expiry),
    }


def message(one: LoggedMessage, kind: Kind, action: str) -> Row:
    """Return the view of a message."""
    content = one.content
    row: Row = {
        "t": one.t,
        "station": one.station,
        "direction": one.direction.value,
        "type": kind.value,
        "id": content[1],
        "action": action or None,
    }
    if kind is Kind.ERROR:
        return row | {
            "payload": None,
            "error": dict(zip(("code", "description", "details"), content[2:], strict=False)),
        }
    return row | {"payload": content[-1]}


def security_event(one: RecordedSecurityEvent) -> Row:
    """Return the view of a security event."""
    row = asdict(one)
    return {"at": stamp(row.pop("t")), "station": one.station, "type": row.pop("kind"), **row}


def violation(one: RecordedViolation) -> Row:
    """Return the view of a message that broke a rule of OCPP."""
    row = asdict(one)
    return {"t": one.t, "station": one.station, "direction": "sent" if row.pop("ours") else "received", **row}
