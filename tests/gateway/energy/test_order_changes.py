"""Orders that leave the decision at an EVSE alone do not wake it."""

from __future__ import annotations

import math

import pytest

from gateway.authority.priority import Bound, DeadBand, Decision, decide
from gateway.energy.order_changes import unaffected
from gateway.energy.view import EvseOrders
from gateway.model.reason import Code
from gateway.model.result import Layer


def site(high_w: float) -> Bound:
    return Bound(Layer.SITE, high_w=high_w, code=Code.DEMAND_WINDOW)


def target(power_w: float) -> Bound:
    return Bound(Layer.OPTIMISER, power_w, power_w, Code.POLICY)


def decided(power_w: float, *extra: Bound) -> Decision:
    return decide([*extra, target(power_w)], DeadBand())


def orders(power_w: float, *extra: Bound) -> EvseOrders:
    return EvseOrders(target(power_w), extra)


@pytest.mark.parametrize(
    ("before_w", "after_w", "left_alone"),
    [(9000.0, 8000.0, True), (9000.0, 5000.0, False), (9000.0, 4000.0, False), (4000.0, 9000.0, False)],
)
def test_a_limit_of_the_connection_matters_where_it_binds(before_w: float, after_w: float, left_alone: bool) -> None:
    decision = decided(5000.0, site(before_w))
    assert unaffected(decision, orders(5000.0, site(before_w)), orders(5000.0, site(after_w))) is left_alone
    again = decided(5000.0, site(after_w))
    assert not left_alone or (again.power_w, again.binding) == (decision.power_w, decision.binding)


@pytest.mark.parametrize(
    ("decision", "before", "after"),
    [
        (None, orders(5000.0, site(9000.0)), orders(5000.0, site(8000.0))),
        (decided(5000.0), orders(5000.0), orders(4000.0)),
        (decided(5000.0), orders(5000.0), EvseOrders(None)),
        (decided(5000.0), orders(5000.0), orders(5000.0, Bound(Layer.GRID_CODE, -math.inf, 9000.0, Code.GRID_LOST))),
        (decided(5000.0), orders(5000.0), EvseOrders(target(5000.0), forms_grid=True)),
        (decided(5000.0), EvseOrders(target(5000.0), forms_grid=True), orders(5000.0)),
    ],
)
def test_every_other_change_is_decided(decision: Decision | None, before: EvseOrders, after: EvseOrders) -> None:
    assert not unaffected(decision, before, after)
