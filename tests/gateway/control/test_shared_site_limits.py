"""Limits shared by many decisions equal those of each; an optimiser power that is kept never errs on more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.priority import Bound
from gateway.authority.site_limits import Base
from gateway.control.site_decision import SharedLimits
from gateway.energy.order_changes import SAME_SHARE, SAME_W, hardly_more
from gateway.model.reason import Code
from gateway.model.result import Layer

WATTS = st.floats(-50_000, 50_000)


def bound(power_w: float, code: Code = Code.POLICY) -> Bound:
    return Bound(Layer.OPTIMISER, power_w, power_w, code)


@given(st.lists(st.tuples(WATTS, WATTS).map(sorted), max_size=30))
def test_the_others_are_all_evses_but_the_one(spans: list[list[float]]) -> None:
    named = {f"CP{n}-1": (low, high) for n, (low, high) in enumerate(spans)}
    shared = SharedLimits(Base(0.0), named)
    for name in named:
        low_w, high_w = shared.others(name)
        assert low_w == pytest.approx(sum(low for other, (low, _) in named.items() if other != name), abs=1e-6)
        assert high_w == pytest.approx(sum(high for other, (_, high) in named.items() if other != name), abs=1e-6)
    assert shared.others("another") == (shared.low_w, shared.high_w)


def test_a_single_evse_has_no_others() -> None:
    assert SharedLimits(Base(0.0), {"CP1-1": (-7000.3, 7000.1)}).others("CP1-1") == (0.0, 0.0)


@given(WATTS, WATTS)
def test_an_optimiser_power_that_is_kept_errs_on_less(held_w: float, new_w: float) -> None:
    if hardly_more(bound(held_w), bound(new_w)):
        assert held_w * new_w > 0  # the same direction, and zero is an order of its own
        assert abs(held_w) - abs(new_w) < SAME_W  # hardly ever more than is wanted
        assert abs(new_w) - abs(held_w) < max(SAME_W, SAME_SHARE * abs(held_w))


def test_another_reason_or_none_is_another_power() -> None:
    assert hardly_more(bound(5000.0), bound(5050.0))
    assert not hardly_more(bound(5000.0), bound(5050.0, Code.IDLE))
    assert not hardly_more(None, bound(5000.0))
    assert not hardly_more(bound(5000.0), None)
