"""Limits of an island, by its balance, and of the return of the grid after it. Pure."""

from __future__ import annotations

from gateway.authority.priority import Bound
from gateway.model.reason import Code
from gateway.model.result import Layer
from protocols.quantities import clamp

ISLAND_MARGIN = 0.05  # of the power of an island's sources: with less left free, loads are shed
SUPPLIES_ISLAND_W = 100.0  # a discharge above this supplies an island: more than the charger itself consumes
FORMING_HEADROOM = 0.15  # of the grid-forming source's power, kept in both directions for the next change

# return of the grid ---------------------------------------------------------------------------------------------------


def return_share(since_return_s: float, ramp_s: float) -> float:
    """Return the share of all power (0 to 1) that may flow after an outage, `since_return_s` after its end."""
    return 1.0 if ramp_s <= 0 else min(1.0, since_return_s / ramp_s)


def return_bound(max_charge_w: float, max_discharge_w: float, share: float) -> Bound | None:
    """Return what the ramp after an outage leaves of a resource's power; None when all of it may flow."""
    if share >= 1.0:
        return None
    text = f"After an outage power returns slowly: {100 * share:.0f} % now."
    return Bound(Layer.GRID_CODE, -max_discharge_w * share, max_charge_w * share, Code.GRID_CODE, text)


# island ---------------------------------------------------------------------------------------------------------------


def forming_power_w(power_w: float, max_charge_w: float, max_discharge_w: float) -> float:
    """Return the power (+ charge) planned for the grid-forming source: `power_w`, less its headroom at either end."""
    return clamp(power_w, -max_discharge_w * (1 - FORMING_HEADROOM), max_charge_w * (1 - FORMING_HEADROOM))


def forming_bound(evse: str, power_w: float, max_charge_w: float, max_discharge_w: float) -> Bound:
    """Return the bound of the grid-forming EVSE: what the island needs of it, `power_w`, whatever is commanded."""
    need_w = clamp(power_w, -max_discharge_w, max_charge_w)
    text = f"{evse} forms the island: its power follows the load ({need_w:.0f} W now), whatever is commanded."
    return Bound(Layer.ISLAND, need_w, need_w, Code.ISLAND, text)


def unreported_bound(forming: str, power_w: float, max_charge_w: float, max_discharge_w: float) -> Bound:
    """Return the bound of an EVSE in an island that continues after a restart, before anything is known about it."""
    power_w = clamp(power_w, -max_discharge_w, max_charge_w)
    text = f"{forming} formed an island before the restart. Until the facility reports, everything stays as it is."
    return Bound(Layer.ISLAND, power_w, power_w, Code.ISLAND, text)


def commanded_bound(limits_w: tuple[float, float], forming: str) -> Bound:
    """Return the bound of a grid-following EVSE under a command: what the island can balance, and what it needs."""
    low_w, high_w = limits_w
    text = f"The island allows {low_w:.0f} to {high_w:.0f} W here, which {forming} can balance."
    return Bound(Layer.ISLAND, low_w, high_w, Code.ISLAND, text)


def island_total_bound(island_w: float) -> Bound:
    """Return the bound of all EVSEs together in an island."""
    text = f"The vehicles together supply what the island needs, {0.0 - island_w:.0f} W now."
    return Bound(Layer.ISLAND, island_w, island_w, Code.ISLAND, text)


def island_bound(power_w: float, forming: str, balance_w: tuple[float, float], count: int) -> Bound:
    """Return the bound of one of `count` grid-following EVSEs at `power_w` beside the grid-forming source.

    `balance_w`: how much less and how much more it could take than now, which the source `forming` would balance.
    """
    low_w, high_w = (max(0.0, one) / count for one in balance_w)
    low_w, high_w = power_w - low_w, power_w + high_w
    text = f"The island needs {power_w:.0f} W here; {forming} can balance {low_w:.0f} to {high_w:.0f} W."
    return Bound(Layer.ISLAND, low_w, high_w, Code.ISLAND, text)
