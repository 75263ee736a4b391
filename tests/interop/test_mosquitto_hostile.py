"""With Mosquitto itself: clients whose messages would silence the gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.gateway.mqtt.facility import ROOT, Facility, facility, mosquitto
from tests.interop.test_mosquitto import home, linked

pytestmark = pytest.mark.peer

BAD = {
    "control": "reply\x01x",
    "c1": "reply\x85x",
    "noncharacter": "reply\uffff",
    "deep": "/".join("a" * 250),
    "slashes": "/" * 511,
}


async def with_properties(client: Facility, topic: str, body: object, **properties: object) -> None:
    """Publish with properties of MQTT 5."""
    made = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for name, value in properties.items():
        setattr(made, name, value)
    await client.client.publish(f"{ROOT}/{topic}", json.dumps(body).encode(), qos=1, properties=made)


@asynccontextmanager
async def results_only(port: int) -> AsyncIterator[Facility]:
    """A facility that receives no commands, because paho ends its link at those of `BAD`."""
    async with facility(port, root="facility") as client:
        client.root = ROOT
        await client.client.subscribe(f"{ROOT}/+/result", qos=1)
        await client.client.subscribe(f"{ROOT}/evse/+/result", qos=1)
        await client.client.subscribe(f"{ROOT}/site/event", qos=1)
        yield client


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_reply_topics_that_the_broker_refuses_cost_nothing(tmp_path: Path, version: str) -> None:
    with mosquitto(tmp_path) as broker:
        async with facility(broker.port) as client, home(url=broker.url, version=version) as (running, _):
            await linked(running)
            for name, topic in BAD.items():
                body = {"id": name, "power_w": 1000, "reply_to": topic}
                await client.client.publish(f"{ROOT}/evse/CP1-1/cmd/discharge", json.dumps(body).encode(), qos=1)
                await client.until("evse/CP1-1/result", id=name)
            assert running.mqtt.connected.is_set()
            assert running.mqtt.counts["links"] == 1
            await client.send("evse/CP1-1/cmd/stop", {"id": "after"})
            await client.until("evse/CP1-1/result", id="after", status="accepted")


async def test_a_result_that_is_too_large_for_the_broker_is_set_aside_after_one_loss(tmp_path: Path) -> None:
    with mosquitto(tmp_path, "allow_anonymous true\nmax_packet_size 20000\n") as broker:
        async with facility(broker.port) as client, home(url=broker.url, version="5") as (running, _):
            await linked(running)
            await asyncio.sleep(2)
            await with_properties(
                client,
                "evse/CP1-1/cmd/discharge",
                {"id": "huge", "power_w": 1000},
                ResponseTopic="facility/x",
                CorrelationData=b"x" * 19_500,
            )
            await client.until("evse/CP1-1/result", id="huge")
            await client.until("site/event", event="undeliverable")
            await client.send("evse/CP1-1/cmd/stop", {"id": "after"})
            await client.until("evse/CP1-1/result", id="after", status="accepted")
            assert running.mqtt.counts["links"] <= 3
            assert running.mqtt.counts["quarantined"] >= 1


async def test_properties_that_the_client_library_cannot_read_do_not_cost_the_link(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        async with results_only(broker.port) as client, home(url=broker.url, version="5") as (running, _):
            await linked(running)
            body = {"id": "bom", "power_w": 1000}
            async with aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5) as sender:
                attacker = Facility(sender, True)  # without a subscription
                topic = "evse/CP1-1/cmd/discharge"
                await with_properties(attacker, topic, body, ResponseTopic="facility/\ufeffx")
                await with_properties(attacker, topic, body | {"id": "bom2"}, UserProperty=[("a", "\ufeff")])
            await client.until("evse/CP1-1/result", id="bom", status="accepted")
            await client.until("evse/CP1-1/result", id="bom2", status="accepted")
            await client.send("evse/CP1-1/cmd/stop", {"id": "after"})
            await client.until("evse/CP1-1/result", id="after", status="accepted")
            assert running.mqtt.counts["links"] == 1
