"""The desk's books: several outages, several sites, a gateway that dies in the middle, energy given back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.blue_switch import neighbours, persisted_rows, views
from gateway.blue_switch.audit import first_broken
from gateway.blue_switch.callout import ChargePlace
from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.registry import Registry, Status
from gateway.model.energy_state import BlueSwitchState, Phase, SharedEnergyState, SharedSiteState
from tests.gateway.blue_switch.test_blue_switch import ATLAS, MONDAY, lent, need


def desk(leads: bool = True, **more: object) -> Coordinator:
    more.setdefault("ag_give_back", "as_arrived")
    cars = [lent(f"C{n}", ag_id=f"A{n}", ag_cars=(f"C{n}",), soc_pct=90.0, **dict(more)) for n in range(4)]
    return Coordinator(Registry.of(cars), ATLAS, [ChargePlace("mall", 6000.0)], leads)


def lived() -> tuple[Coordinator, str]:
    """A desk in the middle of an outage: one car there, one called, one loan over."""
    one = desk()
    one.outage(need("school", draw_w=4000.0, stored_wh=0.0), MONDAY, 0.0)
    one.look(MONDAY, 0.0)
    first, second = list(one.calls)[:2]
    for name, wall in ((first, MONDAY + 3600), (second, MONDAY + 3700)):
        one.plugged(name, "school", wall, wall - MONDAY, 85.0)
        one.metered(name, "school", 9000.0, 0.0, 60.0, wall + 3600, wall - MONDAY + 3600)
    one.unplugged(first, "school", MONDAY + 9000, 9000.0, 55.0)
    assert one.current is not None
    return one, first


def same(one: Coordinator, two: Coordinator) -> bool:
    return all(
        make(one) == make(two) for make in (lambda desk: views.state(desk, "school"), views.loans, views.outages)
    )


def test_what_an_earlier_life_kept_is_taken_up_to_the_last_wh() -> None:
    one, first = lived()
    kept = {key: body for key, (body, _) in persisted_rows.rows(one, one.outages).items()}
    two = desk()
    assert persisted_rows.restore(two, kept) == []
    two.plan = one.plan
    assert same(one, two)
    assert first_broken(two.audit.entries) is None
    assert two.registry.cars[first].place == "school"
    events = [made.paid(first, 500.0, MONDAY + 9100, 1.0, payment="p") for made in (one, two)]
    assert [event.text for event in events[0]] == [event.text for event in events[1]]
    assert two.audit.entries[-1].hash == one.audit.entries[-1].hash
    again = {key: body for key, (body, _) in persisted_rows.rows(two, two.outages).items()}
    assert set(again) == set(kept)


@settings(max_examples=60)
@given(st.integers(0, 5000), st.sampled_from(["cut", "flip", "other"]), st.integers(0, 3))
def test_rows_that_are_damaged_are_left_out_and_named(at: int, how: str, which: int) -> None:
    one, _ = lived()
    kept = {key: body for key, (body, _) in persisted_rows.rows(one, one.outages).items()}
    key = sorted(kept)[which % len(kept)]
    body = kept[key]
    at %= len(body)
    kept[key] = {"cut": body[:at], "flip": body[:at] + "\u0000" + body[at + 1 :], "other": '{"entries": 3}'}[how]
    two = desk()
    bad = persisted_rows.restore(two, kept)
    assert bad == [key]
    two.look(MONDAY + 10_000, 10_000.0)
    views.state(two, "school")


def test_only_outages_that_changed_are_written() -> None:
    one, first = lived()
    seq = one.audit.entries[-1].seq
    assert persisted_rows.changed(one, seq) == {one.current.id}  # type: ignore[union-attr]
    outage = one.current.id  # type: ignore[union-attr]
    one.restored("school", MONDAY + 10_000, 10_000.0)
    seq = one.audit.entries[-1].seq
    assert persisted_rows.changed(one, seq) == set()
    one.paid(first, 500.0, MONDAY + 20_000, 1.0)
    assert persisted_rows.changed(one, seq) == {outage}


def test_each_outage_has_its_own_report_and_payments_go_to_the_oldest_loan() -> None:
    one, first = lived()
    outage = one.current.id if one.current is not None else ""
    second = next(iter(one.loans))[1]
    one.unplugged(second, "school", MONDAY + 9500, 9500.0, 60.0)
    one.restored("school", MONDAY + 10_000, 10_000.0)
    one.outage(need("clinic", stored_wh=0.0), MONDAY + 90_000, 90_000.0)
    later = one.current.id if one.current is not None else ""
    assert later != outage
    one.plugged(first, "clinic", MONDAY + 91_000, 91_000.0, 80.0)
    one.unplugged(first, "clinic", MONDAY + 95_000, 95_000.0, 50.0)
    one.restored("clinic", MONDAY + 96_000, 96_000.0)
    reports = {key: one.report(key) for key in (outage, later)}
    assert [site["site"] for site in reports[later]["sites"]] == ["clinic"]
    assert {car["vehicle"] for car in reports[outage]["cars"]} == {first, second}
    assert [car["vehicle"] for car in reports[later]["cars"]] == [first]
    seqs = [{entry["seq"] for entry in made["entries"]} for made in reports.values()]
    assert not seqs[0] & seqs[1]
    owed = [row["owed_wh"] for row in views.loans(one) if row["vehicle"] == first and row["outage"] == outage]
    one.paid(first, owed[0] / 0.93, MONDAY + 97_000, 97_000.0)
    settled = {row["outage"]: row["settled"] for row in views.loans(one) if row["vehicle"] == first}
    assert settled == {outage: True, later: False}


@pytest.mark.parametrize("how", ["as_arrived", "to_level", "billed"])
def test_a_payment_without_a_state_of_charge_counts_too(how: str) -> None:
    one = desk(ag_give_back=how)
    one.outage(need("school", stored_wh=0.0), MONDAY, 0.0)
    one.plugged("C1", "school", MONDAY + 100, 100.0, 80.0)
    one.metered("C1", "school", 9300.0, 0.0, None, MONDAY + 5000, 5000.0)
    one.unplugged("C1", "school", MONDAY + 5000, 5000.0, 55.0)
    row = views.loans(one)[0]
    before = row["owed_wh"] + row["billed_wh"]
    assert before > 9000
    one.paid("C1", 4000.0, MONDAY + 6000, 6000.0)
    row = views.loans(one)[0]
    assert 3600 < before - row["owed_wh"] - row["billed_wh"] <= 4001
    one.paid("C1", 9000.0, MONDAY + 7000, 7000.0)
    assert views.loans(one)[0]["settled"]
    assert one.paid("C1", 9000.0, MONDAY + 8000, 8000.0) == []


def published(one: Coordinator, site: str) -> BlueSwitchState:
    """Return the state as another site reads it."""
    energy = SharedEnergyState(phase=Phase.ISLAND, blue_switch=views.state(one, site))
    payload = json.dumps({"site": site, "energy": {**json.loads(energy.model_dump_json()), "later": 1}, "newer": [2]})
    read = SharedSiteState.parse(payload.encode()).energy
    assert read is not None
    assert read.blue_switch is not None
    return read.blue_switch


def test_two_desks_are_one_the_leader_calls_and_both_know_where_the_cars_are() -> None:
    leader, other = desk(), desk(leads=False)
    for one in (leader, other):
        one.outage(need("school", stored_wh=0.0), MONDAY, 0.0)
        one.look(MONDAY, 0.0)
    assert leader.calls
    assert other.calls == {}
    told = published(leader, "hall")
    neighbours.take(other, "hall", told, MONDAY + 1)
    assert set(other.calls) == set(leader.calls)
    name = next(iter(other.calls))
    assert abs(other.calls[name].arrive_at - leader.calls[name].arrive_at) < 0.01
    checked, _ = other.plugged(name, "school", other.calls[name].arrive_at, 5000.0, 88.0)
    assert checked.code == "welcome"
    told = published(other, "school")
    neighbours.take(leader, "school", told, MONDAY + 5001)
    assert leader.registry.cars[name].status is Status.THERE
    assert leader.registry.cars[name].place == "school"
    assert name not in leader.calls
    other.unplugged(name, "school", MONDAY + 9000, 9000.0, 40.0)
    neighbours.take(leader, "school", published(other, "school"), MONDAY + 9001)
    assert leader.registry.cars[name].status is Status.FREE


def test_a_car_on_its_way_is_not_called_again_until_it_is_plainly_late() -> None:
    one = desk()
    one.outage(need("school", stored_wh=0.0, draw_w=1500.0), MONDAY, 0.0)
    one.look(MONDAY, 0.0)
    name, trip = min(one.calls.items(), key=lambda item: item[1].leave_at)
    seq = len(one.audit.entries)
    for wall in range(int(trip.leave_at) + 1, int(trip.arrive_at) + 1500, 301):
        one.look(float(wall), wall - MONDAY)
        assert one.calls[name] == trip
    assert [entry.kind for entry in one.audit.entries[seq:] if entry.subject == name] == []
    one.look(trip.arrive_at + 4000, trip.arrive_at + 4000 - MONDAY)
    assert one.calls.get(name) != trip


def test_a_car_that_is_there_supplies_at_once_and_nobody_is_told_of_a_gap() -> None:
    one = desk()
    one.outage(need("school", stored_wh=0.0, draw_w=1500.0, until=MONDAY + 6 * 3600), MONDAY, 0.0)
    one.plugged("C1", "school", MONDAY, 0.0, 80.0)
    events = one.look(MONDAY, 0.0)
    assert [event.code for event in events] == []
    assert one.plan is not None
    assert one.plan.gaps == ()


def test_who_is_there_or_about_to_leave_is_not_taken_away_from_a_site_for_another() -> None:
    one = desk()
    one.outage(need("clinic", stored_wh=0.0, draw_w=1500.0, until=MONDAY + 30 * 3600), MONDAY, 0.0)
    one.plugged("C1", "clinic", MONDAY, 0.0, 60.0)
    one.look(MONDAY, 0.0)
    wall = MONDAY + 9 * 3600
    one.metered("C1", "clinic", 12_000.0, 0.0, 24.0, wall, wall - MONDAY)
    one.look(wall, wall - MONDAY)
    soon, trip = min(one.calls.items(), key=lambda item: item[1].leave_at)
    assert trip.leave_at - wall < 3600
    before = trip.site
    one.outage(need("school", stored_wh=0.0, draw_w=3000.0, until=MONDAY + 30 * 3600), wall + 1, wall + 1 - MONDAY)
    events = one.look(wall + 1, wall + 1 - MONDAY)
    assert one.calls[soon].site == before
    assert "C1" not in [event.subject for event in events if event.code in ("car_called", "call_changed")]
    assert one.called_away("clinic") == frozenset()


JUNK = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["there", "calls", "leads", "vehicle", "soc_pct", "site", "arrive_at", "brings_wh", "from"]
            ),
            inner | st.just("C1") | st.just("2027-01-01T00:00:00Z"),
            max_size=6,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(JUNK)
def test_nonsense_from_a_neighbour_changes_nothing_that_matters(told: Any) -> None:
    one = desk(leads=False)
    one.outage(need("school"), MONDAY, 0.0)
    energy = {"phase": "island", "need": told, "blue_switch": told}
    try:
        state = SharedSiteState.parse(json.dumps({"energy": energy}).encode()).energy
    except ValueError:
        state = None
    if state is not None and state.blue_switch is not None:
        neighbours.take(one, "hall", state.blue_switch, MONDAY)
        neighbours.take(one, "unknown", state.blue_switch, MONDAY)
    one.leads = True
    one.look(MONDAY, 0.0)
    assert all(0 <= car.soc_pct <= 100 for car in one.registry.cars.values())
