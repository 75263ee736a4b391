"""The judge of the rounds of faults finds each kind of violation, and none in a run that is in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.model.message import rfc3339
from tests.gateway.cluster.judge import Evidence, Sending, Setpoint, judge, power_of

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
        sendings={
            "a-1": Sending(7, 99.97, 99.98, 99.99),
            "a-2": Sending(7, 100.97, 100.98, 100.99),
            "b-1": Sending(8, 111.97, 111.98, 111.99),
            "b-2": Sending(8, 120.97, 120.98, 120.99),
        },
        began={7: 90, 8: 111},
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


def _receives(run: Evidence, one: Setpoint, term: int = 8) -> None:
    run.setpoints["CP1"].append(one)
    run.sendings[one.call] = Sending(term, one.at - 0.03, one.at - 0.02, one.at - 0.01)


def _same_message(run: Evidence) -> None:
    _receives(run, Setpoint(122, 0.0, 5, "b-2"))


def _refused_and_done(run: Evidence) -> None:
    run.results["r2"] = [_result("refused", "offline")]


def _earlier_owner(run: Evidence) -> None:
    _receives(run, Setpoint(122, 0.0, 5, "a-3"))


def _earlier_holder(run: Evidence) -> None:
    """The power of an earlier holder is the first one that the station of this connection receives."""
    run.setpoints["CP2"] = [Setpoint(112, 0.0, 5, "c-1")]
    run.sendings["c-1"] = Sending(7, 111.97, 111.98, 111.99)


def _earlier_holder_to_nobody(run: Evidence) -> None:
    run.sendings["c-1"] = Sending(7, 111.97, 111.98)


def _earlier_round(run: Evidence) -> None:
    run.sent["r3"] = "CP1", 3
    run.results["r3"] = [_result("accepted", until=140), _result("achieved", until=140)]
    _receives(run, Setpoint(122, -power_of(3), 5, "b-3"))
    _receives(run, Setpoint(123, -power_of(1), 5, "b-4"))
    run.results["r1"] = [_result("accepted", until=140), _result("superseded", until=140)]


def _second(
    run: Evidence,
    *,
    begun: float,
    done: float | None,
    received: float,
    valid_for_s: float | None = 5,
    left: float | None = None,
) -> None:
    """Change the first power of the second round, whose lease ends at 120."""
    run.setpoints["CP1"][2] = Setpoint(received, -power_of(2), valid_for_s, "b-1")
    run.sendings["b-1"] = Sending(8, begun if left is None else left, begun, done)


def _valid_beyond(run: Evidence) -> None:
    _second(run, begun=117.2, done=117.3, received=117.31)


def _without_end(run: Evidence) -> None:
    _second(run, begun=112, done=112.01, received=112.02, valid_for_s=None)


def _sent_after_its_lease(run: Evidence) -> None:
    """As short as it is valid, it was sent too late; it would also have arrived late, behind a cut path."""
    _second(run, begun=120.2, done=120.21, received=127, valid_for_s=0.5)
    run.setpoints["CP1"].pop()


def _paused_before_it_was_written(run: Evidence) -> None:
    _second(run, begun=119, done=121, received=120.5, valid_for_s=3)


def _killed_before_it_noted_the_time(run: Evidence) -> None:
    _second(run, begun=119, done=None, received=120.5, valid_for_s=3)


def _sent_by_no_instance(run: Evidence) -> None:
    del run.sendings["b-1"]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_lost, "lost result"),
        (_without_first, "lost result"),
        (_two_finals, "doubled effect"),
        (_two_firsts, "doubled effect"),
        (_same_message, "doubled effect"),
        (_refused_and_done, "doubled effect"),
        (_sent_by_no_instance, "doubled effect"),
        (_earlier_owner, "stale owner"),
        (_earlier_holder, "stale owner"),
        (_earlier_holder_to_nobody, "stale owner"),
        (_earlier_round, "stale owner"),
        (_valid_beyond, "outlived lease"),
        (_without_end, "outlived lease"),
        (_sent_after_its_lease, "outlived lease"),
        (_paused_before_it_was_written, "outlived lease"),
        (_killed_before_it_noted_the_time, "outlived lease"),
    ],
)
def test_each_violation_is_found(change: Callable[[Evidence], None], rule: str) -> None:
    run = _run()
    change(run)
    (found,) = judge(run).violations
    assert found.startswith(rule)


def test_what_waited_after_it_was_sent_may_act_for_its_validity() -> None:
    """As behind a path that was cut at 114 and again repeats what was lost at 130."""
    run = _run()
    _second(run, begun=115, done=115.01, received=130)
    run.setpoints["CP1"].pop()
    verdict = judge(run)
    assert verdict.violations == []
    assert verdict.late == 1


def test_a_power_may_be_valid_a_little_beyond_its_lease() -> None:
    run = _run()
    _second(run, begun=117.0, done=117.01, received=117.02)
    assert judge(run).violations == []


def test_what_waited_between_two_instances_is_valid_from_when_it_is_sent() -> None:
    """Its effect has to end soon after the lease for all that."""
    run = _run()
    _second(run, left=116, begun=119, done=119.01, received=119.02)
    assert judge(run).violations == []
    _second(run, left=116, begun=120.2, done=120.21, received=120.22)
    (found,) = judge(run).violations
    assert found.startswith("outlived lease: written 0.21 s after its lease")
    _second(run, left=119.5, begun=122, done=122.01, received=122.02, valid_for_s=1)
    assert judge(run).violations == []
    _second(run, left=119.5, begun=122.2, done=122.21, received=122.22, valid_for_s=1)
    assert len(judge(run).violations) == 1


def test_an_instance_that_was_paused_after_it_had_sent_a_power_sent_it_before() -> None:
    run = _run()
    _second(run, begun=112, done=125, received=112.1)
    assert judge(run).violations == []


def test_what_an_earlier_holder_sent_may_arrive_after_the_begin_of_the_later() -> None:
    run = _run()
    run.setpoints["CP2"] = [Setpoint(118, 0.0, 5, "c-1")]
    run.sendings["c-1"] = Sending(7, 110.97, 110.98, 110.99)
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
    run.sendings.clear()
    assert judge(run).violations == []
