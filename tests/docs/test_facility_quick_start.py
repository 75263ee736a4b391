"""The quick start of a facility controller, as its page says, with Mosquitto; Prometheus reads the same gateway."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import blocks
from tests.docs.programs import Programs, commands, programs
from tests.gateway.mqtt.facility import free_port, mosquitto
from tests.peers import ROOT, program

PAGE = ROOT / "docs" / "start" / "facility-controller.md"
DEPLOY = ROOT / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "v2x-gateway.json").read_text())
QUERIES = [
    (f"{panel['title']} {target['refId']}", target["expr"])
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
GRID = r"""
while sleep 2; do
    mosquitto_pub -p PORT -t v2x/1/shelter-1/site/input/grid \
        -m '{"power_w": 1000, "present": true, "ts": '$(date +%s)'}'
done
"""

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def quick_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """Everything that the page starts, with a vehicle in the charge loop."""
    folder = tmp_path_factory.mktemp("facility")
    with mosquitto(folder) as broker:
        ports = {"1883": broker.port, "9000": free_port(), "9001": free_port(), "15118": free_port()}
        with programs(folder, ports) as started:
            (toml,) = blocks(PAGE, "toml")
            (folder / "gateway.toml").write_text(started.line(toml.code))
            check, gateway, charger, ev, subscriber = commands(PAGE)[1:6]
            assert "valid" in started.run(check)
            started.start(subscriber)
            started.start(gateway)
            started.until("the gateway listens", lambda: '"ready"' in started.output("gateway"))
            started.start(charger, "--json")
            started.until(
                "a station", lambda: any(one["connection"] == "connected" for one in published(started, "state"))
            )
            started.start(ev, "--json")
            (folder / "grid.sh").write_text(GRID.replace("PORT", str(broker.port)))
            started.start("bash grid.sh")
            yield started


def published(started: Programs, topic: str) -> list[dict[str, Any]]:
    """Return the messages that mosquitto_sub has received on a topic of the EVSE."""
    prefix = f"v2x/1/shelter-1/evse/CP1-1/{topic} "
    lines = started.output("mosquitto_sub").splitlines()
    return [json.loads(line.removeprefix(prefix)) for line in lines if line.startswith(prefix) and line[-1] == "}"]


def test_a_query_of_the_dashboard_and_the_alerts_has_series(quick_start: Programs, tmp_path: Path) -> None:
    """Every query of the dashboard returns a series; every metric of an alert is there, as its unit test presumes."""
    port, token = free_port(), quick_start.folder / "admin-token"
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text().replace("15s", "1s")
    text = text.replace("gateway:9001", f"127.0.0.1:{quick_start.ports['9001']}")
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets/admin-token", str(token)))
    (tmp_path / "alerts.yml").write_text((DEPLOY / "prometheus" / "alerts.yml").read_text())
    root = "v2x/1/shelter-1/evse"
    publish = f"{program('mosquitto_pub', 'mosquitto-clients')} -p 1883 -q 1"
    with subprocess.Popen(
        [program("prometheus", "prometheus"), f"--config.file={tmp_path / 'prometheus.yml'}",
         f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as prometheus:  # fmt: skip
        try:
            quick_start.run(f'{publish} -t {root}/CP1-1/cmd/discharge -m \'{{"id": "q1", "power_w": 3000}}\'')
            quick_start.run(f'{publish} -t {root}/CP9-1/cmd/discharge -m \'{{"id": "q2", "power_w": 3000}}\'')
            quick_start.run(f"{publish} -t homeassistant/status -m offline")  # counted as ignored
            empty = dict(QUERIES)

            def all_have_series() -> bool:
                for name, expression in list(empty.items()):
                    if series(port, expression):
                        del empty[name]
                return not empty

            quick_start.until(f"series of {empty}", all_have_series)
            alerts = (DEPLOY / "prometheus" / "alerts.yml").read_text()
            names = {one for one in re.findall(r"v2x_\w+", alerts) if not one.startswith("v2x_cluster_")}
            assert [one for one in names if not series(port, one)] == []
        finally:
            prometheus.kill()


def series(port: int, expression: str) -> list[Any]:
    """Return what a query returns now, with the variables of the dashboard replaced."""
    for variable, value in (("$__rate_interval", "10s"), ("$__range", "10s"), ("$instance", ".*"), ("$evse", ".*")):
        expression = expression.replace(variable, value)
    query = urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=10) as answer:
            found: list[Any] = json.loads(answer.read())["data"]["result"]
            return found
    except urllib.error.HTTPError as error:
        if error.code == 503:  # not yet ready
            return []
        raise AssertionError(f"{expression}: {error.read().decode()}") from None
    except OSError:  # not yet listening
        return []


def test_the_page(quick_start: Programs) -> None:
    discharge, stop, explain, journal = commands(PAGE)[6:]
    quick_start.until(
        "the vehicle can discharge",
        lambda: any(state["available"]["max_discharge_w"] > 0 for state in published(quick_start, "state")),
    )

    def results(identifier: str) -> list[dict[str, Any]]:
        return [one for one in published(quick_start, "result") if one["id"] == identifier]

    quick_start.run(discharge)
    quick_start.until("two results", lambda: len(results("first-1")) >= 2)
    first, final = results("first-1")
    assert (first["status"], first["effective_w"]) == ("accepted", -5000)
    assert final["status"] == "achieved"
    assert final["measured"]["power_w"] < -4500
    quick_start.until(
        "4 Wh", lambda: (published(quick_start, "telemetry") or [{}])[-1].get("energy_discharged_wh", 0) > 4
    )
    quick_start.run(stop)
    quick_start.until("0 W", lambda: published(quick_start, "state")[-1]["setpoint_w"] == 0)
    assert published(quick_start, "state")[-1]["session_state"] == "in_session"
    assert "CP1-1" in quick_start.run(explain)
    assert "first-1" in quick_start.run(journal)
    summary = json.loads(quick_start.interrupt("ev")[-1])
    assert (summary["event"], summary["ok"]) == ("Summary", True)
    assert summary["energy_out_wh"] > 3
    quick_start.until("no vehicle", lambda: published(quick_start, "state")[-1]["session_state"] == "available")
    sent = [json.loads(line) for line in quick_start.interrupt("charger") if line.startswith("{")]
    transaction = [one["message"][3]["eventType"] for one in sent if one["event"] == "Ocpp" and one["message"][0] == 2
                   and one["message"][2] == "TransactionEvent"]  # fmt: skip
    assert [transaction[0], transaction[-1]] == ["Started", "Ended"]
    quick_start.until("the station is away", lambda: published(quick_start, "state")[-1]["connection"] == "offline")
    assert "Traceback" not in "\n".join(quick_start.interrupt("gateway"))
