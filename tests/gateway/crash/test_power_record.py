"""The judge of the fault rounds: what it finds, and what it does not conclude from a process without time."""

from __future__ import annotations

import pytest

from tests.gateway.crash.power_record import PowerRecord

STEP_S = 0.05


def record(*phases: tuple[float, float | None]) -> PowerRecord:
    """Return a record of phases: how long, and the power or None while the process has no time."""
    made, at = PowerRecord(), 100.0
    for seconds, power_w in phases:
        for _ in range(round(seconds / STEP_S)):
            if power_w is not None:
                made.add(at, power_w)
            at += STEP_S
    return made


@pytest.mark.parametrize(
    ("phases", "runs"),
    [
        ([(5.0, -5000.0), (5.0, 0.0)], 1),
        ([(5.0, -5000.0), (1.0, 0.0), (1.0, -5000.0), (5.0, 0.0)], 2),
        ([(5.0, -5000.0), (1.0, None), (1.0, -5000.0), (5.0, 0.0)], 1),  # a process without time
        ([(5.0, -5000.0), (0.2, None), (0.4, 0.0), (0.2, None), (1.0, 5000.0), (5.0, 0.0)], 2),
        ([(5.0, -5000.0), (0.2, 0.0), (1.0, -5000.0), (5.0, 0.0)], 1),
        ([(5.0, 199.0)], 0),
    ],
)
def test_a_run_of_power_ends_with_samples_at_rest(phases: list[tuple[float, float | None]], runs: int) -> None:
    assert len(record(*phases).runs(0.0, 1000.0)) == runs


def test_power_after_time_without_samples_may_have_another_cause() -> None:
    made = record((5.0, -5000.0), (3.0, None), (0.1, -5000.0), (0.1, 0.0), (5.0, -5000.0))
    assert len(made.runs(0.0, 1000.0)) == 1
    assert [begin for begin, _ in made.runs(0.0, 1000.0, apart=True)] == pytest.approx([100.0, 108.0])


def test_time_without_samples_is_counted_within_the_bounds_only() -> None:
    made = record((5.0, -5000.0), (1.0, None), (5.0, -5000.0), (2.0, None), (1.0, 0.0))
    assert made.unseen_s(100.0, 120.0) == pytest.approx(3.0, abs=2 * STEP_S)
    assert made.unseen_s(105.5, 112.0) == pytest.approx(1.5, abs=2 * STEP_S)
    assert made.unseen_s(100.0, 104.0) == 0.0
    assert made.unseen_s(113.5, 120.0) == 0.0
