"""The command line: it starts quickly because it imports late, and every command has a help text."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from gateway import __version__
from gateway.cli.main import Bench, app

HEAVY = (
    "sqlalchemy",
    "fastapi",
    "numpy",
    "highspy",
    "websockets",
    "aiomqtt",
    "cryptography",
    "pydantic",
    "emulators",
    "protocols",
    "asyncio",
    "rich",
)


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, gateway.cli; print([m for m in sys.argv[1:] if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def commands(group: Any, path: str = "v2x") -> list[tuple[str, Any]]:
    found = []
    for name, command in sorted(group.commands.items()):
        found += commands(command, f"{path} {name}") if hasattr(command, "commands") else [(f"{path} {name}", command)]
    return found


@pytest.mark.parametrize(("path", "command"), commands(typer.main.get_command(app)), ids=lambda one: str(one)[:30])
def test_every_command_and_option_has_help_text(path: str, command: Any) -> None:
    assert command.help, path
    for option in command.params:
        assert option.name in ("evses", "name", "directory") or getattr(option, "help", True), f"{path} {option.name}"


# What other tools rely on: every command, and the options that the contract names.
CONTRACT = {
    "demo": "--seconds --json",
    "gateway": "-c",
    "check-config": "-c",
    "migrate": "-c",
    "charger": "--csms --id --ocpp --evses --secc",
    "secc": "--listen --interface --tls --pki --services --protocols --control --power-w --sessions --json",
    "ev": "--connect --interface --tls --pki --protocols --service --control --auth --profile --soc --loops --json",
    "exi decode": "--pretty --explain --v2gtp --protocol --base64 --pcap",
    "exi encode": "--pretty --v2gtp --base64",
    "pki create": "",
    "sim": "--speed --report --json",
    "bench": "--json",
    "journal": "",
    "explain": "",
    "asyncapi": "",
    "mqtt-acl": "",
}


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_of_the_command_line(name: str) -> None:
    here = dict(commands(typer.main.get_command(app)))[f"v2x {name}"]
    assert set(CONTRACT[name].split()) <= {option for one in here.params for option in one.opts}


def test_the_benchmarks() -> None:
    assert [one.value for one in Bench] == [
        "first-light",
        "exi",
        "iso20",
        "ocpp",
        "mqtt",
        "fleet",
        "dispatch",
        "plan",
        "sim",
        "hostile",
    ]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["ev", "--connect", "[::1]:1", "--auth", "pnc"], "v2x ev: --auth 'pnc' is not supported; choose from eim"),
        (["ev", "--connect", "[::1]:1", "--protocols", "iso20,iso2"], "v2x ev: --protocols 'iso2' is not supported"),
        (["secc", "--listen", "[::1]:0", "--protocols", "din"], "v2x secc: --protocols 'din' is not supported"),
    ],
)
def test_an_unsupported_protocol_is_rejected_with_the_supported_ones(words: list[str], answer: str) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert answer in result.output


def v2x(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", *words]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)


def test_the_version_and_the_shipped_scenarios_are_printed() -> None:
    assert v2x("--version").stdout == f"v2x {__version__}\n"
    listed = v2x("sim", "--list").stdout.split()
    assert {"evening-at-home", "night-outage-welfare"} <= set(listed)


@pytest.mark.parametrize(("lines", "status"), [("", 0), ('{"schema": "iso20-dc", "exi": "8034"}\n', 1), ("{\n", 1)])
def test_a_line_that_cannot_be_decoded_shows_in_the_exit_status(lines: str, status: int) -> None:
    done = v2x("exi", "decode", given=lines)
    assert done.returncode == status
    assert done.stderr == ""


def test_a_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -m gateway.cli exi decode | true"
    lines = "{\n" * 1_000
    done = subprocess.run(["bash", "-c", command], input=lines, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    many = f"{sys.executable} -m gateway.cli asyncapi | head -c 10"
    done = subprocess.run(["bash", "-c", many], capture_output=True, text=True, timeout=60, check=False)
    assert (len(done.stdout), done.stderr) == (10, "")


def test_the_first_example_has_an_admin_api_for_explain() -> None:
    example = Path(__file__).parents[3] / "examples" / "first-light" / "gateway.toml"
    assert tomllib.loads(example.read_text("utf-8"))["admin"]["listen"].startswith("127.0.0.1:")
