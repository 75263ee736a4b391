"""Hostile texts of a station, a vehicle and a client through a whole gateway process to everything that shows them.

Names, ids and reasons hold line ends, escape sequences, bidirectional overrides, HTML, Markdown and formulas. They come
back as data from the log, the journal in all formats, the admin API, the audit report, the metrics and MQTT.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from gateway.model import foreign_text
from gateway.model.topic_name import topic_fault
from gateway.mqtt.topics import from_topic_level
from protocols.ocpp.schema import Version
from tests.forked import Program
from tests.gateway.mqtt.facility import Facility, facility, mosquitto
from tests.gateway.web.running_gateway import Station

pytestmark = pytest.mark.peer

STATION = "=1+1|x@y"  # all of it is permitted in the identity of a station
EVSE, EVSES = f"{STATION}-1", 3
SHORT = "=1\n2. F\x1b[2J\x9b\u202e<b>|`"  # 18 characters, for members of 20
FORGERY = (
    "=cmd|' /C calc'!A0\n\n2. 2026-11-28T00:00:00Z forged\r\n# h\n<script>x</script> [c](javascript:x)"
    " \x1b[31m\u2028\u2066"
)
CONFIG = """
[site]
id = "school"
[mqtt]
url = "{broker}"
mirror = "mirror"
[store]
url = "sqlite:///v2x.db"
[ocpp]
listen = "127.0.0.1:0"
unknown_tokens = "accept"
inventory = false
[admin]
listen = "127.0.0.1:{admin}"
[energy]
enabled = true
island = true
forming = ["{station}-1"]
[log]
format = "{log}"
[blue_switch]
file = "agreements.toml"
[[stations]]
id = "{station}"
password_file = "password"
max_charge_w = 10000
max_discharge_w = 10000
"""
AGREEMENTS = """
[[place]]
name = "school"
latitude = 35.62
longitude = 139.58
[[place]]
name = "depot"
latitude = 35.61
longitude = 139.62
[[car]]
vehicle = "JP-NIS-001"
base = "depot"
capacity_wh = 40000
[[agreement]]
id = "town-1"
kind = "municipal"
lender = "the town"
cars = ["JP-NIS-001"]
sites = ["school"]
"""
PASSWORD = "0123456789abcdef"
MAX_SERIES = 16  # of one metric: EVSEs (tests/gateway/csms/test_many_evses.py bounds them), reason codes and outcomes


def assert_neutral(text: str) -> None:
    """Assert that a text is lines without any character that is not visible."""
    assert foreign_text.line(text.replace("\n", "")) == text.replace("\n", "")


def assert_one_entry_a_line(text: str) -> None:
    assert_neutral(text)
    assert not re.search(r"(?m)^\s*(2\. F|2\. 2026-11-28|# h|\[31m)", text), text


class Process:
    """A gateway process and what is asked of it."""

    def __init__(self, folder: Path, ready: dict[str, Any]) -> None:
        self.folder, self.ocpp = folder, ready["ocpp_port"]
        token = Path(ready["admin_token_file"]).read_text().strip()
        base = f"http://127.0.0.1:{ready['admin_port']}"
        headers = {"Authorization": f"Bearer {token}"}
        self.http = httpx.AsyncClient(base_url=base, headers=headers, timeout=30, trust_env=False)

    async def get(self, path: str, **params: Any) -> str:
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, (path, answer.text)
        return answer.text

    async def v2x(self, *arguments: str) -> str:
        """Return what a command prints."""
        shown = self.folder / "shown"
        program = Program(*arguments, "-c", "gateway.toml", folder=self.folder, errors=shown, output=shown)
        status = await asyncio.to_thread(program.wait, 60)
        assert status == 0, shown.read_text()
        return shown.read_text()


@asynccontextmanager
async def gateway_process(folder: Path, broker: str, log: str) -> AsyncIterator[Process]:
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o600)
    (folder / "agreements.toml").write_text(AGREEMENTS)
    config = CONFIG.format(broker=broker, station=STATION, log=log, admin="{admin}")
    (folder / "gateway.toml").write_text(config.format(admin=0))
    process = Program("gateway", "-c", "gateway.toml", folder=folder, errors=folder / "log")
    try:
        async with asyncio.timeout(60):
            while not (lines := re.findall(r'(?m)^\{"event": "ready".*', (folder / "log").read_text())):
                assert process.poll() is None, (folder / "log").read_text()
                await asyncio.sleep(0.1)
        ready = json.loads(lines[0])
        (folder / "gateway.toml").write_text(config.format(admin=ready["admin_port"]))  # for the command line
        running = Process(folder, ready)
        async with running.http:
            yield running
        assert process.poll() is None
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 60)


async def send_as_station(gateway: Process) -> Station:
    """Send hostile texts in everything that a station and its vehicle may state, and answer calls with them."""
    about = {"Authorization": "Basic " + base64.b64encode(f"{STATION}:{PASSWORD}".encode()).decode()}
    url = f"ws://127.0.0.1:{gateway.ocpp}/ocpp/{STATION.replace('|', '%7C')}"
    socket = await connect(url, subprotocols=[Subprotocol("ocpp2.1")], additional_headers=about, proxy=None)
    station = Station(socket, Version.V21)
    for action in ("SetChargingProfile", "UpdateDynamicSchedule", "ClearChargingProfile"):
        station.answers[action] = {
            "status": "Rejected",
            "statusInfo": {"reasonCode": SHORT, "additionalInfo": FORGERY},
        }
    unit = {"model": SHORT, "vendorName": FORGERY[:50], "serialNumber": SHORT, "firmwareVersion": FORGERY[:50]}
    await station.ok("BootNotification", {"reason": "PowerUp", "chargingStation": unit})
    now = "2026-11-29T00:00:00Z"
    for number in range(1, EVSES + 1):
        body = {"timestamp": now, "connectorStatus": "Available", "evseId": number, "connectorId": 1}
        await station.send("StatusNotification", body)
    await station.ok("StatusNotification", body | {"connectorStatus": "Occupied", "evseId": 1})
    token = {
        "idToken": FORGERY,
        "type": "eMAID",
        "additionalInfo": [{"additionalIdToken": FORGERY, "type": "EVCCID"}],
    }
    event = {
        "eventType": "Started",
        "timestamp": now,
        "triggerReason": "CablePluggedIn",
        "seqNo": 0,
        "transactionInfo": {"transactionId": FORGERY[:36]},
        "evse": {"id": 1, "connectorId": 1},
        "idToken": token,
    }
    await station.ok("TransactionEvent", event)
    needs = {
        "requestedEnergyTransfer": "DC_BPT",
        "v2xChargingParameters": {"maxDischargePower": 10_000, "maxChargePower": 10_000},
    }
    await station.ok("NotifyEVChargingNeeds", {"evseId": 1, "maxScheduleTuples": 3, "chargingNeeds": needs})
    await station.ok("SecurityEventNotification", {"type": FORGERY[:50], "timestamp": now, "techInfo": FORGERY})
    await station.ok("DataTransfer", {"vendorId": FORGERY, "messageId": SHORT, "data": FORGERY})
    assert (await station.send(FORGERY[:36], {}))[0] == 4
    assert (await station.send("Heartbeat", {FORGERY: FORGERY}))[0] in (3, 4)
    assert (await station.send("BootNotification", {"reason": FORGERY, "chargingStation": unit}))[0] == 4
    return station


async def command_as_client(client: Facility) -> None:
    """Command with hostile ids, sources, reply topics and verbs; begin an outage."""
    level = STATION.replace("+", "%2B") + "-1"
    for number, more in enumerate(({"source": FORGERY[:64]}, {"reply_to": FORGERY}, {FORGERY: FORGERY}, {})):
        await client.send(f"evse/{level}/cmd/discharge", {"id": f"c{number}", "power_w": 1000, **more})
    await client.send(f"evse/{level}/cmd/discharge", {"id": FORGERY, "power_w": 1000})
    await client.send(f"evse/{level}/cmd/x <script>", {"id": "v", "power_w": 1000})
    await client.send("site/input/grid", {"present": FORGERY})
    await client.send("site/input/grid", {"ts": time.time(), "present": False})
    await client.until("evse/" + level + "/result", id="c3")


@pytest.mark.parametrize("log", ["console", pytest.param("json", marks=pytest.mark.soak)])
async def test_foreign_text_is_data_wherever_it_is_shown(tmp_path: Path, log: str) -> None:
    with mosquitto(tmp_path) as broker:
        async with facility(broker.port, root="v2x/1/school") as client:
            await client.client.subscribe("#", qos=1)
            async with gateway_process(tmp_path, broker.url, log) as gateway:
                station = await send_as_station(gateway)
                await client.until("gateway/gw1/status", state="online", within_s=30)
                await command_as_client(client)
                await asyncio.sleep(3)
                await assert_admin_api(gateway)
                await assert_journal(gateway)
                assert_metrics(await gateway.get("/metrics"))
                assert_mqtt(client)
                await station.close()
        console = (tmp_path / "log").read_text()
        assert "Traceback" not in console
        assert "forged" in console
        assert_one_entry_a_line(console)


async def assert_admin_api(gateway: Process) -> None:
    """Every route that shows them returns the text itself, as JSON without invisible characters."""
    for path in (
        "/stations",
        "/stations/%3D1%2B1%7Cx%40y",
        "/transactions",
        "/messages",
        "/security-events",
        "/violations",
        "/sessions",
        "/journal",
        "/blue-switch",
        "/blue-switch/arrivals",
        "/blue-switch/outages",
    ):
        text = await gateway.get("/admin/v1" + path)
        assert_neutral(text)
        json.loads(text)
    [unit] = json.loads(await gateway.get("/admin/v1/stations"))
    assert (unit["boot"]["vendor"], unit["boot"]["model"]) == (FORGERY[:50], SHORT)
    [transaction] = json.loads(await gateway.get("/admin/v1/transactions"))
    assert transaction["idToken"] == FORGERY
    outages: list[dict[str, Any]] = []
    for _ in range(100):
        outages = json.loads(await gateway.get("/admin/v1/blue-switch/outages"))
        if outages:
            break
        await asyncio.sleep(0.3)
    assert outages
    for outage in outages:
        shown = await gateway.get(f"/admin/v1/blue-switch/outages/{outage['id']}", format="markdown")
        assert_one_entry_a_line(shown)
        assert "forged" in shown
        assert "<script>" not in shown


async def assert_journal(gateway: Process) -> None:
    """All formats of the journal have one row an entry, and no cell is a formula."""
    selected = ("--steps", "--limit", str(len(json.loads(await gateway.get("/admin/v1/journal")))))
    text = await gateway.v2x("journal", *selected)
    assert "forged" in text
    assert_one_entry_a_line(text)
    rows = (await gateway.v2x("journal", "--format", "jsonl", *selected)).splitlines()
    assert all(isinstance(json.loads(row), dict) for row in rows)
    table = await gateway.v2x("journal", "--format", "csv", *selected)
    assert_neutral(table)
    header, *cells = csv.reader(io.StringIO(table))
    assert len(cells) == len(rows) == len(text.splitlines())
    for row in cells:
        assert len(row) == len(header)
        assert not [cell for cell in row if re.match(r"\s*[=+@|%]", cell)], row
    assert_one_entry_a_line(await gateway.v2x("explain", EVSE))


def assert_metrics(text: str) -> None:
    """The text format is valid, labels read back, and their number is bounded."""
    assert_neutral(text)
    families = list(text_string_to_metric_families(text))
    connected = next(one for one in families if one.name == "v2x_evse_connected")
    assert {sample.labels["evse"] for sample in connected.samples} == {
        f"{STATION}-{number}" for number in range(1, EVSES + 1)
    }
    for family in families:
        assert len(family.samples) <= MAX_SERIES, family.name
        assert not any("forged" in value for one in family.samples for value in one.labels.values())


def assert_mqtt(client: Facility) -> None:
    """Topics are such that brokers accept; names in them read back; discovery has no text that is not visible."""
    discovery = 0
    for message in client.raw:
        topic = str(message.topic)
        if not topic.startswith(("v2x/", "homeassistant/", "mirror/")) or "/cmd/" in topic:
            continue
        assert topic_fault(topic) is None
        if topic.startswith("v2x/1/school/evse/"):
            assert (from_topic_level(topic.split("/")[4]) or "").startswith(f"{STATION}-")
        if topic.startswith("homeassistant/device/") and message.payload:
            discovery += 1
            assert isinstance(message.payload, bytes)
            found = json.loads(message.payload)
            assert re.fullmatch(r"homeassistant/device/[A-Za-z0-9_-]+/config", topic)
            texts = [found["device"][name] for name in ("name", "manufacturer", "model")]
            assert [foreign_text.line(one) for one in texts] == texts
            assert "{{" not in "".join(texts)
    assert discovery >= EVSES
    states = [body for topic, body, _ in client.received if topic.endswith("-1/state") and isinstance(body, dict)]
    assert any(state.get("vendor") == FORGERY[:50] for state in states)
