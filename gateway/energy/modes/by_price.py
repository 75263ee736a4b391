"""Price: follow the plan; without one, buy in the cheapest quarter of the day and give in the dearest hours.

The rule of thumb pays only if the spread covers the losses there and back and the wear, so it says so and rests when it
does not. Giving covers the site's own load and no more, unless export earns that much too.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.energy.modes.mode import Situation, Wish
from gateway.energy.modes.peak_shaving import charge_wish_w

AHEAD_S = 86_400.0
STEP_S = 1800.0
CHEAP, DEAR = 0.25, 0.85  # quantiles


@dataclass(slots=True)
class ByPrice:
    """`zero_grid_w`: a planned exchange smaller than this means that the plan keeps the grid at zero."""

    zero_grid_w: float = 100.0

    def enter(self, situation: Situation) -> None:
        pass

    def wish(self, situation: Situation) -> Wish:
        if situation.planned_w is not None:
            return self._planned(situation, situation.planned_w)
        now = situation.tariff.at(situation.wall)
        ahead = _ahead(situation)
        if now is None or len(ahead) < 4:
            need_w = charge_wish_w(situation, refill=False)
            return Wish(need_w, "price_unknown", "No price is known, so cars charge only what they need to leave.")
        cheap, dear = ahead[int(CHEAP * (len(ahead) - 1))], ahead[int(DEAR * (len(ahead) - 1))]
        price, export = now
        able = [one for one in situation.resources if one.max_discharge_w > 0]
        eta = min((one.charge_efficiency * one.discharge_efficiency for one in able), default=0.0)
        wear = max((one.wear_per_kwh for one in able), default=0.0)
        if eta <= 0 or dear - wear <= cheap / eta:
            need_w = charge_wish_w(situation, refill=price <= cheap)
            return Wish(need_w, "spread_too_small", "The day's spread of prices does not pay for losses and wear.")
        if price <= cheap:
            return Wish(charge_wish_w(situation, refill=True), "cheap", f"A kWh costs {price:g}, among the cheapest.")
        if price >= dear:
            most_w = sum(one.max_discharge_w for one in able)
            own_w = max(0.0, situation.residual_w or 0.0)
            give_w = most_w if export - wear > cheap / eta else min(own_w, most_w)
            return Wish(0.0 - give_w, "dear", f"A kWh costs {price:g}, among the dearest.")
        return Wish(0.0, "middling", f"A kWh costs {price:g}, neither cheap nor dear.")

    def _planned(self, situation: Situation, planned_w: float) -> Wish:
        """The plan's power; where the plan keeps the grid at zero, that is what is kept, whatever load and sky do."""
        if (
            situation.residual_w is not None
            and situation.planned_grid_w is not None
            and abs(situation.planned_grid_w) < self.zero_grid_w
        ):
            return Wish(-situation.residual_w, "plan_zero_grid", "The plan keeps the grid at zero now.", soft=False)
        return Wish(planned_w, "plan", f"The plan wants {planned_w:.0f} W now.", soft=False)


def _ahead(situation: Situation) -> list[float]:
    """Import prices of the next day, sorted."""
    found = (situation.tariff.at(situation.wall + step * STEP_S) for step in range(int(AHEAD_S / STEP_S)))
    return sorted(price[0] for price in found if price is not None)
