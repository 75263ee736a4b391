"""What breaks in the metal of a charger reaches the gateway, in every version of OCPP; mended, it serves again."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.scenario.loading import parse
from emulators.world import World, simulate

pytestmark = pytest.mark.virtual_time

ONE = """
name = "a charger that breaks"
start = 2026-01-15T17:00:00+09:00
duration = "8m"
telemetry = "5s"
[site]
kind = "home"
[[charger]]
id = "CP1"
ocpp = "{ocpp}"
[[car]]
name = "car"
evse = "CP1-1"
soc_pct = 70
visits = [{{arrive = "3s", leave = "{leave}", target_pct = 30}}]
"""
BREAKS = """
[[command]]
at = "30s"
target = "CP1-1"
verb = "discharge"
power_w = 5000
lease_s = 400
[[command]]
at = "110s"
target = "CP1-1"
verb = "discharge"
power_w = 5000
lease_s = 100
[[command]]
at = "5m"
target = "CP1-1"
verb = "discharge"
power_w = 5000
lease_s = 100
[[fault]]
kind = "{kind}"
target = "CP1-1"
at = "90s"
duration = "60s"
"""


def events(world: World, kind: str) -> list[dict[str, Any]]:
    return [event for event in world.facility.events if event.get("event") == kind]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("ocpp", ["2.1", "2.0.1"])
@pytest.mark.parametrize(("kind", "code"), [("insulation", "GroundFailure"), ("internal", "InternalError")])
def test_a_broken_charger_is_told_to_the_gateway_and_a_mended_one_serves_again(ocpp: str, kind: str, code: str) -> None:
    outcome = simulate(parse(ONE.format(ocpp=ocpp, leave="7m") + BREAKS.format(kind=kind), "test"), fast_forward=True)
    facility = outcome.recording.facility
    told = [event["event"] for event in facility.events]
    assert "fault" in told
    assert "fault_cleared" in told
    by_id: dict[str, list[dict[str, Any]]] = {}
    for result in facility.results:
        by_id.setdefault(result["id"], []).append(result)
    first, second, third = by_id.values()
    if ocpp == "2.1":
        assert [result["status"] for result in first] == ["accepted", "achieved"]
        assert third[0]["status"] == "accepted"
    assert second[0]["status"] == "refused"
    assert second[0]["reason"]["code"] in ("fault", "no_session", "unplugged")
    assert outcome.recording.bays["CP1-1"].stage.faults == set()


@pytest.mark.timeout(120)
async def test_a_welded_contactor_is_found_when_the_car_is_gone() -> None:
    weld = '\n[[fault]]\nkind = "weld"\ntarget = "CP1-1"\nat = "60s"\nduration = "5m"\n'

    world = World(parse(ONE.format(ocpp="2.1", leave="2m") + weld, "test"), fast_forward=True)
    async with world.running():
        await world.clock.sleep(110)
        assert events(world, "fault") == []  # it should be closed, and is
        await world.clock.sleep(40)
        assert events(world, "fault")
        refused = await world.facility.command("CP1-1", "discharge", power_w=5000, lease_s=30)
        assert refused["reason"]["code"] == "fault"
        await world.clock.sleep(240)
        assert events(world, "fault_cleared")


@pytest.mark.timeout(120)
async def test_a_station_that_reboots_is_back_and_serves_again() -> None:
    world = World(parse(ONE.format(ocpp="2.1", leave="7m"), "test"), fast_forward=True)
    async with world.running():
        await world.clock.sleep(60)
        await world.inject_command("restart CP1")
        await world.clock.sleep(60)
        assert world.stations["CP1"].online
        assert events(world, "station_lost")
        result = await world.facility.command("CP1-1", "stop")
        assert result["status"] == "accepted"


@pytest.mark.timeout(120)
def test_an_old_station_names_its_fault_in_its_own_words() -> None:
    broken = '\n[[fault]]\nkind = "insulation"\ntarget = "CP1-1"\nat = "60s"\nduration = "30s"\n'
    outcome = simulate(parse(ONE.format(ocpp="1.6", leave="3m") + broken, "test"), fast_forward=True)
    said = [line.text for line in outcome.transcript.lines if line.channel == "ocpp:CP1"]
    assert any('"errorCode":"GroundFailure"' in text.replace(" ", "") for text in said)


CHAOS = """
name = "Sixty faults in forty minutes"
start = 2026-01-15T17:00:00+09:00
duration = "40m"
[gateway]
min_soc_pct = 30
[site]
kind = "home"
[[charger]]
id = "CP"
count = 2
[[car]]
name = "a"
evse = "CP1-1"
count = 2
soc_pct = 70
[[command]]
at = "1m"
target = "CP1-1"
verb = "discharge"
power_w = 4000
lease_s = 60
hold = "37m"
[[command]]
at = "1m"
target = "CP2-1"
verb = "discharge"
power_w = 3000
lease_s = 60
hold = "37m"
[chaos]
count = 60
[expect]
floor_crossed_pct = {max = 0.5}
fed_dead_grid_wh = {max = 0}
cars_charged_wh = {max = 60}
car_violations = {max = 0}
cars_discharged_wh = {min = 1000}
"""


@pytest.mark.parametrize("seed", [3, 4])
def test_whatever_breaks_nothing_flows_that_nobody_ordered(seed: int) -> None:
    """Seed 3 had a station whose clock was set back: its Relative default profile had not begun yet, and it charged."""
    assert simulate(parse(CHAOS, "here"), seed=seed, fast_forward=True).violations == []


SET_BACK = """
name = "A clock set back beneath a lease"
start = 2026-01-15T17:00:00+09:00
duration = "12m"
[site]
kind = "home"
[[charger]]
id = "CP1"
[[car]]
name = "a"
evse = "CP1-1"
soc_pct = 85
[[command]]
at = "3m"
target = "CP1-1"
verb = "discharge"
power_w = 5000
lease_s = 60
[[fault]]
kind = "half-open"
target = "ocpp:CP1"
at = "3m30s"
duration = "6m"
[[fault]]
kind = "clock-jump"
target = "CP1"
at = "3m32s"
value = -3600
[expect]
cars_discharged_wh = {min = 50, max = 70}
"""


def test_a_dead_mans_schedule_ends_though_the_clock_was_set_back() -> None:
    assert simulate(parse(SET_BACK, "here"), fast_forward=True).violations == []


@pytest.mark.parametrize("kinds", [["delay", "duplicate"], ["meter-stuck", "frozen-soc", "clock-jump"], []])
def test_what_breaks_comes_out_the_same_with_loops_left_out(kinds: list[str]) -> None:
    """No turn of the loop is left out that would have been lost, late or doubled; what sticks sticks where it was."""
    plan = parse(CHAOS.replace('"40m"', '"16m"').replace('"37m"', '"15m"').replace("count = 60", "count = 25"), "here")
    assert plan.chaos is not None
    plan.chaos.kinds = kinds
    seed = 4 if kinds else 3
    fast, full = (simulate(plan, seed=seed, fast_forward=hurries).transcript for hurries in (True, False))
    assert list(fast.differences(full)) == []
