"""`deploy/compose-cluster.yaml`: its environment makes the configuration of compose one of a cluster."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gateway.config import load
from gateway.config.mapping import cluster_settings
from tests.peers import ROOT

DEPLOY = ROOT / "deploy"


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with the tags of Compose."""


_Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((DEPLOY / "compose-cluster.yaml").read_text(encoding="utf-8"), _Loader)
    return found


@pytest.mark.parametrize(("service", "instance"), [("gateway", "gw1"), ("gateway2", "gw2")])
def test_each_gateway_is_an_instance_of_its_own(service: str, instance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in document()["services"][service]["environment"].items():
        monkeypatch.setenv(name, value)
    config = load(DEPLOY / "compose" / "gateway.toml")
    settings = cluster_settings(config)
    assert (settings.instance, settings.servers) == (instance, ("nats://nats:4222",))
    assert config.admin.hosts == [service]  # under which other containers reach it


def test_the_services_are_bounded_and_the_image_has_what_they_need() -> None:
    services = document()["services"]
    assert services.keys() == {"gateway", "gateway2", "nats"}
    assert services["nats"]["restart"] == "unless-stopped"
    assert services["gateway2"]["ports"] == ["9010:9000", "127.0.0.1:9011:9001"]
    assert "cluster" in (DEPLOY / "Dockerfile").read_text()
