"""A message that the broker refuses costs at most its own links; everything else is delivered, also after a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker
from protocols.ports import BusMessage
from tests.gateway.mqtt.memory import Scene, running_gateway, scene

pytestmark = pytest.mark.virtual_time

GATEWAY = "v2x-home-gw1"


def refuse(home: Scene, *topics: str) -> list[str]:
    """Let the broker end the gateway's link at each message to these topics; return those that came."""
    came: list[str] = []

    def published(sender: str, message: BusMessage) -> None:
        if sender == GATEWAY and message.topic in topics:
            came.append(message.topic)
            home.broker.cut(GATEWAY)
            raise ConnectionResetError("the broker ended the link")

    home.broker.on_published = published
    return came


def undeliverable(home: Scene) -> list[Any]:
    return [one for one in home.on("site/event") + home.on("evse/CP1-1/event") if one["event"] == "undeliverable"]


@pytest.mark.parametrize(
    "topic",
    ["r\x01x", "r\x85x", "r\uffff", "a\ufdd0", "/".join("a" * 250), "/" * 511, "$share/x/y", "r\ufeff",
     "a" * 512 + "ä" * 500],
)  # fmt: skip
async def test_a_bad_response_topic_is_not_used_and_the_result_says_why(topic: str) -> None:
    async with scene("CP1-1") as home:
        before = len(home.received)
        await home.send("evse/CP1-1/cmd/discharge", {"id": "a", "power_w": 1000}, response_topic=topic)
        await home.send("evse/CP1-1/cmd/discharge", {"id": "b", "power_w": "x"}, response_topic=topic)
        await home.wait(3)
        assert home.results("a") == ["accepted", "achieved"]
        assert home.results("b") == ["refused"]
        first = home.on("evse/CP1-1/result")
        assert all("reply topic" in one["reason"]["text"] for one in first if one["status"] in ("accepted", "refused"))
        assert not [one for one in home.received[before:] if one.topic == topic]
        assert undeliverable(home)
        assert home.running.mqtt.connected.is_set()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec=None, exclude_categories=()), min_size=1, max_size=12), max_size=5))
async def test_no_reply_topic_costs_the_link_or_an_answer(topics: list[str]) -> None:
    async with scene("CP1-1") as home:
        for number, topic in enumerate(topics):
            body = {"id": f"c{number}", "power_w": 1000, "reply_to": topic}
            await home.send("evse/CP1-1/cmd/discharge", json.dumps(body).encode())
            await home.send("evse/CP1-1/cmd/discharge", {"id": f"d{number}", "power_w": 1000}, response_topic=topic)
        await home.send("evse/CP1-1/cmd/stop", {"id": "last"})
        await home.wait(2)
        assert home.results("last")[0] == "accepted"
        assert home.running.mqtt.counts["defects"] == 0


async def test_a_message_that_ends_two_links_is_set_aside_and_the_others_are_delivered() -> None:
    async with scene("CP1-1") as home:
        came = refuse(home, "reply/poison")
        await home.send("evse/CP1-1/cmd/discharge", {"id": "a", "power_w": 1000, "reply_to": "reply/poison"})
        await home.wait(8)
        assert home.results("a") == ["accepted", "achieved"]
        assert len(came) == 2
        for number in range(5):
            body = {"id": f"b{number}", "power_w": 1000, "reply_to": "reply/poison"}
            await home.send("evse/CP1-1/cmd/discharge", body)
        await home.wait(3)
        assert [home.results(f"b{number}")[0] for number in range(5)] == ["accepted"] * 5
        assert len(came) == 2
        assert home.running.mqtt.counts["quarantined"] >= 6
        assert undeliverable(home)
        entries = await home.running.service.entries(limit=1000)
        assert any(one.cause == "undeliverable" for one in entries)
        assert home.running.mqtt.connected.is_set()


async def test_one_poison_message_among_many_results_is_found_and_costs_no_other() -> None:
    async with scene("CP1-1", commands={"evse_rate_per_s": 1000}) as home:
        home.broker.latency_s = 0.05
        came = refuse(home, "reply/poison")
        for number in range(40):
            topic = "reply/poison" if number == 20 else f"reply/{number}"
            await home.send("evse/CP1-1/cmd/setpoint", {"id": f"c{number}", "power_w": 1000, "reply_to": topic})
        await home.wait(30)
        assert all(home.results(f"c{number}") for number in range(40))
        assert len(came) <= 3
        replied = {one.topic for one in home.received if one.topic.startswith("reply/")}
        assert len(replied) == 39
        assert home.running.mqtt.waiting() == 0


async def test_after_a_restart_it_is_not_sent_again(tmp_path: Path) -> None:
    broker, clock = MemoryBroker(), VirtualClock()
    store = {"url": f"sqlite:///{tmp_path / 'gw.db'}"}
    came = 0

    def published(sender: str, message: BusMessage) -> None:
        nonlocal came
        if sender == GATEWAY and message.topic == "reply/poison":
            came += 1
            broker.cut(GATEWAY)
            raise ConnectionResetError("the broker ended the link")

    broker.on_published = published
    async with broker.client("facility") as client:
        for _ in range(2):
            async with running_gateway(broker, clock, store=store) as (running, stations):
                stations.connect("CP1", "CP1-1")
                stations.plug("CP1-1", "tx1")
                await clock.sleep(1)
                if not came:
                    body = {"id": "a", "power_w": 1000, "reply_to": "reply/poison"}
                    topic = "v2x/1/home/evse/CP1-1/cmd/discharge"
                    await client.publish(BusMessage(topic, json.dumps(body).encode(), qos=1))
                await clock.sleep(20)
                assert running.mqtt.connected.is_set()
                assert running.mqtt.waiting() == 0
    assert came == 2


async def test_a_broker_that_is_cut_again_and_again_loses_no_result() -> None:
    async with scene("CP1-1") as home:
        for number in range(10):
            await home.send("evse/CP1-1/cmd/setpoint", {"id": f"c{number}", "power_w": 1000 + number})
            home.broker.cut(GATEWAY)
            await home.wait(3)
        await home.wait(30)
        assert all(home.results(f"c{number}") for number in range(10))
        assert home.running.mqtt.counts["quarantined"] == 0
