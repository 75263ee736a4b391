"""One discharge from MQTT to the battery, in virtual time and as one process.

`tests/docs/test_facility_quick_start.py` runs it as four processes with Mosquitto.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from emulators.scenario.loading import parse
from emulators.world import World
from gateway.cli.main import app

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
leave = 130
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
    assert all('"duration"' in text for text in powered), "every power that is not 0 holds a watchdog time"
    calls = [json.loads(text.replace("#", "")) for text in messages if text.startswith("[2")]
    triggers = {frame[3]["triggerReason"] for frame in calls if frame[2] == "TransactionEvent"}
    assert "OperationModeChanged" in triggers


def test_the_demo_over_real_sockets() -> None:
    words = [sys.executable, "-m", "gateway.cli", "demo", "--seconds", "5"]
    environment = {**os.environ, "COLUMNS": "80"}
    with (
        subprocess.Popen([*words, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as for_programs,
        subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as for_people,
    ):
        out, err = for_programs.communicate(timeout=90)
        text, complaints = for_people.communicate(timeout=90)
    assert for_programs.returncode == 0, err
    assert for_people.returncode == 0, complaints
    figures = json.loads(out)
    assert figures["achieved"] is True
    assert figures["lease_ended"] is True
    assert (figures["requested_w"], figures["effective_w"], figures["binding"]) == (5000, -5000, "command")
    assert 0 < figures["energy_at_meter_wh"] < figures["energy_from_battery_wh"]
    assert figures["soc_end_pct"] < figures["soc_start_pct"]
    assert set(figures["messages"]) == {"iso15118", "ocpp", "mqtt"}
    assert min(figures["messages"].values()) > 20
    _check_the_printed_demo(text)
    assert complaints == ""


def _check_the_printed_demo(text: str) -> None:
    """Verify that nothing is cut in 80 columns, and that the text ends with what happened and what to try next."""
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    words = " ".join(text.split())
    order = [
        "http://127.0.0.1:",
        "car → charger SessionSetupReq",
        "facility → gateway command discharge",
        "gateway → charger SetChargingProfile: discharge 5000 W",
        "(discharge ",
        "achieved, discharge 5000 W",
        "lease ended",
        "car → charger SessionStopReq",
        "What happened",
        "What to try next",
        "v2x demo outage",
    ]
    places = [words.index(part) for part in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gateway", "-c", "{tmp}/none.toml"), "none.toml"),
        (("check-config", "-c", "{tmp}/bad.toml"), "import_limit_kw"),
        (("check-config", "-c", "{tmp}/worse.toml"), "worse.toml"),
        (("ev", "--connect", "nowhere"), "nowhere"),
        (("ev", "--connect", "127.0.0.1:1", "--service", "hydrogen"), "hydrogen"),
        (("ev", "--connect", "127.0.0.1:1", "--protocols", "iso3"), "iso3"),
        (("charger", "--csms", "http://127.0.0.1:9000/ocpp"), "http"),
        (("demo", "--seconds", "soon"), "--seconds"),
    ],
)
def test_invalid_input_of_a_user_is_named(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "bad.toml").write_text("[site]\nimport_limit_kw = 50\n")
    (tmp_path / "worse.toml").write_text("[site\n")
    words = [one.format(tmp=tmp_path) for one in arguments]
    done = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert done.exit_code in (1, 2)
    assert message in done.output
    assert isinstance(done.exception, SystemExit)


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
