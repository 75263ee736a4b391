"""One step on the grid by numbers: base power, demand window, headroom, target, ramp, shares, and what is recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.authority.demand_window import DemandWindow
from gateway.authority.meter_model import MeterModel
from gateway.authority.site_limits import Base, Headroom
from gateway.energy.dispatch import Fleet, Shares
from gateway.energy.modes.mode import Target, TargetCode
from gateway.energy.on_grid import GridStep, OnGrid, _goal_w, _returning, _without_small_steps
from gateway.energy.planning.problem import Plan
from gateway.energy.recharge_control import Recharging
from gateway.energy.recharge_targets import RechargeTarget
from gateway.energy.resource import STORAGE, Resource
from gateway.energy.settings import EnergySection, StorageTable
from gateway.energy.view import Car, View
from gateway.model.command import SiteMode
from gateway.model.energy_state import PlanSource
from gateway.model.reason import Code
from gateway.model.site import AnyInput, Grid, InputKind, Inputs, Load, Meter, Price, PricePeriod, Pv, Storage
from tests.gateway.energy.cars import car

WALL = 1_800_000_000.0 - 1_800_000_000.0 % 86_400
INF = math.inf


def at(evse: str, **more: Any) -> Car:
    return Car(evse, **({"max_charge_w": 6000.0, "max_discharge_w": 6000.0} | more))


@dataclass
class Site:
    """Operation on the grid, and the inputs of the site; `step` is one second."""

    settings: EnergySection = field(default_factory=EnergySection)
    mode: SiteMode = SiteMode.GRID_SERVICE
    now: float = 1000.0
    inputs: Inputs = field(default_factory=Inputs)

    def __post_init__(self) -> None:
        self.recharging = Recharging(self.settings)
        self.on_grid = OnGrid(self.settings, self.recharging, MeterModel(self.settings.meter_delay_s))

    @property
    def wall(self) -> float:
        return WALL + self.now

    def put(self, kind: InputKind, value: AnyInput) -> None:
        self.inputs.put(kind, value, self.now, value.ts)

    def grid(self, power_w: float | None) -> None:
        self.put(InputKind.GRID, Grid(ts=self.wall, present=True, power_w=power_w))

    def load(self, power_w: float) -> None:
        self.put(InputKind.LOAD, Load(ts=self.wall, power_w=power_w))

    def known(self, **powers_w: float) -> None:
        """Record powers that have not changed for a minute, so that the meter's delay does not matter."""
        for name, power_w in powers_w.items():
            self.on_grid.meter_model.history.record(name, self.now - 60, [power_w])

    def view(self, cars: Sequence[Car] = (), **more: Any) -> View:
        return View(self.now, self.wall, self.inputs, cars, self.mode, **more)

    def step(
        self,
        resources: Sequence[Resource],
        cars: Sequence[Car] = (),
        *,
        grid_w: float | None = None,
        share: float = 1.0,
        after_s: float = 1.0,
        **more: Any,
    ) -> GridStep:
        self.now += after_s
        if grid_w is not None:
            self.grid(grid_w)
        return self.on_grid.step(self.view(cars, **more), resources, share)


def codes(step: GridStep) -> list[str]:
    return [str(event.code) for event in step.events]


# pure functions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target_w", "soft", "headroom", "must_w", "goal_w"),
    [
        (1000.0, True, Headroom(), 0.0, 1000.0),
        (-1000.0, True, Headroom(), 0.0, -1000.0),
        (None, True, Headroom(), 0.0, 0.0),
        (20_000.0, True, Headroom(), 0.0, 12_000.0),
        (-20_000.0, True, Headroom(), 0.0, -12_000.0),
        (5000.0, True, Headroom(high_w=3000.0), 0.0, 3000.0),
        (5000.0, True, Headroom(low_w=-9000.0, high_w=-3000.0), 0.0, -3000.0),
        (-5000.0, True, Headroom(low_w=-3000.0), 0.0, -3000.0),
        (-5000.0, True, Headroom(low_w=3000.0), 0.0, 3000.0),
        (1000.0, True, Headroom(), 4000.0, 4000.0),
        (5000.0, True, Headroom(), 4000.0, 5000.0),
        (0.0, True, Headroom(), 4000.0, 4000.0),
        (-1000.0, True, Headroom(), 4000.0, 3000.0),  # the other one supplies the site meanwhile
        (-9000.0, True, Headroom(), 4000.0, -2000.0),  # with all that it can
        (1000.0, False, Headroom(), 4000.0, 1000.0),
        (-9000.0, False, Headroom(), 4000.0, -9000.0),
        (0.5, True, Headroom(), 4000.0, 4000.0),
        (0.5, True, Headroom(), 0.25, 0.5),
    ],
)
def test_where_the_ramp_goes(
    target_w: float | None, soft: bool, headroom: Headroom, must_w: float, goal_w: float
) -> None:
    fleet = Fleet([car("A", must_w=must_w), car("B")], WALL)
    target = Target(target_w, TargetCode.BALANCED, "", soft=soft)
    assert _goal_w(target, fleet, headroom) == pytest.approx(goal_w)


def test_after_an_outage_a_resource_has_a_share_of_its_power() -> None:
    one = car(max_charge_w=6000.0, max_discharge_w=4000.0)
    assert _returning(one, 1.0) is one
    part = _returning(one, 0.25)
    assert part == replace(one, max_charge_w=1500.0, max_discharge_w=1000.0)


# base power -----------------------------------------------------------------------------------------------------------


