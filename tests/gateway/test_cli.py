"""The command's surface: it starts quickly because it imports late, and every command says what it is for."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import typer.main

from gateway.cli import Bench, app

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
def test_every_command_and_option_says_what_it_is_for(path: str, command: Any) -> None:
    assert command.help, path
    for option in command.params:
        assert option.name in ("evses", "name", "directory") or getattr(option, "help", "x"), f"{path} {option.name}"


def test_the_contract_of_the_command_line() -> None:
    here = {path for path, _ in commands(typer.main.get_command(app))}
    for name in (
        "demo", "gateway", "check-config", "migrate", "charger", "secc", "ev", "exi decode", "exi encode", "pki create",
        "sim", "bench", "journal", "explain", "asyncapi", "mqtt-acl",
    ):  # fmt: skip
        assert f"v2x {name}" in here
    assert [one.value for one in Bench] == ["first-light", "exi", "iso20", "ocpp", "mqtt", "fleet", "dispatch", "plan"]
