"""Laws of ramps."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.ramp import Ramp, ramp, ramp_s, walk


@given(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.floats(1, 1e5), st.floats(0, 1e3))
def test_a_ramp_approaches_its_target_at_its_rate_and_stays_there(
    start_w: float, target_w: float, rate: float, elapsed_s: float
) -> None:
    there_w = ramp(start_w, target_w, rate, elapsed_s)
    assert min(start_w, target_w) <= there_w <= max(start_w, target_w)
    assert abs(there_w - start_w) <= rate * elapsed_s + 1e-6
    assert ramp(start_w, target_w, rate, ramp_s(start_w, target_w, rate) * 1.0001 + 1e-9) == pytest.approx(
        target_w, abs=1e-3
    )


def test_no_rate_is_a_step() -> None:
    assert (ramp(-5000, 0, 0, 0), ramp_s(-5000, 0, 0)) == (0, 0)


@pytest.mark.parametrize(
    ("start_w", "target_w", "rate", "elapsed_s", "there_w", "duration_s"),
    [
        (-5000.0, 3000.0, 1000.0, 2.0, -3000.0, 8.0),
        (3000.0, -5000.0, 1000.0, 2.0, 1000.0, 8.0),
        (0.0, 3000.0, 1000.0, -2.0, 0.0, 3.0),
        (0.0, 2.0, 0.5, 1.0, 0.5, 4.0),
        (0.0, 2.0, 0.5, 0.5, 0.25, 4.0),
        (700.0, 2.0, -0.5, 0.5, 2.0, 0.0),
    ],
)
def test_power_changes_at_the_rate(
    start_w: float, target_w: float, rate: float, elapsed_s: float, there_w: float, duration_s: float
) -> None:
    assert ramp(start_w, target_w, rate, elapsed_s) == there_w
    assert ramp_s(start_w, target_w, rate) == duration_s


@pytest.mark.parametrize(
    ("before", "now", "limits_w", "after"),
    [
        (Ramp(-5000.0, 10.0), 12.0, (), Ramp(-3000.0, 12.0)),
        (Ramp(-5000.0, 10.0), 30.0, (), Ramp(0.0, 30.0)),
        (Ramp(-5000.0, 10.0), 9.0, (), Ramp(-5000.0, 10.0)),
        (Ramp(-5000.0, 10.0), 12.0, (-1000.0, math.inf), Ramp(-1000.0, 12.0)),
        (Ramp(5000.0, 10.0), 12.0, (-1000.0, 2000.0), Ramp(2000.0, 12.0)),
        (Ramp(5000.0, 10.0), 12.0, (-1000.0, 4000.0), Ramp(3000.0, 12.0)),
        (Ramp(), 2.0, (500.0, 4000.0), Ramp(500.0, 2.0)),
    ],
)
def test_a_step_of_a_ramp_meets_the_limits_of_harder_layers_at_once(
    before: Ramp, now: float, limits_w: tuple[float, ...], after: Ramp
) -> None:
    assert walk(before, 0.0, now, 1000.0, *limits_w) == after
