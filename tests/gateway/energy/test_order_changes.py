"""Orders that leave the decision at an EVSE alone, and hardly another power, do not wake it."""

from __future__ import annotations

import math

import pytest

from gateway.authority.priority import Bound, DeadBand, Decision, decide
from gateway.energy.order_changes import hardly_more, near, same_orders, unaffected
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


CEILING = Bound(Layer.SITE, -math.inf, 9000.0, Code.DEMAND_WINDOW)


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (EvseOrders(), EvseOrders(), True),
        (EvseOrders(), orders(5000.0), False),
        (orders(5000.0), EvseOrders(), False),
        (orders(5000.0), orders(5024.0), True),
        (orders(5000.0), orders(5025.0), False),
        (EvseOrders(None, forms_grid=True), EvseOrders(None, forms_grid=True), True),
        (EvseOrders(None, forms_grid=True), EvseOrders(), False),
        (EvseOrders(), EvseOrders(None, forms_grid=True), False),
        (orders(5000.0, CEILING), orders(5000.0, CEILING), True),
        (orders(5000.0, CEILING), orders(5000.0), False),
        (orders(5000.0), orders(5000.0, CEILING), False),
        (orders(5000.0, CEILING), orders(5024.0, site(9024.0)), True),
        (orders(5000.0, CEILING), orders(5000.0, site(8975.0)), False),
        (orders(5000.0, CEILING), orders(4000.0, CEILING), False),
        (orders(5000.0, CEILING), orders(5000.0, Bound(Layer.SITE, 0.0, 9000.0, Code.DEMAND_WINDOW)), False),
        (orders(5000.0, CEILING), orders(5000.0, Bound(Layer.SITE, -math.inf, 9000.0, Code.GRID_LOST)), False),
        (orders(5000.0, CEILING), orders(5000.0, Bound(Layer.GRID_CODE, -math.inf, 9000.0, Code.DEMAND_WINDOW)), False),
        (orders(5000.0, CEILING, site(7000.0)), orders(5000.0, CEILING, site(6000.0)), False),  # each of them
    ],
)
def test_orders_are_the_same_when_each_bound_is(one: EvseOrders, two: EvseOrders, same: bool) -> None:
    assert same_orders(one, two) is same


@pytest.mark.parametrize(
    ("one_w", "two_w", "same"),
    [
        (0.0, 0.0, True),
        (math.inf, math.inf, True),
        (-math.inf, math.inf, False),
        (3.0, 0.0, False),  # 0 W is an order to rest
        (0.0, -3.0, False),
        (-3.0, 3.0, True),
        (-5000.0, -5024.9, True),
        (-5000.0, -4975.1, True),
        (-5000.0, -4975.0, False),
        (5000.0, 5025.0, False),
    ],
)
def test_powers_that_differ_by_less_than_25_w_are_the_same(one_w: float, two_w: float, same: bool) -> None:
    assert near(one_w, two_w) is same


def between(low_w: float, high_w: float) -> Bound:
    return Bound(Layer.OPTIMISER, low_w, high_w, Code.POLICY)


@pytest.mark.parametrize(
    ("held", "new", "kept"),
    [
        (target(5000.0), target(5000.0), True),
        (target(5000.0), target(5099.0), True),  # 2 % more
        (target(5000.0), target(5100.0), False),
        (target(-5000.0), target(-5099.0), True),
        (target(-5000.0), target(-5100.0), False),
        (target(500.0), target(524.0), True),
        (target(500.0), target(525.0), False),
        (target(5000.0), target(4976.0), True),
        (target(5000.0), target(4975.0), False),
        (target(-5000.0), target(-4976.0), True),
        (target(-5000.0), target(-4975.0), False),
        (target(10.0), target(-10.0), False),
        (target(0.0), target(10.0), False),
        (target(10.0), target(0.0), False),
        (target(0.5), target(0.5), True),
        (between(4000.0, 5000.0), target(4000.0), False),
        (target(5000.0), between(5000.0, 6000.0), False),
        (between(4000.0, 5000.0), between(4000.0, 5000.0), False),
        (None, None, False),
    ],
)
def test_a_power_is_kept_where_the_new_one_is_hardly_more_of_it(
    held: Bound | None, new: Bound | None, kept: bool
) -> None:
    assert hardly_more(held, new) is kept
