"""Laws of autonomy, tiers, sharing in an island, rotation, recharging, reserve and second-life batteries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.soc_floors import Floor, floor_in_force, trip_wh, vehicle_floors
from gateway.energy.forecast import Outlook
from gateway.energy.recharge_schedule import RechargeDemand, recharge_schedule
from gateway.energy.reserve import SiteReserve
from gateway.energy.resilience.autonomy import HORIZON_H, autonomy
from gateway.energy.resilience.island_balance import share_island
from gateway.energy.resilience.rotation import Rotation
from gateway.energy.resilience.tiers import CRITICAL_S, MIN_OFF_S, RESTORE_S, Tiers
from gateway.energy.resource import Resource
from gateway.energy.settings import EnergySection, SeasonTable, TierTable
from gateway.energy.storage_accounting import RenewableAccount, degradation_per_kwh, watch_modules
from gateway.model.energy_state import AnnouncedReserve
from gateway.model.site import StorageModule, Storm

DAY = 1_800_000_000.0


def outlook(load_w: float, pv_w: float = 0.0, steps: int = 48, sigma: float = 0.2) -> Outlook:
    return Outlook(1800.0, (load_w,) * steps, (pv_w,) * steps, (sigma,) * steps, (sigma,) * steps)


# autonomy


@given(
    st.floats(0, 200_000),
    st.floats(0, 100_000),
    st.floats(100, 20_000),
    st.floats(0, 10_000),
    st.floats(0, 0.4),
    st.floats(0.1, 1),
)
def test_autonomy_is_ordered_and_more_energy_never_lasts_less(
    energy: float, free_wh: float, load: float, pv: float, sigma: float, part: float
) -> None:
    one = autonomy(energy, free_wh, part, outlook(load, pv, sigma=sigma))
    assert 0 <= one.low <= one.expected + 1e-9 <= one.high + 2e-9 <= HORIZON_H + 2e-9
    assert autonomy(energy * 1.5, free_wh, part, outlook(load, pv, sigma=sigma)).low >= one.low - 1e-9
    assert autonomy(energy, free_wh, part, outlook(load * 2, pv, sigma=sigma)).low <= one.low + 1e-9


def test_autonomy_is_energy_over_load_without_uncertainty() -> None:
    hours = autonomy(30_000, 0, 1.0, outlook(2000, sigma=0.0))
    assert hours.expected == 15.0
    assert (hours.low, hours.high) == pytest.approx((15.0 * (1 - 0.0768), 15.0 * (1 + 0.0768)))


def test_approaching_cars_count_from_their_arrival() -> None:
    late = autonomy(10_000, 0, 1.0, outlook(2000, sigma=0.0), deliveries=[(6.0, 20_000)])
    assert late.expected == 5.0
    assert autonomy(10_000, 0, 1.0, outlook(2000, sigma=0.0), deliveries=[(4.0, 20_000)]).expected == 15.0


def test_pv_can_supply_the_load_to_the_horizon() -> None:
    assert autonomy(5000, 20_000, 1.0, outlook(1000, 5000, sigma=0.0)).low == HORIZON_H


# tiers

TIERS = (
    TierTable(name="medical", priority=0, expected_w=1500, critical=True),
    TierTable(name="light", priority=1, expected_w=1000, critical=True),
    TierTable(name="kitchen", priority=2, expected_w=3000, wants_hours=12),
    TierTable(name="cooling", priority=3, expected_w=4000, wants_hours=24),
)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 15_000), st.none() | st.floats(0, 12_000), st.lists(st.floats(0, 96), min_size=4, max_size=4)
        ),
        max_size=40,
    )
)
def test_no_tier_is_on_while_a_more_important_one_is_shed(
    steps: list[tuple[float, float | None, list[float]]],
) -> None:
    tiers, now = Tiers(TIERS), 0.0
    for supply_w, load_w, hours in steps:
        now += 60
        events = tiers.step(now, supply_w, load_w, {tier.name: h for tier, h in zip(TIERS, hours, strict=True)})
        restored = [event.subject for event in events if event.code == "tier_restored"]
        assert len(restored) <= 1
        for name in restored:
            place = next(tier.priority for tier in TIERS if tier.name == name)
            assert all(tiers.on[tier.name] for tier in TIERS if tier.priority < place)
        for event in events:
            if event.code == "tier_shed" and "sources can supply" not in event.text:
                assert event.subject in ("kitchen", "cooling")


def test_a_tier_that_is_too_large_holds_back_only_less_important_ones() -> None:
    """Its equals are supplied, at the start and later."""
    tables = (
        {"name": "radio", "priority": 0, "critical": True, "expected_w": 2600.0},
        {"name": "medical", "priority": 0, "critical": True, "expected_w": 800.0},
        {"name": "water", "priority": 1, "expected_w": 100.0},
    )
    tiers = Tiers([TierTable.model_validate(table) for table in tables])
    tiers.start(0.0, 2500.0)
    assert tiers.on == {"radio": False, "medical": True, "water": False}
    tiers.off_all(10.0, "a collapse")
    for now in (400.0, 800.0, 1200.0):
        tiers.step(now, 2500.0, 0.0, {})
        assert tiers.on == {"radio": False, "medical": True, "water": False}


def test_an_overload_sheds_from_the_bottom_until_it_fits() -> None:
    tiers = Tiers(TIERS)
    tiers.step(0.0, 4000, 9500, {})
    assert tiers.on == {"medical": True, "light": True, "kitchen": False, "cooling": False}


def test_short_autonomy_sheds_comfort_and_never_critical_load() -> None:
    tiers = Tiers(TIERS)
    for minute in range(5):
        tiers.step(minute * 60.0, 20_000, 5000, {"medical": 3, "light": 2, "kitchen": 1.5, "cooling": 1})
    assert tiers.on == {"medical": True, "light": True, "kitchen": False, "cooling": False}


def test_tiers_are_restored_one_by_one_with_spare_power_and_autonomy() -> None:
    tiers = Tiers(TIERS)
    tiers.off_all(0.0, "the black start begins")
    seen = []
    for second in range(0, 3000, 10):
        seen += [
            (second, event.subject) for event in tiers.step(float(second), 6000, None, dict.fromkeys(tiers.on, 20.0))
        ]
    assert [name for _, name in seen] == ["medical", "light"]  # 5.5 kW with the kitchen's inrush is too much for 6 kW
    assert seen[1][0] - seen[0][0] >= CRITICAL_S
    later = [
        event.subject
        for second in range(3000, 6000, 10)
        for event in tiers.step(second, 12_000, None, dict.fromkeys(tiers.on, 20.0))
    ]
    assert later == ["kitchen"]  # cooling requires 24 h
    assert MIN_OFF_S > RESTORE_S


def test_empty_batteries_end_the_island() -> None:
    tiers = Tiers(TIERS)
    events = tiers.step(0.0, 0, 100, {}, empty=True)
    assert not any(tiers.on.values())
    assert len(events) == 4


# sharing in an island


def source(name: str, **more: object) -> Resource:
    base: dict[str, object] = {
        "name": name, "max_charge_w": 6000.0, "max_discharge_w": 6000.0, "soc_pct": 60.0, "capacity_wh": 40_000.0,
        "floor_pct": 10.0, "can_form": True,
    }  # fmt: skip
    return Resource(**(base | more))  # type: ignore[arg-type]


@given(st.floats(-20_000, 20_000), st.integers(1, 4), st.data())
def test_an_island_is_always_in_balance(net_w: float, size: int, data: st.DataObject) -> None:
    """Load = discharge + shortage; a PV surplus is charged as far as all batteries can take it."""
    fleet = [
        source(f"S{number}", max_discharge_w=data.draw(st.floats(0, 9000)), soc_pct=data.draw(st.floats(0, 100)))
        for number in range(size)
    ]
    done = share_island(net_w, fleet, "S0")
    powers_w = sum(done.power_w.values()) + done.forming_w
    if done.forming_w < fleet[0].max_charge_w:
        assert net_w + powers_w == pytest.approx(done.short_w, abs=1.0)
    else:
        assert powers_w <= -net_w + 1.0
    assert -fleet[0].max_discharge_w - 1e-6 <= done.forming_w <= fleet[0].max_charge_w + 1e-6
    assert "S0" not in done.power_w


def test_the_forming_source_keeps_headroom_in_both_directions() -> None:
    done = share_island(9000, [source("S0"), source("S1"), source("S2")], "S0")
    assert -5200 <= done.forming_w < 0
    assert sum(done.power_w.values()) + done.forming_w == pytest.approx(-9000)


def test_without_a_grid_forming_source_all_load_is_unserved() -> None:
    assert share_island(3000, [source("S1")], "gone").short_w == 3000


# rotation


def test_a_car_at_its_floor_may_leave_and_the_next_one_is_requested_in_time() -> None:
    rotation, cars = Rotation(), [source("A", soc_pct=10.0), source("B", soc_pct=20.0)]
    swap = rotation.update(0.0, 2000, cars, "B")
    assert swap.released == ("A",)
    assert swap.needed_in_h == pytest.approx(4000 * 0.94 / 2000 - 0.25)
    assert [event.code for event in swap.events] == ["car_let_go", "car_needed"]
    assert rotation.update(60.0, 2000, cars, "B").events == ()


def test_the_forming_source_hands_over_before_empty_and_only_for_a_clear_advantage() -> None:
    assert Rotation().update(0.0, 2000, [source("A", soc_pct=11.0), source("B", soc_pct=50.0)], "A").hand_to == "B"
    assert Rotation().update(0.0, 2000, [source("A", soc_pct=11.0), source("B", soc_pct=11.2)], "A").hand_to is None
    assert Rotation().update(0.0, 2000, [source("A", soc_pct=40.0), source("B", soc_pct=90.0)], "A").hand_to is None


def test_no_needed_vehicle_is_released() -> None:
    cars = [source("A", soc_pct=30.0), source("B", soc_pct=12.0)]
    assert Rotation().update(0.0, 2000, cars, "B", frozenset({"A"})).released == ()
    cars = [source("A", soc_pct=30.0), source("B", soc_pct=60.0)]
    assert Rotation().update(0.0, 2000, cars, "B", frozenset({"A"})).released == ("A",)


# recharging


@given(
    st.lists(st.tuples(st.floats(0, 40_000), st.integers(1, 40), st.floats(500, 7000)), min_size=1, max_size=6),
    st.lists(st.floats(0, 15_000), min_size=1, max_size=40),
)
def test_recharging_uses_only_free_power_and_at_most_the_energy_to_return(
    wanted: list[tuple[float, int, float]], free: list[float]
) -> None:
    owed = [RechargeDemand(f"C{number}", wh, DAY + due * 1800, power) for number, (wh, due, power) in enumerate(wanted)]
    plans = recharge_schedule(owed, DAY, free, 1800.0)
    for step, power_w in enumerate(free):
        middle = DAY + (step + 0.5) * 1800
        assert sum(w for plan in plans for begin, end, w in plan.parts if begin <= middle < end) <= power_w + 1e-6
    for one in owed:
        plan = next(plan for plan in plans if plan.name == one.name)
        given_wh = sum((end - begin) * w / 3600 for begin, end, w in plan.parts)
        assert given_wh <= one.energy_wh + 1e-6
        assert all(w <= one.power_w + 1e-6 for _, _, w in plan.parts)
        if plan.missing_wh <= 1.0:
            assert given_wh == pytest.approx(one.energy_wh, abs=1.1)


def test_the_earliest_departure_is_charged_first_and_a_late_target_reported() -> None:
    plans = recharge_schedule(
        [RechargeDemand("late", 9000, DAY + 9000, 6000), RechargeDemand("first", 3000, DAY + 1800, 6000)],
        DAY,
        [6000.0] * 4,
        1800.0,
    )
    assert [plan.name for plan in plans] == ["first", "late"]
    assert plans[0].ready == DAY + 1800
    assert plans[0].missing_wh <= 1.0
    assert plans[1].missing_wh <= 1.0
    short = recharge_schedule([RechargeDemand("hopeless", 9000, DAY + 1800, 6000)], DAY, [6000.0] * 4, 1800.0)[0]
    assert short.missing_wh == pytest.approx(6000)


TYPHOONS = (SeasonTable(start=DAY, end=DAY + 86_400, pct=60.0, why="the typhoon season"),)


# the reserve


def test_a_storm_raises_the_reserve_and_its_end_releases_it_late() -> None:
    reserve = SiteReserve(EnergySection(reserve_pct=30, storm_pct=80))
    assert reserve.in_force.floor.pct == 30
    events = reserve.update(0.0, DAY, Storm(ts=DAY, active=True, until=DAY + 7200), off_grid=False)
    assert [event.code for event in events] == ["reserve_raised"]
    assert reserve.in_force.floor.pct == 80
    assert reserve.state().until == DAY + 7200
    assert reserve.update(60.0, DAY + 60, Storm(ts=DAY, active=True, until=DAY + 7200), off_grid=False) == []
    reserve.update(7300.0, DAY + 7300, None, off_grid=False)
    assert reserve.in_force.floor.pct == 80
    events = reserve.update(11_000.0, DAY + 11_000, None, off_grid=False)
    assert [event.code for event in events] == ["reserve_released"]
    assert reserve.in_force.floor.pct == 30


def test_off_grid_the_reserve_is_used_but_not_the_range_to_drive_home() -> None:
    reserve = SiteReserve(EnergySection(reserve_pct=60, off_grid_pct=10))
    reserve.update(0.0, DAY, None, off_grid=True)
    assert reserve.in_force.floor.pct == 10
    floor = floor_in_force(vehicle_floors(0.0, trip_wh(40, 150), 40_000), reserve.in_force)
    assert floor.pct == pytest.approx(18.0)
    assert floor.source == "the trip home"
    assert floor_in_force(vehicle_floors(0.0, 6000.0, 5000), reserve.in_force).pct == 100.0
    assert floor_in_force(vehicle_floors(20, 0.0, 40_000), reserve.in_force) == Floor(20, "the owner's floor")


def test_the_calendar_raises_it_too_and_the_higher_one_rules() -> None:
    reserve = SiteReserve(EnergySection(reserve_pct=30, calendar=TYPHOONS))
    reserve.update(0.0, DAY + 1, Storm(ts=DAY, active=True, min_soc_pct=50.0), off_grid=False)
    assert reserve.in_force.floor.source == "the typhoon season"


def test_batteries_fill_shortly_before_an_announced_storm() -> None:
    reserve = SiteReserve(EnergySection(reserve_pct=30, storm_pct=80))
    starts = DAY + 2 * 86_400
    storm = Storm(ts=DAY, active=True, until=starts + 20_000, starts=starts)
    events = reserve.update(0.0, DAY, storm, off_grid=False)
    assert [event.code for event in events] == ["storm_announced"]
    assert reserve.in_force.floor.pct == 30
    announced = AnnouncedReserve(starts=starts - 21_600, reserve_pct=80, because_of="a storm warning")
    assert reserve.state().next == announced
    assert reserve.update(60.0, DAY + 60, storm, off_grid=False) == []
    events = reserve.update(1e5, starts - 21_000, storm, off_grid=False)
    assert [event.code for event in events] == ["reserve_raised"]
    assert reserve.state().next is None
    assert reserve.in_force.floor.pct == 80


def test_the_calendar_is_full_when_its_season_begins() -> None:
    reserve = SiteReserve(EnergySection(reserve_pct=30, calendar=TYPHOONS))
    reserve.update(0.0, DAY - 30_000, None, off_grid=False)
    assert reserve.in_force.floor.pct == 30
    announced = reserve.state().next
    assert announced is not None
    assert announced.because_of == "the typhoon season"
    reserve.update(1.0, DAY - 20_000, None, off_grid=False)
    assert reserve.in_force.floor.pct == 60
    assert reserve.state().until == DAY + 86_400


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 100), st.floats(0, 50_000), st.booleans())
def test_the_floor_is_at_least_each_configured_floor(
    on: float, off: float, own: float, home: float, off_grid: bool
) -> None:
    reserve = SiteReserve(EnergySection(reserve_pct=on, off_grid_pct=off))
    reserve.update(0.0, DAY, None, off_grid)
    floor = floor_in_force(vehicle_floors(own, home, 40_000), reserve.in_force)
    assert floor.pct >= max(own, off if off_grid else on, min(100.0, home / 400)) - 1e-9


# second-life storage

MODULES = [
    StorageModule(name=f"M{number}", new_wh=1800, soh=0.75, voltage_v=7.6, resistance_ohm=0.004, soc_pct=60.0)
    for number in range(24)
]


@given(st.floats(0.4, 1.0), st.floats(0.4, 1.0))
def test_worse_health_costs_more(one: float, two: float) -> None:
    assert degradation_per_kwh(min(one, two), 4.0) >= degradation_per_kwh(max(one, two), 4.0)


def test_modules_that_stand_out_are_named() -> None:
    changes = ({"soh": 0.45}, {"resistance_ohm": 0.02}, {"soc_pct": 40.0})
    odd = [one.model_copy(update=change) for one, change in zip(MODULES, changes, strict=False)]
    events = watch_modules([*odd, *MODULES[3:]], 0.0)
    assert {(event.code, event.subject) for event in events} == {
        ("module_worn_out", "M0"),
        ("module_resistance", "M1"),
        ("module_imbalance", "M2"),
    }


@given(st.lists(st.tuples(st.floats(-5000, 5000), st.floats(0, 6000)), max_size=50))
def test_no_more_renewable_energy_is_stored_than_energy(flows: list[tuple[float, float]]) -> None:
    account = RenewableAccount()
    for power_w, surplus_w in flows:
        account.flow(power_w, 600.0, surplus_w, 0.95, 0.95)
    assert 0 <= account.renewable_wh <= account.stored_wh + 1e-6
    assert account.stored_wh <= account.charged_wh + 1e-6
