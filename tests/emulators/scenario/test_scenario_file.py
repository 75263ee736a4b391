"""Scenario files: strict validation with helpful errors."""

from __future__ import annotations

import json
import os
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from emulators.runtime import toml_lines
from emulators.scenario import scenario
from emulators.scenario.durations import seconds
from emulators.scenario.loading import load, parse, shipped
from emulators.scenario.scenario import ScenarioError, json_schema
from emulators.scenario.validation import figures, is_counted
from emulators.world import simulate

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


def test_a_valid_file() -> None:
    found = parse(GOOD, "here")
    assert found.duration == 5400
    assert found.evses() == ["CP1-1", "CP2-1", "CP3-1"]
    assert found.cars() == [("car1", "CP1-1"), ("car2", "CP2-1"), ("car3", "CP3-1")]
    assert found.command[0].at == 300


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"1h30m"', '"soon"', "here:4: duration: must be a number of seconds or a text"),
        (
            "count = 3\n[[car]]",
            'count = 3\nocpp = "2.0.1"\nvendor_profile = "vendor-island"\n[[car]]',
            "charger.0: .*the vendor profile vendor-island is for OCPP 2.1, not for 2.0.1",
        ),
        (
            "count = 3\n[[car]]",
            'count = 3\nvendor_profile = "negative-limit"\n[[car]]',
            "the vendor profile negative-limit is for OCPP 1.6 or 2.0.1, not for 2.1",
        ),
        (
            "count = 3\n[[car]]",
            'count = 3\nvendor_profile = "vendor-iland"\n[[car]]',
            "no vendor profile 'vendor-iland'; available: ",
        ),
        ("17:00:00+09:00", "17:00:00", "start needs a time zone"),
        ('kind = "store"', 'kind = "castle"', "here:6: site.kind: "),
        (
            "count = 3\n[[car]]",
            "count = 3\nevse = 2\n[[car]]",
            "here:10: charger.0.evse: unknown key; did you mean evses",
        ),
        ('evse = "CP1-1"', 'evse = "CP9-1"', "unknown EVSE CP9-1"),
        ('evse = "CP1-1"', 'evse = "CP2-1"', "the 3 EVSEs are too few"),
        ('target = "CP2-1"', 'target = "CP"', "unknown EVSE CP;|unknown EVSE CP$"),
        ("[[command]]", '[[fault]]\nkind = "gremlins"\n[[command]]', "unknown fault kind 'gremlins'"),
        ("[site]", "[site", "here: not TOML"),
        ('name = "car"', 'name = "car"\nhabit = {}', "visits and habit cannot be combined"),
    ],
)
def test_an_invalid_file_is_reported_with_line_and_reason(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioError, match=message):
        parse(GOOD.replace(old, new, 1), "here")


WITHOUT_EFFECT = [
    (
        "",
        '[[fault]]\nkind = "cut"\ntarget = "ocpp:CP9"',
        "here:21: fault.0: cut: unknown target 'ocpp:CP9'; valid targets:",
    ),
    ("", '[[ems]]\nat = 1\nstation = "CP9"\nclear = true', "ems.0.station: unknown station CP9; known: CP1"),
    ("", '[[ems]]\nat = 1\nstation = "CP1"\nevse = 2\nsite_w = 1', "ems.0.evse: CP1 has no EVSE 2"),
    ("", '[[ems]]\nat = 1\nstation = "CP1"', "needs a limit, a set-point, a reading, or clear = true"),
    ("", '[[fault]]\nkind = "split"\ntarget = "ocpp:CP1"', "split: invalid target 'ocpp:CP1'"),
    ("", '[[fault]]\nkind = "reorder"\ntarget = "iso15118:CP1-1"', "it must begin with ocpp: or mqtt"),
    ("", '[[fault]]\nkind = "weld"\ntarget = "CP1"', "unknown target 'CP1'; valid targets: CP1-1, CP2-1, CP3-1"),
    ("", '[[fault]]\nkind = "frozen-soc"\ntarget = "car1"\nduration = 0', "duration must be positive"),
    ("", "[expect]\ncars_dischraged_wh = {min = 1}", "here:22: .*unknown figure; did you mean cars_discharged_wh"),
    ("", '[expect]\n"car.car9.soc_pct" = {min = 1}', "did you mean car.car[123].soc_pct"),
    ("", "[expect]\nunserved_wh = {}", "needs min, max or both"),
    ("", "[expect]\nunserved_wh = {min = 2, max = 1}", "min 2 is greater than max 1"),
    ("", '[[grid.events]]\nkind = "brown-out"\nat = 1\nduration = 1', "needs the remaining voltage"),
    ("", '[[grid.events]]\nkind = "frequency-step"\nat = 1\nduration = 1', "needs its deviation in Hz"),
    (
        "",
        '[[grid.events]]\nkind = "outage"\nat = "2h"\nduration = 1',
        "here:23: .*time 7200 s is not before the end of the scenario at 5400 s",
    ),
    ('at = "5m"', 'at = "5h"', "command.0.at: time 18000 s is not before"),
    ("power_w = 5000", "", "here:16: command.0: discharge needs power_w"),
    ("power_w = 5000", "power_w = -5000", "must not be negative"),
    ('verb = "discharge"', 'verb = "stop"\nhold = 60', "stop has no lease, so hold is not allowed"),
    ('verb = "discharge"', 'verb = "mode"\nmode = "crazy"', "command.0.mode: Input should be 'self_consumption'"),
    ('"ccs-63"', '"css-63"', "here:12: car.0.profile: unknown car profile 'css-63'; shipped: "),
    ('"ccs-63"', '"leaf-40"', 'not ISO 15118-20: set vehicle_link = "chademo" or "none" at CP1-1'),
    ('leave = "1h"', "leave = 0", "the departure after the arrival"),
    (
        "count = 3",
        "count = 3\nefficiency = [[0.5, 0.9], [0.1, 0.9]]",
        "here:7: charger.0: efficiency must be a rising list",
    ),
    ("count = 3", "count = 3\nmin_voltage_v = 600", "min_voltage_v must be less than max_voltage_v"),
    ('duration = "1h30m"', 'duration = "1h30m"\ntelemetry = 0', "telemetry must be between"),
]


