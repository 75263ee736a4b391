"""Charger faults are reported to the gateway in every version of OCPP, and cleared after their end."""

from __future__ import annotations

from itertools import product
from operator import attrgetter
from typing import Any

import pytest

from emulators.scenario.loading import parse
from emulators.world import World, simulate
from tests.rounds import rounds, some

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
@pytest.mark.parametrize(("ocpp", "kind"), some(product(["2.1", "2.0.1"], ["insulation", "internal"]), 3))
def test_a_charger_fault_is_reported_and_cleared(ocpp: str, kind: str) -> None:
    outcome = simulate(parse(ONE.format(ocpp=ocpp, leave="7m") + BREAKS.format(kind=kind), "test"), fast_forward=True)
    facility = outcome.recording.facility
    reported = [event["event"] for event in facility.events]
    assert "fault" in reported
    assert "fault_cleared" in reported
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
async def test_a_welded_contactor_is_detected_after_unplugging() -> None:
    weld = '\n[[fault]]\nkind = "weld"\ntarget = "CP1-1"\nat = "60s"\nduration = "5m"\n'

    world = World(parse(ONE.format(ocpp="2.1", leave="2m") + weld, "test"), fast_forward=True)
    async with world.running():
        await world.clock.sleep(110)
        assert events(world, "fault") == []  # closed as commanded
        await world.clock.sleep(40)
        assert events(world, "fault")
        refused = await world.facility.command("CP1-1", "discharge", power_w=5000, lease_s=30)
        assert refused["reason"]["code"] == "fault"
        await world.clock.sleep(240)
        assert events(world, "fault_cleared")


@pytest.mark.timeout(120)
async def test_a_station_accepts_commands_after_a_reboot() -> None:
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
def test_an_ocpp16_station_reports_its_error_code() -> None:
    broken = '\n[[fault]]\nkind = "insulation"\ntarget = "CP1-1"\nat = "60s"\nduration = "30s"\n'
    outcome = simulate(parse(ONE.format(ocpp="1.6", leave="3m") + broken, "test"), fast_forward=True)
    messages = [line.text for line in outcome.transcript.lines if line.channel == "ocpp:CP1"]
    assert any('"errorCode":"GroundFailure"' in text.replace(" ", "") for text in messages)


LOCAL = """
[[command]]
at = "30s"
target = "CP1-1"
verb = "charge"
power_w = 5000
lease_s = 400
[[ems]]
at = "90s"
station = "CP1"
limit_w = 2000
[[ems]]
at = "150s"
station = "CP1"
clear = true
site_w = 3000
grid_hz = 49.9
[[fault]]
kind = "modem-reset"
target = "CP1"
at = "200s"
"""


@pytest.mark.timeout(120)
async def test_a_local_energy_management_system_limits_a_station_whose_modem_is_reset_later() -> None:
    world = World(
        parse(ONE.format(ocpp="2.1", leave="7m").replace("target_pct = 30", "target_pct = 90") + LOCAL, "here")
    )
    async with world.running():
        powers = []
        for until in (80, 140, 190):
            await world.clock.sleep(until - world.clock.now())
            powers.append(world.site.cars["CP1-1"].reading(world.clock.now()).ac_power_w)
        assert powers == [pytest.approx(5000, rel=0.03), pytest.approx(2000, rel=0.03), pytest.approx(5000, rel=0.03)]
        assert events(world, "station_lost") == []
        await world.clock.sleep(60)
        assert events(world, "station_lost")
        assert world.stations["CP1"].online


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


@pytest.mark.parametrize("seed", some([3, 4], 2))
def test_no_fault_causes_power_without_a_command(seed: int) -> None:
    """Seed 3 sets a station clock back to before the start of its Relative default profile."""
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


def test_the_watchdog_schedule_ends_although_the_clock_was_set_back() -> None:
    assert simulate(parse(SET_BACK, "here"), fast_forward=True).violations == []


@pytest.mark.parametrize("kinds", some([["delay", "duplicate"], ["meter-stuck", "frozen-soc", "clock-jump"], []], 3))
def test_faults_have_the_same_effect_with_fast_forward(kinds: list[str]) -> None:
    """No charge loop is skipped that would have been lost, delayed or duplicated."""
    minutes, count = rounds(6, 16), rounds(10, 25)
    text = CHAOS.replace('"40m"', f'"{minutes}m"').replace('"37m"', f'"{minutes - 1}m"')
    plan = parse(text.replace("count = 60", f"count = {count}"), "here")
    assert plan.chaos is not None
    plan.chaos.kinds = kinds
    seed = 4 if kinds else 3
    fast, full = (simulate(plan, seed=seed, fast_forward=fast_forward).transcript for fast_forward in (True, False))
    for transcript in (fast, full):  # lines of one moment on two channels have no order
        transcript.lines.sort(key=attrgetter("at", "channel"))
    assert list(fast.differences(full)) == []


@pytest.mark.parametrize(("vehicle_link", "fault"), some(product(["iso15118-20", "none"], ["ignores-car", ""]), 3))
async def test_current_above_the_limit_of_the_car_raises_the_figure(vehicle_link: str, fault: str) -> None:
    text = ONE.format(ocpp="2.1", leave="7m") + f'[[charger]]\nid = "CP2"\nvehicle_link = "{vehicle_link}"\n'
    text = text.replace('evse = "CP1-1"', 'evse = "CP2-1"')
    world = World(parse(text, "here"))
    async with world.running():
        await world.clock.sleep(30)
        await world.facility.command("CP2-1", "discharge", power_w=9000, lease_s=300)
        if fault:
            await world.inject_command(f"{fault} CP2-1")
        await world.clock.sleep(30)
        assert world.recording.figures()["car_violations"] == 0
        world.cars["car"].discharge_permitted = False
        await world.clock.sleep(30)
    assert world.recording.figures()["car_violations"] == (1 if fault else 0)
