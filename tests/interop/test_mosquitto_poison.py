"""With Mosquitto itself: no message on any topic that the gateway reads ends its link, retained or not."""

from __future__ import annotations

import asyncio
import json
from itertools import product
from pathlib import Path

import pytest

from tests.gateway.mqtt.facility import ROOT, facility, mosquitto
from tests.interop.test_mosquitto import home, linked
from tests.rounds import some

pytestmark = pytest.mark.peer

AVAILABLE = [{"topic": f"{ROOT}/gateway/gw1/status"}, {"topic": f"{ROOT}/evse/CP1-1/state"}]
HOSTILE: list[bytes] = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[" * 60_000,
    b'{"a":' * 12_000,
    b"[]",
    b"7",
    b"null",
    b'"\\ud800"',
    b"1" * 6000,
    b'{"gateway": "gw1", "gateway": 5}',
    b'{"gateway": {"gw1": []}, "availability": 7}',
    b'{"availability": [{"topic": 5}], "components": 3}',
    json.dumps({"availability": [{"topic": None}, *AVAILABLE], "components": {"a": 1}}).encode(),
    json.dumps({"availability": AVAILABLE, "components": [[1]]}).encode(),
    json.dumps({"gateway": "gw1", "state": "online", "evses": ["\ud800", "\x00"]}).encode(),
    b'{"energy": {"phase": "on_grid", "phase": "island"}}',
    b"x" * 200_000,
]
TOPICS = (
    "homeassistant/status",
    "homeassistant/device/x/config",
    "homeassistant/sensor/v2x_home_CP1-1/power/config",
    f"{ROOT}/evse/CP1-1/state",
    f"{ROOT}/evse/%ED%A0%80-1/state",
    f"{ROOT}/evse/%00/state",
    f"{ROOT}/gateway/gw1/status",
    f"{ROOT}/gateway/%00/status",
    f"{ROOT}/site/input/grid",
    f"{ROOT}/site/input/%00",
    f"{ROOT}/evse/CP1-1/cmd/discharge",
    f"{ROOT}/evse/CP1-1/cmd/",
    f"{ROOT}/evse//cmd/stop",
    f"{ROOT}/evse/CP1-1/cmd/stop/",
    f"{ROOT}/evse/CP1-1/cmd/stop/{'c' * 60_000}",
    f"{ROOT}/evse/{'e' * 60_000}/cmd/setpoint",
    f"{ROOT}/site/cmd/{'v' * 60_000}",
    f"{ROOT}/site/cmd/mode",
    "v2x-mirror/CP1-1/setpoint/set",
    f"v2x-mirror/{'m' * 60_000}/setpoint/set",
)


@pytest.mark.parametrize(("version", "retain"), some(product(["5", "3.1.1"], [False, True]), 3))
async def test_no_message_ends_the_link(tmp_path: Path, version: str, retain: bool) -> None:
    with mosquitto(tmp_path) as broker:
        async with facility(broker.port) as client:
            await client.client.unsubscribe(f"{ROOT}/#")
            for leaf in ("evse/+/result", "site/result"):
                await client.client.subscribe(f"{ROOT}/{leaf}", qos=1)

            async def send() -> None:
                for topic in TOPICS:
                    for number, payload in enumerate(HOSTILE):
                        to = topic.replace("/x/config", f"/x{number}/config")
                        await client.client.publish(to, payload, number % 3, retain)

            if retain:
                await send()
            async with home(url=broker.url, version=version, mirror="v2x-mirror") as (running, _):
                await linked(running)
                await send()
                await asyncio.sleep(1)
                assert (running.mqtt.counts["links"], running.mqtt.counts["defects"]) == (1, 0)
                await client.send("evse/CP1-1/cmd/stop", {"id": "after"})
                await client.until("evse/CP1-1/result", id="after", status="accepted", within_s=20)
                await client.send("evse/CP1-1/cmd/discharge", {"id": "power", "power_w": 1000})
                await client.until("evse/CP1-1/result", id="power", within_s=20)
