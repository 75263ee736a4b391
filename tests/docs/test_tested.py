"""`docs/tested.md`: evidence exists, and versions are those that the tests install or require."""

from __future__ import annotations

import re
from datetime import date

import pytest

from tests.peers import ROOT

PAGE = (ROOT / "docs" / "tested.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if "| `tests/" in line]
PINNED = (ROOT / "constraints.txt").read_text(encoding="utf-8")


def sources() -> str:
    """Return the texts in which tests pin a peer."""
    return PINNED + "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: re.sub(r"\W+", "-", row[0]).strip("-"))
def test_a_row_has_evidence_and_the_version_of_the_tests(row: list[str]) -> None:
    peer, version, what, evidence, day = row
    assert peer
    assert what
    assert (ROOT / evidence.strip("`")).is_file()
    assert date.fromisoformat(day) <= date.today()
    if not version.startswith("Debian"):
        assert re.search(rf"(@|==|\"){re.escape(version)}\b", sources()), f"no test installs {version}"


def test_every_pinned_peer_has_a_row() -> None:
    interop = [
        path
        for folder in ("interop", "fuzz", "deploy", "gateway/web/page")
        for path in (ROOT / "tests" / folder).glob("*.py")
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in interop)
    pinned = set(re.findall(r"\"(?:@[\w-]+/)?[\w-]+(?:@|==)(\d[\w.]+)\"", text)) - {
        "3.9.0",
        "1.6.1",
        "1.2.21",
    }  # of their libraries
    assert len(pinned) >= 6
    assert {one for one in pinned if one not in {row[1] for row in ROWS}} == set()
