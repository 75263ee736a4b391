"""Parts of the site model: storage, demand meter, PV, loads, grid events, protection, transfer switch."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.battery.pack import Pack, PackSpec
from emulators.battery.second_life import SecondLifePack
from emulators.runtime.clock import START
from emulators.site.balance import State
from emulators.site.demand_meter import DemandMeter
from emulators.site.grid import Grid, GridEvent, InterfaceProtection, Supply, jeac_9701
from emulators.site.load import SITES, Loads, TierSpec
from emulators.site.pv import Pv, PvSpec, sun
from emulators.site.site import Site
from emulators.site.storage import Storage
from emulators.site.switch import Position, TransferSwitch
from tests.emulators.site.site_rig import a_car, run
from tests.rounds import rounds


def test_self_consumption_controls_the_exchange_to_zero_down_to_the_floor() -> None:
    storage = Storage(SecondLifePack(soc_start_pct=60, seed=1), policy="self_consumption", floor_pct=20)
    tiers = (TierSpec("flat", 1, (2000.0,) * 24, 0),)
    site = Site(Loads.of(tiers), storage=[storage])
    run(site, 120)
    assert site.balance is not None
    assert abs(site.balance.grid_w) < 150
    run(site, 6 * 3600, 120)
    assert storage.soc_pct == pytest.approx(20, abs=1)
    assert site.balance.grid_w > 1900


def test_a_storage_that_compensates_the_exchange_rests_in_the_island_of_another_source() -> None:
    """Its meter shows no exchange there: it would keep the power of before, down to an empty battery."""
    stage, car = a_car(60, forming=True)
    storage = Storage(Pack(PackSpec("s", capacity_ah=30), 60), policy="self_consumption")
    tiers = (TierSpec("flat", 0, (2000.0,) * 24, 0),)
    grid = Grid(events=[GridEvent("outage", 600, 7200)])
    site = Site(Loads.of(tiers), grid=grid, cars={"a": stage}, storage=[storage])
    site.forming_order = "a"
    run(site, 700)
    before_pct, car_pct = storage.soc_pct, car.soc_pct
    assert set(run(site, 1200, 700)) == {State.ISLAND}
    assert storage.soc_pct == pytest.approx(before_pct, abs=0.2)
    assert car.soc_pct < car_pct - 0.5


def test_the_demand_window_is_the_mean_of_thirty_minutes() -> None:
    meter = DemandMeter()
    meter.add(10_000, 1800.0 * 1000 + 900, 900)
    meter.add(20_000, 1800.0 * 1001, 3600)
    meter.add(-3_000, 1800.0 * 1003, 60)
    assert [window.demand_w for window in meter.windows] == [5000, 20_000, 20_000]
    assert meter.peak_w == 20_000
    assert meter.export_wh == 50


@given(st.lists(st.tuples(st.floats(-50_000, 50_000), st.floats(0.1, 5000)), max_size=20))
def test_demand_windows_account_all_energy(steps: list[tuple[float, float]]) -> None:
    meter, wall = DemandMeter(), 1.7e9
    for watts, seconds in steps:
        meter.add(watts, wall, seconds)
        wall += seconds
    in_windows = sum(window.energy_wh for window in meter.windows) + meter.window_wh
    assert in_windows == pytest.approx(meter.import_wh)
    assert meter.import_wh == pytest.approx(sum(max(0, w) * s / 3600 for w, s in steps), abs=1e-6)


def test_the_position_of_the_sun() -> None:
    # Tokyo, 21 June, local noon is about 11:44 JST: elevation 90 − 35.68 + 23.44 = 77.8°
    solstice = 1_781_923_440.0 + 86_400  # 2026-06-21T02:44:00Z
    high = sun(solstice, 35.68, 139.77)
    assert high.elevation == pytest.approx(77.8, abs=0.6)
    assert high.azimuth == pytest.approx(180, abs=6)
    assert sun(solstice + 12 * 3600, 35.68, 139.77).elevation < -20
    assert sun(solstice - 5 * 3600, 35.68, 139.77).azimuth < 120
    assert sun(solstice + 5 * 3600, 35.68, 139.77).azimuth > 240


def test_pv_is_a_function_of_time_and_seed() -> None:
    day = [START + minute * 60 for minute in range(1440)]
    clear = Pv(PvSpec(clearness=1.0), seed=1)
    grey = Pv(PvSpec(clearness=0.3), seed=1)
    one = [clear.at(t) for t in day]
    assert one == [Pv(PvSpec(clearness=1.0), seed=1).at(t) for t in reversed(day)][::-1]
    assert 25_000 < sum(one) / 60 < 60_000  # Wh in January from 10 kW
    assert sum(grey.at(t) for t in day) < 0.5 * sum(one)
    assert max(one) <= 10_000
    assert one[20 * 60 - 9 * 60] == 0  # 20:00 local
    clear.enabled = False
    assert clear.at(day[200]) == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_the_default_sky_yields_what_arrays_in_japan_yield_in_a_year(seed: int) -> None:
    array = Pv(PvSpec(peak_w=1000.0), seed=seed)
    days = range(0, 365, 3)
    energy_wh = sum(array.at(START + day * 86_400 + half * 1800) / 2 for day in days for half in range(48))
    assert energy_wh / len(days) * 365 / 1000 == pytest.approx(1000, abs=60)


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("store", 350, 450), ("evacuation-centre", 70, 140), ("welfare-facility", 180, 320), ("home", 12, 30)],
)
def test_loads_match_the_daily_energy_of_their_kind(kind: str, low: float, high: float) -> None:
    loads = Loads.of(kind, seed=3)
    for minute in range(1440):
        loads.update(START + minute * 60, 9 * 3600)
        loads.account(60, energised=True)
    assert low < loads.served_wh / 1000 < high
    assert loads.unserved_wh == 0
    assert any(tier.critical for tier in SITES[kind])
    same, other = Loads.of(kind, seed=3), Loads.of(kind, seed=4)
    assert same.update(START, 0) == Loads.of(kind, seed=3).update(START, 0) != other.update(START, 0)
    with pytest.raises(ValueError, match="24 hourly"):
        TierSpec("bad", 1, (1.0,) * 23)


def test_the_grid_follows_its_events() -> None:
    grid = Grid(
        events=[
            GridEvent("outage", 10, 5),
            GridEvent("brown-out", 20, 5, 0.7),
            GridEvent("frequency-step", 30, 5, -0.4),
            GridEvent("frequency-drift", 40, 10, 1.0),
        ],
        deviation_hz=0,
    )
    assert grid.at(0) == Supply(True, 200, 50)
    assert not grid.at(12).present
    assert grid.at(22).voltage_v == pytest.approx(140)
    assert grid.at(32).frequency_hz == pytest.approx(49.6)
    assert grid.at(45).frequency_hz == pytest.approx(51)
    grid.add(GridEvent("outage", 100, 1000))
    grid.end("outage", 150)
    assert grid.at(160).present
    with pytest.raises(ValueError, match="factor"):
        GridEvent("brown-out", 0, 1, 0)
    assert replace(grid, deviation_hz=0.05).at(77).frequency_hz != 50


@pytest.mark.parametrize(
    ("supply", "relay"),
    [
        (Supply(True, 231, 50), "OVR"),
        (Supply(True, 159, 50), "UVR"),
        (Supply(True, 200, 51.1), "OFR"),
        (Supply(True, 200, 48.4), "UFR"),
        (Supply(False, 0, 0), "ISLANDING"),
    ],
)
def test_protection_trips_after_its_delay_and_blocks_for_300_s(supply: Supply, relay: str) -> None:
    protection = InterfaceProtection()
    healthy = Supply(True, 200, 50)
    assert protection.update(healthy, 0) is None
    assert protection.update(supply, 1.0) is None
    assert protection.update(supply, 1.4) is None
    assert protection.update(supply, 2.1) == relay
    assert protection.update(supply, 3) is None
    for second in range(4, 300):
        protection.update(healthy, second)
        assert protection.tripped == relay
    protection.update(healthy, 305)
    assert protection.tripped is None
    assert protection.update(supply, 400) is None  # a short dip
    assert protection.update(healthy, 400.2) is None
    assert protection.tripped is None
    assert jeac_9701(60)[2].limit == pytest.approx(61.2)


def test_the_switch_confirms_its_open_position() -> None:
    switch = TransferSwitch()
    switch.open(0)
    assert switch.advance(0.3) is Position.OPENING
    assert switch.conducts
    assert switch.advance(0.5) is Position.OPEN
    assert switch.confirmed_open
    switch.close(1)
    assert switch.conducts
    assert switch.advance(2) is Position.CLOSED
    assert switch.operations == 2


def test_a_commanded_converter_forms_only_behind_an_open_switch() -> None:
    stage, _ = a_car(80, forming=True)
    stage.grid_forming_ordered = False
    site = Site(Loads.of("home"), grid=Grid(events=[GridEvent("outage", 10, 9000)]), cars={"a": stage})
    site.switch.stuck = True
    run(site, 60)
    stage.grid_forming_ordered = True  # somebody orders it without the proof
    assert set(run(site, 60, 60)) == {State.DE_ENERGISED}
    assert site.unconfirmed_orders == 1
    assert site.fed_dead_grid_wh == 0
    stage.grid_forming_ordered, site.switch.stuck = False, False
    assert set(run(site, 60, 120)) == {State.DE_ENERGISED}  # the switch is open now, and without an order
    stage.grid_forming_ordered = True
    assert run(site, 30, 180)[-1] is State.ISLAND
    stage.grid_forming_ordered = False
    assert run(site, 30, 210)[-1] is State.DE_ENERGISED
    assert site.unconfirmed_orders == 1


@settings(max_examples=rounds(15, 40), deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from([True, False, None]), st.booleans()), max_size=8))
def test_no_order_energises_a_failed_grid(steps: list[tuple[int, bool | None, bool]]) -> None:
    stage, _ = a_car(80, forming=True)
    other, _ = a_car(60, forming=True)
    site = Site(Loads.of("home"), grid=Grid(events=[GridEvent("outage", 20, 9000)]), cars={"a": stage, "b": other})
    other.grid_forming_ordered, at = False, 0
    for seconds, ordered, stuck in steps:
        stage.grid_forming_ordered, site.switch.stuck = ordered, stuck
        for state in run(site, seconds, at):
            assert state is not State.ISLAND or site.switch.confirmed_open
        at += seconds
        assert site.fed_dead_grid_wh == 0
        assert other.island_w is None
