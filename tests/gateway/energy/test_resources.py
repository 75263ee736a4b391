"""Vehicles and storage as resources; a battery at its floor rests until it is a little above it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.soc_floors import Floor, floor_reached
from gateway.energy.reserve import SiteReserve
from gateway.energy.resource import STORAGE, Kind, Resource
from gateway.energy.resources import ResourceBuilder, free_of_commands
from gateway.energy.settings import EnergySection, StorageTable
from gateway.energy.storage_accounting import degradation_per_kwh
from gateway.energy.view import Car, View
from gateway.model.site import InputKind, Inputs, Storage, StorageModule

FLOOR_PCT, HYSTERESIS_PCT, WALL = 30.0, 2.0, 1_800_000_000.0
SOC = st.none() | st.floats(0, 100) | st.floats(FLOOR_PCT - 1, FLOOR_PCT + HYSTERESIS_PCT + 1)


class Batteries:
    """One car and a storage of the same state of charge, with the same floor."""

    def __init__(self, floor_pct: float = FLOOR_PCT) -> None:
        table = StorageTable(controlled=True, capacity_wh=10_000, max_charge_w=5000, max_discharge_w=5000, floor_pct=0)
        self.floor_reached = False
        self.gathering = ResourceBuilder(
            EnergySection(storage=table), SiteReserve(EnergySection(reserve_pct=floor_pct))
        )

    def resources(self, soc_pct: float | None) -> list[Resource]:
        inputs = Inputs()
        inputs.put(InputKind.STORAGE, Storage(ts=WALL, power_w=0.0, soc_pct=soc_pct), 0.0, WALL)
        car = Car("CP1-1", 11_000.0, 10_000.0, soc_pct=soc_pct, capacity_wh=60_000.0, floor_reached=self.floor_reached)
        found = self.gathering.resources(View(0.0, WALL, inputs, [car], floor_hysteresis_pct=HYSTERESIS_PCT))
        floor_pct = self.gathering.floors[car.evse].pct
        self.floor_reached = floor_reached(self.floor_reached, soc_pct, floor_pct, HYSTERESIS_PCT)  # kept by control
        return found

    def discharges(self, soc_pct: float | None) -> bool:
        """Return whether either may be discharged at this state of charge, which must be the same for both."""
        car, storage = self.resources(soc_pct)
        assert (car.name, storage.name) == ("CP1-1", STORAGE)
        assert (car.max_charge_w, storage.max_charge_w) == (11_000.0, 5000.0)
        assert (car.max_discharge_w, storage.max_discharge_w) in ((0.0, 0.0), (10_000.0, 5000.0))
        return car.max_discharge_w > 0


def test_a_battery_at_its_floor_is_idle_until_above_it_by_the_hysteresis() -> None:
    batteries = Batteries()
    for soc_pct, free in [
        (31.0, True), (30.1, True), (30.0, False), (30.1, False), (31.9, False), (32.0, True), (30.1, True),
        (29.0, False), (31.0, False), (32.1, True),
    ]:  # fmt: skip
        assert batteries.discharges(soc_pct) is free, soc_pct


def test_a_battery_without_reported_soc_stops_and_keeps_whether_it_was_at_its_floor() -> None:
    batteries = Batteries()
    socs = (30.1, None, 30.1, 30.0, None, 30.1, 30.0 + HYSTERESIS_PCT)
    assert [batteries.discharges(soc_pct) for soc_pct in socs] == [True, False, True, False, False, False, True]


@pytest.mark.parametrize(
    ("supplies_island", "soc_pct", "gives"),
    [(True, None, True), (False, None, False), (True, 30.0, False), (True, 50.0, True)],
)
def test_a_source_that_supplies_an_island_without_a_state_of_charge_counts_with_its_power(
    supplies_island: bool, soc_pct: float | None, gives: bool
) -> None:
    builder = ResourceBuilder(EnergySection(), SiteReserve(EnergySection(reserve_pct=FLOOR_PCT)))
    car = Car("CP1-1", 11_000.0, 10_000.0, soc_pct=soc_pct, capacity_wh=60_000.0, supplies_island=supplies_island)
    [found] = builder.resources(View(0.0, WALL, Inputs(), [car], floor_hysteresis_pct=HYSTERESIS_PCT))
    assert found.max_discharge_w == (10_000.0 if gives else 0.0)
    assert found.can_form is supplies_island


def test_near_100_a_full_battery_is_above_its_floor() -> None:
    batteries = Batteries(99.0)
    assert [batteries.discharges(soc_pct) for soc_pct in (99.0, 99.9, 100.0)] == [False, False, True]


@pytest.mark.parametrize("soc_pct", [0.0, 50.0])
def test_without_a_floor_there_is_nothing_to_reach(soc_pct: float) -> None:
    assert Batteries(0.0).discharges(soc_pct)


@given(st.lists(SOC, min_size=1))
def test_between_two_discharges_a_battery_has_risen_by_the_hysteresis(socs: list[float | None]) -> None:
    batteries, at_floor = Batteries(), False
    for soc_pct in socs:
        free = batteries.discharges(soc_pct)
        if soc_pct is None:
            assert not free
            continue
        at_floor = soc_pct <= FLOOR_PCT or (at_floor and soc_pct < FLOOR_PCT + HYSTERESIS_PCT)
        assert free is not at_floor


# resources by numbers -------------------------------------------------------------------------------------------------


class Site:
    """Resources of a site with a car, and with a storage where its table is given."""

    def __init__(self, **section: Any) -> None:
        self.settings = EnergySection(**section)
        self.reserve = SiteReserve(self.settings)
        self.builder = ResourceBuilder(self.settings, self.reserve)
        self.now = 0.0

    def off_grid(self, off_grid: bool) -> None:
        self.reserve.update(self.now, WALL + self.now, None, off_grid)

    def view(self, storage: Storage | None = None, **more: Any) -> View:
        inputs = Inputs()
        if storage is not None:
            inputs.put(InputKind.STORAGE, storage, self.now, WALL + self.now)
        return View(self.now, WALL + self.now, inputs, **({"floor_hysteresis_pct": HYSTERESIS_PCT} | more))

    def car(self, view: View | None = None, **more: Any) -> Resource:
        return self.builder.car(view or self.view(), Car("CP1-1", 11_000.0, 10_000.0, **more))

    def storage(self, power_w: float = 0.0, age_s: float = 0.0, **more: Any) -> Resource:
        reading = Storage(ts=WALL + self.now - age_s, power_w=power_w, **({"soc_pct": 50.0} | more))
        found = self.builder.storage(self.view(reading))
        assert found is not None
        return found


TABLE = StorageTable(
    controlled=True, capacity_wh=10_000, max_charge_w=4000, max_discharge_w=5000, floor_pct=10, ceiling_pct=90,
    round_trip=0.81, wear_per_kwh=4.0,
)  # fmt: skip


def test_a_car_as_a_resource() -> None:
    site = Site(forming=("CP1-1",), car_wear_per_kwh=3.0)
    found = site.car(
        min_charge_w=1400.0, min_discharge_w=900.0, vehicle="V", soc_pct=60.0, capacity_wh=50_000.0, wanted_pct=80.0,
        departure=WALL + 9, power_w=-700.0, setpoint_w=-800.0, floors=(Floor(20.0, "a"), Floor(30.0, "b")),
    )  # fmt: skip
    assert found == Resource(
        "CP1-1", 11_000.0, 10_000.0, Kind.CAR, 1400.0, 900.0, 60.0, 50_000.0, 30.0, 100.0, 80.0, WALL + 9, None, 0.0,
        -700.0, -800.0, degradation_per_kwh=3.0, can_form=True, vehicle="V", max_discharge_above_w=10_000.0,
    )  # fmt: skip
    assert site.builder.floors == {"CP1-1": Floor(30.0, "b")}
    assert not Site(forming=("CP1-2",)).car().can_form


def test_a_car_at_its_floor_may_be_discharged_above_it() -> None:
    found = Site().car(soc_pct=30.0, floors=(Floor(30.0, "b"),))
    assert (found.max_discharge_w, found.max_discharge_above_w, found.max_charge_w) == (0.0, 10_000.0, 11_000.0)


def test_the_hysteresis_of_a_car_is_kept_by_control() -> None:
    site, floors = Site(), (Floor(30.0, "b"),)
    powers = [
        site.car(soc_pct=soc_pct, floors=floors, floor_reached=reached).max_discharge_w
        for soc_pct, reached in ((31.0, False), (31.0, True), (32.0, True))
    ]
    assert powers == [10_000.0, 0.0, 10_000.0]
    assert site.car(
        site.view(floor_hysteresis_pct=0.0), soc_pct=31.0, floors=floors, floor_reached=True
    ).max_discharge_w


@pytest.mark.parametrize("allowed", [False, True])
def test_a_car_of_unknown_soc_is_discharged_only_where_that_is_allowed(allowed: bool) -> None:
    site = Site()
    found = site.car(site.view(discharge_without_soc=allowed), floors=(Floor(30.0, "b"),))
    assert found.max_discharge_w == (10_000.0 if allowed else 0.0)
    assert (found.wanted_pct, found.due) == (None, None)


@pytest.mark.parametrize(
    ("reserve_pct", "soc_pct", "floor_pct", "wanted_pct", "expected"),
    [
        (40.0, 30.0, 0.0, None, 40.0),
        (40.0, 40.0, 0.0, None, None),
        (40.0, 39.9, 0.0, 80.0, 80.0),
        (40.0, 39.9, 0.0, 10.0, 40.0),
        (40.0, 45.0, 50.0, None, 50.0),
        (0.0, 5.0, 0.0, None, None),
        (0.0, 0.0, 0.0, None, None),
        (0.0, 0.0, 0.5, None, 0.5),
        (40.0, None, 0.0, None, None),
        (40.0, None, 0.0, 60.0, 60.0),
        (40.0, 60.0, 0.0, 70.0, 70.0),
    ],
)
def test_a_car_below_the_reserve_is_charged_within_two_hours(
    reserve_pct: float, soc_pct: float | None, floor_pct: float, wanted_pct: float | None, expected: float | None
) -> None:
    site = Site(reserve_pct=reserve_pct)
    found = site.car(soc_pct=soc_pct, floors=(Floor(floor_pct, "b"),), wanted_pct=wanted_pct)
    assert found.wanted_pct == expected
    below = soc_pct is not None and soc_pct < max(reserve_pct, floor_pct)
    assert found.due == (WALL + 7200.0 if below else None)


def test_the_deadline_stays_until_the_reserve_is_reached() -> None:
    site = Site(reserve_pct=40.0)
    assert site.car(soc_pct=30.0).due == WALL + 7200
    site.now = 100.0
    assert site.car(soc_pct=39.0).due == WALL + 7200
    assert site.car(soc_pct=40.0).due is None
    site.now = 200.0
    assert site.car(soc_pct=39.0).due == WALL + 7400
    site.off_grid(True)
    assert site.car(soc_pct=39.0).due is None
    site.off_grid(False)
    site.now = 300.0
    assert site.car(soc_pct=39.0).due == WALL + 7500


def test_off_the_grid_the_reserve_is_used() -> None:
    site = Site(reserve_pct=40.0, off_grid_pct=15.0)
    assert (site.car(soc_pct=20.0).floor_pct, site.car(soc_pct=20.0).wanted_pct) == (40.0, 40.0)
    site.off_grid(True)
    found = site.car(soc_pct=12.0, wanted_pct=80.0)
    assert (found.floor_pct, found.wanted_pct, found.due) == (15.0, 80.0, None)


def test_the_storage_as_a_resource() -> None:
    site = Site(storage=TABLE.model_copy(update={"forming": True}))
    assert site.storage(power_w=300.0) == Resource(
        STORAGE, 4000.0, 5000.0, Kind.STORAGE, 0.0, 0.0, 50.0, 10_000.0, 10.0, 90.0, None, None, None, 0.0, 300.0, 0.0,
        0.9, 0.9, 4.0, 0, True, "", 5000.0, (300.0,),
    )  # fmt: skip
    assert site.builder.floors[STORAGE].pct == 10.0
    assert not Site(storage=TABLE).storage().can_form


def test_reported_limits_of_the_storage_replace_those_configured() -> None:
    found = Site(storage=TABLE).storage(max_charge_w=1000.0, max_discharge_w=2000.0, capacity_wh=3000.0)
    assert (found.max_charge_w, found.max_discharge_w, found.capacity_wh) == (1000.0, 2000.0, 3000.0)
    found = Site(storage=TABLE).storage(max_charge_w=0.0, max_discharge_w=0.0)
    assert (found.max_charge_w, found.max_discharge_w) == (0.0, 0.0)


def test_the_storage_is_a_resource_where_it_is_controlled_and_reports() -> None:
    reading = Storage(ts=WALL, power_w=0.0, soc_pct=50.0)
    site = Site(storage=TABLE)
    assert site.builder.storage(site.view()) is None
    assert site.builder.resources(site.view()) == []
    assert [one.name for one in site.builder.resources(site.view(reading))] == [STORAGE]
    site.now = 61.0
    stale = site.view()
    stale.inputs.put(InputKind.STORAGE, reading, 0.0, WALL)
    assert site.builder.storage(stale) is None
    site = Site(storage=TABLE.model_copy(update={"controlled": False}))
    assert site.builder.storage(site.view(reading)) is None


def test_modules_limit_the_storage_and_raise_its_degradation() -> None:
    def module(**more: float) -> StorageModule:
        base = {"new_wh": 2000.0, "soh": 1.0, "voltage_v": 48.0, "resistance_ohm": 0.01}
        return StorageModule(name="M", **(base | more))

    found = Site(storage=TABLE).storage(modules=(module(), module(soh=0.7)))
    assert (found.max_charge_w, found.max_discharge_w) == pytest.approx((1400.0, 1400.0))
    assert found.max_discharge_above_w == pytest.approx(1400.0)
    assert found.capacity_wh == pytest.approx(2800.0)
    expected = (degradation_per_kwh(1.0, 4.0) + degradation_per_kwh(0.7, 4.0)) / 2
    assert found.degradation_per_kwh == pytest.approx(expected)
    assert expected > 4.0


@pytest.mark.parametrize(
    ("soc_pct", "reserve_pct", "discharge_w", "wanted_pct"),
    [
        (None, 0.0, 0.0, None),
        (10.1, 0.0, 5000.0, None),
        (10.0, 0.0, 0.0, None),
        (9.9, 0.0, 0.0, 10.0),
        (40.1, 40.0, 5000.0, None),
        (39.9, 40.0, 0.0, 40.0),
    ],
)
def test_the_floor_of_the_storage(
    soc_pct: float | None, reserve_pct: float, discharge_w: float, wanted_pct: float | None
) -> None:
    site = Site(storage=TABLE, reserve_pct=reserve_pct)
    found = site.storage(soc_pct=soc_pct)
    assert (found.max_discharge_w, found.wanted_pct, found.max_discharge_above_w) == (discharge_w, wanted_pct, 5000.0)
    assert found.due == (None if wanted_pct is None else WALL + 7200)


def test_a_storage_without_a_floor_and_without_soc_is_not_discharged() -> None:
    site = Site(storage=TABLE.model_copy(update={"floor_pct": 0.0}))
    assert site.storage(soc_pct=None).max_discharge_w == 0.0
    assert site.storage(soc_pct=0.1).max_discharge_w == 5000.0


def test_the_storage_rests_at_its_floor_until_it_is_above_it_by_the_hysteresis() -> None:
    site = Site(storage=TABLE)
    powers = [site.storage(soc_pct=soc_pct).max_discharge_w for soc_pct in (11.0, 10.0, 11.9, 12.0, 10.5)]
    assert powers == [5000.0, 0.0, 0.0, 5000.0, 5000.0]


def test_the_deadline_of_the_storage_stays_until_its_floor_is_reached() -> None:
    site = Site(storage=TABLE, reserve_pct=40.0, off_grid_pct=45.0)
    assert site.storage(soc_pct=30.0).due == WALL + 7200
    site.now = 100.0
    assert site.storage(soc_pct=39.0).due == WALL + 7200
    assert site.storage(soc_pct=40.0).due is None
    assert site.storage(soc_pct=39.0).due == WALL + 7300
    site.off_grid(True)
    found = site.storage(soc_pct=39.0)
    assert (found.floor_pct, found.wanted_pct, found.due) == (45.0, None, None)
    assert site.storage(soc_pct=None).due is None


# the storage's set-point


def present(site: Site, power_w: float, age_s: float) -> tuple[float | None, float]:
    found = site.storage(power_w, age_s)
    return found.power_w, found.setpoint_w


def test_a_reading_from_before_the_set_point_does_not_show_its_power() -> None:
    site = Site(storage=TABLE)
    assert present(site, 100.0, 0.0) == (100.0, 0.0)
    site.builder.storage_ordered(2000.0, WALL + 10)
    site.now = 12.0
    assert present(site, 100.0, 1.1) == (None, 2000.0)
    assert present(site, 1900.0, 1.0) == (1900.0, 2000.0)
    site.builder.storage_ordered(2024.9, WALL + 12)  # it moves by too little
    assert present(site, 1900.0, 1.0) == (1900.0, 2024.9)
    site.builder.storage_ordered(2025.0, WALL + 12)
    assert present(site, 1900.0, 1.0) == (None, 2025.0)
    site.builder.storage_ordered(2000.0, WALL + 20)
    assert present(site, 1900.0, 1.0) == (None, 2000.0)
    site.now = 30.0
    assert present(site, 1900.0, 0.0) == (1900.0, 2000.0)


def test_a_storage_has_reached_its_set_point_some_time_later_without_a_reading() -> None:
    site = Site(storage=TABLE)
    assert site.storage(100.0, 0.0).flowing_w == (100.0,)
    site.builder.storage_ordered(2000.0, WALL + 10)
    site.now = 20.0
    assert site.storage(100.0, 10.0).flowing_w == (100.0, 2000.0)
    site.builder.storage_ordered(1990.0, WALL + 20)  # a small step of one that has arrived
    site.now = 24.0
    assert site.storage(100.0, 14.0).flowing_w == (100.0, 1990.0)
    assert site.storage(1975.0, 4.0).flowing_w == (1975.0, 1990.0)
    assert site.storage(1975.0, 3.0).flowing_w == (1975.0,)
    site.now = 25.0
    assert site.storage(100.0, 15.0).flowing_w == (1990.0,)


def test_a_reading_on_the_way_to_the_set_point_does_not_show_that_the_storage_has_arrived() -> None:
    """The storage begins to move some seconds after the order; a reading 15 s after it shows what it does."""
    site = Site(storage=TABLE)
    site.builder.storage_ordered(2000.0, WALL + 10)
    for now in (11.0, 24.0):
        site.now = now
        assert site.storage(100.0, 0.0).flowing_w == (100.0, 2000.0)
    site.now = 40.0
    assert site.storage(100.0, 16.0).flowing_w == (100.0, 2000.0)
    assert site.storage(100.0, 15.0).flowing_w == (100.0,)


def test_a_reading_as_near_to_the_set_point_before_does_not_show_that_the_storage_has_arrived() -> None:
    site = Site(storage=TABLE)
    site.builder.storage_ordered(2000.0, WALL + 10)
    site.builder.storage_ordered(2040.0, WALL + 30)
    site.now = 32.0
    assert site.storage(2019.0, 0.0).flowing_w == (2019.0, 2040.0)
    assert site.storage(2020.0, 0.0).flowing_w == (2020.0, 2040.0)
    assert site.storage(2021.0, 0.0).flowing_w == (2021.0,)
    site.builder.storage_ordered(2060.0, WALL + 32)  # a small step is under way, too
    site.now = 34.0
    assert site.storage(2040.0, 0.0).flowing_w == (2040.0, 2060.0)


def test_a_storage_without_a_set_point_follows_its_measured_power() -> None:
    site = Site(storage=TABLE)
    site.builder.storage_ordered(2000.0, WALL + 10)
    site.builder.storage_ordered(None, WALL + 20)
    site.now = 20.0
    assert present(site, 1500.0, 0.0) == (1500.0, 1500.0)
    assert present(site, 1500.0, 9.0) == (1500.0, 1500.0)  # since the last set-point, 10 s ago
    assert present(site, 1500.0, 9.1) == (None, 1500.0)
    site.builder.storage_ordered(10.0, WALL + 20)  # a set-point again, though a small one
    assert present(site, 1500.0, 0.0) == (None, 10.0)


def test_resources_under_commands_are_not_set() -> None:
    site = Site()
    cars = [Car("A", 1.0, 1.0, held=True), Car("B", 1.0, 1.0)]
    view = site.view(cars=cars)
    found = site.builder.resources(view)
    assert [one.name for one in found] == ["A", "B"]
    assert [one.name for one in free_of_commands(view, [*found, Resource(STORAGE, 1.0, 1.0)])] == ["B", STORAGE]


@pytest.mark.parametrize(("forming", "floors_pct"), [(None, [60.0, 60.0]), ("A", [10.0, 60.0]), ("B", [60.0, 10.0])])
def test_the_source_that_forms_the_island_uses_the_reserve_of_its_evse(
    forming: str | None, floors_pct: list[float]
) -> None:
    site = Site(off_grid_pct=10.0)
    site.off_grid(True)
    floors = (Floor(60.0, "the reserve of this EVSE", unless_needed=True),)
    cars = [Car(evse, 6000.0, 6000.0, soc_pct=50.0, floors=floors) for evse in ("A", "B")]
    found = site.builder.resources(site.view(cars=cars), forming)
    assert [one.floor_pct for one in found] == floors_pct
    assert [one.max_discharge_w > 0 for one in found] == [pct < 50.0 for pct in floors_pct]
    assert site.builder.car(site.view(), cars[0]).floor_pct == 60.0
