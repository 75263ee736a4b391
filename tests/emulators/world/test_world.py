"""World: transcript determined by the seed and unchanged by fast-forward, commands, faults, visits, recording."""

from __future__ import annotations

import functools

import pytest

from emulators.faults.fault import FaultError
from emulators.scenario.loading import parse
from emulators.scenario.scenario import Scenario, ScenarioError
from emulators.scenario.tables import Bound
from emulators.world import SimulationResult, World, simulate
from emulators.world.builders.gateway import gateway_config

pytestmark = pytest.mark.virtual_time

BASE = """
name = "two cars"
start = 2026-01-15T17:00:00+09:00
duration = "8m"
telemetry = "20s"
[gateway]
min_soc_pct = 30
[site]
kind = "home"
[[site.pv]]
peak_w = 4000
[[charger]]
id = "CP"
count = 2
[[car]]
name = "car"
count = 2
evse = "CP1-1"
soc_pct = 62
soc_spread_pct = 10
visits = [{arrive = "3s", leave = "6m", target_pct = 30}]
[[command]]
at = "40s"
target = "CP1-1"
verb = "discharge"
power_w = 6000
lease_s = 30
hold = "3m"
[[command]]
at = "70s"
target = "CP2-1"
verb = "charge"
power_w = 7000
lease_s = 60
"""


def plan(more: str = "") -> Scenario:
    return parse(BASE + more, "test")


@functools.cache
def plain() -> SimulationResult:
    """Return the result of the plan without additions, by fast-forward."""
    return simulate(plan(), fast_forward=True)


def test_the_seed_determines_the_transcript() -> None:
    short = plan().model_copy(update={"duration": 120.0})
    one, two, other = simulate(short), simulate(short), simulate(short, seed=2)
    assert list(one.transcript.differences(two.transcript)) == []
    assert one.transcript.digest() == two.transcript.digest() != other.transcript.digest()
    assert one.figures == two.figures
    assert len(one.transcript.lines) > 150


def test_fast_forward_does_not_change_the_transcript() -> None:
    full, fast = simulate(plan()), plain()
    assert list(full.transcript.differences(fast.transcript)) == []
    assert full.figures == fast.figures
    assert fast.transcript.counts["iso15118"] < full.transcript.counts["iso15118"] / 3


def test_a_command_discharges_the_car_until_its_lease_ends() -> None:
    outcome = plain()
    figures = outcome.figures
    assert figures["cars_discharged_wh"] == pytest.approx(6000 * 200 / 3600, rel=0.15)
    assert figures["car.car1.discharged_wh"] > figures["cars_discharged_wh"]
    assert figures["cars_charged_wh"] > 7000 * 55 / 3600
    assert figures["floor_crossed_pct"] == 0
    assert figures["commands_accepted"] >= 10
    assert figures["commands_refused"] == 0
    assert any("leaves" in event.text for event in outcome.recording.events)


def test_the_world_recovers_from_a_fault_of_each_interface() -> None:
    more = """
[[fault]]
kind = "duplicate"
target = "mqtt"
at = "30s"
duration = "60s"
[[fault]]
kind = "cut"
target = "ocpp:CP1"
at = "100s"
[[fault]]
kind = "corruption"
target = "iso15118:CP2-1"
at = "2m"
duration = "1s"
[[fault]]
kind = "broker-stop"
at = "150s"
duration = "10s"
[[fault]]
kind = "restart"
target = "gateway"
at = "200s"
"""
    full, fast = simulate(plan(more)), simulate(plan(more), fast_forward=True)
    texts = [event.text for event in full.recording.events if event.kind in ("fault", "gateway")]
    assert texts == [event.text for event in fast.recording.events if event.kind in ("fault", "gateway")]
    assert {"killed", "started again"} <= set(texts)
    assert not any("missed" in text for text in texts)
    assert full.figures["commands_achieved"] >= 1
    assert full.figures["floor_crossed_pct"] == 0
    # stations that were accepted before the gateway died need not boot again (OCPP 2.1, F06.FR.17)
    states = full.recording.facility.states
    assert all(states[evse]["connection"] == "connected" for evse in ("CP1-1", "CP2-1"))
    assert states["CP1-1"]["station_limits"]["max_discharge_w"] == 10_000
    assert full.recording.bays["CP2-1"].session_ends[0] != full.recording.bays["CP2-1"].session_ends[-1]


async def test_a_test_can_act_on_a_running_world() -> None:
    world = World(plan())
    async with world.running():
        await world.clock.sleep(30)
        result = await world.facility.command("CP1-1", "discharge", power_w=3000, lease_s=30)
        assert result["status"] == "accepted"
        assert result["effective_w"] == -3000
        await world.clock.sleep(8)
        assert world.bays["CP1-1"].stage.reading(world.clock.now()).ac_power_w == pytest.approx(-3000, rel=0.02)
        final = await world.facility.outcome(str(result["id"]))
        assert final["status"] == "achieved"
        refused = await world.facility.command("CP1-1", "discharge", power_w=-1)
        assert refused["status"] == "refused"
        assert refused["reason"]["code"]


