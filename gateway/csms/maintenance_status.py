"""How far a station is with its firmware, its logs and its diagnostics, as it last told; an operator sees it.

Each is told in notifications that may be the last before the station reboots, so it outlives the gateway too.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.csms.station import Station
from protocols.ocpp.schema import Payload
from protocols.ocpp.times import stamp


def told(about: str) -> Callable[[Station, Payload], Payload]:
    """A handler that remembers the last notification about something."""

    def take(station: Station, payload: Payload) -> Payload:
        note(station, about, {key: payload[key] for key in ("status", "requestId", "location") if key in payload})
        return {}

    return take


def note(station: Station, about: str, what: Payload) -> None:
    """Remember what was last told about something."""
    station.upkeep[about] = {**what, "at": stamp(station.context.clock.wall())}
    station.save()
