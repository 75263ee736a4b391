"""`v2x sim`: valid and invalid combinations of speed and transports."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--transports", "string"], "memory or sockets"),
        (["--transports", "sockets", "--speed", "max"], "needs --transports memory"),
        (["--transports", "sockets", "--speed", "1000"], "at most 50 times"),
        (["--transports", "sockets", "--tls", "1.2"], "--tls 1.3"),
        (["--broker", "mqtt://there"], "--broker has no effect with transports in memory"),
        (["--interface", "eth0"], "--interface has no effect with transports in memory"),
        (["--tls", "1.3"], "--tls has no effect with transports in memory"),
        (["--speed", "fast"], "max, real or a number"),
        (["--speed", "-1"], "more than 0"),
        (["--live"], "need a limited speed"),
    ],
)
def test_an_invalid_combination_of_options_is_rejected_with_a_reason(options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["sim", "evening-at-home", *options])
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_the_former_option_for_transports_works_with_a_warning() -> None:
    result = CliRunner().invoke(app, ["sim", "evening-at-home", "--wires", "sockets", "--speed", "max"])
    assert "--wires is deprecated; use --transports" in result.output
    assert "needs --transports memory" in result.output
    assert "--wires" not in CliRunner().invoke(app, ["sim", "--help"]).output


@pytest.mark.timeout(120)
def test_the_result_names_its_transports() -> None:
    result = CliRunner().invoke(app, ["sim", "evening-at-home", "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["passed"]
    assert summary["transports"] == "memory"
