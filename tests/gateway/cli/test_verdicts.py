"""`v2x check-config` and `v2x gateway` give the same verdict: a broken configuration is one line, not a traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app

STATION = '[[stations]]\nid = "CP1"\n'
OPEN = "[ocpp]\nsecurity_profile = 0\n"
AGREEMENTS = """
[[agreement]]
id = "a"
kind = "outage"
[[car]]
vehicle = "v"
base = "elsewhere"
capacity_wh = 1000
"""
BROKEN = {  # configuration, and what the message contains
    "not TOML": ("[site\n", "is not TOML"),
    "wrong type": ('[site]\nimport_limit_w = "much"\n', "site.import_limit_w"),
    "boolean for a number": ("[site]\nimport_limit_w = true\n", "must be a value, not true or false"),
    "table for a text": ("[site.id]\na = 1\n", "site.id"),
    "text for a table": ('site = "home"\n', "site"),
    "list for a table": ("[[mqtt]]\n", "mqtt"),
    "date for a text": ("[site]\nid = 2026-01-01\n", "site.id"),
    "infinite": ("[mqtt]\nbroker_grace_s = inf\n", "mqtt.broker_grace_s"),
    "unknown key": ("[mqtt]\nulr = 1\n", "mqtt.ulr: is not a key of the gateway"),
    "unknown table": ("[mqqt]\n", "mqqt"),
    "unknown mode": ('[site]\nmode = "fast"\n', "site.mode"),
    "broker without scheme": ('[mqtt]\nurl = "127.0.0.1"\n', "mqtt.url"),
    "port that is no number": ('[mqtt]\nurl = "mqtt://h:x"\n', "mqtt.url"),
    "password file of the broker": ('[mqtt]\npassword_file = "nowhere"\n', "mqtt.password_file"),
    "CA of the broker": ('[mqtt]\nurl = "mqtts://h"\nca = "nowhere"\n', "mqtt.ca"),
    "CA of the broker that is none": ('[mqtt]\nurl = "mqtts://h"\nca = "text"\n', "mqtt.ca"),
    "listen without port": ('[ocpp]\nlisten = "127.0.0.1"\n', "ocpp.listen"),
    "address of another machine": (OPEN + 'listen = "192.0.2.7:0"\n', "ocpp.listen: 192.0.2.7 is not an address"),
    "host that does not exist": (OPEN + 'listen = "no.such.invalid:0"\n', "ocpp.listen"),
    "same port twice": (OPEN + 'listen = "127.0.0.1:90"\n[admin]\nlisten = "127.0.0.1:90"\n', "admin.listen: port 90"),
    "TLS without certificate": ("[ocpp]\nsecurity_profile = 2\n", "tls_cert and tls_key"),
    "certificate that does not exist": (
        '[ocpp]\nsecurity_profile = 2\ntls_cert = "nowhere"\ntls_key = "text"\n',
        "ocpp.tls_cert",
    ),
    "certificate that is none": (
        '[ocpp]\nsecurity_profile = 2\ntls_cert = "text"\ntls_key = "text"\n',
        "not a certificate and its key in PEM",
    ),
    "key of the authority that is none": (
        OPEN + 'tls_ca = "text"\nca_key = "text"\n',
        "ocpp.ca_key",
    ),
    "page without TLS": ('[web]\nlisten = "0.0.0.0:0"\n', "needs cert and key"),
    "page with a certificate that is none": (
        '[web]\nlisten = "0.0.0.0:0"\ncert = "text"\nkey = "text"\noperator_token_file = "text"\n',
        "web.cert and web.key",
    ),
    "token of the page": (
        '[web]\nlisten = "0.0.0.0:0"\nbehind_proxy = true\noperator_token_file = "nowhere"\n',
        "web.operator_token_file",
    ),
    "revocation list": (OPEN + 'tls_ca = "text"\ntls_crl = "nowhere"\n', "ocpp.tls_crl"),
    "station without password": ("[ocpp]\nsecurity_profile = 1\n" + STATION, "stations.0.password_file"),
    "password that is two lines": (STATION + 'password_file = "lines"\n', "one line"),
    "password file that is a folder": (STATION + 'password_file = "."\n', "stations.0.password_file"),
    "password that is not UTF-8": (STATION + 'password_file = "bytes"\n', "stations.0.password_file"),
    "station twice": (OPEN + STATION + STATION.replace("CP1", "cp1"), "stations"),
    "unknown vendor profile": (OPEN + STATION + 'vendor_profile = "acme"\n', "there is no 'acme'"),
    "folder of vendor profiles": (OPEN + 'vendor_profiles = "nowhere"\n', "ocpp.vendor_profiles"),
    "folder of the store": ('[store]\nurl = "sqlite:///nowhere/v2x.db"\n', "store.url: the folder"),
    "store that is a folder": ('[store]\nurl = "sqlite:///."\n', "store.url"),
    "unknown store": ('[store]\nurl = "mysql://h/d"\n', "store.url"),
    "port of the store": ('[store]\nurl = "postgresql://u@h:x/d"\n', "store.url"),
    "parameter of the store": ('[store]\nurl = "postgresql://u@h/d?sslmod=require"\n', "store.url: sslmod is no"),
    "authority of the store": (
        '[store]\nurl = "postgresql://u@h/d?sslmode=verify-full&sslrootcert=/nowhere"\n',
        "store.url: sslrootcert: /nowhere does not exist",
    ),
    "token file": ('[admin]\nlisten = "127.0.0.1:0"\ntoken_file = "nowhere"\n', "admin.token_file"),
    "open admin API on a network": ('[admin]\nlisten = "0.0.0.0:1"\ntoken = false\n', "needs a token"),
    "inbox": ('[[users]]\nname = "a"\ninbox = "v2x/1/"\n', "users"),
    "inboxes that overlap": (
        '[[users]]\nname = "a"\ninbox = "x/"\n[[users]]\nname = "b"\ninbox = "x/y/"\n',
        "overlap",
    ),
    "agreement file": ('[blue_switch]\nfile = "nowhere"\n', "blue_switch.file"),
    "agreement file that is not TOML": ('[blue_switch]\nfile = "text"\n', "blue_switch.file"),
    "agreement file with an unknown base": ('[blue_switch]\nfile = "agreements"\n', "blue_switch.file"),
    "time zone": ('[energy]\ntime_zone = "Mars/Base"\n', "energy"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_configuration_has_the_same_message_at_both_commands(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, expected = BROKEN[name]
    files = {"gateway.toml": content, "text": "text", "lines": "a\nb", "agreements": AGREEMENTS}
    for file, text in files.items():
        Path(file).write_text(text)
    Path("bytes").write_bytes(b"\xff\xfe\xff")
    runner, messages = CliRunner(), []
    for command in ("check-config", "gateway"):
        done = runner.invoke(app, [command, "-c", "gateway.toml"])
        assert done.exit_code == 2, (command, done.output, done.exception)
        messages.append(done.stderr)
    assert messages[0] == messages[1]
    assert expected in messages[0]
    assert all(line.strip() for line in messages[0].splitlines())
    assert not Path("v2x.db").exists()


@pytest.mark.parametrize("name", ["nowhere", ".", "gateway.bin"])
def test_a_file_that_cannot_be_read_has_the_same_message_at_every_command(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gateway.bin").write_bytes(bytes(range(256)))
    commands = ("gateway", "check-config", "doctor", "health", "migrate", "journal", "asyncapi", "mqtt-acl")
    for command in (*commands, "explain CP1-1"):
        done = CliRunner().invoke(app, [*command.split(), "-c", name])
        assert done.exit_code == (1 if command == "doctor" else 2), (command, done.output)
        assert isinstance(done.exception, SystemExit)
        assert f"{name} " in done.output


def test_a_missing_extra_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    (tmp_path / "gateway.toml").write_text('[store]\nurl = "postgresql://u@127.0.0.1:1/d"\n')
    for command in ("check-config", "gateway"):
        done = CliRunner().invoke(app, [command, "-c", str(tmp_path / "gateway.toml")])
        assert done.exit_code == 2
        assert "pip install 'v2x-gateway[postgres]'" in done.stderr


CHARGER = "charger --csms ws://127.0.0.1:1/ocpp"
MISTAKES = {
    "charger --csms http://user:secret@h": "the address of the CSMS is ws://host:port/path",
    "charger --csms ws://": "the address of the CSMS is",
    "charger --csms ws://127.0.0.1:99999": "--csms: Port out of range",
    f"{CHARGER} --id a/b": "--id: 'a/b' is not the id of a station",
    f"{CHARGER} --password-file nowhere": "--password-file: nowhere cannot be read",
    f"{CHARGER} --car nowhere": "unknown car profile 'nowhere'",
    f"{CHARGER} --vendor-profile nowhere": "no vendor profile 'nowhere'",
    f"{CHARGER} --secc nonsense": "is not [ADDRESS]:PORT",
    f"{CHARGER} --secc 192.0.2.1:5": "--secc: ",
    f"{CHARGER} --state text": "text",
    f"{CHARGER} --ca nowhere": "--ca: nowhere does not exist",
    f"{CHARGER} --ca text": "not a certificate and its key in PEM",
    f"{CHARGER} --cert text --key text": "not a certificate and its key in PEM",
    f"{CHARGER} --cert text": "--cert and --key belong together",
    "secc": "give either an address to listen on or an interface",
    "secc --listen 127.0.0.1:99999": "is not [ADDRESS]:PORT",
    "secc --listen 192.0.2.1:5": "can't listen on",
    "secc --interface nowhere0": "no network interface 'nowhere0'",
    "secc --listen [::1]:0 --services x": "unknown service 'x'",
    "secc --listen [::1]:0 --power-w nan": "finite numbers",
    "ev --connect x": "is not [ADDRESS]:PORT",
    "ev --connect [::1]:1 --profile text": "unknown car profile 'text'",
    "ev --connect [::1]:1 --tls 1.2": "needs --tls 1.3",
    "pki create text": "Not a directory",
    "sim nowhere": "shipped scenarios",
    "sim text": "not TOML",
    "sim evening-at-home --transports sockets --broker mqtt://127.0.0.1:1": "no broker answers at mqtt://127.0.0.1:1",
    "sim evening-at-home --speed nan": "--speed is virtual seconds per second",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_line_and_not_a_traceback(words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("text")
    done = CliRunner().invoke(app, words.split())
    assert (done.exit_code, isinstance(done.exception, SystemExit)) == (2, True), done.exception
    assert MISTAKES[words] in done.output
    assert "secret" not in done.output
    assert len(done.output.strip().splitlines()) == 1
