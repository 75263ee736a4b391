"""The real-time loop is stable with a delayed meter and several chargers; tracking supervision."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.meter_model import MeterModel
from gateway.authority.ramp import Ramp, walk
from gateway.energy.dispatch import share
from gateway.energy.resource import Resource
from gateway.energy.tracking_supervision import CONFIRM_S, SETTLE_S, TrackingSupervision
from tests.rounds import some


def fleet_of(size: int) -> list[Resource]:
    return [
        Resource(
            f"E{number}",
            6000,
            6000,
            soc_pct=60.0 + number,
            capacity_wh=40_000,
            floor_pct=20,
            min_discharge_w=300,
            power_w=0.0,
        )
        for number in range(size)
    ]


@pytest.mark.parametrize(("delay_s", "stamped", "lag_s"), some(product([0, 1, 3, 10], [True, False], [0, 2]), 5))
def test_a_delayed_meter_causes_no_oscillation(delay_s: int, stamped: bool, lag_s: int) -> None:
    """After a load step of 15 kW the vehicles bring the grid to 0 W, with an overshoot below a tenth of the step."""
    fleet, model = fleet_of(6), MeterModel()
    meter: deque[tuple[float, float]] = deque()
    orders: deque[dict[str, float]] = deque([{one.name: 0.0 for one in fleet}] * (lag_s + 1))
    ramp, grid = Ramp(), []
    for second in range(240):
        load_w = 15_000.0 if second >= 20 else 0.0
        done = orders.popleft()
        fleet = [replace(one, power_w=done[one.name]) for one in fleet]
        cars_w = sum(done.values())
        grid_w = load_w + cars_w
        grid.append(grid_w)
        meter.append((float(second), grid_w))
        model.history.record("fleet", float(second), [cars_w])
        target_w = 0.0
        if len(meter) > delay_s:
            at, seen_w = meter.popleft()
            age_s = float(second) - at if stamped else 0.0
            model.metered(float(second), at, age_s, seen_w)
            base = model.base_load()
            assert base is not None
            target_w = -base.power_w
        ramp = walk(ramp, target_w, float(second), 5000.0)
        shares = share(ramp.power_w, fleet).power_w
        orders.append(dict(shares))
        fleet = [replace(one, setpoint_w=shares[one.name]) for one in fleet]
    settled = grid[20 + 25 + 2 * delay_s :]
    assert max(abs(power) for power in settled) < 100
    assert min(grid[20:]) > -1500


@given(st.floats(-50_000, 50_000), st.lists(st.tuples(st.floats(0, 3), st.floats(-50_000, 50_000)), max_size=30))
def test_a_ramp_never_jumps(start_w: float, steps: list[tuple[float, float]]) -> None:
    ramp = Ramp(start_w, 0.0)
    now = 0.0
    for gap, wanted_w in steps:
        now += gap
        before, ramp = ramp, walk(ramp, wanted_w, now, 2000.0)
        assert abs(ramp.power_w - before.power_w) <= 2000.0 * gap + 1e-6


def test_a_harder_layer_is_applied_at_once() -> None:
    assert walk(Ramp(-9000.0, 0.0), -9000.0, 1.0, 1000.0, low_w=-2000.0).power_w == -2000.0


def test_others_take_over_from_a_vehicle_that_does_not_follow() -> None:
    fleet, tracking = fleet_of(3), TrackingSupervision()
    noticed, totals = [], []
    for second in range(int(SETTLE_S + CONFIRM_S) + 20):
        counted, events = tracking.update(fleet, float(second))
        noticed += events
        shares = share(-9000.0, counted).power_w
        fleet = [
            replace(one, setpoint_w=shares[one.name], power_w=0.0 if one.name == "E2" else shares[one.name])
            for one in fleet
        ]
        totals.append(sum(one.power_w or 0.0 for one in fleet))
    assert [event.code for event in noticed] == ["not_following"]
    assert noticed[0].subject == "E2"
    assert totals[-1] == pytest.approx(-9000.0)
    assert next(one for one in counted if one.name == "E2").max_discharge_w == 0


def test_it_is_retried_at_growing_intervals() -> None:
    tracking, at = TrackingSupervision(), []
    one = replace(fleet_of(1)[0], setpoint_w=-5000.0)
    for second in range(3000):
        _, events = tracking.update([one], float(second))
        at += [event.at for event in events if event.code == "follower_retried"]
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert len(gaps) >= 3
    assert gaps == sorted(gaps)


@given(st.floats(-6000, 6000), st.floats(-6000, 6000))
def test_a_resource_that_does_not_follow_counts_at_its_measured_power(setpoint_w: float, measured_w: float) -> None:
    tracking, noticed = TrackingSupervision(), []
    one = replace(fleet_of(1)[0], setpoint_w=setpoint_w, power_w=measured_w)
    for second in range(40):
        counted, events = tracking.update([one], float(second))
        noticed += events
    if noticed:
        assert counted[0].max_charge_w == max(0.0, measured_w)
        assert counted[0].max_discharge_w == max(0.0, -measured_w)
