"""JUnit report of a run, with one test case for each expectation of the scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from emulators.scenario.scenario import Scenario
from protocols import private_file


def write(summary: dict[str, Any], scenario: Scenario, path: Path) -> None:
    """Write the file: a violated expectation is a failure; seed, transports and transcript digest are properties."""
    violations = {name: [text for text in summary["broken"] if name in text.split()] for name in scenario.expect}
    suite = Element(
        "testsuite",
        name=scenario.name,
        tests=str(len(violations)),
        failures=str(sum(1 for texts in violations.values() if texts)),
        time=f"{summary['real_s']:.3f}",
    )
    properties = SubElement(suite, "properties")
    for name in ("seed", "transports", "transcript"):
        SubElement(properties, "property", name=name, value=str(summary[name]))
    for name, texts in violations.items():
        case = SubElement(suite, "testcase", classname=scenario.name, name=name, time="0")
        for text in texts:
            SubElement(case, "failure", message=text)
    indent(suite)
    with private_file.replacing(path, "wb") as out:
        ElementTree(suite).write(out, encoding="utf-8", xml_declaration=True)
