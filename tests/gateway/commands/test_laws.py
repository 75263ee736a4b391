"""Laws of the whole service, for any sequence of actions of vehicles, stations and facilities."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model.event import FaultCleared, FaultRaised, PowerLimits, VehicleNeeds
from gateway.model.site import SitePolicy
from gateway.model.station import Answer, Outcome
from tests.gateway.commands.rig import ServiceRig, service_rig
from tests.rounds import rounds
from tests.virtual_time import virtual_examples

EVSES = ("CP1-1", "CP2-1")
RAMP_S = 5.0 + 1.0  # longest ramp of a set-point, and the slack
WATTS = st.sampled_from([0, 50, 500, 3000, 9000, 40_000])
LEASE = st.sampled_from([5, 12, 30, 120])
EVSE = st.sampled_from(EVSES)

Action = tuple[str, Any, Any, Any]
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.tuples(st.just("command"), EVSE, st.sampled_from(["discharge", "charge", "setpoint"]), st.tuples(WATTS, LEASE)),
    st.tuples(st.just("command"), st.none(), st.sampled_from(["discharge", "charge"]), st.tuples(WATTS, LEASE)),
    st.tuples(st.just("plain"), st.one_of(EVSE, st.none()), st.sampled_from(["stop", "release"]), st.none()),
    st.tuples(st.just("plain"), st.none(), st.sampled_from(["emergency_stop"]), st.none()),
    st.tuples(st.just("reserve"), st.one_of(EVSE, st.none()), st.sampled_from([0, 79.99, 90]), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.3, 1, 4, 9, 31]), st.none(), st.none()),
    st.tuples(st.just("plug"), EVSE, st.sampled_from([0, 2000, 12_000]), st.booleans()),
    st.tuples(st.just("unplug"), EVSE, st.none(), st.none()),
    st.tuples(st.just("link"), EVSE, st.booleans(), st.none()),
    st.tuples(st.just("fault"), EVSE, st.booleans(), st.none()),
    st.tuples(st.just("answer"), EVSE, st.sampled_from([Answer.REFUSED, Answer.UNKNOWN]), st.integers(1, 4)),
    st.tuples(st.just("load"), st.sampled_from([0, 1000, 8000]), st.none(), st.none()),
)


async def act(rig: ServiceRig, number: int, action: Action) -> None:
    what, one, two, three = action
    match what:
        case "command":
            await rig.send(one, two, f"c{number}", power_w=three[0], lease_s=three[1], priority=50 + number % 3)
        case "plain":
            await rig.send(one, two, f"c{number}", priority=99)
        case "reserve":
            await rig.send(one, "reserve", f"c{number}", min_soc_pct=two)
        case "wait":
            await rig.wait(one)
        case "plug" if rig.stations.evses[one].session is None:
            needs = VehicleNeeds(PowerLimits(11_000, two), three, "DC_BPT" if three else "DC", soc_pct=80)
            rig.stations.plug(one, f"tx{number}", needs)
        case "unplug" if rig.stations.evses[one].session is not None:
            rig.stations.unplug(one)
        case "link":
            station = one.rpartition("-")[0]
            rig.stations.connect(station, one) if two else rig.stations.disconnect(station)
        case "fault":
            now = rig.clock.now()
            rig.service.report(FaultRaised(one, now, "X", "broken") if two else FaultCleared(one, now, "X"))
        case "answer":
            rig.stations.evses[one].answers += [Outcome(two, "Rejected")] * three
        case "load":
            rig.service.input("load", b'{"ts": %f, "power_w": %d}' % (rig.clock.wall(), one))
        case _:
            pass


def within_hardware(rig: ServiceRig) -> None:
    """No EVSE was granted more than its station and car can do now."""
    for evse in EVSES:
        place = rig.evse(evse)
        limits = place.evse.limits
        assert limits is not None
        assert -limits.max_discharge_w <= place.effective_w <= limits.max_charge_w
        needs = place.evse.needs
        if place.evse.session is not None and needs is not None and place.decision is not None:
            fresh = rig.control.decision.current(place)
            out_w = needs.limits.max_discharge_w if needs.bidirectional else 0.0
            assert -out_w <= fresh.power_w <= needs.limits.max_charge_w


@settings(max_examples=rounds(25, 120), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACTIONS, max_size=25))
@virtual_examples
async def test_the_invariants(actions: list[Action]) -> None:
    policy = SitePolicy("home", import_limit_w=15_000, export_limit_w=12_000, min_soc_pct=20)
    async with service_rig(*EVSES, policy=policy, evse_rate_per_s=1000.0) as rig:
        for number, action in enumerate(actions):
            await act(rig, number, action)
            within_hardware(rig)
        await rig.wait(150)  # longer than every lease
        granted = [(r, p) for r, p in rig.published.results if p is not None and r.status in ("accepted", "clamped")]
        finals = [r.id for r, p in rig.published.results if p is not None and r.status not in ("accepted", "clamped")]
        leases = {evse: [(0.0, 0.0)] for evse in EVSES}
        for result, _ in granted:
            # every granted command has exactly one final result, and then is silent
            assert finals.count(result.id) == 1 or _still_in_force(rig, result.id), result
            if result.lease_until is not None:
                begun = result.ts - rig.clock.wall() + rig.clock.now()
                until = result.lease_until - rig.clock.wall() + rig.clock.now()
                for evse in [result.evse] if result.evse else EVSES:
                    leases[evse].append((begun, until))
        for evse in EVSES:
            assert rig.power(evse) == 0
            for at, power_w, valid_for_s in rig.stations.evses[evse].orders:
                if power_w == 0:
                    continue
                # every power stands in a lease (or in the ramp behind one), and so does what the station may hold
                assert any(
                    begun <= at + 0.01 and at + valid_for_s <= until + 2 * RAMP_S for begun, until in leases[evse]
                )
        totals = {r.id for r, p in rig.published.results if p is not None}
        assert len(totals) == len({e.command for e in await rig.service.entries(limit=10**6) if e.step == "journalled"})


def _still_in_force(rig: ServiceRig, command: str) -> bool:
    """A stop or schedule at an unreachable EVSE is not over."""
    held = [rig.evse(evse).command for evse in EVSES]
    return any(one is not None and one.id == command and not one.settled for one in held)
