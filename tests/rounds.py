"""Number of examples of long tests: few in `make test`, all in `make soak` (`V2X_SOAK=1`)."""

from __future__ import annotations

import os

SOAK = os.environ.get("V2X_SOAK") == "1"


def rounds(few: int, soak: int) -> int:
    """Return the number of examples of this run."""
    return soak if SOAK else few
