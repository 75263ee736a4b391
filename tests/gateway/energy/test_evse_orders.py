"""Orders of one step for each EVSE: target, bounds above any command, and the storage's power, by numbers."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.authority.priority import Bound
from gateway.authority.site_limits import Headroom
from gateway.energy.dispatch import Shares
from gateway.energy.evse_orders import grid_orders, island_orders, unreported_orders, zero_orders
from gateway.energy.modes.mode import Target, TargetCode
from gateway.energy.on_grid import GridStep
from gateway.energy.reserve import SiteReserve
from gateway.energy.resilience.island_balance import IslandShares
from gateway.energy.resource import STORAGE, Resource
from gateway.energy.resources import ResourceBuilder
from gateway.energy.settings import EnergySection
from gateway.energy.view import Car, EvseOrders, View
from gateway.model.reason import Code
from gateway.model.result import Layer
from gateway.model.site import Inputs
from tests.gateway.energy.cars import car

DEMAND = Code.DEMAND_WINDOW


def at(evse: str, **more: Any) -> Car:
    return Car(evse, **({"max_charge_w": 4000.0, "max_discharge_w": 5000.0} | more))


def view(*cars: Car) -> View:
    return View(0.0, 0.0, Inputs(), cars)


def ends(bounds: tuple[Bound, ...]) -> list[tuple[Layer, Code, float, float]]:
    return [(one.layer, one.code, one.low_w, one.high_w) for one in bounds]


def step(power_w: dict[str, float] | None, headroom: Headroom | None = None) -> GridStep:
    shares = Shares(power_w, sum(power_w.values()), 0.0) if power_w is not None else None
    return GridStep(Target(0.0, TargetCode.BALANCED, "balanced"), headroom or Headroom(), 0.0, None, shares)


def on_grid(
    cars: list[Car], resources: list[Resource], one: GridStep, left: float = 1.0
) -> tuple[dict[str, EvseOrders], float | None]:
    return grid_orders(view(*cars), resources, one, left, ResourceBuilder(EnergySection(), SiteReserve()))


# no power may flow ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("load_w", "power_w"), [(1000.0, -1000.0), (9000.0, -5000.0), (-9000.0, 4000.0)])
def test_without_power_only_the_grid_forming_source_follows_the_load(load_w: float, power_w: float) -> None:
    orders = zero_orders(view(at("A"), at("B")), "A", "the reason", load_w)
    assert ends(orders["A"].extra) == [(Layer.ISLAND, Code.ISLAND, power_w, power_w)]
    assert orders["A"].extra[0].text.startswith("A forms the island")
    assert (orders["A"].optimiser, orders["A"].forms_grid) == (None, True)
    assert orders["B"] == EvseOrders(None, (Bound(Layer.GRID_CODE, 0.0, 0.0, Code.GRID_LOST, "the reason"),))
    assert not zero_orders(view(at("A")), None, "", load_w)["A"].forms_grid


@pytest.mark.parametrize(
    ("power_w", "kept_w"), [(None, 0.0), (1500.0, 1500.0), (-4500.0, -4500.0), (4100.0, 4000.0), (-9000.0, -5000.0)]
)
def test_an_island_not_reported_since_the_restart_stays_as_it_is(power_w: float | None, kept_w: float) -> None:
    orders = unreported_orders(view(at("A"), at("B", power_w=power_w)), "A")["B"]
    assert ends(orders.extra) == [(Layer.ISLAND, Code.ISLAND, kept_w, kept_w)]
    assert orders.extra[0].text.startswith("A formed an island")
    assert (orders.optimiser, orders.forms_grid) == (None, True)


# on the grid ----------------------------------------------------------------------------------------------------------


def test_on_the_grid_every_resource_gets_its_share_and_the_storage_its_power() -> None:
    fleet = [car("A"), car(STORAGE), car("B"), car("C")]
    orders, storage_w = on_grid([], fleet, step({"A": -1500.0, STORAGE: 700.0, "B": 0.0}))
    assert storage_w == 700.0
    targets = {evse: one.optimiser for evse, one in orders.items()}
    assert targets == {
        "A": Bound(Layer.OPTIMISER, -1500.0, -1500.0, Code.POLICY, "balanced"),
        "B": Bound(Layer.OPTIMISER, 0.0, 0.0, Code.POLICY, "balanced"),
        "C": None,
    }
    assert [one.extra for one in orders.values()] == [(), (), ()]
    assert not any(one.forms_grid for one in orders.values())


def test_without_shares_every_evse_follows_its_own_commands() -> None:
    orders, storage_w = on_grid([], [car("A"), car(STORAGE)], step(None))
    assert (orders, storage_w) == ({"A": EvseOrders()}, None)
    assert on_grid([], [car("A")], step({"A": 1.0}))[1] is None


def test_the_demand_window_leaves_each_evse_what_the_others_do_not_take() -> None:
    fleet = [car("A", power_w=1000.0), car(STORAGE, power_w=500.0), car("B", setpoint_w=200.0)]
    held = [at("H", held=True, power_w=2000.0), at("I", held=True), at("B", power_w=777.0)]
    orders, _ = on_grid(held, fleet, step({}, Headroom(high_w=5000.0, high_code=DEMAND)))
    assert {evse: ends(one.extra) for evse, one in orders.items()} == {
        evse: [(Layer.SITE, DEMAND, -float("inf"), high_w)]
        for evse, high_w in {"A": 2300.0, "B": 1500.0, "H": 3300.0, "I": 1300.0}.items()
    }
    assert orders["H"].optimiser is None


def test_the_ramp_after_an_outage_binds_before_the_demand_window() -> None:
    headroom = Headroom(high_w=5000.0, high_code=DEMAND)
    orders, _ = on_grid([at("H", held=True)], [car("A", max_discharge_w=3000.0)], step({}, headroom), left=0.25)
    assert [one[2:] for one in ends(orders["A"].extra)] == [(-750.0, 1500.0), (-float("inf"), 5000.0)]
    assert [one[2:] for one in ends(orders["H"].extra)] == [(-1250.0, 1000.0), (-float("inf"), 5000.0)]


# in an island ---------------------------------------------------------------------------------------------------------


def test_in_an_island_each_follower_may_deviate_by_its_part_of_what_the_source_can_balance() -> None:
    source = car("A", max_charge_w=4000.0, max_discharge_w=5000.0)
    shares = IslandShares({"B": -1000.0, STORAGE: 300.0}, -2000.0)
    orders, storage_w = island_orders(view(at("A"), at("B"), at("C")), [source, car("B"), car(STORAGE)], shares, "A")
    assert storage_w == 300.0
    assert ends(orders["A"].extra) == [(Layer.ISLAND, Code.ISLAND, -2000.0, -2000.0)]
    assert (orders["A"].optimiser, orders["A"].forms_grid) == (None, True)
    assert ends(orders["B"].extra) == [(Layer.ISLAND, Code.ISLAND, -1000.0 - 3000.0, -1000.0 + 1500.0)]
    assert ends(orders["C"].extra) == [(Layer.ISLAND, Code.ISLAND, -3000.0, 1500.0)]  # without a share: 0 W
    text = orders["B"].extra[0].text
    assert orders["B"].optimiser == Bound(Layer.OPTIMISER, -1000.0, -1000.0, Code.ISLAND, text)
    assert "; A can balance" in text
    assert not orders["B"].forms_grid


@pytest.mark.parametrize(("followers", "part_w"), [(1, 2000.0), (2, 1000.0), (4, 500.0)])
def test_beside_a_grid_forming_storage_all_evses_share_what_it_can_balance(followers: int, part_w: float) -> None:
    cars = [at(f"E{number}") for number in range(followers)]
    storage = car(STORAGE, max_charge_w=2000.0, max_discharge_w=2000.0)
    orders, _ = island_orders(view(*cars), [storage], IslandShares({}, 0.0), STORAGE)
    assert [one.extra[0].low_w for one in orders.values()] == [-part_w] * followers
    assert [one.extra[0].high_w for one in orders.values()] == [part_w] * followers


def test_a_commanded_follower_gets_the_limits_of_the_island_and_no_target() -> None:
    shares = IslandShares({"B": -1000.0}, 0.0, commanded={"B": (-700.0, 300.0)})
    orders, storage_w = island_orders(view(at("A"), at("B")), [car("A"), car("B")], shares, "A")
    assert storage_w is None
    assert orders["B"].optimiser is None
    assert ends(orders["B"].extra) == [(Layer.ISLAND, Code.ISLAND, -700.0, 300.0)]
    assert "which A can balance" in orders["B"].extra[0].text


def test_without_its_source_nothing_can_be_balanced() -> None:
    orders, _ = island_orders(view(at("B")), [car("B")], IslandShares({"B": -1000.0}, 0.0), "gone")
    assert ends(orders["B"].extra) == [(Layer.ISLAND, Code.ISLAND, -1000.0, -1000.0)]


def test_a_storage_beside_the_source_gets_its_power_only_where_it_is_a_resource() -> None:
    shares = IslandShares({STORAGE: 300.0}, 0.0)
    assert island_orders(view(), [car("A")], shares, "A")[1] is None
    assert island_orders(view(), [car("A"), car(STORAGE)], IslandShares({}, 0.0), "A")[1] is None
