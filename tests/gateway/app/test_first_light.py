"""A gateway over real sockets, with amqtt (3.1.1) and with Mosquitto (5): one discharge from message to message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from emulators.runtime.embedded_broker import EmbeddedBroker
from gateway.app import Gateway, Parts, gateway
from gateway.bench.plain_station import PlainStations
from gateway.config import from_table
from gateway.model.event import Report
from protocols.ports import Clock
from tests.gateway.mqtt.facility import facility, leaky_peer, mosquitto


@asynccontextmanager
async def home(url: str) -> AsyncIterator[tuple[Gateway, PlainStations]]:
    config = from_table({"site": {"id": "home"}, "mqtt": {"url": url}, "store": {"url": "memory:"}})
    made: list[PlainStations] = []

    def stations(report: Report, clock: Clock) -> PlainStations:
        made.append(PlainStations(clock, report))
        return made[0]

    async with gateway(config, Parts(stations=stations)) as running:
        made[0].connect("CP1", "CP1-1")
        made[0].plug("CP1-1")
        metering = asyncio.create_task(made[0].run(0.1))
        try:
            async with asyncio.timeout(10):
                await running.mqtt.connected.wait()
            yield running, made[0]
        finally:
            metering.cancel()


async def discharge(port: int, url: str, five: bool) -> None:
    async with facility(port, five) as client, home(url) as (_, stations):
        await client.until("gateway/gw1/status", state="online")
        await client.until("evse/CP1-1/state", session_state="in_session")
        await client.send(
            "evse/CP1-1/cmd/discharge", {"id": "a", "power_w": 5000, "lease_s": 5}, response="facility/answer"
        )
        first = await client.until("evse/CP1-1/result", id="a", status="accepted")
        assert (first["effective_w"], first["binding"]) == (-5000, "command")
        final = await client.until("evse/CP1-1/result", id="a", status="achieved")
        assert final["measured"]["power_w"] == -5000
        await client.until("evse/CP1-1/telemetry", power_w=-5000)
        await client.until("evse/CP1-1/state", setpoint_w=-5000, binding="command")
        await client.until("evse/CP1-1/event", event="lease_ended")
        await client.until("evse/CP1-1/state", setpoint_w=0, session_state="in_session")
        if five:
            await client.until("facility/answer", id="a", status="achieved")
            answers = [one for one in client.raw if str(one.topic) == "facility/answer"]
            found = [vars(one.properties)["CorrelationData"] for one in answers]
            assert found == [b"\x00\x01correlation"] * 2
        await client.send("evse/CP1-1/cmd/charge", {"id": "b", "power_w": 1, "reply_to": "facility/three"})
        await client.until("facility/three", id="b", status="accepted")
        assert stations.evses["CP1-1"].session is not None


@leaky_peer
async def test_over_amqtt_with_mqtt_3_1_1() -> None:
    async with EmbeddedBroker() as broker:
        await discharge(broker.port, broker.url, five=False)


@pytest.mark.peer
async def test_over_mosquitto_with_mqtt_5(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        await discharge(broker.port, broker.url, five=True)


@pytest.mark.peer
async def test_the_will_and_an_orderly_end_publish_offline(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        async with facility(broker.port) as client:
            async with home(broker.url):
                await client.until("gateway/gw1/status", state="online")
            await client.until("gateway/gw1/status", state="offline")
