"""Site model: power balance, outage, island and reconnection; no export into a failed grid."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.battery.pack import Pack, PackSpec
from emulators.battery.second_life import SecondLifePack
from emulators.charger.hardware.power_stage import Contactors, PowerStage, StageSpec
from emulators.ev.car import CCS_63, Car
from emulators.runtime.clock import START
from emulators.site.balance import State
from emulators.site.demand_meter import DemandMeter
from emulators.site.grid import Grid, GridEvent, InterfaceProtection, Supply, jeac_9701
from emulators.site.load import SITES, Loads, TierSpec
from emulators.site.protected_board import ProtectedBoard
from emulators.site.pv import Pv, PvSpec, sun
from emulators.site.site import Site, SiteSpec
from emulators.site.storage import STORAGE_STAGE, Policy, Storage
from emulators.site.switch import Position, TransferSwitch

Order = Literal["open", "closed"] | None
NOON_TOKYO = START + 3 * 3600


def a_car(soc: float, *, forming: bool) -> tuple[PowerStage, Car]:
    car = Car(soc_pct=soc)
    car.contactors_closed = True
    stage = PowerStage(StageSpec(forming=forming, max_current_a=40), step_s=1.0)
    stage.connect(car)
    stage.contactors = Contactors.CLOSED
    return stage, car


class Diary:
    """Events that a site reported."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, what: str, why: str) -> None:
        self.lines.append((what, why))


def run(site: Site, seconds: int, start: int = 0) -> list[State]:
    states = []
    for second in range(start, start + seconds):
        balance = site.step(float(second + 1), START + second + 1, 1.0)
        states.append(balance.state)
        if balance.state is not State.DE_ENERGISED:
            assert balance.load_w + balance.cars_w + balance.storage_w == pytest.approx(
                balance.pv_w + balance.grid_w, abs=max(150.0, 0.03 * balance.load_w)
            )
    return states


def test_an_hour_on_the_grid() -> None:
    stage, _ = a_car(60, forming=False)
    site = Site(Loads.of("store", seed=1), cars={"a": stage})
    stage.set_point(-5000, 0.0)
    assert set(run(site, 3600)) == {State.GRID}
    balance = site.balance
    assert balance is not None
    assert balance.cars_w == pytest.approx(-5000, rel=0.01)
    assert site.import_wh == pytest.approx(site.loads.served_wh - 5000, rel=0.02)
    assert site.meter.import_wh == pytest.approx(site.import_wh)


def test_a_car_supplies_the_site_through_an_outage_of_two_hours() -> None:
    stage, car = a_car(80, forming=True)
    follower, _ = a_car(70, forming=False)
    diary = Diary()
    site = Site(
        Loads.of("evacuation-centre", seed=1),
        grid=Grid(events=[GridEvent("outage", 600, 7200)]),
        cars={"a": stage, "b": follower},
        report=diary,
    )
    stage.set_point(-2000, 0.0)
    follower.set_point(-1500, 0.0)
    states = run(site, 9000)
    assert states.count(State.DE_ENERGISED) <= 15
    assert states.count(State.ISLAND) > 7000
    assert states[-1] is State.GRID
    assert site.fed_dead_grid_wh == 0
    assert site.loads.unserved_critical_wh < 20
    assert car.soc_pct < 80
    order = [what + ": " + why for what, why in diary.lines]
    expected = [
        "grid: lost",
        "site: dark",
        "protection: ISLANDING tripped",
        "switch: confirmed open",
        "site: island formed",
        "site: back on the grid",
    ]
    assert [line for line in order if line in expected] == expected
    assert stage.reading(9000).ac_power_w == pytest.approx(-2000, rel=0.02)


