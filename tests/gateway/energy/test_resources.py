"""The floor's hysteresis in the energy service: a battery at its floor rests until it is a little above it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.soc_floors import floor_reached
from gateway.energy.reserve import SiteReserve
from gateway.energy.resource import STORAGE, Resource
from gateway.energy.resources import ResourceBuilder
from gateway.energy.settings import EnergySection, StorageTable
from gateway.energy.view import Car, View
from gateway.model.site import InputKind, Inputs, Storage

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


def test_a_battery_without_reported_soc_stops_and_starts_again() -> None:
    batteries = Batteries()
    assert [batteries.discharges(soc_pct) for soc_pct in (30.0, None, 30.1)] == [False, False, True]


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
            at_floor = False
            continue
        at_floor = soc_pct <= FLOOR_PCT or (at_floor and soc_pct < FLOOR_PCT + HYSTERESIS_PCT)
        assert free is not at_floor
