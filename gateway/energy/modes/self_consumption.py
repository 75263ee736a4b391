"""Self-consumption: the resources charge from PV surplus and discharge to supply the site's load.

The target is the base load with the opposite sign. Because a charger cannot run below its minimum power (about 1.4 kW)
and a passing cloud must not switch it off, charging starts when the surplus has lasted for a minute and stops when it
has been missing for three; in between it runs at its minimum power.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.energy.modes.mode import BIAS_W, Situation, Target, TargetCode

START_S = 60.0
STOP_S = 180.0
DEAD_BAND_W = 150.0  # below the accuracy of meters


@dataclass(slots=True)
class SelfConsumption:
    """PV surplus into the resources, the site's load out of them."""

    _charging: bool = False
    _since: float | None = None  # since when the other state would apply

    def target(self, situation: Situation) -> Target:
        if situation.base_w is None:
            return Target(0.0, TargetCode.INPUT_STALE, "The meters are stale, so the surplus is unknown.")
        surplus_w = -situation.base_w + BIAS_W
        min_w = min((one.min_charge_w for one in situation.resources if one.max_charge_w > 0), default=0.0)
        self._latch(surplus_w >= max(min_w, DEAD_BAND_W), situation.now)
        if self._charging:
            return Target(max(surplus_w, min_w), TargetCode.SURPLUS, f"The site has a surplus of {surplus_w:.0f} W.")
        if surplus_w < -DEAD_BAND_W:
            return Target(surplus_w, TargetCode.SELF_SUPPLY, f"The site's load exceeds its PV by {-surplus_w:.0f} W.")
        return Target(0.0, TargetCode.BALANCED, "Load and PV are balanced.")

    def _latch(self, charging: bool, now: float) -> None:
        if charging == self._charging:
            self._since = None
            return
        self._since = now if self._since is None else self._since
        if now - self._since >= (STOP_S if self._charging else START_S):
            self._charging, self._since = charging, None
