"""The state tables as a document: `python -m protocols.iso15118.iso20.drawing > docs/iso15118-states.md`.

Mermaid diagrams and tables generated from `states.py`; a test compares the document with it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from protocols.iso15118.iso20.states import AC, DC, NEXT_STEPS, Follows, State, Step

_HEAD = """# States of an ISO 15118-20 session

Generated from the tables in `protocols/iso15118/iso20/states.py` by
`python -m protocols.iso15118.iso20.drawing`; a test fails when this document and the tables differ. A SECC state is
named for the request that the SECC waits for. Every request may also end the session (a FAILED response, SessionStop),
which the diagrams omit.
"""


def document() -> str:
    parts = [_HEAD]
    for title, table in (("SECC, DC and DC_BPT", DC), ("SECC, AC and AC_BPT", AC)):
        parts += [f"## {title}\n", _secc_diagram(table), _secc_table(table)]
    parts += ["## EVCC\n", _evcc_diagram(NEXT_STEPS)]
    return "\n".join(parts)


def _name(state: State | Step) -> str:
    return state.name.lower()


def _secc_diagram(table: Follows) -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {_name(State.APP_PROTOCOL)}"]
    for state, requests in table.items():
        arrows: dict[State, list[str]] = {}
        for request, reached in requests.items():
            for target in sorted(reached - {State.ENDED}):
                arrows.setdefault(target, []).append(request)
        lines += [f"    {_name(state)} --> {_name(target)}: {', '.join(names)}" for target, names in arrows.items()]
    return "\n".join([*lines, f"    {_name(State.ENDED)} --> [*]", "```", ""])


def _secc_table(table: Follows) -> str:
    lines = ["| state | accepts | leads to |", "|---|---|---|"]
    for state, requests in table.items():
        for request, reached in requests.items():
            lines.append(f"| {state.value} | {request} | {', '.join(sorted(reached))} |")
    return "\n".join([*lines, ""])


def _evcc_diagram(table: Mapping[Step, frozenset[Step]]) -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {_name(Step.APP_PROTOCOL)}"]
    lines += [f"    {_name(step)} --> {_name(target)}" for step, reached in table.items() for target in sorted(reached)]
    return "\n".join([*lines, f"    {_name(Step.ENDED)} --> [*]", "```", ""])


if __name__ == "__main__":
    sys.stdout.write(document())
