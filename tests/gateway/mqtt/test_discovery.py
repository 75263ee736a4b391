"""Discovery of Home Assistant and the scalar mirror, in virtual time. `tests/interop` runs a real Home Assistant."""

from __future__ import annotations

import ast
import json
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.command import EVSE_VERBS, MAX_POWER_W, SiteMode, Verb
from gateway.model.event import PlugChanged, PlugState, PowerLimits, StationConnected
from gateway.mqtt import mirror
from protocols.ports import BusMessage
from tests.gateway.mqtt.memory import ROOT, Scene, scene

pytestmark = pytest.mark.virtual_time

DEVICE = "homeassistant/device/v2x_home_CP1-1/config"
SITE_DEVICE = "homeassistant/device/v2x_home/config"
TIERS = [
    {"name": "light & radio", "priority": 0, "expected_w": 500, "critical": True},
    {"name": "kitchen", "priority": 2, "expected_w": 500},
    {"name": 'lift "2"', "priority": 1, "expected_w": 500, "critical": True},
]


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


async def test_the_site_is_a_device() -> None:
    async with scene("CP1-1", energy={"tiers": TIERS}) as home:
        config = retained(home, SITE_DEVICE)
        assert config["device"]["identifiers"] == ["v2x_home"]
        assert [one["topic"] for one in config["availability"]] == [f"{ROOT}/gateway/gw1/status"]
        found = config["components"]
        assert set(found) >= {
            "site_power", "power", "grid", "mode", "autonomy", "reserve", "car_needed", "car_needed_in",
            "emergency_stop", "emergency_stopped", "release", "phase", "result", "event",
        }  # fmt: skip
        tiers = {name: one["name"] for name, one in found.items() if name.startswith("tier_")}
        assert tiers == {
            "tier_light_x20_x26_x20radio": "Load tier light & radio",
            "tier_kitchen": "Load tier kitchen",
            "tier_lift_x20_x222_x22": 'Load tier lift "2"',
        }
        assert '.get("lift \\"2\\"", {})' in found["autonomy"]["value_template"]
        assert found["mode"]["options"] == list(SiteMode)
        assert not {one["unique_id"] for one in found.values()} & {
            one["unique_id"] for one in retained(home, DEVICE)["components"].values()
        }
        for name, value, verb in (("mode", "'price'", "mode"), ("reserve", 35, "reserve"), ("emergency_stop", 0, "")):
            command = rendered(found[name]["command_template"], value, home.clock.wall())
            await home.client.publish(BusMessage(found[name]["command_topic"], json.dumps(command).encode(), qos=1))
            await home.wait(3)
            assert home.results(command["id"], "site/result")[0] == "accepted", verb
        state = home.retained("site/state")
        assert (state["mode"], state["reserve_pct"], state["emergency_stop"]) == ("price", 35, True)
        assert len([one for one in home.received if one.topic == SITE_DEVICE]) == 1
        await home.client.publish(BusMessage("homeassistant/status", b"online", qos=1))
        await home.wait(2)
        assert len([one for one in home.received if one.topic == SITE_DEVICE]) == 2


async def test_the_device_of_the_site_belongs_to_the_gateway_that_accepts_its_commands() -> None:
    async with scene("CP1-1", mqtt={"site_commands": False}) as home:
        assert retained(home, SITE_DEVICE) is None
        assert retained(home, DEVICE) is not None


def rendered(template: str, value: object, at: float) -> Any:
    """Return a command as Home Assistant renders it at a frozen time; `tests/interop` renders the real way."""
    text = template.removeprefix("{{ ").removesuffix(" | tojson }}")
    text = text.replace("(now().timestamp() * 1000) | int", repr(f"{at * 1000:.0f}"))
    text = re.sub(r"range\(100000\) \| random", lambda _: repr(str(random.randrange(100_000))), text)
    return ast.literal_eval(text.replace(" ~ ", " ").replace(": value", f": {value}"))


async def test_commands_of_one_millisecond_do_not_collide() -> None:
    async with scene("CP1-1", "CP2-1") as home:
        sent: dict[str, str] = {}
        for evse in ("CP1-1", "CP2-1"):
            config = retained(home, f"homeassistant/device/v2x_home_{evse}/config")
            for name, value in (("setpoint", -3000), ("reserve", 40), ("stop", 0), ("setpoint", -2000)):
                entity = config["components"][name]
                command = rendered(entity["command_template"], value, home.clock.wall())
                assert 8 < len(command["id"]) <= 128
                sent[command["id"]] = evse
                await home.client.publish(BusMessage(entity["command_topic"], json.dumps(command).encode(), qos=1))
        assert len(sent) == 8
        await home.wait(3)
        for command_id, evse in sent.items():
            assert home.results(command_id, f"evse/{evse}/result")[0] == "accepted", command_id


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        (None, None),
        (PowerLimits(0.0, 0.0), None),
        (PowerLimits(7360.0, 0.0), (0, 7360)),
        (PowerLimits(0.0, 5000.0), (-5000, 0)),
        (PowerLimits(1e8, 1e8), (-MAX_POWER_W, MAX_POWER_W)),
    ],
)
async def test_every_number_has_a_range(limits: PowerLimits | None, wanted: tuple[float, float] | None) -> None:
    async with scene() as home:
        now, service = home.clock.now(), home.running.service
        if limits is None:
            service.report(PlugChanged("CP1-1", now, PlugState.AVAILABLE))
            service.report(StationConnected("CP1", now, "ocpp1.6"))
        else:
            home.stations.connect("CP1", "CP1-1", limits=limits)
            service.report(StationConnected("CP1", now, "plain"))
        await home.wait(2)
        numbers = {
            name: (one["min"], one["max"])
            for name, one in retained(home, DEVICE)["components"].items()
            if one["platform"] == "number"
        }
        assert numbers == {"reserve": (0, 100)} | ({} if wanted is None else {"setpoint": wanted})


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
