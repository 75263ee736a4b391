"""Demand window: import within `allowed_import_w` ends at or below the contract, from any state of the window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.demand_window import advance, allowed_import_w, corrected, correction_due, open_window

NINE = 1_800_000_000.0 - 1_800_000_000.0 % 1800
CONTRACT_W = 50_000.0


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
    [(2999.0, False, False), (3000.0, False, True), (1.0, True, True), (0.0, True, False), (-5.0, False, False)],
)
def test_a_window_is_corrected_when_the_need_is_large_and_then_to_its_end(
    needed_w: float, begun: bool, due: bool
) -> None:
    assert correction_due(needed_w, 10_000.0, begun) is due
