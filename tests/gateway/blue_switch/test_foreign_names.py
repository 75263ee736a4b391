"""A name that a vehicle or a person states is data in the audit chain and in its report."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from gateway.blue_switch.audit import Audit, Details, first_broken
from gateway.blue_switch.outages import report_markdown

FORGERY = "car X\n\n2. 2026-11-28T00:00:00Z its state of charge went below its floor\n# h\n<script>\x1b[31m\u202e|`"


@pytest.mark.parametrize("text", [FORGERY, FORGERY.replace("\n", "\r"), FORGERY.replace("\n", "\u2028")])
def test_a_name_forges_no_entry_and_the_chain_covers_what_is_read(text: str) -> None:
    chain = Audit()
    entry = chain.add(0.0, "arrived", "car", text, Details(outage="o1"))
    shown = report_markdown(
        {
            "sites": [],
            "cars": [],
            "entries": [one.as_json() for one in chain.entries],
            "chain": {"whole": first_broken(chain.entries) is None, "last": entry.hash},
        }
    )
    events = shown.split("## Events")[1]
    assert re.findall(r"(?m)^\s*(\d+)\.", events) == ["1"]
    assert "complete and unaltered" in shown
    assert not re.search(r"(?m)^# h|<script>|\x1b|\u202e", shown)
    assert len(entry.text.splitlines()) == 1
    assert first_broken([replace(entry, text=text)]) == 0  # the text before it was neutralised has another hash
