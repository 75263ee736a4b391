"""The framework of conformance runs: verdicts, bounded time, selection, capabilities, resumption, reports."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from emulators.conformance.bench import DeviceUnreachable
from emulators.conformance.capabilities import Capabilities, CapabilityError, load
from emulators.conformance.case import Case, Verdict
from emulators.conformance.catalogue import Catalogue, CatalogueError
from emulators.conformance.evidence import Evidence
from emulators.conformance.execution import RunError, Selection, execute, listed
from emulators.conformance.result import CaseResult, from_json, to_json
from emulators.conformance.runner import run, run_case
from emulators.conformance.state import RunState
from emulators.runtime.clock import LoopClock
from tests.emulators.conformance.counter import (
    CASES,
    CATALOGUE,
    Access,
    Counter,
    CounterBench,
    broken,
    case,
    counts,
)

pytestmark = pytest.mark.virtual_time
CLOCK = LoopClock(1.7e9)
NONE = Capabilities(CATALOGUE.capabilities)
COMMAND = "v2x conformance counter counter:1"


def selection(directory: Path | None = None, **rest: object) -> Selection:
    return Selection(command=COMMAND, directory=directory, **rest)  # type: ignore[arg-type]


async def verdicts(bench: CounterBench, *cases: Case[Access, int]) -> list[tuple[Verdict, str]]:
    return [(one.verdict, one.reason) for one in await run(cases or CASES, bench, NONE, CLOCK)]


async def test_a_correct_device_passes_and_a_wrong_one_fails_with_what_was_observed() -> None:
    assert [one for one, _ in await verdicts(CounterBench(), *CASES[:2])] == [Verdict.PASS] * 2
    (first, reason), (second, why) = await verdicts(CounterBench(Counter(step=2)), *CASES[:2])
    assert (first, reason) == (Verdict.FAIL, "values 2, 4 <script>")
    assert second is Verdict.INCONCLUSIVE
    assert why == "precondition not met: the counter is at 2: value 4"


async def test_a_silent_device_is_inconclusive_in_bounded_time_and_the_run_goes_on() -> None:
    began = CLOCK.now()
    found = await verdicts(CounterBench(Counter(silent=True)), CASES[1], case("C-09", counts, "1.9", within_s=5.0))
    assert found == [(Verdict.INCONCLUSIVE, "no verdict within 30 s"), (Verdict.INCONCLUSIVE, "no verdict within 5 s")]
    assert CLOCK.now() - began == pytest.approx(35)


async def test_a_case_that_does_not_end_when_cancelled_is_left_behind() -> None:
    import asyncio

    async def stubborn(device: Access) -> None:
        try:
            await asyncio.sleep(1e9)
        except asyncio.CancelledError:
            await asyncio.sleep(1e5)

    ((verdict, reason),) = await verdicts(CounterBench(), case("C-08", stubborn, "1.8", within_s=5.0))
    assert verdict is Verdict.INCONCLUSIVE
    assert "did not end when it was cancelled" in reason


async def test_an_error_of_the_tester_is_inconclusive_with_its_place() -> None:
    ((verdict, reason),) = await verdicts(CounterBench(), case("C-07", broken, "1.7"))
    assert verdict is Verdict.INCONCLUSIVE
    assert reason.startswith("error of the tester: KeyError: 'table' (counter.py:")


async def test_a_device_that_cannot_be_reached_is_inconclusive() -> None:
    ((verdict, reason),) = await verdicts(CounterBench(reachable=False), CASES[0])
    assert (verdict, reason) == (Verdict.INCONCLUSIVE, "the device cannot be reached: nothing answers")


async def test_capabilities_decide_what_is_applicable(tmp_path: Path) -> None:
    file = tmp_path / "device.toml"
    file.write_text('[device]\nvendor = "Maker"\n\n[capabilities]\ndown = false\n')
    declared = load(file, CATALOGUE.capabilities)
    assert declared.device.vendor == "Maker"
    capabilities = Capabilities(CATALOGUE.capabilities, declared.capabilities, {"down": True})
    bench = CounterBench()
    (result,) = await run(CASES[2:], bench, capabilities, CLOCK)
    assert (result.verdict, result.reason) == (Verdict.NOT_APPLICABLE, "the device does not have down (declared)")
    assert bench.opened == []
    assert capabilities.source("up") == (True, "default")


async def test_a_case_of_devices_without_a_capability_is_not_applicable_to_others() -> None:
    lacking = replace(CASES[0], lacks=("down",))
    bench = CounterBench()
    (result,) = await run([lacking], bench, Capabilities(CATALOGUE.capabilities, {}, {"down": True}), CLOCK)
    assert (result.verdict, result.reason) == (Verdict.NOT_APPLICABLE, "the device has down (discovered)")
    assert bench.opened == []
    (result,) = await run([lacking], bench, Capabilities(CATALOGUE.capabilities, {"down": False}), CLOCK)
    assert result.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[capabilities]\ndwn = true\n", "unknown capability 'dwn'; did you mean 'down'?"),
        ("[capabilities]\ndown = 1\n", "capability down is true or false"),
        ("[capability]\n", "unknown table 'capability'"),
        ("[device]\nname = 1\n", "device has the texts vendor, name, serial, firmware"),
        ("[", "at end of document"),
    ],
)
async def test_an_invalid_capability_file_is_rejected(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "device.toml"
    file.write_text(text)
    with pytest.raises(CapabilityError, match=re.escape(message)):
        load(file, CATALOGUE.capabilities)


async def test_cases_are_selected_by_id_and_tag_in_order() -> None:
    assert [one.id for one in CATALOGUE.select(tags=["nominal"])] == ["C-01", "C-02"]
    assert [one.id for one in CATALOGUE.select(ids=["C-02", "C-01"])] == ["C-01", "C-02"]
    assert [one.id for one in CATALOGUE.select(tags=["nominal", "long"])] == ["C-02"]
    with pytest.raises(CatalogueError, match="unknown case 'C-1'; did you mean"):
        CATALOGUE.select(ids=["C-1"])
    with pytest.raises(CatalogueError, match="no case is of all that is selected: C-01, negative; see --list"):
        CATALOGUE.select(["C-01"], ["negative"])
    with pytest.raises(CatalogueError, match="unknown tag 'nominl'"):
        CATALOGUE.select(tags=["nominl"])


async def test_a_catalogue_has_unique_ids_and_known_capabilities() -> None:
    with pytest.raises(AssertionError, match="several cases have the id C-01"):
        replace(CATALOGUE, cases=(CASES[0], CASES[0]))
    with pytest.raises(AssertionError, match="case C-03: unknown capability 'down'"):
        Catalogue("counter", "Counters", CASES, {})
    with pytest.raises(ValueError, match="id of a case"):
        case("c 1", counts, "1")


async def test_a_run_that_was_killed_is_resumed_with_the_case_that_ran(tmp_path: Path) -> None:
    ids = [one.id for one in CASES]
    state = RunState.start(tmp_path, "counter", "counter:1", ids)
    await run(CASES[:1], CounterBench(), NONE, CLOCK, state)
    state.begin("C-02")
    state.close()  # killed here
    with (tmp_path / "state.jsonl").open("a") as out:
        out.write('{"result": {"id": "C-0')
    bench = CounterBench()
    assert await execute(CATALOGUE, bench, selection(tmp_path, resume=True), lambda text: None, CLOCK) == 0
    assert bench.opened == ["C-02"]
    cases = json.loads((tmp_path / "results.json").read_text())["cases"]
    assert [one["verdict"] for one in cases] == ["pass", "pass", "not applicable"]


async def test_an_interrupted_run_reports_what_it_has(tmp_path: Path) -> None:
    import asyncio

    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(text)
        running.cancel()

    running = asyncio.ensure_future(execute(CATALOGUE, CounterBench(), selection(tmp_path), show, CLOCK))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert shown[-1] == f"interrupted after 1 of {len(CASES)} cases; --resume continues, report: {tmp_path}/report.html"
    report = json.loads((tmp_path / "results.json").read_text())
    assert [one["id"] for one in report["cases"]] == [CASES[0].id]
    assert report["run"]["selection"] == f"all cases, interrupted after 1 of {len(CASES)}"


async def test_a_case_during_which_the_run_ended_twice_is_not_run_again(tmp_path: Path) -> None:
    state = RunState.start(tmp_path, "counter", "counter:1", [one.id for one in CASES])
    state.begin("C-01")
    state.begin("C-01")
    state.close()
    bench = CounterBench()
    for _ in range(2):
        assert await execute(CATALOGUE, bench, selection(tmp_path, resume=True), lambda text: None, CLOCK) == 1
        assert bench.opened == ["C-02"]


async def test_a_resumed_run_repeats_inconclusive_cases_and_no_others(tmp_path: Path) -> None:
    cases = CASES[:2]
    RunState.start(tmp_path, "counter", "counter:1", [one.id for one in cases]).close()
    opened: list[list[str]] = []
    for bench in (*(CounterBench(reachable=False) for _ in range(3)), CounterBench(Counter(step=2)), CounterBench()):
        state = RunState.resume(tmp_path, "counter", "counter:1", [one.id for one in cases])
        results = await run(cases, bench, NONE, CLOCK, state)
        state.close()
        opened.append(bench.opened)
    assert opened == [["C-01", "C-02"]] * 4 + [["C-02"]]
    assert [one.verdict for one in results] == [Verdict.FAIL, Verdict.PASS]  # C-01 was judged before


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (None, "there is no run to resume"),
        (("counter", "counter:2", ["C-01"]), "the interrupted run is of target 'counter:2'"),
        (("counter", "counter:1", ["C-01"]), "the interrupted run is of cases 1 other cases"),
    ],
)
async def test_only_the_same_run_is_resumed(
    tmp_path: Path, start: tuple[str, str, list[str]] | None, message: str
) -> None:
    if start is not None:
        RunState.start(tmp_path, *start).close()
    with pytest.raises(RunError, match=message):
        await execute(CATALOGUE, CounterBench(), selection(tmp_path, resume=True), lambda text: None, CLOCK)


async def test_a_resumed_run_needs_its_directory_and_a_run_needs_its_device() -> None:
    with pytest.raises(RunError, match="--resume needs the directory"):
        await execute(CATALOGUE, CounterBench(), selection(resume=True), lambda text: None, CLOCK)
    with pytest.raises(DeviceUnreachable):
        await execute(CATALOGUE, CounterBench(reachable=False), selection(), lambda text: None, CLOCK)


async def test_without_its_device_a_run_has_reports_that_say_so(tmp_path: Path) -> None:
    bench, shown = CounterBench(reachable=False), list[str]()
    with pytest.raises(DeviceUnreachable):
        await execute(CATALOGUE, bench, selection(tmp_path), shown.append, CLOCK)
    assert shown == [f"report: {tmp_path}/report.html"]
    report = json.loads((tmp_path / "results.json").read_text())
    absent = ("inconclusive", "the device cannot be reached: nothing answers")
    assert [(one["verdict"], one["reason"]) for one in report["cases"]] == [absent] * len(CASES)
    assert report["run"]["selection"] == "all cases, the device was not reached"
    assert "nothing answers" in (tmp_path / "report.html").read_text()
    assert ElementTree.parse(tmp_path / "junit.xml").getroot().get("errors") == str(len(CASES))
    assert await execute(CATALOGUE, CounterBench(), selection(tmp_path, resume=True), shown.append, CLOCK) == 0
    with pytest.raises(DeviceUnreachable):  # what has a verdict keeps it
        await execute(CATALOGUE, bench, selection(tmp_path, resume=True), shown.append, CLOCK)
    cases = json.loads((tmp_path / "results.json").read_text())["cases"]
    assert [one["verdict"] for one in cases] == ["pass", "pass", "not applicable"]


async def test_nothing_is_announced_before_the_options_are_right() -> None:
    announced: list[str] = []

    def begins() -> None:
        announced.append("begins")

    for wrong in (selection(cases=["C-1"]), selection(resume=True)):
        with pytest.raises(RunError):
            await execute(CATALOGUE, CounterBench(), wrong, announced.append, CLOCK, begins=begins)
    assert announced == []
    await execute(CATALOGUE, CounterBench(), selection(), announced.append, CLOCK, begins=begins)
    assert announced[0] == "begins"


async def test_results_are_the_same_after_json() -> None:
    result = await run_case(CASES[0], CounterBench(), NONE, CLOCK)
    assert len(result.messages) == 4
    assert len(result.samples) == 2
    assert from_json(json.loads(json.dumps(to_json(result)))) == result


class Page(HTMLParser):
    """Ids, links and the balance of elements."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("href", "src") and value:
                self.links.append(value)
        self.elements.append(tag)


