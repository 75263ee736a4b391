"""Retained messages are true: of EVSEs that are away, that are gone, and after the broker lost everything."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker
from gateway.bench.plain_station import PlainStations
from gateway.model.event import PowerLimits
from gateway.mqtt.commands import READ_RETAINED_S
from protocols.ports import BusMessage
from tests.gateway.mqtt.memory import ROOT, running_gateway

pytestmark = pytest.mark.virtual_time

TWO = [{"id": "CP1"}, {"id": "CP2"}]
MIRRORED = {"mirror": "cars"}


def connect(stations: PlainStations, *names: str, **more: Any) -> None:
    for name in names:
        stations.connect(name, f"{name}-1", **more)
        stations.plug(f"{name}-1", f"tx-{name}")


def texts(broker: MemoryBroker, part: str = "") -> dict[str, str]:
    """Return the retained messages whose topic contains a part."""
    return {topic: one.payload.decode() for topic, (one, _) in broker._retained.items() if part in topic}


def state(broker: MemoryBroker, evse: str) -> Any:
    message = broker.retained(f"{ROOT}/evse/{evse}/state")
    return None if message is None else json.loads(message.payload)


@asynccontextmanager
async def crashing_gateway(
    broker: MemoryBroker, clock: VirtualClock, **sections: Any
) -> AsyncIterator[tuple[Any, PlainStations]]:
    """Run a gateway that ends without a word: its link is cut, and its last messages do not arrive."""
    async with running_gateway(broker, clock, **sections) as (running, stations):
        yield running, stations
        left = dict(broker._retained)
        broker.stop()
    broker.start()
    broker._retained = left


@pytest.mark.parametrize("how", ["device", "components", "off"])
async def test_after_a_crash_an_evse_is_offline_until_its_station_is_there_and_a_removed_one_is_gone(how: str) -> None:
    broker, clock = MemoryBroker(), VirtualClock()
    mqtt = {**MIRRORED, "homeassistant": how}
    async with crashing_gateway(broker, clock, stations=TWO, mqtt=mqtt) as (_, stations):
        connect(stations, "CP1", "CP2")
        await clock.sleep(5)
    assert state(broker, "CP1-1")["connection"] == state(broker, "CP2-1")["connection"] == "connected"
    discovered = texts(broker, "homeassistant/")
    assert bool(discovered) is (how != "off")
    published: list[str] = []
    broker.on_published = lambda _, message: published.append(message.topic)
    async with crashing_gateway(broker, clock, stations=TWO[:1], mqtt=mqtt) as (_, stations):
        await clock.sleep(2 * READ_RETAINED_S)
        assert published.count(f"{ROOT}/evse/CP1-1/state") <= 2
        away = state(broker, "CP1-1")
        assert away["connection"] == "offline"
        assert away["power_w"] is away["setpoint_w"] is away["session"] is None
        assert texts(broker, "cars/CP1-1/")["cars/CP1-1/connected"] == "false"
        assert "cars/CP1-1/power" not in texts(broker)
        assert texts(broker, "CP2") == {}
        assert texts(broker, "homeassistant/") == {t: one for t, one in discovered.items() if "CP2" not in t}
        connect(stations, "CP1")
        await clock.sleep(2)
        assert state(broker, "CP1-1")["connection"] == "connected"
        assert texts(broker, "homeassistant/").keys() == {topic for topic in discovered if "CP2" not in topic}


async def test_a_gateway_that_stops_leaves_its_evses_offline() -> None:
    broker, clock = MemoryBroker(), VirtualClock()
    async with running_gateway(broker, clock, stations=TWO, mqtt=MIRRORED) as (_, stations):
        connect(stations, "CP1", "CP2")
        await clock.sleep(2)
    for evse in ("CP1-1", "CP2-1"):
        left = state(broker, evse)
        assert (left["connection"], left["power_w"], left["effective_w"]) == ("offline", None, 0)
        assert texts(broker)[f"cars/{evse}/connected"] == "false"
    assert json.loads(texts(broker)[f"{ROOT}/gateway/gw1/status"])["state"] == "offline"


async def test_states_of_other_gateways_and_other_devices_are_left_alone() -> None:
    broker, clock = MemoryBroker(), VirtualClock()
    theirs = {
        f"{ROOT}/evse/CP9-1/state": json.dumps({"gateway": "gw2", "connection": "connected"}),
        "homeassistant/device/lamp/config": json.dumps({"availability": [{"topic": "lamp/status"}]}),
        "homeassistant/sensor/a/b/config": "no JSON",
        f"{ROOT}/evse/CP8-1/state": "[1]",
    }
    async with broker.client("others") as others:
        for topic, text in theirs.items():
            await others.publish(BusMessage(topic, text.encode(), qos=1, retain=True))
        async with running_gateway(broker, clock) as (running, stations):
            connect(stations, "CP1")
            await clock.sleep(2 * READ_RETAINED_S)
            assert theirs.items() <= texts(broker).items()
            assert running.mqtt.counts["defects"] == 0


async def test_a_broker_that_lost_everything_gets_everything_again() -> None:
    broker, clock = MemoryBroker(), VirtualClock()
    async with crashing_gateway(broker, clock, stations=TWO, mqtt=MIRRORED) as (_, stations):
        connect(stations, "CP1", "CP2")
        await clock.sleep(3)
    async with running_gateway(broker, clock, stations=TWO, mqtt=MIRRORED) as (_, stations):
        connect(stations, "CP1")
        async with broker.client("facility") as facility:
            await facility.publish(BusMessage("cars/CP1-1/discharge/set", b"3000", qos=1))
            await clock.sleep(10)
        before = {topic for topic in texts(broker) if "device/v2x_home_CP2-1" not in topic}
        assert {f"{ROOT}/evse/CP2-1/state", "cars/CP1-1/result", "cars/CP2-1/connected"} <= before
        broker.stop(forget=True)
        await clock.sleep(2)
        broker.start()
        await clock.sleep(90)
        assert texts(broker).keys() == before


async def test_an_entity_whose_range_is_empty_is_withdrawn_and_none_is_left_of_another_form() -> None:
    broker, clock = MemoryBroker(), VirtualClock()
    topic = "homeassistant/device/v2x_home_CP1-1/config"
    sent: list[dict[str, Any]] = []

    def spy(_: str, message: BusMessage) -> None:
        if message.topic == topic and message.payload:
            sent.append(json.loads(message.payload)["components"])

    async with crashing_gateway(broker, clock, stations=TWO) as (_, stations):
        connect(stations, "CP1")
        await clock.sleep(3)
    assert json.loads(texts(broker)[topic])["components"]["setpoint"]["min"] == -10_000
    broker.on_published = spy
    async with crashing_gateway(broker, clock, stations=TWO) as (_, stations):
        connect(stations, "CP1", limits=PowerLimits(0.0, 0.0))
        await clock.sleep(10)
    assert {"platform": "number"} in [one.get("setpoint") for one in sent]
    assert "setpoint" not in sent[-1]
    assert len(sent) <= 4
    async with running_gateway(broker, clock, stations=TWO, mqtt={"homeassistant": "components"}) as (_, stations):
        connect(stations, "CP1")
        await clock.sleep(3)
        assert topic not in texts(broker)
        assert "homeassistant/number/v2x_home_CP1-1/setpoint/config" in texts(broker)


async def test_a_command_for_an_evse_that_does_not_exist_leaves_nothing() -> None:
    broker, clock = MemoryBroker(), VirtualClock()
    async with running_gateway(broker, clock, mqtt=MIRRORED), broker.client("facility") as facility:
        await facility.publish(BusMessage("cars/CP7-1/charge/set", b"3000", qos=1))
        await clock.sleep(2)
        assert texts(broker, "CP7") == {}


async def test_the_own_messages_are_not_received_for_long() -> None:
    broker, clock = MemoryBroker(), VirtualClock()
    async with running_gateway(broker, clock) as (_, stations):
        connect(stations, "CP1")
        await clock.sleep(READ_RETAINED_S + 1)
        filters = broker._sessions["v2x-home-gw1"].subscriptions
        assert not [one for one in filters if one.endswith(("/state", "/config"))]
        with contextlib.suppress(asyncio.CancelledError):
            broker.cut("v2x-home-gw1")
        await clock.sleep(READ_RETAINED_S + 3)
        assert state(broker, "CP1-1")["connection"] == "connected"


@pytest.mark.parametrize("how", ["components", "off"])
async def test_the_device_of_the_site_is_replaced_when_the_setting_changes(how: str) -> None:
    broker, clock = MemoryBroker(), VirtualClock()
    energy = {"tiers": [{"name": "kitchen", "priority": 1, "expected_w": 500}]}
    async with crashing_gateway(broker, clock, energy=energy):
        await clock.sleep(3)
    assert "homeassistant/device/v2x_home/config" in texts(broker)
    async with running_gateway(broker, clock, mqtt={"homeassistant": how}):
        await clock.sleep(READ_RETAINED_S + 3)
        left = {topic: text for topic, text in texts(broker, "homeassistant/").items() if text}
        assert "homeassistant/device/v2x_home/config" not in left
        assert ("homeassistant/select/v2x_home/mode/config" in left) is (how == "components")
    async with running_gateway(broker, clock):
        await clock.sleep(READ_RETAINED_S + 3)
        left = {topic: text for topic, text in texts(broker, "homeassistant/").items() if text}
        assert list(left) == ["homeassistant/device/v2x_home/config"]


async def test_a_load_tier_that_is_no_longer_configured_is_withdrawn() -> None:
    broker, clock = MemoryBroker(), VirtualClock()
    async with crashing_gateway(
        broker, clock, energy={"tiers": [{"name": "kitchen", "priority": 1, "expected_w": 500}]}
    ):
        await clock.sleep(3)
    withdrawn: list[str] = []

    def spy(_: str, message: BusMessage) -> None:
        if message.topic == "homeassistant/device/v2x_home/config":
            kitchen = json.loads(message.payload)["components"].get("tier_kitchen")
            withdrawn.append("absent" if kitchen is None else "removed" if len(kitchen) == 1 else "present")

    broker.on_published = spy
    async with running_gateway(broker, clock):
        await clock.sleep(READ_RETAINED_S + 3)
    assert withdrawn[:2] == ["removed", "absent"]
    assert withdrawn[-1] == "absent"
