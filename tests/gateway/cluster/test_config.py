"""Rules of `[cluster]`, and what `check-config` notes about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.config import ConfigError, from_table
from gateway.config.lint import notes
from gateway.config.mapping import cluster_settings

CLUSTER = {"servers": ["nats://127.0.0.1:4222"], "instance": "gw1"}
STORE = {"url": "postgresql://v2x@127.0.0.1/v2x"}


def table(**changed: Any) -> dict[str, Any]:
    return {"cluster": CLUSTER, "store": STORE, "ocpp": {"security_profile": 0}, **changed}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"cluster": {"servers": ["nats://n:4222"]}}, "instance is required with servers"),
        ({"cluster": {**CLUSTER, "servers": ["n:4222"]}}, "is not nats://host"),
        ({"cluster": {**CLUSTER, "cert": "c.pem"}}, "cert and key belong together"),
        ({"store": {"url": "sqlite:///v2x.db"}}, "the instances need one database"),
        ({"admin": {"listen": "127.0.0.1:9001"}}, "admin.token_file is required"),
        ({"meters": [{"driver": "modbus", "product": "sunspec", "address": "192.0.2.1"}]}, "are wired to one machine"),
    ],
)
def test_what_does_not_fit_a_cluster_is_an_error(changed: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        from_table(table(**changed))


def test_the_settings_are_those_of_the_file() -> None:
    settings = cluster_settings(from_table(table(cluster={**CLUSTER, "name": "c1", "replicas": 3, "lease_s": 8})))
    assert (settings.servers, settings.instance) == (("nats://127.0.0.1:4222",), "gw1")
    assert (settings.name, settings.replicas, settings.lease_s) == ("c1", 3, 8)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    config = from_table(table(cluster={**CLUSTER, "credentials_file": str(tmp_path / "none.creds")}))
    with pytest.raises(ConfigError, match=r"cluster.credentials_file: .*none.creds does not exist"):
        cluster_settings(config)


def test_a_long_lease_and_an_open_network_are_noted() -> None:
    assert notes(from_table(table())) == []
    found = notes(from_table(table(cluster={**CLUSTER, "lease_s": 20, "servers": ["nats://192.0.2.1:4222"]})))
    assert [one.partition(":")[0] for one in found] == ["cluster.lease_s", "cluster.servers"]
