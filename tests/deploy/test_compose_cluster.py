"""`deploy/compose-cluster.yaml`: its environment makes the configuration of compose one of a cluster."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from gateway.cluster import metric_definitions, metrics
from gateway.config import host_and_port, load
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
    # The holder answers what is asked at either, under the name that was used there.
    assert config.admin.hosts == ["gateway", "gateway2", "site"]
    assert document()["services"][service]["networks"]["default"]["aliases"] == ["site"]


def test_the_services_are_bounded_and_the_image_has_what_they_need() -> None:
    services = document()["services"]
    assert services.keys() == {"gateway", "gateway2", "nats", "prometheus"}
    assert services["nats"]["restart"] == "unless-stopped"
    assert services["gateway2"]["ports"] == ["9010:9000", "127.0.0.1:9011:9001"]
    assert "cluster" in (DEPLOY / "Dockerfile").read_text()


def test_prometheus_reads_the_site_once_and_each_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every instance answers for the site: two targets of it would be counted twice."""
    services = document()["services"]
    for name, value in services["gateway"]["environment"].items():
        monkeypatch.setenv(name, value)
    config = load(DEPLOY / "compose" / "gateway.toml")
    (mounted,) = services["prometheus"]["volumes"]
    file, inside, _ = mounted.split(":")
    single = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["prometheus"]
    assert inside in {one.split(":")[1] for one in single["volumes"]}  # Compose replaces what has the same path
    read = yaml.safe_load((DEPLOY / file).read_text(encoding="utf-8"))
    alone = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    assert {**read, "scrape_configs": 0} == {**alone, "scrape_configs": 0}
    site, instances = read["scrape_configs"]
    (job,) = alone["scrape_configs"]
    assert {**site, "static_configs": 0} == {**job, "static_configs": 0}
    targets = {one["job_name"]: one["static_configs"][0]["targets"] for one in (site, instances)}
    gateways = [name for name, one in services.items() if "V2X_CLUSTER__INSTANCE" in one.get("environment", {})]
    assert [host_and_port(one)[0] for one in targets["v2x-instance"]] == gateways
    assert len(targets["v2x-gateway"]) == 1
    assert instances["metrics_path"] == metrics.ROUTE
    for one in (site, instances):
        assert one["authorization"]["credentials_file"] == str(config.admin.token_file)
        for host, port in map(host_and_port, targets[one["job_name"]]):
            assert (host in config.admin.hosts, port) == (True, host_and_port(str(config.admin.listen))[1])


def test_dashboard_and_alerts_use_metrics_of_an_instance_that_exist() -> None:
    known = {one.name: {*one.labels, "instance", "exported_instance"} for one in metric_definitions.DEFINITIONS}
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "v2x-cluster.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    alerts = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    assert set(re.findall(r"v2x_cluster_\w+", alerts)) <= known.keys()
    shown: set[str] = set()
    for query in queries:
        named = set(re.findall(r"v2x_\w+", query))
        assert named <= known.keys(), query
        grouped = re.search(r"by \(([^)]*)\)", query)
        labels = set(re.findall(r"(\w+)=~", query)) | set(grouped[1].split(", ") if grouped else ())
        assert all(labels <= known[name] for name in named), query
        shown |= named
    assert shown == known.keys()
