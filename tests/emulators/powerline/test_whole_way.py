"""`v2x secc --slac` and `v2x ev --slac` on a veth pair: control pilot, SLAC, SDP, session."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from tests.interop.veth_link import EV, SE, Running, veth_link
from tests.rounds import some

V2X = (sys.executable, "-m", "gateway.cli")


def events(running: Running) -> list[dict[str, object]]:
    return [json.loads(line) for line in running.text().splitlines() if line.startswith("{")]


@pytest.mark.peer
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("protocol", "service"),
    some([("iso20", "dc_bpt"), ("iso2", "dc"), ("iso2", "ac"), ("din", "dc"), ("iso20", "ac_bpt")], every=5),
)
def test_from_the_plug_to_the_session(protocol: str, service: str, tmp_path: Path) -> None:
    with veth_link() as link:
        secc = link.start(
            *V2X, "secc", "--slac", "--interface", SE, "--services", service, "--json", log=tmp_path / "secc.log"
        )
        session = ("--protocols", protocol, "--service", service, "--loops", "4", "--json")
        ev = link.start(*V2X, "ev", "--slac", "--interface", EV, *session, log=tmp_path / "ev.log")
        try:
            assert ev.wait(90) == 0, ev.text() + secc.text()
        finally:
            for running in (ev, secc):
                running.stop()
    car, charger = events(ev), events(secc)
    names = [one["event"] for one in car]
    order = ["MatchingStarted", "EvseChosen", "Matched", "Searching", "SessionOpened", "PowerStarted", "Summary"]
    assert [one for one in names if one in order] == order
    assert names[-1] == "Summary"
    states = [(one["state"], one["before"]) for one in charger if one["event"] == "StateChanged"]
    assert states == [("B", "A"), ("C", "B"), ("B", "C"), ("A", "B")]
    outputs = [one["output"] for one in charger if one["event"] == "OutputChanged"]
    assert outputs == [{"kind": "pwm", "duty_pct": 5.0}, {"kind": "x1", "duty_pct": 0.0}]
    at = {str(one["event"]): index for index, one in enumerate(charger)}
    assert at["Matched"] < at["VehicleIdentified"] < at["ChargingStarted"] < at["NetworkLeft"]


GATEWAY = """
[mqtt]
url = "mqtt://127.0.0.1:1"
[ocpp]
listen = "127.0.0.1:0"
security_profile = 0
[store]
url = "memory:"
[[evses]]
id = "BAY1"
driver = "secc"
board = "emulated-cable"
interface = "{interface}"
slac = true
board_settings = {{ interface = "{interface}" }}
"""


@pytest.mark.peer
@pytest.mark.soak
@pytest.mark.timeout(120)
def test_a_vehicle_with_slac_is_served_by_the_gateway(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(GATEWAY.format(interface=SE))
    with veth_link() as link:
        gateway = link.start(*V2X, "gateway", "-c", tmp_path / "gateway.toml", log=tmp_path / "gateway.log")
        ev = link.start(*V2X, "ev", "--slac", "--interface", EV, "--loops", "4", "--json", log=tmp_path / "ev.log")
        try:
            assert ev.wait(90) == 0, ev.text() + gateway.text()
        finally:
            for running in (ev, gateway):
                running.stop()
    text = gateway.text()
    steps = ("vehicle connected", "matched by SLAC", "session started", "vehicle negotiated: DC_BPT", "session ended")
    places = [text.find(step) for step in steps]
    assert places == sorted(places)
    assert -1 not in places, text


@pytest.mark.parametrize("command", ["ev", "secc"])
def test_slac_needs_an_interface(command: str) -> None:
    address = "--connect" if command == "ev" else "--listen"
    result = CliRunner().invoke(app, [command, "--slac", address, "[::1]:15118"])
    assert (result.exit_code, "--slac needs --interface" in result.output) == (2, True), result.output


def test_without_a_charger_there_is_a_reason(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["ev", "--slac", "--interface", "v2xnone", "--json"])
    assert result.exit_code == 1
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["event"], last["ok"]) == ("Summary", False)
