"""Limits by the state of the grid: 0 W, the ramp after an outage, the balance of an island."""

from __future__ import annotations

import pytest

from gateway.authority.grid_limits import forming_power_w, island_bound, return_bound, return_share, zero_bound
from gateway.authority.priority import Layer
from gateway.model.reason import Code


def test_while_no_power_may_flow_the_bound_is_zero() -> None:
    bound = zero_bound("why")
    assert (bound.layer, bound.low_w, bound.high_w, bound.code) == (Layer.GRID_CODE, 0.0, 0.0, Code.GRID_LOST)
    assert bound.text == "why"


@pytest.mark.parametrize(
    ("since_s", "ramp_s", "share"),
    [
        (0.0, 300.0, 0.0),
        (75.0, 300.0, 0.25),
        (300.0, 300.0, 1.0),
        (900.0, 300.0, 1.0),
        (0.0, 0.0, 1.0),
        (0.1, 0.4, 0.25),
    ],
)
def test_after_an_outage_power_returns_by_a_ramp(since_s: float, ramp_s: float, share: float) -> None:
    assert return_share(since_s, ramp_s) == share


@pytest.mark.parametrize(
    ("share", "low_w", "high_w"), [(0.0, 0.0, 0.0), (0.25, -1000.0, 1500.0), (0.5, -2000.0, 3000.0)]
)
def test_the_ramp_leaves_a_share_of_each_direction(share: float, low_w: float, high_w: float) -> None:
    bound = return_bound(6000.0, 4000.0, share)
    assert bound is not None
    assert (bound.layer, bound.low_w, bound.high_w, bound.code) == (Layer.GRID_CODE, low_w, high_w, Code.GRID_CODE)
    assert f"{100 * share:.0f} %" in bound.text


def test_at_the_end_of_the_ramp_there_is_no_bound() -> None:
    assert return_bound(6000.0, 4000.0, 1.0) is None
    assert return_bound(6000.0, 4000.0, 0.999) is not None


@pytest.mark.parametrize(
    ("power_w", "planned_w"),
    [(-10_000.0, -8500.0), (-8500.0, -8500.0), (-8000.0, -8000.0), (0.0, 0.0), (5000.0, 5000.0), (6000.0, 5100.0)],
)
def test_the_grid_forming_source_keeps_headroom_at_both_ends(power_w: float, planned_w: float) -> None:
    assert forming_power_w(power_w, 6000.0, 10_000.0) == pytest.approx(planned_w)


@pytest.mark.parametrize(
    ("balance_w", "count", "low_w", "high_w"),
    [
        ((2000.0, 4000.0), 1, -5000.0, 1000.0),
        ((2000.0, 4000.0), 2, -4000.0, -1000.0),
        ((-1.0, 4000.0), 2, -3000.0, -1000.0),
        ((2000.0, -1.0), 2, -4000.0, -3000.0),
        ((0.0, 0.0), 1, -3000.0, -3000.0),
    ],
)
def test_a_grid_following_evse_may_deviate_by_what_the_source_can_balance(
    balance_w: tuple[float, float], count: int, low_w: float, high_w: float
) -> None:
    bound = island_bound(-3000.0, "CP2-1", balance_w, count)
    assert (bound.layer, bound.low_w, bound.high_w, bound.code) == (Layer.ISLAND, low_w, high_w, Code.ISLAND)
    assert "CP2-1" in bound.text
