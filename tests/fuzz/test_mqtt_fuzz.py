"""Damaged commands and inputs over Mosquitto to a gateway process: every command is answered, no link is lost.

Topics, JSON bodies and properties are drawn from the contract and damaged; after each group a stop is answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import string
import time
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.model.command import EVSE_VERBS, SITE_VERBS
from gateway.model.site import InputKind
from tests.fuzz.gateway_program import GatewayProgram, gateway_program
from tests.gateway.mqtt.facility import Facility, mosquitto
from tests.interop.test_mosquitto_hostile import results_only

pytestmark = pytest.mark.peer

GROUP, SECONDS, SOAK_SECONDS = 40, 2.0, float(os.environ.get("V2X_SOAK_SECONDS", "600"))
BODY: dict[str, Any] = {
    "id": "x",
    "source": "fuzz",
    "power_w": 3000,
    "lease_s": 30,
    "priority": 50,
    "issued_at": 0,
    "expires_at": 0,
    "min_soc_pct": 20,
    "energy_wh": 100,
    "import_w": 5000,
    "mode": "manual",
    "action": "enter",
    "reply_to": "facility/x",
    "schedule": [{"start": 0, "power_w": 1000}],
    "present": True,
    "ts": 0,
    "voltage_v": 230,
    "frequency_hz": 50,
    "soc_pct": 50,
    "prices": [{"start": 0, "price": 1.0}],
}
JUNK: list[Any] = [
    None, True, -1, 0, 1e308, -1e308, 10**40, "", "x" * 5000, "\0", "\x1b[2J", "\u202e", "\ufffe", "a/b/#", "$SYS", [],
    {}, [[[[]]]], {"a": {"b": {}}}, "9999-99-99T99:99:99Z", "2026-11-29T00:00:00Z", 0.1, "NaN", "=1+1", "\ud800",
]  # fmt: skip


def message(chance: random.Random, number: int) -> tuple[str, bytes]:
    """Return a topic under the root and a payload."""
    verb = chance.choice([*map(str, EVSE_VERBS), *map(str, SITE_VERBS), "", "x", "\u00e9"])
    kind = chance.choice([*map(str, InputKind), "x"])
    evse = chance.choice(["CP1-1", "CP2-1", "CP9-1", "%00", "x" * 300])
    topics = [f"evse/{evse}/cmd/{verb}", f"evse/{evse}/cmd/{verb}/fuzz", f"site/cmd/{verb}", f"site/input/{kind}"]
    topic = chance.choice(topics).replace("//", "/x/").rstrip("/")
    body = {name: BODY[name] for name in chance.sample(sorted(BODY), chance.randint(0, 8))}
    body = {"id": f"f{number}", "power_w": 1000} | body if chance.random() < 0.7 else body
    for name in ("ts", "issued_at", "expires_at"):
        if name in body:
            body[name] = time.time() + chance.choice([0, 0, 5, -100, 1e9])
    for name in list(body):
        if chance.random() < 0.15:
            body[name] = chance.choice(JUNK)
    payload = json.dumps(body).encode()
    if chance.random() < 0.15:
        at, part = chance.randint(0, len(payload)), chance.randbytes(chance.randint(0, 4))
        payload = payload[:at] + part + payload[at + chance.randint(0, 4) :]
    if chance.random() < 0.02:
        payload = chance.choice([b"", b"[" * 5000, b'{"a":' * 5000, b"\xff", b"{}" * 2000])
    return topic, payload


def properties(chance: random.Random) -> Properties | None:
    """Return properties of MQTT 5, some of them damaged."""
    if chance.random() < 0.5:
        return None
    made = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if chance.random() < 0.5:
        topics = ["facility/y", "facility/\ufeff", "v2x/1/home/site/cmd/stop", "/".join("a" * 150)]  # the broker takes
        made.ResponseTopic = chance.choice(topics)
        made.CorrelationData = chance.randbytes(chance.choice([0, 1, 2000]))
    if chance.random() < 0.5:
        made.MessageExpiryInterval = chance.choice([0, 1, 60, 2**32 - 1])
    if chance.random() < 0.3:
        made.UserProperty = [("".join(chance.choices(string.ascii_letters + "\ufeff=", k=5)), "\ufeff")]
    return made


def counted(gateway: GatewayProgram, outcome: str) -> float:
    """Return the number of messages by outcome, or of links."""
    name = "v2x_broker_links_total" if outcome == "links" else f'v2x_mqtt_messages_total{{outcome="{outcome}"}}'
    found = re.search(rf"^{re.escape(name)} (\S+)", gateway.get("/metrics").decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


async def attack(gateway: GatewayProgram, client: Facility, seconds: float, seed: int) -> int:
    """Send damaged messages for some seconds; return their number."""
    chance, number, until = random.Random(seed), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        for _ in range(GROUP):
            number += 1
            topic, payload = message(chance, number)
            about = properties(chance)
            retain, qos = chance.random() < 0.05, chance.randint(0, 2)
            await client.client.publish(f"{client.root}/{topic}", payload, qos, retain, about)
            if retain:
                await client.client.publish(f"{client.root}/{topic}", b"", 1, True)
        await client.send("evse/CP1-1/cmd/stop", {"id": f"stop{number}"})
        await client.until("evse/CP1-1/result", id=f"stop{number}", within_s=30)
        client.received.clear()
        client.raw.clear()
    return number


def run(folder: Path, seconds: float, seed: int) -> None:
    options = "allow_anonymous true\nmax_queued_messages 50000\n"
    with mosquitto(folder, options) as broker, gateway_program(folder, broker.url) as gateway:

        async def attacked() -> int:
            async with results_only(broker.port) as client:
                await client.client.subscribe(f"{client.root}/gateway/+/status", qos=1)
                await client.until("gateway/gw1/status", state="online", within_s=60)
                return await attack(gateway, client, seconds, seed)

        links = counted(gateway, "links")
        number = asyncio.run(attacked())
        assert number >= GROUP
        (folder / "messages").write_text(str(number))
        assert counted(gateway, "links") == max(1, links), seed
        assert counted(gateway, "defects") == 0, seed


def test_damaged_commands_and_inputs(tmp_path: Path) -> None:
    run(tmp_path, SECONDS, 1)


@pytest.mark.soak
def test_damaged_commands_and_inputs_for_long(tmp_path: Path) -> None:
    run(tmp_path, SOAK_SECONDS, random.SystemRandom().randrange(1 << 30))
