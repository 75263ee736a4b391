"""Power in an island: what the grid-following sources are set to, what is left for the grid-forming one."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.energy.resilience.island_balance import IslandShares, commanded_limits, fill_storage, share_island
from gateway.energy.resource import Kind, Resource
from tests.gateway.energy.cars import car


@pytest.mark.parametrize(
    ("net_w", "follower_w", "forming_w", "short_w"),
    [
        (0.0, 0.0, 0.0, 0.0),
        (4000.0, 0.0, -4000.0, 0.0),  # one source is enough
        (8000.0, -4000.0, -4000.0, 0.0),
        (11_000.0, -5900.0, -5100.0, 0.0),  # the grid-forming source keeps 15 % of its power
        (11_500.0, -6000.0, -5500.0, 0.0),
        (12_000.0, -6000.0, -6000.0, 0.0),
        (12_000.5, -6000.0, -6000.0, 0.5),
        (13_000.0, -6000.0, -6000.0, 1000.0),
        (-8000.0, 4000.0, 4000.0, 0.0),
        (-11_000.0, 5900.0, 5100.0, 0.0),
        (-12_000.0, 6000.0, 6000.0, 0.0),
        (-12_000.5, 6000.0, 6000.0, 0.0),
        (-13_000.0, 6000.0, 6000.0, 0.0),  # the rest is curtailed
    ],
)
def test_two_equal_sources(net_w: float, follower_w: float, forming_w: float, short_w: float) -> None:
    shares = share_island(net_w, [car("A"), car("B")], "A")
    assert shares.power_w == pytest.approx({"B": follower_w})
    assert (shares.forming_w, shares.short_w) == pytest.approx((forming_w, short_w))
    assert "-0.0" not in f"{shares.forming_w} {shares.power_w}"


@pytest.mark.parametrize(("net_w", "short_w"), [(1000.0, 1000.0), (0.5, 0.5), (0.0, 0.0), (-500.0, 0.0)])
def test_without_its_grid_forming_source_nothing_is_supplied(net_w: float, short_w: float) -> None:
    expected = IslandShares({"A": 0.0, "B": 0.0}, 0.0, short_w=short_w)
    assert share_island(net_w, [car("A"), car("B")], "gone") == expected


@pytest.mark.parametrize("more", [{"wanted_pct": 100.0, "departure": 1000.0}, {"wanted_pct": 100.0, "due": 1000.0}])
def test_no_vehicle_is_charged_for_its_departure_from_the_energy_of_the_island(more: dict[str, Any]) -> None:
    shares = share_island(1000.0, [car("A"), car("B", **more)], "A")
    assert shares.power_w == {"B": 0.0}


# sources under a command ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net_w", "low_w", "high_w"),
    [
        (0.0, -5100.0, 5100.0),  # what the grid-forming source can balance, less its headroom
        (2000.0, -7100.0, 3100.0),
        (-2000.0, -3100.0, 7100.0),
        (5100.0, -10_200.0, 0.0),
        (5500.0, -10_600.0, 0.0),  # into its headroom: no command may add to that
        (6000.0, -11_100.0, 0.0),
        (6000.5, -11_100.0, -0.5),
        (6500.0, -11_100.0, -500.0),  # beyond it: what the others cannot supply
        (-6000.0, 0.0, 11_100.0),
    ],
)
def test_a_source_under_a_command_may_take_what_the_grid_forming_source_can_balance(
    net_w: float, low_w: float, high_w: float
) -> None:
    limits = commanded_limits(net_w, [car("A")], [car("B")], "A")
    assert limits == {"B": pytest.approx((low_w, high_w))}
    assert "-0.0" not in str([*limits["B"]])


def test_several_sources_under_commands_share_it() -> None:
    limits = commanded_limits(2000.0, [car("A")], [car("B"), car("C")], "A")
    assert limits == {name: pytest.approx((-3550.0, 1550.0)) for name in "BC"}
    limits = commanded_limits(9000.0, [car("A")], [car("B", max_discharge_w=1000.0), car("C")], "A")
    assert limits["B"] == pytest.approx((-5550.0, -1000.0))
    assert limits["C"] == pytest.approx((-5550.0, -2000.0))


def test_the_other_sources_leave_more_to_balance() -> None:
    limits = commanded_limits(8000.0, [car("A"), car("F")], [car("B")], "A")
    assert limits == {"B": pytest.approx((-9100.0, 1100.0))}  # A and F supply 4 kW each


def test_without_the_grid_forming_source_those_under_commands_supply_everything() -> None:
    assert commanded_limits(3000.0, [], [car("B")], "A") == {"B": (-3000.0, -3000.0)}
    assert commanded_limits(0.0, [], [car("B")], "A") == {"B": (0.0, 0.0)}
    assert commanded_limits(3000.0, [car("A")], [], "A") == {}


def test_a_source_under_a_command_supplies_the_load_whatever_its_departure() -> None:
    leaving = car("B", wanted_pct=100.0, departure=1000.0)
    limits = commanded_limits(7000.0, [car("A")], [leaving, car("C")], "A")
    assert [high_w for _, high_w in limits.values()] == [pytest.approx(-1000.0), 0.0]


# vehicles that fill the storage ---------------------------------------------------------------------------------------


def storage(**more: Any) -> Resource:
    return car("S", kind=Kind.STORAGE, **more)


@pytest.mark.parametrize(
    ("net_w", "fill_w", "forming_w", "follower_w"),
    [
        (1000.0, 5100.0, -3050.0, -3050.0),  # 85 % of the storage's power
        (8000.0, 4000.0, -6000.0, -6000.0),  # what the vehicles have left
        (11_900.0, 100.0, -6000.0, -6000.0),
        (11_999.5, 0.5, -6000.0, -6000.0),
        (-3000.0, 5100.0, -2100.0, 0.0),
    ],
)
def test_vehicles_fill_the_storage(net_w: float, fill_w: float, forming_w: float, follower_w: float) -> None:
    shares = fill_storage(net_w, [car("A"), car("B"), storage()], "A")
    assert shares.power_w == pytest.approx({"B": follower_w, "S": fill_w})
    assert (shares.forming_w, shares.short_w) == pytest.approx((forming_w, 0.0))


@pytest.mark.parametrize(
    ("net_w", "forming_w", "first_w", "second_w"),
    [(1000.0, 5100.0, -3050.0, -3050.0), (8000.0, 4000.0, -6000.0, -6000.0), (-3000.0, 5100.0, -2100.0, 0.0)],
)
def test_a_grid_forming_storage_is_filled_too(net_w: float, forming_w: float, first_w: float, second_w: float) -> None:
    shares = fill_storage(net_w, [storage(), car("A"), car("B")], "S")
    assert shares.power_w == pytest.approx({"A": first_w, "B": second_w})
    assert shares.forming_w == pytest.approx(forming_w)
    assert shares.short_w == 0.0


def test_a_storage_takes_no_more_than_its_power_less_the_headroom() -> None:
    small = storage(max_charge_w=1000.0)
    assert fill_storage(0.0, [car("A"), car("B"), small], "A").power_w["S"] == pytest.approx(850.0)
    lopsided = storage(max_charge_w=1000.0, max_discharge_w=0.0)
    assert fill_storage(0.0, [car("A"), car("B"), lopsided], "A").power_w["S"] == pytest.approx(850.0)


@pytest.mark.parametrize("net_w", [12_000.0, 12_500.0])
def test_without_spare_power_or_storage_nothing_is_filled(net_w: float) -> None:
    fleet = [car("A"), car("B"), storage()]
    assert fill_storage(net_w, fleet, "A") == share_island(net_w, fleet, "A")
    assert fill_storage(1000.0, fleet[:2], "A") == share_island(1000.0, fleet[:2], "A")
    assert fill_storage(net_w, fleet, "A").power_w["S"] < 0


def test_a_surplus_fills_the_storage_no_faster_and_the_vehicles_too() -> None:
    shares = fill_storage(-13_000.0, [car("A"), storage()], "A")
    assert shares.power_w == pytest.approx({"S": 5100.0})
    assert shares.forming_w == 6000.0


def test_no_vehicle_that_fills_the_storage_is_charged_for_its_departure() -> None:
    leaving = car("B", wanted_pct=100.0, departure=1000.0)
    for forming in ("S", "A"):
        fleet = [storage(max_charge_w=1000.0), car("A", soc_pct=90.0), leaving]
        assert fill_storage(0.0, fleet, forming).power_w["B"] <= 0
