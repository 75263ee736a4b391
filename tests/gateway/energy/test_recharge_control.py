"""Recharging after an outage: trips home first, then the earliest deadline, never more than the free power."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.energy.forecast import DayProfile
from gateway.energy.recharge_control import Recharging
from gateway.energy.recharge_targets import recharge_target
from gateway.energy.resource import Kind, Resource
from gateway.energy.settings import CarTable, EnergySection, StorageTable, TierTable
from gateway.energy.view import Car, View
from gateway.model.command import SiteMode
from gateway.model.site import Inputs
from tests.gateway.energy.site_sim import START, Sim, SimCar
from tests.rounds import rounds, some

TIERS = (
    TierTable(name="medical", priority=0, expected_w=800, critical=True),
    TierTable(name="kitchen", priority=2, expected_w=1200, wants_hours=6),
)
SECTION = EnergySection(island=True, forming=("E1", "E2"), tiers=TIERS, off_grid_pct=15, recharge_hours=4)

PRICED = SECTION.model_copy(update={"import_per_kwh": 30.0, "plan_every_s": 900.0})
STEP_S = 20.0


def load(hour: float) -> dict[str, float]:
    return {"medical": 800.0, "kitchen": 1200.0}


def lost(begin: float, end: float):  # type: ignore[no-untyped-def]
    return lambda hour: (False, 0.0, 0.0) if begin <= hour < end else (True, 202.0, 50.0)


def night(mode: SiteMode, **changes: object) -> Sim:
    cars = [SimCar("E1", 80.0, can_form=True), SimCar("E2", 70.0, can_form=True, leaves_h=13.0)]
    known: dict[str, object] = {"import_w": 12_000.0}
    known |= changes
    section = known.pop("section", SECTION)
    return Sim(section, cars, load, grid=lost(1.0, 6.0), mode=mode, step_s=STEP_S, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", some([mode for mode in SiteMode if mode is not SiteMode.PRICE], 3))
def test_in_every_mode_cars_get_back_the_energy_of_the_outage(mode: SiteMode) -> None:
    sim = night(mode).run(1.0)
    before = [car.soc_pct for car in sim.cars]
    sim.run(5.0)
    assert all(car.soc_pct < had - 3 for car, had in zip(sim.cars, before, strict=True))
    best = [0.0, 0.0]
    for _ in range(33):
        sim.run(1 / 6)
        best = [max(most, car.soc_pct) for most, car in zip(best, sim.cars, strict=True)]
    assert all(most >= had - 1.2 for most, had in zip(best, before, strict=True))
    codes = sim.codes()
    assert codes.index("main_switch_closed") < codes.index("recharge_planned") < codes.index("recharged")
    assert codes.count("recharge_planned") == 1
    assert codes.count("recharge_over") == 1
    assert "recharge_late" not in codes
    assert sim.orders is not None
    assert sim.orders.state.recharge is None
    after = sim.grid_w[int(6.2 * 3600 / STEP_S) :]
    assert max(after) <= 12_000 * 1.01


def test_a_plan_by_price_includes_energy_to_return_and_meets_the_departure() -> None:
    sim = night(SiteMode.PRICE, plan=True, section=PRICED).run(1.0)
    before_pct = sim.cars[0].soc_pct
    sim.run(5.5)
    problem = sim.controller.problem(sim._view())
    assert problem is not None
    wants = {visit.name: visit.targets for visit in problem.visits}
    assert wants["E1"][0].energy_wh == pytest.approx(before_pct / 100 * 40_000, rel=0.01)
    assert all(math.isinf(visit.end) for visit in problem.visits if visit.name == "E1")  # owed, not leaving
    sim.run(4.5)
    assert sim.cars[0].soc_pct >= before_pct - 1.5


def test_the_earliest_departure_is_served_first_and_a_deficit_reported_in_time() -> None:
    cars = [SimCar("E1", 80.0, can_form=True), SimCar("E2", 80.0, can_form=True, leaves_h=7.0)]
    section = SECTION.model_copy(update={"recharge_hours": 12.0})
    sim = Sim(section, cars, load, grid=lost(1.0, 6.0), mode=SiteMode.MANUAL, step_s=STEP_S, import_w=3500.0).run(6.4)
    late = [event.subject for event in sim.events if event.code == "recharge_late"]
    assert late[0] == "E2"
    state = sim.orders.state.recharge if sim.orders is not None else None
    assert state is not None
    assert [row.name for row in state.owed] == ["E2", "E1"]
    assert state.owed[0].missing_wh > 200
    assert state.owed[1].missing_wh == 0
    assert sim.cars[1].now_w > 0
    assert sim.cars[0].now_w <= 0.1


def test_a_car_short_of_range_gets_pv_first_and_no_car_charges_at_night() -> None:
    section = SECTION.model_copy(
        update={
            "cars": (CarTable(vehicle="E2", home_km=60, wh_per_km=160),),
            "storage": StorageTable(controlled=True, forming=True),
            "forming": (),
        }
    )
    cars = [SimCar("E1", 50.0), SimCar("E2", 12.0)]
    storage = SimCar("storage", 60.0, 20_000.0, 6000.0)
    sim = Sim(
        section, cars, load, lambda hour: 7000.0 if hour > 4 else 0.0, lost(1.0, 20.0), storage=storage, step_s=STEP_S
    ).run(4.0)
    assert [car.soc_pct <= before for car, before in zip(cars, (50.0, 12.0), strict=True)] == [True, True]
    sim.run(1.0)
    home = 60 * 160 * 1.2 / 400
    assert cars[1].soc_pct > 18.0
    assert cars[1].now_w > 3000
    assert sim.orders is not None
    recharge = sim.orders.state.recharge
    assert recharge is not None
    assert recharge.source == "sun"
    assert recharge.owed[0].name == "E2"
    assert recharge.owed[0].because_of == "the trip home"
    sim.run(2.0)
    assert cars[1].soc_pct >= home - 0.6
    assert sim.unserved_wh.get("medical", 0.0) < 30


def test_the_storage_is_filled_for_the_next_night_and_no_further() -> None:
    section = SECTION.model_copy(update={"storage": StorageTable(controlled=True, forming=True), "forming": ()})
    storage = SimCar("storage", 90.0, 40_000.0, 5000.0)
    sim = Sim(section, [], load, grid=lost(0.5, 23.0), storage=storage, step_s=60.0, import_w=9000.0).run(23.0)
    assert storage.soc_pct < 33
    sim.run(4.5)
    night_pct = 15 + 100 * 800 * 12 / math.sqrt(0.88) / 40_000
    assert night_pct - 1 <= storage.soc_pct <= night_pct + 2
    assert "recharge_over" in sim.codes()


def test_a_deployed_car_gets_the_energy_of_its_agreement() -> None:
    one = Resource("E1", 6000, 6000, soc_pct=40.0, capacity_wh=40_000, floor_pct=20.0, vehicle="V")
    had = {"V": 90.0}
    assert recharge_target(one, had, None, START, {}, SECTION).target_pct == 90.0  # type: ignore[union-attr]
    assert recharge_target(one, had, 70.0, START, {}, SECTION).target_pct == 70.0  # type: ignore[union-attr]
    assert recharge_target(one, had, 0.0, START, {}, SECTION) is None  # a gift is a gift


def batteries() -> st.SearchStrategy[list[Resource]]:
    def make(number: int, values: tuple[float, float, float, float, bool]) -> Resource:
        soc, floor, power, least, leaves = values
        return Resource(
            f"E{number}",
            power,
            power,
            Kind.CAR,
            min_charge_w=least * power,
            soc_pct=soc,
            capacity_wh=40_000,
            floor_pct=floor,
            departure=START + 3600 * (1 + number) if leaves else None,
        )

    each = st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(0, 20_000), st.floats(0, 0.5), st.booleans())
    return st.lists(each, min_size=1, max_size=8).map(lambda rows: [make(n, row) for n, row in enumerate(rows)])


@settings(max_examples=rounds(40, 150))
@given(batteries(), st.lists(st.floats(-20_000, 60_000), min_size=2, max_size=8))
def test_charging_is_within_free_power_and_above_the_minimum_and_reduced_at_once(
    fleet: list[Resource], free: list[float]
) -> None:
    recharging, profile = Recharging(EnergySection()), DayProfile()
    view = View(0.0, START, Inputs(), [Car(one.name, one.max_charge_w, one.max_discharge_w) for one in fleet])
    had = [Resource(one.name, 1, 1, soc_pct=95.0, capacity_wh=one.capacity_wh) for one in fleet]
    recharging.update(view, had, {}, True, 0.0, profile, True)
    back = View(600.0, START + 600, Inputs(), view.cars)
    recharging.update(back, fleet, {}, False, free[0], profile, True)
    given_w: dict[str, float] = {}
    for free_w in free:
        done = recharging.hand_out(fleet, free_w)
        assert sum(one.must_w for one in done) <= max(0.0, free_w) + 1e-6
        for one in done:
            assert one.must_w == 0 or one.min_charge_w - 1e-6 <= one.must_w <= one.max_charge_w + 1e-6
            assert one.must_w == 0 or one.name in recharging.targets
        given_w = {one.name: one.must_w for one in done}
    assert all(math.isfinite(watts) for watts in given_w.values())
