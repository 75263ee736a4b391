"""The files in `deploy`: consistent with one another and with the gateway. No container engine runs them here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

import gateway
from gateway.cli import operator_actions
from gateway.cli.main import app
from gateway.config import Config, host_and_port, load
from tests.gateway.mqtt.facility import free_port
from tests.peers import ROOT, program, python_peer

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
MADE = {"admin-token", "mqtt-gateway", "mqtt-users", "station-cp1", "grafana-admin"}


COMPOSE_SPEC = "compose-spec==0.2.1"  # parser of the Compose specification
PARSE = """
import json, sys, compose_spec
parsed = compose_spec.PyCompose.from_json(sys.stdin.read())
parsed.validate(), parsed.validate_volumes(), parsed.validate_secrets()
print(" ".join(sorted(parsed.service_names())))
"""


@pytest.fixture(scope="module")
def config() -> Config:
    return load(DEPLOY / "compose" / "gateway.toml")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `deploy` with the secrets that `make-secrets` writes."""
    folder = tmp_path_factory.mktemp("checkout") / "deploy"
    shutil.copytree(DEPLOY, folder, ignore=shutil.ignore_patterns("secrets", ".env"))
    for _ in range(2):  # the second run keeps what exists
        subprocess.run([folder / "compose" / "make-secrets"], check=True, capture_output=True, timeout=30)
    return folder


def test_the_services_are_those_of_the_documents() -> None:
    assert SERVICES.keys() == {"gateway", "mosquitto", "postgres", "prometheus", "grafana"}
    assert SERVICES["gateway"]["image"].endswith(f":{gateway.__version__}")


def parser() -> Path:
    """Return the interpreter of the environment of the parser."""
    return python_peer("compose-spec", COMPOSE_SPEC)


