"""Discovery of Home Assistant and the scalar mirror, in virtual time. `tests/interop` runs a real Home Assistant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.command import EVSE_VERBS, Verb
from gateway.mqtt import mirror
from protocols.ports import BusMessage
from tests.gateway.mqtt.memory import ROOT, Scene, scene

pytestmark = pytest.mark.virtual_time

DEVICE = "homeassistant/device/v2x_home_CP1-1/config"


def retained(home: Scene, topic: str) -> Any:
    message = home.broker.retained(topic)
    return json.loads(message.payload) if message is not None else None


async def test_one_device_per_evse_published_again_when_home_assistant_restarts() -> None:
    async with scene("CP1-1") as home:
        config = retained(home, DEVICE)
        assert config["device"]["identifiers"] == ["v2x_home_CP1-1"]
        assert set(config["components"]) >= {
            "power", "energy_charged", "energy_discharged", "soc", "session", "binding", "lease_end", "plug",
            "problem", "grid", "setpoint", "reserve", "mode", "stop", "result",
        }  # fmt: skip
        assert config["components"]["setpoint"]["min"] == -10_000
        ids = [one["unique_id"] for one in config["components"].values()]
        assert len(ids) == len(set(ids))
        for one in config["components"].values():
            for key in ("state_topic", "command_topic"):
                assert one.get(key, ROOT).startswith(ROOT)
        before = len([one for one in home.received if one.topic == DEVICE])
        await home.wait(5)
        assert len([one for one in home.received if one.topic == DEVICE]) == before  # only when it changes
        await home.client.publish(BusMessage("homeassistant/status", b"online", qos=1))
        await home.wait(2)
        assert len([one for one in home.received if one.topic == DEVICE]) == before + 1


@pytest.mark.parametrize("how", ["components", "off"])
async def test_one_message_per_entity_for_older_versions_and_none_when_it_is_off(how: str) -> None:
    async with scene("CP1-1", mqtt={"homeassistant": how}) as home:
        config = retained(home, "homeassistant/number/v2x_home_CP1-1/setpoint/config")
        topics = [topic for topic in home.broker._retained if topic.startswith("homeassistant/")]
        if how == "off":
            assert topics == []
            return
        assert config["unique_id"] == "v2x_home_CP1-1_setpoint"
        assert config["device"]["identifiers"] == ["v2x_home_CP1-1"]
        assert "platform" not in config
        assert len(topics) > 15


@pytest.mark.parametrize(
    ("name", "payload", "power_w", "answer"),
    [
        ("setpoint", b"-3000", -3000, "achieved seen_on_meter"),
        ("discharge", b"2500.5", -2500.5, "achieved seen_on_meter"),
        ("charge", b"1000", 1000, "achieved seen_on_meter"),
        ("stop", b"", 0, "achieved seen_on_meter"),
        ("discharge", b"-1", 0, "refused bad_command"),
        ("discharge", b"lots", 0, "refused bad_command"),
        ("discharge", b"nan", 0, "refused bad_command"),
    ],
)
async def test_the_state_topic_shows_and_commands(name: str, payload: bytes, power_w: float, answer: str) -> None:
    async with scene("CP1-1", mqtt={"mirror": "cars"}) as home:
        await home.client.publish(BusMessage(f"cars/CP1-1/{name}/set", payload, qos=1))
        await home.wait(3)
        shown = {
            topic.removeprefix("cars/CP1-1/"): message.payload.decode()
            for topic, (message, _) in home.broker._retained.items()
            if topic.startswith("cars/CP1-1/")
        }
        assert shown["result"] == answer
        assert float(shown["power"]) == power_w
        assert (shown["plugged"], shown["session"], "fault" in shown) == ("true", "in_session", False)
        assert home.stations.evses["CP1-1"].power_w == power_w


@given(st.sampled_from([*mirror.SETTABLE, "colour"]), st.binary(max_size=80))
def test_any_written_value_becomes_a_body_or_nothing(name: str, payload: bytes) -> None:
    meant = mirror.command(name, payload, "1")
    if meant is None:
        assert name == "colour"
        return
    assert Verb(meant[0]) in EVSE_VERBS
    assert json.loads(meant[1])["id"] == "mirror-1"