async def test_the_reports_show_failures_first_and_link_each_verdict_to_its_messages(tmp_path: Path) -> None:
    lines: list[str] = []
    status = await execute(CATALOGUE, CounterBench(Counter(step=2)), selection(tmp_path), lines.append, CLOCK)
    assert status == 1
    assert lines[0] == "FAIL           C-01  Counters 1.1: values 2, 4 <script>"
    assert lines[-1] == "3 cases: 1 fail, 1 inconclusive, 1 not applicable"
    text = (tmp_path / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert "script" not in page.elements
    assert {f"#{one.id}" for one in CASES} <= set(page.links)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert text.index('id="C-01"') < text.index('id="C-02"') < text.index('id="C-03"')
    assert f"{COMMAND} --case C-01" in text
    assert "Example Counter" in text
    assert "not a certificate" in text
    assert "<polyline" in text
    root = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == ("3", "1", "1", "1")
    assert root.find(".//failure") is not None


async def test_a_run_without_a_passed_case_does_not_succeed() -> None:
    chosen = selection(cases=["C-03"])
    assert await execute(CATALOGUE, CounterBench(), chosen, lambda text: None, CLOCK) == 1


async def test_cases_are_listed_with_requirement_and_tags() -> None:
    assert listed(CATALOGUE, selection(tags=["long"])) == ["C-02  Counters 1.2  1, then 2  [long, nominal]"]
    (line,) = listed(CATALOGUE, selection(cases=["C-01"], json=True))
    assert json.loads(line)["reference"] == "1.1"


async def test_evidence_has_times_since_its_case_began() -> None:
    evidence = Evidence(CLOCK.now)
    await CLOCK.sleep(2)
    evidence.note("connected")
    assert evidence.messages[0].at == pytest.approx(2)
    assert isinstance(await run_case(CASES[0], CounterBench(), NONE, CLOCK), CaseResult)
