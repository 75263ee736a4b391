"""Shipped scenarios meet their expectations; the report is self-contained."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from emulators.faults.fault import KINDS
from emulators.scenario.durations import seconds
from emulators.scenario.loading import load, shipped
from emulators.world import SimulationResult, simulate

OURS = {
    "fault-parade",
    "night-outage-welfare",
    "normal-day-store",
    "peak-cut",
    "pv-surplus",
    "typhoon-evacuation",
}  # the scenarios of energy management are run in test_energy.py
LONG = {"normal-day-store": "15m", "night-outage-welfare": "40m", "typhoon-evacuation": "50m"}  # whole in `make soak`
BOUNDED = ("unserved_critical_wh", "floor_crossed_pct", "alarms", "over_limit_s")  # at every site, in every scenario
NEVER = ("floor_crossed_pct", "fed_dead_grid_wh", "car_violations", "not_seen_on_meter")


def explain(result: SimulationResult) -> str:
    events = "\n".join(f"{event.at:9.1f} {event.kind} {event.text}" for event in result.recording.events[-25:])
    return f"{result.violations}\n{events}"


def test_six_scenarios_are_shipped() -> None:
    assert set(shipped()) >= OURS
    for name in shipped():
        plan = load(name)
        assert len(plan.description) > 40
        assert plan.expect


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_scenario_bounds_darkness_floors_alarms_and_limits(name: str) -> None:
    scenario = load(name)
    neighbours = scenario.town.neighbour if scenario.town is not None else []
    for site in ("", *(f"{one.gateway.site}." for one in neighbours)):
        bounds = {figure: scenario.expect.get(f"{site}{figure}") for figure in BOUNDED}
        assert all(bound is not None and bound.max is not None for bound in bounds.values()), bounds
    if any(one.kind == "outage" for one in scenario.grid.events):
        assert scenario.expect["dark_s"].max is not None


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", sorted(OURS - LONG.keys()))
def test_a_shipped_scenario_meets_its_expectations(name: str) -> None:
    result = simulate(name, fast_forward=True)
    assert result.passed, explain(result)
    for figure in NEVER:
        assert result.figures[figure] <= 0.5, explain(result)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("name", "part"), LONG.items())
def test_the_first_part_of_a_long_scenario(name: str, part: str) -> None:
    plan = load(name).model_copy(update={"duration": seconds(part), "expect": {}})
    result = simulate(plan, fast_forward=True)
    figures = result.figures
    for figure in NEVER:
        assert figures[figure] <= 0.5, explain(result)
    assert figures["unserved_critical_wh"] == figures["unserved_transfer_wh"] == 0, explain(result)
    assert figures["served_wh"] > 1000


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", sorted(LONG))
def test_a_long_scenario_meets_its_expectations(name: str) -> None:
    result = simulate(name, fast_forward=True)
    assert result.passed, explain(result)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.named: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.named += [value for name, value in attrs if name == "aria-labelledby" and value]
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in ("src", "href") and value]


def test_a_report_is_one_file_with_plots_and_figures(tmp_path: Path) -> None:
    seen: list[float] = []
    plan = load("fault-parade").model_copy(update={"duration": 300.0})
    result = simulate(plan, fast_forward=True, report=tmp_path, progress=seen.append)
    page = _Tags()
    page.feed((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.tags.count("svg") == 4
    assert page.tags.count("polyline") >= 4
    assert page.links == []
    assert len(page.named) == 4
    assert {one for names in page.named for one in names.split()} <= set(page.ids)  # each plot has a text description
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.search(r"<desc [^>]*>[^<]*good: from [0-9.]+ to 74 %, at the end [0-9.]+ %", text)
    assert "command " in text[text.index('id="plot-limiting-constraint') :].split("</desc>")[0]
    assert "autonomy at the present load</th>" in text
    assert text.count('"n">held</td>') + text.count('"n">NOT held</td>') == len(plan.expect)
    stored = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert stored["figures"] == result.figures
    assert stored["transcript"] == result.transcript.digest()
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert [case.get("name") for case in suite.iter("testcase")] == list(plan.expect)
    assert int(suite.get("failures", "-1")) == len(result.violations)
    lines = (tmp_path / "transcript.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(result.transcript.lines)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0, abs=0.25)


def test_the_fault_parade_covers_the_kinds_of_fault() -> None:
    shown = {fault.kind for fault in load("fault-parade").fault}
    assert set(KINDS) - shown == {"ignores-car", "internal", "modem-reset", "switch-stuck"}  # not in this scenario
    assert {fault.target for fault in load("fault-parade").fault if fault.kind == "restart"} == {"gateway", "CP2"}
