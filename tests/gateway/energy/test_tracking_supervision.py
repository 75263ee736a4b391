"""Supervision of set-point tracking step by step: settling time, tolerance, confirmation, intervals of retry."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from gateway.energy.reason import Decided
from gateway.energy.resource import Resource
from gateway.energy.tracking_supervision import TrackingSupervision
from tests.gateway.energy.cars import car

Step = tuple[float, float, float | None]  # s, set-point W, measured W


def codes(tracking: TrackingSupervision, *steps: Step, name: str = "A") -> list[tuple[float, str]]:
    """Return the events of these steps: time and code."""
    found = []
    for now, setpoint_w, power_w in steps:
        _, events = tracking.update([car(name, setpoint_w=setpoint_w, power_w=power_w)], now)
        found += [(event.at, str(event.code)) for event in events]
    return found


def every_second(first: int, last: int, setpoint_w: float, power_w: float | None) -> list[Step]:
    return [(float(now), setpoint_w, power_w) for now in range(first, last + 1)]


def excluded_at(*steps: Step) -> list[float]:
    return [at for at, code in codes(TrackingSupervision(), *steps) if code == "not_following"]


def test_a_vehicle_that_does_not_follow_is_excluded_after_settling_and_confirmation() -> None:
    assert excluded_at(*every_second(100, 160, -5000.0, 0.0)) == [130.0]
    assert excluded_at(*every_second(5000, 5060, 5000.0, 0.0)) == [5030.0]
    assert excluded_at((0.0, -5000.0, 0.0), (9.9, -5000.0, 0.0), *every_second(10, 40, -5000.0, 0.0)) == [30.0]
    assert excluded_at((0.0, -5000.0, 0.0), (10.0, -5000.0, 0.0), (29.9, -5000.0, 0.0)) == []
    assert excluded_at((0.0, -5000.0, 0.0), (9.9, -5000.0, 0.0), (29.9, -5000.0, 0.0)) == []


@pytest.mark.parametrize(
    ("setpoint_w", "power_w", "follows"),
    [
        (-1000.0, -600.0, True),  # 400 W
        (-1000.0, -599.0, False),
        (-1000.0, -1401.0, False),
        (8000.0, 7200.0, True),  # a tenth
        (8000.0, 7199.0, False),
        (-8000.0, -7200.0, True),
        (-8000.0, -7199.0, False),
        (0.0, 400.0, True),
        (0.0, -401.0, False),
        (4000.0, None, True),  # not measured
    ],
)
def test_tolerance(setpoint_w: float, power_w: float | None, follows: bool) -> None:
    assert excluded_at(*every_second(0, 60, setpoint_w, power_w)) == ([] if follows else [30.0])


@pytest.mark.parametrize(
    ("step_w", "at"), [(400.0, 30.0), (401.0, 45.0), (-401.0, 45.0)]
)  # a step restarts the settling time at 15 s, a slow change does not
def test_a_step_of_the_set_point_restarts_the_settling_time(step_w: float, at: float) -> None:
    before, after = every_second(0, 14, -2000.0, 0.0), every_second(15, 60, -2000.0 + step_w, 0.0)
    assert excluded_at(*before, *after) == [at]


def test_a_slow_change_of_the_set_point_is_no_step() -> None:
    assert excluded_at(*((float(now), -2000.0 - 300.0 * now, 0.0) for now in range(40))) == [30.0]


def test_of_a_large_set_point_a_tenth_is_no_step() -> None:
    before, after = every_second(0, 14, -20_000.0, 0.0), every_second(15, 60, -22_000.0, 0.0)
    assert excluded_at(*before, *after) == [30.0]


@pytest.mark.parametrize(
    ("setpoint_w", "w_per_s", "at"),
    [
        (-10_000.0, 250.0, []),
        (10_000.0, 250.0, []),
        (-10_000.0, 6.0, []),
        (-10_000.0, 5.0, [30.0, 120.0]),  # 100 W in 20 s; tried again after a minute
        (-10_000.0, -250.0, [30.0, 120.0]),
    ],
)
def test_a_vehicle_on_a_slow_ramp_is_on_its_way(setpoint_w: float, w_per_s: float, at: list[float]) -> None:
    sign = 1.0 if setpoint_w > 0 else -1.0
    powers = [sign * min(w_per_s * second, abs(setpoint_w)) for second in range(141)]
    assert excluded_at(*((float(now), setpoint_w, power_w) for now, power_w in enumerate(powers))) == at


def test_a_power_that_alternates_does_not_follow() -> None:
    powers = [-3000.0, -1000.0] * 20
    assert excluded_at(*((float(now), -5000.0, power_w) for now, power_w in enumerate(powers))) == [30.0]


def test_following_in_between_restarts_the_confirmation() -> None:
    late, once = every_second(0, 20, -2000.0, 0.0), [(21.0, -2000.0, -2000.0)]
    assert excluded_at(*late, *once, *every_second(22, 60, -2000.0, 0.0)) == [42.0]
    step = [(21.0, -5000.0, 0.0), (22.0, -2000.0, 0.0)]
    assert excluded_at(*late, *step, *every_second(23, 60, -2000.0, 0.0)) == [52.0]


def test_what_is_not_measured_decides_nothing() -> None:
    unknown = every_second(21, 50, -2000.0, None)
    assert excluded_at(*every_second(0, 20, -2000.0, 0.0), *unknown, (51.0, -2000.0, 0.0)) == [51.0]


def test_the_event_names_the_resource_and_both_powers() -> None:
    tracking, events = TrackingSupervision(), list[Decided]()
    for now, setpoint_w, power_w in every_second(0, 100, -2000.0, 10.0):
        events += tracking.update([car(setpoint_w=setpoint_w, power_w=power_w)], now)[1]
    excluded, retried = events
    assert (excluded.at, excluded.code, excluded.subject) == (30.0, "not_following", "A")
    assert dict(excluded.figures) == {"setpoint_w": -2000.0, "power_w": 10.0}
    assert (retried.at, retried.code, retried.subject) == (90.0, "follower_retried", "A")
    assert "-2000 W and measures 10 W" in excluded.text


def test_the_interval_of_retry_doubles_up_to_a_quarter_of_an_hour() -> None:
    tracking, steps = TrackingSupervision(), every_second(0, 6000, -2000.0, 0.0)
    found = codes(tracking, *steps)
    assert [code for _, code in found[:4]] == ["not_following", "follower_retried"] * 2
    pauses = [round(later - at) for (at, code), (later, _) in pairwise(found) if code == "not_following"]
    assert pauses[:4] == [60, 120, 240, 480]
    assert set(pauses[4:]) == {900}
    checks = {round(later - at) for (at, code), (later, _) in pairwise(found) if code == "follower_retried"}
    assert checks == {30}


@pytest.mark.parametrize(("setpoint_w", "pause_s"), [(-401.0, 60.0), (-400.0, 120.0), (401.0, 60.0), (0.0, 120.0)])
def test_only_a_followed_set_point_other_than_0_resets_the_interval(setpoint_w: float, pause_s: float) -> None:
    tracking = TrackingSupervision()
    assert codes(tracking, *every_second(0, 90, -2000.0, 0.0)) == [(30.0, "not_following"), (90.0, "follower_retried")]
    assert codes(tracking, *every_second(91, 120, setpoint_w, setpoint_w)) == []
    steps = every_second(121, 800, -2000.0, 0.0)
    (out, _), (back, _), *_ = codes(tracking, *steps)
    assert back - out == pause_s


def test_an_excluded_one_counts_at_its_present_power_within_its_limits() -> None:
    tracking = TrackingSupervision()
    limits: dict[str, Any] = {"min_charge_w": 1400.0, "min_discharge_w": 900.0}

    def counted(now: float, power_w: float | None, **more: Any) -> Resource:
        one = car(setpoint_w=-5000.0, power_w=power_w, **(limits | more))
        return tracking.update([one], now)[0][0]

    for now in range(30):
        assert counted(float(now), -2000.0).max_discharge_w == 6000.0

    def powers(one: Resource) -> tuple[float, float, float, float]:
        return one.max_charge_w, one.max_discharge_w, one.min_charge_w, one.min_discharge_w

    assert powers(counted(30.0, -2000.0)) == (0.0, 2000.0, 0.0, 900.0)
    assert powers(counted(31.0, -500.0)) == (0.0, 500.0, 0.0, 500.0)
    assert powers(counted(32.0, None)) == (0.0, 500.0, 0.0, 500.0)  # as last measured
    assert powers(counted(33.0, 1000.0)) == (1000.0, 0.0, 1000.0, 0.0)
    assert powers(counted(34.0, 3000.0)) == (3000.0, 0.0, 1400.0, 0.0)
    assert powers(counted(35.0, 3000.0, max_charge_w=2500.0)) == (2500.0, 0.0, 1400.0, 0.0)
    assert powers(counted(36.0, -3000.0, max_discharge_w=2500.0)) == (0.0, 2500.0, 0.0, 900.0)
    assert powers(counted(90.0, -3000.0)) == (6000.0, 6000.0, 1400.0, 900.0)  # it is retried


def test_the_retry_waits_for_the_new_power_and_a_new_set_point() -> None:
    tracking = TrackingSupervision()
    codes(tracking, *every_second(0, 89, -2000.0, 0.0))
    assert codes(tracking, (90.0, -5000.0, 0.0)) == [(90.0, "follower_retried")]
    assert codes(tracking, *every_second(91, 119, -5000.0, 0.0)) == []
    assert codes(tracking, (120.0, -5000.0, 0.0)) == [(120.0, "not_following")]


def test_resources_are_supervised_one_by_one_and_forgotten_when_gone() -> None:
    tracking = TrackingSupervision()
    good, bad = car("G", setpoint_w=-2000.0, power_w=-2000.0), car("B", setpoint_w=-2000.0, power_w=0.0)
    events: list[Decided] = []
    counted: list[Resource] = []
    for now in range(31):
        counted, more = tracking.update([bad, good], float(now))
        events += more
    assert [(event.code, event.subject) for event in events] == [("not_following", "B")]
    assert [one.max_discharge_w for one in counted] == [0.0, 6000.0]
    assert tracking.update([good], 31.0) == ([good], [])
    assert tracking.update([good, bad], 32.0) == ([good, bad], [])  # another vehicle, perhaps
    assert tracking.update([good, replace(bad, setpoint_w=0.0)], 50.0)[1] == []
