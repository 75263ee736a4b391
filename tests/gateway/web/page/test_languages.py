"""Tables of the languages: the same keys and members everywhere, and a sentence for every code; assets as published."""

from __future__ import annotations

import ast
import hashlib
import re
import string
from pathlib import Path
from typing import get_args

import pytest

from gateway.blue_switch.arrivals import ArrivalCode
from gateway.energy.modes.mode import TargetCode
from gateway.energy.reason import EnergyCode, LendingCode, LimitBinds
from gateway.model.command import SiteMode, Verb
from gateway.model.energy_state import Phase, PlanSource
from gateway.model.journal import Step
from gateway.model.reason import Code
from gateway.model.result import Layer, Status
from gateway.model.site import InputKind
from gateway.model.state import SessionState
from gateway.observability.health import Check
from gateway.web.page import texts
from gateway.web.page.access import Role
from gateway.web.page.decisions import INSTRUCTIONS
from gateway.web.page.readouts import VIEWS
from tests.peers import ROOT
from tests.source_tree import literal_decisions

LANGUAGES = list(texts.NAMES)
DIGESTS = {  # of the files in the npm packages htmx.org 4.0.1 and uplot 1.6.32
    "htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "hx-sse.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
    "uplot.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uplot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uplot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    "htmx.LICENSE": "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
}
ENUMERATIONS = {
    "verb": Verb, "status": Status, "step": Step, "layer": Layer, "mode": SiteMode, "state": SessionState,
    "phase": Phase, "advice": Phase, "input": InputKind, "check": Check, "check_fault": Check,
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_code_has_its_sentence(language: str) -> None:
    codes = {*get_args(EnergyCode), *get_args(LendingCode)}
    codes |= {one.value for enum in (Code, TargetCode, LimitBinds, ArrivalCode) for one in enum}
    assert "energy_failed" in literal_decisions()
    codes |= literal_decisions()
    assert set(texts.table(language)["reason"]) == codes
    assert set(texts.table(language)["todo"]) == set(INSTRUCTIONS)


def test_instructions_are_given_and_ended_by_codes_that_exist() -> None:
    codes = set(texts.table("en")["reason"])
    assert codes >= set(INSTRUCTIONS)
    assert codes >= {end for ends in INSTRUCTIONS.values() for end in ends}
    explained = (ROOT / "docs" / "resilience.md").read_text("utf-8")
    assert [code for code in INSTRUCTIONS if f"| `{code}` |" not in explained] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_value_of_an_enumeration_has_its_word(language: str) -> None:
    for section, enum in ENUMERATIONS.items():
        assert set(texts.table(language)[section]) == {one.value for one in enum}, section


def test_the_tables_have_the_same_keys_and_members() -> None:
    english = texts.table("en")
    for language in LANGUAGES:
        table = texts.table(language)
        assert {name: set(rows) for name, rows in table.items()} == {name: set(rows) for name, rows in english.items()}
        for section, rows in table.items():
            for key, text in rows.items():
                assert text.strip(), (language, key)
                assert members(text) == members(english[section][key]), (language, key)


def test_the_templates_use_every_text_and_no_other() -> None:
    folder = Path(texts.__file__).parent
    used = {f"view_{name}" for name in (*VIEWS, "command", "login")} | {f"role_{one.value}" for one in Role}
    used |= {f"freshness_{one}" for one in ("never", "fresh", "stale")}
    used |= {f"origin_{one}" for one in ("file", "environment", "default")}
    used |= {f"kind_{one}" for one in ("call", "result", "error")} | {"confirm_discharge", "confirm_charge"}
    used |= {f"plan_{one.value}" for one in PlanSource} | {"supplied_for", "would_supply_for"}
    for file in (*(folder / "templates").glob("*.html"), *folder.glob("*.py")):
        used |= {key for key in re.findall(r"\bt\([\"']([a-z_]+)[\"']", file.read_text("utf-8")) if key[-1] != "_"}
    for node in ast.walk(ast.parse(Path(texts.__file__).read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "self":
            constants = [one.value for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)]
            used |= {one for one in constants if isinstance(one, str)}
    assert used == set(texts.table("en")["page"])


def members(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_assets_are_as_published() -> None:
    folder = Path(texts.__file__).parent / "assets"
    for name, digest in DIGESTS.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    assert {one.name for one in folder.iterdir()} == {*DIGESTS, "page.css", "page.js", "icon.svg"}


@pytest.mark.parametrize(
    ("accepted", "cookie", "offered", "chosen"),
    [
        ("", None, ["ja", "en"], "ja"),
        ("fr-FR,de-AT;q=0.7", None, ["en", "de"], "de"),
        ("de", "ja", ["en", "de", "ja"], "ja"),
        ("de", "fr", ["en", "de"], "de"),
    ],
)
def test_choice_of_the_language(accepted: str, cookie: str | None, offered: list[str], chosen: str) -> None:
    assert texts.choose(accepted, cookie, offered) == chosen


def test_numbers_and_durations() -> None:
    german, english, japanese = (texts.Texts(one) for one in ("de", "en", "ja"))
    assert german.power(-2240.0) == "entlädt mit 2,2 kW"
    assert english.power(2240.0) == "charging 2.2 kW"
    assert english.power(10.0) == "no power"
    assert japanese.power(None) == "不明"
    assert japanese.duration(75) == "1分15秒"
    assert english.duration(3700) == "1 h 1 min"
    assert english.word("reason", "code_of_a_newer_gateway") == "code_of_a_newer_gateway"
