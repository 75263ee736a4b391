"""The configuration: valid files are read, errors name the key."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.cli import operator_actions
from gateway.config import Config, ConfigError, from_table, load
from gateway.config.lint import notes
from gateway.config.mapping import broker_link, csms_settings, hosted_settings, mqtt_settings, service_settings
from gateway.config.page import settings_rows
from gateway.config.reference import HEAD, as_markdown
from gateway.drivers.secc.settings import bidirectional
from gateway.model.reason import Code
from gateway.model.result import Layer
from tests.peers import ROOT
from tests.rounds import rounds

EXAMPLE = re.search(r"```toml\n(.*?)```", HEAD, re.DOTALL)


def write(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(text)
    return path


def test_the_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    assert EXAMPLE is not None
    config = load(write(tmp_path, EXAMPLE.group(1)))
    assert config.site.export_limit_w == 0
    assert config.stations[0].password_file == tmp_path / "secrets" / "cp1"
    assert config.store.url == f"sqlite:///{tmp_path}/v2x.db"
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "cp1").write_text("a-long-enough-password\n")
    assert csms_settings(config).stations[0].password is not None
    assert service_settings(config).stations == ("CP1",)
    assert broker_link(config).client_id == "v2x-shelter-1-gw1"
    assert mqtt_settings(config).topics.root == "v2x/1/shelter-1"


def test_the_reference_page_matches_the_settings() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == as_markdown(), "run python -m gateway.config.reference"
    for section in Config.model_fields:
        assert f"[{section}" in as_markdown()


def test_every_layer_and_code_is_in_the_documentation() -> None:
    authority, mqtt = (ROOT / "docs" / name for name in ("control-hierarchy.md", "mqtt.md"))
    assert [layer for layer in Layer if f"| `{layer.value}` |" not in authority.read_text()] == []
    assert [code for code in Code if f"`{code.value}`" not in mqtt.read_text()] == []


EVSE = "[[evses]]\nid = 'BAY1'\ndriver = 'secc'\nboard = 'emulated'\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[site", "is not TOML"),
        (
            "[site]\nimport_limit = 3",
            "site.import_limit: is not a key of the gateway; known here are id, import_limit_w",
        ),
        ("[mqqt]\nurl = 1", "mqqt: is not a key of the gateway; known here are site, mqtt, ocpp"),
        ('[site]\nid = "a/b"', "site.id: "),
        ("[site]\nmin_soc_pct = 130", "site.min_soc_pct: Input should be less than or equal to 100"),
        ("[site]\nimport_limit_w = nan", "site.import_limit_w: "),
        ('[mqtt]\nurl = "http://x"', "mqtt.url: must be mqtt://host"),
        ('[mqtt]\nurl = "mqtt://x:port"', "mqtt.url: "),
        ('[mqtt]\ncert = "c"', "mqtt: cert and key belong together"),
        ('[mqtt]\nca = "c"', "mqtt: ca, cert and key need a url with mqtts://"),
        ('[ocpp]\nlisten = "9000"', "ocpp.listen: '9000' is not address:port"),
        ("[ocpp]\nsecurity_profile = 2", "ocpp: security profiles 2 and 3 need tls_cert and tls_key"),
        ('[admin]\nlisten = "0.0.0.0:80"\ntoken = false', "admin: listening on 0.0.0.0 needs a token"),
        ('[store]\nurl = "mysql://x"', "store.url: must be sqlite:///file"),
        ('[store]\nurl = "sqlite:v2x.db"', "store.url: must be sqlite:///file"),
        ('[[stations]]\nid = "a"\n[[stations]]\nid = "a"', "stations: a is listed twice"),
        ("[[stations]]\n", "stations.0.id: is missing"),
        ('[[stations]]\nid = "a:b"', "stations.0.id: "),
        ("[[users]]\nname = 'x'\nread = 'some'", "users.0.read"),
        ("[site.stale_after_s]\nwind = 3", "site.stale_after_s"),
        ("[site]\nimport_limit_w = true", "site.import_limit_w: must be a value, not true or false"),
        ('[mqtt]\nurl = "mqtt://x:0"', "mqtt.url: port 0 cannot be connected to"),
        ('[mqtt]\nmirror = "v2x/1/site"', "mirror: v2x and homeassistant are in use for other topics"),
        ('[mqtt]\nmirror = "ha"\nhomeassistant_prefix = "ha"', "mirror: v2x and ha are in use for other topics"),
        ('[store]\nurl = "sqlite://"', "store.url: names no file"),
        ("[commands]\ntolerance_w = 100000", "commands.tolerance_w: Input should be less than or equal to 1000"),
        ('[admin]\nlisten = "127.0.0.1:9000"', "admin.listen: port 9000 is that of ocpp.listen"),
        ("[site]\nimport_limit = 3", "; did you mean import_limit_w?"),
        (f"{EVSE}lisen = '127.0.0.1:1'", "evses.0.lisen: is not a key of the gateway"),
        (f"{EVSE}lisen = '127.0.0.1:1'", "did you mean listen?"),
        (EVSE, "evses.0: set either interface or listen"),
        (f"{EVSE}listen = '127.0.0.1:1'\nslac = true", "evses.0: slac needs interface, on which the modem is"),
        (f"{EVSE}listen = '127.0.0.1:1'\ninterface = 'eth1'", "evses.0: set either interface or listen"),
        (f"{EVSE}listen = '15118'", "evses.0.listen: '15118' is not address:port"),
        (f"{EVSE}interface = 'eth1'\ntls = '1.3'", "evses.0: tls and pki belong together"),
        (f"{EVSE}interface = 'eth1'\ntls = '1.2'\npki = 'pki'", "evses.0: tls 1.2 is for iso2"),
        (f"{EVSE}interface = 'eth1'\nservices = []", "evses.0.services: "),
        (f"{EVSE}interface = 'eth1'\n" * 2, "evses.1.id: BAY1 is listed twice"),
        (f"{EVSE}interface = 'eth1'\n[[stations]]\nid = 'bay1'", "evses.0.id: BAY1 is listed among the stations"),
        (f"{EVSE}listen = '127.0.0.1:9000'", "evses.0.listen: port 9000 is that of ocpp.listen"),
        ("[[evses]]\ndriver = 'secc'\nid = 'BAY-1'", "evses.0.id: BAY-1 would be an EVSE of a charging station"),
        ("a = " + "[" * 3000 + "]" * 3000, "nested too deeply"),
    ],
)
def test_an_error_names_the_key(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, text))
    assert message in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_the_environment_overrides_and_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "[mqtt]\ngateway_id = 'a'\n")
    monkeypatch.setenv("V2X_MQTT__GATEWAY_ID", "b")
    monkeypatch.setenv("V2X_SITE__IMPORT_LIMIT_W", "4200")
    monkeypatch.setenv("V2X_STATIONS", '[{"id": "CP7"}]')
    config = load(path)
    assert (config.mqtt.gateway_id, config.site.import_limit_w, config.stations[0].id) == ("b", 4200, "CP7")
    monkeypatch.setenv("V2X_MQQT__URL", "x")
    with pytest.raises(ConfigError, match="V2X_MQQT__URL: there is no section mqqt"):
        load(path)
    monkeypatch.delenv("V2X_MQQT__URL")
    monkeypatch.setenv("V2X_MQTT_GATEWAY_ID", "x")
    with pytest.raises(ConfigError, match="did you mean V2X_MQTT__GATEWAY_ID, with two underscores"):
        load(path)
    monkeypatch.delenv("V2X_MQTT_GATEWAY_ID")
    monkeypatch.setenv("V2X_STATIONS", "[{")
    with pytest.raises(ConfigError, match="environment: V2X_STATIONS must be JSON"):
        load(path)


@pytest.mark.parametrize(
    ("url", "message"), [("sqlite:///none/v2x.db", "does not exist; make it first"), ("sqlite:///here", "is a folder")]
)
def test_an_unusable_store_url_is_reported_before_the_start(url: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    config = from_table({"store": {"url": url}, "ocpp": {"security_profile": 0}}, tmp_path)
    with pytest.raises(ConfigError, match=f"store.url: .* {message}"):
        operator_actions.check(config)


def test_missing_files_and_secrets_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist; name the configuration with -c FILE"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "bytes.toml")
    config = from_table({"stations": [{"id": "CP1", "password_file": "nowhere"}]}, tmp_path)
    with pytest.raises(ConfigError, match=r"stations.0.password_file: .*nowhere cannot be read: No such file"):
        csms_settings(config)
    with pytest.raises(ConfigError, match="CP1 needs one with this security profile"):
        csms_settings(from_table({"stations": [{"id": "CP1"}]}))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


SECTIONS = st.dictionaries(
    st.sampled_from(["id", "url", "listen", "import_limit_w", "mode", "ca", "name"]), VALUES, max_size=4
)


@settings(max_examples=rounds(50, 200), suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from([*Config.model_fields, "x"]), VALUES | SECTIONS, max_size=3))
def test_any_table_is_a_configuration_or_an_error_message(table: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigError):  # and nothing else
        from_table(table)


def test_a_renamed_key_loads_with_a_warning_that_names_the_new_one(caplog: pytest.LogCaptureFixture) -> None:
    assert from_table({"commands": {"hold_s": 20}}).commands.valid_for_s == 20
    assert "commands.hold_s is now called valid_for_s" in caplog.text


def test_a_renamed_key_beside_its_new_name_is_an_error() -> None:
    with pytest.raises(ConfigError, match="hold_s is the former name of valid_for_s"):
        from_table({"commands": {"hold_s": 20, "valid_for_s": 20}})


def test_a_renamed_key_loads_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V2X_COMMANDS__HOLD_S", "20")
    assert from_table({}).commands.valid_for_s == 20


def hosted(folder: Path, **keys: object) -> Config:
    """Return a configuration with one hosted EVSE."""
    evse = {"id": "BAY1", "driver": "secc", "board": "emulated", "listen": "127.0.0.1:0", **keys}
    return from_table({"ocpp": {"security_profile": 0}, "store": {"url": "memory:"}, "evses": [evse]}, folder)


def test_the_settings_of_a_hosted_evse(tmp_path: Path) -> None:
    config = hosted(tmp_path, protocols=["iso20"], services=["dc_bpt"], control=["scheduled"], max_charge_w=6000)
    operator_actions.check(config)
    (one,) = hosted_settings(config)
    assert (one.address, one.protocols) == (("127.0.0.1", 0), ("iso20",))
    assert [service.name for service in one.services or ()] == ["DC_BPT"]
    assert (bidirectional(one, ac=False), one.max_charge_w, one.max_discharge_w) == (True, 6000, None)
    assert not bidirectional(hosted_settings(hosted(tmp_path, protocols=["iso2", "din"]))[0], ac=False)
    lumissil = hosted_settings(hosted(tmp_path, modem="lumissil", modem_address="00:16:e8:00:00:01"))[0].modem
    assert (lumissil.vendor, lumissil.address.hex()) == ("lumissil", "0016e8000001")
    assert service_settings(config).evses == ("BAY1",)
    assert csms_settings(config).reserved == {"bay1"}
    assert any(row[:2] == ("evses.0.board", "emulated") for row in settings_rows(config))


def test_the_settings_of_a_board_are_not_shown_on_the_page(tmp_path: Path) -> None:
    config = hosted(tmp_path, board_settings={"password": "secret"})
    assert not any("secret" in value for _, value, _ in settings_rows(config))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"board": "none"}, r"evses\.0\.board: unknown board none; installed: .*emulated"),
        ({"board_settings": {"max_charge": 3}}, r"evses\.0\.board: board emulated: board_settings\.max_charge"),
        ({"tls": "1.3", "pki": "none"}, r"evses\.0\.pki: .*none.* is missing; `v2x pki create`"),
        ({"listen": None, "interface": "none0"}, r"evses\.0\.interface: none0: "),
        ({"listen": "192.0.2.1:15118"}, r"evses\.0\.listen: 192\.0\.2\.1 is not an address of this machine"),
    ],
)
def test_what_a_hosted_evse_needs_is_verified_before_the_start(
    keys: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        operator_actions.check(hosted(tmp_path, **keys))


def test_a_hosted_evse_without_tls_on_a_network_is_noted(tmp_path: Path) -> None:
    assert not any("evses" in note for note in notes(hosted(tmp_path)))
    assert any("evses.0.tls: none" in note for note in notes(hosted(tmp_path, listen="0.0.0.0:0")))
    assert not any("evses" in note for note in notes(hosted(tmp_path, listen="0.0.0.0:0", protocols=["iso2", "din"])))


@pytest.mark.parametrize(
    ("device", "text"),
    [
        ({"evses": []}, "evses"),
        ({"evses": ["CP1-1", "CP1-1"]}, "must not be listed twice"),
        ({"evses": ["CP1-1"], "controllers": ["hems"]}, "is no IP address"),
        ({"evses": ["CP1-1"], "site": ["fridge"]}, "'storage', 'pv' or 'board'"),
        ({"evses": ["CP1-1"], "lease": 5}, "lease_s"),
    ],
)
def test_wrong_settings_of_the_gateway_as_a_device(device: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        from_table({"echonet": {"device": device}})
