"""The command line: it starts quickly because it imports late, and every command has a help text."""

from __future__ import annotations

import os
import re
import shlex
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

MOST_MODULES = 190  # of a help text, the standard library included
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


@pytest.mark.parametrize("arguments", [["--help"], ["ev", "--help"], ["secc", "--help"], ["--version"]])
def test_help_imports_few_modules(arguments: list[str]) -> None:
    code = (
        "import atexit, sys; from gateway.cli import main; sys.argv = ['v2x', *sys.argv[1:]]; "
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    imported = set(done.stderr.split())
    assert not imported & set(HEAVY)
    assert len(imported) < MOST_MODULES, sorted(imported)


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


def groups(group: Any, context: Any) -> list[tuple[Any, Any]]:
    """Return all commands and groups with a context of 80 columns."""
    found = [(group, context)]
    for name, command in getattr(group, "commands", {}).items():
        found += groups(command, command.context_class(command, info_name=name, parent=context))
    return found


def everything() -> list[tuple[Any, Any]]:
    root: Any = typer.main.get_command(app)
    return groups(root, root.context_class(root, info_name="v2x", terminal_width=80, max_content_width=80))


@pytest.mark.parametrize(("command", "context"), everything(), ids=lambda one: getattr(one, "command_path", ""))
def test_help_is_whole_in_80_columns(command: Any, context: Any) -> None:
    lines = command.get_help(context).splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...") and not line.startswith("Usage:")]


@pytest.mark.parametrize(
    ("command", "context"),
    [one for one in everything() if not hasattr(one[0], "commands")],
    ids=lambda one: getattr(one, "command_path", ""),
)
def test_every_help_has_examples_that_can_be_parsed(command: Any, context: Any) -> None:
    text = command.get_help(context).rpartition("Examples:")[2]
    lines = re.sub(r"\\\n\s*", " ", text).strip().splitlines()
    assert lines
    root: Any = typer.main.get_command(app)
    for line in lines:
        _, v2x, words = line.partition("v2x ")
        assert v2x, line
        arguments = shlex.split(re.split(r"[<>|)]", words)[0])
        found, name, left = root, "v2x", arguments
        while hasattr(found, "commands"):
            name, found, left = found.resolve_command(found.context_class(found, info_name=name), left)
        assert found.name == command.name
        options = [one for one in left if one not in ("--list",)]
        if options:
            found.make_context(name, options, resilient_parsing=False)


def test_the_message_of_the_example_can_be_decoded() -> None:
    message = re.search(r"echo (\w+)", CliRunner().invoke(app, ["exi", "decode", "--help"]).output)
    assert message is not None
    done = CliRunner().invoke(app, ["exi", "decode", "--schema", "iso20-dc"], input=message[1] + "\n")
    assert (done.exit_code, "DC_PreChargeReq" in done.output) == (0, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = CliRunner().invoke(app, ["completion", shell])
    assert script.exit_code == 0
    assert "_V2X_COMPLETE" in script.output
    assert "v2x" in script.output


def test_the_shell_is_completed_by_the_program() -> None:
    environment = {**os.environ, "_V2X_COMPLETE": "complete_bash", "COMP_WORDS": "v2x ch", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "gateway.cli"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert sorted(done.stdout.split()) == ["chademo", "charger", "check-config"]
    assert done.stderr == ""


def test_check_config_counts_the_hosted_evses(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(
        """
[site]
id = "bench"
[[evses]]
id = "BAY1"
driver = "secc"
board = "emulated-parked"
listen = "127.0.0.1:15118"
""".lstrip()
    )
    result = CliRunner().invoke(app, ["check-config", "-c", str(config)])
    assert "valid (site bench, 0 stations, 1 hosted EVSEs)" in result.output


# What other tools rely on: every command, and the options that the contract names.
CONTRACT = {
    "demo": "--seconds --stay --json",
    "gateway": "-c",
    "check-config": "-c",
    "doctor": "-c --json",
    "health": "-c --live",
    "completion": "",
    "migrate": "-c",
    "charger": "--csms --id --ocpp --evses --secc",
    "secc": "--listen --interface --tls --pki --services --protocols --control --power-w --sessions --json",
    "ev": "--connect --interface --tls --pki --protocols --service --control --auth --profile --soc --loops --json",
    "chademo decode": "--html --json",
    "echonet scan": "--address --interface --port --node --seconds --json",
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
        "iso15118",
        "ocpp",
        "mqtt",
        "hosted",
        "fleet",
        "dispatch",
        "plan",
        "sim",
        "hostile",
        "chademo",
        "echonet",
        "cluster",
    ]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["ev", "--connect", "[::1]:1", "--auth", "pnc"], "v2x ev: --auth 'pnc' is not supported; choose from eim"),
        (["ev", "--connect", "[::1]:1", "--protocols", "iso20,iso3"], "v2x ev: --protocols 'iso3' is not supported"),
        (["secc", "--listen", "[::1]:0", "--protocols", "dim"], "v2x secc: --protocols 'dim' is not supported"),
    ],
)
def test_an_unsupported_protocol_is_rejected_with_the_supported_ones(words: list[str], answer: str) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert answer in result.output


@pytest.mark.parametrize("url", ["http://x", "x", "ws://", "ws://x:port/ocpp"])
def test_a_csms_at_another_url_than_that_of_a_websocket_is_a_wrong_option(url: str) -> None:
    result = CliRunner().invoke(app, ["conformance", "csms", url])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{url!r} is no WebSocket URL (ws://host:port/ocpp)" in result.output


@pytest.mark.parametrize(("role", "target"), [("charger", "127.0.0.1:0"), ("ev", "[::1]:0")])
def test_wrong_cases_are_rejected_before_the_tester_says_that_it_waits(role: str, target: str) -> None:
    result = CliRunner().invoke(app, ["conformance", role, target, "--case", "NONE-1"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "unknown case 'NONE-1'" in result.output


def v2x(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", *words]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)


def test_the_version_and_the_shipped_scenarios_are_printed() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"v2x {__version__}\n"
    listed = CliRunner().invoke(app, ["sim", "--list"]).output.split()
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
