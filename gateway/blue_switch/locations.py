"""Locations of sites and bases; travel time and energy of the ways between them.

Configured ways take precedence; others are estimated from the great-circle distance, a road factor and a speed for
roads without traffic lights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.authority.soc_floors import trip_wh

EARTH_KM = 6371.0
ROAD_FACTOR = 1.35
SPEED_KMH = 30.0


@dataclass(frozen=True, slots=True)
class Way:
    """A way between two places."""

    km: float
    seconds: float

    def energy_wh(self, wh_per_km: float) -> float:
        """Return the energy that a vehicle uses, in its battery, with a margin."""
        return trip_wh(self.km, wh_per_km)


@dataclass(frozen=True, slots=True)
class Atlas:
    """Places by name, as (latitude, longitude) in degrees; `ways` by (from, to), valid in both directions."""

    places: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    ways: Mapping[tuple[str, str], Way] = field(default_factory=dict)
    speed_kmh: float = SPEED_KMH

    def __contains__(self, place: str) -> bool:
        """Return whether the place is in the atlas."""
        return place in self.places

    def way(self, start: str, end: str) -> Way:
        """Return the way from one place to another; KeyError names an unknown place."""
        if start == end:
            return Way(0.0, 0.0)
        known = self.ways.get((start, end)) or self.ways.get((end, start))
        if known is not None:
            return known
        for name in (start, end):
            if name not in self.places:
                raise KeyError(f"no place is called {name!r}")
        km = ROAD_FACTOR * sphere_km(self.places[start], self.places[end])
        return Way(km, km / self.speed_kmh * 3600)


def sphere_km(one: tuple[float, float], two: tuple[float, float]) -> float:
    """Return the great-circle distance of two points, km."""
    lat1, lon1, lat2, lon2 = map(math.radians, (*one, *two))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
