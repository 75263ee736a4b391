"""Scenario files are read strictly, and their errors help."""

from __future__ import annotations

import json
import os
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from emulators.scenarios import scenario
from emulators.scenarios.durations import seconds
from emulators.scenarios.scenario import ScenarioError, json_schema, load, parse, shipped

GOOD = """
name = "small"
start = 2026-01-15T17:00:00+09:00
duration = "1h30m"
[site]
kind = "store"
[[charger]]
id = "CP"
count = 3
[[car]]
name = "car"
profile = "ccs-63"
count = 3
evse = "CP1-1"
visits = [{arrive = 0, leave = "1h"}]
[[command]]
at = "5m"
target = "CP2-1"
verb = "discharge"
power_w = 5000
"""


def test_a_good_file() -> None:
    found = parse(GOOD, "here")
    assert found.duration == 5400
    assert found.evses() == ["CP1-1", "CP2-1", "CP3-1"]
    assert found.cars() == [("car1", "CP1-1"), ("car2", "CP2-1"), ("car3", "CP3-1")]
    assert found.command[0].at == 300


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"1h30m"', '"soon"', "here: duration: must be seconds or a text"),
        ("17:00:00+09:00", "17:00:00", "start must say its time zone"),
        ('kind = "store"', 'kind = "castle"', "here: site.kind: "),
        ("count = 3\n[[car]]", "count = 3\nevse = 2\n[[car]]", "here: charger.0.evse: Extra inputs"),
        ('evse = "CP1-1"', 'evse = "CP9-1"', "there is no EVSE CP9-1"),
        ('evse = "CP1-1"', 'evse = "CP2-1"', r"there is no EVSE \?"),
        ('target = "CP2-1"', 'target = "CP"', "there is no EVSE CP;|there is no EVSE CP$"),
        ("[[command]]", '[[fault]]\nkind = "gremlins"\n[[command]]', "no fault is called 'gremlins'"),
        ("[site]", "[site", "here: not TOML"),
        ('name = "car"', 'name = "car"\nhabit = {}', "visits or a habit"),
    ],
)
def test_a_bad_file_says_where_and_why(old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioError, match=complaint):
        parse(GOOD.replace(old, new, 1), "here")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="shipped scenarios are"):
        load("nowhere.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b'name = "\xe9"')
    with pytest.raises(ScenarioError, match="UTF-8"):
        load(path)


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("1h30m", 5400), ("2d", 172_800), (1.5, 1.5), ("1.5h", 5400)])
def test_durations(text: object, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("bad", ["", "1", "1x", -1, True, "1h and a bit", None])
def test_bad_durations(bad: object) -> None:
    with pytest.raises(ValueError, match="must"):
        seconds(bad)


def test_the_schema_takes_what_the_models_take() -> None:
    schema = scenario.json_schema()
    validator = jsonschema_rs.validator_for(schema)
    small: dict[str, Any] = {
        "name": "x",
        "start": "2026-01-15T17:00:00+09:00",
        "duration": "1h",
        "site": {"kind": "home"},
    }
    assert validator.is_valid(small)
    assert not validator.is_valid({**small, "durations": 1})
    assert not validator.is_valid({**small, "duration": "soon"})


def test_the_shipped_schema_is_the_files_own() -> None:
    """Editors complete and check scenarios by it; V2X_DRAW=1 draws it anew."""
    path = files("emulators.scenarios").joinpath("scenario.schema.json")
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("V2X_DRAW") == "1":
        Path(str(path)).write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def test_every_shipped_scenario_is_valid_by_the_schema() -> None:
    check = jsonschema_rs.validator_for(json_schema())
    for name in shipped():
        table = tomllib.loads(files("emulators.scenarios").joinpath(f"{name}.toml").read_text(encoding="utf-8"))
        check.validate(json.loads(json.dumps(table, default=str)))
