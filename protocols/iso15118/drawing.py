"""The state tables of all generations as a document.

`python -m protocols.iso15118.drawing > docs/iso15118-states.md`: Mermaid diagrams and tables, generated from
`iso20/states.py`, `iso2/states.py` and `din/states.py`; a test compares the document with them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from protocols.iso15118.din.states import FOLLOWS as DIN
from protocols.iso15118.iso2 import states as iso2
from protocols.iso15118.iso2.tolerances import ChargerTolerance, Tolerance, tolerated_rows
from protocols.iso15118.iso20 import states as iso20

S = TypeVar("S", bound=StrEnum)
FIRST, LAST = "app_protocol", "ended"

_HEAD = """# States of a session

Generated from the tables in `protocols/iso15118/iso20/states.py`, `iso2/states.py` and `din/states.py` by
`python -m protocols.iso15118.drawing`; a test fails when this document and the tables differ. A SECC state is named for
the request that the SECC waits for. Every request may also end the session (a FAILED response, SessionStop), which the
diagrams omit.
"""
_TOLERANCES = """## Deviations that ISO 15118-2 and DIN 70121 accept

`interop` (the default of `v2x secc --tolerance`) accepts all of them, `strict` none. The cars that need them are in
`iso2/tolerances.py`, a test for each in `tests/protocols/iso15118/iso2`. What is dangerous is accepted in neither; what
no rule forbids is always accepted: spare bytes after a message, session ids of any length in SessionSetupReq, unknown
protocols in the offer, EVReady = false.

| deviation of a car | accepts |
|---|---|
"""
_CHARGERS = """
An EVCC accepts deviations of chargers: {}.
"""


def document() -> str:
    secc = (
        ("ISO 15118-20: SECC, DC and DC_BPT", iso20.DC),
        ("ISO 15118-20: SECC, AC and AC_BPT", iso20.AC),
    )
    older = (
        ("ISO 15118-2: SECC, DC", iso2.DC),
        ("ISO 15118-2: SECC, AC", iso2.AC),
        ("DIN 70121: SECC", DIN),
    )
    parts = [_HEAD]
    for title, modern in secc:
        parts += [f"## {title}\n", _secc_diagram(modern), _secc_table(modern)]
    parts += ["## ISO 15118-20: EVCC\n", _evcc_diagram(iso20.NEXT_STEPS)]
    for title, table in older:
        parts += [f"## {title}\n", _secc_diagram(table), _secc_table(table)]
    parts += ["## ISO 15118-2 and DIN 70121: EVCC\n", _evcc_diagram(iso2.NEXT_STEPS)]
    return "\n".join([*parts, _tolerances()])


def _tolerances() -> str:
    lines = []
    for one in Tolerance:
        accepted = [
            f"{request} in state {', '.join(sorted(state.value for state in states))}"
            for states, request in tolerated_rows(one)
        ]
        lines.append(f"| `{one.value}` | {'; '.join(accepted) or 'values'} |\n")
    chargers = ", ".join(f"`{one.value}`" for one in ChargerTolerance)
    return _TOLERANCES + "".join(lines) + _CHARGERS.format(chargers)


def _name(state: StrEnum) -> str:
    return state.name.lower()


def _secc_diagram(table: Mapping[S, Mapping[str, frozenset[S]]]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {FIRST}"]
    for state, requests in table.items():
        arrows: dict[S, list[str]] = {}
        for request, reached in requests.items():
            for target in sorted(one for one in reached if _name(one) != LAST):
                arrows.setdefault(target, []).append(request)
        lines += [f"    {_name(state)} --> {_name(target)}: {', '.join(names)}" for target, names in arrows.items()]
    return "\n".join([*lines, f"    {LAST} --> [*]", "```", ""])


def _secc_table(table: Mapping[S, Mapping[str, frozenset[S]]]) -> str:
    lines = ["| state | accepts | leads to |", "|---|---|---|"]
    for state, requests in table.items():
        for request, reached in requests.items():
            lines.append(f"| {state.value} | {request} | {', '.join(sorted(reached))} |")
    return "\n".join([*lines, ""])


def _evcc_diagram(table: Mapping[S, frozenset[S]]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {FIRST}"]
    lines += [f"    {_name(step)} --> {_name(target)}" for step, reached in table.items() for target in sorted(reached)]
    return "\n".join([*lines, f"    {LAST} --> [*]", "```", ""])


if __name__ == "__main__":
    sys.stdout.write(document())
