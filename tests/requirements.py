"""`@requirement("K28.FR.01")`: which requirement a test proves. `tests/requirement_report.py` makes a page of it."""

from __future__ import annotations

import pytest


def requirement(*ids: str) -> pytest.MarkDecorator:
    """The test drives these requirements over the wire and fails if one is broken."""
    return pytest.mark.requirement(*ids)
