"""Recharging after an outage step by step: which targets are open and when, the schedule, reports, power handed out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.authority.soc_floors import Floor
from gateway.energy.forecast import DayProfile
from gateway.energy.reason import Decided
from gateway.energy.recharge_control import Recharging
from gateway.energy.recharge_targets import RechargeTarget
from gateway.energy.resource import Kind, Resource
from gateway.energy.settings import EnergySection, TierTable
from gateway.energy.view import Car, View
from gateway.model.energy_state import RechargeState, RechargeTargetState
from gateway.model.site import Forecast, ForecastPeriod, InputKind, Inputs
from tests.gateway.energy.cars import car

WALL = 1_800_000_000.0 - 1_800_000_000.0 % 86_400


@dataclass
class Recharge:
    """Recharging at a site without a forecast; `update` is one minute later."""

    settings: EnergySection = field(default_factory=lambda: EnergySection(recharge_hours=4))
    now: float = 1000.0
    inputs: Inputs = field(default_factory=Inputs)
    profile: DayProfile = field(default_factory=DayProfile)
    recharging: Recharging = field(init=False)

    def __post_init__(self) -> None:
        self.recharging = Recharging(self.settings)

    @property
    def wall(self) -> float:
        return WALL + self.now

    def update(
        self,
        resources: Sequence[Resource],
        off: bool,
        free_w: float = 0.0,
        *,
        cars: Sequence[Car] = (),
        floors: Mapping[str, Floor] | None = None,
        after_s: float = 60.0,
        sure: bool = True,
    ) -> list[str]:
        """Return the codes of the events."""
        return [str(event.code) for event in self.events(resources, off, free_w, cars, floors, after_s, sure)]

    def events(
        self,
        resources: Sequence[Resource],
        off: bool,
        free_w: float = 0.0,
        cars: Sequence[Car] = (),
        floors: Mapping[str, Floor] | None = None,
        after_s: float = 60.0,
        sure: bool = True,
    ) -> list[Decided]:
        self.now += after_s
        view = View(self.now, self.wall, self.inputs, cars)
        return self.recharging.update(view, resources, floors or {}, off, free_w, self.profile, sure)

    def targets(self) -> dict[str, float]:
        return {name: target.target_pct for name, target in self.recharging.targets.items()}


def at(evse: str, **more: Any) -> Car:
    return Car(evse, **({"max_charge_w": 6000.0, "max_discharge_w": 6000.0} | more))


def target(name: str, **more: Any) -> RechargeTarget:
    """Open target of 8 kWh within 4 h."""
    base: dict[str, Any] = {"vehicle": "", "target_pct": 80.0, "because": "the test", "due": WALL, "energy_wh": 8000.0}
    return RechargeTarget(name, **(base | more))


# targets over time ----------------------------------------------------------------------------------------------------


def test_after_an_outage_each_battery_is_recharged_to_where_it_was() -> None:
    site = Recharge()
    before, low = [car("A", soc_pct=80.0), car("B", soc_pct=None)], [car("A", soc_pct=50.0), car("B", soc_pct=30.0)]
    assert site.update(before, False) == []
    assert site.targets() == {}
    assert site.recharging.remembered() == ({}, False, None)
    assert site.update(before, True) == []
    assert site.recharging.remembered() == ({"A": 80.0}, True, None)
    assert site.update(low, True, after_s=3600) == []
    assert site.recharging.remembered() == ({"A": 80.0, "B": 30.0}, True, None)  # when first seen
    (event,) = site.events(low, False, 6000.0)
    assert (event.at, event.code) == (site.now, "recharge_planned")
    assert dict(event.figures) == {"owed_wh": 12_000}
    assert "12.0 kWh are to be recharged: A by " in event.text
    assert site.recharging.remembered() == ({"A": 80.0, "B": 30.0}, False, site.wall)
    assert site.targets() == {"A": 80.0}
    assert site.recharging.targets["A"].due == site.wall + 4 * 3600
    back = site.wall
    assert site.update(low, False, 6000.0) == []
    assert site.recharging.targets["A"].due == back + 4 * 3600
    (done, over) = site.events([car("A", soc_pct=79.6), low[1]], False, 6000.0)
    assert (done.at, done.code, done.subject) == (site.now, "recharged", "A")
    assert done.text == "A is recharged to 80 %, for its charge before the outage."
    assert (over.at, over.code, over.subject) == (site.now, "recharge_over", "")
    assert site.recharging.remembered() == ({}, False, None)
    assert site.update(low, False) == []
    assert site.targets() == {}


def test_in_an_outage_the_deadline_is_that_of_a_return_now() -> None:
    site = Recharge()
    site.update([car("A", soc_pct=80.0)], True)
    site.update([car("A", soc_pct=50.0)], True)
    assert site.recharging.targets["A"].due == site.wall + 4 * 3600


def test_targets_are_updated_each_minute_and_at_once_when_the_grid_is_lost_or_returns() -> None:
    site = Recharge()
    site.update([car("A", soc_pct=80.0)], True)
    site.update([car("A", soc_pct=50.0)], True, after_s=59.9)
    assert site.targets() == {}
    site.update([car("A", soc_pct=50.0)], True, after_s=0.1)
    assert site.targets() == {"A": 80.0}
    assert site.update([car("A", soc_pct=40.0)], False, 6000.0, after_s=1.0) == ["recharge_planned"]
    assert site.recharging.schedule["A"].ready == site.wall + 3 * 3600
    assert site.update([car("A", soc_pct=79.9)], False, 6000.0, after_s=59.9) == []
    site.update([car("A", soc_pct=50.0)], True, after_s=0.0)
    assert site.recharging.remembered()[1:] == (True, None)
    assert site.targets() == {"A": 80.0}


def test_a_vehicle_is_recognised_wherever_it_is() -> None:
    site = Recharge()
    site.update([car("A", soc_pct=80.0, vehicle="V")], True)
    assert site.recharging.remembered()[0] == {"V": 80.0}
    site.update([car("B", soc_pct=50.0, vehicle="V"), car("A", soc_pct=50.0)], False, 6000.0)
    assert site.targets() == {"B": 80.0}
    found = site.events([car("B", soc_pct=80.0, vehicle="V")], False)
    assert [(event.code, event.subject) for event in found] == [("recharged", "B"), ("recharge_over", "")]
    assert found[0].text.startswith("V is recharged")


def test_a_vehicle_that_has_left_is_not_recharged() -> None:
    site = Recharge()
    fleet = [car("A", soc_pct=80.0, vehicle="V"), car("B", soc_pct=80.0)]
    low = [replace(one, soc_pct=50.0) for one in fleet]
    site.update(fleet, True)
    site.update(low, False)
    assert site.update([car("A", soc_pct=90.0, vehicle="W"), low[1]], False) == []  # another one in its place
    assert site.targets() == {"B": 80.0}
    site.update(low, False)
    assert site.targets() == {"A": 80.0, "B": 80.0}
    assert site.update(low[:1], False) == []
    assert site.targets() == {"A": 80.0}
    assert site.update([], False) == ["recharge_over"]


def test_a_battery_recharged_once_is_not_recharged_again() -> None:
    site = Recharge()
    fleet = [car("A", soc_pct=80.0), car("B", soc_pct=80.0)]
    low = [replace(one, soc_pct=50.0) for one in fleet]
    site.update(fleet, True)
    site.update(low, False)
    assert site.update([fleet[0], low[1]], False) == ["recharged"]
    assert site.update(low, False) == []
    assert site.targets() == {"B": 80.0}


def test_a_vehicle_that_arrives_after_the_outage_is_charged_to_its_floor() -> None:
    site = Recharge()
    site.update([car("A", soc_pct=80.0)], True)
    low = car("A", soc_pct=50.0)
    site.update([low], False, 6000.0)
    site.update([low, car("N", soc_pct=20.0, floor_pct=40.0)], False, 6000.0)
    assert site.targets() == {"A": 80.0, "N": 40.0}
    assert site.update([low, car("N", soc_pct=40.0, floor_pct=40.0)], False, 6000.0) == ["recharged"]


def test_the_storage_is_charged_for_the_next_night() -> None:
    critical = TierTable(name="light", priority=0, expected_w=500, critical=True)
    site = Recharge(EnergySection(tiers=(critical,), off_grid_pct=10.0))
    storage = car("storage", kind=Kind.STORAGE, soc_pct=5.0)
    site.update([storage], True)
    assert site.targets() == {"storage": 25.0}  # 6 kWh above 10 %


def test_in_an_outage_a_target_that_is_reached_stays_known() -> None:
    site = Recharge()
    full, low = [car("A", soc_pct=80.0)], [car("A", soc_pct=50.0)]
    site.update(full, True)
    site.update(low, True)
    assert site.update(full, True) == []
    assert site.targets() == {}
    site.update(low, True)
    assert site.targets() == {"A": 80.0}
    assert site.update([car("A", soc_pct=50.0)], False, 6000.0) == ["recharge_planned"]
    assert site.update([car("A", soc_pct=50.0)], True) == []
    assert site.update(full, True) == []  # not over: the outage goes on


def test_a_vehicle_under_a_command_keeps_its_target() -> None:
    site = Recharge()
    full, low = [car("A", soc_pct=80.0), car("B", soc_pct=80.0)], [car("A", soc_pct=50.0), car("B", soc_pct=50.0)]
    site.update(full, True)
    site.update(low, False)
    assert site.update(low[:1], False, cars=[at("A"), at("B", held=True)]) == []
    assert site.targets() == {"A": 80.0, "B": 80.0}
    assert site.update(low[:1], False, cars=[at("A"), at("B")]) == []
    assert site.targets() == {"A": 80.0}


def test_targets_contain_floors_and_agreements() -> None:
    site = Recharge()
    fleet = [car("A", soc_pct=20.0, floor_pct=40.0), car("B", soc_pct=20.0)]
    cars, floors = [at("A"), at("B", return_pct=70.0)], {"A": Floor(40.0, "the trip home")}
    site.update(fleet, True, cars=cars, floors=floors)
    assert site.targets() == {"A": 40.0, "B": 70.0}
    assert site.recharging.targets["A"].because == "the trip home"
    assert site.recharging.targets["B"].because == "its agreement"


# restart


def test_the_state_is_restored_after_a_restart() -> None:
    site = Recharge()
    site.recharging.restore({"A": 80.0}, False, WALL + 500)
    assert site.recharging.remembered() == ({"A": 80.0}, False, WALL + 500)
    assert site.update([car("A", soc_pct=50.0)], False, 6000.0) == []  # it is planned already
    assert site.targets() == {"A": 80.0}
    assert site.recharging.targets["A"].due == WALL + 500 + 4 * 3600


@pytest.mark.parametrize(("after_s", "kept"), [(899.0, True), (900.0, False), (5000.0, False)])
def test_after_a_restart_targets_are_kept_until_stations_had_time_to_connect(after_s: float, kept: bool) -> None:
    site = Recharge()
    site.recharging.restore({"A": 80.0}, False, WALL + 500)
    assert site.update([], False) == []
    assert site.recharging.remembered()[2] == WALL + 500
    site.update([], False, after_s=after_s)
    assert site.recharging.remembered() == (({"A": 80.0}, False, WALL + 500) if kept else ({}, False, None))
    site.update([], False)
    assert site.recharging.remembered()[2] is None


def test_after_a_restart_missing_inputs_are_not_the_end_of_an_outage() -> None:
    site = Recharge()
    site.recharging.restore({"A": 80.0}, True, None)
    assert site.update([car("A", soc_pct=50.0)], False, sure=False) == []
    assert site.recharging.remembered() == ({"A": 80.0}, True, None)
    assert site.update([car("A", soc_pct=50.0)], False, after_s=839.0, sure=False) == []
    assert site.recharging.remembered()[1]
    assert site.update([car("A", soc_pct=50.0)], False, 6000.0, sure=True) == ["recharge_planned"]
    site = Recharge()
    site.recharging.restore({"A": 80.0}, True, None)
    assert site.update([car("A", soc_pct=50.0)], False, sure=False) == []
    assert site.update([car("A", soc_pct=50.0)], False, 6000.0, after_s=900.0, sure=False) == ["recharge_planned"]
    site = Recharge()
    site.recharging.restore({"A": 80.0}, True, None)
    site.update([car("A", soc_pct=50.0)], True, sure=False)  # it does go on
    assert site.targets() == {"A": 80.0}
    assert Recharge().recharging.remembered() == ({}, False, None)


# schedule -------------------------------------------------------------------------------------------------------------


def scheduled(site: Recharge, free_w: float, off: bool = False, *fleet: Resource) -> dict[str, float]:
    """Return in how many hours each target is reached."""
    fleet = fleet or (car("A"),)
    site.recharging._make_schedule(View(site.now, site.wall, site.inputs), fleet, free_w, site.profile)
    return {name: (one.ready - site.wall) / 3600 for name, one in site.recharging.schedule.items()}


def test_without_a_forecast_the_free_power_stays_as_it_is() -> None:
    site = Recharge()
    site.recharging.targets = {"A": target("A")}
    assert scheduled(site, 4000.0) == {"A": 2.0}
    assert scheduled(site, 16_000.0) == {"A": 1.5}  # 6 kW at most
    assert scheduled(site, math.inf) == {"A": 1.5}
    assert scheduled(site, 0.0) == {"A": math.inf}
    assert site.recharging.schedule["A"].parts == ()
    assert scheduled(site, -500.0) == {"A": math.inf}
    assert scheduled(site, 400.0) == {"A": 20.0}
    assert scheduled(site, 8000 / 24) == {"A": 24.0}
    assert scheduled(site, 8000 / 24.1) == {"A": math.inf}
    site.recharging._off = True
    assert scheduled(site, 4000.0) == {"A": math.inf}  # PV is unknown


def forecast(site: Recharge, *parts: tuple[float, float, float]) -> None:
    """Put a forecast: h, load W, PV W."""
    begin, series = site.wall, []
    for hours, load_w, pv_w in parts:
        series.append(ForecastPeriod(start=begin, duration_s=hours * 3600, load_w=load_w, pv_w=pv_w))
        begin += hours * 3600
    value = Forecast(ts=site.wall, series=tuple(series))
    site.inputs.put(InputKind.FORECAST, value, site.now, site.wall)


def test_on_the_grid_the_free_power_changes_with_load_and_pv() -> None:
    site = Recharge()
    site.recharging.targets = {"A": target("A")}
    forecast(site, (0.5, 3000.0, 1000.0), (1.5, 6000.0, 1000.0), (100.0, 0.0, 3000.0))
    assert scheduled(site, 2000.0) == {"A": 3.5}  # 2 kW, then nothing, then 7 kW (6 kW at most)
    assert scheduled(site, 5000.0) == {"A": 2.5}  # 5 kW, then 2 kW, then 6 kW
    assert scheduled(site, -3000.0) == {"A": 6.0}  # nothing, nothing, then 2 kW


def test_in_an_island_only_pv_surplus_is_free() -> None:
    site = Recharge()
    site.recharging.targets = {"A": target("A")}
    site.recharging._off = True
    forecast(site, (1.0, 3000.0, 1000.0), (1.0, 1000.0, 3000.0), (100.0, 1000.0, 10_000.0))
    assert scheduled(site, 5000.0) == {"A": 3.0}  # nothing, 2 kW, 6 kW
    site = Recharge()
    site.recharging.targets = {"A": target("A")}
    site.recharging._off = True
    forecast(site, (100.0, 3000.0, 3000.0))
    scheduled(site, 5000.0)
    assert site.recharging.schedule["A"].parts == ()
    forecast(site, (100.0, 3001.0, 3000.0))
    scheduled(site, 5000.0)
    assert site.recharging.schedule["A"].parts == ()


def test_batteries_are_scheduled_by_urgency_deadline_and_departure() -> None:
    site = Recharge()
    site.recharging.targets = {
        "A": target("A", due=site.wall + 9000),
        "B": target("B", due=site.wall + 8000),
        "C": target("C", due=site.wall + 99_000, urgent=True),
    }
    fleet = car("A"), car("B"), car("C")
    assert scheduled(site, 4000.0, False, *fleet) == {"C": 2.0, "B": 4.0, "A": 6.0}
    assert scheduled(site, 16_000.0, False, *fleet) == {"C": 1.5, "B": 1.5, "A": 2.0}
    site.recharging.targets["B"] = target("B", due=site.wall + 8000, leaves=site.wall + 9000.0)
    assert scheduled(site, 4000.0, False, *fleet) == {"C": 2.0, "B": math.inf, "A": 4.5}
    assert scheduled(site, 4000.0, False, car("A"), car("B")) == {"C": math.inf, "B": 2.0, "A": 4.0}  # C has left


# reports --------------------------------------------------------------------------------------------------------------


def test_a_target_that_will_be_missed_is_reported_once() -> None:
    site = Recharge()
    site.update([car("A", soc_pct=80.0, vehicle="V")], True)
    low = [car("A", soc_pct=50.0, vehicle="V")]
    found = site.events(low, False, 2000.0)
    assert [event.code for event in found] == ["recharge_planned", "recharge_late"]
    assert (found[1].at, found[1].subject) == (site.now, "A")
    assert dict(found[1].figures) == {"missing_wh": 4000}
    assert found[1].text.startswith("V will be 4.0 kWh short at ")
    assert found[1].text.endswith(" of the 80 % for its charge before the outage.")
    assert site.update(low, False, 2000.0) == []
    assert site.update(low, False, 3100.0) == []
    assert site.update(low, False, 2000.0) == ["recharge_late"]
    found = site.events([], False, 2000.0)
    assert site.update([], False) == []
    site.recharging.restore({"V": 80.0}, False, site.wall)
    assert site.update(low, False, 2000.0) == ["recharge_late"]


@pytest.mark.parametrize(("free_w", "late"), [(2950.0, False), (2949.0, True)])  # 200 Wh are measuring error
def test_little_missing_energy_is_not_reported(free_w: float, late: bool) -> None:
    site = Recharge()
    site.update([car("A", soc_pct=80.0)], True)
    assert ("recharge_late" in site.update([car("A", soc_pct=50.0)], False, free_w)) is late


def test_without_an_identity_the_place_is_named_and_a_time_after_tomorrow_is_no_time() -> None:
    site = Recharge()
    site.update([car("A", soc_pct=80.0)], True)
    planned, late = site.events([car("A", soc_pct=50.0)], False, 0.0)
    assert planned.text.endswith("A by a time beyond tomorrow.")
    assert late.text.startswith("A will be 12.0 kWh short at 2027-01-15T04:")
    assert late.text[: late.text.index(" of the")].endswith("Z")


def test_at_most_eight_batteries_are_named() -> None:
    site = Recharge()
    names = [f"E{number}" for number in range(10)]
    site.update([car(name, soc_pct=80.0) for name in names], True)
    (event, *_) = site.events([car(name, soc_pct=50.0) for name in names], False, 1e6)
    assert event.text.count(" by ") == 8
    assert dict(event.figures) == {"owed_wh": 120_000}


def test_in_an_outage_only_a_vehicle_that_cannot_get_home_is_reported() -> None:
    site = Recharge()
    fleet = [car("A", soc_pct=30.0, floor_pct=40.0), car("B", soc_pct=80.0)]
    assert site.update(fleet, True) == ["recharge_late"]
    assert site.update([fleet[0], car("B", soc_pct=50.0)], True) == []
    assert site.update([car("B", soc_pct=50.0)], False) == ["recharge_planned", "recharge_late"]


def test_without_targets_nothing_is_planned() -> None:
    site = Recharge()
    site.update([car("A", soc_pct=80.0)], True)
    assert site.update([car("A", soc_pct=80.0)], False) == []
    assert site.recharging.remembered() == ({}, False, None)


# power ----------------------------------------------------------------------------------------------------------------


def test_targets_are_among_the_wanted_states_of_charge() -> None:
    site = Recharge()
    fleet = [car("A", wanted_pct=60.0, due=WALL + 9.0), car("B", wanted_pct=90.0), car("C"), car("D", wanted_pct=1.0)]
    assert site.recharging.with_targets(fleet) is fleet
    site.recharging.targets = {name: target(name, due=WALL + 100.0) for name in "ABC"}
    site.recharging.targets["A"] = target("A", due=WALL + 5.0)
    wanted = [(one.wanted_pct, one.due) for one in site.recharging.with_targets(fleet)]
    assert wanted == [(80.0, WALL + 5.0), (90.0, WALL + 100.0), (80.0, WALL + 100.0), (1.0, None)]
    site.recharging.targets = {"A": target("A", due=WALL + 100.0, target_pct=0.5)}
    assert site.recharging.with_targets(fleet)[0].due == WALL + 9.0
    assert site.recharging.with_targets([car("A")])[0].wanted_pct == 0.5


def handed_out(site: Recharge, free_w: float, *fleet: Resource) -> list[tuple[float, float]]:
    """Return charge and possible discharge of each."""
    return [(one.must_w, one.max_discharge_w) for one in site.recharging.hand_out(fleet, free_w)]


def test_power_is_handed_out_by_urgency_and_deadline() -> None:
    site, fleet = Recharge(), (car("A"), car("B"), car("C"), car("D"))
    assert handed_out(site, 9000.0, *fleet) == [(0.0, 6000.0)] * 4
    site.recharging.targets = {
        "A": target("A", due=WALL + 9),
        "B": target("B", due=WALL + 8),
        "C": target("C", due=WALL + 99, urgent=True),
    }
    assert handed_out(site, 10_000.0, *fleet) == [(0.0, 0.0), (3000.0, 0.0), (6000.0, 0.0), (0.0, 6000.0)]
    assert handed_out(site, 20_000.0, *fleet)[0] == (0.0, 0.0)  # no more before the next schedule
    assert handed_out(site, 9000.0, *fleet)[:3] == [(0.0, 0.0), (3000.0, 0.0), (6000.0, 0.0)]
    assert handed_out(site, 8999.0, *fleet)[:3] == [(0.0, 0.0), (2999.0, 0.0), (6000.0, 0.0)]  # less at once
    assert handed_out(site, 0.0, *fleet) == [(0.0, 0.0)] * 3 + [(0.0, 6000.0)]
    assert handed_out(site, -1.0, *fleet) == [(0.0, 6000.0)] * 4  # the site's limits come first


def test_where_nothing_was_free_at_first_power_is_handed_out_later() -> None:
    site, one = Recharge(), car("A")
    site.recharging.targets = {"A": target("A")}
    assert [handed_out(site, free_w, one)[0][0] for free_w in (0.0, 5000.0)] == [0.0, 4500.0]
    little = car("A", max_charge_w=0.5)
    site = Recharge()
    site.recharging.targets = {"A": target("A")}
    assert [handed_out(site, free_w, little)[0][0] for free_w in (5000.0, 0.0)] == [0.5, 0.0]


def test_what_one_cannot_take_any_more_is_handed_out_with_the_next_schedule() -> None:
    site = Recharge()
    site.recharging.targets = {"A": target("A"), "B": target("B")}
    assert [one for one, _ in handed_out(site, 5000.0, car("A"), car("B"))] == [4500.0, 0.0]
    assert [one for one, _ in handed_out(site, 4500.0, car("A", max_charge_w=1000.0), car("B"))] == [1000.0, 0.0]
    assert [one for one, _ in handed_out(site, 4499.0, car("A", max_charge_w=1000.0), car("B"))] == [1000.0, 3499.0]


def test_of_equal_deadlines_the_name_decides() -> None:
    site = Recharge()
    site.recharging.targets = {name: target(name) for name in "BA"}
    assert [one for one, _ in handed_out(site, 5000.0, car("B"), car("A"))] == [0.0, 4500.0]


def test_each_schedule_hands_out_anew() -> None:
    site = Recharge()
    low = car("A", soc_pct=50.0)
    site.update([car("A", soc_pct=80.0)], True)
    site.update([low], False, 3000.0)
    assert handed_out(site, 1000.0, low) == [(900.0, 0.0)]
    assert handed_out(site, 5000.0, low) == [(900.0, 0.0)]
    site.update([low], False, 3000.0)
    assert handed_out(site, 5000.0, low) == [(4500.0, 0.0)]


@pytest.mark.parametrize(
    ("free_w", "least_w", "first_w", "second_w"),
    [
        (1600.0, 1400.0, 1440.0, 0.0),
        (1500.0, 1400.0, 0.0, 1350.0),  # too little for the first one
        (1500.0, 1350.0, 1350.0, 0.0),
        (7000.0, 1400.0, 6000.0, 300.0),
    ],
)
def test_no_charger_gets_less_than_its_least_power(
    free_w: float, least_w: float, first_w: float, second_w: float
) -> None:
    site = Recharge()
    site.recharging.targets = {"A": target("A", due=1.0), "B": target("B", due=2.0), "gone": target("gone", due=0.0)}
    fleet = car("A", min_charge_w=least_w), car("B")
    assert [one for one, _ in handed_out(site, free_w, *fleet)] == pytest.approx([first_w, second_w])


def test_power_never_exceeds_what_the_charger_leaves_later() -> None:
    site = Recharge()
    site.recharging.targets = {"A": target("A"), "N": target("N", due=0.0)}
    idle = car("N", max_charge_w=0.0)
    assert [one for one, _ in handed_out(site, 5000.0, car("A"), idle)] == [4500.0, 0.0]
    assert [one for one, _ in handed_out(site, 5000.0, car("A", max_charge_w=1000.0), idle)] == [1000.0, 0.0]
    assert [one for one, _ in handed_out(site, 5000.0, car("A"), car("B"))] == [4500.0, 0.0]


# state ----------------------------------------------------------------------------------------------------------------


def test_open_targets_are_published() -> None:
    site = Recharge()
    assert site.recharging.state() is None
    site.update([car("A", soc_pct=80.14, vehicle="V"), car("B", soc_pct=80.0)], True)
    low = [car("A", soc_pct=50.0, vehicle="V"), car("B", soc_pct=60.0)]
    site.update(low, True)
    row = RechargeTargetState(
        name="B", vehicle=None, target_pct=80.0, because_of="its charge before the outage", owed_wh=8000,
        due=site.wall + 4 * 3600, ready=None, missing_wh=8000,
    )  # fmt: skip
    first = row.model_copy(
        update={"name": "A", "vehicle": "V", "target_pct": 80.1, "owed_wh": 12_056, "missing_wh": 12_056}
    )
    assert site.recharging.state() == RechargeState(source="sun", owed=(first, row))
    site.update(low, False, 8000.0)
    state = site.recharging.state()
    assert state is not None
    assert state.source == "grid"
    assert [(one.ready - site.wall if one.ready else None) for one in state.owed] == [2.5 * 3600, 3 * 3600]
    assert [one.missing_wh for one in state.owed] == [0, 0]
    del site.recharging.targets["A"]
    state = site.recharging.state()
    assert state is not None
    assert [one.name for one in state.owed] == ["B"]
