"""Last status of firmware, logs, diagnostics and other maintenance of a station, shown to operators.

A notification may be the last one before the station reboots; the status survives restarts of station and gateway.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.csms.station import Station
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp


def handler(subject: str) -> Callable[[Station, Payload], Payload]:
    """Return a message handler that records the notification as the status of a subject."""

    def handle(station: Station, payload: Payload) -> Payload:
        record(station, subject, {key: payload[key] for key in ("status", "requestId", "location") if key in payload})
        return {}

    return handle


def record(station: Station, subject: str, status: Payload) -> None:
    """Record the status of a subject."""
    station.maintenance[subject] = {**status, "at": stamp(station.context.clock.wall())}
    station.save()
