"""The MQTT contract in virtual time: the AsyncAPI document validates every message that the gateway sends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from emulators.runtime.clock import VirtualClock
from emulators.runtime.memory_broker import MemoryBroker
from gateway.mqtt.asyncapi import channels, document
from tests.gateway.commands.test_idempotency import BAD
from tests.gateway.mqtt.memory import ROOT, running_gateway, scene, validator

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("version", [5, 3])
async def test_a_command_from_topic_to_topic(version: int) -> None:
    async with scene("CP1-1", version=version) as home:
        body = {"id": "a", "power_w": 5000, "lease_s": 10, "reply_to": "me/answers"}
        more = {"response_topic": "me/five", "correlation_data": b"\x00\xff"}
        await home.send("evse/CP1-1/cmd/discharge", body, **more)
        await home.wait(3)
        assert home.results("a") == ["accepted", "achieved"]
        answers = [one for one in home.received if one.topic == ("me/five" if version == 5 else "me/answers")]
        assert [json.loads(one.payload)["status"] for one in answers] == ["accepted", "achieved"]
        if version == 5:
            assert {one.correlation_data for one in answers} == {b"\x00\xff"}
        state = home.retained("evse/CP1-1/state")
        assert (state["setpoint_w"], state["binding"], state["command"]["id"]) == (-5000, "command", "a")
        await home.wait(15)
        assert home.retained("evse/CP1-1/state")["command"] is None
        assert "lease_ended" in [one["event"] for one in home.on("evse/CP1-1/event")]


async def test_telemetry_is_sent_once_a_second_with_energies_that_only_grow() -> None:
    async with scene("CP1-1") as home:
        await home.send("evse/CP1-1/cmd/discharge", {"id": "a", "power_w": 5000, "lease_s": 60})
        await home.wait(30)
        rows = home.on("evse/CP1-1/telemetry")
        assert 28 <= len(rows) <= 32
        assert [row["seq"] for row in rows] == sorted({row["seq"] for row in rows})
        out = [row["energy_discharged_wh"] for row in rows if row["energy_discharged_wh"] is not None]
        assert out == sorted(out)
        assert out[-1] > 30
        assert home.on("site/telemetry")[-1]["power_w"] == -5000


async def test_every_sent_channel_conforms_to_the_document() -> None:
    async with scene("CP1-1", "CP2-1") as home:
        wall = home.clock.wall()
        for kind, body in INPUTS.items():
            validator(f"siteInput{kind.capitalize()}").validate({"ts": "2026-01-15T00:00:00Z", **body})
            await home.send(f"site/input/{kind}", {"ts": wall, **body})
        for number, (topic, body) in enumerate(COMMANDS):
            await home.send("site/input/grid", {"ts": home.clock.wall(), **INPUTS["grid"]})
            await home.send("site/input/load", {"ts": home.clock.wall(), **INPUTS["load"]})
            await home.wait(0.01)
            message = {"id": f"c{number}", **body(wall)}
            await home.send(topic, message)
            await home.wait(1.5)
            whom = "site" if topic.startswith("site") else "evse/CP1-1"
            assert home.results(f"c{number}", f"{whom}/result")[0] in ("accepted", "clamped"), home.on(
                f"{whom}/result"
            )[-1]
        home.stations.unplug("CP1-1")
        home.stations.disconnect("CP2", "the cable was pulled")
        await home.wait(5)
        states = home.retained("site/state")["inputs"]
        assert {one["freshness"] for one in states.values()} <= {"fresh", "stale"}
        sent = {one.name for one in channels() if one.action == "send"}
        assert home.seen == sent


INPUTS: dict[str, dict[str, Any]] = {
    "grid": {"present": True, "frequency_hz": 50.02, "voltage_v": 231, "power_w": 1500},
    "load": {"power_w": 2000},
    "pv": {"power_w": 500},
    "storage": {"power_w": -100, "soc_pct": 60},
    "meter": {"energy_wh": 1200, "window_start": "2026-01-15T00:00:00Z", "window_s": 1800},
    "switch": {"open": False},
    "price": {
        "currency": "JPY",
        "prices": [{"start": "2026-01-15T00:00:00Z", "duration_s": 1800, "import_per_kwh": 31.5}],
    },
    "forecast": {"series": [{"start": "2026-01-15T00:00:00Z", "duration_s": 3600, "load_w": 900, "pv_w": 0}]},
    "storm": {"active": False},
    "arrival": {"arrivals": [{"vehicle": "LEAF1", "at": "2026-01-15T08:00:00Z", "soc_pct": 70}]},
    "lent": {"cars": [{"vehicle": "LEAF1", "place": "depot", "soc_pct": 70, "available": True}]},
    "repaid": {"payments": [{"id": "p-1", "vehicle": "LEAF1", "energy_wh": 4000, "soc_pct": 90}]},
}
COMMANDS: list[tuple[str, Any]] = [
    ("evse/CP1-1/cmd/discharge", lambda now: {"power_w": 3000}),
    ("evse/CP1-1/cmd/charge", lambda now: {"power_w": 3000, "lease_s": 5}),
    (
        "evse/CP1-1/cmd/setpoint",
        lambda now: {"power_w": -1000, "expires_at": now + 60, "priority": 60, "source": "bems"},
    ),
    ("evse/CP1-1/cmd/stop", lambda now: {}),
    (
        "evse/CP1-1/cmd/schedule",
        lambda now: {"priority": 60, "periods": [{"start": now, "duration_s": 60, "power_w": -500}]},
    ),
    ("evse/CP1-1/cmd/reserve", lambda now: {"min_soc_pct": 40}),
    ("evse/CP1-1/cmd/release", lambda now: {"priority": 60}),
    ("site/cmd/discharge", lambda now: {"power_w": 4000, "min_soc_pct": 20}),
    ("site/cmd/charge", lambda now: {"power_w": 4000}),
    ("site/cmd/setpoint", lambda now: {"power_w": -4000}),
    ("site/cmd/peak_limit", lambda now: {"import_w": 20_000}),
    ("site/cmd/reserve", lambda now: {"energy_wh": 20_000}),
    ("site/cmd/mode", lambda now: {"mode": "peak_shaving"}),
    ("site/cmd/backup", lambda now: {"action": "leave"}),
    ("site/cmd/stop", lambda now: {}),
    ("site/cmd/emergency_stop", lambda now: {}),
    ("site/cmd/release", lambda now: {}),
]


def test_the_document_accepts_what_the_gateway_accepts() -> None:
    for topic, body in COMMANDS:
        whom, verb = ("site" if topic.startswith("site") else "evse"), topic.rpartition("/")[2]
        name = f"{whom}Command" + "".join(part.capitalize() for part in verb.split("_"))
        validator(name).validate({"id": "a", **body(1768435200)})
    for payload, code in BAD:
        if code == "bad_command":
            try:
                read = json.loads(payload, parse_constant=lambda name: pytest.fail(name))
            except (ValueError, pytest.fail.Exception):
                continue
            if isinstance(read, dict) and read.get("power_w") == float("inf"):
                continue
            assert not validator("evseCommandDischarge").is_valid(read), payload[:80]


@pytest.mark.parametrize(("payload", "code"), BAD)
async def test_invalid_messages_are_answered_and_the_gateway_continues(payload: bytes, code: str) -> None:
    async with scene("CP1-1") as home:
        await home.send("evse/CP1-1/cmd/discharge", payload)
        await home.wait(1)
        [result] = home.on("evse/CP1-1/result")
        assert (result["status"], result["reason"]["code"]) == ("refused", code)
        await home.send("evse/CP1-1/cmd/discharge", {"id": "good", "power_w": 1000})
        await home.wait(3)
        assert home.results("good") == ["accepted", "achieved"]


async def test_retained_commands_are_refused_and_deleting_them_is_silent() -> None:
    async with scene("CP1-1") as home:
        await home.send("evse/CP1-1/cmd/discharge", {"id": "a", "power_w": 1000}, retain=True)
        await home.send("evse/CP1-1/cmd/discharge", b"", retain=True)
        await home.wait(1)
        [result] = home.on("evse/CP1-1/result")
        assert (result["id"], result["reason"]["code"]) == ("a", "retained")


@pytest.mark.parametrize(
    "topic",
    ["v2x/1/home/evse/CP1-1/cmd/discharge", "v2x/1/home/site/input/grid", "v2x/1/home/gateway/gw1/status",
     "homeassistant/device/x/config", "$SYS/x", "v2x/1/other/evse/CP1-1/cmd/stop"],
)  # fmt: skip
async def test_no_result_is_sent_to_a_topic_with_an_effect(topic: str) -> None:
    async with scene("CP1-1") as home:
        before = len([one for one in home.received if one.topic == topic])
        await home.send("evse/CP1-1/cmd/discharge", {"id": "a", "power_w": 1000, "reply_to": topic})
        await home.wait(3)
        assert home.results("a") == ["accepted", "achieved"]
        answers = [one for one in home.received if one.topic == topic and b'"achieved"' in one.payload]
        assert not answers
        assert before == 0 or topic.endswith("status")


async def test_the_will_is_sent_when_the_gateway_fails_and_offline_when_it_stops() -> None:
    async with scene("CP1-1") as home:
        assert home.retained("gateway/gw1/status")["state"] == "online"
        assert home.retained("gateway/gw1/status")["evses"] == ["CP1-1"]
        home.broker.cut("v2x-home-gw1")
        assert home.retained("gateway/gw1/status")["state"] == "offline"
        await home.wait(3)
        assert home.retained("gateway/gw1/status")["state"] == "online"
        broker = home.broker
    message = broker.retained(f"{ROOT}/gateway/gw1/status")
    assert message is not None
    assert json.loads(message.payload)["state"] == "offline"


async def test_messages_of_a_lost_link_are_sent_when_it_is_restored() -> None:
    async with scene("CP1-1") as home:
        await home.send("evse/CP1-1/cmd/discharge", {"id": "a", "power_w": 5000, "lease_s": 60})
        await home.wait(0.001)
        home.broker.stop()
        await home.wait(5)
        assert home.stations.evses["CP1-1"].power_w == -5000  # the lease continues
        home.broker.start()
        async with home.broker.client("late") as late:
            await late.subscribe("#", qos=1)
            got: list[Any] = []

            async def hear() -> None:
                async for message in late.messages():
                    if message.topic.endswith("/result"):
                        got.append(json.loads(message.payload)["status"])

            hearing = asyncio.create_task(hear())
            await home.wait(10)
            hearing.cancel()
            assert got[-1] == "achieved"


async def test_a_broker_that_stays_unreachable_ends_leased_commands() -> None:
    async with scene("CP1-1", mqtt={"broker_grace_s": 20}) as home:
        await home.send("evse/CP1-1/cmd/discharge", {"id": "a", "power_w": 5000, "lease_s": 3600})
        await home.wait(3)
        home.broker.stop()
        await home.wait(17)
        assert home.stations.evses["CP1-1"].power_w == -5000
        await home.wait(8)
        assert home.stations.evses["CP1-1"].power_w == 0
        assert home.stations.evses["CP1-1"].session == "tx0"
        entries = await home.running.service.entries(command="a")
        assert entries[-1].cause == "broker_lost" or "broker_lost" in [one.cause for one in entries]


async def test_two_gateways_on_one_broker_serve_their_own_evses() -> None:
    broker, clock = MemoryBroker(), VirtualClock()
    async with (
        running_gateway(broker, clock, "gw1") as (_, one),
        running_gateway(broker, clock, "gw2", mqtt={"site_commands": False}) as (_, other),
        broker.client("facility") as client,
    ):
        one.connect("CP1", "CP1-1")
        one.plug("CP1-1")
        other.connect("CP2", "CP2-1")
        other.plug("CP2-1")
        await clock.sleep(2)
        got: list[tuple[str, str, str]] = []
        await client.subscribe(f"{ROOT}/#", qos=1)

        async def hear() -> None:
            async for message in client.messages():
                if message.topic.endswith("/result"):
                    body = json.loads(message.payload)
                    got.append((body["id"], body["gateway"], body["reason"]["code"]))

        hearing = asyncio.create_task(hear())
        from protocols.ports import BusMessage

        for number, evse in enumerate(("CP1-1", "CP2-1", "CP3-1")):
            body = json.dumps({"id": f"c{number}", "power_w": 1000}).encode()
            await client.publish(BusMessage(f"{ROOT}/evse/{evse}/cmd/discharge", body, qos=1))
        await client.publish(BusMessage(f"{ROOT}/site/cmd/mode", b'{"id": "m", "mode": "manual"}', qos=1))
        await clock.sleep(1)
        hearing.cancel()
        firsts = {(name, who, code) for name, who, code in got if code in ("granted", "unknown_evse")}
        assert firsts == {
            ("c0", "gw1", "granted"),
            ("c1", "gw2", "granted"),
            ("c2", "gw1", "unknown_evse"),
            ("m", "gw1", "granted"),
        }


async def test_a_removed_station_leaves_nothing_retained() -> None:
    async with scene("CP1-1", mqtt={"mirror": "v2x-mirror"}) as home:
        assert home.broker.retained(f"{ROOT}/evse/CP1-1/state") is not None
        assert home.broker.retained("homeassistant/device/v2x_home_CP1-1/config") is not None
        assert home.broker.retained("v2x-mirror/CP1-1/power") is not None
        home.stations.evses.clear()
        home.running.service.forget("CP1")
        await home.wait(2)
        left = [topic for topic in home.broker._retained if "CP1-1" in topic]
        assert left == []


def test_the_document_names_every_channel_and_operation() -> None:
    drawn = document("mqtts://broker.example:8883")
    assert len(drawn["channels"]) == len(channels()) == len(drawn["operations"])
    assert drawn["servers"]["broker"] == {
        **drawn["servers"]["broker"],
        "host": "broker.example:8883",
        "protocol": "mqtts",
    }
