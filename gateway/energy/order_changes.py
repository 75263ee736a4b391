"""Changes of the orders to one EVSE: which of them are worth a decision, and a message to its station."""

from __future__ import annotations

from gateway.authority.priority import Bound, Decision, still_holds
from gateway.energy.view import EvseOrders

SAME_W = 25.0  # a bound that changed by less is the same
SAME_SHARE = 0.02  # of the power: an increase by less is not worth a message to the station


def same_orders(one: EvseOrders, two: EvseOrders) -> bool:
    """Return whether all bounds are the same to `SAME_W`."""
    if one.forms_grid is not two.forms_grid:
        return False
    bounds, others = (one.optimiser, *one.extra), (two.optimiser, *two.extra)
    return len(bounds) == len(others) and all(map(_same_bound, bounds, others))


def unaffected(decision: Decision | None, before: EvseOrders, orders: EvseOrders) -> bool:
    """Return whether orders leave a decision alone: they differ in limits of the connection only, which do not bind."""
    if decision is None or before.forms_grid or orders.forms_grid:
        return False
    same = _same_bound(before.optimiser, orders.optimiser)
    return same and still_holds(decision, (*before.extra, *orders.extra))


def hardly_more(held: Bound | None, new: Bound | None) -> bool:
    """Return whether a new optimiser power may be left at the one held; where it errs, it errs on less power."""
    if held is None or new is None or held.low_w != held.high_w or new.low_w != new.high_w:
        return False
    if held.code is not new.code or held.low_w * new.low_w <= 0:
        return False
    more_w = abs(new.low_w) - abs(held.low_w)
    return -SAME_W < more_w < max(SAME_W, SAME_SHARE * abs(held.low_w))


def near(one: float, two: float) -> bool:
    """Return whether two powers are the same to `SAME_W`; 0 W is the same as 0 W only, for it is an order to rest."""
    return one == two or (bool(one) is bool(two) and abs(one - two) < SAME_W)


def _same_bound(one: Bound | None, two: Bound | None) -> bool:
    if one is None or two is None:
        return one is two
    same = one.layer is two.layer and one.code is two.code
    return same and near(one.low_w, two.low_w) and near(one.high_w, two.high_w)