def test_base_power_by_the_grid_meter() -> None:
    site = Site()
    site.known(A=-1000.0, B=3000.0, H=700.0)
    site.grid(5000.0)
    fleet = [car("A", power_w=-1000.0), car("B", setpoint_w=3000.0)]
    cars = [at("A", power_w=-1000.0), at("B", setpoint_w=3000.0), at("H", held=True, power_w=700.0)]
    grid_w, base = site.on_grid.site_w(site.view(cars), fleet)
    assert grid_w == 5000.0
    assert base == Base(3000.0, "", 0.0, 0.0)  # 5000 + 1000 - 3000, and 700 W under a command belong to it


def test_base_power_is_uncertain_while_a_power_moves() -> None:
    site = Site()
    site.grid(5000.0)
    grid_w, base = site.on_grid.site_w(site.view([at("A", flowing_w=[0.0, 2000.0])]), [car("A")])
    assert (grid_w, base.power_w) == (5000.0, 4000.0)
    for _ in range(2):
        site.now += 1
        site.grid(5400.0)
        _, base = site.on_grid.site_w(site.view([at("A", flowing_w=[0.0, 2000.0])]), [car("A")])
    assert base == Base(4000.0, "", 600.0, 1000.0)


def test_an_impossible_first_reading_of_the_meter_is_no_base_power() -> None:
    site = Site()
    site.grid(50_000.0)
    site.load(1000.0)
    assert site.on_grid.site_w(site.view(connection_w=20_000.0), []) == (1000.0, Base(1000.0))
    assert Site().on_grid.site_w(site.view(connection_w=50_000.0), []) == (50_000.0, Base(50_000.0, "", 0.0, 0.0))


@pytest.mark.parametrize("controlled", [False, True])
def test_base_power_by_load_pv_and_storage(controlled: bool) -> None:
    site = Site(EnergySection(storage=StorageTable(controlled=controlled)))
    fleet, cars = [car("A", power_w=-1000.0)], [at("A", power_w=-1000.0), at("H", held=True, power_w=700.0)]
    assert site.on_grid.site_w(site.view(cars), fleet) == (None, Base(None))
    site.grid(None)
    assert site.on_grid.site_w(site.view(cars), fleet) == (None, Base(None))
    site.load(4000.0)
    assert site.on_grid.site_w(site.view(cars), fleet) == (3700.0, Base(4700.0))
    cars.append(at("I", held=True))
    assert site.on_grid.site_w(site.view(cars), fleet) == (3700.0, Base(4700.0))
    site.put(InputKind.PV, Pv(ts=site.wall, power_w=1500.0))
    assert site.on_grid.site_w(site.view(cars), fleet) == (2200.0, Base(3200.0))
    site.put(InputKind.STORAGE, Storage(ts=site.wall, power_w=300.0))
    base_w = 3200.0 if controlled else 3500.0
    assert site.on_grid.site_w(site.view(cars), fleet) == (base_w - 1000.0, Base(base_w))


def test_stale_inputs_give_no_base_power() -> None:
    site = Site()
    site.grid(4000.0)
    site.load(3000.0)
    site.put(InputKind.PV, Pv(ts=site.wall, power_w=500.0))
    site.put(InputKind.STORAGE, Storage(ts=site.wall, power_w=300.0))
    site.now += 12
    assert site.on_grid.site_w(site.view(), []) == (2800.0, Base(2800.0))
    site.now += 50
    site.load(3000.0)
    assert site.on_grid.site_w(site.view(), []) == (3000.0, Base(3000.0))
    site.now += 20
    assert site.on_grid.site_w(site.view(), []) == (None, Base(None))


def test_metered_base_power_contains_vehicles_under_commands() -> None:
    site = Site()
    assert site.on_grid.metered_base_w is None
    site.known(A=200.0, H=700.0)
    cars = [at("H", held=True, power_w=700.0), at("A", power_w=200.0)]
    site.step([car("A", power_w=200.0)], cars, grid_w=5000.0)
    assert site.on_grid.metered_base_w == 4800.0


# what is recorded -----------------------------------------------------------------------------------------------------


def test_the_power_of_every_vehicle_is_recorded() -> None:
    site = Site()
    present = site.on_grid.meter_model.history.present
    cars = [at("A", power_w=-1000.0), at("B", setpoint_w=500.0), at("C", power_w=1.0, flowing_w=[700.0, 900.0])]
    site.on_grid.site_w(site.view(cars), [])
    assert [present(name) for name in "ABC"] == [(-1000.0, -1000.0), (500.0, 500.0), (700.0, 900.0)]
    site.now += 1
    site.on_grid.site_w(site.view(cars[:1]), [])  # B and C have left
    assert [present(name) for name in "ABC"] == [(-1000.0, -1000.0), (0.0, 0.0), (0.0, 0.0)]
    assert site.on_grid.meter_model.history.constant_since(site.now) == -1000.0


@pytest.mark.parametrize(
    ("setpoint_w", "target_w", "expected_w"),
    [
        (-1000.0, -1024.0, -1000.0),
        (-1000.0, -1025.0, -1025.0),
        (-1000.0, -976.0, -1000.0),
        (-1010.0, -1000.0, -1000.0),  # the export limit allows 990 W for both
        (0.0, -24.0, -24.0),
        (-24.0, 0.0, 0.0),
    ],
)
def test_the_storage_keeps_its_set_point_within_the_limits(
    setpoint_w: float, target_w: float, expected_w: float
) -> None:
    storage = car(STORAGE, setpoint_w=setpoint_w)
    left = Headroom(-990.0 if setpoint_w == -1010.0 else -INF, INF)
    shares = _without_small_steps(Shares({STORAGE: target_w, "A": 10.0}, target_w + 10.0, 0.0), [storage], left)
    assert shares.power_w == {STORAGE: expected_w, "A": 10.0}
    assert (shares.total_w, shares.short_w) == (expected_w + 10.0, target_w - expected_w)


