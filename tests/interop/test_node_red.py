"""The example flow in a real Node-RED: it loads, commands a real gateway over Mosquitto, and stops when it should."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from tests.gateway.mqtt.facility import facility, free_port, mosquitto
from tests.interop.test_mosquitto import home, linked
from tests.peers import ROOT as TREE
from tests.peers import node_peer, program

pytestmark = pytest.mark.peer
FLOW = TREE / "examples" / "node-red" / "peak-cut.json"


def project() -> Path:
    """Return the folder of the npm project."""
    return node_peer("node-red", "node-red@4.0.9")


@pytest.mark.timeout(900)
async def test_the_example_flow_cuts_a_peak(tmp_path: Path) -> None:
    folder, node = project(), program("node", "nodejs")

    with mosquitto(tmp_path) as broker:
        flow = json.loads(FLOW.read_text())
        for one in flow:
            if one["type"] == "mqtt-broker":
                one["broker"], one["port"] = "127.0.0.1", str(broker.port)
        (tmp_path / "flows.json").write_text(json.dumps(flow))
        (tmp_path / "settings.js").write_text(
            "module.exports = {flowFile: 'flows.json', httpAdminRoot: false, uiHost: '127.0.0.1', "
            f"uiPort: {free_port()}, logging: {{console: {{level: 'info'}}}}, telemetry: {{enabled: false}}}};\n"
        )
        script, settings = folder / "node_modules/node-red/red.js", tmp_path / "settings.js"
        red = [node, str(script), "-u", str(tmp_path), "-s", str(settings)]
        with (tmp_path / "red.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(*red, stdout=log, stderr=subprocess.STDOUT)
        try:
            async with home(url=broker.url) as (running, _), facility(broker.port) as client:
                await linked(running)
                await client.until("evse/CP1-1/state", session_state="in_session")
                async with asyncio.timeout(60):
                    while not [one for one in client.received if one[0] == "evse/CP1-1/result"]:
                        await client.client.publish("building/demand_w", "14000", qos=1)
                        await asyncio.sleep(1)
                await client.until("evse/CP1-1/result", status="achieved", source="node-red", effective_w=-4000)
                await client.until("evse/CP1-1/state", setpoint_w=-4000)
                await asyncio.sleep(0.7)
                await client.client.publish("building/demand_w", "5000", qos=1)  # 9 kW without the car's 4
                await client.until("evse/CP1-1/result", verb="release", status="achieved")
                await client.until("evse/CP1-1/event", event="released")
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 20)
        logged = (tmp_path / "red.log").read_text()
        assert "Started flows" in logged
        assert "missing" not in logged
