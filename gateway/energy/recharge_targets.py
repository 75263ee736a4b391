"""Recharge targets after an outage: state of charge and deadline of each battery, and the rule that sets them.

The highest target applies (`because` names it):

| battery | target | deadline |
|---|---|---|
| every vehicle | its floor, which includes the trip home | departure, else `recharge_hours` after the grid's return |
| a vehicle with a driver's target | that target | its departure |
| a vehicle discharged in the outage | its SoC on arrival or at the loss of the grid | as above |
| a deployed vehicle | the SoC of its agreement, instead of the one above | as above |
| the storage | its floor, and one night of the critical load | `recharge_hours` after the grid's return |

Pure. Which battery is charged when is in `recharge_control.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.authority.soc_floors import Floor, ReserveInForce, storage_floor
from gateway.energy.resource import Kind, Resource
from gateway.energy.settings import EnergySection

NEAR_PCT = 0.5  # a target this near counts as reached
NIGHT_H = 12.0


@dataclass(frozen=True, slots=True)
class RechargeTarget:
    """Target of one battery: up to `target_pct`, by `due` (Unix time), for `because`; `energy_wh` at the meter.

    `urgent`: the vehicle is below its floor, so its driver could not get home.
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
    """Return the name under which a battery is recognised: the vehicle's, else that of its place."""
    return one.vehicle or one.name


def recharge_target(
    one: Resource,
    before: Mapping[str, float],
    agreed_pct: float | None,
    due: float,
    floors: Mapping[str, Floor],
    settings: EnergySection,
) -> RechargeTarget | None:
    """Return the target of one battery, None if it is reached or unknown.

    `before`: SoC by identity before the outage. `agreed_pct`: SoC of the vehicle's agreement. `due`: deadline of the
    site as a whole.
    """
    if one.soc_pct is None or one.capacity_wh is None or one.max_charge_w <= 0:
        return None
    targets = [(one.floor_pct, floors[one.name].source if one.name in floors else "the reserve")]
    if one.kind is Kind.STORAGE:
        targets.append((night_pct(one, before.get(identity(one), 0.0), settings), "the next night"))
    elif agreed_pct is not None:
        targets.append((agreed_pct, "its agreement"))
    else:
        targets.append((before.get(identity(one), 0.0), "its charge before the outage"))
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


def night_pct(storage: Resource, before_pct: float, settings: EnergySection) -> float:
    """Return the SoC that supplies the critical load for a night; without tiers the SoC before the outage."""
    critical_w = sum(tier.expected_w for tier in settings.tiers if tier.critical)
    if critical_w <= 0 or not storage.capacity_wh:
        return before_pct
    outage = ReserveInForce(off_grid_pct=settings.off_grid_pct, off_grid=True)
    lowest = storage_floor(outage, settings.storage.floor_pct).pct
    night = 100 * critical_w * NIGHT_H / storage.discharge_efficiency / storage.capacity_wh
    return min(storage.ceiling_pct, lowest + night)