@pytest.mark.parametrize(("low_w", "high_w"), [(-990.0, INF), (-INF, -990.0)])
def test_the_storage_keeps_its_set_point_at_a_limit(low_w: float, high_w: float) -> None:
    shares = Shares({STORAGE: -1010.0, "A": 10.0}, -1000.0, 0.0)
    storage = car(STORAGE, setpoint_w=-1000.0)
    assert _without_small_steps(shares, [storage], Headroom(low_w, high_w)).total_w == -990.0


def test_the_power_of_the_storage_is_recorded_where_it_is_controlled() -> None:
    site = Site()
    present = site.on_grid.meter_model.history.present
    for one, expected in (
        (car(STORAGE, power_w=300.0, setpoint_w=800.0), (300.0, 300.0)),
        (car(STORAGE, setpoint_w=800.0, flowing_w=(300.0, 800.0)), (300.0, 800.0)),
        (car("A", power_w=100.0), (0.0, 0.0)),
        (car(STORAGE, power_w=300.0, setpoint_w=800.0), (300.0, 300.0)),
    ):
        site.on_grid.site_w(site.view(), [car("X"), one])
        assert present(STORAGE) == expected


def test_orders_are_recorded_where_no_record_of_them_exists() -> None:
    site = Site()
    present = site.on_grid.meter_model.history.present
    cars = [at("A", flowing_w=[100.0]), at("B", power_w=200.0)]
    site.on_grid.site_w(site.view(cars), [])
    site.on_grid.ordered(site.view(cars), {"A": 900.0, "B": 900.0, STORAGE: -400.0})
    assert [present(name) for name in ("A", "B", STORAGE)] == [(100.0, 100.0), (200.0, 900.0), (-400.0, 0.0)]


def test_a_storage_that_gives_less_than_its_set_point_moves_once() -> None:
    """The sums of movements, by which the meter model widens the load, grow by new orders only."""
    site = Site()
    history = site.on_grid.meter_model.history
    for _ in range(3):
        found = car(STORAGE, power_w=-1000.0, setpoint_w=-2000.0, flowing_w=(-1000.0,))
        site.on_grid.site_w(site.view(), [found])
        site.on_grid.ordered(site.view(), {STORAGE: -2000.0})
        site.now += 2.0
    assert history.present(STORAGE) == (-1000.0, -1000.0)
    assert history.within(site.now, site.now).fell_w == 1000.0
    site.on_grid.ordered(site.view(), {STORAGE: -2500.0})
    assert history.present(STORAGE) == (-2500.0, -1000.0)


def test_each_step_records_its_orders() -> None:
    site = Site(mode=SiteMode.SELF_CONSUMPTION)
    cars = [at("A", power_w=0.0)]
    for _ in range(3):
        site.step([car("A", power_w=0.0)], cars, grid_w=4000.0)
    assert site.on_grid.meter_model.history.present("A")[0] < -3000.0


# the demand window ----------------------------------------------------------------------------------------------------


def window(site: Site) -> DemandWindow:
    assert site.on_grid.window is not None
    return site.on_grid.window


def test_the_first_window_begins_with_the_contract_for_the_time_before() -> None:
    site = Site(EnergySection(contract_w=9000.0, window_s=1800.0))
    assert site.on_grid.meter(site.view(import_w=50_000.0), 4000.0) == []
    found = window(site)
    assert (found.start, found.at, found.length_s, found.power_w) == (WALL, WALL + 1000, 1800.0, 4000.0)
    assert found.imported_wh == pytest.approx(9000.0 * 1000 / 3600)
    assert found.estimated_wh == found.imported_wh


@pytest.mark.parametrize(("import_w", "limit_w"), [(7200.0, 7200.0), (None, 0.0)])
def test_without_a_contract_the_import_limit_counts_for_unknown_time(import_w: float | None, limit_w: float) -> None:
    site = Site()
    site.on_grid.meter(site.view(import_w=import_w), 4000.0)
    assert window(site).imported_wh == pytest.approx(limit_w * 1000 / 3600)


def test_the_first_seconds_of_a_window_count_at_the_contract() -> None:
    site = Site(EnergySection(contract_w=9000.0, window_s=900.0), now=930.0)
    site.on_grid.meter(site.view(), 4000.0)
    assert (window(site).start, window(site).length_s) == (WALL + 900, 900.0)
    assert window(site).imported_wh == pytest.approx(75.0)


def test_each_step_counts_its_grid_power() -> None:
    site = Site(EnergySection(contract_w=9000.0))
    site.step([], grid_w=4000.0)
    assert window(site).power_w == 4000.0


def test_the_configured_delay_of_the_meter_is_used() -> None:
    assert Site(EnergySection(meter_delay_s=5.0)).on_grid.meter_model.delay_s == 5.0


def test_the_window_integrates_the_grid_power_and_a_gap_counts_at_the_contract() -> None:
    site = Site(EnergySection(contract_w=9000.0))
    site.on_grid.meter(site.view(), 3600.0)
    before_wh = window(site).imported_wh
    site.now += 10
    site.on_grid.meter(site.view(), -500.0)
    assert window(site).imported_wh == pytest.approx(before_wh + 10.0)
    assert window(site).power_w == 0.0
    site.now += 100
    site.on_grid.meter(site.view(), None)
    assert window(site).imported_wh == pytest.approx(before_wh + 10.0 + 250.0)
    assert window(site).power_w == 9000.0


