"""What an outage leaves owing: up to where each battery is filled again, by when, and for whose sake.

The highest of these (`because` names it):

| to | up to | by |
|---|---|---|
| every car | its floor, which holds the way home | its departure, else `recharge_hours` after the grid's return |
| a car with a driver's wish | that | its departure |
| a car that gave in the outage | what it had when it came or the grid went | as above |
| a lent car | what its agreement says, instead of what it had | as above |
| the storage | its floor, and one night of the critical load | `recharge_hours` after the grid's return |

Pure. Who gets which power when is `recharging.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.energy.reserve import Floor
from gateway.energy.resource import Kind, Resource
from gateway.energy.settings import EnergySection

NEAR_PCT = 0.5  # this near is paid
NIGHT_H = 12.0


@dataclass(frozen=True, slots=True)
class RechargeTarget:
    """One battery's: up to `target_pct`, by `due` (Unix time), for `because`; `energy_wh` at the meter.

    `urgent`: it is below its floor, so its driver could not get home.
    """

    name: str
    vehicle: str
    target_pct: float
    because: str
    due: float
    energy_wh: float
    urgent: bool = False
    leaves: float = math.inf


def identity(one: Resource) -> str:
    """By what a battery is known again: the car's own name, else its place."""
    return one.vehicle or one.name


def debt_of(
    one: Resource,
    had: Mapping[str, float],
    agreed_pct: float | None,
    due: float,
    floors: Mapping[str, Floor],
    settings: EnergySection,
) -> RechargeTarget | None:
    """What is owed to one battery, None if nothing (or if nobody could tell).

    `had`: SoC by identity before the outage took from it. `agreed_pct`: what its lending agreement says. `due`: by when
    the site as a whole should be ready again.
    """
    if one.soc_pct is None or one.capacity_wh is None or one.max_charge_w <= 0:
        return None
    whose = floors[one.name].whose if one.name in floors and floors[one.name].whose else "the reserve"
    targets = [(one.floor_pct, whose)]
    if one.kind is Kind.STORAGE:
        targets.append((night_pct(one, had.get(identity(one), 0.0), settings), "the next night"))
    elif agreed_pct is not None:
        targets.append((agreed_pct, "its agreement"))
    else:
        targets.append((had.get(identity(one), 0.0), "what it had before"))
    if one.wanted_pct is not None and one.departure is not None and agreed_pct is None:
        targets.append((one.wanted_pct, "its driver"))
    target, because = max(targets, key=lambda pair: pair[0])
    target = min(target, one.ceiling_pct)
    if target - one.soc_pct <= NEAR_PCT:
        return None
    leaves = math.inf if one.departure is None else one.departure
    energy_wh = (target - one.soc_pct) / 100 * one.capacity_wh / one.charge_efficiency
    urgent = one.kind is Kind.CAR and one.soc_pct < one.floor_pct - NEAR_PCT
    return RechargeTarget(
        one.name, one.vehicle, target, because, due if math.isinf(leaves) else leaves, energy_wh, urgent, leaves
    )


def night_pct(storage: Resource, had_pct: float, settings: EnergySection) -> float:
    """SoC at which a storage carries the critical load through a night; without tiers what it had."""
    critical_w = sum(tier.expected_w for tier in settings.tiers if tier.critical)
    if critical_w <= 0 or not storage.capacity_wh:
        return had_pct
    lowest = max(settings.storage.floor_pct, settings.off_grid_pct)
    night = 100 * critical_w * NIGHT_H / storage.discharge_efficiency / storage.capacity_wh
    return min(storage.ceiling_pct, lowest + night)