def test_the_reconnect_time_is_kept() -> None:
    stage, _ = a_car(80, forming=False)
    site = Site(
        Loads.of("home"),
        grid=Grid(events=[GridEvent("outage", 10, 30)]),
        cars={"a": stage},
        spec=SiteSpec(backup=False),
    )
    stage.set_point(-2000, 0.0)
    run(site, 45)
    assert site.state is State.GRID
    assert stage.reading(45).ac_power_w == 0
    run(site, 250, 45)
    assert stage.reading(295).ac_power_w == 0
    run(site, 60, 295)
    assert stage.reading(355).ac_power_w == pytest.approx(-2000, rel=0.02)


def test_overload_sheds_the_lowest_priority_tier_and_restores_it() -> None:
    stage, _ = a_car(90, forming=True)
    tiers = (
        TierSpec("life", 1, (4000.0,) * 24, 0, critical=True),
        TierSpec("comfort", 2, (9000.0,) * 12 + (1000.0,) * 12, 0),
    )
    diary = Diary()
    grid = Grid(events=[GridEvent("outage", 5, 6 * 3600)])
    site = Site(Loads.of(tiers), grid=grid, cars={"a": stage}, report=diary)
    states = run(site, 4 * 3600)  # 9:00 to 13:00 in Tokyo
    assert ("shed", "comfort: overload") in diary.lines
    assert ("restored", "comfort") in diary.lines
    assert states.count(State.DE_ENERGISED) < 15
    assert site.loads.unserved_critical_wh < 20
    assert site.loads.unserved_wh > 1000


def test_low_soc_sheds_tiers_and_the_floor_ends_the_island() -> None:
    small = PackSpec("small", capacity_ah=10)
    car = Car(replace(CCS_63, aux_w=0), pack=Pack(small, 60))
    car.contactors_closed = True
    stage = PowerStage(StageSpec(forming=True), step_s=1.0)
    stage.connect(car)
    stage.contactors = Contactors.CLOSED
    diary = Diary()
    site = Site(
        Loads.of("evacuation-centre"),
        grid=Grid(events=[GridEvent("outage", 5, 86_400)]),
        cars={"a": stage},
        spec=SiteSpec(tier_floors=((2, 50.0), (1, 30.0))),
        report=diary,
    )
    states = run(site, 3 * 3600)
    shed = [why for what, why in diary.lines if what == "shed"]
    assert shed[0].startswith("ventilation")
    assert shed[1].startswith("water")
    assert diary.lines[-1] == ("site", "island collapsed: no source left")
    assert states[-1] is State.DE_ENERGISED
    assert car.soc_pct == pytest.approx(10, abs=0.2)


def test_a_stuck_switch_keeps_the_site_without_supply_and_without_export() -> None:
    stage, _ = a_car(80, forming=True)
    site = Site(Loads.of("home"), grid=Grid(events=[GridEvent("outage", 5, 600)]), cars={"a": stage})
    site.switch.stuck = True
    stage.set_point(-5000, 0.0)
    states = run(site, 600)
    assert State.ISLAND not in states
    assert site.fed_dead_grid_wh == 0
    assert stage.reading(600).ac_power_w == 0


def a_board(soc: float, *, max_w: float = 5000.0, policy: Policy = "idle") -> tuple[Storage, ProtectedBoard]:
    spec = replace(STORAGE_STAGE, max_discharge_w=max_w)
    pack = Pack(PackSpec("new", capacity_ah=20), soc)
    storage = Storage(pack, PowerStage(spec, step_s=1.0), policy)
    return storage, ProtectedBoard([storage])


def test_a_protected_board_serves_all_critical_load() -> None:
    """Two gaps of half a cycle from the loss of the grid to its return, and no unserved energy."""
    stage, _ = a_car(80, forming=True)
    storage, board = a_board(70)
    grid = Grid(events=[GridEvent("outage", 60, 900)])
    site = Site(Loads.of("evacuation-centre", seed=1), storage=[storage], grid=grid, cars={"a": stage}, board=board)
    full = storage.soc_pct
    states = run(site, 62)
    assert board.supplying
    later = run(site, 1500, 62)
    assert [states[-1], later[60], later[-1]] == [State.DE_ENERGISED, State.ISLAND, State.GRID]
    assert site.loads.unserved_critical_wh == 0
    assert site.loads.unserved_transfer_wh == 0
    assert site.transfer_gap_s == 0
    assert board.transfers == 1
    assert board.gap_s == pytest.approx(2 * board.transfer_s)
    assert storage.soc_pct < full  # it came from somewhere
    assert site.fed_dead_grid_wh == 0
    assert site.loads.unserved_wh > 0  # the rest of the site was dark