def test_a_window_above_the_contract_is_reported_and_every_window_is_billed() -> None:
    site = Site(EnergySection(contract_w=9000.0), now=1790.0)
    site.on_grid.restore(DemandWindow(WALL, WALL + 1790, 4600.0, 7200.0), 500.0, WALL)
    assert (site.on_grid.billed.peak_w, site.on_grid.billed.seen) == (500.0, WALL)
    site.now += 5
    assert site.on_grid.meter(site.view(), 7200.0) == []
    site.now += 10
    (event,) = site.on_grid.meter(site.view(), 7200.0)
    assert (event.at, event.code) == (1805.0, "contract_exceeded")
    assert dict(event.figures) == {"average_w": 9240}
    assert "9240 W, above the contract of 9000 W" in event.text
    assert site.on_grid.billed.peak_w == pytest.approx(9240.0)
    assert site.on_grid.billed.seen == WALL
    assert window(site).imported_wh == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("contract_w", "imported_wh", "count"), [(9000.0, 4500.0, 0), (9000.0, 4500.1, 1), (None, 9e9, 0)]
)
def test_only_a_window_above_the_contract_is_reported(contract_w: float | None, imported_wh: float, count: int) -> None:
    site = Site(EnergySection(contract_w=contract_w), now=1800.0)
    site.on_grid.restore(DemandWindow(WALL, WALL + 1800, imported_wh), 0.0, WALL)
    assert len(site.on_grid.meter(site.view(), 0.0)) == count
    assert site.on_grid.billed.peak_w == pytest.approx(imported_wh * 2)


def test_the_peak_is_that_of_the_billing_period_in_the_zone_of_the_site() -> None:
    site = Site(EnergySection(billing_period="year", time_zone="Asia/Tokyo"))
    assert site.on_grid.billed.period == "year"
    assert str(site.on_grid.billed.zone) == "Asia/Tokyo"


def demand_meter(site: Site, **more: float) -> Meter:
    return Meter(**({"ts": site.wall, "energy_wh": 1000.0, "window_start": WALL + 600, "window_s": 900.0} | more))


def test_the_utilitys_meter_corrects_the_window() -> None:
    site = Site(EnergySection(contract_w=9000.0))
    site.put(InputKind.METER, demand_meter(site))
    site.now += 10
    site.on_grid.meter(site.view(), 7200.0)
    found = window(site)
    assert (found.start, found.length_s, found.end) == (WALL + 600, 900.0, WALL + 1500)
    assert found.imported_wh == pytest.approx(1020.0)  # 10 s at 7.2 kW since the reading
    assert found.estimated_wh == 0.0


@pytest.mark.parametrize(
    ("more", "imported_wh"),
    [
        ({"window_start": WALL + 1000}, 1000.0),
        ({"window_start": WALL + 1001}, 2500.0),  # in the future
        ({"window_start": WALL + 101}, 1000.0),
        ({"window_start": WALL + 100}, 2500.0),  # over
        ({"ts": WALL + 2000}, 1000.0),  # a clock ahead
    ],
)
def test_only_a_reading_of_the_present_window_corrects_it(more: dict[str, float], imported_wh: float) -> None:
    site = Site(EnergySection(contract_w=9000.0))
    site.put(InputKind.METER, demand_meter(site, **more))
    site.on_grid.meter(site.view(), 7200.0)
    assert window(site).imported_wh == pytest.approx(imported_wh)


def test_a_reading_of_the_utilitys_meter_becomes_stale() -> None:
    site = Site(EnergySection(contract_w=9000.0))
    site.put(InputKind.METER, demand_meter(site))
    site.now += 121
    site.on_grid.meter(site.view(), 7200.0)
    assert window(site).start == WALL


def test_export_since_the_reading_is_not_deducted() -> None:
    site = Site(EnergySection(contract_w=9000.0))
    site.put(InputKind.METER, demand_meter(site))
    site.now += 10
    site.on_grid.meter(site.view(), -7200.0)
    assert window(site).imported_wh == pytest.approx(1000.0)


# headroom -------------------------------------------------------------------------------------------------------------


def test_limits_of_the_connection() -> None:
    site = Site()
    site.known(A=500.0)
    fleet, cars = [car("A", power_w=500.0)], [at("A", power_w=500.0)]
    step = site.step(fleet, cars, grid_w=4500.0, import_w=10_000.0, export_w=0.0)
    assert step.base_w == 4000.0
    assert (step.headroom.low_w, step.headroom.high_w) == (-4000.0, 6000.0)
    assert (step.headroom.low_code, step.headroom.high_code) == (Code.EXPORT_LIMIT, Code.IMPORT_LIMIT)
    assert site.on_grid.free_w == 6000.0
    step = site.step(fleet, cars, grid_w=4500.0, import_w=10_000.0, peak_w=8000.0)
    assert (step.headroom.high_w, step.headroom.high_code) == (4000.0, Code.PEAK_LIMIT)


def test_without_any_input_the_limits_hold_for_the_evses_alone_and_a_silent_meter_leaves_nothing() -> None:
    site = Site()
    assert site.step([], import_w=10_000.0).headroom.high_w == 10_000.0
    assert site.on_grid.free_w == 10_000.0
    site.grid(4000.0)
    step = site.step([], after_s=11.0, import_w=10_000.0)
    assert (step.headroom.high_w, step.headroom.high_code) == (0.0, Code.INPUT_STALE)
    site = Site()
    site.load(4000.0)
    assert site.step([], after_s=16.0, import_w=10_000.0).headroom.high_w == 0.0
    site = Site()
    site.put(InputKind.PV, Pv(ts=site.wall, power_w=100.0))
    assert site.step([], import_w=10_000.0).headroom.high_w == 10_000.0


def shaving(able_w: float, imported_wh: float, grid_w: float = 10_000.0, **more: Any) -> tuple[Site, GridStep]:
    """Return a step at half of a window with a contract of 10 kW: 4.9 kWh are allowed."""
    site = Site(EnergySection(contract_w=10_000.0), now=899.0)
    site.on_grid.restore(DemandWindow(WALL, WALL + 899, imported_wh, grid_w), 0.0, WALL)
    fleet = [car("A", max_discharge_w=able_w, power_w=0.0, **more)]
    return site, site.step(fleet, [at("A", power_w=0.0, flowing_w=[0.0])], grid_w=grid_w)


