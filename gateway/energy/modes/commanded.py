"""The modes in which somebody else decides: grid service, manual, and backup, which waits for the worst.

Grid service runs at the leased command of the site and rests without one. Manual leaves every EVSE to its own commands.
Backup fills everything to its ceiling as far as the connection allows and gives nothing away while the grid is there.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.energy.modes.mode import Situation, Wish
from gateway.energy.modes.peak_shaving import SPARE, charge_wish_w


@dataclass(slots=True)
class GridService:
    """The facility (or an aggregator behind it) sets the power."""

    def enter(self, situation: Situation) -> None:
        pass

    def wish(self, situation: Situation) -> Wish:
        if situation.command_w is None:
            return Wish(0.0, "no_order", "No order for grid service is in force.")
        return Wish(
            situation.command_w, "ordered", f"Grid service has ordered {situation.command_w:.0f} W.", soft=False
        )


@dataclass(slots=True)
class Manual:
    """Nobody optimises; only a command to the whole site is shared."""

    def enter(self, situation: Situation) -> None:
        pass

    def wish(self, situation: Situation) -> Wish:
        if situation.command_w is not None:
            return Wish(situation.command_w, "commanded", f"The site was told {situation.command_w:.0f} W.", soft=False)
        return Wish(None, "manual", "Every EVSE follows its own commands.")


@dataclass(slots=True)
class Backup:
    """Ready for an outage."""

    def enter(self, situation: Situation) -> None:
        pass

    def wish(self, situation: Situation) -> Wish:
        wanted_w = charge_wish_w(situation, refill=True)
        power_w = max(0.0, min(wanted_w, situation.headroom_w * (1 - SPARE)))
        return Wish(power_w, "filling_reserve", f"Everything is filled for an outage, {power_w:.0f} W now.")
