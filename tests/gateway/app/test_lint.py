"""Notes of `check-config` on files that other users can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import from_table
from gateway.config.lint import notes

FILES = {
    "stations.0.password_file": "cp1",
    "mqtt.password_file": "broker",
    "ocpp.tls_key": "server.key",
    "ocpp.ca_key": "ca.key",
    "admin.token_file": "token",
    "web.key": "page.key",
    "web.operator_token_file": "operator",
    "web.viewer_token_file": "viewer",
    "store.url": "v2x.db",
}


@pytest.mark.parametrize("key", FILES)
def test_a_secret_that_other_users_can_read_is_noted(key: str, tmp_path: Path) -> None:
    for name in FILES.values():
        (tmp_path / name).touch(mode=0o600)
    config = from_table(
        {
            "mqtt": {"url": "mqtt://127.0.0.1:1", "username": "gw", "password_file": "broker"},
            "ocpp": {"security_profile": 2, "tls_cert": "server.pem", "tls_key": "server.key", "ca_key": "ca.key"},
            "stations": [{"id": "CP1", "password_file": "cp1"}],
            "admin": {"listen": "127.0.0.1:80", "token_file": "token"},
            "web": {
                "listen": "0.0.0.0:443",
                "cert": "page.pem",
                "key": "page.key",
                "operator_token_file": "operator",
                "viewer_token_file": "viewer",
            },
            "store": {"url": "sqlite:///v2x.db"},
        },
        tmp_path,
    )
    assert notes(config) == []
    file = tmp_path / FILES[key]
    file.chmod(0o640)
    assert notes(config) == [f"{key}: {file} can be read by other users; chmod 600 it"]


def test_the_gateway_as_a_device_is_noted() -> None:
    device: dict[str, object] = {"evses": ["CP1-1", "CP9-1"]}
    table = {"store": {"url": "memory:"}, "stations": [{"id": "CP1"}], "ocpp": {"security_profile": 0}}
    open_to_all = [one for one in notes(from_table({**table, "echonet": {"device": device}})) if "echonet" in one]
    assert [one.partition(":")[0] for one in open_to_all] == ["echonet.device.controllers", "echonet.device.evses"]
    assert "CP9-1 is no configured EVSE" in open_to_all[1]
    restricted = {"evses": ["CP1-1"], "controllers": ["192.0.2.20"]}
    assert not [one for one in notes(from_table({**table, "echonet": {"device": restricted}})) if "echonet" in one]
