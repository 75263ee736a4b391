"""Which measured current an EV accepts, for how long, and with which reason it ends the session."""

from __future__ import annotations

import pytest

from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.session.guard import SLACK, SLACK_A, WITHIN, Verdict, judge, permitted_current

LIMITS = Limits(max_charge_w=40_000.0, max_discharge_w=20_000.0, max_charge_a=100.0, max_discharge_a=50.0)
HIGH, LOW = 100.0 * SLACK + SLACK_A, -(50.0 * SLACK + SLACK_A)


def judged(current_a: float, *, discharges: bool = True, since: float | None = None, now: float = 10.0) -> Verdict:
    return judge(current_a, LIMITS, 400.0, discharges=discharges, since=since, now=now, for_s=2.0)


def test_the_power_limit_counts_at_the_voltage_of_the_battery() -> None:
    assert permitted_current(LIMITS, 400.0) == (LOW, HIGH)
    assert permitted_current(LIMITS, 800.0) == (-(25.0 * SLACK + SLACK_A), 50.0 * SLACK + SLACK_A)
    assert permitted_current(LIMITS, 0.0) == (LOW, HIGH)
    found = judge(60.0, LIMITS, 800.0, discharges=True, since=None, now=10.0, for_s=0.0)
    assert found == Verdict(10.0, "60.0 A, the EV permits -28.2 to 54.5 A")


@pytest.mark.parametrize("current_a", [LOW, -10.0, 0.0, 50.0, HIGH])
def test_a_current_within_the_limits_ends_the_count(current_a: float) -> None:
    assert judged(current_a, since=3.0) == WITHIN


@pytest.mark.parametrize("current_a", [LOW - 0.1, HIGH + 0.1])
def test_a_current_beyond_the_limits_may_last_for_some_seconds(current_a: float) -> None:
    assert judged(current_a) == Verdict(10.0)
    assert judged(current_a, since=8.5) == Verdict(8.5)
    ended = judged(current_a, since=8.0)
    assert ended.outside_since == 8.0
    assert ended.refusal == f"{current_a:.1f} A, the EV permits {LOW:.1f} to {HIGH:.1f} A"


def test_a_discharge_that_was_not_negotiated_is_refused_at_once() -> None:
    assert judged(-SLACK_A, discharges=False) == WITHIN
    found = judged(-SLACK_A - 0.1, discharges=False)
    assert found == Verdict(10.0, "the charger discharges with 2.1 A, which was not negotiated")
    assert judged(HIGH, discharges=False) == WITHIN
    assert judged(HIGH + 0.1, discharges=False) == Verdict(10.0)
