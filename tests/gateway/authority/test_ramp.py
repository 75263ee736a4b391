"""Laws of ramps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.ramp import ramp, ramp_s


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
