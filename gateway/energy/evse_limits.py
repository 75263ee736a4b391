"""From decisions to orders: each EVSE's wish and the bounds it gets, under the layer of authority they belong to.

Three worlds: no power may flow, the grid carries the site, a source forms an island. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.authority.priority import Bound, Layer
from gateway.energy.on_grid import Share
from gateway.energy.reserve import Floor
from gateway.energy.resilience.sharing import IslandShares
from gateway.energy.resource import Resource
from gateway.energy.resources import STORAGE, ResourceBuilder
from gateway.energy.view import EvseOrders, View
from gateway.model.reason import Code

Evses = dict[str, EvseOrders]


def zero_orders(view: View, forming: str | None, text: str) -> Evses:
    """Nobody gives or takes; who forms (a start that is under way) is left alone."""
    nothing = Bound(Layer.GRID_CODE, 0.0, 0.0, Code.GRID_LOST, text)
    still, forms = EvseOrders(None, (nothing,)), EvseOrders(None, (), hands_off=True)
    return {car.evse: forms if car.evse == forming else still for car in view.cars}


def grid_orders(
    view: View, resources: Sequence[Resource], share: Share, left: float, gathering: ResourceBuilder
) -> tuple[Evses, float | None]:
    """Orders on the grid, and the storage's power; `left` (0 to 1) is what the return from an outage leaves."""
    evses: Evses = {}
    storage_w: float | None = None
    total_w = sum(one.present_w for one in resources) + sum(car.power_w or 0.0 for car in view.cars if car.held)
    shares = share.shares.power_w if share.shares is not None else {}
    for one in resources:
        power_w = shares.get(one.name)
        if one.name == STORAGE:
            storage_w = power_w
            continue
        wish = None
        if power_w is not None:
            wish = Bound(Layer.OPTIMISER, power_w, power_w, Code.POLICY, share.wish.text)
        evses[one.name] = EvseOrders(wish, _extra(one, left, share, total_w - one.present_w, gathering.floors))
    for car in view.cars:
        if car.held:
            extra = _extra(gathering.car(view, car), left, share, total_w - (car.power_w or 0.0), gathering.floors)
            evses[car.evse] = EvseOrders(None, extra)
    return evses, storage_w


def _extra(one: Resource, left: float, share: Share, others_w: float, floors: Mapping[str, Floor]) -> tuple[Bound, ...]:
    """Bounds of the layers above any command: the slow return, the demand window, the floor."""
    bounds: list[Bound] = []
    if left < 1.0:
        text = f"After an outage power comes back slowly: {100 * left:.0f} % now."
        low, high = -one.max_discharge_w * left, one.max_charge_w * left
        bounds.append(Bound(Layer.GRID_CODE, low, high, Code.GRID_CODE, text))
    if share.room.high_code == "demand_window":
        left_w = max(0.0, share.room.high_w - others_w)
        text = f"The demand window leaves {left_w:.0f} W for this EVSE."
        bounds.append(Bound(Layer.SITE, high_w=left_w, code=Code.DEMAND_WINDOW, text=text))
    if one.max_discharge_w <= 0 and one.soc_pct is not None and one.floor_pct > 0:
        whose = floors[one.name].whose if one.name in floors else "its floor"
        text = f"The battery is at {one.soc_pct:.1f} %, and {whose} is {one.floor_pct:.1f} %."
        bounds.append(Bound(Layer.SOC_FLOOR, low_w=0.0, code=Code.BELOW_FLOOR, text=text))
    return tuple(bounds)


def island_orders(
    view: View, resources: Sequence[Resource], shares: IslandShares, forming: str
) -> tuple[Evses, float | None]:
    """Orders in an island, and the storage's power: followers balance, the source that forms is left alone."""
    evses: Evses = {}
    by_name = {one.name: one for one in resources}
    source = by_name.get(forming)
    # how far the forming source can still follow, both ways: within it a follower may be commanded otherwise
    more_w = source.max_discharge_w + shares.forming_w if source is not None else 0.0
    less_w = source.max_charge_w - shares.forming_w if source is not None else 0.0
    count = max(1, len(view.cars) - 1)
    for car in view.cars:
        if car.evse == forming:
            evses[car.evse] = EvseOrders(None, (), hands_off=True)
            continue
        power_w = (car.power_w or 0.0) if car.held else shares.power_w.get(car.evse, 0.0)
        low, high = power_w - max(0.0, less_w) / count, power_w + max(0.0, more_w) / count
        text = f"The island needs {power_w:.0f} W here; {forming} can balance {low:.0f} to {high:.0f} W."
        wish = None if car.held else Bound(Layer.OPTIMISER, power_w, power_w, Code.ISLAND, text)
        extra = [Bound(Layer.ISLAND, low, high, Code.ISLAND, text)]
        one = by_name.get(car.evse)
        if one is not None and one.max_discharge_w <= 0 and one.floor_pct > 0:
            floor = f"The battery may not go below {one.floor_pct:.1f} %."
            extra.append(Bound(Layer.SOC_FLOOR, low_w=0.0, code=Code.BELOW_FLOOR, text=floor))
        evses[car.evse] = EvseOrders(wish, tuple(extra))
    return evses, shares.power_w.get(STORAGE) if STORAGE in by_name else None
