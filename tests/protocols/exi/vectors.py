"""The vectors of `tests/data/exi`: one JSON object a line, compressed."""

from __future__ import annotations

import functools
import json
import lzma
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[2] / "data" / "exi"
NAMES = tuple(sorted(p.name.removesuffix(".jsonl.xz") for p in DATA.glob("*.jsonl.xz") if p.name != "bad.jsonl.xz"))


@functools.cache
def vectors(name: str) -> tuple[dict[str, Any], ...]:
    """Return all vectors of a file."""
    with lzma.open(DATA / f"{name}.jsonl.xz", "rt", encoding="utf-8") as lines:
        return tuple(json.loads(line) for line in lines)
