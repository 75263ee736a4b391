"""Self-consumption: the resources charge from PV surplus and discharge to supply the site's load.

The target is the base load with the opposite sign. A vehicle under a command of its own is part of the base load.
Because a charger cannot run below its minimum power (about 1.4 kW) and a passing cloud must not switch it off, vehicles
start to charge when the surplus has lasted for a minute and stop when it has been missing for three; in between they
run at their minimum power. A storage has no such minimum and follows surplus and load at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.energy.dispatch import WORKING
from gateway.energy.modes.mode import BIAS_W, Situation, Target, TargetCode
from gateway.energy.resource import Kind, Resource, free_capacity_wh

START_S = 60.0
STOP_S = 180.0
DEAD_BAND_W = 150.0  # below the accuracy of meters


@dataclass(slots=True)
class SelfConsumption:
    """PV surplus into the resources, the site's load out of them."""

    _charging: bool = False  # vehicles may charge
    _since: float | None = None  # since when the other state would apply

    def target(self, situation: Situation) -> Target:
        if situation.base_w is None:
            return Target(0.0, TargetCode.INPUT_STALE, "The meters are stale, so the surplus is unknown.")
        surplus_w = -situation.base_w + BIAS_W
        storages = [one for one in situation.resources if one.kind is Kind.STORAGE]
        stored_w = _storable_w(storages, beside_vehicles=len(storages) < len(situation.resources))
        able = [one for one in situation.resources if one.max_charge_w > 0 and (one.kind is Kind.CAR or stored_w)]
        min_w = min((one.min_charge_w for one in able), default=0.0)
        self._latch(surplus_w >= max(min_w, DEAD_BAND_W), situation.now)
        power_w = surplus_w if self._charging else min(surplus_w, stored_w)
        if self._charging and (min_w or not storages):  # no storage follows a lack of surplus
            power_w = max(surplus_w, min_w)
        if power_w < -DEAD_BAND_W:
            return Target(power_w, TargetCode.SELF_SUPPLY, f"The site's load exceeds its PV by {-power_w:.0f} W.")
        if self._charging or power_w >= DEAD_BAND_W:
            return Target(max(power_w, 0.0), TargetCode.SURPLUS, f"The site has a surplus of {surplus_w:.0f} W.")
        return Target(0.0, TargetCode.BALANCED, "Load and PV are balanced.")

    def _latch(self, charging: bool, now: float) -> None:
        if charging == self._charging:
            self._since = None
            return
        self._since = now if self._since is None else self._since
        if now - self._since >= (STOP_S if self._charging else START_S):
            self._charging, self._since = charging, None


def _storable_w(storages: Sequence[Resource], *, beside_vehicles: bool) -> float:
    """Return the surplus that storages take; beside vehicles no more than they take alone."""
    most_w = sum(one.max_charge_w for one in storages if free_capacity_wh(one) > 0)
    return WORKING * most_w if beside_vehicles else most_w
