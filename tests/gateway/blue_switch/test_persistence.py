"""Stored state of vehicle lending: several outages and sites, a restart in the middle, energy returned."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.authority.soc_floors import METER_EFFICIENCY
from gateway.blue_switch import neighbours, persistence, views
from gateway.blue_switch.audit import first_broken
from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.registry import Status, VehicleRegistry
from gateway.blue_switch.trips import ChargePlace
from gateway.model.energy_state import BlueSwitchState, Phase, SharedEnergyState, SharedSiteState
from tests.gateway.blue_switch.test_blue_switch import ATLAS, MONDAY, lent, need
from tests.rounds import rounds


def coordinator(leads: bool = True, **more: object) -> Coordinator:
    more.setdefault("ag_give_back", "as_arrived")
    cars = [lent(f"C{n}", ag_id=f"A{n}", ag_cars=(f"C{n}",), soc_pct=90.0, **dict(more)) for n in range(4)]
    return Coordinator(VehicleRegistry.of(cars), ATLAS, [ChargePlace("mall", 6000.0)], leads)


def in_outage() -> tuple[Coordinator, str]:
    """Return a coordinator in an outage with an active deployment, a call and an ended deployment."""
    one = coordinator()
    one.outage(need("school", draw_w=4000.0, stored_wh=0.0), MONDAY, 0.0)
    one.update(MONDAY, 0.0)
    first, second = list(one.calls)[:2]
    for name, wall in ((first, MONDAY + 3600), (second, MONDAY + 3700)):
        one.plugged(name, "school", wall, wall - MONDAY, 85.0)
        one.metered(name, "school", 9000.0, 0.0, 60.0, wall + 3600, wall - MONDAY + 3600)
    one.unplugged(first, "school", MONDAY + 9000, 9000.0, 55.0)
    assert one.current is not None
    return one, first


def same(one: Coordinator, two: Coordinator) -> bool:
    return all(
        make(one) == make(two)
        for make in (lambda coordinator: views.state(coordinator, "school"), views.deployments, views.outages)
    )


def test_stored_rows_restore_everything_to_the_last_wh() -> None:
    one, first = in_outage()
    kept = {key: body for key, (body, _) in persistence.rows(one, one.outages).items()}
    two = coordinator()
    assert persistence.restore_rows(two, kept) == []
    two.plan = one.plan
    assert same(one, two)
    assert first_broken(two.audit.entries) is None
    assert two.registry.cars[first].place == "school"
    settled = [made.energy_returned(first, 500.0, MONDAY + 9100, 1.0, payment="p") for made in (one, two)]
    assert settled[0] is not None
    assert settled[0] == settled[1]
    assert settled[0][0] in one.outages
    assert two.audit.entries[-1].hash == one.audit.entries[-1].hash
    again = {key: body for key, (body, _) in persistence.rows(two, two.outages).items()}
    assert set(again) == set(kept)


def test_rows_of_the_first_databases_are_read() -> None:
    deployment = {
        "vehicle": "C1", "site": "school", "agreement": "A1", "arrived_at": MONDAY, "arrived_pct": 80.0,
        "floor_pct": 20.0, "capacity_wh": 40_000.0, "way_wh": 0.0, "taken_wh": 9000.0, "charged_wh": 0.0,
        "lowest_pct": 55.0, "left_at": MONDAY + 5000, "left_pct": 55.0, "paid_wh": 3000.0, "outage": "outage-1",
    }  # fmt: skip
    outage = {"id": "outage-1", "began": MONDAY, "ended": MONDAY + 9000, "records": [], "entries": []}
    current = {"needs": [], "current": None, "loans": [], "calls": [], "payments": ["p"], "entries": []}
    car = {"vehicle": "C1", "place": "school", "soc_pct": 55.0, "status": "there", "seen_at": MONDAY}
    kept = {"outage-1": json.dumps(outage | {"loans": [deployment]}), "desk": json.dumps(current | {"cars": [car]})}
    one = coordinator(ag_give_back="billed")
    assert persistence.restore_rows(one, kept) == []
    assert one.outages["outage-1"].deployments[0].returned_wh == 3000.0
    assert one.registry.cars["C1"].status is Status.DEPLOYED
    assert views.deployments(one)[0]["billed_wh"] == 6000.0
    assert json.loads(persistence.rows(one, ["outage-1"])["outage-1"][0])["loans"] == [deployment]


@settings(max_examples=rounds(20, 60))
@given(st.integers(0, 5000), st.sampled_from(["cut", "flip", "other"]), st.integers(0, 3))
def test_rows_that_are_damaged_are_left_out_and_named(at: int, how: str, which: int) -> None:
    one, _ = in_outage()
    kept = {key: body for key, (body, _) in persistence.rows(one, one.outages).items()}
    key = sorted(kept)[which % len(kept)]
    body = kept[key]
    at %= len(body)
    kept[key] = {"cut": body[:at], "flip": body[:at] + "\u0000" + body[at + 1 :], "other": '{"entries": 3}'}[how]
    two = coordinator()
    bad = persistence.restore_rows(two, kept)
    assert bad == [key]
    two.update(MONDAY + 10_000, 10_000.0)
    views.state(two, "school")


def test_only_outages_that_changed_are_written() -> None:
    one, first = in_outage()
    seq = one.audit.entries[-1].seq
    assert persistence.changed(one, seq) == {one.current.id}  # type: ignore[union-attr]
    outage = one.current.id  # type: ignore[union-attr]
    one.restored("school", MONDAY + 10_000, 10_000.0)
    seq = one.audit.entries[-1].seq
    assert persistence.changed(one, seq) == set()
    one.energy_returned(first, 500.0, MONDAY + 20_000, 1.0)
    assert persistence.changed(one, seq) == {outage}


def test_each_outage_has_its_own_report_and_payments_settle_the_oldest_deployment() -> None:
    one, first = in_outage()
    outage = one.current.id if one.current is not None else ""
    second = next(iter(one.deployments))[1]
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
    owed = [row["owed_wh"] for row in views.deployments(one) if row["vehicle"] == first and row["outage"] == outage]
    one.energy_returned(first, owed[0] / METER_EFFICIENCY, MONDAY + 97_000, 97_000.0)
    settled = {row["outage"]: row["settled"] for row in views.deployments(one) if row["vehicle"] == first}
    assert settled == {outage: True, later: False}


@pytest.mark.parametrize("how", ["as_arrived", "to_level", "billed"])
def test_a_payment_without_a_state_of_charge_counts_too(how: str) -> None:
    one = coordinator(ag_give_back=how)
    one.outage(need("school", stored_wh=0.0), MONDAY, 0.0)
    one.plugged("C1", "school", MONDAY + 100, 100.0, 80.0)
    one.metered("C1", "school", 9300.0, 0.0, None, MONDAY + 5000, 5000.0)
    one.unplugged("C1", "school", MONDAY + 5000, 5000.0, 55.0)
    row = views.deployments(one)[0]
    before = row["owed_wh"] + row["billed_wh"]
    assert before > 9000
    one.energy_returned("C1", 4000.0, MONDAY + 6000, 6000.0)
    row = views.deployments(one)[0]
    assert 3600 < before - row["owed_wh"] - row["billed_wh"] <= 4001
    one.energy_returned("C1", 9000.0, MONDAY + 7000, 7000.0)
    assert views.deployments(one)[0]["settled"]
    assert one.energy_returned("C1", 9000.0, MONDAY + 8000, 8000.0) is None


def published(one: Coordinator, site: str) -> BlueSwitchState:
    """Return the state as another site reads it."""
    energy = SharedEnergyState(phase=Phase.ISLAND, blue_switch=views.state(one, site))
    payload = json.dumps({"site": site, "energy": {**json.loads(energy.model_dump_json()), "later": 1}, "newer": [2]})
    read = SharedSiteState.parse(payload.encode()).energy
    assert read is not None
    assert read.blue_switch is not None
    return read.blue_switch


def test_two_coordinators_agree_the_leader_calls_and_both_have_the_positions() -> None:
    leader, other = coordinator(), coordinator(leads=False)
    for one in (leader, other):
        one.outage(need("school", stored_wh=0.0), MONDAY, 0.0)
        one.update(MONDAY, 0.0)
    assert leader.calls
    assert other.calls == {}
    state = published(leader, "hall")
    neighbours.apply_state(other, "hall", state, MONDAY + 1)
    assert set(other.calls) == set(leader.calls)
    name = next(iter(other.calls))
    assert abs(other.calls[name].arrive_at - leader.calls[name].arrive_at) < 0.01
    checked, _ = other.plugged(name, "school", other.calls[name].arrive_at, 5000.0, 88.0)
    assert checked.code == "arrival_welcome"
    state = published(other, "school")
    neighbours.apply_state(leader, "school", state, MONDAY + 5001)
    assert leader.registry.cars[name].status is Status.DEPLOYED
    assert leader.registry.cars[name].place == "school"
    assert name not in leader.calls
    other.unplugged(name, "school", MONDAY + 9000, 9000.0, 40.0)
    neighbours.apply_state(leader, "school", published(other, "school"), MONDAY + 9001)
    assert leader.registry.cars[name].status is Status.FREE


def test_a_requested_vehicle_is_not_requested_again_until_overdue() -> None:
    one = coordinator()
    one.outage(need("school", stored_wh=0.0, draw_w=1500.0), MONDAY, 0.0)
    one.update(MONDAY, 0.0)
    name, trip = min(one.calls.items(), key=lambda item: item[1].leave_at)
    seq = len(one.audit.entries)
    for wall in range(int(trip.leave_at) + 1, int(trip.arrive_at) + 1500, 301):
        one.update(float(wall), wall - MONDAY)
        assert one.calls[name] == trip
    assert [entry.kind for entry in one.audit.entries[seq:] if entry.subject == name] == []
    one.update(trip.arrive_at + 4000, trip.arrive_at + 4000 - MONDAY)
    assert one.calls.get(name) != trip


def test_a_deployed_vehicle_supplies_at_once_without_a_gap() -> None:
    one = coordinator()
    one.outage(need("school", stored_wh=0.0, draw_w=1500.0, until=MONDAY + 6 * 3600), MONDAY, 0.0)
    one.plugged("C1", "school", MONDAY, 0.0, 80.0)
    events = one.update(MONDAY, 0.0)
    assert [event.code for event in events] == []
    assert one.plan is not None
    assert one.plan.gaps == ()


def test_deployed_and_committed_vehicles_stay_at_their_site() -> None:
    one = coordinator()
    one.outage(need("clinic", stored_wh=0.0, draw_w=1500.0, until=MONDAY + 30 * 3600), MONDAY, 0.0)
    one.plugged("C1", "clinic", MONDAY, 0.0, 60.0)
    one.update(MONDAY, 0.0)
    wall = MONDAY + 9 * 3600
    one.metered("C1", "clinic", 12_000.0, 0.0, 24.0, wall, wall - MONDAY)
    one.update(wall, wall - MONDAY)
    soon, trip = min(one.calls.items(), key=lambda item: item[1].leave_at)
    assert trip.leave_at - wall < 3600
    before = trip.site
    one.outage(need("school", stored_wh=0.0, draw_w=3000.0, until=MONDAY + 30 * 3600), wall + 1, wall + 1 - MONDAY)
    events = one.update(wall + 1, wall + 1 - MONDAY)
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


@settings(max_examples=rounds(50, 200))
@given(JUNK)
def test_arbitrary_states_of_a_neighbour_have_no_harmful_effect(state: Any) -> None:
    one = coordinator(leads=False)
    one.outage(need("school"), MONDAY, 0.0)
    energy = {"phase": "island", "need": state, "blue_switch": state}
    try:
        state = SharedSiteState.parse(json.dumps({"energy": energy}).encode()).energy
    except ValueError:
        state = None
    if state is not None and state.blue_switch is not None:
        neighbours.apply_state(one, "hall", state.blue_switch, MONDAY)
        neighbours.apply_state(one, "unknown", state.blue_switch, MONDAY)
    one.leads = True
    one.update(MONDAY, 0.0)
    assert all(0 <= car.soc_pct <= 100 for car in one.registry.cars.values())
