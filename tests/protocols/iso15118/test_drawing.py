"""The generated document of the states matches the tables."""

from __future__ import annotations

from protocols.iso15118.drawing import document
from tests.peers import ROOT


def test_the_document_is_drawn_from_the_tables() -> None:
    kept = (ROOT / "docs" / "iso15118-states.md").read_text()
    assert kept == document(), "run `python -m protocols.iso15118.drawing > docs/iso15118-states.md`"
