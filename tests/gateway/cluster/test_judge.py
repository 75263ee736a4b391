"""The judge of the rounds of faults finds each kind of violation, and none in a run that is in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.model.message import rfc3339
from tests.gateway.cluster.judge import Delay, Evidence, Setpoint, judge, power_of

OFFSET = 1_700_000_000.0


def _result(status: str, code: str = "granted", until: float | None = None, ts: str = "1") -> dict[str, Any]:
    lease = None if until is None else rfc3339(OFFSET + until)
    return {"status": status, "reason": {"code": code, "text": code}, "lease_until": lease, "ts": ts}


def _run() -> Evidence:
    """Two rounds at one station; the second one follows a take-over."""
    return Evidence(
        sent={"r1": ("CP1", 1), "r2": ("CP1", 2)},
        results={
            "r1": [_result("accepted", until=110), _result("superseded", until=110)],
            "r2": [_result("accepted", until=120), _result("achieved", until=120), _result("achieved", until=120)],
        },
        setpoints={
            "CP1": [
                Setpoint(100, -power_of(1), 5, "a-1"),
                Setpoint(101, -power_of(1) / 3, 5, "a-2"),
                Setpoint(112, -power_of(2), 5, "b-1"),
                Setpoint(121, 0.0, 5, "b-2"),
            ]
        },
        offset=OFFSET,
    )


def test_a_run_in_order_has_no_violation() -> None:
    verdict = judge(_run())
    assert verdict.violations == []
    assert verdict.outcomes == {"accepted/superseded": 1, "accepted/achieved": 1}


def _lost(run: Evidence) -> None:
    del run.results["r2"][1:]


def _without_first(run: Evidence) -> None:
    del run.results["r2"][0]


def _two_finals(run: Evidence) -> None:
    run.results["r2"].append(_result("failed"))


def _two_firsts(run: Evidence) -> None:
    run.results["r2"].append(_result("accepted", until=130, ts="2"))


def _same_message(run: Evidence) -> None:
    run.setpoints["CP1"].append(Setpoint(122, 0.0, 5, "b-2"))


def _refused_and_done(run: Evidence) -> None:
    run.results["r2"] = [_result("refused", "offline")]


def _earlier_holder(run: Evidence) -> None:
    run.setpoints["CP1"].append(Setpoint(122, 0.0, 5, "a-3"))


def _earlier_round(run: Evidence) -> None:
    run.setpoints["CP1"].append(Setpoint(105, -power_of(1), 5, "b-3"))


def _beyond(run: Evidence) -> None:
    run.setpoints["CP1"][2] = Setpoint(119.5, -power_of(2), 5, "b-1")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_lost, "lost result"),
        (_without_first, "lost result"),
        (_two_finals, "doubled effect"),
        (_two_firsts, "doubled effect"),
        (_same_message, "doubled effect"),
        (_refused_and_done, "doubled effect"),
        (_earlier_holder, "stale owner"),
        (_earlier_round, "stale owner"),
        (_beyond, "outlived lease"),
    ],
)
def test_each_violation_is_found(change: Callable[[Evidence], None], rule: str) -> None:
    run = _run()
    change(run)
    (found,) = judge(run).violations
    assert found.startswith(rule)


def test_a_delayed_message_is_bounded_by_its_validity() -> None:
    run = _run()
    run.delays = [Delay(frozenset({"CP1"}), 114, 119)]
    _beyond(run)
    assert judge(run).violations == []
    run.setpoints["CP1"][2] = Setpoint(124.5, -power_of(2), 5, "b-1")
    assert judge(run).violations != []


def test_a_late_process_of_a_station_is_taken_into_account() -> None:
    run = _run()
    run.setpoints["CP1"][2] = Setpoint(119.5, -power_of(2), 5, "b-1", lag_s=2.0)
    assert judge(run).violations == []


def test_a_refusal_that_leaves_the_id_free_may_come_twice() -> None:
    run = _run()
    run.sent["r3"] = "CP1", 3
    run.results["r3"] = [_result("refused", "journal_unavailable", ts=one) for one in "12"] + [_result("failed")]
    assert judge(run).violations == []


def test_a_lost_refusal_of_a_command_that_was_not_journalled_leaves_its_final_result() -> None:
    run = _run()
    run.results["r2"] = [_result("failed", "journal_unavailable")]
    run.setpoints.clear()
    assert judge(run).violations == []