IMPORTED = 10_000.0 / 3600  # in the second of the step


@pytest.mark.parametrize(
    ("able_w", "missing_w", "low_w", "high_w"),
    [
        (6000.0, 0.5, -INF, 0.0),
        (6000.0, 1799.0, -INF, 0.0),  # less than 30 % of what the vehicles can give: later
        (6000.0, 1801.0, -INF, -1801.0),
        (3000.0, 899.0, -INF, 0.0),
        (3000.0, 901.0, -INF, -901.0),
        (6000.0, -500.0, -INF, 500.0),
    ],
)
def test_the_demand_window_is_corrected_when_it_is_due(
    able_w: float, missing_w: float, low_w: float, high_w: float
) -> None:
    site, step = shaving(able_w, 4900.0 - (10_000.0 - missing_w) / 4 - IMPORTED)
    assert (step.headroom.low_w, step.headroom.high_w) == pytest.approx((low_w, high_w))
    assert step.headroom.high_code is Code.DEMAND_WINDOW
    assert site.on_grid.free_w == pytest.approx(high_w)
    assert step.target_w == pytest.approx(min(0.0, high_w))


def test_a_correction_that_has_begun_goes_on_until_nothing_is_missing() -> None:
    site, step = shaving(6000.0, 4900.0 - 8000.0 / 4 - IMPORTED)
    assert step.headroom.high_w == pytest.approx(-2000.0)
    fleet, cars = [car("A", power_w=0.0)], [at("A", power_w=0.0, flowing_w=[0.0])]
    for grid_w, low_w, high_w in ((8600.0, -1000.0, -100.0), (5000.0, 100.0, 9000.0), (8600.0, 0.0, 0.0)):
        for _ in range(2):  # the meter's last two readings count
            step = site.step(fleet, cars, grid_w=grid_w)
        assert low_w <= step.headroom.high_w <= high_w


def test_a_vehicle_that_has_to_charge_cannot_shave() -> None:
    missing_w = 500.0
    _, step = shaving(3000.0, 4900.0 - (10_000.0 - missing_w) / 4 - IMPORTED, must_w=2000.0)
    assert step.headroom.high_w == pytest.approx(-500.0)  # nobody is able: it is due


def test_a_fuse_is_met_at_once() -> None:
    site = Site()
    step = site.step([car("A", power_w=0.0)], [at("A", power_w=0.0)], grid_w=10_100.0, import_w=10_000.0)
    assert step.headroom.high_w == pytest.approx(-100.0)
    assert step.target_w == pytest.approx(-100.0)
    assert step.shares is not None
    assert step.shares.power_w == pytest.approx({"A": -100.0})


# target and ramp ------------------------------------------------------------------------------------------------------


def test_the_ramp_begins_at_the_present_power_and_arrives() -> None:
    site = Site(mode=SiteMode.SELF_CONSUMPTION)
    fleet, cars = [car("A", power_w=0.0), car("B", power_w=0.0)], [at("A", power_w=0.0), at("B", power_w=0.0)]
    found = []
    for _ in range(5):
        step = site.step(fleet, cars, grid_w=6050.0)
        found.append((step.target_w, site.on_grid.arrived))
        assert step.base_w == pytest.approx(6050.0)
        assert step.shares is not None
        assert step.shares.total_w == pytest.approx(step.target_w)
    assert found == [(0.0, False), (-2500.0, False), (-5000.0, False), (-6000.0, True), (-6000.0, True)]
    started = Site(mode=SiteMode.SELF_CONSUMPTION)
    started.known(A=-1000.0, B=-500.0)
    moving = [car("A", power_w=-1000.0), car("B", power_w=None, setpoint_w=-500.0)]
    step = started.step(moving, [at("A", power_w=-1000.0), at("B", setpoint_w=-500.0)], grid_w=6050.0)
    assert step.target_w == -1500.0
    assert step.base_w == pytest.approx(7550.0)


def test_the_ramp_has_the_rate_of_the_site_and_a_pause_is_not_made_up_for() -> None:
    site = Site(EnergySection(step_s=2.0), mode=SiteMode.SELF_CONSUMPTION)
    fleet, cars = [car("A", power_w=0.0)], [at("A", power_w=0.0)]
    powers = [
        site.step(fleet, cars, grid_w=9050.0, after_s=after_s, ramp_w_per_s=500.0).target_w
        for after_s in (1.0, 1.0, 2.0, 9.0, 0.5)
    ]
    assert powers == [0.0, -500.0, -1500.0, -2500.0, -2750.0]


def test_a_limit_is_met_at_once_and_counts_as_arrived() -> None:
    site = Site(mode=SiteMode.SELF_CONSUMPTION)
    fleet, cars = [car("A", power_w=0.0)], [at("A", power_w=0.0)]
    site.step(fleet, cars, grid_w=9000.0, import_w=5000.0)
    assert site.on_grid.ramp is not None
    assert site.on_grid.ramp.power_w == -4000.0
    assert not site.on_grid.arrived
    site = Site(mode=SiteMode.SELF_CONSUMPTION)
    site.step(fleet, cars, grid_w=9000.0, import_w=3000.0)
    assert site.on_grid.ramp is not None
    assert site.on_grid.ramp.power_w == -6000.0
    assert site.on_grid.arrived  # it is all that there is
    site.on_grid.stop()
    assert site.on_grid.ramp is None


def test_power_that_returns_after_an_outage_is_shared_in_part() -> None:
    site = Site(mode=SiteMode.SELF_CONSUMPTION)
    fleet, cars = [car("A", power_w=0.0)], [at("A", power_w=0.0)]
    for _ in range(5):
        step = site.step(fleet, cars, grid_w=9050.0, share=0.25)
    assert step.target_w == -1500.0


