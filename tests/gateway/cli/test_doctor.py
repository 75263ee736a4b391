"""`v2x doctor`: each check names what is wrong and the remedy, and nothing is changed."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import socket
import ssl
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from typer.testing import CliRunner

from emulators.runtime.embedded_broker import EmbeddedBroker
from gateway.cli import doctor
from gateway.cli.doctor import examine
from gateway.cli.findings import Finding, Verdict
from gateway.cli.main import app
from gateway.config import from_table
from gateway.config.lint import notes
from gateway.mqtt.client import AccessRefused, SubscriptionRefused
from tests.gateway.csms.test_security import Authority
from tests.gateway.mqtt.facility import free_port

GOOD = "a-password-of-20-chr"


def table(folder: Path, broker: str, **sections: Any) -> dict[str, Any]:
    (folder / "cp1").write_text(GOOD)
    (folder / "cp1").chmod(0o600)
    return {
        "mqtt": {"url": broker},
        "ocpp": {"listen": f"127.0.0.1:{free_port()}"},
        "stations": [{"id": "CP1", "password_file": "cp1"}],
        "admin": {"listen": f"127.0.0.1:{free_port()}"},
        **sections,
    }


def of(found: list[Finding], check: str) -> list[Finding]:
    return [one for one in found if one.check == check]


async def test_what_can_be_used_is_ok_and_nothing_is_changed(tmp_path: Path) -> None:
    async with EmbeddedBroker() as broker:
        found = await examine(from_table(table(tmp_path, broker.url), tmp_path))
    assert not [one for one in found if one.verdict is Verdict.FAILED], found
    assert {one.check for one in found} >= {"settings", "broker", "store", "ports", "clock", "passwords", "admin API"}
    assert of(found, "broker")[0].text == f"{broker.url} answers, MQTT 3.1.1"
    assert of(found, "store")[0].text.endswith("v2x.db is made at the first start")
    assert os.listdir(tmp_path) == ["cp1"]


async def test_each_failure_has_a_remedy(tmp_path: Path) -> None:
    short, twice = tmp_path / "short", tmp_path / "long"
    short.write_text("short")
    twice.write_text(50 * "x")
    (tmp_path / "v2x.db").write_text("no database, but a file of more than one hundred bytes" * 3)
    stations = [{"id": f"CP{number}", "password_file": file.name} for number, file in enumerate((short, short, twice))]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"ocpp": {"listen": f"127.0.0.1:{taken.getsockname()[1]}"}, "stations": stations}
        found = await examine(from_table(table(tmp_path, "mqtt://127.0.0.1:1", **ports), tmp_path))
    failed = {one.check for one in found if one.verdict is Verdict.FAILED}
    assert failed == {"broker", "store", "ports", "passwords"}
    assert all(one.remedy for one in found if one.verdict is Verdict.FAILED)
    assert of(found, "broker")[0].remedy.startswith("start the broker")
    notes = [one.text for one in of(found, "passwords") if one.verdict is Verdict.NOTE]
    assert notes == ["CP0, CP1: shorter than 16 characters, which OCPP 2.x requires", "CP0, CP1: the same password"]


async def test_certificates_that_end_soon_or_have_ended(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    certificate, key = ca.issue("localhost")
    ocpp = {"security_profile": 2, "tls_cert": certificate, "tls_key": key, "listen": "127.0.0.1:0"}
    web = {"listen": "127.0.0.1:0", "cert": certificate, "key": key}
    config = from_table(table(tmp_path, "mqtt://127.0.0.1:1", ocpp=ocpp, web=web), tmp_path)
    found = of(await examine(config), "certificates")
    assert [one.text.partition(":")[0] for one in found] == ["ocpp.tls_cert", "web.cert"]
    assert Verdict.FAILED not in {one.verdict for one in found}
    later = dt.datetime.now(dt.UTC).timestamp() + 400 * 86_400
    for ended in doctor._certificates(config, later):
        assert (ended.verdict, "expired on" in ended.text, ended.remedy) == (Verdict.FAILED, True, "renew it")
    for early in doctor._certificates(config, 0.0):
        assert early.verdict is Verdict.FAILED
        assert "correct the clock" in early.remedy


@pytest.mark.parametrize(
    ("wall", "in_sync", "verdict"),
    [(0.0, True, Verdict.FAILED), (1.8e9, True, Verdict.OK), (1.8e9, False, Verdict.NOTE), (1.8e9, None, Verdict.NOTE)],
)
def test_the_clock(wall: float, in_sync: bool | None, verdict: Verdict) -> None:
    assert doctor._clock(wall, in_sync).verdict is verdict


def caused_by(cause: Exception) -> ConnectionError:
    """Return the error of a link to a broker whose name has the words of other remedies."""
    found = ConnectionError("the broker mqtt://acl.certificate.example cannot be used")
    found.__cause__ = aiomqtt.MqttError("lost")
    found.__cause__.__context__ = cause  # as aiomqtt raises it
    return found


async def test_a_broker_whose_name_has_the_words_of_another_failure(tmp_path: Path) -> None:
    found = await examine(
        from_table(table(tmp_path, "mqtt://127.0.0.1:1", mqtt={"url": "mqtt://acl.localhost:1"}), tmp_path)
    )
    assert not of(found, "broker")[0].remedy.startswith("give the gateway's user the access list")


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (SubscriptionRefused("mqtt://h refuses a subscription to v2x/1/#"), "v2x mqtt-acl"),
        (AccessRefused("the broker mqtt://h cannot be used: [code:135] Not authorized"), "mqtt.password_file"),
        (caused_by(ssl.SSLCertVerificationError("certificate verify failed")), "mqtt.ca"),
        (caused_by(ConnectionRefusedError(111, "Connection refused")), "start the broker"),
        (caused_by(TimeoutError()), "the way to the broker"),
    ],
)
def test_the_remedy_for_the_broker_follows_from_the_kind_of_error(error: Exception, remedy: str) -> None:
    assert remedy in doctor._broker_remedy(error)


def test_the_exit_status_and_the_lines(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text('[mqtt]\nurl = "mqtt://127.0.0.1:1"\n[ocpp]\nsecurity_profile = 0\nlisten = "127.0.0.1:0"\n')
    done = CliRunner().invoke(app, ["doctor", "-c", str(config)])
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert any(line.startswith("FAILED broker") and " -> " in line for line in lines)
    done = CliRunner().invoke(app, ["doctor", "--json", "-c", str(config)])
    assert {json.loads(line)["verdict"] for line in done.output.splitlines()} == {"ok", "note", "FAILED"}
    config.write_text("[site]\nid = 1\nmin_soc_pct = 200\n")
    done = CliRunner().invoke(app, ["doctor", "-c", str(config)])
    assert done.exit_code == 1
    assert len(done.output.splitlines()) == 2
    assert "site.min_soc_pct" in done.output


def test_the_interface_of_slac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evse = {"id": "BAY", "driver": "secc", "board": "emulated", "slac": True, "interface": "lo"}
    config = from_table(table(tmp_path, "mqtt://127.0.0.1:1", evses=[evse]), tmp_path)
    gone = from_table(table(tmp_path, "mqtt://127.0.0.1:1", evses=[{**evse, "interface": "v2xnone"}]), tmp_path)

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("protocols.slac.io.socket.socket", refused)
    (finding,) = doctor._slac(config)
    assert finding.verdict is Verdict.FAILED
    assert "CAP_NET_RAW" in finding.text
    assert any(note.startswith("evses.0.slac: ") for note in notes(config))
    monkeypatch.setattr("protocols.slac.io.socket.socket", lambda *_: io.BytesIO())
    (finding,) = doctor._slac(config)
    assert (finding.verdict, "lo, which is" in finding.text) == (Verdict.OK, True)
    (finding,) = doctor._slac(gone)
    assert (finding.verdict, "No such file" in finding.text) == (Verdict.FAILED, True)
