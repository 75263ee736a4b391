"""Alert rules and configuration of Prometheus, by promtool; `tests/docs/test_facility_quick_start.py` runs queries."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.peers import ROOT, program

FOLDER = ROOT / "deploy" / "prometheus"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
CASES = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]

pytestmark = pytest.mark.peer


def promtool(*arguments: str | Path, cwd: Path = FOLDER) -> str:
    done = subprocess.run(
        [program("promtool", "prometheus"), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_valid() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "alerts.yml")


def test_the_unit_test_of_the_rules_passes() -> None:
    promtool("test", "rules", "alerts_test.yml")


def test_every_alert_is_silent_in_one_case_and_fires_in_another() -> None:
    names = {rule["alert"] for rule in RULES}
    silent, firing = (
        {one["alertname"]: bool(one.get("exp_alerts")) for one in case["alert_rule_test"]} for case in CASES[:2]
    )
    assert silent == dict.fromkeys(names, False)
    assert firing == dict.fromkeys(names, True)


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-cluster.yml"])
def test_the_configuration_is_valid(name: str, tmp_path: Path) -> None:
    text = (FOLDER / name).read_text()
    (tmp_path / "token").write_text("token")
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets/admin-token", str(tmp_path / "token")))
    (tmp_path / "alerts.yml").write_text((FOLDER / "alerts.yml").read_text())
    promtool("check", "config", "prometheus.yml", cwd=tmp_path)


def test_every_alert_is_on_the_page() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert set(re.findall(r"^\| `(V2x\w+)` \|", page, re.MULTILINE)) == {rule["alert"] for rule in RULES}
