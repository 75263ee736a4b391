"""JSON without ambiguity: what two readers could understand differently is refused."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import NoReturn

MAX_DEPTH = 64
_TOKEN = re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)  # a bracket, or a string to its end


def loads(text: bytes | str) -> object:
    """Return the value of a JSON text.

    Raises ValueError for what is not JSON in UTF-8, for a repeated member of an object, NaN and infinite numbers,
    unpaired surrogates, and more than `MAX_DEPTH` levels.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    if _depth(text) > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    value: object = json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_finite)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # UnicodeEncodeError is a ValueError
    return value


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        repeated = next(name for name, number in counts.items() if number > 1)
        raise ValueError(f"the member {repeated[:64]!r} is repeated")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:64]} is too large")
    return value


def _depth(text: str) -> int:
    """Return the greatest number of open brackets outside strings."""
    depth = deepest = 0
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in "]}":
            depth -= 1
    return deepest
