"""Demand window: import within `allowed_import_w` ends at or below the contract, from any state of the window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.demand_window import (
    DemandWindow,
    advance,
    allowed_import_w,
    corrected,
    correction_due,
    open_window,
)

NINE = 1_800_000_000.0 - 1_800_000_000.0 % 1800
CONTRACT_W = 50_000.0
WH_PER_S_W = 3600.0  # the power that imports 1 Wh in each second


@given(st.lists(st.floats(0, 120_000), min_size=180, max_size=180))
def test_import_within_the_allowed_power_keeps_the_contract(requests: list[float]) -> None:
    window, finished = open_window(NINE), None
    for step, request_w in enumerate(requests):
        now = NINE + step * 10.0
        allowed_w = allowed_import_w(window, now, CONTRACT_W)
        window, finished = advance(window, now, min(request_w, allowed_w), CONTRACT_W)
    window, finished = advance(window, NINE + 1800, 0.0, CONTRACT_W)
    assert finished is not None
    assert finished.average_w <= CONTRACT_W * (1 + 1e-9)


@given(st.lists(st.tuples(st.floats(0.1, 50), st.floats(-20_000, 90_000)), min_size=1, max_size=60))
def test_energy_is_conserved_over_windows(steps: list[tuple[float, float]]) -> None:
    window = open_window(NINE + 1234)
    now, total, power_w, seen = NINE + 1234, 0.0, 0.0, 0.0
    for gap, grid_w in steps:
        now += gap
        total += power_w * gap / 3600
        power_w = max(0.0, grid_w)
        window, finished = advance(window, now, grid_w, CONTRACT_W)
        seen += finished.imported_wh if finished else 0.0
    assert seen + window.imported_wh == pytest.approx(total, rel=1e-6, abs=0.05)


def test_export_is_not_credited() -> None:
    window, _ = advance(open_window(NINE), NINE, -30_000.0, CONTRACT_W)
    window, _ = advance(window, NINE + 50, -30_000.0, CONTRACT_W)
    assert window.imported_wh == 0.0


def test_a_stale_meter_counts_at_the_last_power_then_at_the_contract() -> None:
    window, _ = advance(open_window(NINE), NINE, 10_000.0, CONTRACT_W)
    window, _ = advance(window, NINE + 36, None, CONTRACT_W)
    assert window.imported_wh == pytest.approx(100.0)
    window, _ = advance(window, NINE + 36 + 360, None, CONTRACT_W)
    assert window.imported_wh == pytest.approx(100.0 + 5000.0)
    assert window.estimated_wh == pytest.approx(5100.0)


def test_the_first_window_after_a_long_pause_counts_at_the_contract() -> None:
    window, _ = advance(open_window(NINE), NINE, 0.0, CONTRACT_W)
    window, finished = advance(window, NINE + 10 * 1800 + 900, 0.0, CONTRACT_W)
    assert finished is None
    assert window.average_w == pytest.approx(CONTRACT_W / 2)


def test_the_allowed_power_is_bounded_at_the_end_of_a_window() -> None:
    window = open_window(NINE)
    assert allowed_import_w(window, NINE + 1799.9, CONTRACT_W) == CONTRACT_W * 30


def test_the_utility_meter_corrects_the_demand_window() -> None:
    window = corrected(open_window(NINE + 60), NINE + 60, 12_000.0, remaining_s=1500.0)
    assert window.start == NINE - 240
    assert window.imported_wh == 12_000.0
    window, _ = advance(window, NINE + 60 + 1500, 0.0, CONTRACT_W)
    assert window.start == NINE + 1560


def test_a_clock_that_goes_back_counts_nothing() -> None:
    window, _ = advance(open_window(NINE + 900), NINE + 900, 30_000.0, CONTRACT_W)
    again, _ = advance(window, NINE + 800, 30_000.0, CONTRACT_W)
    assert again.imported_wh == window.imported_wh


@pytest.mark.parametrize(
    ("needed_w", "begun", "due"),
    [
        (2999.0, False, False),
        (3000.0, False, True),
        (1.0, True, True),
        (0.5, True, True),
        (0.0, True, False),
        (-5.0, False, False),
    ],
)
def test_a_window_is_corrected_when_the_need_is_large_and_then_to_its_end(
    needed_w: float, begun: bool, due: bool
) -> None:
    assert correction_due(needed_w, 10_000.0, begun) is due


@pytest.mark.parametrize(
    ("at_s", "length_s", "offset_s", "start_s"),
    [
        (0.0, 1800.0, 0.0, 0.0),
        (1799.9, 1800.0, 0.0, 0.0),
        (-0.1, 1800.0, 0.0, -1800.0),
        (119.0, 1800.0, 120.0, -1680.0),
        (120.0, 1800.0, 120.0, 120.0),
        (1000.0, 900.0, 0.0, 900.0),
        (1000.0, 900.0, 200.0, 200.0),
    ],
)
def test_a_window_is_aligned_to_the_clock_of_the_meter(
    at_s: float, length_s: float, offset_s: float, start_s: float
) -> None:
    opened = open_window(NINE + at_s, length_s, offset_s)
    assert opened == DemandWindow(NINE + start_s, NINE + at_s, length_s=length_s, offset_s=offset_s)


def test_a_window_has_30_minutes_of_the_clock_where_nothing_else_is_configured() -> None:
    assert open_window(NINE + 1000) == DemandWindow(NINE, NINE + 1000)


def window(
    at_s: float, imported_wh: float = 0.0, power_w: float = WH_PER_S_W, estimated_wh: float = 0.0
) -> DemandWindow:
    """Window of 1000 s that began at NINE, shifted by the meter; the next one that is opened begins at NINE + 200."""
    return moved(0.0, at_s, imported_wh, power_w, estimated_wh)


def moved(start_s: float, at_s: float, imported_wh: float, power_w: float, estimated_wh: float = 0.0) -> DemandWindow:
    return DemandWindow(NINE + start_s, NINE + at_s, imported_wh, power_w, 1000.0, 200.0, estimated_wh)


TEN_W, LARGE_W = 10 * WH_PER_S_W, 20 * WH_PER_S_W


@pytest.mark.parametrize(
    ("before", "to_s", "grid_w", "after"),
    [
        (window(0.0), 0.5, 0.0, window(0.5, 0.5, 0.0)),
        (window(0.0), 50.0, 720.0, window(50.0, 50.0, 720.0)),
        (window(0.0), 50.0, -720.0, window(50.0, 50.0, 0.0)),
        (window(0.0), 50.0, None, window(50.0, 50.0, WH_PER_S_W, 50.0)),
        (window(10.0, 7.0, estimated_wh=5.0), 60.0, None, window(60.0, 57.0, WH_PER_S_W, 55.0)),
        (window(10.0, 7.0, estimated_wh=5.0), 60.0, 0.0, window(60.0, 57.0, 0.0, 5.0)),
        (window(0.0), 60.0, 0.0, window(60.0, 60.0, 0.0)),  # not longer than a meter may be silent
        (window(0.0), 61.0, 0.0, window(61.0, 610.0, 0.0, 610.0)),  # longer: at the contract
        (window(0.0), 61.0, None, window(61.0, 610.0, TEN_W, 610.0)),
        (window(0.0, power_w=LARGE_W), 100.0, 0.0, window(100.0, 2000.0, 0.0, 2000.0)),  # never at less than measured
        (window(50.0, 5.0), 40.0, 720.0, window(50.0, 5.0, 720.0)),  # the clock went back
        (window(0.0, 5.0), 0.0, 720.0, window(0.0, 5.0, 720.0)),
    ],
)
def test_energy_is_counted_within_a_window(
    before: DemandWindow, to_s: float, grid_w: float | None, after: DemandWindow
) -> None:
    assert advance(before, NINE + to_s, grid_w, TEN_W) == (after, None)


def test_how_long_a_meter_may_be_silent_is_a_setting() -> None:
    after, _ = advance(window(0.0), NINE + 61, 0.0, TEN_W, stale_s=61.0)
    assert after == window(61.0, 61.0, 0.0)
    after, _ = advance(window(0.0), NINE + 50, 0.0, TEN_W, stale_s=49.0)
    assert after == window(50.0, 500.0, 0.0, 500.0)


@pytest.mark.parametrize(
    ("before", "to_s", "grid_w", "after", "finished"),
    [
        (window(980.0, 7.0), 999.5, 1.0, window(999.5, 26.5, 1.0), None),
        (window(980.0, 7.0), 1000.0, 1.0, moved(1000, 1000, 0.0, 1.0), window(1000.0, 27.0)),
        (window(980.0, 7.0), 1010.0, 1.0, moved(1000, 1010, 10.0, 1.0), window(1000.0, 27.0)),
        (
            window(980.0, 7.0, estimated_wh=3.0),
            1010.0,
            None,
            moved(1000, 1010, 10.0, WH_PER_S_W, 10.0),
            window(1000.0, 27.0, estimated_wh=23.0),
        ),
        (  # no longer than two windows: each one is counted, the last one is returned
            window(500.0, 7.0),
            2500.0,
            1.0,
            moved(2000, 2500, 5000.0, 1.0, 5000.0),
            moved(1000, 2000, 10_000.0, WH_PER_S_W, 10_000.0),
        ),
        # longer: only the running one is counted, from its start
        (window(500.0, 7.0), 2501.0, 1.0, moved(2200, 2501, 3010.0, 1.0, 3010.0), None),
        (window(500.0, 7.0), 2700.0, 1.0, moved(2200, 2700, 5000.0, 1.0, 5000.0), None),
    ],
)
def test_a_window_ends_with_all_that_was_imported_in_it(
    before: DemandWindow, to_s: float, grid_w: float | None, after: DemandWindow, finished: DemandWindow | None
) -> None:
    assert advance(before, NINE + to_s, grid_w, TEN_W) == (after, finished)


@pytest.mark.parametrize("grid_w", [720.0, None])
def test_a_clock_set_back_before_the_window_opens_the_one_it_shows(grid_w: float | None) -> None:
    after, finished = advance(window(500.0, 7.0), NINE - 1.0, grid_w, TEN_W)
    assert (after.start, after.at, after.imported_wh, finished) == (NINE - 800, NINE - 1, 0.0, None)
    assert (after.length_s, after.offset_s, after.estimated_wh) == (1000.0, 200.0, 0.0)
    assert after.power_w == (WH_PER_S_W if grid_w is None else 720.0)  # a silent meter is never 0 W


@pytest.mark.parametrize(
    ("imported_wh", "remaining_s", "expected"),
    [
        (12.0, None, window(50.0, 12.0)),
        (0.5, None, window(50.0, 0.5)),
        (-1.0, None, window(50.0, 0.0)),
        (12.0, 900.0, DemandWindow(NINE - 40, NINE + 60, 12.0, WH_PER_S_W, 1000.0, (NINE - 40) % 1000.0)),
        (0.5, 1000.0, DemandWindow(NINE + 60, NINE + 60, 0.5, WH_PER_S_W, 1000.0, (NINE + 60) % 1000.0)),
        (-1.0, 0.0, DemandWindow(NINE - 940, NINE + 60, 0.0, WH_PER_S_W, 1000.0, (NINE - 940) % 1000.0)),
    ],
)
def test_the_count_of_the_utility_meter_replaces_our_own(
    imported_wh: float, remaining_s: float | None, expected: DemandWindow
) -> None:
    assert corrected(window(50.0, 7.0, estimated_wh=3.0), NINE + 60, imported_wh, remaining_s) == expected


@pytest.mark.parametrize(
    ("at_s", "imported_wh", "allowed_w"),
    [
        (0.0, 0.0, TEN_W),  # 10,000 Wh in 1000 s
        (500.0, 0.0, 2 * TEN_W),
        (500.0, 5000.0, TEN_W),
        (500.0, 9999.5, 3.6),
        (500.0, 10_000.0, 0.0),
        (500.0, 12_000.0, 0.0),
        (900.0, 0.0, 10 * TEN_W),
        (990.0, 9000.0, 60_000.0),  # the least time to divide by is 60 s
        (1010.0, 9000.0, 60_000.0),
    ],
)
def test_what_is_left_of_the_energy_is_allowed_over_what_is_left_of_the_time(
    at_s: float, imported_wh: float, allowed_w: float
) -> None:
    assert allowed_import_w(window(at_s, imported_wh), NINE + at_s, TEN_W) == pytest.approx(allowed_w)
    assert allowed_import_w(window(at_s, imported_wh), NINE + at_s, TEN_W, 30.0) == pytest.approx(
        2 * allowed_w if at_s > 940 else allowed_w
    )
