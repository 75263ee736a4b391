"""Snippets of the documents: configurations load, commands exist with their options, payloads are valid.

The quick starts are run as a whole in `test_quick_starts.py`; `docs/exi.md` has a test of its own.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
import yaml

import gateway
from emulators.conformance import capabilities
from emulators.conformance.iso15118.secc_discovery import CAPABILITIES as SECC_CAPABILITIES
from emulators.conformance.ocpp.station_bench import laboratory
from emulators.ev import profile
from emulators.faults import injection_file
from emulators.scenario import loading
from gateway.blue_switch import agreement_file
from gateway.cli.main import app
from gateway.config import Config, from_table, load
from gateway.energy.settings import EnergySection
from gateway.model.command import Channel, Malformed, Submission, parse
from gateway.model.energy_state import EnergyState
from protocols.modbus import register_map
from protocols.ocpp.vendor import VendorProfile
from tests.docs.pages import PAGES, Block, all_blocks, shell_lines
from tests.docs.test_references import operations
from tests.peers import ROOT

COMMANDS: Any = typer.main.get_command(app)
MAKE = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
SHELL = [block for block in all_blocks("sh", "") if block.page.name != "exi.md"]
FILES = {"py", "md", "toml"}  # what follows the dot in the name of a file
LINES = [(str(block), line) for block in SHELL for line in shell_lines(block)]


def vendor_profile(table: dict[str, Any]) -> object:
    return VendorProfile.model_validate(table)


def kinds_of_toml(block: Block) -> dict[str, Callable[[], object]]:
    """Return how a block is read as each kind of file."""
    table = tomllib.loads(block.code)
    return {
        "configuration": lambda: from_table(table),
        "scenario": lambda: loading.parse(block.code, str(block)),
        "agreement file": lambda: agreement_file.parse(block.code, str(block)),
        "vendor profile": lambda: vendor_profile(table),
        "register map": lambda: register_map.parse(block.code),
        "injections": lambda: injection_file.check(table, str(block)),
        "capabilities": lambda: capabilities.parse(block.code, str(block), SECC_CAPABILITIES),
    }


@pytest.mark.parametrize("block", all_blocks("toml"), ids=str)
def test_a_block_of_toml_is_a_valid_file(block: Block) -> None:
    refused, kinds = {}, kinds_of_toml(block)
    for kind, read in kinds.items():
        try:
            read()
        except Exception as error:
            refused[kind] = str(error).splitlines()[:3]
    assert len(refused) < len(kinds), refused


EXAMPLES = sorted(path for path in (ROOT / "examples").rglob("*.toml") if path.name != "pyproject.toml")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_file_of_the_examples_is_valid(path: Path) -> None:
    if path.name == "gateway.toml":
        assert load(path).stations
    elif path.name == "device.toml":
        assert capabilities.load(path, SECC_CAPABILITIES).device.vendor
    elif path.name.startswith("lab"):
        lab = laboratory(path)
        assert lab.connected or lab.commands
    else:
        assert profile.load(path).name


@pytest.mark.parametrize("block", all_blocks("json"), ids=str)
def test_a_block_of_json_is_json(block: Block) -> None:
    json.loads(block.code)


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=str)
def test_a_block_of_yaml_is_yaml(block: Block) -> None:
    assert yaml.safe_load(block.code)


@pytest.mark.parametrize("block", [one for one in all_blocks("python") if one.page.name != "exi.md"], ids=str)
def test_a_block_of_python_compiles(block: Block) -> None:
    compile(block.code, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize(("place", "line"), [one for one in LINES if re.search(r"(^|\| )v2x ", one[1])])
def test_a_command_has_these_options(place: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(re.split(r" [<>|] ", re.split(r"(?:^|\| )v2x ", line, maxsplit=1)[1])[0])
    group = COMMANDS
    while hasattr(group, "commands"):
        assert words[0] in group.commands, f"{place}: v2x {words[0]}"
        name = words.pop(0)
        group = group.commands[name]
    with contextlib.suppress(typer.Exit):  # an option such as --list ends the command
        context = group.make_context(name, words)
        assert context.params.keys() >= {one.name for one in group.params if one.required}


def test_commands_and_targets_in_the_text_exist() -> None:
    known = {"v2x": set(COMMANDS.commands), "make": MAKE}
    unknown = [
        f"{page.name}: {program} {name}"
        for page in PAGES
        for program, name in re.findall(r"`(v2x|make) ([a-z][a-z-]+)[^`\n]*`", page.read_text(encoding="utf-8"))
        if name not in known[program]
    ]
    assert unknown == []


@pytest.mark.parametrize(("place", "line"), [one for one in LINES if one[1].startswith("mosquitto_pub")])
def test_a_published_command_is_valid(place: str, line: str) -> None:
    words = shlex.split(line)
    topic, payload = words[words.index("-t") + 1], words[words.index("-m") + 1]
    levels = topic.split("/")
    evse = levels[4] if levels[3] == "evse" else None
    found = parse(Submission(evse, levels[levels.index("cmd") + 1], payload.encode(), Channel.MQTT))
    assert not isinstance(found, Malformed), f"{place}: {found}"


@pytest.mark.parametrize(("place", "line"), [one for one in LINES if one[1].startswith("curl")])
def test_a_request_has_a_route(place: str, line: str) -> None:
    url = next(one for one in shlex.split(line) if one.startswith("http"))
    path = "/" + url.split("/", 3)[3].split("?")[0]
    routes = [re.sub(r"\{[^}]+\}", "[^/]+", route) for route, _, _ in operations()]
    assert any(re.fullmatch(route, path) for route in routes), f"{place}: {path}"


def test_wheels_have_the_present_version() -> None:
    named = {one for page in PAGES for one in re.findall(r"v2x_gateway-([0-9.]+)-py3", page.read_text("utf-8"))}
    assert named == {gateway.__version__}


@pytest.mark.parametrize(("place", "line"), [one for one in LINES if "deploy/" in one[1]])
def test_files_of_deploy_exist(place: str, line: str) -> None:
    files = re.findall(r"(?<![\w/])deploy/[\w./-]+", line)
    written = {"deploy/secrets", "deploy/.env"}
    assert [one for one in files if one not in written and not (ROOT / one).exists()] == [], place


def test_configuration_keys_in_the_text_exist() -> None:
    """Keys such as `ocpp.listen`; `energy` is also a member of the site's state."""
    sections = {name: field.annotation for name, field in Config.model_fields.items()}
    known = {name: {*getattr(one, "model_fields", ()), *getattr(one, "renamed", ())} for name, one in sections.items()}
    known["energy"] = {*EnergySection.model_fields, *EnergyState.model_fields}
    unknown = {
        f"{page.name}: {section}.{key}"
        for page in PAGES
        for section, key in re.findall(r"`([a-z_]+)\.([a-z_][a-z_0-9]*)", page.read_text(encoding="utf-8"))
        if section in known and key not in known[section] and key not in FILES
    }
    assert unknown == set()
