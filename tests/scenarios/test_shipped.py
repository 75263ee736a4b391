"""Every shipped scenario runs and comes out as it says; its report can be read without anything else."""

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
}  # those of energy management are run by its own tests
LONG = {"normal-day-store", "night-outage-welfare"}  # whole in the soak; here their first part
NEVER = ("floor_crossed_pct", "fed_dead_grid_wh", "car_violations")


def explain(outcome: SimulationResult) -> str:
    told = "\n".join(f"{event.at:9.1f} {event.kind} {event.text}" for event in outcome.recording.events[-25:])
    return f"{outcome.violations}\n{told}"


def test_six_scenarios_are_shipped() -> None:
    assert set(shipped()) >= OURS
    for name in shipped():
        plan = load(name)
        assert len(plan.description) > 40
        assert plan.expect


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", sorted(OURS - LONG))
def test_a_scenario_comes_out_as_it_says(name: str) -> None:
    outcome = simulate(name, fast_forward=True)
    assert outcome.passed, explain(outcome)
    for figure in NEVER:
        assert outcome.figures[figure] <= 0.5, explain(outcome)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("name", "part"), [("normal-day-store", "15m"), ("night-outage-welfare", "40m")])
def test_the_first_part_of_a_long_scenario(name: str, part: str) -> None:
    plan = load(name).model_copy(update={"duration": seconds(part), "expect": {}})
    outcome = simulate(plan, fast_forward=True)
    figures = outcome.figures
    for figure in NEVER:
        assert figures[figure] <= 0.5, explain(outcome)
    assert figures["unserved_critical_wh"] == figures["unserved_transfer_wh"] == 0, explain(outcome)
    assert figures["served_wh"] > 1000


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", sorted(LONG))
def test_a_long_scenario_comes_out_as_it_says(name: str) -> None:
    outcome = simulate(name, fast_forward=True)
    assert outcome.passed, explain(outcome)


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
    outcome = simulate(plan, fast_forward=True, report=tmp_path, progress=seen.append)
    page = _Tags()
    page.feed((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.tags.count("svg") == 4
    assert page.tags.count("polyline") >= 4
    assert page.links == []
    assert len(page.named) == 4
    assert {one for told in page.named for one in told.split()} <= set(page.ids)  # each plot is told in words, too
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.search(r"<desc [^>]*>[^<]*good: from [0-9.]+ to 74 %, at the end [0-9.]+ %", text)
    assert "command " in text[text.index('id="plot-what-bound') :].split("</desc>")[0]
    assert "carried for</th>" in text
    assert text.count('"n">held</td>') + text.count('"n">NOT held</td>') == len(plan.expect)
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert result["figures"] == outcome.figures
    assert result["transcript"] == outcome.transcript.digest()
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert [case.get("name") for case in suite.iter("testcase")] == list(plan.expect)
    assert int(suite.get("failures", "-1")) == len(outcome.violations)
    lines = (tmp_path / "transcript.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(outcome.transcript.lines)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0, abs=0.25)


def test_the_parade_shows_everything_that_breaks() -> None:
    shown = {fault.kind for fault in load("fault-parade").fault}
    assert set(KINDS) - shown == {"ignores-car", "internal", "switch-stuck"}  # metal that breaks more than an order
    assert {fault.target for fault in load("fault-parade").fault if fault.kind == "restart"} == {"gateway", "CP2"}
