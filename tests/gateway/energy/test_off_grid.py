"""Operation in an outage by numbers: autonomy, expected vehicles, collapse of the island, power of one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.authority.soc_floors import METER_EFFICIENCY
from gateway.energy.forecast import DayProfile
from gateway.energy.off_grid import OffGrid
from gateway.energy.reason import Decided
from gateway.energy.recharge_control import Recharging
from gateway.energy.recharge_targets import RechargeTarget
from gateway.energy.resilience.autonomy import Hours
from gateway.energy.resilience.island_balance import fill_storage, share_island
from gateway.energy.resilience.phase import Phase
from gateway.energy.resource import Kind, Resource
from gateway.energy.settings import SITE, EnergySection, TierTable
from gateway.energy.view import Car, View
from gateway.model.energy_state import AutonomyHours
from gateway.model.site import (
    AnyInput,
    Arrival,
    ArrivingCar,
    Forecast,
    ForecastPeriod,
    InputKind,
    Inputs,
    Load,
    Pv,
    Switch,
)
from tests.gateway.energy.cars import car

WALL = 1_800_000_000.0 - 1_800_000_000.0 % 86_400 + 600.0  # ten minutes into a half hour
TIERS = (
    TierTable(name="medical", priority=0, expected_w=1000, critical=True),
    TierTable(name="light", priority=1, expected_w=1000, critical=True),
    TierTable(name="kitchen", priority=2, expected_w=2000, wants_hours=8),
)


def at(evse: str, **more: Any) -> Car:
    return Car(evse, **({"max_charge_w": 6000.0, "max_discharge_w": 6000.0} | more))


@dataclass
class Outage:
    """A site in an outage."""

    settings: EnergySection = field(default_factory=lambda: EnergySection(tiers=TIERS))
    now: float = 1000.0
    inputs: Inputs = field(default_factory=Inputs)
    profile: DayProfile = field(default_factory=DayProfile)

    def __post_init__(self) -> None:
        self.recharging = Recharging(self.settings)
        self.off_grid = OffGrid(self.settings, self.recharging)

    @property
    def wall(self) -> float:
        return WALL + self.now - 1000.0

    def put(self, kind: InputKind, value: AnyInput) -> None:
        self.inputs.put(kind, value, self.now, self.wall)

    def load(self, power_w: float) -> None:
        self.put(InputKind.LOAD, Load(ts=self.wall, power_w=power_w))

    def pv(self, power_w: float) -> None:
        self.put(InputKind.PV, Pv(ts=self.wall, power_w=power_w))

    def view(self, *cars: Car, **more: Any) -> View:
        return View(self.now, self.wall, self.inputs, cars, **more)

    def look_ahead(
        self,
        resources: Sequence[Resource],
        floors: Mapping[str, float] | None = None,
        forming: str | None = "A",
        island: bool = True,
        **more: Any,
    ) -> list[Decided]:
        view = self.view(**more)
        return self.off_grid.look_ahead(view, resources, floors or {}, self.profile, forming, island)

    def expected(self, tier: str) -> float:
        return self.off_grid.hours[tier].expected


def known_load(outage: Outage, load_w: float, pv_w: float = 0.0, hours: float = 200.0) -> None:
    """Put a forecast of a constant load from the present half hour on."""
    begin = WALL - 600.0
    period = ForecastPeriod(start=begin, duration_s=min(hours * 3600, 7 * 86_400.0), load_w=load_w, pv_w=pv_w)
    outage.put(InputKind.FORECAST, Forecast(ts=outage.wall, series=(period,)))


def codes(events: Sequence[Decided]) -> list[str]:
    return [str(event.code) for event in events]


# autonomy -------------------------------------------------------------------------------------------------------------


def test_without_a_forecast_each_tier_lasts_by_what_is_expected_of_it() -> None:
    outage = Outage()
    outage.look_ahead([car("A"), car("B", soc_pct=None)], island=False)  # 20 kWh
    assert [outage.expected(name) for name in ("medical", "light", "kitchen")] == pytest.approx([20.0, 10.0, 5.0])
    low, high = outage.off_grid.hours["light"].low, outage.off_grid.hours["light"].high
    assert low == pytest.approx(20_000 * (1 - 1.28 * 0.06) / (2000 * (1 + 1.28 * 0.4)))  # the load is the last known
    assert high == pytest.approx(20_000 * (1 + 1.28 * 0.06) / (2000 * (1 - 1.28 * 0.4)))


def test_without_a_forecast_there_is_no_pv() -> None:
    outage = Outage()
    outage.look_ahead([car("A", soc_pct=95.0, capacity_wh=200_000)], island=False)  # 190 kWh
    assert outage.expected("light") == pytest.approx(95.0)
    outage.off_grid.tiers.tiers = [TierTable(name="one", priority=0, expected_w=1.5)]
    outage.now += 60
    outage.look_ahead([car("A", soc_pct=1.0, capacity_wh=9000)], island=False)  # 90 Wh
    assert outage.expected("one") == pytest.approx(60.0)


def test_without_any_knowledge_of_the_load_there_is_no_autonomy() -> None:
    outage = Outage(EnergySection())
    outage.look_ahead([car("A")])
    assert outage.off_grid.hours == {}
    nothing = TierTable(name="nothing", priority=0, expected_w=0.0)
    outage = Outage(EnergySection(tiers=(nothing,)))
    assert outage.look_ahead([car("A")], island=False) == []
    assert outage.off_grid.hours == {}
    assert outage.off_grid.autonomy_state() == {}


def test_a_little_expected_load_is_enough() -> None:
    little = TierTable(name="little", priority=0, expected_w=0.5)
    outage = Outage(EnergySection(tiers=(little,)))
    outage.look_ahead([car("A", soc_pct=0.1, capacity_wh=10_000)], island=False)
    assert outage.expected("little") == pytest.approx(20.0)


def test_a_site_without_tiers_is_one_tier() -> None:
    outage = Outage(EnergySection())
    known_load(outage, 4000.0)
    outage.look_ahead([car("A")], island=False)
    assert [*outage.off_grid.hours] == [SITE]
    assert outage.expected(SITE) == pytest.approx(5.0)
    assert outage.off_grid.hours[SITE].low == pytest.approx(20_000 * (1 - 1.28 * 0.06) / (4000 * (1 + 1.28 * 0.15)))


def test_the_forecast_is_divided_over_the_tiers() -> None:
    outage = Outage()
    known_load(outage, 2000.0)
    outage.look_ahead([car("A")], island=False)  # of 4000 W expected
    assert [outage.expected(name) for name in ("medical", "light", "kitchen")] == pytest.approx([40.0, 20.0, 10.0])


def test_a_forecast_below_a_part_of_what_the_tiers_draw_is_not_trusted() -> None:
    outage = Outage()
    known_load(outage, 100.0)
    outage.look_ahead([car("A")], island=False)
    assert outage.expected("kitchen") == pytest.approx(20_000 / 1200)
    outage = Outage()
    known_load(outage, 1201.0)
    outage.look_ahead([car("A")], island=False)
    assert outage.expected("kitchen") == pytest.approx(20_000 / 1201)


def test_tiers_without_any_expected_power_take_the_whole_forecast_share() -> None:
    outage = Outage(EnergySection(tiers=(TierTable(name="nothing", priority=0, expected_w=0.0),)))
    known_load(outage, 4000.0)
    outage.look_ahead([car("A")], island=False)
    assert outage.expected("nothing") == 96.0  # it draws nothing
    outage = Outage(EnergySection(tiers=(TierTable(name="one", priority=0, expected_w=0.5),)))
    known_load(outage, 4000.0)
    outage.look_ahead([car("A")], island=False)
    assert outage.expected("one") == pytest.approx(5.0)


def test_the_outlook_begins_with_the_present_half_hour_and_is_two_days_long() -> None:
    outage = Outage(EnergySection())
    begin = WALL - 600.0
    steps = [(0.0, 1800.0, 2000.0), (1800.0, 86_400.0 - 1800.0, 4000.0), (86_400.0, 86_400.0, 500.0)]
    series = tuple(ForecastPeriod(start=begin + start, duration_s=s, load_w=w) for start, s, w in steps)
    outage.put(InputKind.FORECAST, Forecast(ts=outage.wall, series=series))
    outage.look_ahead([car("A")], island=False)
    assert outage.expected(SITE) == pytest.approx(0.5 + 19_000 / 4000)
    outage.now += 60
    energy_wh = 1000.0 + 23.5 * 4000 + 24 * 500 + 2 * 500
    outage.look_ahead([car("A", soc_pct=50.0, capacity_wh=2 * energy_wh)], island=False)
    assert outage.expected(SITE) == pytest.approx(50.0)  # the second day is repeated


def test_surplus_pv_fills_what_is_free() -> None:
    outage = Outage(EnergySection())
    begin = WALL - 600.0
    steps = [(0.0, 3600.0, 0.0, 9000.0), (3600.0, 7 * 86_400.0 - 3600.0, 4000.0, 0.0)]
    series = tuple(ForecastPeriod(start=begin + t, duration_s=s, load_w=w, pv_w=p) for t, s, w, p in steps)
    outage.put(InputKind.FORECAST, Forecast(ts=outage.wall, series=series))
    outage.look_ahead([car("A", soc_pct=90.0), car("B", soc_pct=95.0)], island=False)  # 74 kWh, 6 kWh free
    assert outage.expected(SITE) == pytest.approx(1.0 + 80_000 / 4000)


def test_energy_counts_above_the_floor_that_an_outage_has() -> None:
    outage = Outage()
    fleet = [car("A", floor_pct=40.0), car("B", floor_pct=45.0)]
    outage.look_ahead(fleet, {"A": 25.0}, island=False)  # 10 kWh and 2 kWh
    assert outage.expected("kitchen") == pytest.approx(3.0)


def test_it_is_updated_each_minute() -> None:
    outage = Outage()
    assert outage.off_grid.due(0.0)
    outage.look_ahead([car("A")])
    before = outage.expected("kitchen")
    outage.now += 59.9
    assert not outage.off_grid.due(outage.now)
    assert outage.look_ahead([]) == []
    assert outage.expected("kitchen") == before
    outage.now = 1060.0
    assert outage.off_grid.due(outage.now)
    outage.look_ahead([car("A", soc_pct=25.0)])
    assert outage.expected("kitchen") == pytest.approx(before / 2)


def test_the_autonomy_is_published_in_hundredths_of_an_hour() -> None:
    outage = Outage()
    outage.off_grid.hours = {"light": Hours(1.016, 2.006, 3.333)}
    assert outage.off_grid.autonomy_state() == {"light": AutonomyHours(low=1.02, expected=2.01, high=3.33)}


# expected vehicles


@pytest.mark.parametrize(
    ("more", "hours"),
    [
        ({"soc_pct": 60.0, "capacity_wh": 40_000.0}, 5.0 + 20_000 * METER_EFFICIENCY / 4000),
        ({"soc_pct": 10.0, "capacity_wh": 40_000.0}, 5.0),
        ({"soc_pct": 5.0, "capacity_wh": 40_000.0}, 5.0),
        ({"soc_pct": 60.0}, 5.0),
        ({"capacity_wh": 40_000.0}, 5.0),
    ],
)
def test_energy_of_expected_vehicles_above_the_off_grid_floor(more: dict[str, Any], hours: float) -> None:
    outage = Outage(EnergySection(off_grid_pct=10.0))
    known_load(outage, 4000.0)
    arriving = ArrivingCar(vehicle="V", at=WALL + 3600, **more)
    outage.put(InputKind.ARRIVAL, Arrival(ts=outage.wall, arrivals=(arriving,)))
    outage.look_ahead([car("A")], island=False)
    assert outage.expected(SITE) == pytest.approx(hours)


@pytest.mark.parametrize(
    ("in_s", "hours"),
    [(0.0, 5.0), (1.0, 9.7), (4 * 3600.0, 9.7), (18_000.0, 9.7), (18_000.5, 5.0), (5.4 * 3600, 5.0), (-3600.0, 5.0)],
)
def test_a_vehicle_counts_when_it_arrives_in_time(in_s: float, hours: float) -> None:
    outage = Outage(EnergySection(off_grid_pct=10.0))
    known_load(outage, 4000.0)
    arriving = ArrivingCar(vehicle="V", at=WALL + in_s, soc_pct=60.0, capacity_wh=40_000.0)
    outage.put(InputKind.ARRIVAL, Arrival(ts=outage.wall, arrivals=(arriving,)))
    outage.look_ahead([car("A")], island=False)
    assert outage.expected(SITE) == pytest.approx(hours)


def test_expected_vehicles_count_for_every_tier() -> None:
    outage = Outage()
    arriving = ArrivingCar(vehicle="V", at=WALL + 3600, soc_pct=60.0, capacity_wh=40_000.0)
    outage.put(InputKind.ARRIVAL, Arrival(ts=outage.wall, arrivals=(arriving, arriving)))
    outage.look_ahead([car("A")], island=False)
    energy_wh = 20_000 + 2 * 20_000 * METER_EFFICIENCY
    assert outage.expected("medical") == pytest.approx(energy_wh / 1000)
    assert outage.expected("kitchen") == pytest.approx(energy_wh / 4000)


# report of the autonomy


def energy_for(hours: float) -> list[Resource]:
    """Return a source that supplies both critical tiers for at least this time."""
    energy_wh = hours * 2000 * (1 + 1.28 * 0.4) / (1 - 1.28 * 0.06)
    return [car("A", capacity_wh=2 * energy_wh)]


def test_each_mark_of_the_autonomy_is_reported_once() -> None:
    outage, found = Outage(), []
    for hours in (30.0, 24.1, 23.9, 23.0, 8.1, 7.9, 9.0, 7.8, 3.9, 1.9, 0.9, 0.5):
        outage.now += 60
        events = [event for event in outage.look_ahead(energy_for(hours)) if event.code == "autonomy"]
        found += [(hours, event.subject) for event in events]
    assert found == [(hours, "light") for hours in (23.9, 7.9, 3.9, 1.9, 0.9)]


def test_the_report_has_the_hours() -> None:
    outage = Outage()
    event = outage.look_ahead(energy_for(3.457))[0]
    hours = outage.off_grid.hours["light"]
    assert (event.at, event.code, event.subject) == (1000.0, "autonomy", "light")
    assert dict(event.figures) == {"hours_low": 3.46, "hours_expected": round(hours.expected, 2)}
    assert event.text.startswith("light is supplied for 3.5 to ")


def test_a_mark_is_reached_at_its_hours() -> None:
    outage = Outage()
    for low_h, count in ((4.0, 1), (3.9, 0), (2.0, 1), (1.9, 0)):
        outage.off_grid.hours = {"light": Hours(low_h, 9.0, 9.0)}
        assert len(outage.off_grid._report(outage.view())) == count


def test_on_the_grid_nothing_is_reported_and_the_marks_begin_again() -> None:
    outage = Outage()
    assert outage.look_ahead(energy_for(3.0), island=False) == []
    assert outage.off_grid.rotation_step.events == ()
    outage.now += 60
    assert "autonomy" in codes(outage.look_ahead(energy_for(3.0)))
    outage.now += 60
    assert "autonomy" not in codes(outage.look_ahead(energy_for(3.0)))
    outage.now += 60
    outage.look_ahead(energy_for(3.0), island=False)
    outage.now += 60
    assert "autonomy" in codes(outage.look_ahead(energy_for(3.0)))


def test_without_critical_tiers_the_most_important_one_is_reported() -> None:
    tiers = tuple(tier.model_copy(update={"critical": False}) for tier in TIERS)
    outage = Outage(EnergySection(tiers=tiers))
    assert outage.look_ahead([car("A")])[0].subject == "medical"
    outage = Outage(EnergySection())
    assert outage.look_ahead([car("A")]) == []
    known_load(outage, 4000.0)
    outage.now += 60
    assert outage.look_ahead([car("A")])[0].subject == SITE


# rotation


def test_the_rotation_knows_draw_source_and_calls() -> None:
    outage = Outage()
    outage.load(6000.0)
    outage.pv(2000.0)
    fleet = [car("A", can_form=True), car("B", vehicle="V", can_form=True)]
    events = outage.look_ahead(fleet, called=frozenset({"V"}))
    assert outage.off_grid.rotation_step.released == ("B",)  # A alone lasts 5 h at 4 kW
    assert [event.code for event in events if event.subject == "V" or event.code == "car_let_go"] == ["car_let_go"]
    assert {event.at for event in events} == {outage.now}
    outage.now += 60
    outage.look_ahead(fleet, forming="B", called=frozenset({"V"}))
    assert outage.off_grid.rotation_step.hand_to == "A"


@pytest.mark.parametrize(
    ("one", "other", "supplied"),
    [
        ({"can_form": True, "max_discharge_w": 2000.0}, {"max_discharge_w": 0.0}, True),  # 5 % are left free
        ({"can_form": True, "max_discharge_w": 1999.0}, {"max_discharge_w": 0.0}, False),
        ({"can_form": True, "max_discharge_w": 1.0}, {"max_discharge_w": 1999.0}, True),
        ({"can_form": True, "max_discharge_w": 0.0}, {"max_discharge_w": 2000.0}, False),
        ({"can_form": False, "max_discharge_w": 2000.0}, {"max_discharge_w": 2000.0}, False),
        ({"can_form": True, "soc_pct": 10.001, "floor_pct": 10.0}, {}, True),
        ({"can_form": True, "soc_pct": 10.0, "floor_pct": 10.0}, {}, False),
        ({"can_form": True, "max_discharge_w": 1000.0}, {"soc_pct": 10.0, "floor_pct": 10.0}, False),
    ],
)
def test_sources_supply_the_critical_load_if_one_can_form(
    one: dict[str, Any], other: dict[str, Any], supplied: bool
) -> None:
    tiers = (
        TierTable(name="medical", priority=0, expected_w=900.0, critical=True),
        TierTable(name="light", priority=1, expected_w=1000.0, critical=True),
        TierTable(name="kitchen", priority=2, expected_w=9000.0),
    )
    outage = Outage(EnergySection(tiers=tiers))
    assert outage.off_grid.supplied_by([car("A", **one), car("B", **other)]) is supplied


@pytest.mark.parametrize(("due", "released"), [((), ()), (("V",), ("B",))])
def test_a_vehicle_that_is_late_leaves_before_the_storage_is_full(
    due: tuple[str, ...], released: tuple[str, ...]
) -> None:
    outage = Outage()
    outage.load(4000.0)
    fleet = [car("A", can_form=True), car("B", vehicle="V"), car("S", kind=Kind.STORAGE, soc_pct=50.0)]
    outage.look_ahead(fleet, called=frozenset({"V"}), due=frozenset(due))
    assert outage.off_grid.rotation_step.released == released


@pytest.mark.parametrize(
    ("load_w", "pv_w", "needed_h"),
    [(None, None, 1.75), (None, 2000.0, None), (5000.0, 1000.0, 1.75), (8000.0, None, 0.75)],
)
def test_the_next_vehicle_is_requested_by_the_present_draw(
    load_w: float | None, pv_w: float | None, needed_h: float | None
) -> None:
    outage = Outage()  # 4000 W are expected
    if load_w is not None:
        outage.load(load_w)
    if pv_w is not None:
        outage.pv(pv_w)
    outage.look_ahead([car("A", soc_pct=20.0)])
    assert outage.off_grid.rotation_step.needed_in_h == (None if needed_h is None else pytest.approx(needed_h))


# collapse -------------------------------------------------------------------------------------------------------------


def test_what_the_tiers_draw_is_measured_while_the_island_has_a_voltage() -> None:
    outage = Outage()
    outage.off_grid.measure(outage.view(), True)
    assert outage.off_grid.collapse.draws == 1.0
    outage.load(6000.0)
    outage.off_grid.measure(outage.view(), True)
    assert outage.off_grid.collapse.draws == 1.5
    outage.off_grid.collapse.dark = True
    outage.load(8000.0)
    outage.off_grid.measure(outage.view(), True)
    assert outage.off_grid.collapse.draws == 1.5
    outage.off_grid.measure(outage.view(), False)
    assert outage.off_grid.collapse.draws == 2.0
    outage.now += 16
    outage.off_grid.collapse.dark = False
    outage.off_grid.collapse.draws = 1.0
    outage.off_grid.measure(outage.view(), True)  # stale
    assert outage.off_grid.collapse.draws == 1.0


def collapse(outage: Outage, *cars: Car, forming: str | None = "A") -> list[Decided]:
    """Let a load that was supplied fall to nothing."""
    found = []
    for load_w in (3000.0, 0.0, 0.0, 0.0):
        outage.now += 1
        outage.load(load_w)
        found += outage.off_grid.watch(outage.view(*cars), Phase.ISLAND, forming)
    return found


def dark(outage: Outage) -> bool:
    return outage.off_grid.collapse.dark


def test_a_collapse_is_detected_and_its_end_reported() -> None:
    outage = Outage()
    assert collapse(outage, at("A")) == []
    assert dark(outage)
    outage.now += 1
    outage.load(3000.0)
    (event,) = outage.off_grid.watch(outage.view(at("A")), Phase.ISLAND, "A")
    assert (event.at, event.code, event.subject) == (outage.now, "source_back", "A")
    assert not dark(outage)
    assert outage.off_grid.watch(outage.view(at("A")), Phase.ISLAND, "A") == []


def test_a_load_that_a_source_supplies_has_not_collapsed() -> None:
    outage = Outage()
    collapse(outage, at("A", power_w=-3000.0, metered_at=1002.5))
    assert not dark(outage)
    for one in (
        at("A", power_w=-3000.0),  # a reading of unknown time
        at("A", power_w=-3000.0, metered_at=1001.5),  # from before
        at("A", power_w=3000.0, metered_at=1002.5),
        at("A", metered_at=1002.5),
        at("B", power_w=-3000.0, metered_at=1002.5),  # another one
    ):
        outage = Outage()
        collapse(outage, one)
        assert dark(outage)


def open_switch(outage: Outage) -> None:
    outage.put(InputKind.SWITCH, Switch(ts=outage.wall, open=True))


def test_without_a_load_meter_the_forming_evse_shows_a_collapse() -> None:
    outage = Outage()
    for power_w in (-3000.0, -3000.0, 0.0, 0.0, 0.0, 0.0):
        outage.now += 1
        open_switch(outage)
        outage.off_grid.watch(outage.view(at("A", power_w=power_w, metered_at=outage.now)), Phase.ISLAND, "A")
    assert dark(outage)


def test_without_a_load_meter_the_forming_evse_shows_what_the_tiers_draw() -> None:
    outage = Outage()
    open_switch(outage)
    outage.off_grid.watch(outage.view(), Phase.ISLAND, "A")  # it forms the island since now
    supplying = outage.view(at("A", power_w=-6000.0, metered_at=outage.now + 0.5))
    outage.off_grid.measure(supplying, False)
    assert outage.off_grid.collapse.draws == 1.0
    outage.off_grid.measure(outage.view(at("A", power_w=-6000.0, metered_at=outage.now)), True)
    assert outage.off_grid.collapse.draws == 1.0
    outage.off_grid.measure(supplying, True)
    assert outage.off_grid.collapse.draws == 1.5


@pytest.mark.parametrize(("discharge_w", "serves"), [(6000.0, True), (0.5, True), (0.0, False)])
def test_a_battery_of_unknown_charge_counts_as_one_that_can_supply(discharge_w: float, serves: bool) -> None:
    outage = Outage()
    outage.load(0.0)
    fleet = [car("A", soc_pct=None, max_discharge_w=discharge_w), car("B", soc_pct=0.0, max_discharge_w=6000.0)]
    _, events = outage.off_grid.step(outage.view(at("A"), at("B")), fleet, "A")
    assert len(events) == (0 if serves else 3)  # all tiers are shed where every battery is at its floor


def test_the_draw_of_the_island_sheds_by_the_forming_evse_alone() -> None:
    outage = Outage()
    open_switch(outage)
    outage.off_grid.watch(outage.view(), Phase.ISLAND, "A")
    outage.now += 1
    for metered_at, shed in ((outage.now - 1, False), (outage.now, True)):
        supplying = outage.view(at("A", power_w=-6000.0, metered_at=metered_at))
        for _ in range(30):
            _, events = outage.off_grid.step(supplying, [car("A", max_discharge_w=5000.0)], "A")
            if events:
                break
        assert bool(events) is shed, events


def test_with_the_tiers_off_no_load_is_no_collapse() -> None:
    outage = Outage()
    for name in outage.off_grid.tiers.on:
        outage.off_grid.tiers.on[name] = False
    collapse(outage, at("A"))
    assert not dark(outage)
    outage = Outage(EnergySection())  # without tiers everything is connected
    collapse(outage, at("A"))
    assert dark(outage)


def test_without_a_load_meter_nothing_is_detected() -> None:
    outage = Outage()
    for _ in range(60):
        outage.now += 1
        assert outage.off_grid.watch(outage.view(at("A")), Phase.ISLAND, "A") == []
    assert not dark(outage)


def test_the_detection_ends_with_the_source() -> None:
    outage = Outage()
    collapse(outage, at("A"))
    assert outage.off_grid.watch(outage.view(), Phase.DARK, None) == []
    assert dark(outage)  # until the next attempt
    outage.load(3000.0)
    (event,) = outage.off_grid.watch(outage.view(), Phase.DARK, None)
    assert (event.code, event.subject) == ("source_back", "")
    collapse(outage, at("A"))
    assert outage.off_grid.watch(outage.view(), Phase.ON_GRID, None) == []
    assert not dark(outage)
    assert collapse(outage, forming=None) == []
    assert not dark(outage)
    collapse(outage, at("A"))
    assert outage.off_grid.watch(outage.view(at("A")), Phase.ON_GRID, "A") == []
    assert dark(outage)


def test_the_third_collapse_is_reported_to_the_operator() -> None:
    outage = Outage()
    assert collapse(outage, at("A")) == []
    assert codes(collapse(outage, at("A"))) == ["source_back"]
    back, event = collapse(outage, at("A"))
    assert (event.at, event.code, event.subject) == (outage.now, "island_cannot_hold", "A")
    assert dict(event.figures) == {"load_w": 3000}
    assert "3 times" in event.text
    assert "A cannot supply" in event.text
    assert "last 3000 W" in event.text
    assert "in 20 s" in event.text
    assert back.code == "source_back"


def test_failed_attempts_count_as_well() -> None:
    outage = Outage()
    outage.off_grid.collapse.last_w = 3210.4
    assert outage.off_grid.attempt_failed(10.0, "A") == []
    assert outage.off_grid.attempt_failed(20.0, "A") == []
    (event,) = outage.off_grid.attempt_failed(30.0, "B")
    assert (event.at, event.code, event.subject) == (30.0, "island_cannot_hold", "B")
    assert dict(event.figures) == {"load_w": 3210}
    (event,) = outage.off_grid.attempt_failed(40.0, "")
    assert event.subject == ""
    assert outage.off_grid.attempt_failed(5000.0, "A") == []  # after the hour


# power of one step ----------------------------------------------------------------------------------------------------


def test_the_sources_supply_load_less_pv() -> None:
    outage = Outage()
    outage.load(9000.0)
    outage.pv(1000.0)
    fleet = [car("A"), car("B")]
    shares, events = outage.off_grid.step(outage.view(at("A"), at("B")), fleet, "A")
    assert shares.power_w == pytest.approx({"B": -4000.0})
    assert (shares.forming_w, shares.evses_w, shares.pv_limit_w, shares.commanded) == (-4000.0, -8000.0, None, {})
    assert events == []


def test_without_meters_the_tiers_count_as_expected() -> None:
    outage = Outage()
    shares, events = outage.off_grid.step(outage.view(at("A")), [car("A")], "A")
    assert (shares.forming_w, shares.pv_limit_w, events) == (-4000.0, None, [])
    shares, _ = outage.off_grid.step(outage.view(at("A")), [car("A", max_discharge_w=4211.0)], "A")
    assert all(outage.off_grid.tiers.on.values())
    _, events = outage.off_grid.step(outage.view(at("A")), [car("A", max_discharge_w=4210.0)], "A")
    assert [event.subject for event in events] == ["kitchen"]  # 5 % are kept free


def test_tiers_are_shed_by_the_power_of_sources_and_pv() -> None:
    outage = Outage()
    outage.load(7000.0)
    outage.pv(1400.0)
    _, events = outage.off_grid.step(outage.view(at("A")), [car("A")], "A")
    assert events == []
    outage.pv(1300.0)
    _, events = outage.off_grid.step(outage.view(at("A")), [car("A")], "A")
    assert [event.subject for event in events] == ["kitchen"]


def test_tiers_are_shed_by_their_autonomy() -> None:
    outage = Outage()
    outage.load(1000.0)
    outage.off_grid.hours = {"kitchen": Hours(8.0, 1.0, 1.0)}
    assert outage.off_grid.step(outage.view(at("A")), [car("A")], "A")[1] == []
    outage.off_grid.hours = {"kitchen": Hours(7.9, 20.0, 20.0)}
    _, events = outage.off_grid.step(outage.view(at("A")), [car("A")], "A")
    assert [(event.code, event.subject) for event in events] == [("tier_shed", "kitchen")]


@pytest.mark.parametrize(
    ("soc_pct", "pv_w", "count"), [(10.0, None, 3), (10.0, 0.0, 3), (10.0, 0.5, 0), (10.001, None, 0)]
)
def test_at_their_floors_the_batteries_supply_nothing(soc_pct: float, pv_w: float | None, count: int) -> None:
    outage = Outage()
    outage.load(500.0)
    if pv_w is not None:
        outage.pv(pv_w)
    fleet = [car("A", soc_pct=soc_pct, floor_pct=10.0), car("B", soc_pct=5.0, floor_pct=10.0)]
    _, events = outage.off_grid.step(outage.view(at("A")), fleet, "A")
    assert codes(events) == ["tier_shed"] * count


def test_a_tier_is_restored_by_what_it_drew_before_but_the_first_one_is_tried() -> None:
    def restored(on: Sequence[str], power_w: float, losses: int = 0) -> list[str]:
        outage = Outage()
        for _ in range(losses):
            outage.off_grid.attempt_failed(outage.now, "A")
        outage.load(0.0)
        outage.off_grid.collapse.draws = 3.0
        for name in outage.off_grid.tiers.on:
            outage.off_grid.tiers.on[name] = name in on
        _, events = outage.off_grid.step(outage.view(at("A")), [car("A", max_discharge_w=power_w)], "A")
        return [event.subject for event in events]

    assert restored([], 1666.0) == ["medical"]  # 1.5 times its power, less 10 %
    assert restored([], 1665.0) == []
    assert restored(["medical"], 4444.0) == ["light"]  # 1 kW and three times 1 kW
    assert restored(["medical"], 4443.0) == []
    assert restored([], 1866.0, losses=2) == []
    assert restored([], 1878.0, losses=2) == ["medical"]  # 1.69 times its power


def test_vehicles_under_commands_take_their_power_within_limits() -> None:
    outage = Outage()
    outage.load(3000.0)
    outage.pv(1000.0)
    fleet = [car("A"), car("F"), car("H", power_w=-500.0)]
    cars = at("A"), at("F"), at("H", held=True, power_w=-500.0)
    shares, _ = outage.off_grid.step(outage.view(*cars), fleet, "A")
    assert shares.power_w == pytest.approx({"F": 0.0})
    assert shares.forming_w == pytest.approx(-1500.0)
    assert shares.evses_w == pytest.approx(-2000.0)
    assert shares.commanded == {"H": pytest.approx((-7100.0, 3100.0))}


def test_the_grid_forming_source_is_never_under_a_command() -> None:
    outage = Outage()
    outage.load(3000.0)
    cars = at("A", held=True, power_w=-500.0), at("B")
    shares, _ = outage.off_grid.step(outage.view(*cars), [car("A", power_w=-500.0), car("B")], "A")
    assert shares.commanded == {}
    assert shares.forming_w == pytest.approx(-3000.0)


def owed(outage: Outage, *names: str) -> None:
    for name in names:
        outage.recharging.targets[name] = RechargeTarget(name, "", 80.0, "the test", WALL + 9000, 5000.0)


@pytest.mark.parametrize(
    ("load_w", "power_w"),
    [
        (1000.0, 4000.0),  # else all of it would go to A
        (5000.0, 0.0),
        (7000.0, -1000.0),
    ],
)
def test_of_a_surplus_the_recharge_comes_first(load_w: float, power_w: float) -> None:
    outage = Outage()
    owed(outage, "B")
    outage.load(load_w)
    outage.pv(5000.0)
    fleet = [car("A"), car("B", max_discharge_w=6000.0)]
    shares, _ = outage.off_grid.step(outage.view(at("A"), at("B")), fleet, "A")
    if power_w >= 0:
        assert shares.power_w["B"] == pytest.approx(power_w)
    else:
        assert shares.power_w["B"] + shares.forming_w == pytest.approx(-2000.0)


def test_a_surplus_beyond_all_batteries_is_curtailed() -> None:
    outage = Outage()
    outage.load(1000.0)
    outage.pv(8000.0)
    fleet = [car("A"), car("H", power_w=0.0)]
    shares, _ = outage.off_grid.step(outage.view(at("A"), at("H", held=True, power_w=0.0)), fleet, "A")
    assert shares.pv_limit_w == pytest.approx(1000.0 + 6000.0 - 200.0)  # only A can be relied on
    outage = Outage()
    outage.load(1000.0)
    outage.pv(8000.0)
    shares, _ = outage.off_grid.step(outage.view(at("A"), at("H", held=True, power_w=500.0)), fleet, "A")
    assert shares.pv_limit_w == pytest.approx(1000.0 + 6000.0 - 200.0)
    fleet = [car("A"), car("H", power_w=-500.0)]
    outage = Outage()
    outage.load(1000.0)
    outage.pv(8000.0)
    shares, _ = outage.off_grid.step(outage.view(at("A"), at("H", held=True, power_w=-500.0)), fleet, "A")
    assert shares.pv_limit_w == pytest.approx(1000.0 + 6500.0 - 200.0)


def test_a_moment_without_surplus_leaves_the_power_of_the_recharge_as_it_was() -> None:
    outage, fleet = Outage(), [car("A"), car("B")]
    owed(outage, "B")
    found = []
    for load_w, pv_w in ((1000.0, 5000.0), (5000.0, 5000.0), (5000.5, 5000.0), (1000.0, 9000.0)):
        outage.now += 1
        outage.load(load_w)
        outage.pv(pv_w)
        shares, _ = outage.off_grid.step(outage.view(at("A"), at("B")), fleet, "A")
        found.append(shares.power_w["B"])
    assert found == pytest.approx([4000.0, 0.0, 0.0, 5800.0])  # 3.6 kW, and half of the rest


def test_the_limit_of_pv_ends_when_load_and_batteries_can_take_more_or_pv_is_not_reported() -> None:
    def limits(*steps: tuple[float | None, float]) -> list[float | None]:
        outage, found = Outage(), []
        for pv_w, load_w in steps:
            outage.now += 61
            outage.load(load_w)
            if pv_w is not None:
                outage.pv(pv_w)
            found.append(outage.off_grid.step(outage.view(at("A")), [car("A")], "A")[0].pv_limit_w)
        return found

    cloud = (3000.0, 1000.0)
    assert limits((8000.0, 1000.0), cloud, cloud, cloud) == [6800.0, 6800.0, 6800.0, 6800.0]  # the sun may return
    assert limits((8000.0, 1000.0), (6800.0, 4700.0), (6800.0, 4710.0)) == [6800.0, 9995.0, None]
    assert limits((8000.0, 1000.0), (None, 1000.0)) == [6800.0, None]


@pytest.mark.parametrize(
    ("called", "soc_pct", "fills"), [("V", 50.0, True), ("W", 50.0, False), ("V", 10.001, True), ("V", 10.0, False)]
)
def test_a_vehicle_that_is_called_away_fills_the_storage(called: str, soc_pct: float, fills: bool) -> None:
    outage = Outage()
    outage.load(1000.0)
    outage.pv(100.0)
    storage = car("S", kind=Kind.STORAGE)
    fleet = [car("A", vehicle="V", soc_pct=soc_pct, floor_pct=10.0), car("B"), storage]
    shares, _ = outage.off_grid.step(outage.view(at("A"), at("B"), called=frozenset({called})), fleet, "A")
    expected = (fill_storage if fills else share_island)(900.0, fleet, "A")
    assert (shares.power_w, shares.forming_w) == (expected.power_w, expected.forming_w)
    assert shares.evses_w == pytest.approx(expected.forming_w + expected.power_w["B"])
    assert (shares.power_w["S"] > 0) is fills