def test_violated_expectations_are_sentences() -> None:
    outcome = simulate(
        plan("[expect]\nimport_wh = {max = 1}\npv_wh = {min = 1e6}\ndark_s = {max = 0}\n"), fast_forward=True
    )
    assert not outcome.passed
    assert len(outcome.violations) == 2
    assert "import_wh is" in outcome.violations[0]
    assert "expected at least 1e+06" in outcome.violations[1]
    assert outcome.recording.violations({"no_such": Bound(min=0)}) == ["there is no figure no_such"]
    assert outcome.summary()["passed"] is False


async def test_faults_by_live_command() -> None:
    world = World(plan())
    async with world.running():
        meter = world.bays["CP1-1"].stage.meter
        await world.clock.sleep(20)
        await world.inject_command("meter-stuck CP1-1 30")
        stuck = [meter.stuck]
        await world.clock.sleep(31)
        assert [*stuck, meter.stuck] == [True, False]
        for wrong in ("", "gremlins", "cut ocpp:CP9", "cut ocpp:CP1 soon"):
            with pytest.raises(FaultError):
                await world.inject_command(wrong)


def test_faults_by_seed() -> None:
    chaos = simulate(plan("[chaos]\ncount = 12\n"), fast_forward=True)
    again = simulate(plan("[chaos]\ncount = 12\n"), fast_forward=True)
    texts = [event for event in chaos.recording.events if event.kind == "fault"]
    assert len(texts) >= 12
    assert chaos.transcript.digest() == again.transcript.digest()
    assert chaos.figures["floor_crossed_pct"] == 0
    assert chaos.figures["car_violations"] == 0


QUEUE = """
name = "Two cars, one plug"
start = 2026-01-15T17:00:00+09:00
duration = "8m"
[gateway.energy]
[site]
kind = "home"
[[charger]]
id = "CP1"
[[car]]
name = "first"
evse = "CP1-1"
visits = [{arrive = 0, leave = "4m"}]
[[car]]
name = "second"
evse = "CP1-1"
visits = [{arrive = "2m", leave = "7m"}]
"""


def test_a_car_waits_for_an_occupied_evse() -> None:
    outcome = simulate(parse(QUEUE, "here"), fast_forward=True)
    texts = [event.text for event in outcome.recording.events if event.kind == "car"]
    assert texts == [
        "first arrives at CP1-1 with 80 %",
        "second finds CP1-1 occupied by first and waits",
        "first leaves CP1-1 with 80 %",
        "second arrives at CP1-1 with 80 %",
        "second leaves CP1-1 with 80 %",
    ]


def test_a_car_leaves_an_occupied_evse_at_its_departure() -> None:
    outcome = simulate(parse(QUEUE.replace('leave = "4m"', 'leave = "8m"'), "here"), fast_forward=True)
    texts = [event.text for event in outcome.recording.events if event.kind == "car"]
    assert texts[1:] == [
        "second finds CP1-1 occupied by first and waits",
        "second leaves without having been plugged in",
    ]
    assert outcome.recording.soc["first"][-1] is not None


def test_an_error_of_the_gateway_configuration_is_one_sentence() -> None:
    plan = parse(QUEUE.replace("[gateway.energy]", "[gateway.energy]\nisalnd = true"), "here")
    with pytest.raises(ScenarioError, match=r"gateway\..*energy\.isalnd: is not a key"):
        simulate(plan)


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ("ocpp = {sample_every_s = 20}\ncommands = {valid_for_s = 60}", None),
        ("commands = {valid_for_s = 1}", "commands.valid_for_s"),
    ],
)
def test_a_scenario_sets_gateway_configuration(table: str, error: str | None) -> None:
    plan = parse(QUEUE.replace("[gateway.energy]", f"[gateway]\n{table}"), "here")
    if error is not None:
        with pytest.raises(ScenarioError, match=rf"gateway\..*{error}"):
            simulate(plan)
        return
    config = gateway_config(plan, {})
    assert (config.ocpp.sample_every_s, config.commands.valid_for_s) == (20, 60)


def test_gateway_warnings_are_recorded_at_their_times() -> None:
    broken = QUEUE + '[[fault]]\nkind = "broker-stop"\nat = "1m"\nduration = 20\n'
    logged = [one for one in simulate(parse(broken, "here"), fast_forward=True).recording.events if one.kind == "log"]
    assert logged
    assert all("no link to the broker" in one.text and 60 <= one.at <= 90 for one in logged)


@pytest.mark.parametrize(("eta", "lost"), [(0.8, 0.2), (0.5, 0.5)])
def test_a_charger_has_the_efficiency_of_its_table(eta: float, lost: float) -> None:
    curve = f'id = "CP1"\nmeter_class_pct = 0\nstandby_w = 0\nefficiency = [[0, {eta}], [1, {eta}]]'
    order = '[[command]]\nat = "1m"\ntarget = "CP1-1"\nverb = "discharge"\npower_w = 3000\nlease_s = 120\n'
    figures = simulate(parse(QUEUE.replace('id = "CP1"', curve) + order, "here"), fast_forward=True).figures
    out_wh, metered_wh = figures["car.first.discharged_wh"], figures["cars_discharged_wh"]
    assert metered_wh > 50
    assert 1 - metered_wh / out_wh == pytest.approx(
        lost, abs=0.01 + 15 / out_wh
    )  # except auxiliary consumption of the car
