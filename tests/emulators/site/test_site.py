"""Site model: power balance, outage, island and reconnection; no export into a failed grid."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.battery.pack import Pack, PackSpec
from emulators.charger.hardware.power_stage import Contactors, PowerStage, StageSpec
from emulators.ev.car import CCS_63, Car
from emulators.runtime.clock import START
from emulators.site.balance import State
from emulators.site.grid import Grid, GridEvent
from emulators.site.load import Loads, TierSpec
from emulators.site.protected_board import ProtectedBoard
from emulators.site.pv import Pv
from emulators.site.site import Site, SiteSpec
from emulators.site.storage import STORAGE_STAGE, Policy, Storage
from emulators.site.switch import Position
from tests.emulators.site.site_rig import NOON_TOKYO, Diary, a_car, run
from tests.rounds import rounds

Order = Literal["open", "closed"] | None


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


@settings(max_examples=rounds(6, 15), deadline=None)
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