def test_a_vehicle_that_does_not_follow_is_reported_and_left_out() -> None:
    site = Site(mode=SiteMode.SELF_CONSUMPTION)
    fleet, cars = [car("A", power_w=0.0, setpoint_w=-4000.0)], [at("A", power_w=0.0)]
    found: list[str] = []
    for _ in range(35):
        step = site.step(fleet, cars, grid_w=9050.0)
        found += codes(step)
    assert found == ["mode_self_supply", "not_following"]
    assert step.shares is not None
    assert step.shares.total_w == 0.0


def test_a_mode_keeps_its_state_until_it_changes() -> None:
    site = Site(mode=SiteMode.SELF_CONSUMPTION)
    fleet, cars = [car("A", power_w=0.0)], [at("A", power_w=0.0)]
    found = [code for _ in range(62) for code in codes(site.step(fleet, cars, grid_w=-3000.0))]
    assert found == ["mode_balanced", "mode_surplus"]
    site.mode = SiteMode.BACKUP
    step = site.step(fleet, cars, grid_w=-3000.0)
    assert codes(step) == ["mode_filling_reserve"]
    assert step.events[0].text.startswith("backup: All batteries")
    assert step.events[0].at == site.now
    site.mode = SiteMode.SELF_CONSUMPTION
    assert codes(site.step(fleet, cars, grid_w=-3000.0)) == ["mode_balanced"]


def test_price_mode_uses_the_tariff_of_the_site() -> None:
    site = Site(EnergySection(import_per_kwh=30.0), mode=SiteMode.PRICE)
    assert codes(site.step([car("A", power_w=0.0)], grid_w=0.0)) == ["mode_spread_too_small"]
    periods = [PricePeriod(start=WALL + 3600 * n, duration_s=3600.0, import_per_kwh=90.0 * (n > 5)) for n in range(12)]
    site.put(InputKind.PRICE, Price(ts=site.wall, prices=tuple(periods)))
    assert codes(site.step([car("A", power_w=0.0)], grid_w=0.0)) == ["mode_cheap"]


# manual ---------------------------------------------------------------------------------------------------------------


def test_in_manual_each_evse_follows_its_own_commands() -> None:
    site = Site(mode=SiteMode.MANUAL)
    site.known(A=-1200.0)
    step = site.step([car("A", power_w=-1200.0), car("B", setpoint_w=200.0)], [at("A", power_w=-1200.0)], grid_w=3000.0)
    assert step.shares is None
    assert (step.target_w, step.target.power_w, step.target.code) == (-1000.0, None, TargetCode.MANUAL)
    assert step.base_w == pytest.approx(4200.0)
    assert (site.on_grid.ramp, site.on_grid.arrived) == (None, True)
    assert codes(step) == ["mode_manual"]


def test_in_manual_limits_only_forbid() -> None:
    site = Site(mode=SiteMode.MANUAL)
    step = site.step([car("A", power_w=0.0)], [at("A", power_w=0.0)], grid_w=14_000.0, import_w=10_000.0)
    assert (step.headroom.low_w, step.headroom.high_w) == (-INF, 0.0)
    assert site.on_grid.free_w == -4000.0
    assert codes(step) == ["mode_manual", "bound_by_import_limit"]
    assert "leaves -4000 W of a target of 0 W" in step.events[-1].text
    assert step.events[-1].text.endswith("without a command.")
    step = site.step([car("A", power_w=0.0)], [at("A", power_w=0.0)], grid_w=-9000.0, export_w=5000.0)
    assert (step.headroom.low_w, step.headroom.high_w) == (0.0, INF)
    assert codes(step) == ["bound_by_export_limit"]
    for _ in range(2):
        step = site.step(
            [car("A", power_w=0.0)], [at("A", power_w=0.0)], grid_w=-1000.0, export_w=5000.0, import_w=9000.0
        )
    assert (step.headroom.low_w, step.headroom.high_w) == (-4000.0, 10_000.0)


def test_after_an_emergency_stop_nothing_flows_until_a_mode_is_commanded() -> None:
    site = Site(mode=SiteMode.SELF_CONSUMPTION)
    owed(site, "A")
    fleet, cars = [car("A", power_w=0.0)], [at("A", power_w=0.0)]
    site.step(fleet, cars, grid_w=9000.0)
    step = site.step(fleet, cars, grid_w=9000.0, at_rest=True)
    assert (step.shares, site.on_grid.ramp) == (None, None)
    assert (step.target.power_w, step.target.code) == (None, TargetCode.MANUAL)
    assert step.target.text.startswith("After an emergency stop")
    assert site.step(fleet, cars, grid_w=9000.0).target.code is TargetCode.SELF_SUPPLY


def test_before_manual_the_power_goes_to_0() -> None:
    site = Site(mode=SiteMode.SELF_CONSUMPTION)
    fleet, cars = [car("A", power_w=-6000.0)], [at("A", power_w=-6000.0)]
    assert site.step(fleet, cars, grid_w=0.0).target_w == -6000.0
    site.mode = SiteMode.MANUAL
    found = []
    for _ in range(4):
        step = site.step(fleet, cars, grid_w=0.0, ramp_w_per_s=2990.0)
        found.append((step.target_w, step.shares is None, site.on_grid.arrived))
        if step.shares is not None:
            assert (step.target.power_w, step.target.soft, step.target.code) == (0.0, True, TargetCode.MANUAL)
    assert found[:2] == [(-3010.0, False, False), (-20.0, False, False)]
    assert found[2:] == [(-6000.0, True, True)] * 2  # 20 W are nothing