def compose_services(document: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run the parser on a document; it prints the services."""
    return subprocess.run(
        [parser(), "-c", PARSE], input=json.dumps(document), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.peer
def test_the_file_follows_the_compose_specification() -> None:
    assert compose_services(COMPOSE).stdout.split() == sorted(SERVICES)
    misspelt = {**COMPOSE, "services": {**SERVICES, "gateway": {**SERVICES["gateway"], "mem_limits": "2g"}}}
    assert "mem_limits" in compose_services(misspelt).stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_bounded_and_restarted(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}


@pytest.mark.parametrize("name", SERVICES)
def test_volumes_secrets_and_dependencies_exist(name: str) -> None:
    service = SERVICES[name]
    for volume in service.get("volumes", ()):
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (DEPLOY / source).exists(), source
            assert volume.endswith(":ro"), volume
        else:
            assert source in COMPOSE["volumes"], source
    assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys()
    assert set(service.get("depends_on", ())) <= SERVICES.keys()


def test_volumes_and_secrets_are_used() -> None:
    volumes = {volume.split(":")[0] for one in SERVICES.values() for volume in one.get("volumes", ())}
    assert COMPOSE["volumes"].keys() <= volumes
    assert {secret for one in SERVICES.values() for secret in one.get("secrets", ())} == COMPOSE["secrets"].keys()


def test_only_stations_and_clients_reach_ports_from_the_network() -> None:
    ports = {port for one in SERVICES.values() for port in one.get("ports", ())}
    assert ports == {"9000:9000", "1883:1883", "127.0.0.1:9001:9001", "127.0.0.1:9090:9090", "127.0.0.1:3000:3000"}


def test_the_secrets_are_made_once_and_closed_to_other_users(made: Path) -> None:
    files = {path.name: path for path in (made / "secrets").iterdir()}
    assert files.keys() == MADE
    assert {f"./secrets/{name}" for name in MADE} == {one["file"] for one in COMPOSE["secrets"].values()}
    assert (made / "secrets").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in files.values())
    assert 16 <= len(files["station-cp1"].read_text().strip()) <= 40
    assert len(files["admin-token"].read_text().strip()) >= 32
    assert files["mqtt-users"].read_text().startswith(f"gw1:{files['mqtt-gateway'].read_text().strip()}\n")
    assert re.fullmatch(r"POSTGRES_PASSWORD=\w{48}\n", (made / ".env").read_text())


def test_the_configuration_fits_the_services(config: Config) -> None:
    service = SERVICES["gateway"]
    secrets = [config.mqtt.password_file, config.admin.token_file, *(one.password_file for one in config.stations)]
    assert {path.name for path in secrets if path} == set(service["secrets"])
    assert all(path and path.parent == Path("/run/secrets") for path in secrets)
    exposed = re.search(r"^EXPOSE (.+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert exposed
    listening = [host_and_port(str(one)) for one in (config.ocpp.listen, config.admin.listen)]
    assert [str(port) for _, port in listening] == exposed[1].split()
    assert {host for host, _ in listening} == {"0.0.0.0"}
    assert config.mqtt.url == "mqtt://mosquitto:1883"
    database = SERVICES["postgres"]["environment"]
    assert config.store.url == f"postgresql://{database['POSTGRES_USER']}@postgres/{database['POSTGRES_DB']}"
    assert service["environment"]["PGPASSWORD"] == database["POSTGRES_PASSWORD"]


def test_the_access_list_is_that_of_the_configuration(config: Config) -> None:
    assert (DEPLOY / "compose" / "mosquitto.acl").read_text() == operator_actions.mqtt_acl(config)


def test_prometheus_reads_the_admin_port_with_the_token(config: Config) -> None:
    (job,) = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    host, port = host_and_port(job["static_configs"][0]["targets"][0])
    assert host in SERVICES
    assert host in config.admin.hosts
    assert port == host_and_port(str(config.admin.listen))[1]
    assert job["authorization"]["credentials_file"] == str(config.admin.token_file)


def test_grafana_is_provisioned_with_the_dashboard() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"].startswith("http://prometheus:9090")
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "v2x-gateway.yaml").read_text())["providers"]
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in SERVICES["grafana"]["volumes"]}
    folder = DEPLOY / mounted[provider["options"]["path"]]
    dashboards = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    assert {one["uid"] for one in dashboards} == {"v2x-gateway", "v2x-cluster"}
    for panels in (one["panels"] for one in dashboards):
        assert len({one["id"] for one in panels}) == len(panels)
        assert all(one["title"] for one in panels)


def test_the_image_copies_what_exists() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert [one for one in sources.split() if not (ROOT / one).exists()] == []
    assert re.search(r"^USER v2x$", text, re.MULTILINE)


def test_the_health_check_of_the_image_is_a_command() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    words = json.loads(re.search(r"^HEALTHCHECK .*?CMD (\[.+?\])$", text, re.MULTILINE | re.DOTALL)[1])  # type: ignore[index]
    command = typer.main.get_command(app).commands[words[1]]  # type: ignore[attr-defined]
    assert command.make_context(words[1], words[2:]).params["live"] is True
    assert words[-1] == str(Path(SERVICES["gateway"]["volumes"][0].split(":")[1]))


@pytest.mark.peer
def test_the_broker_takes_users_and_access_list(made: Path, tmp_path: Path) -> None:
    """Mosquitto itself, with the files of the compose file at other paths."""
    port = free_port()
    users = tmp_path / "users"
    shutil.copy(made / "secrets" / "mqtt-users", users)
    users.chmod(0o600)
    subprocess.run([program("mosquitto_passwd", "mosquitto"), "-U", users], check=True, timeout=30)
    text = (DEPLOY / "compose" / "mosquitto.conf").read_text()
    text = text.replace("listener 1883", f"listener {port} 127.0.0.1").replace("/mosquitto/users", str(users))
    text = text.replace("/mosquitto/config/", f"{DEPLOY / 'compose'}/").replace("/mosquitto/data/", f"{tmp_path}/")
    (tmp_path / "mosquitto.conf").write_text(text + "user root\n")
    passwords = dict(line.split(":") for line in (made / "secrets" / "mqtt-users").read_text().split())
    client = [program("mosquitto_pub", "mosquitto-clients"), "-p", str(port), "-q", "1", "-V", "5", "-m", "{}"]
    with subprocess.Popen([program("mosquitto", "mosquitto"), "-c", tmp_path / "mosquitto.conf"]) as broker:
        try:
            command = "v2x/1/shelter-1/evse/CP1-1/cmd/stop/bems"
            permitted = [*client, "-u", "bems", "-P", passwords["bems"], "-t", command]
            retry = 0
            while subprocess.run(permitted, capture_output=True, timeout=10, check=False).returncode and retry < 50:
                retry += 1
            assert retry < 50
            anonymous = subprocess.run([*client, "-t", command], capture_output=True, timeout=10, check=False)
            assert anonymous.returncode != 0
        finally:
            broker.kill()


def test_the_health_check_of_the_image_is_a_command_with_these_options(config: Config) -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    found = re.search(r"HEALTHCHECK [^\[]*CMD (\[.+\])$", text, re.MULTILINE)
    settings = re.search(r"^CMD (\[.+\])$", text, re.MULTILINE)
    assert found is not None
    assert settings is not None
    program, name, *words = json.loads(found[1])
    assert program == "v2x"
    command: Any = typer.main.get_command(app)
    parsed = command.commands[name].make_context(name, list(words)).params
    assert (parsed["live"], str(parsed["config"])) == (True, json.loads(settings[1])[-1])
    assert config.admin.listen is not None
