"""Fair shares of connections."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.cluster.placement import FEWEST, excess


def test_only_an_instance_far_above_the_mean_closes_connections() -> None:
    assert excess(200, [0], 20) == 100
    assert excess(110, [90], 20) == 0
    assert excess(150, [100, 50], 20) == 50
    assert excess(500, [], 20) == 0
    assert excess(FEWEST - 1, [0], 20) == 0


@given(st.integers(0, 10_000), st.lists(st.integers(0, 10_000), max_size=5), st.floats(1, 100))
def test_an_instance_stays_at_or_above_the_mean(own: int, others: list[int], over_pct: float) -> None:
    moved = excess(own, others, over_pct)
    assert 0 <= moved <= own
    if moved:
        assert own - moved >= (own + sum(others)) / (1 + len(others)) - 1e-6
