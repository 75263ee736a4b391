"""Price: follow the plan; without one, charge in the cheapest quarter of the day and discharge in the most expensive.

The rule pays only if the spread of prices covers round-trip losses and degradation; otherwise it rests, with a reason
of its own. Discharge covers the site's own load and no more, unless export pays for itself.
"""

from __future__ import annotations

from gateway.energy.modes.mode import BIAS_W, Situation, Target, TargetCode
from gateway.energy.modes.peak_shaving import charge_demand_w
from gateway.energy.price import CHEAP_QUANTILE, EXPENSIVE_QUANTILE

AHEAD_S = 86_400.0
STEP_S = 900.0  # the shortest period of prices on markets
ZERO_GRID_W = 100.0  # a smaller planned exchange means that the plan keeps the grid power at zero


class ByPrice:
    """Follow the plan, or the day's prices."""

    def target(self, situation: Situation) -> Target:
        if situation.planned_w is not None:
            return self._planned(situation, situation.planned_w)
        now = situation.tariff.at(situation.wall)
        ahead = _prices_ahead(situation)
        if now is None or len(ahead) < 4:
            need_w = charge_demand_w(situation)
            text = "No price is known, so vehicles charge only what they need for their departure."
            return Target(need_w, TargetCode.PRICE_UNKNOWN, text)
        cheap, expensive = (ahead[int(share * (len(ahead) - 1))] for share in (CHEAP_QUANTILE, EXPENSIVE_QUANTILE))
        price, export = now
        able = [one for one in situation.resources if one.max_discharge_w > 0]
        eta = min((one.charge_efficiency * one.discharge_efficiency for one in able), default=0.0)
        degradation = max([0.0, *(one.degradation_per_kwh for one in able)])
        if eta <= 0 or expensive - degradation <= cheap / eta:
            need_w = charge_demand_w(situation, refill=price <= cheap)
            return Target(
                need_w, TargetCode.SPREAD_TOO_SMALL, "The day's spread of prices does not cover losses and degradation."
            )
        if price <= cheap:
            need_w = charge_demand_w(situation, refill=True)
            return Target(need_w, TargetCode.CHEAP, f"A kWh costs {price:g}, which is cheap today.")
        if price >= expensive:
            most_w = sum(one.max_discharge_w for one in able)
            own_w = max(0.0, situation.base_w or 0.0)
            discharge_w = most_w if export - degradation > cheap / eta else min(own_w, most_w)
            return Target(0.0 - discharge_w, TargetCode.EXPENSIVE, f"A kWh costs {price:g}, which is expensive today.")
        return Target(0.0, TargetCode.MIDDLING, f"A kWh costs {price:g}, neither cheap nor expensive.")

    def _planned(self, situation: Situation, planned_w: float) -> Target:
        """Return the plan's power; where the plan keeps the grid at zero, the power that does so at the meter."""
        if (
            situation.base_w is not None
            and situation.planned_grid_w is not None
            and abs(situation.planned_grid_w) < ZERO_GRID_W
        ):
            text = "The plan keeps the grid power at zero now."
            zero_w = max(-situation.base_w, situation.export_headroom_w + BIAS_W)
            return Target(zero_w, TargetCode.PLAN_ZERO_GRID, text, soft=False, by_plan=True)
        return Target(planned_w, TargetCode.PLAN, f"The plan sets {planned_w:.0f} W now.", soft=False, by_plan=True)


def _prices_ahead(situation: Situation) -> list[float]:
    """Return the import prices of the next day, sorted."""
    found = (situation.tariff.at(situation.wall + step * STEP_S) for step in range(int(AHEAD_S / STEP_S)))
    return sorted(price[0] for price in found if price is not None)
