"""One discharge from MQTT to the battery: in virtual time, as one process, and as four processes with Mosquitto."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulators.scenario.loading import parse
from emulators.world import World
from tests.gateway.mqtt.facility import free_port, mosquitto
from tests.peers import program

pytestmark = pytest.mark.virtual_time

SITE = """
name = "first light"
start = 2026-01-15T18:00:00+09:00
duration = "10m"
loop = 0.25
telemetry = 1
[site]
kind = "home"
[gateway]
site = "home"
min_soc_pct = 30
[[charger]]
id = "CP1"
meter_class_pct = 0
[[car]]
name = "car"
evse = "CP1-1"
soc_pct = 80
[[car.visits]]
arrive = 1
leave = 540
"""
BYTE_BY_BYTE = """
[[fault]]
kind = "split"
target = "iso15118:CP1-1"
at = 0
value = 1
"""


async def until(world: World, what: str, reached: Any, within: float = 60.0) -> None:
    """Wait in steps of virtual time."""
    deadline = world.clock.now() + within
    while not reached():
        assert world.clock.now() < deadline, what
        await world.clock.sleep(0.25)


@pytest.mark.parametrize("fault", ["", BYTE_BY_BYTE], ids=["whole", "byte by byte"])
async def test_a_discharge_from_mqtt_to_the_battery(fault: str) -> None:
    world = World(parse(SITE + fault, "test"))
    async with world.running():
        gateway, car = world.gateway, world.cars["car"]
        assert gateway is not None
        service = gateway.service

        def state() -> Any:
            return service.state("CP1-1")

        await until(world, "a session", lambda: state() and state().available.max_discharge_w > 0)
        before_wh, stage = car.pack.energy_out_wh, world.bays["CP1-1"].stage
        metered = stage.meter.true_discharged_wh

        answer = await world.facility.command("CP1-1", "discharge", power_w=5000, lease_s=60)
        assert (answer["status"], answer["effective_w"], answer["binding"]) == ("accepted", -5000, "command")
        began = world.clock.now()
        await until(world, "5 kW on the meter", lambda: abs((state().power_w or 0) + 5000) < 100)
        assert state().setpoint_w == -5000
        await until(world, "the end of the lease", lambda: state().effective_w == 0, 90)
        assert 59 <= world.clock.now() - began <= 62
        await until(world, "0 W", lambda: abs(state().power_w or 0) < 50)
        assert state().session_state == "in_session"

        battery_wh, meter_wh = car.pack.energy_out_wh - before_wh, stage.meter.true_discharged_wh - metered
        assert 75 < meter_wh < battery_wh < 110
        finals = [one["status"] for one in world.facility.results if one["id"] == answer["id"]]
        assert finals == ["accepted", "achieved"]

        stopped = await world.facility.command("CP1-1", "stop")
        assert stopped["status"] == "accepted"
        await until(world, "the car to leave", lambda: state().session_state == "available", 600)
        assert car.violations == []

    messages = [line.text for line in world.transcript.lines if line.channel == "ocpp:CP1"]
    actions = [json.loads(text.replace("#", ""))[2] for text in messages if text.startswith("[2")]
    for action in (
        "BootNotification", "StatusNotification", "NotifyEVChargingNeeds", "TransactionEvent", "SetChargingProfile",
        "UpdateDynamicSchedule",
    ):  # fmt: skip
        assert action in actions
    profiles = [text for text in messages if '"SetChargingProfile"' in text]
    safe = [number for number, text in enumerate(profiles) if '"TxDefaultProfile"' in text]
    v2x = [number for number, text in enumerate(profiles) if "CentralSetpoint" in text]
    assert safe[0] < v2x[0], "the safe fallback comes first"
    assert '"stackLevel":0' in profiles[safe[0]]
    assert '"Dynamic"' in profiles[v2x[0]]
    powered = [text for text in profiles if '"setpoint":-5000' in text]
    assert powered, "the set-point was sent"
    assert all('"duration"' in text for text in powered), "every power that is not 0 holds a dead-man time"
    calls = [json.loads(text.replace("#", "")) for text in messages if text.startswith("[2")]
    triggers = {frame[3]["triggerReason"] for frame in calls if frame[2] == "TransactionEvent"}
    assert "OperationModeChanged" in triggers


def test_the_demo_over_real_sockets() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "demo", "--seconds", "5", "--json"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["achieved"] is True
    assert figures["lease_ended"] is True
    assert (figures["requested_w"], figures["effective_w"], figures["binding"]) == (5000, -5000, "command")
    assert 0 < figures["energy_at_meter_wh"] < figures["energy_from_battery_wh"]
    assert figures["soc_end_pct"] < figures["soc_start_pct"]
    assert set(figures["messages"]) == {"iso15118", "ocpp", "mqtt"}
    assert min(figures["messages"].values()) > 20


@dataclass
class Process:
    """A running command, with its output in a file, so that it never blocks on a pipe."""

    running: subprocess.Popen[bytes]
    output: Path

    def interrupted(self) -> list[str]:
        """Press Ctrl-C; return the lines of its output."""
        self.running.send_signal(signal.SIGINT)
        assert self.running.wait(20) in (0, 130)
        return self.output.read_text().splitlines()


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[Process]:
    output = folder / f"{arguments[0]}.log"
    with output.open("wb") as stream:
        running = subprocess.Popen([sys.executable, "-m", "gateway.cli", *arguments], stdout=stream, stderr=stream)
    try:
        yield Process(running, output)
    finally:
        running.kill()
        running.wait(10)


def listening(port: int, host: str = "127.0.0.1") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, port), 0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nothing listens on {host}:{port}")


@pytest.mark.peer
def test_separate_processes_and_mosquitto(tmp_path: Path) -> None:
    ocpp, secc = free_port(), free_port()
    with mosquitto(tmp_path) as broker:
        (tmp_path / "gateway.toml").write_text(
            f"""
            [site]
            id = "shelter-1"
            min_soc_pct = 30
            [mqtt]
            url = "mqtt://127.0.0.1:{broker.port}"
            [ocpp]
            listen = "127.0.0.1:{ocpp}"
            security_profile = 0
            [[stations]]
            id = "CP1"
            """
        )
        root = "v2x/1/shelter-1/evse/CP1-1"

        def received(topic: str, count: int, wait_s: int = 20) -> list[dict[str, Any]]:
            tool = program("mosquitto_sub", "mosquitto-clients")
            done = subprocess.run(
                [tool, "-p", str(broker.port), "-t", f"{root}/{topic}", "-C", str(count), "-W", str(wait_s)],
                capture_output=True, text=True, timeout=wait_s + 10, check=False,
            )  # fmt: skip
            return [json.loads(line) for line in done.stdout.splitlines()]

        def wait_for_state(reached: Any) -> dict[str, Any]:
            deadline = time.monotonic() + 30
            state: dict[str, Any] = {}
            while time.monotonic() < deadline:
                found = received("state", 1, 5)
                state = found[0] if found else {}
                if state and reached(state):
                    return state
                time.sleep(0.1)
            raise AssertionError(f"the state stayed {state}")

        with process(tmp_path, "gateway", "-c", str(tmp_path / "gateway.toml")) as gateway:
            listening(ocpp)
            csms, address = f"ws://127.0.0.1:{ocpp}/ocpp", f"127.0.0.1:{secc}"
            with process(tmp_path, "charger", "--csms", csms, "--id", "CP1", "--secc", address, "--json") as charger:
                wait_for_state(lambda state: state["connection"] == "connected")
                with process(tmp_path, "ev", "--connect", address, "--soc", "80", "--json") as car:
                    wait_for_state(lambda state: state["available"]["max_discharge_w"] > 0)
                    results = subprocess.Popen(
                        [program("mosquitto_sub", "mosquitto-clients"), "-p", str(broker.port), "-t", f"{root}/result",
                         "-C", "2", "-W", "30"],
                        stdout=subprocess.PIPE, text=True,
                    )  # fmt: skip
                    time.sleep(0.3)  # until it has subscribed
                    order = {"id": "first", "power_w": 5000, "lease_s": 6}
                    publish = program("mosquitto_pub", "mosquitto-clients")
                    command = [publish, "-p", str(broker.port), "-q", "1", "-t", f"{root}/cmd/discharge"]
                    subprocess.run([*command, "-m", json.dumps(order)], check=True, timeout=10)
                    output, _ = results.communicate(timeout=40)
                    first, final = (json.loads(line) for line in output.splitlines())
                    assert (first["status"], first["effective_w"]) == ("accepted", -5000)
                    assert final["status"] == "achieved"
                    assert final["measured"]["power_w"] < -4500
                    after = wait_for_state(lambda state: state["effective_w"] == 0 and state["setpoint_w"] == 0)
                    assert after["session_state"] == "in_session"
                    last = json.loads(car.interrupted()[-1])
                    assert last["event"] == "Summary"
                    assert last["ok"] is True
                    assert last["energy_out_wh"] > 3
                wait_for_state(lambda state: state["session_state"] == "available")
                ended = [json.loads(line) for line in charger.interrupted()]
                events = [one["message"][3] for one in ended if one["event"] == "Ocpp" and one["message"][0] == 2
                          and one["message"][2] == "TransactionEvent"]  # fmt: skip
                assert [events[0]["eventType"], events[-1]["eventType"]] == ["Started", "Ended"]
            wait_for_state(lambda state: state["connection"] == "offline")
            assert "Traceback" not in "\n".join(gateway.interrupted())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gateway", "-c", "{tmp}/none.toml"), "none.toml"),
        (("check-config", "-c", "{tmp}/bad.toml"), "import_limit_kw"),
        (("check-config", "-c", "{tmp}/worse.toml"), "worse.toml"),
        (("ev", "--connect", "nowhere"), "nowhere"),
        (("ev", "--connect", "127.0.0.1:1", "--service", "hydrogen"), "hydrogen"),
        (("ev", "--connect", "127.0.0.1:1", "--protocols", "iso2"), "iso2"),
        (("charger", "--csms", "http://127.0.0.1:9000/ocpp"), "http"),
        (("demo", "--seconds", "soon"), "--seconds"),
    ],
)
def test_invalid_input_of_a_user_is_named(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "bad.toml").write_text("[site]\nimport_limit_kw = 50\n")
    (tmp_path / "worse.toml").write_text("[site\n")
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", *(one.format(tmp=tmp_path) for one in arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_plugged_in_car_can_be_discharged_after_a_gateway_restart() -> None:
    def ready(world: World) -> bool:
        state = world.gateway and world.gateway.service.state("CP1-1")
        return bool(state and state.available.max_discharge_w > 0)

    world = World(parse(SITE, "test"))
    async with world.running():
        await until(world, "a session", lambda: ready(world))
        await world.restart_gateway(60.0)
        await until(world, "the session again", lambda: ready(world), 120)
        answer = await world.facility.command("CP1-1", "discharge", power_w=5000, lease_s=60)
        assert (answer["status"], answer["effective_w"]) == ("accepted", -5000)
        await until(world, "5 kW", lambda: abs((world.bays["CP1-1"].stage.meter.power_w) + 5000) < 100)
