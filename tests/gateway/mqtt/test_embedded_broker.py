"""The embedded broker (amqtt) under the messages of the test with Mosquitto: the link of the gateway survives.

What amqtt itself does not bear, it does not bear from any client; docs/security.md names it.
"""

from __future__ import annotations

import asyncio
import contextlib

import aiomqtt
import pytest

from emulators.runtime.embedded_broker import EmbeddedBroker
from tests.gateway.mqtt.facility import ROOT, Facility, facility, leaky_peer
from tests.interop.test_mosquitto import home, linked
from tests.interop.test_mosquitto_hostile import BAD
from tests.interop.test_mosquitto_poison import HOSTILE, TOPICS
from tests.rounds import some


async def send_all(client: aiomqtt.Client, retain: bool) -> None:
    for topic in TOPICS:
        for number, payload in enumerate(HOSTILE):
            to = topic.replace("/x/config", f"/x{number}/config")
            await client.publish(to, payload, number % 2, retain)


@leaky_peer
@pytest.mark.parametrize("retain", some([True, False], 2))
async def test_no_message_ends_the_link(retain: bool) -> None:
    async with EmbeddedBroker() as broker, facility(broker.port, five=False) as client:
        await client.client.unsubscribe(f"{ROOT}/#")
        for leaf in ("evse/+/result", "site/result"):
            await client.client.subscribe(f"{ROOT}/{leaf}", qos=1)
        if retain:
            await send_all(client.client, retain)
        async with home(url=broker.url, mirror="v2x-mirror") as (running, _):
            await linked(running)
            links = running.mqtt.counts["links"]
            await send_all(client.client, retain)
            await asyncio.sleep(1)
            assert (running.mqtt.counts["links"], running.mqtt.counts["defects"]) == (links, 0)
            await answered(client)


@leaky_peer
async def test_reply_topics_that_brokers_refuse_cost_nothing() -> None:
    async with (
        EmbeddedBroker() as broker,
        facility(broker.port, five=False) as client,
        home(url=broker.url) as (running, _),
    ):
        await linked(running)
        for name, topic in BAD.items():
            await client.send("evse/CP1-1/cmd/discharge", {"id": name, "power_w": 1000, "reply_to": topic})
            await client.until("evse/CP1-1/result", id=name)
        assert running.mqtt.counts["links"] == 1
        await answered(client)


@leaky_peer
async def test_damaged_packets_of_others_do_not_end_the_link() -> None:
    """A client that sends no MQTT costs its own connection only."""
    async with (
        EmbeddedBroker() as broker,
        facility(broker.port, five=False) as client,
        home(url=broker.url) as (running, _),
    ):
        await linked(running)
        for packet in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x10\xff\xff\xff\x7f",
            b"\x30\x02\x00\xff",
            b"\x10\x00",
            b"\x00" * 64,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
            writer.write(packet)
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(0.3):
                    await reader.read()
            writer.close()
        assert running.mqtt.counts["links"] == 1
        await answered(client)


async def answered(client: Facility) -> None:
    """Assert that commands are answered."""
    await client.send("evse/CP1-1/cmd/stop", {"id": "after"})
    await client.until("evse/CP1-1/result", id="after", status="accepted", within_s=20)
    await client.send("evse/CP1-1/cmd/discharge", {"id": "power", "power_w": 1000})
    await client.until("evse/CP1-1/result", id="power", within_s=20)
