"""Operator commands: the journal as a report, explain over the admin API, the access list, migrate."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Parts, gateway
from gateway.cli import operator_actions
from gateway.cli.explanation import as_text
from gateway.config import Config, ConfigError, from_table
from gateway.mqtt.client import BrokerLink, Connector
from gateway.store.sql import SqlStore
from tests.gateway.commands.rig import service_rig


def config(tmp_path: Path, **sections: Any) -> Config:
    return from_table({"store": {"url": f"sqlite:///{tmp_path / 'v2x.db'}"}, **sections})


async def a_day(tmp_path: Path) -> None:
    async with service_rig("CP1-1", store=SqlStore(f"sqlite:///{tmp_path / 'v2x.db'}", "gw1")) as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=10, source="bems")
        await rig.wait(20)
        await rig.send("CP1-1", "discharge", "b", power_w=50_000, lease_s=10, source="=cmd()")
        await rig.wait(20)
        await rig.send("CP9-1", "discharge", "c", power_w=1)
        await rig.send("CP1-1", "jump", "d")
        await rig.journal.flush()


@pytest.mark.virtual_time
async def test_the_journal_contains_sender_grant_and_meter_values(tmp_path: Path) -> None:
    await a_day(tmp_path)
    text = await operator_actions.journal(config(tmp_path))
    lines = text.splitlines()
    assert len(lines) == 4
    assert (
        "discharge -5000 W by bems [a]  accepted -5000 W (command) -> achieved, meter -5000 W, ended: lease_expired"
        in lines[0]
    )
    assert "clamped -10000 W (station)" in lines[1]
    assert "refused" in lines[2]
    assert "nknown EVSE CP9-1" in lines[2]
    assert "not a verb of an EVSE" in lines[3]
    rows = [
        json.loads(line)
        for line in (await operator_actions.journal(config(tmp_path), format="jsonl", evse="CP1-1")).splitlines()
    ]
    assert [row["command"] for row in rows] == ["a", "b", "d"]
    assert (rows[0]["requested_w"], rows[0]["granted_w"], rows[0]["measured_w"]) == (-5000, -5000, -5000)
    table = list(csv.DictReader(io.StringIO(await operator_actions.journal(config(tmp_path), format="csv"))))
    assert table[1]["source"] == "'=cmd()"
    steps = await operator_actions.journal(config(tmp_path), steps=True, command="a")
    assert [line.split()[2] for line in steps.splitlines()][:4] == ["received", "validated", "journalled", "bound"]
    assert "no entry of the journal matches" in await operator_actions.journal(
        config(tmp_path), since="2030-01-01T00:00:00Z"
    )
    with pytest.raises(operator_actions.ToolError, match="--since must"):
        await operator_actions.journal(config(tmp_path), since="yesterday")
    with pytest.raises(operator_actions.ToolError, match="memory"):
        await operator_actions.journal(from_table({"store": {"url": "memory:"}}))


async def test_explain_queries_the_running_gateway(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame\n")
    settings = from_table(
        {
            "store": {"url": "memory:"},
            "ocpp": {"listen": "127.0.0.1:0", "security_profile": 0},
            "admin": {"listen": "127.0.0.1:0", "token_file": str(tmp_path / "token")},
            "stations": [{"id": "CP1"}],
        }
    )
    nowhere = Connector(BrokerLink("mqtt://127.0.0.1:1", "x"))
    async with gateway(settings, Parts(connect=nowhere)) as running:
        admin = settings.admin.model_copy(update={"listen": f"127.0.0.1:{running.admin_port}"})
        there = settings.model_copy(update={"admin": admin})
        explanation = await operator_actions.explain(there, "CP1-1")
        assert (explanation.effective_w, explanation.binding) == (0, "station")
        text = as_text(explanation)
        assert "> station" in text
        assert "The station is not connected." in text
        with pytest.raises(operator_actions.ToolError, match="nknown EVSE CP9-1"):
            await operator_actions.explain(there, "CP9-1")
        (tmp_path / "token").write_text("wrong\n")
        with pytest.raises(operator_actions.ToolError, match="rejects the token"):
            await operator_actions.explain(there, "CP1-1")
    with pytest.raises(operator_actions.ToolError, match="no gateway answers at"):
        await operator_actions.explain(there, "CP1-1")
    with pytest.raises(operator_actions.ToolError, match=r"set admin\.listen"):
        await operator_actions.explain(from_table({}), "CP1-1")


def test_the_access_list_requires_users_and_a_gateway() -> None:
    with pytest.raises(operator_actions.ToolError, match="no users"):
        operator_actions.mqtt_acl(from_table({}))
    with pytest.raises(operator_actions.ToolError, match="gateway = true"):
        operator_actions.mqtt_acl(from_table({"users": [{"name": "a"}]}))
    text = operator_actions.mqtt_acl(
        from_table(
            {"users": [{"name": "gw1", "gateway": True}, {"name": "bems", "read": ["CP1-1"], "command": ["CP1-1"]}]}
        )
    )
    bems = text.split("user bems\n")[1]
    assert "topic write v2x/1/site/evse/CP1-1/cmd/+" in bems
    assert "site/cmd" not in bems
    assert "evse/+" not in bems


def test_a_vehicle_provider_reads_only_the_states_of_other_sites() -> None:
    gateway = {"name": "gw1", "gateway": True}
    other = "topic read v2x/1/+/site/state"
    assert other not in operator_actions.mqtt_acl(from_table({"users": [gateway]}))
    text = operator_actions.mqtt_acl(from_table({"users": [gateway], "blue_switch": {"file": "lent.toml"}}))
    assert [line for line in text.splitlines() if "v2x/1/+" in line] == [other]
    named = {**gateway, "neighbours": ["school", "site"]}
    text = operator_actions.mqtt_acl(from_table({"users": [named], "blue_switch": {"file": "lent.toml"}}))
    assert "topic read v2x/1/school/site/state" in text
    assert other not in text
    town = {"name": "town", "neighbours": "all", "inputs": ["lent", "repaid"], "read": []}
    lines = operator_actions.mqtt_acl(from_table({"users": [gateway, town]})).split("user town\n")[1].splitlines()
    assert other in lines
    assert [line for line in lines if line.startswith("topic write ") and "/site/" in line] == [
        "topic write v2x/1/site/site/input/lent",
        "topic write v2x/1/site/site/input/repaid",
    ]


def test_check_config_names_the_missing_secret(tmp_path: Path) -> None:
    operator_actions.check(from_table({}))
    for table, says in (
        ({"admin": {"listen": "127.0.0.1:1", "token_file": "t"}}, "admin.token_file"),
        ({"stations": [{"id": "a", "password_file": "p"}]}, "stations.0.password_file"),
        ({"mqtt": {"url": "mqtts://x", "ca": "c"}}, "mqtt.ca"),
    ):
        with pytest.raises(ConfigError, match=says.replace(".", r"\.")):
            operator_actions.check(from_table(table, tmp_path))


def test_check_config_names_the_missing_vendor_profile(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "acme.toml").write_text('name = "acme"\nocpp = ["1.6"]\n')
    table = {"ocpp": {"security_profile": 0, "vendor_profiles": "own"}}
    for name in ("acme", "generic-2.1"):
        operator_actions.check(from_table({**table, "stations": [{"id": "a", "vendor_profile": name}]}, tmp_path))
    for name in ("nonsense", "../own/acme", ""):
        with pytest.raises(ConfigError, match=r"stations\.0\.vendor_profile.*acme, generic-1\.6, .*negative-limit"):
            operator_actions.check(from_table({**table, "stations": [{"id": "a", "vendor_profile": name}]}, tmp_path))
    (tmp_path / "own" / "acme.toml").write_text('name = "acme"\nocpp = ["9"]\n')
    with pytest.raises(ConfigError, match=r"ocpp\.vendor_profiles: .*acme\.toml"):
        operator_actions.check(from_table(table, tmp_path))
    with pytest.raises(ConfigError, match="is not a folder"):
        operator_actions.check(from_table({"ocpp": {"security_profile": 0, "vendor_profiles": "none"}}, tmp_path))


def test_check_config_reports_allowed_but_unusual_settings(tmp_path: Path) -> None:
    def keys(table: dict[str, Any]) -> list[str]:
        return [remark.partition(":")[0] for remark in operator_actions.check(from_table(table, tmp_path))]

    assert keys({}) == []
    named = {"stations": [{"id": name, "vendor_profile": name} for name in ("generic-2.1", "vendor-message")]}
    assert keys({**named, "ocpp": {"security_profile": 0}}) == ["stations.1.vendor_profile"]
    for listen, wanted in (
        ("127.0.0.1:0", []),
        ("[::1]:0", []),
        ("localhost:0", []),
        ("0.0.0.0:0", ["ocpp.security_profile", "ocpp.unknown_stations"]),
    ):
        ocpp = {"listen": listen, "security_profile": 0, "unknown_stations": "accept"}
        assert keys({"ocpp": ocpp}) == wanted
    assert keys({"admin": {"raw_calls": True}}) == ["admin.raw_calls"]
    assert keys({"mqtt": {"url": "mqtt://broker.example"}}) == ["mqtt.url"]
    assert keys({"mqtt": {"url": "mqtts://broker.example"}}) == []


async def test_migrate_and_asyncapi(tmp_path: Path) -> None:
    assert await operator_actions.migrate(config(tmp_path)) == {"site": (None, "0004")}
    assert await operator_actions.migrate(config(tmp_path)) == {"site": ("0004", "0004")}
    with pytest.raises(operator_actions.ToolError, match="nothing to migrate"):
        await operator_actions.migrate(from_table({"store": {"url": "memory:"}}))
    assert json.loads(operator_actions.asyncapi())["asyncapi"] == "3.0.0"
    assert (
        json.loads(operator_actions.asyncapi(from_table({"mqtt": {"url": "mqtt://b:1"}})))["servers"]["broker"]["host"]
        == "b:1"
    )


@pytest.mark.virtual_time
async def test_the_metrics_are_read_off_the_running_gateway() -> None:
    from gateway.mqtt.connection import BrokerLinks, MqttConnection
    from gateway.mqtt.topics import MqttSettings, Topics
    from gateway.observability.metrics import Metrics

    async with service_rig("CP1-1") as rig:
        connection = MqttConnection(
            rig.service,
            MqttSettings(Topics("home", "gw1")),
            BrokerLinks(Connector(BrokerLink("mqtt://x", "x"))),
            rig.clock,
        )
        metrics = Metrics(rig.service, connection, lambda: [True, True, False])
        await rig.send("CP1-1", "discharge", "a", power_w=5000)
        await rig.send("CP1-1", "discharge", "a", power_w=5000)  # a duplicate counts apart
        await rig.send("CP9-1", "discharge", "b", power_w=5000)
        assert rig.service.input("grid", b"{") is not None
        assert rig.service.command_counts()["accepted", "granted"] == 1
        await rig.wait(3)
        page = metrics.render().decode().splitlines()
        assert 'v2x_stations{state="connected"} 2.0' in page
        assert 'v2x_events_total{event="input_refused"} 1.0' in page
        assert 'v2x_evse_power_watts{evse="CP1-1"} -5000.0' in page
        assert 'v2x_commands_total{reason="granted",status="accepted"} 1.0' in page
        assert 'v2x_commands_total{reason="unknown_evse",status="refused"} 1.0' in page
        assert 'v2x_commands_total{reason="granted",status="duplicate"} 1.0' in page
        assert 'v2x_commands_total{reason="bad_input",status="input_refused"} 1.0' in page
        assert "v2x_broker_connected 0.0" in page
        assert 'v2x_mqtt_messages_total{outcome="quarantined"} 0.0' in page  # so that an increase is seen
        assert "v2x_journal_ok 1.0" in page
        rig.stations.unplug("CP1-1")
        await rig.wait(1)
        page = metrics.render().decode().splitlines()
        assert not [line for line in page if line.startswith("v2x_evse_power_watts{")]  # not known is not 0


def test_the_log_is_for_people_or_for_machines() -> None:
    import logging

    from gateway.observability.log import configure

    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        out = io.StringIO()
        configure("info", "json", out)
        logging.getLogger("v2x.mqtt").warning("no link to %s", "the broker")
        logging.getLogger("v2x.mqtt").debug("not shown")
        [line] = out.getvalue().splitlines()
        record = json.loads(line)
        assert (record["event"], record["level"], record["logger"]) == ("no link to the broker", "warning", "v2x.mqtt")
        out = io.StringIO()
        configure("debug", "console", out)
        logging.getLogger("v2x.core").info("hello")
        assert "hello" in out.getvalue()
    finally:
        root.handlers[:], root.level = before, level
