"""Targets of the modes, and headroom of the site's connection."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.demand_window import open_window
from gateway.authority.site_limits import Base, SiteLimits, headroom, window_limit_w
from gateway.energy.modes import MODES
from gateway.energy.modes.mode import Situation
from gateway.energy.modes.peak_shaving import charge_demand_w
from gateway.energy.modes.self_consumption import START_S, STOP_S, SelfConsumption
from gateway.energy.price import Tariff, flat
from gateway.energy.resource import Kind, Resource
from gateway.model.command import SiteMode

NOON = 1_800_000_000.0 - 1_800_000_000.0 % 86_400
CAR = Resource("E1", 6000, 6000, soc_pct=60, capacity_wh=40_000, floor_pct=20, min_charge_w=1400)


def at(now: float, base_w: float | None, **more: object) -> Situation:
    return replace(Situation(now, NOON + now, base_w, [CAR]), **more)  # type: ignore[arg-type]


def test_pv_surplus_goes_into_the_car_after_it_has_held() -> None:
    mode = SelfConsumption()
    assert mode.target(at(0, -3000)).power_w == 0
    found = mode.target(at(START_S, -3000))
    assert found.power_w == pytest.approx(3050)
    assert found.code == "mode_surplus"


def test_a_short_dip_of_pv_does_not_stop_charging_and_a_long_one_does() -> None:
    mode = SelfConsumption()
    for second in range(int(START_S) + 1):
        mode.target(at(second, -3000))
    assert mode.target(at(100, -500)).power_w == 1400
    assert mode.target(at(100 + STOP_S + 1, -100)).power_w == 0


def test_the_car_supplies_the_deficit_of_the_site() -> None:
    assert SelfConsumption().target(at(0, 2500)).power_w == pytest.approx(-2450)


def test_missing_meter_values_are_no_surplus() -> None:
    found = SelfConsumption().target(at(0, None))
    assert (found.power_w, found.code) == (0.0, "mode_input_stale")


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
    found = MODES[mode]().target(at(0, base_w, headroom_w=headroom_w, planned_w=planned_w))
    assert found.code
    assert found.text
    if found.power_w is not None:
        assert math.isfinite(found.power_w)
        if mode is SiteMode.BACKUP:
            assert found.power_w >= 0


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


# figures --------------------------------------------------------------------------------------------------------------


def target(mode: SiteMode, situation: Situation) -> tuple[Any, str, bool, bool]:
    """Return power, code, and whether it is soft and by the plan."""
    found = MODES[mode]().target(situation)
    assert found.text.endswith(".")
    return found.power_w, found.code.value, found.soft, found.by_plan


def day(*prices: float, exports: float = 0.0, first: int = 0) -> Tariff:
    """Tariff of quarter hours from noon on."""
    starts = tuple(NOON + 900.0 * number for number in range(first, first + len(prices)))
    return Tariff(starts, tuple(one + 900.0 for one in starts), prices, (exports,) * len(prices))


def test_modes_without_an_optimiser() -> None:
    assert target(SiteMode.GRID_SERVICE, at(0, 0)) == (0.0, "mode_no_order", True, False)
    assert target(SiteMode.MANUAL, at(0, 0)) == (None, "mode_manual", True, False)


@pytest.mark.parametrize(
    ("headroom_w", "power_w"),
    [(math.inf, 6000.0), (20_000.0, 6000.0), (4000.0, 3400.0), (0.0, 0.0), (-4000.0, 0.0)],
)
def test_backup_charges_to_the_ceiling_within_the_headroom(headroom_w: float, power_w: float) -> None:
    found = target(SiteMode.BACKUP, at(0, 0, headroom_w=headroom_w))
    assert found == (pytest.approx(power_w), "mode_filling_reserve", True, False)


@pytest.mark.parametrize(
    ("headroom_w", "planned_w", "power_w", "code"),
    [
        (-0.5, None, -0.5, "mode_shaving"),
        (-4000.0, 3000.0, -4000.0, "mode_shaving"),
        (0.0, None, 0.0, "mode_below_peak"),
        (0.0, 3000.0, 0.0, "mode_below_peak"),
        (4000.0, None, 3400.0, "mode_below_peak"),
        (4000.0, 3000.0, 3000.0, "mode_below_peak"),
        (4000.0, 3700.0, 3400.0, "mode_below_peak"),
        (4000.0, 0.0, 0.0, "mode_below_peak"),
        (math.inf, None, 6000.0, "mode_below_peak"),
    ],
)
def test_peak_shaving(headroom_w: float, planned_w: float | None, power_w: float, code: str) -> None:
    found = target(SiteMode.PEAK_SHAVING, at(0, None, headroom_w=headroom_w, planned_w=planned_w))
    assert found == (pytest.approx(power_w), code, True, False)


def test_peak_shaving_follows_a_plan_that_discharges() -> None:
    found = target(SiteMode.PEAK_SHAVING, at(0, None, headroom_w=4000.0, planned_w=-0.5))
    assert found == (-0.5, "mode_plan", False, True)


PERFECT_CAR = replace(CAR, charge_efficiency=1.0, discharge_efficiency=1.0)


@pytest.mark.parametrize(
    ("more", "refilled_w", "wanted_w"),
    [
        ({}, 6000.0, 0.0),  # 16 kWh in 2 h, limited
        ({"soc_pct": 90.0}, 2000.0, 0.0),  # 4 kWh in 2 h
        ({"soc_pct": 90.0, "min_charge_w": 2500.0}, 2500.0, 0.0),
        ({"soc_pct": 90.0, "max_charge_w": 1000.0}, 1000.0, 0.0),
        ({"soc_pct": 100.0}, 0.0, 0.0),
        ({"soc_pct": 99.9949}, 1400.0, 0.0),  # 1.02 W: as little as the charger can run at
        ({"soc_pct": 99.9951}, 0.98, 0.0),  # below 1 W: the battery is full
        ({"soc_pct": 50.0, "capacity_wh": 4.0}, 1.0, 0.0),
        ({"wanted_pct": 90.0}, 6000.0, 6000.0),
        ({"wanted_pct": 63.0}, 1400.0, 1400.0),  # 1.2 kWh at 0.6 of 2 h: 1 kW
        ({"wanted_pct": 66.0}, 2000.0, 2000.0),
        ({"wanted_pct": 60.0}, 0.0, 0.0),
        ({"wanted_pct": 66.0, "departure": NOON + 4 * 3600}, 1400.0, 1400.0),
        ({"wanted_pct": 72.0, "departure": NOON + 4 * 3600}, 2000.0, 2000.0),
        ({"wanted_pct": 72.0, "due": NOON + 4 * 3600}, 2000.0, 2000.0),
        ({"wanted_pct": 66.0, "departure": NOON + 9 * 3600, "due": NOON + 2 * 3600}, 2000.0, 2000.0),
        ({"wanted_pct": 61.5, "departure": NOON + 100.0}, 4000.0, 4000.0),  # at least a quarter of an hour
        ({"wanted_pct": 61.5, "departure": NOON + 900.0}, 4000.0, 4000.0),
        ({"wanted_pct": 61.5, "departure": NOON + 1800.0}, 2000.0, 2000.0),
        ({"wanted_pct": 61.5, "departure": NOON - 5000.0}, 4000.0, 4000.0),
    ],
)
def test_charge_demand(more: dict[str, float], refilled_w: float, wanted_w: float) -> None:
    situation = at(0, 0, resources=[replace(PERFECT_CAR, **more)])  # type: ignore[arg-type]
    assert charge_demand_w(situation, refill=True) == pytest.approx(refilled_w, rel=1e-3)
    assert charge_demand_w(situation) == pytest.approx(wanted_w)


def test_charge_demand_is_that_of_all_resources() -> None:
    fleet = [replace(PERFECT_CAR, soc_pct=90.0), replace(PERFECT_CAR, wanted_pct=66.0), replace(CAR, soc_pct=None)]
    assert charge_demand_w(at(0, 0, resources=fleet), refill=True) == pytest.approx(4000.0)
    assert (
        charge_demand_w(at(0, 0, resources=fleet), refill=False) == charge_demand_w(at(0, 0, resources=fleet)) == 2000.0
    )


# self-consumption


def after(mode: SelfConsumption, *steps: tuple[float, float | None], **more: object) -> float | None:
    """Return the target after these steps: time and base power."""
    power_w: float | None = None
    for now, base_w in steps:
        found = mode.target(at(now, base_w, **more))
        power_w = found.power_w
    return power_w


@pytest.mark.parametrize(
    ("base_w", "power_w", "code"),
    [
        (-3000.0, 0.0, "mode_balanced"),  # not for long enough yet
        (0.0, 0.0, "mode_balanced"),
        (200.0, 0.0, "mode_balanced"),  # 150 W: below the accuracy of the meter
        (201.0, -151.0, "mode_self_supply"),
        (5000.0, -4950.0, "mode_self_supply"),
        (None, 0.0, "mode_input_stale"),
    ],
)
def test_self_consumption_at_once(base_w: float | None, power_w: float, code: str) -> None:
    assert target(SiteMode.SELF_CONSUMPTION, at(0, base_w)) == (power_w, code, True, False)


@pytest.mark.parametrize(
    ("resources", "base_w", "power_w"),
    [
        ([CAR], -1350.0, 1400.0),
        ([CAR], -1349.0, 0.0),  # a surplus below the least power of the charger
        ([], -100.0, 150.0),
        ([], -99.0, 0.0),  # below the accuracy of meters
        ([replace(CAR, min_charge_w=0.0)], -100.0, 150.0),
        ([CAR, replace(CAR, min_charge_w=900.0)], -900.0, 950.0),  # the least of them
        ([CAR, replace(CAR, min_charge_w=900.0, max_charge_w=0.0)], -900.0, 0.0),  # which cannot charge
        ([CAR, replace(CAR, min_charge_w=900.0, max_charge_w=1.0)], -900.0, 950.0),
    ],
)
def test_the_surplus_that_starts_charging(resources: list[Resource], base_w: float, power_w: float) -> None:
    mode = SelfConsumption()
    for now in range(59):
        assert after(mode, (now, base_w), resources=resources) == 0.0
    assert after(mode, (59.9, base_w), resources=resources) == 0.0
    assert after(mode, (60.0, base_w), resources=resources) == power_w
    assert mode.target(at(61, base_w, resources=resources)).code == ("mode_surplus" if power_w else "mode_balanced")


def test_a_surplus_starts_charging_only_without_interruption() -> None:
    assert after(SelfConsumption(), (0, -3000), (50, -3000), (59, 0), (60, -3000), (119, -3000)) == 0.0
    assert after(SelfConsumption(), (0, -3000), (50, -3000), (59, 0), (60, -3000), (120, -3000)) == 3050.0


def test_charging_ends_after_three_minutes_without_surplus() -> None:
    mode = SelfConsumption()
    assert after(mode, (0, -3000), (60, -3000)) == 3050.0
    assert after(mode, (100, 800), (279.9, 800)) == 1400.0  # at its least power
    assert after(mode, (280, 800)) == -750.0
    assert after(mode, (281, -3000), (340, -3000)) == 0.0
    assert after(mode, (341, -3000)) == 3050.0


def test_without_resources_nothing_is_charged_until_charging_ends() -> None:
    assert after(SelfConsumption(), (0, -3000), (60, -3000), (61, 800), resources=[]) == 0.0


def test_a_moment_of_surplus_restarts_the_three_minutes() -> None:
    mode = SelfConsumption()
    assert after(mode, (0, -3000), (60, -3000), (100, 800), (250, -3000), (251, 800), (430.9, 800)) == 1400.0
    assert after(mode, (431, 800)) == -750.0


STORE = Resource("storage", 5000, 5000, Kind.STORAGE, soc_pct=60, capacity_wh=10_000, floor_pct=20, rank=0)
FULL = replace(STORE, soc_pct=100.0)


@pytest.mark.parametrize(
    ("resources", "base_w", "power_w", "code"),
    [
        ([STORE], -3000.0, 3050.0, "mode_surplus"),
        ([STORE], -99.0, 0.0, "mode_balanced"),  # below the accuracy of meters
        ([STORE], -100.0, 150.0, "mode_surplus"),
        ([STORE], -7000.0, 5000.0, "mode_surplus"),
        ([STORE, CAR], -7000.0, 4500.0, "mode_surplus"),  # of which the vehicle gets nothing yet
        ([FULL, CAR], -7000.0, 0.0, "mode_balanced"),
        ([FULL], -7000.0, 0.0, "mode_balanced"),
        ([replace(STORE, soc_pct=99.995)], -7000.0, 5000.0, "mode_surplus"),  # 0.5 Wh are free
        ([STORE, CAR], 2000.0, -1950.0, "mode_self_supply"),
    ],
)
def test_a_storage_stores_a_surplus_at_once(
    resources: list[Resource], base_w: float, power_w: float, code: str
) -> None:
    assert target(SiteMode.SELF_CONSUMPTION, at(0, base_w, resources=resources)) == (power_w, code, True, False)


@pytest.mark.parametrize("resources", [[STORE], [STORE, CAR], [FULL]])
def test_a_storage_supplies_the_load_as_soon_as_the_surplus_ends(resources: list[Resource]) -> None:
    mode = SelfConsumption()
    assert after(mode, (0, -7000), (60, -7000), resources=resources) in (7050.0, 5000.0)
    assert after(mode, (61, 2000), resources=resources) == -1950.0


def test_a_storage_does_not_follow_a_lack_of_surplus_below_the_accuracy_of_meters() -> None:
    mode = SelfConsumption()
    assert after(mode, (0, -7000), (60, -7000), (61, 100), resources=[STORE]) == 0.0
    assert mode.target(at(62, 100, resources=[STORE])).code == "mode_surplus"


def test_vehicles_charge_beside_a_storage_when_a_surplus_has_lasted() -> None:
    mode = SelfConsumption()
    assert after(mode, (0, -1000), (59, -5850), resources=[STORE, CAR]) == 4500.0
    assert after(mode, (60, -5850), resources=[STORE, CAR]) == 5900.0


def test_a_full_storage_does_not_end_the_minimum_power_of_a_charger() -> None:
    assert after(SelfConsumption(), (0, -3000), (60, -3000), (61, 800), resources=[FULL, CAR]) == 1400.0


# by price


@pytest.mark.parametrize(
    ("base_w", "planned_w", "grid_w", "expected"),
    [
        (2345.0, -2000.0, 0.0, (-2345.0, "mode_plan_zero_grid", False, True)),
        (2345.0, -2000.0, 99.0, (-2345.0, "mode_plan_zero_grid", False, True)),
        (2345.0, -2000.0, -99.0, (-2345.0, "mode_plan_zero_grid", False, True)),
        (2345.0, -2000.0, 100.0, (-2000.0, "mode_plan", False, True)),
        (2345.0, -2000.0, -100.0, (-2000.0, "mode_plan", False, True)),
        (2345.0, -2000.0, None, (-2000.0, "mode_plan", False, True)),
        (None, -2000.0, 0.0, (-2000.0, "mode_plan", False, True)),
        (2345.0, 0.0, 4000.0, (0.0, "mode_plan", False, True)),
    ],
)
def test_price_mode_follows_the_plan(
    base_w: float | None, planned_w: float, grid_w: float | None, expected: tuple[float, str, bool, bool]
) -> None:
    situation = at(0, base_w, planned_w=planned_w, planned_grid_w=grid_w, tariff=flat(30.0))
    assert target(SiteMode.PRICE, situation) == expected


@pytest.mark.parametrize(("limit_w", "power_w"), [(0.0, -2295.0), (20.0, -2315.0), (50.0, -2345.0), (5000.0, -2345.0)])
def test_a_plan_without_exchange_is_kept_beside_the_export_limit(limit_w: float, power_w: float) -> None:
    situation = at(0, 2345.0, planned_w=-2000.0, planned_grid_w=0.0, export_headroom_w=-2345.0 - limit_w)
    assert target(SiteMode.PRICE, situation)[0] == power_w


WANTING = replace(PERFECT_CAR, wanted_pct=66.0)  # 2 kW; with the other 4 kW
FLEET = [WANTING, replace(PERFECT_CAR, soc_pct=90.0, degradation_per_kwh=0.0)]


@pytest.mark.parametrize(
    ("tariff", "power_w", "code"),
    [
        (day(10.0, 20.0, 30.0), 2000.0, "mode_price_unknown"),  # of three quarters of an hour only
        (day(10.0, 20.0, 30.0, 40.0), 4000.0, "mode_cheap"),
        (day(10.0, 20.0, 30.0, 40.0, first=1), 2000.0, "mode_price_unknown"),  # none now
        (day(20.0, 10.0, 30.0, 40.0), 0.0, "mode_middling"),
        (day(30.0, 10.0, 20.0, 40.0), -3000.0, "mode_dear"),  # ranks of 0.25 and 0.85 among four: the first, the third
        (day(40.0, 10.0, 20.0, 30.0), -3000.0, "mode_dear"),
        (day(20.0, 20.0, 20.0, 20.0), 4000.0, "mode_spread_too_small"),
        (day(21.0, 20.0, 20.0, 20.0), 2000.0, "mode_spread_too_small"),
        (day(10.0, 20.0, 30.0, 40.0, *([10.0] * 12)), 4000.0, "mode_spread_too_small"),
    ],
)
def test_price_mode_by_the_prices_of_the_day(tariff: Tariff, power_w: float, code: str) -> None:
    found = target(SiteMode.PRICE, at(0, 3000.0, resources=FLEET, tariff=tariff))
    assert found == (pytest.approx(power_w), code, True, False)


@pytest.mark.parametrize("later", [5.0, 30.0])
def test_prices_of_the_next_24_hours_count(later: float) -> None:
    """A quarter of the day costs 10, so 20 is not cheap; one more quarter of an hour would make it so."""
    for now, code in ((20.0, "mode_middling"), (10.0, "mode_cheap"), (30.0, "mode_dear")):
        rest = {10.0: 24, 20.0: 56, 30.0: 16}
        rest[now] -= 1
        prices = [now, *(price for price, count in rest.items() for _ in range(count)), *[later] * 96]
        assert target(SiteMode.PRICE, at(0, 0.0, resources=FLEET, tariff=day(*prices)))[1] == code


PAYS = day(20.0, 10.0, 10.0, 20.0)  # cheap: 10, expensive: 20


@pytest.mark.parametrize(
    ("fleet", "code"),
    [
        ([{}], "mode_dear"),
        ([{"charge_efficiency": 0.5}], "mode_spread_too_small"),  # half of the energy is lost
        ([{"charge_efficiency": 0.51}], "mode_dear"),
        ([{"discharge_efficiency": 0.5}], "mode_spread_too_small"),
        ([{"charge_efficiency": 0.71, "discharge_efficiency": 0.71}], "mode_dear"),
        ([{"charge_efficiency": 0.7, "discharge_efficiency": 0.7}], "mode_spread_too_small"),
        ([{"degradation_per_kwh": 10.0}], "mode_spread_too_small"),
        ([{"degradation_per_kwh": 9.9}], "mode_dear"),
        ([{}, {"degradation_per_kwh": 10.0}], "mode_spread_too_small"),  # the most costly of them
        ([{}, {"charge_efficiency": 0.5}], "mode_spread_too_small"),  # the one with most losses
        ([{}, {"degradation_per_kwh": 10.0, "max_discharge_w": 0.0}], "mode_dear"),  # of those that can discharge
        ([{}, {"degradation_per_kwh": 10.0, "max_discharge_w": 1.0}], "mode_spread_too_small"),
        ([{"max_discharge_w": 0.0}], "mode_spread_too_small"),
        ([], "mode_spread_too_small"),
    ],
)
def test_price_mode_covers_losses_and_degradation(fleet: list[dict[str, float]], code: str) -> None:
    resources = [replace(PERFECT_CAR, **one) for one in fleet]  # type: ignore[arg-type]
    assert target(SiteMode.PRICE, at(0, 3000.0, resources=resources, tariff=PAYS))[1] == code


@pytest.mark.parametrize(
    ("base_w", "exports", "wear", "power_w"),
    [
        (3000.0, 0.0, 0.0, -3000.0),
        (20_000.0, 0.0, 0.0, -12_000.0),
        (-500.0, 0.0, 0.0, 0.0),
        (None, 0.0, 0.0, 0.0),
        (3000.0, 10.0, 0.0, -3000.0),
        (3000.0, 10.1, 0.0, -12_000.0),  # export pays for the charge
        (3000.0, 13.0, 3.0, -3000.0),
        (3000.0, 13.1, 3.0, -12_000.0),
        (-500.0, 13.1, 3.0, -12_000.0),
    ],
)
def test_discharge_covers_the_sites_own_load_unless_export_pays(
    base_w: float | None, exports: float, wear: float, power_w: float
) -> None:
    fleet = [replace(PERFECT_CAR, degradation_per_kwh=wear)] * 2
    found = target(SiteMode.PRICE, at(0, base_w, resources=fleet, tariff=day(20.0, 10.0, 10.0, 20.0, exports=exports)))
    assert found == (power_w, "mode_dear", True, False)
    assert str(found[0]) != "-0.0"


def test_export_pays_after_losses() -> None:
    lossy = [replace(PERFECT_CAR, charge_efficiency=0.8)]
    for exports, power_w in ((12.5, -3000.0), (12.6, -6000.0)):
        tariff = day(20.0, 10.0, 10.0, 20.0, exports=exports)
        assert target(SiteMode.PRICE, at(0, 3000.0, resources=lossy, tariff=tariff))[0] == power_w
