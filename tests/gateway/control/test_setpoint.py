"""The set-point state machine: transitions as a table, and laws that hold for any sequence of answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.authority.power_history import RESPONSE_S
from gateway.authority.priority import Bound, DeadBand, Decision, decide
from gateway.control.control_state import EvseRegistry
from gateway.control.setpoint import (
    LONGEST_PAUSE_S,
    LONGEST_RAMP_S,
    MAX_UNANSWERED,
    RESTS_S,
    RESTS_W,
    SHORTEST_VALID_S,
    Setpoint,
)
from gateway.control.setpoint_values import Action, Completion, State, Target
from gateway.control.settings import LEASE_SLACK_S, RAMP_STEP_S, ServiceSettings
from gateway.model.result import Layer
from gateway.model.site import SitePolicy
from gateway.model.station import Answer, Outcome

APPLIED, REFUSED, UNKNOWN = Outcome(Answer.APPLIED), Outcome(Answer.REFUSED, "Rejected"), Outcome(Answer.UNKNOWN)
VALID_S, RETRY_S = 15.0, 2.0


def after(*steps: str, power_w: float = -5000.0) -> Setpoint:
    """Return a set-point after these transitions, one a second."""
    setpoint = Setpoint(VALID_S, RETRY_S)
    for now, step in enumerate(steps):
        match step:
            case "restored":
                setpoint.restored(0.0, now)
            case "reset":
                setpoint.reset()
            case "failed":
                setpoint.failed(now)
            case _:
                outcome = {"accepted": APPLIED, "rejected": REFUSED, "timed out": UNKNOWN}[step]
                setpoint.complete(setpoint.send(power_w, VALID_S, now), outcome, now)
    return setpoint


@pytest.mark.parametrize(
    ("steps", "state", "verified", "sent_w"),
    [
        ((), State.UNVERIFIED, False, None),
        (("restored",), State.RESTORED, True, 0.0),
        (("restored", "accepted"), State.ACCEPTED, True, -5000.0),
        (("restored", "rejected"), State.REJECTED, True, None),
        (("restored", "timed out"), State.TIMED_OUT, False, None),
        (("restored", "timed out", "restored"), State.RESTORED, True, 0.0),
        (("accepted",), State.ACCEPTED, False, -5000.0),  # an emergency stop before a set-point was sent
        (("restored", "accepted", "reset"), State.UNVERIFIED, False, None),
        (("restored", "accepted", "failed"), State.UNVERIFIED, False, None),
    ],
)
def test_transitions(steps: tuple[str, ...], state: State, verified: bool, sent_w: float | None) -> None:
    setpoint = after(*steps)
    assert (setpoint.state, setpoint.verified, setpoint.sent_w) == (state, verified, sent_w)


TARGET = Target(-5000.0)
REST = Target(0.0, measured_w=0.0, measured_at=1.0, rest_tolerance_w=150.0)
RUNNING = Target(0.0, measured_w=-3000.0, measured_at=70.0, rest_tolerance_w=150.0)
STOP = Target(0.0, emergency_stop=True)


@pytest.mark.parametrize(
    ("steps", "target", "at", "action"),
    [
        ((), TARGET, 1.0, Action.VERIFY),
        ((), STOP, 1.0, Action.SEND),  # first of all
        (("restored",), TARGET, 1.0, Action.SEND),
        (("restored",), Target(0.0), 1.0, Action.WAIT),
        (("restored",), Target(0.0, allocated=True, unconfirmed=True), 1.0, Action.SEND),
        (("restored", "accepted"), TARGET, 2.0, Action.WAIT),
        (("restored", "accepted"), TARGET, 0.9 + 0.4 * VALID_S, Action.WAIT),
        (("restored", "accepted"), TARGET, 1.0 + 0.4 * VALID_S, Action.SEND),  # refreshed
        (("restored", "accepted"), Target(-5000.4), 2.0, Action.WAIT),
        (("restored", "accepted"), Target(-5001.0), 2.0, Action.SEND),
        (("restored", "accepted"), Target(-5000.0, lease_until=16.0), 10.0, Action.WAIT),  # valid until the lease ends
        (("restored", "timed out"), TARGET, 2.0, Action.WAIT),
        (("restored", "timed out"), STOP, 2.0, Action.SEND),
        (("restored", "timed out"), TARGET, 3.1, Action.VERIFY),
        (("restored", "timed out"), Target(-5000.0, unconfirmed=True), 3.1, Action.VERIFY),
        (("restored", "rejected"), TARGET, 2.0, Action.WAIT),
        (("restored", "rejected"), TARGET, 3.1, Action.SEND),
        (("failed",), TARGET, 1.0, Action.WAIT),
        (("failed",), TARGET, 2.1, Action.VERIFY),
        (("restored", "accepted", "reset"), TARGET, 3.0, Action.VERIFY),
    ],
)
def test_next_action(steps: tuple[str, ...], target: Target, at: float, action: Action) -> None:
    assert after(*steps).next_action(target, at) is action


def test_an_emergency_stop_is_sent_before_reconciliation() -> None:
    setpoint = Setpoint()
    assert setpoint.next_action(STOP, 0.0) is Action.SEND
    assert setpoint.complete(setpoint.send(0.0, VALID_S, 0.0), APPLIED, 0.1) is Completion.CHANGED
    assert setpoint.next_action(STOP, 0.1) is Action.VERIFY
    setpoint.restored(0.0, 0.2)
    assert setpoint.next_action(STOP, 0.3) is Action.WAIT


def test_power_that_flows_after_an_accepted_0_w_is_corrected_after_the_meter_delay() -> None:
    setpoint = after("restored", "accepted", power_w=0.0)
    assert setpoint.next_action(RUNNING, 70.0) is Action.CORRECT
    early = Target(0.0, measured_w=-3000.0, measured_at=30.0, rest_tolerance_w=150.0)
    assert setpoint.next_action(early, 70.0) is Action.WAIT
    assert setpoint.next_action(REST, 70.0) is Action.WAIT


UNREAD = Target(0.0)
FLOWING = Target(0.0, measured_w=-3000.0, measured_at=0.0, rest_tolerance_w=150.0)


@pytest.mark.parametrize("code", ["Rejected", "InternalError", "NotImplemented", "FormationViolation", ""])
@pytest.mark.parametrize(
    ("target", "powers_w", "longest_s"),
    [
        (REST, (0.0,), LONGEST_PAUSE_S),
        (UNREAD, (0.0,), LONGEST_PAUSE_S),  # a station without power values
        (UNREAD, (-5000.0,), LONGEST_PAUSE_S),
        (UNREAD, (-1000.0, -1200.0, -900.0), LONGEST_PAUSE_S),  # follows the site's load
        (UNREAD, (3000.0, 3100.0), LONGEST_PAUSE_S),
        (FLOWING, (0.0,), RETRY_S),  # without a pause
        (STOP, (0.0,), 1.0),
    ],
)
def test_a_rejected_power_is_repeated_with_back_off(
    target: Target, powers_w: tuple[float, ...], longest_s: float, code: str
) -> None:
    setpoint, now, sent = Setpoint(VALID_S, RETRY_S), 0.0, []
    setpoint.restored(None, now)
    for index in range(600):
        now += 1.0
        power_w = powers_w[index % len(powers_w)]
        if setpoint.next_action(replace(target, power_w=power_w), now) is Action.SEND:
            setpoint.complete(setpoint.send(power_w, VALID_S, now), Outcome(Answer.REFUSED, code), now)
            sent.append(now)
    pauses = [after - before for before, after in pairwise(sent)]
    expected = [min(longest_s, RETRY_S * 2**index) for index in range(len(pauses))]
    assert pauses == pytest.approx(expected, abs=1.0)
    assert len(pauses) >= 600 / longest_s - 1


def test_0_w_and_a_command_are_sent_at_once_after_rejections_of_a_power() -> None:
    setpoint, now = Setpoint(VALID_S, RETRY_S), 0.0
    setpoint.restored(None, now)
    for _ in range(8):
        setpoint.complete(setpoint.send(-5000.0, VALID_S, now), REFUSED, now)
    now += RETRY_S
    assert setpoint.next_action(UNREAD, now) is Action.SEND
    assert setpoint.next_action(Target(5000.0), now) is Action.SEND
    assert setpoint.next_action(Target(-5000.0, allocated=True, unconfirmed=True), now) is Action.SEND
    assert setpoint.next_action(Target(-5000.0), now) is Action.WAIT
    setpoint.complete(setpoint.send(0.0, VALID_S, now), REFUSED, now)
    assert setpoint.repeat_after - now == RETRY_S  # another direction begins anew


def test_an_answer_to_an_order_of_another_session_changes_nothing() -> None:
    setpoint = after("restored")
    order = setpoint.send(-5000.0, VALID_S, 1.0)
    setpoint.reset()
    assert setpoint.complete(order, APPLIED, 2.0) is Completion.SUPERSEDED
    assert (setpoint.state, setpoint.sent_w) == (State.UNVERIFIED, None)
    first, second = setpoint.send(-1.0, VALID_S, 3.0), setpoint.send(-2.0, VALID_S, 3.0)
    assert setpoint.complete(first, APPLIED, 4.0) is Completion.SUPERSEDED
    assert setpoint.complete(second, APPLIED, 4.0) is Completion.CHANGED


def test_orders_without_a_response_in_sequence_are_counted() -> None:
    setpoint = Setpoint()
    completions = [setpoint.complete(setpoint.send(1.0, VALID_S, 0.0), UNKNOWN, 0.0) for _ in range(4)]
    assert MAX_UNANSWERED == 3
    assert completions == [Completion.UNANSWERED] * 2 + [Completion.SILENT] * 2
    setpoint.complete(setpoint.send(1.0, VALID_S, 0.0), APPLIED, 0.0)
    assert setpoint.complete(setpoint.send(1.0, VALID_S, 0.0), UNKNOWN, 0.0) is Completion.UNANSWERED


@pytest.mark.parametrize(
    ("measured", "at", "now", "expected"),
    [
        (None, None, 11.0, [-5000.0]),
        (-1000.0, 9.0, 11.0, [-1000.0, -5000.0]),  # from before the set-point
        (-1000.0, 9.0, 26.0, [-5000.0]),
        (-1000.0, 10.5, 11.0, [-1000.0, -5000.0]),  # on its way
        (-4900.0, 10.5, 11.0, [-4900.0, -5000.0]),  # it may go on
        (-4900.0, 15.0, 16.0, [-4900.0]),  # it has arrived
        (-1000.0, 13.0, 30.0, [-1000.0, -5000.0]),  # it was, and has not been measured since
        (-1000.0, 25.0, 30.0, [-1000.0]),  # it goes no further
    ],
)
def test_the_power_is_on_its_way_from_the_meter_to_the_set_point(
    measured: float | None, at: float | None, now: float, expected: list[float]
) -> None:
    setpoint = Setpoint()
    setpoint.complete(setpoint.send(-5000.0, VALID_S, 10.0), APPLIED, 10.0)
    assert setpoint.flowing_w(measured, at, now) == expected


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([(-3000.0, 25.0), (-3030.0, 30.0)], [-3030.0, -5000.0]),
        ([(-3000.0, 25.0), (-3025.0, 30.0)], [-3025.0]),  # it rests
        ([(-3000.0, 25.0), (-2900.0, 30.0)], [-2900.0]),  # it decreases, such as of a battery that is almost full
        ([(-6000.0, 25.0), (-5970.0, 30.0)], [-5970.0, -5000.0]),
        ([(-3000.0, 25.0), (-3030.0, 30.0), (-3030.0, 35.0)], [-3030.0]),
        ([(-3000.0, 25.0), (-3030.0, 30.0), (-3030.0, 30.0)], [-3030.0, -5000.0]),  # the same reading
        ([(-3000.0, 9.0), (-3030.0, 30.0)], [-3030.0]),  # nothing is known of its way since the order
        ([(-3000.0, 10.0), (-3030.0, 30.0)], [-3030.0, -5000.0]),  # the first one at the very time of the order
        ([(-3030.0, 30.0)], [-3030.0]),
        ([(-4000.0, 25.0), (-4800.0, 30.0)], [-4800.0, -5000.0]),  # also near the set-point
        ([(-4000.0, 25.0), (-4975.0, 30.0)], [-4975.0]),
        ([(-4790.0, 25.0), (-4800.0, 30.0)], [-4800.0]),  # it rests at what is delivered
    ],
)
def test_a_slow_power_is_on_its_way_until_two_readings_show_that_it_goes_no_further(
    readings: list[tuple[float, float]], expected: list[float]
) -> None:
    setpoint = Setpoint()
    setpoint.complete(setpoint.send(-5000.0, VALID_S, 10.0), APPLIED, 10.0)
    for power_w, at in readings:
        setpoint.metered(power_w, at)
    power_w, at = readings[-1]
    assert setpoint.flowing_w(power_w, at, at + 4.0) == expected


def test_another_order_is_not_approached_before_two_readings() -> None:
    setpoint = Setpoint()
    setpoint.complete(setpoint.send(-5000.0, VALID_S, 10.0), APPLIED, 10.0)
    setpoint.metered(-3000.0, 25.0)
    setpoint.metered(-3500.0, 30.0)
    setpoint.complete(setpoint.send(-8000.0, VALID_S, 31.0), APPLIED, 31.0)
    setpoint.metered(-3900.0, 50.0)
    assert setpoint.flowing_w(-3900.0, 50.0, 51.0) == [-3900.0]


def test_the_power_has_arrived_within_the_tolerance_that_is_configured() -> None:
    states = EvseRegistry(ServiceSettings(SitePolicy("home"), tolerance_w=500.0))
    setpoint = states.unreported("CP1-1").setpoint
    setpoint.complete(setpoint.send(-5000.0, VALID_S, 10.0), APPLIED, 10.0)
    assert setpoint.flowing_w(-4500.0, 15.0, 16.0) == [-4500.0]
    assert setpoint.flowing_w(-4499.0, 15.0, 16.0) == [-4499.0, -5000.0]


WATTS = st.floats(-50_000, 50_000)


@given(WATTS, st.floats(0, 1e6), st.floats(0, 5000), st.floats(0.001, 3600))
def test_a_set_point_is_never_valid_beyond_the_lease_and_the_ramp_behind_it(
    power_w: float, now: float, rate: float, left_s: float
) -> None:
    setpoint = Setpoint(VALID_S)
    valid_s = setpoint.valid_for(power_w, now, rate, now + left_s)
    ramp_s = min(LONGEST_RAMP_S, abs(power_w) / rate) if rate else 0.0
    assert SHORTEST_VALID_S <= valid_s <= VALID_S
    assert valid_s <= left_s + ramp_s + LEASE_SLACK_S + 1e-6
    ramping_s = setpoint.valid_for(power_w, now, rate, None, ramping=True)
    assert SHORTEST_VALID_S <= ramping_s <= max(SHORTEST_VALID_S, ramp_s + RAMP_STEP_S) + 1e-6


# what is delivered of an order ----------------------------------------------------------------------------------------


def ordered(power_w: float, binding: Layer = Layer.OPTIMISER, low_w: float = -11_000.0) -> Decision:
    """Return a decision on a power that a layer limits or requests, within `low_w` and 11 kW."""
    bounds = [Bound(Layer.STATION, low_w, 11_000.0)]
    if binding is Layer.SITE:
        bounds.append(Bound(Layer.SITE, min(power_w, 0.0), max(power_w, 0.0)))
        power_w *= 2
    layer = Layer.COMMAND if binding is Layer.SITE else binding
    return decide([*bounds, Bound(layer, power_w, power_w)])


def at_rest(share: float, order_w: float = -4000.0, every_s: float = 5.0) -> tuple[Setpoint, float]:
    """Return a set-point whose power rests at a share of its order, and the time."""
    setpoint, now = after("restored", "accepted", power_w=order_w), 1.0 + RESTS_S
    setpoint.metered(share * order_w, now)
    setpoint.metered(share * order_w, now + every_s)
    return setpoint, now + every_s


@pytest.mark.parametrize("share", [0.92, 0.95, 1.0, 1.05])
@pytest.mark.parametrize("order_w", [-4000.0, 4000.0])
def test_an_order_is_corrected_by_what_is_delivered_of_it(order_w: float, share: float) -> None:
    setpoint, now = at_rest(share, order_w)
    for power_w in (order_w, order_w, 0.7 * order_w):
        corrected_w = setpoint.order_for(power_w, ordered(power_w), DeadBand())
        order = setpoint.send(power_w, VALID_S, now, corrected_w)
        setpoint.complete(order, APPLIED, now)
        assert setpoint.sent_w == power_w
        for _ in range(2):
            now += RESTS_S + 1.0
            setpoint.metered(share * corrected_w, now)
    delivered_w = share * setpoint.order_for(power_w, ordered(power_w), DeadBand())
    assert abs(delivered_w - power_w) <= RESTS_W


@pytest.mark.parametrize(
    "readings",
    [
        [(-3800.0, 7.0)],  # one reading may be from its way
        [(-3700.0, 7.0), (-3800.0, 8.0)],  # it moves
        [(-3800.0, 2.0), (-3800.0, 3.0)],  # it may not have responded
        [(-3500.0, 7.0), (-3500.0, 17.0)],  # it does not follow
        [(3800.0, 7.0), (3800.0, 17.0)],
        [(None, 7.0), (-3800.0, 17.0)],
        [(-3800.0, 7.0), (None, 17.0)],
        [(-3800.0, 7.0), (-3800.0, None)],
        [(-3800.0, 7.0), (-3800.0, 7.0)],  # the same reading
    ],
)
def test_what_is_not_at_rest_near_its_order_is_not_learnt(readings: list[tuple[float | None, float | None]]) -> None:
    setpoint = after("restored", "accepted", power_w=-4000.0)
    assert [setpoint.metered(*one) for one in readings] == [False] * len(readings)
    assert setpoint.shortfall_w == 0.0


def test_a_power_near_that_of_the_order_before_is_learnt_when_it_has_surely_arrived() -> None:
    """The first of two readings alike may be from before that time: it has not moved since."""
    setpoint, now = at_rest(1.0, -4134.0)
    setpoint.complete(setpoint.send(-3927.0, VALID_S, now), APPLIED, now)
    learnt = [setpoint.metered(-4123.0, now + after_s) for after_s in (2.0, 7.0, 14.9, 24.0)]
    assert learnt == [False, False, False, True]
    assert setpoint.shortfall_w == pytest.approx(196.0)


@pytest.mark.parametrize(
    ("before_w", "seen_s", "learnt"),
    [
        (-2634.0, 6.0, True),
        (-2634.0, 4.0, False),  # it may not have responded: what it was ordered counts
        (-2200.0, 6.0, False),  # it does not follow, or is on its way
    ],
)
def test_a_small_step_is_judged_by_the_power_measured_before_it(before_w: float, seen_s: float, learnt: bool) -> None:
    setpoint = after("restored", "accepted", power_w=-2773.0)
    setpoint.metered(before_w, setpoint.changed_at + seen_s)
    setpoint.complete(setpoint.send(-3000.0, VALID_S, 10.0), APPLIED, 10.0)
    setpoint.metered(-2850.0, 16.0)
    assert setpoint.metered(-2850.0, 21.0) is learnt


@pytest.mark.parametrize("share", [0.95, 1.05])
@pytest.mark.parametrize("step_w", [66.0, -66.0])
def test_a_step_smaller_than_what_is_not_delivered_is_recognised(share: float, step_w: float) -> None:
    setpoint = after("restored", "accepted", power_w=-2921.0)
    setpoint.metered(share * -2921.0, setpoint.changed_at + RESTS_S)
    setpoint.complete(setpoint.send(-2921.0 + step_w, VALID_S, 10.0), APPLIED, 10.0)
    learnt = [setpoint.metered(share * -2921.0 + moved_w, 15.0 + moved_w / step_w) for moved_w in (0.0, step_w, step_w)]
    assert learnt == [False, False, False]  # no longer at rest, then the same reading
    assert setpoint.metered(share * (-2921.0 + step_w), 17.0) is True


@pytest.mark.parametrize(
    ("power_w", "at", "learnt"),
    [
        (-300.4, 7.0, True),
        (-300.0, 7.0, False),  # no more than half of the step
        (-300.0, 15.9, False),
        (-300.0, 16.0, True),  # it has had `RESPONSE_S`
    ],
)
def test_a_power_that_rests_has_moved_by_more_than_half_of_the_step(power_w: float, at: float, learnt: bool) -> None:
    setpoint = after("restored", "accepted", power_w=-600.0)
    assert setpoint.metered(power_w, 6.0) is False
    assert setpoint.metered(power_w, at) is learnt


def test_a_power_that_is_still_that_of_the_order_before_is_not_learnt() -> None:
    setpoint, now = at_rest(1.0)
    setpoint.complete(setpoint.send(-4300.0, VALID_S, now), APPLIED, now)
    for _ in range(3):
        now += 4.0
        setpoint.metered(-4000.0, now)
        assert setpoint.shortfall_w == 0.0


def test_a_power_that_stays_near_that_of_the_order_before_is_learnt_when_there_was_time_to_respond() -> None:
    setpoint, now = at_rest(1.0)
    setpoint.complete(setpoint.send(-4300.0, VALID_S, now), APPLIED, now)
    learnt = [setpoint.metered(-4000.0, now + RESPONSE_S + after_s) for after_s in (0.0, 1.0, 2.0)]
    assert (learnt, setpoint.shortfall_w) == ([False, True, False], -300.0)  # what is known is no change


def test_the_share_counts_for_large_orders() -> None:
    setpoint, _ = at_rest(0.92, 10_000.0)
    assert setpoint.shortfall_w == pytest.approx(800.0)


def test_0_w_is_not_delivered_of_a_small_order() -> None:
    setpoint, now = at_rest(0.0, -300.0)
    assert (setpoint.shortfall_w, setpoint.metered(0.0, now + 20.0)) == (0.0, False)


def test_without_a_reading_an_order_is_sent_as_it_is() -> None:
    assert after("restored", "accepted").order_for(-4000.0, ordered(-4000.0), DeadBand()) == -4000.0


def test_what_was_learnt_ends_with_the_session() -> None:
    setpoint, _ = at_rest(0.95)
    assert setpoint.shortfall_w == pytest.approx(-200.0)
    setpoint.reset()
    assert setpoint.shortfall_w == 0.0


@pytest.mark.parametrize(
    ("share", "binding", "low_w", "order_w"),
    [
        (0.95, Layer.OPTIMISER, -11_000.0, -4200.0),
        (0.95, Layer.OPTIMISER, -4100.0, -4100.0),  # by the hardware, or by a limit of the connection
        (0.95, Layer.COMMAND, -11_000.0, -4000.0),
        (1.05, Layer.COMMAND, -11_000.0, -4000.0),
        (0.95, Layer.SITE, -11_000.0, -4000.0),
        (1.05, Layer.SITE, -11_000.0, -4000.0 + 200.0 / 1.05),
        (1.05, Layer.OPTIMISER, -11_000.0, -4000.0 + 200.0 / 1.05),
    ],
)
def test_an_order_is_corrected_within_the_layers_above_the_command(
    share: float, binding: Layer, low_w: float, order_w: float
) -> None:
    setpoint, _ = at_rest(share)
    decision = ordered(-4000.0, binding, low_w)
    assert (decision.power_w, decision.binding) == (-4000.0, binding)
    assert setpoint.order_for(-4000.0, decision, DeadBand()) == pytest.approx(order_w)
    assert setpoint.order_for(-2000.0, decision, DeadBand()) == -2000.0  # a step of a ramp
    assert setpoint.order_for(-4000.0, decision, DeadBand(discharge_w=3900.0)) <= -3900.0


class SetpointMachine(RuleBasedStateMachine):
    """Any sequence of targets, answers, losses and pauses, driven as the controller drives it."""

    @initialize()
    def begin(self) -> None:
        self.setpoint = Setpoint(VALID_S, RETRY_S)
        self.now = 0.0
        self.sent = False  # since the last order without an answer, or the last reset

    @rule(
        power_w=st.sampled_from([-5000.0, 0.0, 3000.0]),
        emergency=st.booleans(),
        allocated=st.booleans(),
        lease_s=st.one_of(st.none(), st.floats(0.1, 60)),
        outcome=st.sampled_from([APPLIED, REFUSED, UNKNOWN]),
    )
    def step(self, power_w: float, emergency: bool, allocated: bool, lease_s: float | None, outcome: Outcome) -> None:
        setpoint, now = self.setpoint, self.now
        lease_until = None if lease_s is None else now + lease_s
        target = Target(0.0 if emergency else power_w, emergency, allocated, allocated, lease_until, 0.0, now, 150.0)
        match setpoint.next_action(target, now):
            case Action.VERIFY:
                assert not setpoint.verified
                setpoint.restored(0.0, now)
                self.sent = True
            case Action.SEND | Action.CORRECT:
                assert self.sent or target.emergency_stop
                valid_s = setpoint.valid_for(target.power_w, now, 2500.0, lease_until)
                completion = setpoint.complete(setpoint.send(target.power_w, valid_s, now), outcome, now)
                assert completion is not Completion.SUPERSEDED
                self.sent = self.sent and outcome is not UNKNOWN
                if outcome is APPLIED and lease_until is not None:
                    assert setpoint.valid_until <= max(lease_until + LONGEST_RAMP_S + LEASE_SLACK_S, now + 1.0)

    @rule(seconds=st.floats(0.01, 100))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def lose(self) -> None:
        self.setpoint.reset()
        self.sent = False

    @precondition(lambda self: self.setpoint.retry_at is not None)
    @rule()
    def wait_for_the_retry(self) -> None:
        self.now = max(self.now, self.setpoint.retry_at or 0.0)

    @invariant()
    def pauses_are_bounded(self) -> None:
        if not hasattr(self, "setpoint"):
            return
        assert self.setpoint.repeat_after <= self.now + LONGEST_PAUSE_S
        assert (self.setpoint.retry_at or 0.0) <= self.now + RETRY_S
        assert self.setpoint.deadline(self.now, None, holds=True) > self.now or self.setpoint.sent_w

    @invariant()
    def what_is_held_is_known_only_after_an_answer(self) -> None:
        if hasattr(self, "setpoint") and self.setpoint.state in (State.UNVERIFIED, State.REJECTED, State.TIMED_OUT):
            assert self.setpoint.sent_w is None


TestSetpointMachine = SetpointMachine.TestCase
