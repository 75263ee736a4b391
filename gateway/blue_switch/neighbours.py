"""What one desk takes from the state of another site: who is there, and, from the one that leads, who is called.

A desk that does not lead checks arrivals against the leader's calls; the leader sees through the others' states where
the cars are and how full. Nonsense from outside changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gateway.blue_switch.callout import SiteNeed, Trip
from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.registry import Status
from gateway.model.moment import parse_moment

MOST = 5000
AHEAD_S = 72 * 3600.0  # how long a site should be supplied


def need_of(site: str, energy: Mapping[str, Any], wall: float) -> SiteNeed | None:
    """The need that a site's state tells, None where it tells none or nonsense."""
    need = energy.get("need")
    if not isinstance(need, dict):
        return None
    try:
        draw_w, stored_wh, bays = (float(need[key]) for key in ("draw_w", "stored_wh", "bays"))
    except (KeyError, TypeError, ValueError):
        return None
    if not all(math.isfinite(one) and one >= 0 for one in (draw_w, stored_wh, bays)):
        return None
    return SiteNeed(site, draw_w, stored_wh, int(min(bays, 1000)), wall + AHEAD_S)


def take(desk: Coordinator, site: str, told: object, wall: float) -> None:
    """The `blue_switch` part of another site's state."""
    if not isinstance(told, dict) or not desk.atlas.knows(site):
        return
    here = {}
    for row in _rows(told.get("there")):
        vehicle, soc = row.get("vehicle"), row.get("soc_pct")
        if isinstance(vehicle, str) and vehicle in desk.registry.cars:
            here[vehicle] = float(soc) if isinstance(soc, (int, float)) and 0 <= soc <= 100 else None
    for vehicle, car in list(desk.registry.cars.items()):
        if vehicle in here:
            desk.registry.seen(vehicle, max(wall, car.seen_at), site, here[vehicle], Status.THERE)
            if (call := desk.calls.get(vehicle)) is not None and call.site == site:
                del desk.calls[vehicle]  # it has come
        elif car.place == site and car.status is Status.THERE and (site, vehicle) not in desk.loans:
            desk.registry.seen(vehicle, max(wall, car.seen_at), site, None, Status.FREE)
    if told.get("leads") is True and not desk.leads:
        trips = (_trip(row) for row in _rows(told.get("calls")))
        desk.calls = {trip.vehicle: trip for trip in trips if trip is not None and trip.vehicle in desk.registry.cars}


def _rows(value: object) -> list[dict[str, Any]]:
    return [one for one in value[:MOST] if isinstance(one, dict)] if isinstance(value, list) else []


def _trip(row: Mapping[str, Any]) -> Trip | None:
    try:
        call_by, leave_at, arrive_at, until = (
            parse_moment(row[key]) for key in ("call_by", "leave_at", "arrive_at", "supply_until")
        )
        brings_wh, way_wh, leaves_pct = (float(row[key]) for key in ("brings_wh", "way_wh", "leaves_pct"))
        texts = [str(row[key])[:64] for key in ("vehicle", "agreement", "site", "from")]
    except (KeyError, TypeError, ValueError):
        return None
    if not all(math.isfinite(one) and one >= 0 for one in (brings_wh, way_wh, leaves_pct)):
        return None
    vehicle, agreement, site, start = texts
    times = (call_by, leave_at, arrive_at, arrive_at, until)
    return Trip(vehicle, agreement, site, 0, start, *times, brings_wh, way_wh, leaves_pct)
