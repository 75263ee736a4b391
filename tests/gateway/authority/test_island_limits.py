"""Limits of an island by its balance, and the ramp after an outage."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.authority.island_limits import (
    commanded_bound,
    forming_bound,
    forming_power_w,
    island_bound,
    island_total_bound,
    return_bound,
    return_share,
    unreported_bound,
)
from gateway.authority.priority import Bound
from gateway.model.reason import Code
from gateway.model.result import Layer


def in_island(bound: Bound) -> tuple[float, float]:
    """Return the interval of a bound of an island."""
    assert (bound.layer, bound.code) == (Layer.ISLAND, Code.ISLAND)
    assert bound.text
    return bound.low_w, bound.high_w


@pytest.mark.parametrize(
    ("power_w", "bound_w"),
    [(-5000.0, -4000.0), (-4000.0, -4000.0), (-0.5, -0.5), (0.5, 0.5), (6000.0, 6000.0), (7000.0, 6000.0)],
)
@pytest.mark.parametrize("bound_of", [forming_bound, unreported_bound])
def test_in_an_island_a_source_stays_within_its_limits(
    bound_of: Callable[[str, float, float, float], Bound], power_w: float, bound_w: float
) -> None:
    bound = bound_of("CP2-1", power_w, 6000.0, 4000.0)
    assert in_island(bound) == (bound_w, bound_w)
    assert "CP2-1" in bound.text


def test_an_island_limits_a_command_and_all_evses_together() -> None:
    bound = commanded_bound((-3000.0, 500.0), "CP2-1")
    assert in_island(bound) == (-3000.0, 500.0)
    assert "CP2-1" in bound.text
    total = island_total_bound(-7000.0)
    assert in_island(total) == (-7000.0, -7000.0)
    assert " 7000 W" in total.text


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
