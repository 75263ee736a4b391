"""Power in an island: what the grid-following sources are set to, what is left for the grid-forming one."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.energy.resilience.island_balance import IslandShares, share_island
from tests.gateway.energy.cars import car


@pytest.mark.parametrize(
    ("net_w", "pv_w", "follower_w", "forming_w", "pv_limit_w", "short_w"),
    [
        (0.0, 0.0, 0.0, 0.0, None, 0.0),
        (4000.0, 0.0, 0.0, -4000.0, None, 0.0),  # one source is enough
        (8000.0, 0.0, -4000.0, -4000.0, None, 0.0),
        (11_000.0, 0.0, -5900.0, -5100.0, None, 0.0),  # the grid-forming source keeps 15 % of its power
        (11_500.0, 0.0, -6000.0, -5500.0, None, 0.0),
        (12_000.0, 0.0, -6000.0, -6000.0, None, 0.0),
        (12_000.5, 0.0, -6000.0, -6000.0, None, 0.5),
        (13_000.0, 0.0, -6000.0, -6000.0, None, 1000.0),
        (-8000.0, 9000.0, 4000.0, 4000.0, None, 0.0),
        (-11_000.0, 12_000.0, 5900.0, 5100.0, None, 0.0),
        (-12_000.0, 14_000.0, 6000.0, 6000.0, None, 0.0),
        (-12_000.5, 14_000.0, 6000.0, 6000.0, 13_999.5, 0.0),
        (-13_000.0, 14_000.0, 6000.0, 6000.0, 13_000.0, 0.0),
        (-13_000.0, 500.0, 6000.0, 6000.0, 0.0, 0.0),
    ],
)
def test_two_equal_sources(
    net_w: float, pv_w: float, follower_w: float, forming_w: float, pv_limit_w: float | None, short_w: float
) -> None:
    shares = share_island(net_w, pv_w, [car("A"), car("B")], "A")
    assert shares.power_w == pytest.approx({"B": follower_w})
    assert (shares.forming_w, shares.short_w) == pytest.approx((forming_w, short_w))
    assert shares.pv_limit_w == (None if pv_limit_w is None else pytest.approx(pv_limit_w))
    assert "-0.0" not in f"{shares.forming_w} {shares.power_w}"


@pytest.mark.parametrize(("net_w", "short_w"), [(1000.0, 1000.0), (0.5, 0.5), (0.0, 0.0), (-500.0, 0.0)])
def test_without_its_grid_forming_source_nothing_is_supplied(net_w: float, short_w: float) -> None:
    expected = IslandShares({"A": 0.0, "B": 0.0}, 0.0, 0.0, short_w)
    assert share_island(net_w, 0.0, [car("A"), car("B")], "gone") == expected


@pytest.mark.parametrize("more", [{"wanted_pct": 100.0, "departure": 1000.0}, {"wanted_pct": 100.0, "due": 1000.0}])
def test_no_vehicle_is_charged_for_its_departure_from_the_energy_of_the_island(more: dict[str, Any]) -> None:
    shares = share_island(1000.0, 0.0, [car("A"), car("B", **more)], "A")
    assert shares.power_w == {"B": 0.0}