@pytest.mark.parametrize(("soc", "max_w"), [(9.0, 5000.0), (80.0, 800.0)])
def test_a_protected_board_with_an_empty_or_small_storage_is_unserved(soc: float, max_w: float) -> None:
    storage, board = a_board(soc, max_w=max_w)
    grid = Grid(events=[GridEvent("outage", 10, 600)])
    site = Site(
        Loads.of("welfare-facility", seed=1), storage=[storage], grid=grid, spec=SiteSpec(backup=False), board=board
    )
    run(site, 300)
    assert not board.supplying
    assert site.loads.unserved_critical_wh > 100
    assert storage.stage.reading(300).ac_power_w == 0


def test_a_standby_storage_supplies_only_its_protected_board() -> None:
    storage, board = a_board(40, policy="standby")
    grid = Grid(events=[GridEvent("outage", 3600, 86_400)])
    site = Site(Loads.of("home", scale=4.0), storage=[storage], grid=grid, board=board)
    run(site, 3600)
    charged = storage.soc_pct
    assert charged > 45  # kept full on the grid
    states = run(site, 8 * 3600, 3600)
    assert State.ISLAND not in states
    assert storage.soc_pct == pytest.approx(10, abs=0.5)
    assert not board.supplying
    assert site.loads.unserved_critical_wh > 0
    assert site.loads.tiers[0].served_wh > 800


@pytest.mark.parametrize("step_s", [0.5, 1.0, 5.0])
def test_the_transfer_gap_is_independent_of_the_step_size(step_s: float) -> None:
    stage, _ = a_car(80, forming=True)
    grid = Grid(events=[GridEvent("outage", 60, 1200)])
    site = Site(Loads.of("evacuation-centre", seed=1), grid=grid, cars={"a": stage})
    steps = int(900 / step_s)
    for n in range(1, steps + 1):
        site.step(n * step_s, START + n * step_s, step_s)
    assert site.state is State.ISLAND
    assert 6.5 <= site.transfer_gap_s <= site.transfer_s
    assert site.transfer_s == pytest.approx(7.5)
    assert site.loads.unserved_critical_wh == 0
    assert 0 < site.loads.unserved_transfer_wh < 8
    assert site.de_energised_s == site.transfer_gap_s


def test_an_outage_beyond_the_switchgear_time_is_unserved() -> None:
    """Without a source the first seconds are a transfer, the rest is unserved."""
    site = Site(Loads.of("evacuation-centre", seed=1), grid=Grid(events=[GridEvent("outage", 60, 3600)]))
    run(site, 660)
    assert site.transfer_gap_s == pytest.approx(site.transfer_s, abs=0.5)
    assert site.loads.unserved_critical_wh == pytest.approx(1600 * 592 / 3600, rel=0.4)
    no_switch = Site(Loads.of("home"), grid=Grid(events=[GridEvent("outage", 60, 3600)]), spec=SiteSpec(backup=False))
    run(no_switch, 660)
    assert no_switch.transfer_gap_s == 0
    assert no_switch.loads.unserved_transfer_wh == 0


