"""Peak shaving: keep the site below its limits, and use what they leave for charging.

The headroom contains the demand window, the peak limit and the fuse (`gateway.authority.site_limits`). Below zero the
resources discharge exactly what is missing. Above zero they charge what they need for their departure and recharge
what shaving took, but leave a part of the headroom free for other loads.
"""

from __future__ import annotations

from gateway.energy.modes.mode import Situation, Target, TargetCode
from gateway.energy.resource import free_capacity_wh, wanted_wh

SPARE = 0.15  # of a positive headroom left free
SOONER = 0.6  # of the time left: later headroom is not known
REFILL_H = 2.0  # h over which storages and vehicles without a wanted SoC are recharged


class PeakShaving:
    """Resources without a wanted SoC are charged up to their ceiling, so that they can shave again."""

    def target(self, situation: Situation) -> Target:
        headroom_w = situation.headroom_w
        if headroom_w < 0:
            return Target(headroom_w, TargetCode.SHAVING, f"The site would draw {-headroom_w:.0f} W more than allowed.")
        planned_w = situation.planned_w
        demand_w = planned_w if planned_w is not None else charge_demand_w(situation, refill=True)
        if demand_w < 0:
            return Target(demand_w, TargetCode.PLAN, "The plan discharges now.", soft=False, by_plan=True)
        power_w = min(demand_w, headroom_w * (1 - SPARE))
        text = f"{headroom_w:.0f} W are free below the limit, {demand_w:.0f} W are needed for charging."
        return Target(power_w, TargetCode.BELOW_PEAK, text)


def charge_demand_w(situation: Situation, refill: bool = False) -> float:
    """Return the charge power that all resources need: spread over the time left, the rest over some hours."""
    total = 0.0
    for one in situation.resources:
        by = one.departure
        if by is None or (one.due is not None and one.due < by):
            by = one.due
        hours = max((by - situation.wall) / 3600, 0.25) if by is not None else REFILL_H
        need_w = wanted_wh(one) / (SOONER * hours)
        if refill and one.wanted_pct is None:
            need_w = free_capacity_wh(one) / REFILL_H
        total += min(one.max_charge_w, max(need_w, one.min_charge_w if need_w > 1.0 else 0.0))
    return total
