"""Rules for the power of ISO 15118-2 and DIN 70121, by values; mutants of it are tested with this file alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.iso15118.iso2.power import ac_target, capped, dc_demand, dc_target, requested_a
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.session.guard import SLACK, SLACK_A, permitted_current

EVSE = Limits(
    max_charge_w=20_000.0,
    max_discharge_w=9_000.0,
    max_charge_a=50.0,
    max_discharge_a=25.0,
    max_voltage_v=500.0,
    min_voltage_v=150.0,
)
EV = Limits(
    max_charge_w=100_000.0,
    max_discharge_w=8_000.0,
    max_charge_a=250.0,
    max_discharge_a=20.0,
    max_voltage_v=420.0,
    min_voltage_v=270.0,
)
ANY = st.floats(-1e6, 1e6)
POSITIVE = st.floats(0, 1e6)


@pytest.mark.parametrize(
    ("setpoint_w", "schedule_w", "faulty", "highest_w"),
    [
        (None, None, False, 20_000.0),
        (5_000.0, None, False, 5_000.0),
        (None, 4_000.0, False, 4_000.0),
        (5_000.0, 4_000.0, False, 4_000.0),
        (4_000.0, 5_000.0, False, 4_000.0),
        (30_000.0, 40_000.0, False, 20_000.0),
        (0.0, None, False, 0.0),
        (-5_000.0, None, False, 0.0),
        (None, -1.0, False, 0.0),
        (5_000.0, 4_000.0, True, 0.0),
        (None, None, True, 0.0),
    ],
)
def test_the_charger_caps_its_power(
    setpoint_w: float | None, schedule_w: float | None, faulty: bool, highest_w: float
) -> None:
    found = capped(EVSE, setpoint_w, schedule_w, faulty=faulty)
    assert found.max_charge_w == highest_w
    assert (found.max_charge_a, found.max_voltage_v, found.min_voltage_v) == (50.0, 500.0, 150.0)


@pytest.mark.parametrize(
    ("current_a", "target_v", "present_v", "demand"),
    [
        (10.0, 400.0, 390.0, (3_900.0, 390.0)),
        (10.0, 400.0, 0.5, (5.0, 0.5)),
        (10.0, 400.0, 0.0, (4_000.0, 400.0)),
        (10.0, 400.0, -3.0, (4_000.0, 400.0)),
        (-10.0, 400.0, 390.0, (0.0, 390.0)),
        (0.0, 400.0, 390.0, (0.0, 390.0)),
        (0.5, 400.0, 390.0, (195.0, 390.0)),
        (10.0, -20.0, 0.0, (0.0, 0.0)),
        (10.0, 0.5, 0.0, (5.0, 0.5)),
    ],
)
def test_the_demand_of_dc(current_a: float, target_v: float, present_v: float, demand: tuple[float, float]) -> None:
    assert dc_demand(current_a, target_v, present_v) == demand


def test_the_target_of_dc() -> None:
    target, permitted = dc_target(4_000.0, 400.0, EV, EVSE, ev_error=False)
    assert (target.power_w, target.binding) == (4_000.0, None)
    assert (permitted.low_w, permitted.low_by) == (0.0, "protocol")
    assert (permitted.high_w, permitted.high_by) == (20_000.0, "evse")
    assert dc_target(30_000.0, 400.0, EV, EVSE, ev_error=False)[0].power_w == 20_000.0
    assert dc_target(30_000.0, 300.0, EV, EVSE, ev_error=False)[0].power_w == 15_000.0  # 50 A
    assert dc_target(30_000.0, 430.0, EV, EVSE, ev_error=False)[0].binding == "voltage"
    failed, range_ = dc_target(4_000.0, 400.0, EV, EVSE, ev_error=True)
    assert (failed.power_w, failed.binding) == (0.0, "ev_error")
    assert range_ == permitted


def test_the_target_of_ac() -> None:
    ev = Limits(max_charge_w=7_000.0, max_discharge_w=7_000.0, min_charge_w=1_380.0)
    for evse_w, expected in ((11_000.0, 7_000.0), (5_000.0, 5_000.0), (1_380.0, 1_380.0), (1_379.0, 0.0), (0.0, 0.0)):
        target, permitted = ac_target(ev, Limits(max_charge_w=evse_w, max_discharge_w=evse_w))
        assert target.power_w == expected
        assert permitted.high_w == expected
        assert (permitted.low_w, permitted.dead_high_w) == (0.0, 1_380.0)
    (_, refused), (_, bound) = ac_target(ev, Limits(max_charge_w=9_000.0, max_discharge_w=1.0)), ac_target(ev, EVSE)
    assert (refused.low_by, bound.high_by) == ("protocol", "ev")


@pytest.mark.parametrize(
    ("volts", "planned_w", "expected_a"),
    [
        (400.0, 1e9, 50.0),
        (400.0, 4_000.0, 10.0),
        (300.0, 1e9, 50.0),  # the charger's current, below its power
        (500.0, 1e9, 40.0),  # 20 kW of the charger
        (400.0, -4_000.0, 0.0),
        (400.0, 0.0, 0.0),
        (400.0, 200.0, 0.5),
        (0.5, 20.0, 20.0),  # counts as 1 V
        (0.0, 20.0, 20.0),
        (2.0, 20.0, 10.0),
    ],
)
def test_the_current_that_a_car_requests(volts: float, planned_w: float, expected_a: float) -> None:
    assert requested_a(EV, EVSE, volts, planned_w) == pytest.approx(expected_a)


def test_the_cars_limits_bind_too() -> None:
    small = Limits(max_charge_w=2_000.0, max_charge_a=4.0)
    assert requested_a(small, EVSE, 400.0, 1e9) == 4.0
    assert requested_a(small, EVSE, 1_000.0, 1e9) == 2.0


@given(
    current_a=ANY,
    target_v=ANY,
    present_v=ANY,
    error=st.booleans(),
    setpoint_w=st.none() | ANY,
    schedule_w=st.none() | ANY,
)
def test_no_result_is_negative(
    current_a: float,
    target_v: float,
    present_v: float,
    error: bool,
    setpoint_w: float | None,
    schedule_w: float | None,
) -> None:
    evse = capped(EVSE, setpoint_w, schedule_w, faulty=False)
    demand_w, volts = dc_demand(current_a, target_v, present_v)
    target, permitted = dc_target(demand_w, volts, EV, evse, ev_error=error)
    assert 0.0 <= target.power_w <= min(demand_w, evse.max_charge_w)
    assert permitted.low_w == 0.0
    assert ac_target(EV, evse)[0].power_w >= 0.0
    assert requested_a(EV, evse, present_v, schedule_w or 0.0) >= 0.0


def test_the_current_that_a_car_tolerates() -> None:
    low, high = permitted_current(EV.charge_only(), 400.0)
    assert low == -SLACK_A
    assert high == pytest.approx(250.0 * SLACK + SLACK_A)
    assert permitted_current(EV, 400.0)[0] == pytest.approx(-(20.0 * SLACK + SLACK_A))
    assert permitted_current(EV, 1_000.0) == pytest.approx((-(8.0 * SLACK + SLACK_A), 100.0 * SLACK + SLACK_A))
    one_volt = permitted_current(EV, 1.0)
    assert permitted_current(EV, 0.0) == one_volt == permitted_current(EV, -5.0)
    small = Limits(max_charge_w=2.0, max_discharge_w=2.0)
    assert permitted_current(small, 0.5) == pytest.approx((-(2.0 * SLACK + SLACK_A), 2.0 * SLACK + SLACK_A))
    assert (SLACK, SLACK_A) == (1.05, 2.0)
