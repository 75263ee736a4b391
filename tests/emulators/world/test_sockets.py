"""World over real sockets: same expectations and nearly the same figures as in memory; invalid options."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from emulators.scenario.loading import load, parse
from emulators.scenario.scenario import Scenario, ScenarioError
from emulators.world import LiveCommands, SimulationResult, Sockets, World, run_world, simulate
from emulators.world.sockets import SocketNetwork

PACE = 20.0
FLOWS = ("import_wh", "export_wh", "served_wh", "cars_charged_wh", "cars_discharged_wh", "car.car.discharged_wh")
COUNTS = ("commands_refused", "commands_failed", "floor_crossed_pct", "fed_dead_grid_wh", "car_violations", "dark_s")

QUICK = """
name = "a minute"
start = 2026-01-15T17:00:00+09:00
duration = "70s"
telemetry = "5s"
[site]
kind = "home"
[[charger]]
id = "CP1"
[[car]]
name = "car"
evse = "CP1-1"
soc_pct = 70
visits = [{arrive = "2s", leave = "2h", target_pct = 30}]
[[command]]
at = "20s"
target = "CP1-1"
verb = "discharge"
power_w = 5000
lease_s = 15
hold = "45s"
"""


def event_texts(outcome: SimulationResult) -> list[str]:
    return [event.text for event in outcome.recording.events]


@pytest.mark.timeout(180)
def test_a_shipped_scenario_gives_the_same_result_over_sockets() -> None:
    """Real WebSockets, TCP under TLS 1.3 and MQTT packets: figures differ by the latency of messages."""
    memory = simulate("evening-at-home", fast_forward=True)
    sockets = simulate("evening-at-home", speed=PACE, sockets=Sockets(tls=True))
    assert memory.passed
    assert sockets.passed, sockets.violations
    for name in FLOWS:
        assert sockets.figures[name] == pytest.approx(memory.figures[name], rel=0.05, abs=3.0), name
    for name in COUNTS:
        assert sockets.figures[name] == memory.figures[name], name
    assert sockets.figures["commands_accepted"] == pytest.approx(memory.figures["commands_accepted"], abs=1)
    assert event_texts(sockets) == event_texts(memory)
    assert sockets.summary()["transports"] == "sockets"
    for channel in ("ocpp", "mqtt"):
        assert sockets.transcript.counts[channel] == pytest.approx(memory.transcript.counts[channel], rel=0.25)


@pytest.mark.virtual_time(speed=PACE)
@pytest.mark.timeout(120)
async def test_every_stream_is_a_real_socket() -> None:
    """Connections use ports of the machine instead of objects."""
    world = World(parse(QUICK, "test"), sockets=Sockets(tls=True))
    async with world.running():
        await world.clock.sleep(20)
        assert world.gateway is not None
        assert world.gateway.ocpp_port
        network = world.network
        assert isinstance(network, SocketNetwork)
        assert network.vehicle_transports == {"CP1-1": "TLSv1.3"}
        assert all(relay.accepted > 0 for relay in network.broker.relays.values())
        with pytest.raises(AttributeError, match="no broker in memory"):
            _ = world.broker


@pytest.mark.timeout(180)
def test_faults_act_on_sockets_as_they_do_in_memory() -> None:
    more = """
[[fault]]
kind = "cut"
target = "ocpp:CP1"
at = "24s"
[[fault]]
kind = "broker-stop"
at = "40s"
duration = "4s"
[[fault]]
kind = "restart"
target = "gateway"
at = "52s"
"""
    outcome = simulate(parse(QUICK + more, "test"), speed=10.0, sockets=Sockets())
    happened = event_texts(outcome)
    assert {"cut ocpp:CP1 begins", "broker-stop begins", "broker-stop ends", "killed", "started again"} <= set(happened)
    assert not any("missed" in text for text in happened)
    assert outcome.recording.facility.lost_connections >= 1
    assert outcome.figures["cars_discharged_wh"] > 10
    assert outcome.figures["commands_achieved"] >= 1
    assert outcome.recording.facility.states["CP1-1"]["connection"] == "connected"


@pytest.mark.parametrize(
    ("sockets", "speed", "more", "message"),
    [
        (Sockets(), None, "", "needs --transports memory"),
        (Sockets(), 400.0, "", "at most 50 times"),
        (Sockets("amqp://there"), 1.0, "", "mqtt://host"),
        (Sockets(), 1.0, '[[fault]]\nkind = "duplicate"\ntarget = "mqtt"\n', "needs --transports memory"),
        (Sockets(), 1.0, "[chaos]\ncount = 3\n", "chaos over sockets"),
    ],
)
def test_invalid_options_of_sockets_are_reported_before_the_start(
    sockets: Sockets, speed: float | None, more: str, message: str
) -> None:
    with pytest.raises(ScenarioError, match=message):
        simulate(parse(QUICK + more, "test"), speed=speed, sockets=sockets)


def test_fast_forward_needs_transports_in_memory() -> None:
    with pytest.raises(ValueError, match="in memory only"):
        World(parse(QUICK, "test"), fast_forward=True, sockets=Sockets())


def plan() -> Scenario:
    return parse(QUICK, "test")


@pytest.mark.virtual_time(speed=100.0)
@pytest.mark.timeout(60)
async def test_a_live_command_injects_a_fault_at_once() -> None:
    """Live commands are read from a pipe while the world runs; invalid ones are answered and recorded."""
    out, into = os.pipe()
    with os.fdopen(out) as source, os.fdopen(into, "w") as typed:
        typed.write("meter-stuck CP1-1 20\nno-such-thing\n\ndelay mqtt 30 rate=0.5 value=0.1\ndeaf CP1-1 nan\n")
        typed.flush()
        answers: list[str] = []
        outcome = await run_world(lambda: World(plan()), LiveCommands(source, answers.append))
    happened = event_texts(outcome)
    assert "meter-stuck CP1-1 begins" in happened
    assert "meter-stuck CP1-1 ends" in happened
    assert any(text.startswith("invalid command: unknown fault kind 'no-such-thing'") for text in happened)
    assert [text.split(" s: ")[1][:30] for text in answers] == [
        "meter-stuck CP1-1 20 begins",
        "invalid command: unknown fault",
        "delay mqtt 30 rate=0.5 value=0",
        "invalid command: seconds must ",
    ]


def test_live_commands_are_not_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "typed").write_text("cut ocpp:CP1")
    with (tmp_path / "typed").open() as file, pytest.raises(ScenarioError, match="a terminal or a pipe"):
        simulate(load("evening-at-home"), live_commands=LiveCommands(file), speed=10.0)


def test_live_commands_need_a_limited_speed() -> None:
    with open(os.devnull) as nothing, pytest.raises(ScenarioError, match="need a limited speed"):
        simulate(load("evening-at-home"), live_commands=LiveCommands(nothing))


@pytest.mark.timeout(120)
def test_a_hosted_evse_over_sockets() -> None:
    """The vehicle connects to the port of the gateway itself."""
    text = QUICK.replace('id = "CP1"', 'id = "BAY1"\nhosted = true').replace("CP1-1", "BAY1")
    outcome = simulate(parse(text, "test"), speed=PACE, sockets=Sockets())
    assert outcome.figures["commands_accepted"] >= 1
    assert outcome.figures["car.car.discharged_wh"] > 20
    assert outcome.figures["car_violations"] == 0
