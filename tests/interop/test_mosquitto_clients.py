"""With Mosquitto and its access list: no client acts as another, spends its rate or its ids, or reaches its inbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Gateway, Parts, gateway
from gateway.bench.plain_station import PlainStations
from gateway.cli.operator_actions import mqtt_acl
from gateway.config import from_table
from gateway.model.event import Report
from protocols.ports import Clock
from tests.gateway.mqtt.facility import ROOT, Facility, Mosquitto, facility, mosquitto
from tests.interop.test_mosquitto import linked, password_file

pytestmark = pytest.mark.peer

USERS: list[dict[str, Any]] = [
    {"name": "gw", "gateway": True},
    {"name": "a", "command": ["CP1-1", "CP2-1"], "max_priority": 60},
    {"name": "b", "command": "all", "site": True, "inbox": "bems/inbox/"},
    {"name": "blind", "read": []},
]


def table(tmp_path: Path, port: int, **mqtt: Any) -> dict[str, Any]:
    """Return a configuration with the users above."""
    (tmp_path / "secret").write_text("secret")
    link = {"url": f"mqtt://127.0.0.1:{port}", "username": "gw", "password_file": str(tmp_path / "secret")}
    return {
        "site": {"id": "home"},
        "mqtt": {**link, **mqtt},
        "store": {"url": f"sqlite:///{tmp_path / 'store.db'}"},
        "stations": [{"id": "CP1"}, {"id": "CP2"}],
        "users": USERS,
    }


@asynccontextmanager
async def clients(
    tmp_path: Path, *names: str, **mqtt: Any
) -> AsyncIterator[tuple[Mosquitto, dict[str, Facility], dict[str, Any]]]:
    """Run a Mosquitto with the access list of the configuration, and clients that log in."""
    made = table(tmp_path, 1883, **mqtt)
    (tmp_path / "acl").write_text(mqtt_acl(from_table(made)))
    passwords = password_file(tmp_path, *(user["name"] for user in USERS))
    options = f"allow_anonymous false\npassword_file {passwords}\nacl_file {tmp_path / 'acl'}\n"
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(mosquitto(tmp_path, options))
        found = {}
        for name in names:
            found[name] = await stack.enter_async_context(facility(broker.port, username=name, password="secret"))
            await found[name].client.subscribe("bems/#", qos=1)
        made["mqtt"]["url"] = broker.url
        yield broker, found, made


@asynccontextmanager
async def home(made: dict[str, Any]) -> AsyncIterator[Gateway]:
    """Run a gateway with a car at CP1-1 and CP2-1."""
    stations: list[PlainStations] = []

    def connect(report: Report, clock: Clock) -> PlainStations:
        stations.append(PlainStations(clock, report))
        return stations[0]

    async with gateway(from_table(made), Parts(stations=connect)) as running:
        for number in (1, 2):
            stations[0].connect(f"CP{number}", f"CP{number}-1")
            stations[0].plug(f"CP{number}-1", f"tx{number}")
        metering = asyncio.create_task(stations[0].run(0.1))
        try:
            await linked(running)
            yield running
        finally:
            metering.cancel()
            await asyncio.gather(metering, return_exceptions=True)


def command(name: str, **members: Any) -> dict[str, Any]:
    return {"id": name, "power_w": 1000, **members}


async def test_the_access_list_binds_each_client_to_its_topics_and_inbox(tmp_path: Path) -> None:
    async with clients(tmp_path, "a", "b", "blind", mirror="v2x-mirror") as (_, by_name, made), home(made) as running:
        a, b, blind = by_name["a"], by_name["b"], by_name["blind"]
        await blind.client.subscribe("v2x-mirror/#", qos=1)
        await a.client.subscribe("v2x-mirror/#", qos=1)
        await a.send("evse/CP1-1/cmd/discharge/b", command("as-b"))
        await a.send("evse/CP1-1/cmd/discharge/a", command("own", reply_to=f"{ROOT}/reply/a/x"))
        answer = await a.until("reply/a/x", id="own", status="accepted")
        assert (answer["client"], answer["source"]) == ("a", None)
        await a.send("evse/CP1-1/cmd/discharge/a", command("foreign", reply_to="bems/inbox/x"), response="bems/inbox/y")
        answer = await b.until("evse/CP1-1/result", id="foreign", status="accepted")
        assert f"sent to {ROOT}/reply/a/ only" in answer["reason"]["text"]
        assert (await b.until("evse/CP1-1/event", event="undeliverable"))["client"] == "a"
        await b.send("evse/CP1-1/cmd/charge/b", command("b", reply_to="bems/inbox/x"))
        await b.until("bems/inbox/x", id="b")
        assert await running.service.result("b as-b") == (None, None)
        assert await running.service.result("as-b") == (None, None)
        assert not [one for one in b.raw if str(one.topic).startswith("bems/") and b"foreign" in bytes(one.payload)]
        assert [one for one in a.raw if str(one.topic).startswith("v2x-mirror/CP1-1/")]
        assert not [one for one in blind.raw if "CP1" in str(one.topic)]


async def test_the_flood_of_one_client_takes_nothing_from_another(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        _, by_name, made = await stack.enter_async_context(clients(tmp_path, "a", "b"))
        made["store"]["url"] = "memory:"  # a disk with other work would refuse commands, too
        await stack.enter_async_context(home(made))
        a, b = by_name["a"], by_name["b"]

        async def flood() -> None:
            for number in range(1500):
                body = json.dumps(command(f"f{number}", source="b"))
                await a.client.publish(f"{ROOT}/evse/CP1-1/cmd/discharge/a", body, 0)
                if number % 20 == 0:
                    await asyncio.sleep(0.03)

        flooding = asyncio.create_task(flood())
        for number in range(8):
            await asyncio.sleep(0.2)
            await b.send("evse/CP1-1/cmd/discharge/b", command(f"b{number}", priority=70))
            answer = await b.until("evse/CP1-1/result", id=f"b{number}", client="b")
            assert answer["status"] == "accepted", answer
        await flooding
        await b.until("evse/CP1-1/result", client="a", status="refused")
        codes = [
            one["reason"]["code"] for topic, one, _ in b.received if topic.endswith("/result") and one["client"] == "a"
        ]
        assert "rate_limited" in codes


async def test_equal_ids_of_two_clients_are_two_commands_and_those_of_one_are_one(tmp_path: Path) -> None:
    async with clients(tmp_path, "a", "b") as (_, by_name, made):
        a, b = by_name["a"], by_name["b"]
        async with home(made):
            await a.send("evse/CP1-1/cmd/discharge/a", command("same"))
            await b.send("evse/CP2-1/cmd/charge/b", command("same", power_w=2000))
            await b.send("evse/CP2-1/cmd/charge", command("same", power_w=3000, source="a"))
            first = await a.until("evse/CP1-1/result", id="same", client="a", status="achieved")
            await b.until("evse/CP2-1/result", id="same", client="b", status="accepted")
            shared = await b.until("evse/CP2-1/result", id="same", client=None)
            assert shared["reason"]["code"] != "id_conflict"
            a.received.clear()
            await a.send("evse/CP1-1/cmd/discharge/a", command("same"))
            again = await a.until("evse/CP1-1/result", id="same", client="a")
            assert (again["status"], again["ts"]) == ("achieved", first["ts"])
            await a.send("evse/CP1-1/cmd/discharge/a", command("same", power_w=1500))
            refused = await a.until("evse/CP1-1/result", id="same", status="refused")
            assert refused["reason"]["code"] == "id_conflict"
        a.received.clear()
        async with home(made):  # another run, with the same store
            await a.send("evse/CP1-1/cmd/discharge/a", command("same"))
            again = await a.until("evse/CP1-1/result", id="same", client="a")
            assert (again["status"], again["ts"]) == ("achieved", first["ts"])


async def test_a_client_has_no_higher_priority_than_its_own(tmp_path: Path) -> None:
    async with clients(tmp_path, "a", "b") as (_, by_name, made), home(made):
        a, b = by_name["a"], by_name["b"]
        await a.send("evse/CP1-1/cmd/discharge/a", command("high", priority=61, source="b"))
        answer = await a.until("evse/CP1-1/result", id="high")
        assert (answer["status"], answer["reason"]["code"]) == ("refused", "outranked")
        await a.send("evse/CP1-1/cmd/stop/a", {"id": "stop", "priority": 100})
        await a.until("evse/CP1-1/result", id="stop", status="accepted")
        await b.send("evse/CP1-1/cmd/discharge/b", command("b", priority=60))
        assert (await b.until("evse/CP1-1/result", id="b", client="b"))["status"] == "accepted"


async def test_shared_topics_can_be_closed(tmp_path: Path) -> None:
    async with clients(tmp_path, "a", shared_commands=False) as (_, by_name, made), home(made) as running:
        a = by_name["a"]
        await a.send("evse/CP1-1/cmd/discharge", command("shared"))  # the broker denies it
        await a.send("evse/CP1-1/cmd/discharge/a", command("own"))
        await a.until("evse/CP1-1/result", id="own", status="accepted")
        assert await running.service.result("shared") == (None, None)
    open_broker = tmp_path / "open"
    open_broker.mkdir()
    with mosquitto(open_broker) as other:  # a broker without an access list
        made["mqtt"]["url"] = other.url
        async with facility(other.port) as client, home(made):
            await client.send("evse/CP1-1/cmd/discharge", command("refused"))
            answer = await client.until("evse/CP1-1/result", id="refused")
            assert (answer["status"], answer["reason"]["code"]) == ("refused", "client_required")
            await client.send("evse/CP1-1/cmd/stop", {"id": "stop"})
            await client.until("evse/CP1-1/result", id="stop", status="accepted")