@pytest.mark.parametrize(("left_w", "settled"), [(100.0, True), (101.0, False), (-100.0, True), (-101.0, False)])
def test_a_site_is_handed_over_at_low_power(left_w: float, settled: bool) -> None:
    site = Site(mode=SiteMode.BACKUP if left_w > 0 else SiteMode.SELF_CONSUMPTION)
    one = car("A", power_w=left_w, max_charge_w=101.0, max_discharge_w=101.0)
    site.step([one], [at("A", power_w=left_w)], grid_w=9000.0 if left_w < 0 else 0.0)
    site.mode = SiteMode.MANUAL
    step = site.step([one], [at("A", power_w=left_w)], ramp_w_per_s=1.0)
    assert (step.shares is None) is settled


def owed(site: Site, *names: str) -> None:
    for name in names:
        site.recharging.targets[name] = RechargeTarget(name, "", 80.0, "the test", WALL + 9000, 5000.0)


def test_in_manual_only_what_is_recharged_after_an_outage_gets_power() -> None:
    site = Site(mode=SiteMode.MANUAL)
    owed(site, "A")
    cars, found = [at("A", power_w=300.0), at("B", power_w=900.0)], []
    site.known(A=300.0, B=900.0)
    for _ in range(4):
        step = site.step([car("A", power_w=300.0), car("B", power_w=900.0)], cars, grid_w=1200.0, import_w=5000.0)
        assert step.shares is not None
        assert [*step.shares.power_w] == ["A"]
        assert (step.target.power_w, step.target.code) == (0.0, TargetCode.RECHARGE)
        assert step.target_w == step.shares.power_w["A"]
        found.append((step.target_w, site.on_grid.arrived))
    assert found == [(300.0, False), (2800.0, False), (4500.0, True), (4500.0, True)]  # 90 % of the headroom
    assert step.target.text.startswith("Energy discharged")


@pytest.mark.parametrize(("left_s", "target_w"), [(86_400.0, 4500.0), (3600.0, 5000.0)])
def test_in_manual_a_vehicle_that_leaves_soon_gets_all_of_the_headroom(left_s: float, target_w: float) -> None:
    site = Site(mode=SiteMode.MANUAL)
    owed(site, "A")
    one = car("A", power_w=0.0, wanted_pct=80.0, departure=WALL + 1000 + left_s)
    for _ in range(4):
        step = site.step([one], [at("A", power_w=0.0)], grid_w=0.0, import_w=5000.0)
    assert step.target_w == target_w


def test_a_vehicle_that_leaves_soon_is_charged_without_an_outage_before_it() -> None:
    site = Site(mode=SiteMode.GRID_SERVICE)
    leaving = car("L", power_w=0.0, max_charge_w=2000.0, wanted_pct=55.0, departure=WALL + 5400)
    for _ in range(4):
        step = site.step([leaving], grid_w=0.0, import_w=5000.0)
    assert step.target_w == pytest.approx(2000.0)


def test_in_manual_the_least_recharge_is_handed_out() -> None:
    site = Site(mode=SiteMode.MANUAL)
    owed(site, "A")
    step = site.step([car("A", power_w=0.0, max_charge_w=0.5)], grid_w=0.0)
    assert step.shares is not None
    assert site.step([car("A", power_w=0.0, max_charge_w=0.5)], grid_w=0.0).target_w == 0.5


def test_vehicles_that_leave_soon_come_before_the_recharge() -> None:
    site = Site(mode=SiteMode.GRID_SERVICE)
    owed(site, "A")
    leaving = car("L", power_w=0.0, max_charge_w=2000.0, wanted_pct=55.0, departure=WALL + 5400)
    for _ in range(4):
        step = site.step([car("A", power_w=0.0), leaving], grid_w=0.0, import_w=5000.0)
    assert step.shares is not None
    assert step.shares.power_w == pytest.approx({"A": 2700.0, "L": 2000.0})


def test_a_plan_has_decided_about_the_recharge_already() -> None:
    site = Site(mode=SiteMode.PRICE)
    owed(site, "A")
    site.on_grid.use_plan(plan(site, -1000.0, 500.0))
    for _ in range(3):
        step = site.step([car("A", power_w=0.0)], grid_w=0.0, import_w=50_000.0)
    assert step.shares is not None
    assert step.shares.power_w == pytest.approx({"A": -1000.0})


# plan -----------------------------------------------------------------------------------------------------------------


def plan(site: Site, power_w: float, grid_w: float, source: PlanSource = PlanSource.OPTIMUM, **visits: float) -> Plan:
    """Plan of two half hours, the second one with the opposite power; `visits` are powers of resources now."""
    both = {name: (one_w, -one_w) for name, one_w in visits.items()}
    start = WALL
    return Plan(site.wall, start, 1800.0, (power_w, -power_w), (grid_w, grid_w), both, {}, 0.0, source, "")


@pytest.mark.parametrize(
    ("age_s", "source", "code"),
    [
        (0.0, PlanSource.OPTIMUM, "mode_plan"),
        (898.0, PlanSource.OPTIMUM, "mode_plan"),
        (899.0, PlanSource.OPTIMUM, "mode_price_unknown"),  # three intervals, with the second of the step
        (0.0, PlanSource.RULES, "mode_price_unknown"),
    ],
)
def test_a_plan_is_followed_while_it_is_fresh(age_s: float, source: PlanSource, code: str) -> None:
    site = Site(mode=SiteMode.PRICE)
    site.on_grid.use_plan(plan(site, 2000.0, 1000.0, source))
    step = site.step([car("A", power_w=0.0)], grid_w=0.0, after_s=1.0 + age_s)
    assert codes(step) == [code]
    site.on_grid.use_plan(None)
    assert codes(site.step([car("A", power_w=0.0)], grid_w=0.0)) == (
        [] if code != "mode_plan" else ["mode_price_unknown"]
    )


