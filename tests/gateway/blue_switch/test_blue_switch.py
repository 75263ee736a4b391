"""Vehicle lending: call-outs respect agreements, floors and times; balances, audit chain and agreement files."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.authority.soc_floors import METER_EFFICIENCY
from gateway.blue_switch.agreement import Agreement, GiveBack, Hours, Kind
from gateway.blue_switch.agreement_file import BlueSwitchError, parse
from gateway.blue_switch.arrivals import check_arrival
from gateway.blue_switch.audit import Audit, Details, first_broken
from gateway.blue_switch.callout import ENERGY_MARGIN, SWAP_S, call_out
from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.handback import Deployment, energy_to_return, return_level_pct
from gateway.blue_switch.locations import Atlas, Way
from gateway.blue_switch.outages import report_markdown
from gateway.blue_switch.registry import ProvidedVehicle, Status, VehicleRegistry
from gateway.blue_switch.trips import ChargePlace, SiteNeed
from gateway.blue_switch.views import arrivals
from tests.rounds import rounds

MONDAY = 1_799_971_200.0 - 9 * 3600  # 2027-01-15 is a Friday; what matters is only that it is local midnight
PLACES = {
    "hall": (35.60, 139.60), "depot": (35.61, 139.62), "school": (35.62, 139.58), "clinic": (35.58, 139.64),
    "mall": (35.70, 139.50),
}  # fmt: skip
ATLAS = Atlas(PLACES)


def agreement(**more: object) -> Agreement:
    given_: dict[str, object] = {"id": "A1", "kind": "municipal", "lender": "the town", "cars": ("X",)}
    return Agreement.model_validate(given_ | more)


def lent(vehicle: str, **more: object) -> ProvidedVehicle:
    made = agreement(**{key[3:]: more.pop(key) for key in list(more) if key.startswith("ag_")})
    base: dict[str, object] = {
        "vehicle": vehicle,
        "agreement": made,
        "capacity_wh": 40_000.0,
        "place": "depot",
        "base": "depot",
    }
    return ProvidedVehicle(**(base | more))  # type: ignore[arg-type]


def need(site: str, **more: object) -> SiteNeed:
    base: dict[str, object] = {
        "site": site,
        "draw_w": 2000.0,
        "stored_wh": 6000.0,
        "bays": 2,
        "until": MONDAY + 72 * 3600,
    }
    return SiteNeed(**(base | more))  # type: ignore[arg-type]


@st.composite
def fleets(draw: st.DrawFn) -> list[ProvidedVehicle]:
    found = []
    for number in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, 20))
        found.append(
            lent(
                f"C{number}",
                ag_id=f"A{number}",
                ag_cars=(f"C{number}",),
                ag_kind=draw(st.sampled_from(Kind)).value,
                ag_sites=draw(st.sampled_from([(), ("school",), ("clinic",), ("school", "clinic")])),
                ag_hours=({"start": start, "end": draw(st.integers(start + 2, 24))},),
                ag_floor_pct=draw(st.floats(5, 50)),
                place=draw(st.sampled_from(sorted(PLACES))),
                base=draw(st.sampled_from(["depot", "mall", "hall"])),
                soc_pct=draw(st.floats(5, 100)),
                power_w=draw(st.sampled_from([3000.0, 6000.0])),
                connector=draw(st.sampled_from(["chademo", "ccs"])),
            )
        )
    return found


@settings(max_examples=rounds(40, 150))
@given(
    fleets(),
    st.lists(
        st.tuples(st.sampled_from(["school", "clinic"]), st.floats(500, 9000), st.floats(0, 30_000), st.integers(1, 3)),
        max_size=2,
    ),
    st.booleans(),
)
def test_no_plan_violates_an_agreement_a_floor_a_bay_or_a_time(
    cars: list[ProvidedVehicle], wanted: list[tuple[str, float, float, int]], power: bool
) -> None:
    needs = [
        need(site, draw_w=draw_w, stored_wh=stored, bays=bays, connectors=("chademo",) if bays == 1 else ())
        for site, draw_w, stored, bays in {one[0]: one for one in wanted}.values()
    ]
    charging = [ChargePlace("mall", 6000.0, 10)] if power else []
    plan = call_out(MONDAY, needs, cars, ATLAS, charging)
    by_name = {car.vehicle: car for car in cars}
    sites = {one.site: one for one in needs}
    for trip in plan.trips:
        car, site = by_name[trip.vehicle], sites[trip.site]
        assert car.agreement.provides_to(trip.site)
        assert car.agreement.open_at(trip.leave_at + 1)
        assert trip.supply_until <= car.agreement.open_until(trip.arrive_at) + 1
        assert not site.connectors or car.connector in site.connectors
        assert MONDAY <= trip.call_by <= trip.leave_at <= trip.arrive_at < trip.supply_from < trip.supply_until
        assert trip.supply_until <= site.until + 1
        home_wh = ATLAS.way(trip.site, car.base).energy_wh(car.wh_per_km)
        floor_wh = car.capacity_wh * car.agreement.floor_pct / 100
        assert trip.leaves_pct / 100 * car.capacity_wh >= max(floor_wh, home_wh if not power else 0.0) - 1
        assert trip.brings_wh <= car.capacity_wh * METER_EFFICIENCY
    for name in by_name:
        own = sorted((trip.leave_at, trip.supply_until, trip) for trip in plan.trips if trip.vehicle == name)
        for (_, end, first), (begin, _, second) in itertools.pairwise(own):
            assert begin >= end - 1
            assert second.start == first.then
            assert second.leave_at >= first.free_from - 1
    for site in needs:
        edges = sorted(
            {moment for trip in plan.trips if trip.site == site.site for moment in (trip.arrive_at, trip.supply_until)}
        )
        if site.bays > 1:
            for moment in edges:
                there = sum(
                    trip.arrive_at <= moment < trip.supply_until for trip in plan.trips if trip.site == site.site
                )
                assert there <= site.bays
        lanes: dict[int, list[tuple[float, float]]] = {}
        for trip in plan.trips:
            if trip.site == site.site:
                lanes.setdefault(trip.lane, []).append((trip.supply_from, trip.supply_until))
        for gap in plan.gaps:
            if gap.site == site.site:
                lanes.setdefault(gap.lane, []).append((gap.start, gap.end))
        own_until = min(MONDAY + site.stored_wh / site.draw_w * 3600, site.until)
        for spans in lanes.values():  # supply and gaps together cover the time exactly, so nothing is committed twice
            at = own_until
            for begin, end in sorted(spans):
                assert begin == pytest.approx(at, abs=2)
                at = end
            assert at == pytest.approx(site.until, abs=2)


def test_three_sites_are_supplied_for_three_days() -> None:
    """Eight vehicles, one place with power an hour away, each site with two bays and three hours of own storage."""
    cars = [lent(f"C{number}", ag_id=f"A{number}", ag_cars=(f"C{number}",), soc_pct=92.0) for number in range(8)]
    needs = [need("school"), need("clinic", draw_w=1500.0), need("hall", draw_w=1200.0)]
    plan = call_out(MONDAY, needs, cars, ATLAS, [ChargePlace("mall", 6000.0)])
    assert plan.gaps == ()
    assert all(until == MONDAY + 72 * 3600 for until in plan.supplied_until.values())
    assert len({trip.vehicle for trip in plan.trips}) >= 4
    for site in needs:
        own = sorted((trip.supply_from, trip.arrive_at) for trip in plan.trips if trip.site == site.site)
        assert all(supply_from - arrive >= SWAP_S - 1 for supply_from, arrive in own)


def test_the_route_counts_in_time_and_energy() -> None:
    atlas = Atlas(PLACES, {("depot", "school"): Way(50.0, 5400.0)})
    plan = call_out(MONDAY, [need("school", stored_wh=12_000.0)], [lent("X", soc_pct=100.0)], atlas)
    trip = plan.trips[0]
    assert trip.arrive_at - trip.leave_at == 5400.0
    assert trip.way_wh == pytest.approx(50 * 1.2 * 160)
    assert trip.brings_wh == pytest.approx((40_000 - 2 * 9600) * METER_EFFICIENCY * ENERGY_MARGIN)
    assert trip.supply_from == MONDAY + 6 * 3600
    assert plan.gaps[0].start == pytest.approx(trip.supply_until)


def test_the_site_that_runs_out_first_is_supplied_first() -> None:
    needs = [need("school", stored_wh=20_000.0), need("clinic", stored_wh=4000.0)]
    assert call_out(MONDAY, needs, [lent("X")], ATLAS).trips[0].site == "clinic"


def test_a_load_above_one_vehicle_calls_two_at_once() -> None:
    cars = [lent(name, ag_id=name, ag_cars=(name,)) for name in "XYZ"]
    plan = call_out(MONDAY, [need("school", draw_w=9000.0, stored_wh=9000.0)], cars, ATLAS)
    assert len({trip.lane for trip in plan.trips}) == 2


# agreements


def test_hours_over_midnight_and_days() -> None:
    night = agreement(hours=({"start": 20, "end": 6},))
    assert night.open_at(MONDAY + 21 * 3600)
    assert night.open_at(MONDAY + 3 * 3600)
    assert not night.open_at(MONDAY + 12 * 3600)
    assert night.open_until(MONDAY + 21 * 3600) == pytest.approx(MONDAY + 30 * 3600)
    assert night.opens_after(MONDAY + 12 * 3600) == pytest.approx(MONDAY + 20 * 3600)
    assert agreement().open_until(MONDAY) == agreement().valid_until


@given(st.floats(0, 7 * 86_400), st.integers(0, 23), st.integers(1, 24))
def test_hours_are_consistent(offset: float, start: int, end: int) -> None:
    one = agreement(hours=(Hours(start=start, end=end),))
    wall = MONDAY + offset
    opens = one.opens_after(wall)
    if one.open_at(wall):
        assert opens == wall
        assert one.open_until(wall) > wall - 1
    elif opens is not None:
        assert one.open_at(opens)
        assert opens > wall


def test_kinds_only_set_defaults() -> None:
    assert agreement(kind="dealer").give_back is GiveBack.AS_ARRIVED
    assert agreement(kind="dealer", notice_s=60.0).notice_s == 60.0


# arrivals

REGISTRY = VehicleRegistry.of([lent("X", ag_sites=("school",), ag_floor_pct=25.0)])


@pytest.mark.parametrize(
    ("vehicle", "site", "soc", "wall", "code"),
    [
        ("X", "school", 80.0, MONDAY, "not_called"),
        (None, "school", 80.0, MONDAY, "no_identity"),
        ("STRANGER", "school", 80.0, MONDAY, "unknown_car"),
        ("X", "clinic", 80.0, MONDAY, "other_site"),
        ("X", "school", 80.0, 950_000_000.0 - 1e8, "not_in_force"),
        ("X", "school", 20.0, MONDAY, "nothing_to_give"),
    ],
)
def test_arrivals_are_checked_by_identity(vehicle: str | None, site: str, soc: float, wall: float, code: str) -> None:
    checked = check_arrival(vehicle, site, wall, soc, REGISTRY, ATLAS)
    assert checked.code == f"arrival_{code}"
    assert checked.accepted is (code == "not_called")
    assert checked.text.endswith(".")


def test_a_requested_vehicle_is_accepted_and_a_late_one_reported() -> None:
    trip = call_out(MONDAY, [need("school")], REGISTRY.cars.values(), ATLAS).trips[0]
    assert check_arrival("X", "school", trip.arrive_at, 78.0, REGISTRY, ATLAS, trip).code == "arrival_welcome"
    assert check_arrival("X", "school", trip.arrive_at + 3600, 78.0, REGISTRY, ATLAS, trip).code == "arrival_late"
    assert (
        check_arrival("X", "school", trip.arrive_at, 50.0, REGISTRY, ATLAS, trip).code == "arrival_less_than_expected"
    )


# energy to return


@given(st.sampled_from(GiveBack), st.floats(0, 100), st.floats(0, 100), st.floats(0, 30_000), st.floats(0, 30_000))
def test_energy_to_return_is_never_negative(
    how: GiveBack, came: float, went: float, taken: float, charged: float
) -> None:
    car = lent("X", ag_give_back=how.value)
    deployment = Deployment("X", "school", "A1", MONDAY, came, 20.0, 40_000.0, 1000.0, taken, charged).ended_at(
        MONDAY + 1, went
    )
    balance = energy_to_return(deployment, car)
    assert balance.charge_wh >= 0
    assert balance.bill_wh >= 0
    if how is GiveBack.GIFT:
        assert balance.settled


def test_energy_to_return_is_that_of_the_arrival_and_the_way() -> None:
    car = lent("X", ag_give_back="as_arrived")
    deployment = Deployment("X", "school", "A1", MONDAY, 80.0, 20.0, 40_000.0, 1500.0, 12_000.0).ended_at(
        MONDAY + 1, 50.0
    )
    assert energy_to_return(deployment, car).charge_wh == pytest.approx(12_000 + 1500)


@given(
    st.sampled_from([GiveBack.TO_LEVEL, GiveBack.AS_ARRIVED]),
    st.none() | st.floats(0, 100),
    st.floats(0, 100),
    st.floats(0, 30_000),
    st.floats(0, 30_000),
)
def test_the_level_to_charge_to_is_that_of_the_energy_to_return(
    how: GiveBack, came: float | None, went: float, taken: float, charged: float
) -> None:
    car = lent("X", ag_give_back=how.value, ag_return_pct=70.0)
    deployment = Deployment("X", "school", "A1", MONDAY, came, 20.0, 40_000.0, 1000.0, taken, charged, left_pct=went)
    level_pct = return_level_pct(deployment, car.agreement)
    assert level_pct is not None
    balance = energy_to_return(deployment, car)
    assert balance.charge_wh == pytest.approx(max(0.0, level_pct - went) / 100 * 40_000.0, abs=1e-6)
    if how is GiveBack.AS_ARRIVED and came is None:
        assert balance.charge_wh == pytest.approx(max(0.0, taken - charged) + 1000.0)


@pytest.mark.parametrize(
    ("how", "came", "went", "level_pct"),
    [
        ("gift", 80.0, 50.0, None),
        ("billed", 80.0, 50.0, None),
        ("to_level", None, None, 70.0),
        ("as_arrived", 80.0, None, 82.5),
        ("as_arrived", None, None, None),
        ("as_arrived", None, 50.0, 82.5),
    ],
)
def test_level_to_charge_to(how: str, came: float | None, went: float | None, level_pct: float | None) -> None:
    car = lent("X", ag_give_back=how, ag_return_pct=70.0)
    deployment = Deployment(
        "X", "school", "A1", MONDAY, came, 20.0, 40_000.0, 1000.0, 15_000.0, 2000.0, left_pct=went, returned_wh=1000.0
    )
    assert return_level_pct(deployment, car.agreement) == level_pct


# coordinator and audit


def coordinator() -> Coordinator:
    cars = [lent(f"C{n}", ag_id=f"A{n}", ag_cars=(f"C{n}",), ag_give_back="as_arrived", soc_pct=90.0) for n in range(3)]
    return Coordinator(VehicleRegistry.of(cars), ATLAS, [ChargePlace("mall", 6000.0)])


def test_an_outage_from_the_call_to_the_report() -> None:
    one = coordinator()
    events = one.outage(need("school", until=MONDAY + 20 * 3600), MONDAY, 0.0)
    events += one.update(MONDAY, 0.0)
    called = [event for event in events if event.code == "car_called"]
    assert called
    name = called[0].subject
    assert arrivals(one, "school")[0]["vehicle"] in {event.subject for event in called}
    assert one.update(MONDAY + 60, 60.0) == []
    trip = next(trip for trip in one.plan.trips if trip.vehicle == name) if one.plan else None
    assert trip is not None
    checked, _ = one.plugged(name, "school", trip.arrive_at, 5000.0, 88.0)
    assert checked.accepted
    assert one.metered(name, "school", 10_000.0, 0.0, 60.0, trip.arrive_at + 7200, 12_000.0) == []
    assert one.metered(name, "school", 22_000.0, 0.0, 15.0, trip.arrive_at + 9000, 14_000.0)[0].code == "floor_crossed"
    left = one.unplugged(name, "school", trip.arrive_at + 10_000, 15_000.0, 24.0)
    assert "are to be returned" in left[0].text
    (outage,) = one.outages
    one.restored("school", MONDAY + 20 * 3600, 72_000.0)
    assert one.outages[outage].ended == MONDAY + 20 * 3600
    assert one.calls == {}
    made = one.report(outage)
    assert made["floors_kept"] is False
    assert made["all_settled"] is False
    one.energy_returned(name, 30_000.0, MONDAY + 30 * 3600, 100_000.0, soc_pct=95.0, payment="p1")
    assert one.energy_returned(name, 30_000.0, MONDAY + 30 * 3600, 100_000.0, soc_pct=95.0, payment="p1") is None
    made = one.report(outage)
    assert [entry["kind"] for entry in made["entries"]][-1] == "given_back"
    assert made["all_settled"] is True
    assert made["chain"]["whole"]
    text = report_markdown(made)
    assert "| C" in text
    assert made["chain"]["last"] in text


def test_an_unregistered_vehicle_has_no_deployment() -> None:
    one = coordinator()
    one.outage(need("school"), MONDAY, 0.0)
    checked, _ = one.plugged("STRANGER", "school", MONDAY, 0.0, 90.0)
    assert not checked.accepted
    assert one.metered("STRANGER", "school", 5000.0, 0.0, 50.0, MONDAY, 0.0) == []
    assert one.deployments == {}


def test_an_unavailable_vehicle_is_replaced() -> None:
    one = coordinator()
    one.outage(need("school", stored_wh=20_000.0), MONDAY, 0.0)
    first = {event.subject for event in one.update(MONDAY, 0.0) if event.code == "car_called"}
    gone = sorted(first)[0]
    one.seen(gone, MONDAY + 400, None, None, Status.UNAVAILABLE)
    codes = {(event.code, event.subject) for event in one.update(MONDAY + 400, 400.0)}
    assert ("call_withdrawn", gone) in codes


def test_a_supply_gap_is_reported_at_once() -> None:
    one = Coordinator(VehicleRegistry(), ATLAS)
    one.outage(need("school"), MONDAY, 0.0)
    assert [event.code for event in one.update(MONDAY, 0.0)] == ["supply_gap"]


@given(st.integers(0, 4), st.sampled_from(["text", "data", "wall", "drop", "swap"]))
def test_the_chain_shows_any_change(index: int, how: str) -> None:
    audit = Audit()
    for number in range(6):
        audit.add(MONDAY + number, "kind", "subject", f"line {number}", Details(wh=number))
    assert first_broken(audit.entries) is None
    entries = list(audit.entries)
    if how == "drop":
        del entries[index]
    elif how == "swap":
        entries[index], entries[index + 1] = entries[index + 1], entries[index]
    else:
        changed: dict[str, object] = {"text": "another", "data": Details(wh=99), "wall": 1.0}
        entries[index] = replace(entries[index], **{how: changed[how]})  # type: ignore[arg-type]
    assert first_broken(entries) is not None


# files

FILE = """
[[place]]
name = "school"
latitude = 35.62
longitude = 139.58
[[place]]
name = "depot"
latitude = 35.61
longitude = 139.62
charge_w = 6000
[[car]]
vehicle = "JP-NIS-001"
base = "depot"
capacity_wh = 40000
[[agreement]]
id = "town-1"
kind = "municipal"
lender = "the town"
cars = ["JP-NIS-001"]
sites = ["school"]
"""


def test_a_file_makes_a_coordinator() -> None:
    made = parse(FILE, "lent.toml")
    assert made.registry.cars["JP-NIS-001"].agreement.give_back is GiveBack.GIFT
    assert math.isclose(made.atlas.way("depot", "school").km, made.atlas.way("school", "depot").km)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("kind = ", "sort = "), "agreement.0"),
        (('base = "depot"', 'base = "nowhere"'), "its base nowhere"),
        (('cars = ["JP-NIS-001"]', 'cars = ["JP-NIS-002"]'), "not in the file"),
        (('sites = ["school"]', 'sites = ["church"]'), "church"),
        (("[[place]]", "[[place"), "not TOML"),
        (("capacity_wh = 40000", "capacity_wh = -1"), "capacity_wh"),
    ],
)
def test_an_invalid_file_names_the_key(change: tuple[str, str], message: str) -> None:
    with pytest.raises(BlueSwitchError, match=r"lent\.toml: ") as caught:
        parse(FILE.replace(*change), "lent.toml")
    assert message in str(caught.value)


def test_an_obsolete_key_loads_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    made = parse(FILE + "storms = false\n", "lent.toml")
    assert made.registry.cars["JP-NIS-001"].agreement.id == "town-1"
    assert [record.message for record in caplog.records] == [
        "lent.toml: agreement town-1: the key storms has no effect; remove it"
    ]
