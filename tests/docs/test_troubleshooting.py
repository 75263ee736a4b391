"""`docs/troubleshooting.md` has a row for every code, HTTP answer and error message that a user can meet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

import pytest

from gateway.blue_switch.arrivals import ArrivalCode
from gateway.energy.modes.mode import TargetCode
from gateway.energy.reason import EnergyCode, LendingCode, LimitBinds
from gateway.model.reason import Code
from gateway.model.state import Happened
from gateway.model.station import OutcomeCode
from gateway.web.answers import EVERY_ROUTE, STATION_CALL
from tests.docs.messages import messages
from tests.peers import ROOT
from tests.source_tree import literal_decisions

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def rows(heading: str) -> Iterator[list[str]]:
    """Yield the cells of each row below a heading of the second level; a `|` inside a cell is written `\\|`."""
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None, heading
    for line in section[1].splitlines():
        cells = [one.strip().replace("\\|", "|") for one in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and not cells[0].startswith("---") and cells[1] != "cause":
            yield cells


def keys(heading: str) -> set[str]:
    """Return the codes that the rows below a heading are about."""
    return {code for cells in rows(heading) for code in re.findall(r"`([^`]+)`", cells[0])}


@pytest.mark.parametrize(
    ("heading", "codes"),
    [
        ("Reason codes", set(Code)),
        ("Events", set(Happened)),
        ("Codes of stations", set(OutcomeCode)),
        ("HTTP answers of the admin API", {str(one) for one in EVERY_ROUTE | STATION_CALL}),
    ],
)
def test_every_code_has_a_row(heading: str, codes: set[str]) -> None:
    assert {str(one) for one in codes} - keys(heading) == set()


def test_every_decision_of_energy_management_has_a_row() -> None:
    codes = {*get_args(EnergyCode), *get_args(LendingCode), *LimitBinds, *TargetCode, *ArrivalCode}
    assert {str(one) for one in codes | literal_decisions()} - keys("Decisions of energy management") == set()


def test_every_message_has_a_row() -> None:
    described = {cells[0].strip("`").replace("`", "") for cells in rows("Error messages")}
    absent = {text: place for text, place in messages().items() if text.replace("`", "") not in described}
    assert absent == {}


@pytest.mark.parametrize("heading", re.findall(r"^## (.+)$", PAGE, re.MULTILINE)[1:])
def test_every_row_has_cause_and_remedy(heading: str) -> None:
    assert [cells[0] for cells in rows(heading) if len(cells) != 3 or not all(cells)] == []
