"""The set-point state machine: which attributes each transition changes, and each condition at its limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from gateway.control.setpoint import Setpoint
from gateway.control.setpoint_values import Action, Completion, Order, State, Target
from gateway.model.station import Answer, Outcome

APPLIED, REFUSED, UNKNOWN = Outcome(Answer.APPLIED), Outcome(Answer.REFUSED, "Rejected"), Outcome(Answer.UNKNOWN)
INITIAL: dict[str, Any] = {
    "valid_for_s": 15.0,
    "retry_s": 2.0,
    "verify_within_s": 60.0,
    "tolerance_w": 150.0,
    "tolerance_share": 0.05,
    "slow_s": 0.0,
    "state": State.UNVERIFIED,
    "verified": False,
    "sent_w": None,
    "sent_at": 0.0,
    "changed_at": -math.inf,
    "before_w": None,
    "ordered_w": None,
    "shortfall_w": 0.0,
    "_delivered_w": 0.0,
    "_step_w": 0.0,
    "_reading": None,
    "_approaches": False,
    "supplied_at": -math.inf,
    "valid_until": 0.0,
    "retry_at": None,
    "unanswered": 0,
    "rejected_w": None,
    "rejections": 0,
    "repeat_after": 0.0,
    "_reported": None,
    "_pending": None,
    "left_w": (),
    "left_until": math.inf,
}
ORDER = Order(-3000.0, 12.0, 49.0)
LATER: dict[str, Any] = {  # a value of each attribute that no transition below sets
    "verified": True,
    "sent_w": -5000.0,
    "sent_at": 10.0,
    "changed_at": 9.0,
    "before_w": -2000.0,
    "ordered_w": -5100.0,
    "shortfall_w": -100.0,
    "_delivered_w": -5000.0,
    "_step_w": -1000.0,
    "_reading": (-5000.0, 9.5),
    "_approaches": True,
    "supplied_at": 8.0,
    "valid_until": 25.0,
    "retry_at": 30.0,
    "unanswered": 1,
    "rejected_w": -700.0,
    "rejections": 2,
    "repeat_after": 40.0,
    "_reported": ("station_refused", -700.0),
    "_pending": ORDER,
    "left_w": (-5000.0,),
    "left_until": 60.0,
}
CLEARED = {"retry_at": None, "rejected_w": None, "_reported": None, "rejections": 0, "repeat_after": 0.0}
MET = {"left_w": (), "left_until": 50.0}  # the next step wakes the other EVSEs


def a_setpoint(**attributes: Any) -> Setpoint:
    """Return a set-point with these attributes, and the initial ones."""
    setpoint = Setpoint()
    vars(setpoint).update(attributes)
    return setpoint


def changes(setpoint: Setpoint, transition: Callable[[Setpoint], object]) -> dict[str, Any]:
    """Return the attributes that a transition changes, with their new values."""
    before = dict(vars(setpoint))
    transition(setpoint)
    return {name: value for name, value in vars(setpoint).items() if value != before[name]}


def test_at_first_nothing_is_known_of_the_station() -> None:
    assert vars(Setpoint()) == INITIAL
    assert vars(Setpoint(1.0, 2.5, 3.0)) == INITIAL | {"valid_for_s": 1.0, "retry_s": 2.5, "verify_within_s": 3.0}


@pytest.mark.parametrize(
    ("transition", "expected"),
    [
        (
            lambda one: one.reset(),
            {
                "_pending": None,
                "state": State.UNVERIFIED,
                "verified": False,
                "sent_w": None,
                "unanswered": 0,
                "shortfall_w": 0.0,
                "_reading": None,
                "_approaches": False,
                **CLEARED,
            },
        ),
        (
            lambda one: one.failed(50.0),
            {"_pending": None, "state": State.UNVERIFIED, "verified": False, "sent_w": None, "retry_at": 52.0},
        ),
        (lambda one: one.supplied_island(50.0), {"supplied_at": 50.0}),
        (
            lambda one: one.restored(-300.0, 50.0),
            {"state": State.RESTORED, "sent_w": -300.0, "ordered_w": None, "sent_at": 50.0, "valid_until": 0.0, **MET},
        ),
        (
            lambda one: one.restored(None, 50.0),
            {"state": State.RESTORED, "sent_w": None, "ordered_w": None, "sent_at": 50.0, "valid_until": 0.0, **MET},
        ),
        (lambda one: one.send(-1.0, 9.0, 50.0), {"_pending": Order(-1.0, 9.0, 50.0)}),
        (
            lambda one: one.complete(ORDER, APPLIED, 50.0),
            {
                "_pending": None,
                "state": State.ACCEPTED,
                "unanswered": 0,
                "sent_w": -3000.0,
                "sent_at": 49.0,
                "ordered_w": None,
                "changed_at": 50.0,
                "before_w": -5000.0,
                "_step_w": 2100.0,
                "_approaches": False,
                "valid_until": 61.0,
                **CLEARED,
            },
        ),
        (
            lambda one: one.complete(ORDER, REFUSED, 50.0),
            {
                "_pending": None,
                "state": State.REJECTED,
                "sent_w": None,
                "retry_at": 52.0,
                "rejected_w": -3000.0,
                "rejections": 3,
                "repeat_after": 58.0,
            },
        ),
        (
            lambda one: one.complete(ORDER, UNKNOWN, 50.0),
            {
                "_pending": None,
                "state": State.TIMED_OUT,
                "verified": False,
                "sent_w": None,
                "retry_at": 52.0,
                "unanswered": 2,
            },
        ),
        (lambda one: one.complete(Order(-3000.0, 12.0, 49.0), APPLIED, 50.0), {}),  # another order
        (
            lambda one: one.overtaken(ORDER),
            {"_pending": None, "state": State.TIMED_OUT, "sent_w": None, "retry_at": None},
        ),
        (lambda one: one.overtaken(Order(-3000.0, 12.0, 49.0)), {}),
        (lambda one: one.report(("station_silent", 0.0)), {"_reported": ("station_silent", 0.0)}),
    ],
)
def test_a_transition_changes_these_attributes_and_no_other(
    transition: Callable[[Setpoint], object], expected: dict[str, Any]
) -> None:
    before = State.RESTORED if expected.get("state") is not State.RESTORED else State.ACCEPTED
    assert changes(a_setpoint(**LATER, state=before), transition) == expected


def test_a_set_point_that_the_station_reports_is_verified() -> None:
    assert changes(a_setpoint(), lambda one: one.restored(None, 50.0)) == {
        "state": State.RESTORED,
        "verified": True,
        "sent_at": 50.0,
    }


def test_an_accepted_order_for_the_same_power_refreshes_it() -> None:
    setpoint = a_setpoint(**LATER | {"sent_w": -3000.0, "ordered_w": None})
    assert setpoint.complete(ORDER, APPLIED, 50.0) is Completion.REPEATED
    assert (setpoint.changed_at, setpoint.sent_at, setpoint.valid_until) == (9.0, 49.0, 61.0)
    corrected = a_setpoint(**LATER | {"sent_w": -3000.0})
    order = corrected.send(-3000.0, 12.0, 49.0, -3150.0)
    assert corrected.complete(order, APPLIED, 50.0) is Completion.REPEATED
    assert (corrected.ordered_w, corrected.changed_at, corrected.before_w) == (-3150.0, 50.0, -5000.0)
    assert corrected._step_w == 1950.0  # from what it was sent before
    assert a_setpoint(**LATER).complete(ORDER, APPLIED, 50.0) is Completion.CHANGED
    assert a_setpoint(**LATER).complete(ORDER, REFUSED, 50.0) is Completion.REJECTED


@pytest.mark.parametrize(
    ("retry_s", "rejections", "pause_s"),
    [(2.0, 1, 4.0), (2.0, 4, 32.0), (2.0, 5, 60.0), (0.001, 9, 0.512), (0.001, 10, 1.024), (0.001, 50, 1.024)],
)
def test_the_pause_before_a_rejected_power_is_repeated_doubles(retry_s: float, rejections: int, pause_s: float) -> None:
    setpoint = a_setpoint(**LATER | {"retry_s": retry_s, "rejected_w": -3000.0, "rejections": rejections})
    setpoint.complete(ORDER, REFUSED, 50.0)
    assert setpoint.rejections == rejections + 1
    assert setpoint.repeat_after - 50.0 == pytest.approx(pause_s)


@pytest.mark.parametrize(
    ("before_s", "outcome", "answered_after_s", "slow_s"),
    [
        (0.0, APPLIED, 2.0, 0.0),
        (0.0, APPLIED, 2.1, 3.0),
        (0.0, REFUSED, 7.0, 7.0),
        (0.0, UNKNOWN, 7.0, 0.0),  # without an answer nothing is known of its time
        (5.0, APPLIED, 3.5, 5.0),
        (5.0, APPLIED, 1.0, 5.0),
    ],
)
def test_the_longest_time_for_an_answer_counts_into_the_validity(
    before_s: float, outcome: Outcome, answered_after_s: float, slow_s: float
) -> None:
    setpoint = a_setpoint(slow_s=before_s)
    setpoint.complete(setpoint.send(-3000.0, 15.0, 100.0), outcome, 100.0 + answered_after_s)
    assert setpoint.slow_s == slow_s
    assert setpoint.valid_for(-3000.0, 200.0, 2500.0, None) == 15.0 + slow_s


@pytest.mark.parametrize(
    ("rejected_w", "power_w", "same"),
    [(5000.0, 0.5, True), (-5000.0, -0.5, True), (5000.0, -0.5, False), (5000.0, 0.0, False)],
)
def test_a_small_power_has_the_direction_of_a_large_one(rejected_w: float, power_w: float, same: bool) -> None:
    setpoint = a_setpoint(verified=True, rejected_w=rejected_w, repeat_after=150.0)
    assert setpoint.next_action(Target(power_w), 100.0) is (Action.WAIT if same else Action.SEND)


def test_a_trouble_is_reported_once_until_it_is_another() -> None:
    setpoint = a_setpoint()
    reports = [("station_refused", 0.0), ("station_refused", 0.0), ("station_refused", 1.0), ("fault", 1.0)]
    assert [setpoint.report(one) for one in reports] == [True, False, True, True]


# what to do -----------------------------------------------------------------------------------------------------------


HELD: dict[str, Any] = {"verified": True, "sent_w": 0.0, "sent_at": 100.0, "supplied_at": 90.0}
RUNS: dict[str, Any] = {"verified": True, "sent_w": -5000.0, "sent_at": 100.0, "valid_until": 115.0}
REJECTED: dict[str, Any] = {"verified": True, "sent_w": None, "rejected_w": 0.0, "repeat_after": 110.0}
REST: dict[str, Any] = {"measured_w": 0.0, "measured_at": 100.0, "rest_tolerance_w": 150.0}
FLOWS: dict[str, Any] = {"measured_w": -151.0, "measured_at": 160.0, "rest_tolerance_w": 150.0}
STOP: dict[str, Any] = {"emergency_stop": True}
SUPPLIES: dict[str, Any] = {"may_supply_island": True}
WAIT, VERIFY, SEND, CORRECT = Action.WAIT, Action.VERIFY, Action.SEND, Action.CORRECT


@pytest.mark.parametrize(
    ("attributes", "target", "now", "action"),
    [
        # after the pause, and a reading of what the station holds; an emergency stop waits for neither
        ({"retry_at": 100.0}, {}, 99.9, WAIT),
        ({"retry_at": 100.0}, {}, 100.0, VERIFY),
        (RUNS | {"retry_at": 100.0}, {}, 99.9, WAIT),
        (RUNS | {"retry_at": 100.0}, {}, 100.0, SEND),
        (RUNS | {"retry_at": 100.0}, STOP, 99.9, SEND),
        ({"verified": False, "sent_w": 0.0}, STOP, 1.0, VERIFY),
        ({"verified": False, "sent_w": 0.0}, {}, 1.0, VERIFY),
        (HELD, STOP, 101.0, WAIT),
        (REJECTED | {"verified": False}, STOP | REST, 109.0, WAIT),
        # another power, the same one for another command, the same one before it ends
        (RUNS, {"power_w": -5000.5}, 101.0, WAIT),
        (RUNS, {"power_w": -4999.5}, 101.0, WAIT),
        (RUNS, {"power_w": -5000.6}, 101.0, SEND),
        (RUNS, {"power_w": -4999.4}, 101.0, SEND),
        (RUNS, {"power_w": -5000.0, "unconfirmed": True}, 101.0, SEND),
        (RUNS, {"power_w": -5000.0, "ordered_w": -5150.0}, 101.0, SEND),
        (RUNS, {"power_w": -5000.0, "ordered_w": -5000.5}, 101.0, WAIT),
        (RUNS | {"ordered_w": -5150.0}, {"power_w": -5000.0, "ordered_w": -5150.0}, 101.0, WAIT),
        (RUNS | {"ordered_w": -5150.0}, {"power_w": -5000.0}, 101.0, SEND),
        (RUNS, {"power_w": -5000.0}, 104.9, WAIT),
        (RUNS, {"power_w": -5000.0}, 106.0, SEND),
        (RUNS, {"power_w": -5000.0, "lease_until": 115.0}, 114.0, WAIT),
        (RUNS, {"power_w": -5000.0, "lease_until": 115.1}, 114.0, SEND),
        (RUNS | {"sent_w": 1.0}, {"power_w": 1.0}, 114.0, SEND),
        (HELD, {}, 1000.0, WAIT),
        (RUNS | {"sent_w": -0.5}, {}, 101.0, SEND),
        (RUNS | {"sent_w": 0.5}, {}, 101.0, SEND),
        (HELD, {"power_w": -0.5}, 101.0, WAIT),
        # power long after 0 W was accepted
        (HELD, FLOWS, 160.0, CORRECT),
        (HELD, FLOWS | {"measured_w": 151.0}, 160.0, CORRECT),
        (HELD, FLOWS | {"measured_w": 150.0}, 160.0, WAIT),
        (HELD, FLOWS | {"measured_w": -150.0}, 160.0, WAIT),
        (HELD, FLOWS | {"measured_at": 159.9}, 161.0, WAIT),
        (HELD, FLOWS, 159.9, WAIT),
        (HELD | {"supplied_at": 101.0}, FLOWS, 160.0, WAIT),
        (HELD | {"supplied_at": 101.0}, FLOWS | {"measured_at": 161.0}, 161.0, CORRECT),
        (HELD | {"verify_within_s": 61.0}, FLOWS, 160.0, WAIT),
        (HELD, FLOWS | {"measured_w": None}, 160.0, WAIT),
        (HELD, FLOWS | {"measured_at": None}, 160.0, WAIT),
        (HELD, FLOWS | {"power_w": -5000.0}, 160.0, SEND),
        (RUNS, FLOWS, 160.0, SEND),
        (HELD | {"sent_w": None}, FLOWS, 160.0, SEND),
        (HELD, FLOWS | STOP, 160.0, CORRECT),
        # a charger that may be supplying an island
        (HELD, FLOWS | SUPPLIES, 160.0, WAIT),
        (HELD | {"sent_w": None}, FLOWS | SUPPLIES, 160.0, WAIT),
        (HELD | {"sent_w": None}, FLOWS | SUPPLIES | {"measured_w": 151.0}, 160.0, WAIT),
        (HELD | {"sent_w": None}, FLOWS | SUPPLIES | {"measured_w": 150.0}, 160.0, SEND),
        (HELD | {"sent_w": None}, FLOWS | SUPPLIES | {"measured_w": None}, 160.0, SEND),
        (HELD | {"sent_w": None}, FLOWS | SUPPLIES | {"allocated": True}, 160.0, SEND),
        (HELD, FLOWS | SUPPLIES | {"power_w": -1.0}, 160.0, SEND),
        (HELD, FLOWS | SUPPLIES | {"power_w": 1.0}, 160.0, SEND),
        (RUNS, FLOWS | SUPPLIES, 160.0, SEND),
        (RUNS | {"sent_w": 1.0}, FLOWS | SUPPLIES, 160.0, SEND),
        (HELD | {"supplied_at": 100.0}, FLOWS | STOP | SUPPLIES, 101.0, SEND),
        (HELD | {"supplied_at": 99.9}, FLOWS | STOP | SUPPLIES, 101.0, WAIT),
        (HELD | {"supplied_at": 100.0}, FLOWS | STOP, 101.0, WAIT),
        (HELD | {"supplied_at": 100.0}, REST, 101.0, WAIT),
        (HELD | {"supplied_at": 100.0}, REST | SUPPLIES, 101.0, WAIT),
        # a power that the station has just rejected
        (REJECTED, REST, 109.9, WAIT),
        (REJECTED, REST, 110.0, SEND),
        (REJECTED, REST | {"measured_w": 150.0}, 109.9, WAIT),
        (REJECTED, REST | {"measured_w": -150.0}, 109.9, WAIT),
        (REJECTED, REST | {"measured_w": 151.0}, 109.9, SEND),
        (REJECTED, REST | {"measured_w": -151.0}, 109.9, SEND),
        (REJECTED, REST | STOP | {"measured_w": None}, 109.9, SEND),
        (REJECTED, REST | STOP, 109.9, WAIT),
        (REJECTED | {"rejected_w": 3.0}, {"power_w": 3.0, "measured_w": 900.0}, 109.9, WAIT),
        (REJECTED, REST | {"measured_w": None}, 109.9, WAIT),
        (REJECTED, REST | {"measured_w": None}, 110.0, SEND),
        (REJECTED | {"rejected_w": 3.0}, {"power_w": 900.0}, 109.9, WAIT),
        (REJECTED | {"rejected_w": -3.0}, {"power_w": -900.0}, 109.9, WAIT),
        (REJECTED | {"rejected_w": -3.0}, {"power_w": 900.0}, 109.9, SEND),
        (REJECTED | {"rejected_w": 3.0}, {"power_w": 0.0}, 109.9, SEND),
        (REJECTED, REST | {"allocated": True}, 109.9, SEND),
        (REJECTED | {"rejected_w": -1.0}, REST, 109.9, SEND),
    ],
)
def test_the_action_that_is_due(attributes: dict[str, Any], target: dict[str, Any], now: float, action: Action) -> None:
    setpoint = a_setpoint(**attributes)
    assert setpoint.next_action(Target(**{"power_w": 0.0, **target}), now) is action
    supplies_island = bool(target.get("may_supply_island")) and not target.get("emergency_stop")
    assert setpoint.supplied_at == (now if supplies_island else attributes.get("supplied_at", -math.inf))


@pytest.mark.parametrize(
    ("valid_until", "lease_until", "at"),
    [(115.0, None, 106.0), (115.0, 115.0, math.inf), (115.0, 114.0, math.inf), (115.0, 115.1, 106.0)],
)
def test_a_power_is_refreshed_before_half_of_its_validity_is_over(
    valid_until: float, lease_until: float | None, at: float
) -> None:
    assert a_setpoint(**RUNS | {"valid_until": valid_until}).refresh_at(lease_until) == at


@pytest.mark.parametrize(
    ("power_w", "rate", "lease_until", "ramping", "valid_s"),
    [
        (-5000.0, 2500.0, None, False, 15.0),
        (-5000.0, 2500.0, 115.0, False, 15.0),
        (-5000.0, 2500.0, 112.1, False, 15.0),
        (-5000.0, 2500.0, 110.0, False, 13.0),  # what is left of the lease, the ramp, and a second
        (5000.0, 2500.0, 110.0, False, 13.0),
        (-5000.0, 0.0, 110.0, False, 11.0),
        (-5000.0, 10.0, 105.0, False, 11.0),  # a longer ramp counts as 5 s
        (0.0, 2500.0, 90.0, False, 1.0),
        (-5000.0, 2500.0, None, True, 2.5),
        (-5000.0, 2500.0, 110.0, True, 2.5),
        (-100.0, 2500.0, None, True, 1.0),
        (-50_000.0, 2500.0, None, True, 5.5),
    ],
)
def test_a_set_point_is_valid_for_the_lease_and_the_ramp_behind_it(
    power_w: float, rate: float, lease_until: float | None, ramping: bool, valid_s: float
) -> None:
    assert a_setpoint().valid_for(power_w, 100.0, rate, lease_until, ramping) == valid_s
    assert ramping or a_setpoint().valid_for(power_w, 100.0, rate, lease_until) == valid_s


@pytest.mark.parametrize(
    ("attributes", "lease_until", "holds", "at"),
    [
        ({}, None, True, math.inf),
        (RUNS, None, True, 106.0),
        (RUNS, None, False, math.inf),
        (RUNS, 115.0, True, math.inf),
        (RUNS | {"verified": False}, None, True, math.inf),
        (HELD, None, True, math.inf),
        (RUNS | {"retry_at": 102.0}, None, True, 102.0),
        (RUNS | {"retry_at": 101.0}, None, True, 106.0),
        (RUNS | {"retry_at": 108.0}, None, False, 108.0),
        (RUNS | {"repeat_after": 102.0}, None, True, 102.0),
        (RUNS | {"repeat_after": 101.0}, None, True, 106.0),
    ],
)
def test_when_time_alone_can_change_the_action(
    attributes: dict[str, Any], lease_until: float | None, holds: bool, at: float
) -> None:
    assert a_setpoint(**attributes).deadline(101.0, lease_until, holds=holds) == at


@pytest.mark.parametrize(
    ("sent_w", "measured_w", "measured_at", "now", "expected"),
    [
        (None, None, None, 101.0, [0.0]),
        (-5000.0, None, 101.0, 101.0, [-5000.0]),
        (-5000.0, -1.0, None, 101.0, [-5000.0]),
        (None, -1.0, 101.0, 101.0, [-1.0]),
        (-5000.0, -4750.0, 105.0, 105.0, [-4750.0]),  # as near as 5 %
        (-5000.0, -4749.0, 105.0, 105.0, [-4749.0, -5000.0]),
        (-5000.0, -5251.0, 105.0, 105.0, [-5251.0, -5000.0]),
        (0.0, 150.0, 105.0, 105.0, [150.0]),  # or as near as 150 W
        (0.0, -151.0, 105.0, 105.0, [-151.0, 0.0]),
        (-5000.0, -4750.0, 104.9, 106.0, [-4750.0, -5000.0]),  # earlier it may be on its way
        (-5000.0, -4974.0, 104.9, 106.0, [-4974.0, -5000.0]),
        (-5000.0, -4975.0, 104.9, 106.0, [-4975.0]),
        (-5000.0, -4975.0, 101.0, 106.0, [-4975.0]),
        (-5000.0, -5000.0, 100.0, 101.0, [-5000.0, -5000.0]),  # not measured since the change
        (-5000.0, -1.0, 101.0, 114.9, [-1.0, -5000.0]),
        (-5000.0, -1.0, 101.0, 115.0, [-1.0, -5000.0]),
        (-5000.0, -1.0, 114.9, 999.0, [-1.0, -5000.0]),
        (-5000.0, -1.0, 115.0, 115.0, [-1.0]),
        (-5000.0, -1.0, 100.0, 115.0, [-5000.0]),
    ],
)
def test_the_power_that_flows(
    sent_w: float | None, measured_w: float | None, measured_at: float | None, now: float, expected: list[float]
) -> None:
    setpoint = a_setpoint(sent_w=sent_w, changed_at=100.0)
    assert setpoint.flowing_w(measured_w, measured_at, now) == expected


@pytest.mark.parametrize(
    ("before_w", "measured_w", "expected"),
    [
        (-3666.0, -3666.0, [-3666.0, -3500.0]),  # near the new set-point, and not moved yet
        (-3666.0, -3584.0, [-3584.0, -3500.0]),
        (-3666.0, -3582.0, [-3582.0]),
        (-3666.0, -3500.0, [-3500.0]),
        (-2000.0, -3400.0, [-3400.0]),  # after a large change it has arrived, as near as its meter shows
        (None, -3666.0, [-3666.0]),
    ],
)
def test_a_reading_near_the_set_point_before_shows_no_arrival(
    before_w: float | None, measured_w: float, expected: list[float]
) -> None:
    setpoint = a_setpoint(sent_w=-3500.0, before_w=before_w, changed_at=100.0)
    assert setpoint.flowing_w(measured_w, 105.0, 106.0) == expected


def test_a_change_remembers_the_power_before() -> None:
    setpoint = a_setpoint(sent_w=-3666.0)
    setpoint.complete(setpoint.send(-3500.0, 15.0, 100.0), Outcome(Answer.APPLIED), 101.0)
    setpoint.complete(setpoint.send(-3500.0, 15.0, 105.0), Outcome(Answer.APPLIED), 106.0)
    assert (setpoint.before_w, setpoint.changed_at) == (-3666.0, 101.0)


@pytest.mark.parametrize(
    ("reading", "before_w"),
    [
        ((-2600.0, 14.0), -2600.0),  # as near as is corrected
        ((-2599.0, 14.0), -3000.0),
        ((-3400.0, 14.0), -3400.0),
        ((-3401.0, 14.0), -3000.0),
        ((-2600.0, 13.9), -3000.0),  # it may not have responded
        (None, -3000.0),
    ],
)
def test_the_power_before_a_change_is_the_one_measured_near_the_set_point(
    reading: tuple[float, float] | None, before_w: float
) -> None:
    setpoint = a_setpoint(sent_w=-3000.0, changed_at=9.0, _reading=reading)
    setpoint.complete(setpoint.send(-5000.0, 15.0, 20.0), APPLIED, 20.0)
    assert setpoint.before_w == before_w


@pytest.mark.parametrize(("low_w", "high_w", "left_w"), [
    (-5000.0, -5000.0, (-5000.0,)), (-5000.0, 3000.0, (-5000.0, 3000.0)), (0.0, 3000.0, (3000.0,)),
    (-0.5, 0.0, (-0.5,)),
])  # fmt: skip
def test_a_station_without_its_link_may_take_power_until_every_order_has_expired(
    low_w: float, high_w: float, left_w: tuple[float, ...]
) -> None:
    setpoint = a_setpoint(sent_w=-5000.0, verified=True, slow_s=4.0)
    setpoint.lost(low_w, high_w, 50.0)
    assert (setpoint.left_w, setpoint.left_until) == (left_w, 69.0)
    assert (setpoint.state, setpoint.verified, setpoint.sent_w) == (State.UNVERIFIED, False, None)
    setpoint.reset()
    setpoint.lost(-9000.0, 9000.0, 60.0)  # nothing was sent since
    assert (setpoint.left_w, setpoint.left_until) == (left_w, 69.0)
    assert not setpoint.left(68.9)
    assert setpoint.left_w == left_w
    assert setpoint.left(69.0)
    assert (setpoint.left_w, setpoint.left_until) == ((), math.inf)
    assert not setpoint.left(70.0)


def test_a_station_that_took_no_power_takes_none_without_its_link() -> None:
    setpoint = a_setpoint(sent_w=0.0, verified=True)
    setpoint.lost(0.0, 0.0, 50.0)
    assert (setpoint.left_w, setpoint.left_until) == ((), math.inf)
    assert not setpoint.verified
