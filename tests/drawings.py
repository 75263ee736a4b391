"""Documents that are drawn from the code: a test fails when one is out of date, `make docs` draws it anew."""

from __future__ import annotations

import os
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def drawn(name: str, text: str) -> None:
    """Hold `docs/<name>` to `text`; with V2X_DRAW=1 write it instead."""
    path = DOCS / name
    if os.environ.get("V2X_DRAW") == "1":
        path.write_text(text, encoding="utf-8")
    shown = path.read_text(encoding="utf-8") if path.exists() else ""
    assert shown == text, f"docs/{name} differs from the code; `make docs` draws it anew"
