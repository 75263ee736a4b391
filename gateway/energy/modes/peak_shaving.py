"""Peak shaving: stay below the contract, and use what is below it to charge.

The headroom already knows the demand window, the peak limit and the fuse (`connection.py`). Below zero the cars give
exactly what is missing. Above zero they take what they need to leave, and refill what shaving took, but never all of
it: a window that is planned full has no room for the kettle.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.energy.modes.mode import Situation, Wish
from gateway.energy.resource import room_wh, wanted_wh

SPARE = 0.15  # of a positive headroom left free
SOONER = 0.6  # of the time left: what is free later is not known
REFILL_H = 2.0  # h over which storages and cars without wishes are refilled


@dataclass(slots=True)
class PeakShaving:
    """`refill` fills what has no wish of its own up to its ceiling, so that it can shave again."""

    refill: bool = True

    def enter(self, situation: Situation) -> None:
        pass

    def wish(self, situation: Situation) -> Wish:
        headroom_w = situation.headroom_w
        if headroom_w < 0:
            return Wish(headroom_w, "shaving", f"The site would draw {-headroom_w:.0f} W more than it may.")
        wanted_w = situation.planned_w if situation.planned_w is not None else charge_wish_w(situation, self.refill)
        if wanted_w < 0:
            return Wish(wanted_w, "plan", "The plan discharges now.", soft=False)
        power_w = min(wanted_w, headroom_w * (1 - SPARE))
        return Wish(power_w, "below_peak", f"{headroom_w:.0f} W are free below the limit, {wanted_w:.0f} W are wanted.")


def charge_wish_w(situation: Situation, refill: bool) -> float:
    """What cars and storages would like to charge together, W: needs spread over the time left, the rest over some
    hours.
    """
    total = 0.0
    for one in situation.resources:
        by = min((moment for moment in (one.departure, one.due) if moment is not None), default=None)
        hours = max((by - situation.wall) / 3600, 0.25) if by is not None else REFILL_H
        need_w = wanted_wh(one) / (SOONER * hours)
        if refill and one.wanted_pct is None:
            need_w = room_wh(one) / REFILL_H
        total += min(one.max_charge_w, max(need_w, one.min_charge_w if need_w > 1.0 else 0.0))
    return total
