"""With Mosquitto itself: TLS, client certificates, passwords, the access list it enforces, restarts, sessions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from gateway.app import Gateway, Parts, gateway
from gateway.bench.plain_station import PlainStations
from gateway.config import ConfigError, from_table
from gateway.config.mapping import broker_link
from gateway.model.event import Report
from gateway.model.site import InputKind
from gateway.mqtt.acl import User, acl
from gateway.mqtt.client import Connector
from gateway.mqtt.commands import READ_RETAINED_S
from gateway.mqtt.topics import Topics
from protocols.ports import BusMessage, Clock
from tests.gateway.mqtt.facility import ROOT, Facility, facility, leaky_peer, mosquitto
from tests.interop.certificates import Authority
from tests.peers import program

pytestmark = pytest.mark.peer


@asynccontextmanager
async def home(
    energy: dict[str, Any] | None = None, listed: Sequence[str] = ("CP1", "CP2"), there: int = 2, **mqtt: Any
) -> AsyncIterator[tuple[Gateway, PlainStations]]:
    """Run a gateway with CP1-1 and CP2-1, a vehicle in each; the first stations only are `there`."""
    made: list[PlainStations] = []

    def stations(report: Report, clock: Clock) -> PlainStations:
        made.append(PlainStations(clock, report))
        return made[0]

    table = {
        "site": {"id": "home"},
        "mqtt": mqtt,
        "energy": energy or {},
        "store": {"url": "memory:"},
        "stations": [{"id": name} for name in listed],
    }
    config = from_table(table)
    async with gateway(config, Parts(stations=stations)) as running:
        for number in range(1, there + 1):
            made[0].connect(f"CP{number}", f"CP{number}-1")
            made[0].plug(f"CP{number}-1", f"tx{number}")
        metering = asyncio.create_task(made[0].run(0.1))
        try:
            yield running, made[0]
        finally:
            metering.cancel()
            await asyncio.gather(metering, return_exceptions=True)


async def linked(running: Gateway, within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        await running.mqtt.connected.wait()


async def test_tls_with_client_certificates_and_the_access_list(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("broker", server=True)
    users = [
        User("gw1", gateway=True),
        User("bems", command=["CP1-1"], inputs=[InputKind.LOAD]),
        User("viewer", read=["CP1-1"]),
        User("operator", command=None, site=True, inputs=None),
    ]
    names = {user.name: authority.issue(user.name) for user in users}
    (tmp_path / "acl").write_text(acl(Topics("home", "gw1"), users))
    options = (
        f"cafile {authority.ca}\ncertfile {cert}\nkeyfile {key}\nrequire_certificate true\n"
        f"use_identity_as_username true\nallow_anonymous false\nacl_file {tmp_path / 'acl'}\n"
    )

    def tls(name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(authority.ca))
        context.load_cert_chain(*names[name])
        return context

    with mosquitto(tmp_path, options) as broker:
        mine, my_key = names["gw1"]
        url = f"mqtts://127.0.0.1:{broker.port}"
        async with home(url=url, ca=authority.ca, cert=mine, key=my_key) as (running, _):
            await linked(running)
            async with (
                facility(broker.port, tls_context=tls("bems")) as bems,
                facility(broker.port, tls_context=tls("viewer")) as viewer,
                facility(broker.port, tls_context=tls("operator")) as operator,
            ):
                await bems.send(
                    "evse/CP1-1/cmd/discharge", {"id": "a", "power_w": 1000, "reply_to": f"{ROOT}/reply/bems/x"}
                )
                await bems.until("evse/CP1-1/result", id="a", status="achieved")
                await bems.until("reply/bems/x", id="a", status="achieved")
                await viewer.until("evse/CP1-1/result", id="a", status="achieved")
                await _denied(bems, "evse/CP2-1/cmd/discharge", {"id": "b", "power_w": 1000})
                await _denied(bems, "site/cmd/stop", {"id": "c"})
                await _denied(bems, "evse/CP1-1/state", {"power_w": 0})
                await _denied(bems, "site/input/grid", {"present": False})
                await _denied(viewer, "evse/CP1-1/cmd/stop", {"id": "d"})
                await operator.send("evse/CP2-1/cmd/charge", {"id": "e", "power_w": 500})
                await operator.until("evse/CP2-1/result", id="e", status="achieved")
                await operator.send("site/cmd/stop", {"id": "f"})
                await operator.until("site/result", id="f", status="achieved")
                await bems.send("site/input/load", {"ts": running.clock.wall(), "power_w": 700})
                await operator.until("site/telemetry", base_w=700)
                assert not [topic for topic, _, _ in viewer.received if topic.startswith("evse/CP2-1")]
                known = {id_ for id_ in "abcdef" if (await running.service.result(id_))[0] is not None}
                assert known == {"a", "e", "f"}


def password_file(folder: Path, *users: str) -> Path:
    """Password file of Mosquitto in which the password of each user is `secret`."""
    path = folder / "passwords"
    tool = program("mosquitto_passwd", "mosquitto")
    for user in users:
        create = [] if path.exists() else ["-c"]
        subprocess.run([tool, "-b", *create, str(path), user, "secret"], check=True)
    path.chmod(0o644)
    return path


async def test_two_sites_on_one_broker_read_only_the_state_of_each_other(tmp_path: Path) -> None:
    """The lists of both sites in one file, as `v2x mqtt-acl -c one -c two` writes it."""
    passwords = password_file(tmp_path, "gw-home", "gw-school", "unknown")
    lists = [
        acl(Topics("home", "gw1"), [User("gw-home", gateway=True, neighbours=["school"])]),
        acl(Topics("school", "gw1"), [User("gw-school", gateway=True), User("unknown", read=[])]),
    ]
    (tmp_path / "acl").write_text("\n".join(lists))
    options = f"allow_anonymous false\npassword_file {passwords}\nacl_file {tmp_path / 'acl'}\n"

    async def received_topics(port: int, name: str) -> set[str]:
        found: set[str] = set()
        async with aiomqtt.Client("127.0.0.1", port, username=name, password="secret") as client:
            await client.subscribe("v2x/1/+/site/state", qos=1)
            await client.subscribe("v2x/1/#", qos=1)
            async with aiomqtt.Client("127.0.0.1", port, username="gw-school", password="secret") as school:
                for topic in ("site/state", "site/telemetry", "evse/CP1-1/state"):
                    await school.publish(f"v2x/1/school/{topic}", b"{}", qos=1)
                await school.publish("v2x/1/home/site/state", b"{}", qos=1)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    async for message in client.messages:
                        found.add(str(message.topic))
        return found

    with mosquitto(tmp_path, options) as broker:
        assert await received_topics(broker.port, "gw-home") == {"v2x/1/school/site/state"}
        assert "v2x/1/home/site/state" not in await received_topics(broker.port, "unknown")


async def test_a_refusal_is_logged_once_and_is_a_security_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = password_file(tmp_path, "gw1")
    (tmp_path / "secret").write_text("guess\n")
    caplog.set_level("INFO", "v2x.mqtt")
    with mosquitto(tmp_path, f"allow_anonymous false\npassword_file {passwords}\n") as broker:
        async with home(url=broker.url, username="gw1", password_file=tmp_path / "secret") as (running, _):
            await asyncio.sleep(4)  # at least three attempts
            assert "authori" in (running.mqtt.trouble or "").lower()
            lines = [one.message for one in caplog.records if one.levelname == "WARNING"]
            assert sum("no link to the broker" in one.lower() for one in lines) == 1
            assert not [one for one in caplog.records if one.name == "v2x.mqtt"]  # the other links wait for the first
            await running.journal.flush()
            entries = await running.service.entries()
            found = [one for one in entries if one.cause == "security"]
            assert [one.data["kind"] for one in found] == ["BrokerAccessRefused"]


async def _denied(who: Facility, topic: str, body: dict[str, Any]) -> None:
    """Mosquitto takes the message and drops it; nothing comes of it."""
    await who.send(topic, body)
    await asyncio.sleep(0.2)


async def test_user_and_password_and_the_error_for_wrong_ones(tmp_path: Path) -> None:
    passwords = password_file(tmp_path, "gw1")
    (tmp_path / "right").write_text("secret\n")
    (tmp_path / "wrong").write_text("guess\n")

    with mosquitto(tmp_path, f"allow_anonymous false\npassword_file {passwords}\n") as broker:
        async with home(url=broker.url, username="gw1", password_file=tmp_path / "right") as (running, _):
            await linked(running)
        config = from_table({"mqtt": {"url": broker.url, "username": "gw1", "password_file": tmp_path / "wrong"}})
        with pytest.raises(ConnectionError, match=r"cannot be used: .*(password|[Aa]uthori)"):
            async with Connector(broker_link(config))(BusMessage("x", b"")):
                pass
        with pytest.raises(ConfigError, match=r"mqtt.password_file: .*absent cannot be read"):
            broker_link(from_table({"mqtt": {"url": broker.url, "password_file": tmp_path / "absent"}}))


@leaky_peer
async def test_a_broker_with_a_wrong_certificate_is_not_used(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("broker", server=True)
    other = tmp_path / "other"
    other.mkdir()
    unknown = Authority(other)

    with mosquitto(tmp_path, f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}\n") as broker:
        config = from_table({"mqtt": {"url": f"mqtts://127.0.0.1:{broker.port}", "ca": unknown.ca}})
        with pytest.raises(ConnectionError, match="certificate verify failed"):
            async with Connector(broker_link(config))(BusMessage("x", b"")):
                pass


async def test_the_broker_is_killed_and_restarted(tmp_path: Path) -> None:
    """The lease goes on, the gateway reconnects, states are retained again, results come."""
    with mosquitto(tmp_path) as broker:
        async with home(url=broker.url) as (running, stations):
            await linked(running)
            with contextlib.suppress(aiomqtt.MqttError):  # the facility's own link goes down with the broker
                async with facility(broker.port) as client:
                    await client.until("evse/CP1-1/state", session_state="in_session")
                    await client.send("evse/CP1-1/cmd/discharge", {"id": "a", "power_w": 2000, "lease_s": 60})
                    await client.until("evse/CP1-1/result", id="a", status="accepted")
                    broker.stop()
                    await asyncio.sleep(0.5)
            assert stations.evses["CP1-1"].power_w == -2000
            broker.start()
            await linked(running)
            async with facility(broker.port) as client:
                await client.until("gateway/gw1/status", state="online")
                await client.until("evse/CP1-1/state", setpoint_w=-2000)
                await client.send("evse/CP1-1/cmd/stop", {"id": "b"})
                await client.until("evse/CP1-1/result", id="b", status="achieved")
                first, final = await running.service.result("a")
                assert first is not None
                assert final is not None
                assert final.status in ("achieved", "superseded")


async def test_a_command_sent_while_the_gateway_is_disconnected_is_received_if_it_reconnects_within_the_session(
    tmp_path: Path,
) -> None:
    with mosquitto(tmp_path) as broker:
        async with facility(broker.port) as client:
            async with home(url=broker.url, session_expiry_s=60) as (running, _):
                await linked(running)
            await client.send("evse/CP1-1/cmd/reserve", {"id": "kept", "min_soc_pct": 40, "issued_at": time.time()})
            await client.send(
                "evse/CP1-1/cmd/reserve", {"id": "late", "min_soc_pct": 50, "expires_at": "2026-01-01T00:00:00Z"}
            )
            async with home(url=broker.url, session_expiry_s=60) as (running, _):
                await linked(running)
                await client.until("evse/CP1-1/result", id="kept", status="achieved")
                late = await client.until("evse/CP1-1/result", id="late", status="refused")
                assert late["reason"]["code"] == "expired"


async def test_retain_as_published_marks_a_retained_command(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        async with facility(broker.port) as client, home(url=broker.url) as (running, stations):
            await linked(running)
            await client.send("evse/CP1-1/cmd/discharge", {"id": "a", "power_w": 2000}, retain=True)
            refused = await client.until("evse/CP1-1/result", id="a", status="refused")
            assert refused["reason"]["code"] == "retained"
        async with (
            facility(broker.port, five=False) as client,
            home(url=broker.url, version="3.1.1") as (running, stations),
        ):
            refused = await client.until("evse/CP1-1/result", id="a", status="refused")
            assert refused["reason"]["code"] == "retained"
            assert stations.evses["CP1-1"].power_w == 0
            await client.send("evse/CP1-1/cmd/discharge", b"", retain=True)


async def test_several_sites_share_a_broker(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        config = {"mqtt": {"url": broker.url}, "store": {"url": "memory:"}}
        async with facility(broker.port, root="v2x/1") as client, home(url=broker.url) as (running, _):
            other = from_table({**config, "site": {"id": "other"}})
            made: list[PlainStations] = []

            def stations(report: Report, clock: Clock) -> PlainStations:
                made.append(PlainStations(clock, report))
                return made[0]

            async with gateway(other, Parts(stations=stations)) as second:
                made[0].connect("CP1", "CP1-1")
                made[0].plug("CP1-1")
                await linked(running)
                await linked(second)
                await client.send("other/evse/CP1-1/cmd/charge", {"id": "a", "power_w": 1000})
                await client.until("other/evse/CP1-1/result", id="a", status="accepted")
                assert (await running.service.result("a")) == (None, None)
                assert not [topic for topic, _, _ in client.received if topic == "home/evse/CP1-1/result"]


async def test_invalid_bytes_from_the_broker_have_no_effect(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        async with facility(broker.port) as client, home(url=broker.url) as (running, _):
            await linked(running)
            for payload in (
                b"\xff\x00\xfe",
                b"{" * 5000,
                b'{"id":"x","power_w":1e400}',
                b"A" * 70_000,
                json.dumps([]).encode(),
            ):
                await client.send("evse/CP1-1/cmd/discharge", payload)
                await client.send("site/input/grid", payload)
            await client.send("evse/CP1-1/cmd/discharge", {"id": "good", "power_w": 1000})
            await client.until("evse/CP1-1/result", id="good", status="achieved")


async def test_a_broker_that_restarts_empty_gets_everything_retained_again(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        async with home(url=broker.url, mirror="cars") as (running, _):
            await linked(running)
            await asyncio.sleep(2)
            before = (await retained(broker.port)).keys()
            assert {
                f"{ROOT}/evse/CP2-1/state",
                "homeassistant/device/v2x_home_CP1-1/config",
                "cars/CP1-1/soc",
            } <= before
            broker.stop()
            await asyncio.sleep(0.5)
            broker.start()
            await asyncio.sleep(0.5)
            await linked(running, 40)
            await asyncio.sleep(2)
            assert (await retained(broker.port)).keys() == before


async def test_what_is_retained_of_evses_that_are_away_removed_or_ended_says_so(tmp_path: Path) -> None:
    """Of two gateways after each other the second one lists only one station, which is not there yet."""
    with mosquitto(tmp_path) as broker:
        async with home(url=broker.url, mirror="cars") as (running, _):
            await linked(running)
            await asyncio.sleep(0.2)
            assert json.loads((await retained(broker.port))[f"{ROOT}/evse/CP2-1/state"])["connection"] == "connected"
        ended = await retained(broker.port)
        for evse in ("CP1-1", "CP2-1"):
            left = json.loads(ended[f"{ROOT}/evse/{evse}/state"])
            assert (left["connection"], left["power_w"]) == ("offline", None)
            assert ended[f"cars/{evse}/connected"] == "false"
        assert json.loads(ended[f"{ROOT}/gateway/gw1/status"])["state"] == "offline"
        async with home(url=broker.url, mirror="cars", listed=["CP1"], there=0) as (running, _):
            await linked(running)
            async with asyncio.timeout(READ_RETAINED_S + 5):
                while "CP2-1" in "".join(now := await retained(broker.port)):
                    pass
            assert json.loads(now[f"{ROOT}/evse/CP1-1/state"])["connection"] == "offline"
            assert "homeassistant/device/v2x_home_CP1-1/config" in now


async def retained(port: int) -> dict[str, str]:
    """Return what a client that subscribes to everything gets at once."""
    async with facility(port, root="") as one:
        await one.client.subscribe("#", qos=1)
        await asyncio.sleep(0.5)
        return {str(one.topic): bytes(one.payload).decode() for one in one.raw if one.retain and one.payload}
