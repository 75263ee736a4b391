"""SoC floors, their hysteresis and the EV's V2X window: below any of them nothing is discharged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.layers import PowerRequest, Situation, layers
from gateway.authority.priority import Bound, Decision, decide
from gateway.authority.soc_floors import (
    NO_FLOOR,
    Floor,
    Reserve,
    ReserveInForce,
    agreement_floor,
    floor_bound,
    floor_in_force,
    floor_reached,
    floors_of,
    storage_floor,
    trip_wh,
    vehicle_floors,
)
from gateway.model.event import EvseDescribed, NeedsStated, PowerLimits, SessionStarted, StationConnected, VehicleNeeds
from gateway.model.evse import Evse
from gateway.model.reason import Code
from gateway.model.result import Layer
from gateway.model.site import Site, SitePolicy

LIMITS = PowerLimits(11_000.0, 10_000.0)
PERCENT = st.floats(0, 100)


def an_evse(soc_pct: float | None = 80.0, capacity_wh: float | None = 60_000.0, v2x_wh: float | None = None) -> Evse:
    evse = Evse("CP1-1", "CP1")
    evse.apply(StationConnected("CP1", 0.0, "ocpp2.1"))
    evse.apply(EvseDescribed("CP1-1", "CP1", 0.0, LIMITS, True))
    evse.apply(SessionStarted("CP1-1", 0.0, "tx"))
    evse.apply(
        NeedsStated(
            "CP1-1",
            0.0,
            VehicleNeeds(
                LIMITS, True, "DC_BPT", soc_pct=soc_pct, battery_capacity_wh=capacity_wh, min_v2x_energy_wh=v2x_wh
            ),
        )
    )
    evse.connected = True
    return evse


def a_site(floor_pct: float = 0.0, **more: object) -> Site:
    site = Site(SitePolicy("home", min_soc_pct=floor_pct))
    for name, value in more.items():
        setattr(site, name, value)
    return site


def decision_for(
    evse: Evse, site: Site, power_w: float, *, reached: bool = False, reserve: Reserve | None = None
) -> Decision:
    floor = highest(evse, site, reserve)
    request = PowerRequest(power_w)
    return decide(*layers(Situation(evse, site, 0.0, request=request, floor=floor, floor_reached=reached)))


def highest(
    evse: Evse, site: Site, reserve: Reserve | None, command_pct: float | None = None, agreed_pct: float | None = None
) -> Floor:
    schedule = ReserveInForce(off_grid=site.islanded)
    return floor_in_force(floors_of(evse, site, reserve, agreed_pct), schedule, command_pct)


def bound(evse: Evse, site: Site, floor: Floor, *, reached: bool = False) -> Bound | None:
    return floor_bound(evse, site, floor, reached=reached)


@pytest.mark.parametrize("v2x_wh", [0.001, 1.0, 500.0, 20_000.0])
@pytest.mark.parametrize("soc_pct", [None, 5.0, 100.0])
def test_below_its_v2x_window_an_ev_is_not_discharged(v2x_wh: float, soc_pct: float | None) -> None:
    site = Site(SitePolicy("home", discharge_without_soc=True))
    evse = an_evse(soc_pct, v2x_wh=v2x_wh)
    found = bound(evse, site, NO_FLOOR)
    assert found is not None
    assert (found.layer, found.low_w, found.code) == (Layer.SOC_FLOOR, 0.0, Code.OUTSIDE_V2X_WINDOW)
    assert found.high_w > 1e12
    refused = decision_for(evse, site, -5000.0)
    assert (refused.power_w, refused.binding, refused.code) == (0.0, Layer.SOC_FLOOR, Code.OUTSIDE_V2X_WINDOW)
    assert decision_for(evse, site, 5000.0).power_w == 5000.0


@pytest.mark.parametrize("v2x_wh", [None, 0.0, -0.001, -8000.0])
def test_inside_its_v2x_window_an_ev_is_discharged(v2x_wh: float | None) -> None:
    evse = an_evse(v2x_wh=v2x_wh)
    assert bound(evse, a_site(), NO_FLOOR) is None
    assert decision_for(evse, a_site(), -5000.0).power_w == -5000.0


@given(st.floats(1e-3, 1e5), st.none() | PERCENT, PERCENT, st.floats(-1e5, 1e5), st.booleans())
def test_no_other_condition_allows_discharge_below_the_v2x_window(
    v2x_wh: float, soc_pct: float | None, floor_pct: float, power_w: float, islanded: bool
) -> None:
    evse, site = an_evse(soc_pct, v2x_wh=v2x_wh), a_site(floor_pct, islanded=islanded)
    assert decision_for(evse, site, power_w).power_w >= 0


@pytest.mark.parametrize(
    ("before", "soc_pct", "reached"),
    [
        (False, 30.1, False),
        (False, 30.0, True),
        (False, 12.0, True),
        (True, 30.0, True),
        (True, 30.1, True),
        (True, 31.9, True),
        (True, 32.0, False),
        (True, 80.0, False),
        (False, 31.9, False),
        (True, None, True),
        (False, None, False),
    ],
)
def test_a_floor_once_reached_holds_until_the_battery_is_above_it_by_the_hysteresis(
    before: bool, soc_pct: float | None, reached: bool
) -> None:
    assert floor_reached(before, soc_pct, 30.0, 2.0) is reached


def test_a_full_battery_is_above_every_floor_but_100() -> None:
    assert floor_reached(True, 99.9, 99.0, 5.0)
    assert not floor_reached(True, 100.0, 99.0, 5.0)
    assert floor_reached(False, 100.0, 100.0, 5.0)


@pytest.mark.parametrize("before", [True, False])
def test_without_a_floor_nothing_is_reached(before: bool) -> None:
    assert not floor_reached(before, 0.0, 0.0, 2.0)
    assert not floor_reached(before, 0.0, -1.0, 2.0)
    assert floor_reached(before, 0.0, 0.5, 2.0)


@given(st.lists(PERCENT, min_size=1), st.floats(1, 95), st.floats(0.5, 10))
def test_between_two_discharges_the_battery_has_risen_by_the_hysteresis(
    socs: list[float], floor_pct: float, hysteresis_pct: float
) -> None:
    held, at_floor = False, False
    for soc_pct in socs:
        held = floor_reached(held, soc_pct, floor_pct, hysteresis_pct)
        at_floor = at_floor or soc_pct <= floor_pct
        if not held:
            assert not at_floor or soc_pct >= min(100.0, floor_pct + hysteresis_pct)
            at_floor = False


def test_a_reached_floor_forbids_discharge_and_nothing_else() -> None:
    site, found = a_site(30.0), Floor(30.0, "x")
    for soc_pct, reached, free in [
        (30.0, False, False),
        (32.0, False, True),
        (31.0, True, False),
        (29.0, False, False),
    ]:
        made = bound(an_evse(soc_pct), site, found, reached=reached)
        assert (made is None) is free
        if made is not None:
            assert (made.layer, made.low_w, made.code) == (Layer.SOC_FLOOR, 0.0, Code.BELOW_FLOOR)
        assert decision_for(an_evse(soc_pct), site, -5000.0, reached=reached).power_w == (-5000.0 if free else 0.0)
        assert decision_for(an_evse(soc_pct), site, 5000.0, reached=reached).power_w == 5000.0
    assert bound(an_evse(0.0), a_site(), Floor(0.0, "x"), reached=True) is None
    assert bound(an_evse(0.0), a_site(), NO_FLOOR, reached=True) is None
    assert bound(an_evse(0.4), a_site(), Floor(0.5, "x")) is not None


def test_the_highest_floor_counts() -> None:
    evse = an_evse(80.0, 50_000.0)
    site = a_site(20.0, reserve_pct=35.0, reserve_wh=10_000.0)
    found = sorted((one.pct, one.source) for one in floors_of(evse, site, Reserve(pct=40.0, energy_wh=22_500.0)))
    assert found == [(20.0, COMMANDED), (20.0, "the site's floor"), (35.0, COMMANDED), (40.0, OWN), (45.0, OWN)]
    assert highest(evse, site, Reserve(pct=40.0, energy_wh=22_500.0), 42.0) == Floor(45.0, OWN, unless_needed=True)
    assert highest(evse, a_site(20.0), None, 42.0) == Floor(42.0, "the command's floor")
    assert highest(evse, a_site(20.0), None, 42.0, 43.0) == Floor(43.0, "the agreement")
    assert highest(evse, a_site(20.0), None).pct == 20.0
    assert highest(evse, a_site(reserve_wh=90_000.0), None).pct == 100.0
    assert highest(an_evse(80.0, 90_000.0), a_site(reserve_wh=90_000.0 * 0.625), None).pct == 62.5


def test_off_grid_the_site_reserve_is_available() -> None:
    site = a_site(20.0, reserve_pct=35.0, reserve_wh=40_000.0, islanded=True)
    assert highest(an_evse(), site, None).pct == 20.0
    assert highest(an_evse(), site, Reserve(pct=30.0)).pct == 30.0


@pytest.mark.parametrize("vehicle", ["V", "W", None])
def test_a_known_vehicle_has_the_floor_of_its_owner_and_of_its_trip_home(vehicle: str | None) -> None:
    evse = an_evse(80.0, 50_000.0)
    evse.vehicle = vehicle
    site = Site(SitePolicy("home", vehicle_floor_pct={"V": 25.0}, vehicle_trip_wh={"V": trip_wh(100, 150)}))
    assert highest(evse, site, None) == (Floor(36.0, TRIP) if vehicle == "V" else Floor(0.0, "the site's reserve"))
    own = [(one.pct, one.source) for one in floors_of(evse, site, None, 30.0)][1:]
    of_vehicle = [(25.0, OWNER), (36.0, TRIP)] if vehicle == "V" else [(0.0, OWNER), (0.0, TRIP)]
    assert own == (of_vehicle if vehicle else []) + [(30.0, "the agreement")]
    assert [one.source for one in floors_of(evse, site, None, 30.0, of_vehicle=False)] == ["the site's floor"]


def test_a_reserve_in_wh_of_a_battery_of_unknown_capacity_counts_of_the_assumed_one() -> None:
    unknown = an_evse(capacity_wh=None)  # 80 % of an assumed 20 kWh
    for site, reserve in [
        (a_site(reserve_wh=10_000.0), None),
        (a_site(), Reserve(energy_wh=10_000.0)),
        (a_site(reserve_wh=10_000.0), Reserve(energy_wh=1_000.0)),
    ]:
        floor = highest(unknown, site, reserve)
        assert floor.pct == 50.0
        assert "assumed" in floor.source
        assert bound(unknown, site, floor) is None
    kept = bound(unknown, a_site(), highest(unknown, a_site(), Reserve(energy_wh=17_000.0)))
    assert kept is not None
    assert kept.code is Code.BELOW_FLOOR
    assert "assumed" in kept.text
    beyond = decision_for(unknown, a_site(reserve_wh=20_000.0), -5000.0)
    assert (beyond.power_w, beyond.code) == (0.0, Code.SOC_UNKNOWN)
    assert decision_for(unknown, a_site(reserve_wh=50_000.0), 5000.0).power_w == 5000.0


def test_an_unknown_state_of_charge_is_never_above_a_floor() -> None:
    unknown = an_evse(None)
    found = bound(unknown, a_site(20.0), Floor(20.0, "x"))
    assert found is not None
    assert (found.layer, found.low_w, found.code) == (Layer.SOC_FLOOR, 0.0, Code.SOC_UNKNOWN)
    assert decision_for(unknown, a_site(20.0), -5000.0).power_w == 0.0
    assert decision_for(unknown, a_site(20.0), 5000.0).power_w == 5000.0
    assert bound(unknown, a_site(), Floor(0.0, "x")) is None
    assert bound(unknown, a_site(), Floor(0.5, "x")) is not None
    assert bound(unknown, a_site(), NO_FLOOR) is None
    allowed = Site(SitePolicy("home", min_soc_pct=20.0, discharge_without_soc=True))
    assert bound(unknown, allowed, Floor(20.0, "x")) is None
    assert decision_for(unknown, allowed, -5000.0).power_w == -5000.0


OWN, TRIP, COMMANDED = "the reserve of this EVSE", "the trip home", "the site's commanded reserve"
OWNER = "the owner's floor"


@pytest.mark.parametrize("off_grid", [False, True])
def test_without_floors_of_its_own_a_vehicle_has_the_floor_of_the_site(off_grid: bool) -> None:
    assert floor_in_force((), ReserveInForce(off_grid=off_grid)).pct == 0.0
    floor = floor_in_force((Floor(50.0, COMMANDED, True),), ReserveInForce(30.0, "why", 10.0, off_grid))
    assert floor.pct == (10.0 if off_grid else 50.0)


@pytest.mark.parametrize(
    ("floors_set", "off_grid", "pct", "source"),
    [
        ({}, False, 30.0, "why"),
        ({}, True, 10.0, "the site's off-grid floor"),
        ({"own_pct": 30.0}, False, 30.0, "why"),
        ({"own_pct": 31.0}, False, 31.0, OWNER),
        ({"own_pct": 11.0}, True, 11.0, OWNER),
        ({"trip_wh": trip_wh(100, 100)}, False, 30.0, "why"),  # 10 kWh and a margin of a fifth are 30 % of 40 kWh
        ({"trip_wh": trip_wh(104, 100)}, False, 31.2, TRIP),
        ({"trip_wh": trip_wh(40, 100)}, True, 12.0, TRIP),
        ({"trip_wh": trip_wh(900, 100)}, True, 100.0, TRIP),
        ({"commanded_pct": 30.0}, False, 30.0, "why"),
        ({"commanded_pct": 31.0}, False, 31.0, COMMANDED),
        ({"commanded_pct": 31.0}, True, 10.0, "the site's off-grid floor"),
        ({"own_pct": 40.0, "commanded_pct": 35.0}, False, 40.0, OWNER),
        ({"own_pct": 40.0, "trip_wh": trip_wh(200, 100), "commanded_pct": 60.0}, False, 60.0, COMMANDED),
    ],
)
def test_the_highest_floor_of_a_vehicle_holds(
    floors_set: dict[str, float], off_grid: bool, pct: float, source: str
) -> None:
    found = vehicle_floors(floors_set.get("own_pct", 0.0), floors_set.get("trip_wh", 0.0), 40_000.0)
    commanded = Floor(floors_set.get("commanded_pct", 0.0), COMMANDED, on_grid_only=True)
    floor = floor_in_force((commanded, *found), ReserveInForce(30.0, "why", 10.0, off_grid))
    assert floor.pct == pytest.approx(pct)
    assert floor.source == source


@pytest.mark.parametrize(
    ("own_pct", "off_grid", "pct", "source"),
    [
        (20.0, False, 30.0, "the reserve"),
        (40.0, False, 40.0, "the reserve"),
        (5.0, True, 10.0, "the site's off-grid floor"),
        (10.0, True, 10.0, "the storage"),
        (20.0, True, 20.0, "the storage"),
    ],
)
def test_the_floor_of_the_storage(own_pct: float, off_grid: bool, pct: float, source: str) -> None:
    floor = storage_floor(ReserveInForce(30.0, "why", 10.0, off_grid), own_pct)
    assert (floor.pct, floor.source) == (pct, source)


@pytest.mark.parametrize(
    ("agreed_pct", "way_wh", "expected"),
    [
        (40.0, 10_000.0, Floor(40.0, "the agreement")),
        (40.0, 25_000.0, Floor(50.0, TRIP)),
        (40.0, 60_000.0, Floor(100.0, TRIP)),
        (0.5, 0.0, Floor(0.5, "the agreement")),
    ],
)
def test_under_an_agreement_a_vehicle_has_the_energy_for_its_way(
    agreed_pct: float, way_wh: float, expected: Floor
) -> None:
    assert agreement_floor(agreed_pct, way_wh, 50_000.0) == expected


@pytest.mark.parametrize(
    ("distance_km", "wh_per_km", "energy_wh"),
    [(100.0, 150.0, 18_000.0), (0.5, 100.0, 60.0), (100.0, 0.5, 60.0), (-1.0, 150.0, 0.0), (100.0, -1.0, 0.0)],
)
def test_the_energy_of_a_trip_has_a_margin(distance_km: float, wh_per_km: float, energy_wh: float) -> None:
    assert trip_wh(distance_km, wh_per_km) == pytest.approx(energy_wh)


@pytest.mark.parametrize(
    ("off_grid", "needed", "of_vehicle", "expected"),
    [
        (False, False, True, 60.0),
        (False, True, True, 60.0),  # on the grid nothing needs it
        (True, False, True, 60.0),
        (True, True, True, 20.0),
        (True, False, False, 20.0),  # the grid-forming source
    ],
)
def test_an_outage_that_needs_it_uses_the_reserve_of_an_evse(
    off_grid: bool, needed: bool, of_vehicle: bool, expected: float
) -> None:
    found = floors_of(an_evse(80.0, 40_000.0), a_site(20.0), Reserve(60.0), of_vehicle=of_vehicle)
    assert floor_in_force(found, ReserveInForce(off_grid=off_grid, needed=needed)).pct == expected


def test_of_equal_floors_the_first_one_is_named() -> None:
    found = (Floor(30.0, "the first"), Floor(30.0, "the second"))
    assert floor_in_force(found, ReserveInForce(20.0, "the reserve"), 30.0).source == "the first"
    assert floor_in_force(found, ReserveInForce(30.0, "the reserve"), 30.0).source == "the reserve"
