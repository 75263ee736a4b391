"""Loss-of-mains detection: which reading outvotes which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.energy.resilience.grid_watch import GridLimits, GridReading, GridWatch, judge
from gateway.model.energy_state import GridStatus

LIMITS = GridLimits()
IMPOSSIBLE_HZ = st.floats(-1000.0, 39.9) | st.floats(60.1, 65_535.0)


@pytest.mark.parametrize(
    "reading",
    [
        GridReading(True, 200.0, 0.0, 2500.0),
        GridReading(True, None, 0.0, 2500.0),
        GridReading(True, 0.0, 50.0, 2500.0),
        GridReading(True, 0.4, 50.0, -2500.0),
    ],
)
def test_a_value_against_two_others_is_reported_and_not_followed(reading: GridReading) -> None:
    watch = GridWatch()
    watch.update(GridReading(True, 200.0, 50.0, 2500.0), 0.0)
    events = [event.code for now in range(1, 30) for event in watch.update(reading, float(now))]
    assert (watch.status, events) == (GridStatus.HEALTHY, ["grid_input_contradicted"])


@given(IMPOSSIBLE_HZ, st.none() | st.booleans(), st.none() | st.floats(0, 99))
def test_no_frequency_hides_a_missing_voltage_or_a_reported_loss(
    hertz: float, present: bool | None, voltage_v: float | None
) -> None:
    if present is not False and voltage_v is None:
        voltage_v = 0.0
    assert judge(GridReading(present, voltage_v, hertz, 0.0), LIMITS).bad


@given(st.floats(48.6, 51.4), st.booleans())
def test_a_missing_voltage_without_power_is_a_loss_whatever_is_reported(hertz: float, present: bool) -> None:
    assert judge(GridReading(present, 0.0, hertz, 0.0), LIMITS).bad


@given(st.floats(40.1, 48.4) | st.floats(51.6, 59.9))
def test_a_frequency_that_a_failing_grid_has_is_followed(hertz: float) -> None:
    assert judge(GridReading(True, 200.0, hertz, 2500.0), LIMITS).bad
