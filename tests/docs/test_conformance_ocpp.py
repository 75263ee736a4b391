"""Catalogues of the OCPP conformance runs, drawn from their declarations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeVar

from emulators.conformance.case import Case
from emulators.conformance.catalogue import Catalogue
from emulators.conformance.ocpp.catalogue import stations, systems
from emulators.conformance.ocpp.mutants import Mutant
from tests.docs.test_drawings import _cell as cell
from tests.drawings import drawn

D = TypeVar("D")
LEAST_CASES = 250  # each with a requirement of its own
NUMBERED = re.compile(r"\.FR\.\d|^V2X")  # reference with the id of a requirement
HEAD = """# Conformance cases of OCPP

Generated from the declarations by `make docs`. How to run them, and what they cover, is in
[conformance of OCPP devices](conformance-ocpp.md).
"""


def table(catalogue: Catalogue[D, Mutant]) -> Iterator[str]:
    """Yield the tables of a catalogue, one for each feature."""
    groups: dict[str, list[Case[D, Mutant]]] = {}
    for case in catalogue.cases:
        groups.setdefault(case.feature, []).append(case)
    for feature, cases in groups.items():
        yield f"\n### {feature}, {catalogue.role}\n"
        yield "| case | requirement | stimulus | expectation | requires |\n|---|---|---|---|---|"
        for case in cases:
            needs = ", ".join(f"`{name}`" for name in case.requires if not name.startswith("ocpp."))
            row = (f"`{case.id}`", str(case.requirement), cell(case.stimulus), cell(case.expectation), needs)
            yield f"| {' | '.join(row)} |"


def capabilities(catalogue: Catalogue[D, Mutant]) -> Iterator[str]:
    """Yield the table of the capabilities of a catalogue."""
    yield f"\n### Capabilities, {catalogue.role}\n"
    yield "| capability | meaning | default |\n|---|---|---|"
    for name, one in catalogue.capabilities.items():
        yield f"| `{name}` | {cell(one.text)} | {'yes' if one.default else 'no'} |"


def section(title: str, catalogue: Catalogue[D, Mutant]) -> str:
    """Return the section of one catalogue."""
    ids = sum(bool(NUMBERED.search(case.requirement.reference)) for case in catalogue.cases)
    count = (
        f"{len(catalogue.cases)} cases, each with a mutant that fails it: {ids} with a requirement id of their own,\n"
        f"{len(catalogue.cases) - ids} of rules without an id, cited by the section or message and the rule's subject."
    )
    lines = [f"\n## {title}\n", count, *table(catalogue), *capabilities(catalogue)]
    return "\n".join(lines) + "\n"


def test_the_catalogues() -> None:
    drawn("conformance-ocpp-cases.md", HEAD + section("Charging stations", stations()) + section("CSMSs", systems()))


def test_the_catalogues_are_large_enough() -> None:
    references = {str(case.requirement) for case in stations().cases} | {
        str(case.requirement) for case in systems().cases
    }
    assert len(stations().cases) + len(systems().cases) >= len(references) >= LEAST_CASES
    assert sum(bool(NUMBERED.search(case.requirement.reference)) for case in stations().cases) >= LEAST_CASES