def test_a_plan_is_followed_in_its_own_time_only() -> None:
    site = Site(mode=SiteMode.PRICE, now=3500.0)
    site.on_grid.use_plan(plan(site, 2000.0, 1000.0))
    step = site.step([car("A", power_w=0.0)], grid_w=0.0)
    assert (step.target.power_w, step.target.code) == (-2000.0, TargetCode.PLAN)
    step = site.step([car("A", power_w=0.0)], grid_w=0.0, after_s=100.0)
    assert step.target.code is TargetCode.PRICE_UNKNOWN


def test_a_plan_that_keeps_the_grid_at_zero_is_kept_by_the_meter() -> None:
    site = Site(mode=SiteMode.PRICE)
    site.on_grid.use_plan(plan(site, 2000.0, 50.0))
    step = site.step([car("A", power_w=0.0)], grid_w=2345.0)
    assert (step.target.code, step.target.power_w) == (TargetCode.PLAN_ZERO_GRID, -2345.0)


def test_shares_are_those_of_the_plan() -> None:
    site = Site(mode=SiteMode.PRICE)
    site.on_grid.use_plan(plan(site, 2000.0, 9000.0, A=1500.0, B=500.0))
    fleet = [car("A", power_w=1500.0), car("B", power_w=500.0), car("C", power_w=0.0)]
    step = site.step(fleet, grid_w=0.0)
    assert step.shares is not None
    assert step.shares.power_w == pytest.approx({"A": 1500.0, "B": 500.0, "C": 0.0})


def test_where_the_planned_resources_cannot_provide_the_target_all_take_part() -> None:
    site = Site(mode=SiteMode.PRICE)
    site.on_grid.use_plan(plan(site, 2000.0, 9000.0, A=2000.0))
    fleet = [car("A", power_w=1000.0, max_charge_w=1000.0), car("B", power_w=1000.0)]
    step = site.step(fleet, grid_w=0.0)
    assert step.shares is not None
    assert step.shares.power_w == pytest.approx({"A": 1000.0, "B": 1000.0}, rel=1e-6)


def test_without_a_target_of_the_plan_shares_are_not_those_of_the_plan() -> None:
    site = Site(mode=SiteMode.BACKUP)
    site.on_grid.use_plan(plan(site, 2000.0, 9000.0, B=6000.0))
    fleet = [car("A", power_w=3000.0, soc_pct=50.0), car("B", power_w=3000.0, soc_pct=50.0)]
    step = site.step(fleet, grid_w=0.0)
    assert step.shares is not None
    assert step.shares.power_w == pytest.approx({"A": 3000.0, "B": 3000.0})


# events ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grid_w", "limits", "code", "text"),
    [
        (10_200.0, {"import_w": 10_000.0}, None, ""),
        (10_201.0, {"import_w": 10_000.0}, "bound_by_import_limit", "import limit leaves -201 W of a target of 0 W."),
        (9201.0, {"peak_w": 9000.0}, "bound_by_peak_limit", "peak limit leaves -201 W"),
        (-5200.0, {"export_w": 5000.0}, None, ""),
        (-5201.0, {"export_w": 5000.0}, "bound_by_export_limit", "export limit leaves 201 W"),
    ],
)
def test_a_limit_that_binds_is_reported_once(
    grid_w: float, limits: dict[str, float], code: str | None, text: str
) -> None:
    site = Site(mode=SiteMode.GRID_SERVICE)
    fleet, cars = [car("A", power_w=0.0)], [at("A", power_w=0.0)]
    step = site.step(fleet, cars, grid_w=grid_w, **limits)
    assert codes(step) == (["mode_no_order"] if code is None else ["mode_no_order", code])
    assert text in step.events[-1].text
    assert step.events[-1].at == site.now
    if code is not None:
        assert not step.events[-1].text.endswith("without a command.")
    assert codes(site.step(fleet, cars, grid_w=grid_w, **limits)) == []
    assert codes(site.step(fleet, cars, grid_w=0.0, **limits)) == []
    site.step(fleet, cars, grid_w=0.0, **limits)
    assert codes(site.step(fleet, cars, grid_w=grid_w, after_s=20.0, **limits)) == ([] if code is None else [code])


def test_the_same_limit_is_reported_again_where_commands_set_the_power() -> None:
    site = Site(mode=SiteMode.GRID_SERVICE)
    fleet, cars = [car("A", power_w=0.0)], [at("A", power_w=0.0)]
    assert codes(site.step(fleet, cars, grid_w=12_000.0, import_w=10_000.0))[1:] == ["bound_by_import_limit"]
    site.mode = SiteMode.MANUAL
    site.on_grid.stop()
    step = site.step(fleet, cars, grid_w=12_000.0, import_w=10_000.0)
    assert codes(step) == ["mode_manual", "bound_by_import_limit"]


def test_events_of_one_step_come_in_order() -> None:
    site = Site(EnergySection(contract_w=9000.0), mode=SiteMode.MANUAL, now=1799.5)
    site.on_grid.restore(DemandWindow(WALL, WALL + 1799.5, 4600.0), 0.0, WALL)
    one = car("A", power_w=0.0, setpoint_w=-4000.0)
    for now in range(31):
        site.on_grid.tracking.update([one], 1769.9 + now)
    step = site.step([one], [at("A", power_w=0.0)], grid_w=100.0, after_s=40.0 - 0.1 + 50.0)
    assert codes(step) == ["contract_exceeded", "follower_retried", "mode_manual"]
    site = Site(EnergySection(contract_w=9000.0), mode=SiteMode.GRID_SERVICE, now=1799.5)
    site.on_grid.restore(DemandWindow(WALL, WALL + 1799.5, 4600.0), 0.0, WALL)
    for now in range(31):
        site.on_grid.tracking.update([one], 1769.9 + now)
    step = site.step([one], [at("A", power_w=0.0)], grid_w=100.0, after_s=40.0 - 0.1 + 50.0)
    assert codes(step) == ["contract_exceeded", "follower_retried", "mode_no_order"]
