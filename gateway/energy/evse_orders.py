"""Orders of one step for each EVSE: the optimiser's target and the bounds above any command.

The bounds are those of `gateway.authority`. Three situations: no power may flow, the grid supplies the site, a source
forms an island.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.authority.island_limits import (
    commanded_bound,
    forming_bound,
    island_bound,
    return_bound,
    unreported_bound,
)
from gateway.authority.layers import zero_bound
from gateway.authority.priority import Bound
from gateway.authority.site_limits import demand_window_bound
from gateway.energy.on_grid import GridStep
from gateway.energy.resilience.island_balance import IslandShares
from gateway.energy.resource import STORAGE, Resource
from gateway.energy.resources import ResourceBuilder
from gateway.energy.view import Car, EvseOrders, View
from gateway.model.reason import Code
from gateway.model.result import Layer

Evses = dict[str, EvseOrders]


def zero_orders(view: View, forming: str | None, text: str, load_w: float) -> Evses:
    """Return 0 W for all but the grid-forming source, which starts and is expected to supply `load_w`."""
    zero = EvseOrders(None, (zero_bound(text),))
    return {car.evse: _forming_orders(car, -load_w) if car.evse == forming else zero for car in view.cars}


def _forming_orders(car: Car, power_w: float) -> EvseOrders:
    """Return the orders of the grid-forming source: no set-point, and no command changes what the island needs."""
    return EvseOrders(None, (forming_bound(car.evse, power_w, car.max_charge_w, car.max_discharge_w),), forms_grid=True)


def unreported_orders(view: View, forming: str) -> Evses:
    """Return no set-point for any vehicle: an island continues after a restart, and nothing is known about it yet."""
    bounds = {
        car.evse: unreported_bound(forming, car.power_w or 0.0, car.max_charge_w, car.max_discharge_w)
        for car in view.cars
    }
    return {evse: EvseOrders(None, (bound,), forms_grid=True) for evse, bound in bounds.items()}


def grid_orders(
    view: View, resources: Sequence[Resource], step: GridStep, left: float, builder: ResourceBuilder
) -> tuple[Evses, float | None]:
    """Return orders on the grid and the storage's power; `left` (0 to 1) is the share of power after an outage."""
    total_w = sum(one.present_w for one in resources) + sum(car.power_w or 0.0 for car in view.cars if car.held)
    shares = step.shares.power_w if step.shares is not None else {}
    alike: dict[tuple[float | None, float, float, float], EvseOrders] = {}  # EVSEs alike have the same orders
    evses: Evses = {}
    for one in resources:
        if one.name != STORAGE:
            key = (shares.get(one.name), one.present_w, one.max_charge_w, one.max_discharge_w)
            if (orders := alike.get(key)) is None:
                orders = alike[key] = _grid_orders(one, key[0], left, step, total_w - one.present_w)
            evses[one.name] = orders
    for car in view.cars:
        if car.held:
            evses[car.evse] = _grid_orders(builder.car(view, car), None, left, step, total_w - (car.power_w or 0.0))
    return evses, shares.get(STORAGE)


def _grid_orders(one: Resource, power_w: float | None, left: float, step: GridStep, others_w: float) -> EvseOrders:
    """Return a target of `power_w`, and the bounds above any command: the ramp after an outage, the demand window."""
    target = None
    if power_w is not None:
        target = Bound(Layer.OPTIMISER, power_w, power_w, Code.POLICY, step.target.text)
    bounds = (
        return_bound(one.max_charge_w, one.max_discharge_w, left),
        demand_window_bound(step.headroom, others_w),
    )
    return EvseOrders(target, tuple(filter(None, bounds)))


def island_orders(
    view: View, resources: Sequence[Resource], shares: IslandShares, forming: str
) -> tuple[Evses, float | None]:
    """Return orders in an island and the storage's power; the grid-forming source is not set."""
    evses: Evses = {}
    by_name = {one.name: one for one in resources}  # those under a command included
    source = by_name.get(forming)
    # what the grid-forming source can still balance: a grid-following one may be commanded otherwise within it
    balance_w = (0.0, 0.0)
    if source is not None:
        balance_w = source.max_charge_w - shares.forming_w, source.max_discharge_w + shares.forming_w
    followers = sum(car.evse != forming for car in view.cars)
    for car in view.cars:
        if car.evse == forming:
            evses[car.evse] = _forming_orders(car, shares.forming_w)
            continue
        target = None
        if (limits := shares.commanded.get(car.evse)) is not None:
            bound = commanded_bound(limits, forming)
        else:
            power_w = shares.power_w.get(car.evse, 0.0)
            bound = island_bound(power_w, forming, balance_w, followers)
            target = Bound(Layer.OPTIMISER, power_w, power_w, Code.ISLAND, bound.text)
        evses[car.evse] = EvseOrders(target, (bound,))
    return evses, shares.power_w.get(STORAGE) if STORAGE in by_name else None
