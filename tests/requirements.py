"""`@requirement("K28.FR.01")`: the requirements that a test verifies; `tests/requirement_report.py` writes the page."""

from __future__ import annotations

import pytest


def requirement(*ids: str) -> pytest.MarkDecorator:
    """Return the mark of a test that exercises these requirements from outside and fails if one is not met."""
    return pytest.mark.requirement(*ids)
