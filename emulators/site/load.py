"""Loads of a site: daily profiles in priority tiers, with seeded fluctuation.

Power ≥ 0 in watts. Tiers can be shed and restored; the demand of a shed tier is counted as unserved. The profiles are
our estimates for typical sites; the store's total follows a figure of Seven-Eleven Japan (2011: 125 kWh a day is a
quarter of a store's summer use, so about 500 kWh a day; newer stores use less, 400 is taken).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import pi, sin

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class TierSpec:
    """A group of circuits that is shed and restored as one. `priority` 1 is the last to be shed."""

    name: str
    priority: int
    hours_w: tuple[float, ...]  # 24 values, W at the full hour, interpolated linearly
    fluctuation: float = 0.05  # standard deviation as a fraction
    cycles: tuple[float, float] = (0.0, 0.0)  # compressors: amplitude W, period s
    critical: bool = False  # unserved energy counts as a failure of the site

    def __post_init__(self) -> None:
        if len(self.hours_w) != 24 or min(self.hours_w) < 0:
            raise ValueError(f"tier {self.name}: needs 24 hourly values of at least 0 W, not {list(self.hours_w)}")


def _flat(watts: float) -> tuple[float, ...]:
    return (watts,) * 24


def _day(*values: float) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


STORE = (
    TierSpec("registers and safety light", 1, _flat(1_300), 0.03, critical=True),
    TierSpec("refrigeration", 2, _flat(6_200), 0.04, (1_200, 900)),
    TierSpec("light and sign", 3, _day(*[3600] * 6, 3300, 3000, *[2800] * 8, 3000, 3400, *[3800] * 6), 0.02),
    TierSpec(
        "air conditioning and kitchen",
        4,
        _day(*[2200] * 5, 3000, 4200, 5000, 4600, 4800, 5600, 7200, 7600, 7000, 6800, 6600, 6400, 6600, 6800, 6000)
        + _day(5000, 4000, 3000, 2500),
        0.12,
        (1_500, 1_260),
    ),
)
EVACUATION_CENTRE = (
    TierSpec("radio, light and charging", 1, _day(*[700] * 6, *[900] * 11, *[1600] * 5, 1200, 800), critical=True),
    TierSpec("medical and refrigeration", 1, _flat(500), 0.04, (200, 700), critical=True),
    TierSpec("water and kitchen", 2, _day(*[200] * 5, 900, 2200, 1800, *[500] * 3, 1800, 2000, *[500] * 4, 2200, 2200)
             + _day(1000, 400, 300, 200, 200), 0.1),
    TierSpec("ventilation and air", 3, _day(*[2200] * 8, *[2600] * 10, *[2800] * 6), 0.08, (600, 1_500)),
)  # fmt: skip
WELFARE_FACILITY = (
    TierSpec("medical beds and nurse call", 1, _flat(1_800), 0.04, critical=True),
    TierSpec("corridor light and lift", 2, _day(*[900] * 6, *[1500] * 14, *[1200] * 4), 0.05, critical=True),
    TierSpec("refrigeration and kitchen", 3, _day(*[1100] * 5, 3500, 4800, 3200, *[1600] * 3, 4600, 3800, *[1400] * 3)
             + _day(3600, 4400, 2600, *[1200] * 5), 0.08, (500, 800)),
    TierSpec("air conditioning", 4, _day(*[3500] * 7, *[5200] * 12, *[4000] * 5), 0.1, (900, 1_320)),
    TierSpec("laundry and office", 5, _day(*[300] * 8, *[3200] * 9, *[500] * 7), 0.2),
)  # fmt: skip
HOME = (
    TierSpec("light and refrigerator", 1, _day(*[120] * 6, 260, 260, *[130] * 9, 280, *[380] * 5, 220), 0.1,
             (70, 2_400), critical=True),
    TierSpec("kitchen and bath", 2, _day(*[20] * 6, 700, 500, *[60] * 3, 350, 200, *[60] * 4, 800, 900, 400, 200, 100)
             + _day(40, 20), 0.3),
    TierSpec("air conditioning", 3, _day(*[250] * 6, 600, 500, *[250] * 8, 500, *[800] * 6, 400), 0.2, (150, 1_100)),
)  # fmt: skip

SITES: dict[str, tuple[TierSpec, ...]] = {
    "store": STORE,
    "evacuation-centre": EVACUATION_CENTRE,
    "welfare-facility": WELFARE_FACILITY,
    "home": HOME,
}


@dataclass(slots=True)
class Tier:
    """State of one tier."""

    spec: TierSpec
    scale: float = 1.0
    connected: bool = True
    demand_w: float = 0.0  # served or not
    served_wh: float = 0.0
    unserved_wh: float = 0.0
    transfer_wh: float = 0.0  # unserved while the site changed its source


@dataclass(slots=True)
class Loads:
    """All tiers of a site. `update` sets their demand, `account` counts the energy served and unserved."""

    tiers: list[Tier]
    seed: int | str = 0
    _noise: dict[tuple[str, int], float] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: str | Sequence[TierSpec], scale: float = 1.0, seed: int | str = 0) -> Loads:
        """Return the loads of a kind of site, or of the tiers given."""
        specs = SITES[kind] if isinstance(kind, str) else kind
        return cls([Tier(spec, scale) for spec in specs], seed)

    def update(self, wall: float, utc_offset_s: float) -> float:
        """Set the demand of each tier at a wall time; return the sum of the connected tiers, W."""
        local = wall + utc_offset_s
        total = 0.0
        for tier in self.tiers:
            tier.demand_w = self._demand(tier, local)
            if tier.connected:
                total += tier.demand_w
        return total

    def account(self, seconds: float, energised: bool, critical: bool = False, transferring: bool = False) -> None:
        """Count the energy of each tier over a time in which the site was energised or de-energised.

        `critical`: the critical tiers have a supply of their own meanwhile. `transferring`: the site changes its
        source within the time of its switchgear; the unserved energy of critical tiers counts separately.
        """
        hours = seconds / HOUR
        for tier in self.tiers:
            if (energised and tier.connected) or (critical and tier.spec.critical):
                tier.served_wh += tier.demand_w * hours
            elif transferring and tier.spec.critical:
                tier.transfer_wh += tier.demand_w * hours
            else:
                tier.unserved_wh += tier.demand_w * hours

    @property
    def critical_w(self) -> float:
        """Demand of the critical tiers."""
        return sum(tier.demand_w for tier in self.tiers if tier.spec.critical)

    @property
    def unserved_critical_wh(self) -> float:
        """Unserved energy of critical tiers outside transfers."""
        return sum(tier.unserved_wh for tier in self.tiers if tier.spec.critical)

    @property
    def unserved_transfer_wh(self) -> float:
        """Unserved energy of critical tiers during transfers."""
        return sum(tier.transfer_wh for tier in self.tiers)

    @property
    def unserved_wh(self) -> float:
        """Unserved energy of all tiers, for any reason."""
        return sum(tier.unserved_wh + tier.transfer_wh for tier in self.tiers)

    @property
    def served_wh(self) -> float:
        return sum(tier.served_wh for tier in self.tiers)

    def _demand(self, tier: Tier, local: float) -> float:
        spec = tier.spec
        hour = local % (24 * HOUR) / HOUR
        first = int(hour) % 24
        part = hour - int(hour)
        watts = spec.hours_w[first] * (1 - part) + spec.hours_w[(first + 1) % 24] * part
        minute = local / 300
        before, after = self._deviation(spec, int(minute)), self._deviation(spec, int(minute) + 1)
        watts *= max(0.0, 1 + before + (after - before) * (minute - int(minute)))
        amplitude, period = spec.cycles
        if period:
            watts += amplitude * sin(2 * pi * local / period)
        return max(0.0, watts) * tier.scale

    def _deviation(self, spec: TierSpec, step: int) -> float:
        key = (spec.name, step)
        value = self._noise.get(key)
        if value is None:
            if len(self._noise) > 500:
                self._noise.clear()
            value = random.Random(f"load-{self.seed}-{spec.name}-{step}").gauss(0, spec.fluctuation)
            self._noise[key] = value
        return value
