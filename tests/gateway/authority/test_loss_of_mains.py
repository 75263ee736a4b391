"""Bounds without a grid and outside an island."""

from __future__ import annotations

import math

import pytest

from gateway.authority.layers import loss_of_mains, zero_bound
from gateway.model.grid_report import GridReport
from gateway.model.reason import Code
from gateway.model.result import Layer
from gateway.model.site import Grid, InputKind, Site, SitePolicy

WALL = 1_770_000_000.0
NO_INFEED = (0.0, math.inf, Code.INPUT_STALE)
NOTHING = (0.0, 0.0, Code.GRID_LOST)


@pytest.mark.parametrize(
    ("before", "present", "now", "expected"),
    [
        (None, None, 0.0, None),  # no grid was ever reported
        (None, True, 9.9, None),
        (None, True, 10.0, NO_INFEED),
        (None, False, 9.9, NOTHING),
        (None, False, 10.0, NOTHING),
        (GridReport(True, WALL), None, 0.0, NO_INFEED),  # before the restart
        (GridReport(False, WALL), None, 0.0, NOTHING),
        (GridReport(False, WALL), True, 0.0, None),
    ],
)
def test_without_a_grid_nothing_is_fed_in_and_a_confirmed_loss_leaves_no_power(
    before: GridReport | None, present: bool | None, now: float, expected: tuple[float, float, Code] | None
) -> None:
    site = Site(SitePolicy("home"), grid_before=before)
    if present is not None:
        site.inputs.put(InputKind.GRID, Grid(ts=WALL, present=present), 0.0, WALL)
    found = loss_of_mains(site, now)
    assert [(one.low_w, one.high_w, one.code) for one in found] == ([] if expected is None else [expected])
    assert all(one.layer is Layer.GRID_CODE and one.text for one in found)
    site.islanded = True
    assert loss_of_mains(site, now) == []


def test_a_dead_grid_of_the_past_is_named_as_one_that_was_lost() -> None:
    dead_before = Site(SitePolicy("home"), grid_before=GridReport(False, WALL, dead=True))
    assert "has not been reported since" in loss_of_mains(dead_before, 0.0)[0].text
    for voltage_v, text in ((0.0, "without voltage"), (None, "not in island operation")):
        site = Site(SitePolicy("home"))
        grid = Grid(ts=WALL, present=voltage_v is not None, voltage_v=voltage_v)
        site.inputs.put(InputKind.GRID, grid, 0.0, WALL)
        assert text in loss_of_mains(site, 0.0)[0].text


def test_while_no_power_may_flow_the_bound_is_zero() -> None:
    bound = zero_bound("why")
    assert (bound.layer, bound.low_w, bound.high_w, bound.code) == (Layer.GRID_CODE, 0.0, 0.0, Code.GRID_LOST)
    assert bound.text == "why"
