"""Limit of PV in an island: what load and batteries take, less what is kept free, until the sun gives less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.energy.resilience.pv_curtailment import PvCurtailment

watts = st.floats(0.0, 12_000.0)


@given(st.lists(st.tuples(watts, watts, watts, st.integers(1, 5)), min_size=1, max_size=30))
def test_pv_within_its_limit_can_always_be_taken(steps: list[tuple[float, float, float, int]]) -> None:
    """Any sun, load and batteries: what the roof feeds under its limit is never more than load and batteries take."""
    curtailment, limit_w = PvCurtailment(), None
    for sun_w, load_w, absorbed_w, seconds in steps:
        for _ in range(seconds):
            fed_w = sun_w if limit_w is None else min(sun_w, limit_w)
            limit_w = curtailment.limit_w(fed_w, load_w, absorbed_w)
        fed_w = sun_w if limit_w is None else min(sun_w, limit_w)
        assert fed_w <= load_w + absorbed_w + 1e-6 or (seconds == 1 and limit_w is None)


@given(st.floats(3000, 12_000), st.floats(200, 1500), st.floats(0, 1000), st.integers(1, 1000))
def test_pv_that_comes_back_finds_its_limit(sun_w: float, load_w: float, absorbed_w: float, away_s: int) -> None:
    """After a cloud, or minutes after a trip, an inverter feeds what the sun gives: the limit was not lifted."""
    curtailment, limit_w = PvCurtailment(), None
    assert curtailment.limit_w(sun_w, load_w, absorbed_w) is not None
    for _ in range(away_s):
        limit_w = curtailment.limit_w(0.0, load_w, absorbed_w)
    assert limit_w is not None
    assert limit_w <= load_w + absorbed_w


@given(st.floats(0, 9000), st.floats(500, 4000), st.floats(0, 4000))
def test_a_steady_sun_gives_a_steady_limit(sun_w: float, load_w: float, absorbed_w: float) -> None:
    """Nothing changes: after the first order the limit stays, or there is none."""
    curtailment, limit_w, seen = PvCurtailment(), None, []
    for _ in range(600):
        fed_w = sun_w if limit_w is None else min(sun_w, limit_w)
        limit_w = curtailment.limit_w(fed_w, load_w, absorbed_w)
        seen.append(limit_w)
    assert len(set(seen[2:])) == 1


@pytest.mark.parametrize(
    ("pv_w", "load_w", "absorbed_w", "limit_w"),
    [
        (3000.0, 1000.0, 0.0, 800.0),  # 200 W are kept free of a small load
        (3000.0, 2000.0, 0.0, 1700.0),  # and 15 % of a larger one
        (3000.0, 2000.0, 500.0, 2200.0),
        (3000.0, 100.0, 0.0, 0.0),  # never below 0 W
        (0.5, 200.0, 0.0, 0.0),
        (0.0, 100.0, 0.0, None),
        (1700.0, 2000.0, 0.0, None),  # exactly what can be taken
        (1700.5, 2000.0, 0.0, 1700.0),
    ],
)
def test_the_limit_is_what_can_be_taken(pv_w: float, load_w: float, absorbed_w: float, limit_w: float | None) -> None:
    assert PvCurtailment().limit_w(pv_w, load_w, absorbed_w) == limit_w


@pytest.mark.parametrize(
    ("absorbed_w", "limit_w"),
    [(3000.0, 3800.0), (4199.0, 4999.0), (4200.0, None), (6000.0, None)],  # 1.25 of the most that the PV has fed
)
def test_a_limit_ends_where_more_can_be_taken_than_the_pv_has_fed(absorbed_w: float, limit_w: float | None) -> None:
    curtailment = PvCurtailment()
    assert curtailment.limit_w(4000.0, 1000.0, 0.0) == 800.0
    assert curtailment.limit_w(800.0, 1000.0, absorbed_w) == limit_w
    assert curtailment.limit_w(100.0, 1000.0, absorbed_w) == limit_w
