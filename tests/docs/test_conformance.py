"""Catalogues of the conformance runs, drawn from their declarations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from emulators.conformance.iso15118.declaration import EvCase, SeccCase
from emulators.conformance.iso15118.ev_catalogue import EV
from emulators.conformance.iso15118.secc_catalogue import SECC
from emulators.conformance.iso15118.uncertain_clauses import UNCERTAIN
from tests.docs.test_drawings import _cell as cell
from tests.drawings import drawn

LEAST_CASES = 150  # of ISO 15118, each with a requirement of its own
HEAD = """# Conformance cases of ISO 15118

Generated from the declarations by `make docs`. What the catalogues cover and how to run them is in
[conformance](conformance.md). "Uncertain" marks clauses whose number no source at hand confirms.

"""


def table(cases: Sequence[SeccCase] | Sequence[EvCase]) -> Iterator[str]:
    """Yield the tables of a catalogue, one for each feature."""
    feature = ""
    for case in cases:
        if case.feature != feature:
            feature = case.feature
            yield f"\n### {feature}, {'SECC' if 'secc' in case.tags else 'EV'}\n"
            yield "| case | requirement | rule | stimulus | expectation |\n|---|---|---|---|---|"
        shown = (case.requirement.rule, case.stimulus, case.expectation)
        uncertain = " (uncertain)" if str(case.requirement) in UNCERTAIN else ""
        row = [f"`{case.id}`", f"{case.requirement}{uncertain}", *map(cell, shown)]
        yield f"| {' | '.join(row)} |"


def counted(cases: Sequence[SeccCase] | Sequence[EvCase], device: str) -> str:
    """Return the size of a catalogue in words."""
    ids = sum("[" in case.requirement.reference for case in cases)
    references = len({str(case.requirement) for case in cases})
    mutants = sum(len(case.mutants) for case in cases)
    return (
        f"{len(cases)} cases for {device} with {references} different requirement ids, clauses and table rows; {ids}\n"
        f"of the cases cite a requirement id. {mutants} mutants of the emulated device fail them."
    )


def test_the_catalogue() -> None:
    parts = [HEAD, "## SECC\n\n", counted(SECC.cases, "a SECC"), "\n", "\n".join(table(SECC.cases))]
    parts += ["\n\n## EV\n\n", counted(EV.cases, "an EV"), "\n", "\n".join(table(EV.cases)), "\n"]
    drawn("conformance-iso15118.md", "".join(parts))


@pytest.mark.parametrize("cases", [SECC.cases, EV.cases], ids=["secc", "ev"])
def test_each_case_has_a_requirement_of_its_own_and_a_mutant(cases: Sequence[SeccCase] | Sequence[EvCase]) -> None:
    rules = [(case.requirement.standard, case.requirement.rule) for case in cases]
    assert len(set(rules)) == len(rules)
    assert all(case.mutants for case in cases)


def test_uncertain_clauses_are_cited() -> None:
    cited = {str(case.requirement) for case in SECC.cases} | {str(case.requirement) for case in EV.cases}
    assert cited >= UNCERTAIN


def test_the_catalogues_are_large_enough() -> None:
    references = {str(case.requirement) for case in SECC.cases} | {str(case.requirement) for case in EV.cases}
    assert len(SECC.cases) + len(EV.cases) >= len(references) >= LEAST_CASES
