"""Age from which a meter's reading is stale: it follows the meter's own period and delay, within bounds."""

from __future__ import annotations

import pytest

from gateway.model.site import STALE_AT_MOST_S, Freshness, Grid, InputKind, Inputs, Switch

START = 1_800_000_000.0


def reported(inputs: Inputs, times: list[float], delay_s: float = 0.0) -> Inputs:
    """Report the grid at these times, with the time stamps of `delay_s` before."""
    for now in times:
        grid = Grid(ts=START + now - delay_s, present=True, power_w=1000.0)
        inputs.put(InputKind.GRID, grid, now, START + now)
    return inputs


def stale_at(inputs: Inputs, kind: InputKind = InputKind.GRID) -> float:
    return inputs.readings[kind].until


def test_before_the_second_reading_the_setting_holds() -> None:
    assert stale_at(reported(Inputs(), [0.0])) == 10.0


@pytest.mark.parametrize(("period_s", "age_s"), [(1.0, 10.0), (3.0, 10.0), (5.0, 15.0), (10.0, 30.0), (15.0, 45.0)])
def test_a_meter_with_a_long_period_is_stale_after_three_periods(period_s: float, age_s: float) -> None:
    inputs = reported(Inputs(), [period_s * step for step in range(6)])
    assert stale_at(inputs) == pytest.approx(5 * period_s + age_s)
    assert inputs.freshness(InputKind.GRID, 5 * period_s + age_s - 0.1) is Freshness.FRESH
    assert inputs.freshness(InputKind.GRID, 5 * period_s + age_s + 0.1) is Freshness.STALE


@pytest.mark.parametrize("delay_s", [3.0, 8.0, 15.0])
@pytest.mark.parametrize("period_s", [1.0, 10.0])
def test_a_late_meter_is_stale_after_three_periods_without_a_reading(delay_s: float, period_s: float) -> None:
    inputs = reported(Inputs(), [period_s * step for step in range(6)], delay_s)
    silent_s = stale_at(inputs) - 5 * period_s
    assert silent_s == pytest.approx(max(10.0 - delay_s, 3 * period_s))


def test_the_age_is_bounded_by_the_setting() -> None:
    every_minute = [60.0 * step for step in range(6)]
    assert stale_at(reported(Inputs(), every_minute)) == 300.0 + STALE_AT_MOST_S
    assert stale_at(reported(Inputs(stale_at_most_s=20.0), every_minute)) == 320.0
    longer = Inputs({InputKind.GRID: 90.0}, stale_at_most_s=20.0)
    assert stale_at(reported(longer, every_minute)) == 390.0


def test_a_pause_or_a_repeated_message_makes_no_meter_slow() -> None:
    pause = reported(Inputs(), [0.0, 1.0, 2.0, 30.0, 31.0])
    assert stale_at(pause) == 41.0
    again = reported(Inputs(), [0.0, 10.0, 20.0])
    grid = again.readings[InputKind.GRID].value
    again.put(InputKind.GRID, grid, 25.0, START + 25.0)
    assert stale_at(again) == 50.0


@pytest.mark.parametrize("delays_s", [[10.2, 11.2, 10.2, 9.2, 11.2, 10.2], [10.2, 11.2, 9.2, 11.2, 10.2, 9.7]])
def test_a_delay_that_varies_makes_no_meter_fast(delays_s: list[float]) -> None:
    """Two readings that were measured close together are followed by one that was measured later, none is missing."""
    inputs = Inputs()
    for step, delay_s in enumerate(delays_s):
        now = 3.0 * step
        if step > 3:
            assert inputs.freshness(InputKind.GRID, now) is Freshness.FRESH
        reported(inputs, [now], delay_s)
    assert inputs.freshness(InputKind.GRID, 3.0 * len(delays_s) + 2.5) is Freshness.FRESH  # one reading was lost


def test_old_readings_that_arrive_together_are_no_slow_meter() -> None:
    inputs = Inputs()
    for step in range(5):
        grid = Grid(ts=START + 10.0 * step, present=True, power_w=1000.0)
        inputs.put(InputKind.GRID, grid, 90.0 + 0.01 * step, START + 90.0 + 0.01 * step)
    assert inputs.freshness(InputKind.GRID, 91.0) is Freshness.STALE


def test_states_that_are_not_measured_keep_their_age() -> None:
    inputs = Inputs()
    for now in (0.0, 9.0, 18.0):
        inputs.put(InputKind.SWITCH, Switch(ts=START + now, open=False), now, START + now)
    assert stale_at(inputs, InputKind.SWITCH) == 28.0
