"""Photovoltaics: position of the sun, irradiance and seeded cloud cover.

The position of the sun follows the usual low-precision formula (declination and equation of time by the day of the
year, good to half a degree). Clear-sky irradiance is the model of Haurwitz; the diffuse part on a plane is isotropic.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import acos, asin, cos, degrees, exp, inf, radians, sin

OVER_FREQUENCY = 1.02  # of the nominal frequency, for `TRIP_S` (OFR of JEAC 9701)
TRIP_S = 1.0


@dataclass(frozen=True, slots=True)
class Sun:
    """Elevation above the horizon and azimuth clockwise from north, degrees."""

    elevation: float
    azimuth: float


def sun(wall: float, latitude: float, longitude: float) -> Sun:
    """Return the position of the sun at a Unix time; latitude north and longitude east, degrees."""
    moment = datetime.fromtimestamp(wall, UTC)
    day = moment.timetuple().tm_yday
    hours = moment.hour + moment.minute / 60 + moment.second / 3600
    angle = 2 * 3.141592653589793 * (day - 1 + (hours - 12) / 24) / 365
    declination = (
        0.006918 - 0.399912 * cos(angle) + 0.070257 * sin(angle) - 0.006758 * cos(2 * angle)
        + 0.000907 * sin(2 * angle) - 0.002697 * cos(3 * angle) + 0.00148 * sin(3 * angle)
    )  # fmt: skip
    equation_min = 229.18 * (
        0.000075 + 0.001868 * cos(angle) - 0.032077 * sin(angle) - 0.014615 * cos(2 * angle)
        - 0.040849 * sin(2 * angle)
    )  # fmt: skip
    solar_hours = hours + longitude / 15 + equation_min / 60
    hour_angle = radians(15 * (solar_hours - 12))
    phi = radians(latitude)
    height = sin(phi) * sin(declination) + cos(phi) * cos(declination) * cos(hour_angle)
    elevation = asin(max(-1.0, min(1.0, height)))
    along = cos(phi) * cos(elevation)
    north = (sin(declination) - sin(phi) * sin(elevation)) / along if along > 1e-9 else 0.0
    azimuth = degrees(acos(max(-1.0, min(1.0, north))))
    if sin(hour_angle) > 0:
        azimuth = 360 - azimuth
    return Sun(degrees(elevation), azimuth)


@dataclass(frozen=True, slots=True)
class PvSpec:
    """An array. `clearness` is the mean clearness of the sky: 1 cloudless, 0.3 overcast.

    The defaults yield about 1,000 kWh a year for each kW of peak power, as usual in Japan.
    """

    peak_w: float = 10_000.0
    tilt: float = 20.0
    azimuth: float = 180.0
    latitude: float = 35.68
    longitude: float = 139.77
    clearness: float = 0.6
    performance: float = 0.73  # losses of inverter, wiring, soiling, temperature
    inverter_w: float | None = None


@dataclass(slots=True)
class Pv:
    """State of an array. Its available power is a function of time and seed alone.

    `limit_w`: as ordered. Its inverter trips by over-frequency (`trip`) and reconnects after `reconnect_s`.
    """

    spec: PvSpec = field(default_factory=PvSpec)
    seed: int | str = 0
    energy_wh: float = 0.0
    curtailed_wh: float = 0.0
    enabled: bool = True
    limit_w: float | None = None
    reconnect_s: float = 300.0
    trips: int = 0
    _tripped_until: float = -inf
    _over_since: float | None = None
    _last: tuple[int, float] = (-1, 0.0)

    def at(self, wall: float) -> float:
        """Return the available power at a time, W, updated once a minute."""
        minute = int(wall // 60)
        if self._last[0] != minute:
            self._last = (minute, self._power(minute * 60.0))
        return self._last[1] if self.enabled else 0.0

    def feeds(self, wall: float, now: float) -> float:
        """Return the power within the ordered limit, 0 while the inverter is tripped, W."""
        if now < self._tripped_until:
            return 0.0
        available_w = self.at(wall)
        return available_w if self.limit_w is None else min(available_w, self.limit_w)

    def frequency(self, hertz: float, nominal_hz: float, now: float) -> bool:
        """Apply the frequency of the site; return whether the inverter trips now."""
        if hertz <= OVER_FREQUENCY * nominal_hz:
            self._over_since = None
            return False
        self._over_since = now if self._over_since is None else self._over_since
        if now - self._over_since < TRIP_S or now < self._tripped_until:
            return False
        self._tripped_until, self._over_since, self.trips = now + self.reconnect_s, None, self.trips + 1
        return True

    def _power(self, wall: float) -> float:
        spec = self.spec
        position = sun(wall, spec.latitude, spec.longitude)
        if position.elevation <= 0:
            return 0.0
        height = sin(radians(position.elevation))
        clear = 1098 * height * exp(-0.057 / height)  # W/m² on a horizontal plane, Haurwitz 1945
        sky = self._clearness(wall)
        horizontal = clear * sky
        diffuse = horizontal * (1 - 0.75 * sky)
        beam = (horizontal - diffuse) / max(height, 0.05)
        tilt, away = radians(spec.tilt), radians(position.azimuth - spec.azimuth)
        facing = height * cos(tilt) + cos(radians(position.elevation)) * sin(tilt) * cos(away)
        plane = beam * max(0.0, facing) + diffuse * (1 + cos(tilt)) / 2
        watts = spec.peak_w * plane / 1000 * spec.performance
        return min(watts, spec.inverter_w or spec.peak_w)

    def _clearness(self, wall: float) -> float:
        """Return the clearness from the daily weather and short-term clouds, both drawn by the seed."""
        day = random.Random(f"day-{self.seed}-{int(wall // 86400)}").gauss(0, 0.12)
        step = wall / 420
        quick = [random.Random(f"sky-{self.seed}-{int(step) + n}").gauss(0, 0.14) for n in (0, 1)]
        cloud = quick[0] + (quick[1] - quick[0]) * (step - int(step))
        # little fluctuation with clear or overcast skies
        depth = 4 * self.spec.clearness * (1 - self.spec.clearness) + 0.15
        return max(0.05, min(1.0, self.spec.clearness + day + cloud * depth))