@pytest.mark.parametrize(("old", "new", "message"), WITHOUT_EFFECT)
def test_a_step_without_effect_is_rejected(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioError, match=message):
        parse(GOOD.replace(old, new, 1) if old else GOOD + new, "here")


def test_all_errors_are_reported_at_once_with_their_lines() -> None:
    with pytest.raises(ScenarioError) as raised:
        parse(GOOD.replace("power_w", "powerw").replace("evse =", "evs =").replace('"store"', '"castle"'), "here")
    lines = str(raised.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["here:6", "here:10", "here:14", "here:20"]
    assert "did you mean power_w?" in lines[3]


def test_lines_are_found_in_tables_of_tables() -> None:
    text = "a = 1\n[site]\n[[site.pv]]\npeak_w = 1\n[[site.pv]]\n tilt = 2\n[[x.y]]\n[[x.y.z]]\n'odd key'.b = 3\n"
    found = toml_lines.lines_of(text)
    assert toml_lines.line_of(found, ("site", "pv", 1, "tilt")) == 6
    assert toml_lines.line_of(found, ("site", "pv", 1, "azimuth")) == 5
    assert toml_lines.line_of(found, ("x", "y", 0, "z", 0, "odd key", "b")) == 9
    assert toml_lines.line_of(found, ("x", "y", 0, "z", 3)) == 7
    assert toml_lines.line_of(found, ()) is None


def test_a_profile_path_is_relative_to_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ours.toml").write_text(Path(str(files("emulators.ev.profiles") / "ccs-63.toml")).read_text())
    (tmp_path / "sim.toml").write_text(GOOD.replace('"ccs-63"', '"ours.toml"'))
    monkeypatch.chdir("/")
    assert load(tmp_path / "sim.toml").car[0].profile == str(tmp_path / "ours.toml")


def test_the_known_figures_are_those_of_a_run() -> None:
    plan = parse(GOOD.replace('"1h30m"', "20").replace('"5m"', "5"), "here")
    found = simulate(plan, fast_forward=True).figures
    assert {name for name in found if not is_counted(name)} == set(figures(plan))
    assert "event.plugged" in found


def test_missing_files_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="shipped scenarios:"):
        load("nowhere.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b'name = "\xe9"')
    with pytest.raises(ScenarioError, match="UTF-8"):
        load(path)


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("1h30m", 5400), ("2d", 172_800), (1.5, 1.5), ("1.5h", 5400)])
def test_durations(text: object, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("bad", ["", "1", "1x", -1, True, "1h and a bit", None])
def test_invalid_durations(bad: object) -> None:
    with pytest.raises(ValueError, match="must"):
        seconds(bad)


def test_the_schema_matches_the_models() -> None:
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


def test_the_shipped_schema_is_up_to_date() -> None:
    """Editors use the shipped schema; V2X_DRAW=1 writes it."""
    path = files("emulators.scenario").joinpath("scenario.schema.json")
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("V2X_DRAW") == "1":
        Path(str(path)).write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def test_every_shipped_scenario_is_valid_by_the_schema() -> None:
    check = jsonschema_rs.validator_for(json_schema())
    for name in shipped():
        table = tomllib.loads(files("emulators.scenario").joinpath(f"{name}.toml").read_text(encoding="utf-8"))
        check.validate(json.loads(json.dumps(table, default=str)))
