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
from emulators.scenario.loading import check, load, shipped
from emulators.scenario.scenario import ScenarioError
from emulators.scenario.tables import Bound, GatewayPart, GridPart
from emulators.world import SimulationResult, simulate
from emulators.world.builders.gateway import check_gateway
from emulators.world.report import html
from tests.rounds import some

OURS = {
    "fault-parade",
    "night-outage-welfare",
    "normal-day-store",
    "peak-cut",
    "pv-surplus",
    "typhoon-evacuation",
}  # the scenarios of energy management are run in test_energy.py
LONG = {"normal-day-store": "15m", "night-outage-welfare": "40m", "typhoon-evacuation": "50m"}  # whole in `make soak`
BOUNDED = (  # at every site, in every scenario
    *("unserved_critical_wh", "floor_crossed_pct", "alarms", "over_limit_s", "event.fault"),
)
HELD_ZERO_S = 30.0  # most time without the grid in which no island is managed: the detection of the loss
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


def gateways(name: str) -> dict[str, tuple[GatewayPart, GridPart]]:
    """Return the gateway and the grid of each site of a scenario, by the prefix of its figures."""
    scenario = load(name)
    neighbours = scenario.town.neighbour if scenario.town is not None else []
    of_neighbours = {f"{one.gateway.site}.": (one.gateway, one.grid) for one in neighbours}
    return {"": (scenario.gateway, scenario.grid), **of_neighbours}


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_scenario_bounds_darkness_floors_limits_faults_and_false_alarms(name: str) -> None:
    scenario = load(name)
    check_gateway(scenario)
    for site in gateways(name):
        bounds = {figure: scenario.expect.get(f"{site}{figure}") for figure in BOUNDED}
        assert all(bound is not None and bound.max is not None for bound in bounds.values()), bounds
        if not scenario.fault:
            assert scenario.expect[f"{site}event.fault"].max == scenario.expect[f"{site}alarms"].max == 0


@pytest.mark.parametrize("name", shipped())
def test_the_gateway_manages_every_outage_of_a_shipped_scenario(name: str) -> None:
    scenario = load(name)
    for site, (gateway, grid) in gateways(name).items():
        if any(one.kind == "outage" for one in grid.events):
            assert gateway.energy["island"] is True
            assert (scenario.expect[f"{site}held_zero_s"].max or 0.0) <= HELD_ZERO_S
            assert scenario.expect[f"{site}dark_s"].max is not None


def test_the_gateway_manages_every_outage_of_the_documents_and_examples() -> None:
    repository = Path(__file__).parents[2]
    texts = [
        path.read_text()
        for folder in ("docs", "examples")
        for path in (repository / folder).rglob("*.*")
        if path.suffix in (".md", ".py", ".toml")
    ]
    blocks = [block for text in texts for block in re.split(r"```|\"\"\"", text) if 'kind = "outage"' in block]
    assert blocks
    assert all("island = true" in block for block in blocks)


@pytest.mark.parametrize(
    ("figure", "message"),
    [("event.faul", "event.fault"), ("decided.grid_los", "decided.grid_lost"), ("gym.event.plug", "event.plugged")],
)
def test_an_expectation_of_an_unknown_event_is_rejected(figure: str, message: str) -> None:
    scenario = load("evening-at-home")
    with pytest.raises(ScenarioError, match=f"did you mean {message}?"):
        check_gateway(scenario.model_copy(update={"expect": {figure: Bound(max=0)}}))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", some(sorted(OURS - LONG.keys()), 3))  # fault-parade in each run
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
    assert page.tags.count("svg") == 5
    assert page.tags.count("polyline") >= 5
    assert page.links == []
    assert len(page.named) == 5
    assert {one for names in page.named for one in names.split()} <= set(page.ids)  # each plot has a text description
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.search(r"<desc [^>]*>[^<]*good: from [0-9.]+ to 74 %, at the end [0-9.]+ %", text)
    assert "command " in text[text.index('id="plot-limiting-constraint') :].split("</desc>")[0]
    assert "autonomy at the present load <small>autonomy_h</small></th>" in text
    assert text.count('"n">met</td>') + text.count('"n">NOT met</td>') == len(plan.expect)
    assert re.search(r"energy imported from the grid <small>import_wh</small></th><td[^>]*>[0-9.]+ kWh<", text)
    assert text.count("discharging ↓") == 2  # of the batteries and of the set-points
    assert 'name="viewport"' in text
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


def test_minute_and_second_of_an_event_are_of_the_same_time() -> None:
    assert [html.moment(at, 17 + 35 / 60) for at in (20.0, 179.999, 180.0, 539.6)] == [
        "17:35:20",
        "17:38:00",
        "17:38:00",
        "17:44:00",
    ]


def test_the_report_has_every_site_with_its_cars_prices_and_outage(tmp_path: Path) -> None:
    table = load("energy-blue-switch").model_dump(exclude_unset=True)
    prices = [{"start": "2026-09-08T18:00:00+09:00", "duration_s": 7200, "import_per_kwh": 31, "export_per_kwh": 0}]
    table["input"] = [{"at": 2, "kind": "price", "body": {"prices": prices}}]
    table["charger"].append({"id": "AC", "count": 12, "vehicle_link": "none"})
    table["car"] = [{"name": "guest", "profile": "leaf-40", "count": 12, "evse": "AC1-1", "soc_pct": 60}]
    table |= {
        "duration": "3m",
        "sample": "15s",
        "grid": {"events": [{"kind": "outage", "at": 60, "duration": 60}]},
        "expect": {},
    }
    simulate(check(table, "test"), fast_forward=True, report=tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    titles = re.findall(r"<h3>([^<]*)</h3>", text)
    for site in ("school", "clinic"):
        assert f"Power of the batteries at {site}, kW" in titles
        assert f"<h2>Site {site}</h2>" in text
    assert "Energy price at school, per kWh" in titles
    assert "Energy price at clinic, per kWh" not in titles
    assert "State of charge at school, % (2 of 2)" in titles
    shown = "".join(re.findall(r"<desc [^>]*>([^<]*)</desc>", text))
    assert all(f"guest{number}: from " in shown for number in range(1, 13))
    assert all(f"{evse}: " in shown for evse in ("CP1-1", "CP2-1", "AC12-1", "CL1-1", "CL2-1"))
    assert "outage from 18:01 to 18:02" in shown
    assert 'fill="#e9e6df"' in text
