"""The emulated world over real sockets with a broker that is not ours: Mosquitto, which speaks MQTT 5."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulators.world import Sockets, simulate
from tests.gateway.mqtt.facility import mosquitto
from tests.peers import program

pytestmark = pytest.mark.peer


@pytest.mark.timeout(240)
def test_a_shipped_scenario_through_mosquitto_comes_out_as_in_memory(tmp_path: Path) -> None:
    program("mosquitto", "mosquitto")
    memory = simulate("evening-at-home", fast_forward=True)
    with mosquitto(tmp_path) as broker:
        sockets = simulate("evening-at-home", speed=20.0, sockets=Sockets(broker=broker.url))
    assert sockets.passed, sockets.violations
    for name in ("cars_discharged_wh", "cars_charged_wh", "commands_failed", "car_violations"):
        assert sockets.figures[name] == pytest.approx(memory.figures[name], rel=0.05, abs=2.0), name
