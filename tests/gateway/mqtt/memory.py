"""A gateway, a broker and a facility in memory, in virtual time; the AsyncAPI document validates every message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jsonschema_rs

from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker, MemoryBus
from gateway.app import Gateway, Parts, gateway
from gateway.bench.plain_station import PlainStations
from gateway.config import from_table
from gateway.model.event import Report
from gateway.mqtt.asyncapi import Channel, channels, document
from protocols.ports import Bus, BusMessage, Clock

ROOT = "v2x/1/home"


@cache
def validator(name: str) -> Any:
    """Return the validator of a channel's payload."""
    components = document()["components"]
    schema = {**components["messages"][name]["payload"], "components": components}
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def channel_of(topic: str) -> Channel | None:
    """Return the channel of an actual topic."""
    levels = topic.split("/")
    for one in channels():
        pattern = one.address.split("/")
        if len(pattern) == len(levels) and all(
            p.startswith("{") or p == x for p, x in zip(pattern, levels, strict=True)
        ):
            return one
    return None


def against_the_contract(message: BusMessage) -> str:
    """Fail if a message of the gateway does not conform to the document; return the channel's name."""
    channel = channel_of(message.topic)
    assert channel is not None, f"{message.topic} is not in the contract"
    assert message.retain == channel.retain, message.topic
    assert message.qos == channel.qos, message.topic
    if message.payload:
        validator(channel.name).validate(json.loads(message.payload))
    return channel.name


@dataclass
class Scene:
    """A running gateway with a facility client."""

    broker: MemoryBroker
    clock: VirtualClock
    running: Gateway
    stations: PlainStations
    client: MemoryBus
    received: list[BusMessage] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)  # channels

    async def send(self, topic: str, body: Any, **more: Any) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.client.publish(BusMessage(f"{ROOT}/{topic}", payload, qos=1, **more))

    def on(self, topic: str) -> list[Any]:
        """Return the bodies received on a topic under the root."""
        return [json.loads(one.payload) for one in self.received if one.topic == f"{ROOT}/{topic}" and one.payload]

    def results(self, command: str, topic: str = "evse/CP1-1/result") -> list[str]:
        return [one["status"] for one in self.on(topic) if one["id"] == command]

    def retained(self, topic: str) -> Any:
        message = self.broker.retained(f"{ROOT}/{topic}")
        return json.loads(message.payload) if message is not None else None

    async def wait(self, seconds: float) -> None:
        await self.clock.sleep(seconds)


@asynccontextmanager
async def running_gateway(
    broker: MemoryBroker, clock: VirtualClock, name: str = "gw1", version: int = 5, **sections: Any
) -> AsyncIterator[tuple[Gateway, PlainStations]]:
    """Run a gateway on a memory broker."""
    table: dict[str, Any] = {"site": {"id": "home"}, "store": {"url": "memory:"}, **sections}
    table["mqtt"] = {"gateway_id": name, **table.get("mqtt", {})}
    made: list[PlainStations] = []

    def stations(report: Report, at: Clock) -> PlainStations:
        made.append(PlainStations(at, report))
        return made[0]

    def connect(will: BusMessage) -> AbstractAsyncContextManager[Bus]:
        return broker.client(f"v2x-home-{name}", will=will, clean_start=False, session_expiry_s=60, version=version)

    config = from_table(table)
    async with gateway(config, Parts(clock=clock, connect=connect, stations=stations, seed=1)) as running:
        metering = asyncio.create_task(made[0].run())
        try:
            yield running, made[0]
        finally:
            metering.cancel()
            await asyncio.gather(metering, return_exceptions=True)


@asynccontextmanager
async def scene(*evses: str, version: int = 5, **sections: Any) -> AsyncIterator[Scene]:
    """Run a gateway with these EVSEs, each with a vehicle in session, and a facility that receives everything."""
    broker, clock = MemoryBroker(), VirtualClock()
    async with (
        broker.client("facility", version=version) as client,
        running_gateway(broker, clock, version=version, **sections) as (running, stations),
    ):
        one = Scene(broker, clock, running, stations, client)

        def spy(sender: str, message: BusMessage) -> None:
            if sender.startswith("v2x-") and message.topic.startswith(ROOT):
                one.seen.add(against_the_contract(message))

        broker.on_published = spy
        await client.subscribe("#", qos=1)

        async def hear() -> None:
            async for message in client.messages():
                one.received.append(message)

        hearing = asyncio.create_task(hear())
        for number, evse in enumerate(evses):
            stations.connect(evse.rpartition("-")[0], evse)
            stations.plug(evse, f"tx{number}")
        await clock.sleep(1)
        try:
            yield one
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
