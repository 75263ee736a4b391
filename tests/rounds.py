"""Number of examples and cases of long tests: few in `make test`, all in `make soak` (`V2X_SOAK=1`)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

SOAK = os.environ.get("V2X_SOAK") == "1"


def rounds(few: int, soak: int) -> int:
    """Return the number of examples of this run."""
    return soak if SOAK else few


def some(cases: Iterable[Any], every: int) -> list[Any]:
    """Return each `every`-th case of a parametrized test; in `make soak` all, the others marked `soak`."""
    chosen = ((one, number % every == 0) for number, one in enumerate(cases))
    return [one if often else _soak(one) for one, often in chosen if often or SOAK]


def _soak(case: Any) -> Any:
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.soak)
