"""Loss-of-mains detection: which reading outvotes which."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.energy.resilience.grid_watch import GridLimits, GridReading, GridWatch, judge
from gateway.model.energy_state import GridStatus
from gateway.model.grid_meter import HIGHEST_PU, UNFILLED

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


POWERS = st.none() | st.floats(-1e5, 1e5)
UNMEASURED_V = st.sampled_from(UNFILLED) | st.floats(HIGHEST_PU * LIMITS.nominal_v + 1, 1e5)
UNMEASURED_HZ = IMPOSSIBLE_HZ | st.sampled_from([0.0, *UNFILLED])
RIGHT_V, RIGHT_HZ = st.floats(180, 220), st.floats(48.6, 51.4)


@given(st.none() | RIGHT_V | UNMEASURED_V, st.none() | RIGHT_HZ | UNMEASURED_HZ, POWERS, st.booleans())
def test_no_value_that_is_not_measured_outvotes_the_report(
    voltage_v: float | None, hertz: float | None, power_w: float | None, closed: bool
) -> None:
    """0 Hz, unfilled registers and values of no grid, in one or in both quantities, with any power or none."""
    assert judge(GridReading(True, voltage_v, hertz, power_w, closed), LIMITS).bad is False


@given(st.floats(0, 9.9), st.none() | RIGHT_HZ | UNMEASURED_HZ, st.floats(31, 1e5), st.sampled_from([1.0, -1.0]))
def test_no_voltage_while_power_flows_is_not_measured(
    voltage_v: float, hertz: float | None, power_w: float, direction: float
) -> None:
    assert judge(GridReading(True, voltage_v, hertz, direction * power_w), LIMITS).bad is False


@given(st.none() | st.floats(0, 9.9) | UNMEASURED_V, st.none() | UNMEASURED_HZ, st.none() | st.floats(-500, 500))
def test_values_that_are_not_measured_do_not_hide_a_reported_loss(
    voltage_v: float | None, hertz: float | None, power_w: float | None
) -> None:
    assert judge(GridReading(False, voltage_v, hertz, power_w), LIMITS).bad


@given(st.floats(0, 99), st.none() | st.floats(0, 1000), st.none() | st.floats(-30, 30))
def test_a_measured_dead_grid_is_a_loss_whatever_is_reported(
    voltage_v: float, hertz: float | None, power_w: float | None
) -> None:
    assume(not any(voltage_v == pytest.approx(one) for one in UNFILLED))
    assert judge(GridReading(True, voltage_v, hertz, power_w), LIMITS).bad


@pytest.mark.parametrize("power_w", [300.0, 0.0, -20.0, None])
def test_a_meter_without_voltage_and_frequency_causes_no_outage_when_power_ceases(power_w: float | None) -> None:
    watch, events = GridWatch(), []
    for now in range(60):
        events += watch.update(GridReading(True, 0.0, 0.0, 900.0 if now < 5 else power_w), float(now))
    assert watch.status is GridStatus.HEALTHY
    assert [event.code for event in events] == ["grid_input_contradicted"]


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