def test_the_switch_follows_its_order() -> None:
    """An open order on a normal grid makes an island, which lasts until a close order or none."""
    stage, _ = a_car(80, forming=True)
    diary = Diary()
    site = Site(Loads.of("home", seed=1), cars={"a": stage}, report=diary)
    run(site, 10)
    site.switch_order = "open"
    states = run(site, 60, 10)
    assert states[-1] is State.ISLAND
    assert site.switch.confirmed_open
    assert ("grid", "lost") not in diary.lines
    run(site, 400, 70)
    assert site.state is State.ISLAND  # longer than the reconnect time: the order stands
    site.switch_order = "closed"
    assert run(site, 10, 470)[-1] is State.GRID
    assert site.switch.position is Position.CLOSED
    assert site.fed_dead_grid_wh == 0


@pytest.mark.parametrize("order", ["closed", None])
def test_no_order_closes_the_switch_onto_a_dead_grid(order: Literal["closed"] | None) -> None:
    stage, _ = a_car(80, forming=True)
    site = Site(Loads.of("home", seed=1), grid=Grid(events=[GridEvent("outage", 10, 600)]), cars={"a": stage})
    site.switch_order = order
    for second in range(1, 600):
        site.step(float(second), START + second, 1.0)
        if site.state is State.ISLAND and not site.grid.at(float(second)).present:
            assert site.switch.confirmed_open
    later = run(site, 400, 600)
    assert later[199] is State.ISLAND  # the grid is back, its reconnect time is not over: the order waits, too
    assert later[-1] is State.GRID
    assert site.fed_dead_grid_wh == 0


def test_an_island_with_an_open_order_lasts_after_the_grid_returned() -> None:
    stage, _ = a_car(80, forming=True)
    site = Site(Loads.of("home", seed=1), grid=Grid(events=[GridEvent("outage", 10, 60)]), cars={"a": stage})
    site.switch_order = "open"
    assert run(site, 1200)[-1] is State.ISLAND
    site.switch_order = None  # whoever ordered is gone: the switchgear goes by its own rules
    assert run(site, 10, 1200)[-1] is State.GRID


def test_a_deep_brown_out_counts_as_a_loss_of_the_grid() -> None:
    """A brown-out below half the voltage opens contactors; above it the site stays on grid."""
    for volts, state in ((0.3, State.ISLAND), (0.7, State.GRID)):
        stage, _ = a_car(80, forming=True)
        grid = Grid(events=[GridEvent("brown-out", 10, 600, volts)])
        site = Site(Loads.of("home", seed=1), grid=grid, cars={"a": stage})
        assert run(site, 60)[-1] is state
        assert site.fed_dead_grid_wh == 0


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.builds(
            GridEvent,
            st.sampled_from(["outage", "brown-out", "frequency-step", "frequency-drift"]),
            st.integers(5, 1500),
            st.integers(1, 600),
            st.floats(0.3, 1.5),
        ),
        max_size=5,
    ),
    st.floats(12, 95),
    st.floats(-9000, 9000),
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from(["open", "closed", None]), min_size=1, max_size=6),
)
def test_no_sequence_of_events_and_orders_feeds_a_failed_grid(
    events: list[GridEvent], soc: float, watts: float, forming: bool, backed: bool, orders: list[Order]
) -> None:
    stage, car = a_car(soc, forming=forming)
    storage = Storage(Pack(PackSpec("s", capacity_ah=30), 60), policy="self_consumption")
    site = Site(Loads.of("evacuation-centre"), [Pv()], [storage], Grid(events=events), {"a": stage}, SiteSpec())
    if backed:
        site.board = ProtectedBoard([storage])
    stage.set_point(watts, 0.0)
    for second in range(2000):
        site.switch_order = orders[second // 331 % len(orders)]
        balance = site.step(second + 1.0, NOON_TOKYO + second + 1, 1.0)
        assert balance.state is not State.ISLAND or site.switch.position is not Position.CLOSED
        if balance.state is State.ISLAND and not site.grid.at(second + 1.0).present:
            assert site.switch.confirmed_open
    assert site.fed_dead_grid_wh == 0
    assert car.soc_pct >= 10 - 0.5 or watts < 0


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


@settings(max_examples=40, deadline=None)
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
