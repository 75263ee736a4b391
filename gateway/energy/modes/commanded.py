"""Modes without an optimiser: grid service, manual and backup.

In grid service and manual the power comes from commands: the command service shares a command to the site over the
EVSEs. Without one, grid service holds the resources at 0 W and manual leaves every EVSE to its own commands. Backup
charges everything to its ceiling within the site's limits and discharges nothing while the grid is present.
"""

from __future__ import annotations

from gateway.energy.modes.mode import Situation, Target, TargetCode
from gateway.energy.modes.peak_shaving import SPARE, charge_demand_w


class GridService:
    """Power is set by commands of the facility or of an aggregator only."""

    def target(self, situation: Situation) -> Target:
        return Target(0.0, TargetCode.NO_ORDER, "No order for grid service is in force.")


class Manual:
    """No optimisation."""

    def target(self, situation: Situation) -> Target:
        return Target(None, TargetCode.MANUAL, "Every EVSE follows its own commands.")


class Backup:
    """Prepared for an outage."""

    def target(self, situation: Situation) -> Target:
        demand_w = charge_demand_w(situation, refill=True)
        power_w = max(0.0, min(demand_w, situation.headroom_w * (1 - SPARE)))
        return Target(
            power_w, TargetCode.FILLING_RESERVE, f"All batteries are charged for an outage, {power_w:.0f} W now."
        )
