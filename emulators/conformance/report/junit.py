"""JUnit report: a suite for each feature; a failed case is a failure, an inconclusive one an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from emulators.conformance.case import Verdict
from emulators.conformance.report.features import by_feature
from emulators.conformance.result import CaseResult, RunInfo, counts
from gateway.model import foreign_text
from protocols import private_file

ELEMENTS = {Verdict.FAIL: "failure", Verdict.INCONCLUSIVE: "error", Verdict.NOT_APPLICABLE: "skipped"}


def write(path: Path, info: RunInfo, results: Sequence[CaseResult]) -> None:
    """Write the file."""
    root = Element("testsuites", {"name": info.title, **_numbers(results)})
    for feature, cases in by_feature(results).items():
        suite = SubElement(root, "testsuite", {"name": feature, "timestamp": info.started, **_numbers(cases)})
        properties = SubElement(suite, "properties")
        for name, value in (("target", info.target), ("device", info.device), ("firmware", info.firmware)):
            SubElement(properties, "property", name=name, value=foreign_text.line(value))
        for case in cases:
            _case(suite, case, f"{info.command} --case {case.id}")
    indent(root)
    with private_file.replacing(path, "wb") as out:
        ElementTree(root).write(out, encoding="utf-8", xml_declaration=True)


def _numbers(cases: Sequence[CaseResult]) -> dict[str, str]:
    number = counts(cases)
    return {
        "tests": str(len(cases)),
        "failures": str(number[Verdict.FAIL]),
        "errors": str(number[Verdict.INCONCLUSIVE]),
        "skipped": str(number[Verdict.NOT_APPLICABLE]),
        "time": f"{sum(one.duration_s for one in cases):.3f}",
    }


def _case(suite: Element, case: CaseResult, command: str) -> None:
    time = f"{case.duration_s:.3f}"
    element = SubElement(suite, "testcase", classname=case.feature, name=case.id, time=time)
    if kind := ELEMENTS.get(case.verdict):
        SubElement(element, kind, message=foreign_text.line(case.reason))
    text = f"{case.standard} {case.reference}: {case.rule}\nexpected: {case.expectation}\n{command}"
    SubElement(element, "system-out").text = "\n".join(map(foreign_text.line, text.split("\n")))
