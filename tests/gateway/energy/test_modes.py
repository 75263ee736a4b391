"""Targets of the modes, and headroom of the site's connection."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.demand_window import open_window
from gateway.authority.site_limits import Base, SiteLimits, headroom, window_limit_w
from gateway.energy.modes import MODES
from gateway.energy.modes.mode import Situation
from gateway.energy.modes.self_consumption import START_S, STOP_S, SelfConsumption
from gateway.energy.price import Tariff, flat
from gateway.energy.resource import Resource
from gateway.model.command import SiteMode

NOON = 1_800_000_000.0 - 1_800_000_000.0 % 86_400
CAR = Resource("E1", 6000, 6000, soc_pct=60, capacity_wh=40_000, floor_pct=20, min_charge_w=1400)


def at(now: float, base_w: float | None, **more: object) -> Situation:
    return replace(Situation(now, NOON + now, base_w, [CAR]), **more)  # type: ignore[arg-type]


def test_pv_surplus_goes_into_the_car_after_it_has_held() -> None:
    mode = SelfConsumption()
    assert mode.target(at(0, -3000)).power_w == 0
    wish = mode.target(at(START_S, -3000))
    assert wish.power_w == pytest.approx(3050)
    assert wish.code == "mode_surplus"


def test_a_short_dip_of_pv_does_not_stop_charging_and_a_long_one_does() -> None:
    mode = SelfConsumption()
    for second in range(int(START_S) + 1):
        mode.target(at(second, -3000))
    assert mode.target(at(100, -500)).power_w == 1400
    assert mode.target(at(100 + STOP_S + 1, -100)).power_w == 0


def test_the_car_supplies_the_deficit_of_the_site() -> None:
    assert SelfConsumption().target(at(0, 2500)).power_w == pytest.approx(-2450)


def test_missing_meter_values_are_no_surplus() -> None:
    wish = SelfConsumption().target(at(0, None))
    assert (wish.power_w, wish.code) == (0.0, "mode_input_stale")


def test_peak_cutting_discharges_exactly_the_excess() -> None:
    mode = MODES[SiteMode.PEAK_SHAVING]()
    assert mode.target(at(0, 60_000, headroom_w=-4000)).power_w == -4000
    below = mode.target(at(0, 10_000, headroom_w=4000)).power_w
    assert below is not None
    assert 0 < below <= 4000


def test_price_mode_without_a_plan_charges_cheap_and_discharges_expensive_if_profitable() -> None:
    prices = [10.0] * 12 + [30.0] * 24 + [60.0] * 12
    mode = MODES[SiteMode.PRICE]()
    starts = tuple(NOON + 1800 * step for step in range(96))
    tariff = Tariff(starts, tuple(one + 1800 for one in starts), tuple(prices + prices), (0.0,) * 96)
    assert mode.target(at(0, 2000, tariff=tariff)).code == "mode_cheap"
    expensive = mode.target(at(20 * 3600, 2000, tariff=tariff))
    assert (expensive.code, expensive.power_w) == ("mode_dear", -2000)
    assert mode.target(at(0, 2000, tariff=flat(30.0))).code == "mode_spread_too_small"
    assert mode.target(at(0, 2000)).code == "mode_price_unknown"


def test_a_plan_that_keeps_the_grid_at_zero_is_kept_by_the_meter() -> None:
    mode = MODES[SiteMode.PRICE]()
    assert mode.target(at(0, 2345, planned_w=-2000, planned_grid_w=0)).power_w == -2345
    assert mode.target(at(0, 2345, planned_w=-2000, planned_grid_w=4000)).power_w == -2000


def test_grid_service_without_an_order_is_idle_and_manual_leaves_control_to_the_evse() -> None:
    modes = {mode: make() for mode, make in MODES.items()}
    assert modes[SiteMode.GRID_SERVICE].target(at(0, 0)).power_w == 0
    assert modes[SiteMode.MANUAL].target(at(0, 0)).power_w is None


@given(
    st.sampled_from(SiteMode),
    st.none() | st.floats(-50_000, 50_000),
    st.floats(-50_000, 50_000) | st.just(math.inf),
    st.none() | st.floats(-20_000, 20_000),
)
def test_backup_mode_never_discharges_and_every_target_is_within_limits(
    mode: SiteMode, base_w: float | None, headroom_w: float, planned_w: float | None
) -> None:
    wish = MODES[mode]().target(at(0, base_w, headroom_w=headroom_w, planned_w=planned_w))
    assert wish.code
    assert wish.text
    if wish.power_w is not None:
        assert math.isfinite(wish.power_w)
        if mode is SiteMode.BACKUP:
            assert wish.power_w >= 0


@given(st.floats(0, 100_000), st.floats(0, 100_000), st.floats(-100_000, 200_000))
def test_within_the_headroom_the_grid_stays_within_its_limits(import_w: float, export_w: float, base_w: float) -> None:
    left = headroom(SiteLimits(import_w=import_w, export_w=export_w), Base(base_w), measured=True)
    assert left.low_w <= left.high_w
    assert left.high_w + base_w == pytest.approx(import_w, abs=1e-6)
    assert left.low_w + base_w >= min(-export_w, import_w) - 1e-6


def test_missing_values_leave_no_power_in_a_limited_direction_and_no_meter_leaves_the_limit() -> None:
    connection = SiteLimits(import_w=50_000, export_w=0)
    silent = headroom(connection, Base(None), measured=True)
    assert (silent.low_w, silent.high_w, silent.high_code) == (0.0, 0.0, "input_stale")
    never = headroom(connection, Base(None), measured=False)
    assert (never.low_w, never.high_w) == (-0.0, 50_000)


def test_the_demand_window_binds_when_it_is_the_tightest() -> None:
    window = replace(open_window(NOON + 900), imported_wh=20_000.0)
    limits = SiteLimits(import_w=80_000, contract_w=50_000)
    left = headroom(limits, Base(10_000), True, window_limit_w(limits, window, NOON + 900))
    assert left.high_code == "demand_window"
    assert left.high_w == pytest.approx((24_500 - 20_000) * 2 * 2 - 10_000)
