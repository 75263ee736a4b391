"""Form of messages: models that are immutable and without unknown members, and JSON without ambiguity.

What two readers of a JSON text could understand differently is refused (`strict_json`).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from functools import cached_property
from typing import NoReturn

from pydantic import BaseModel, ConfigDict

MAX_DEPTH = 64
_TOKEN = re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)  # a bracket, or a string to its end


class Message(BaseModel):
    """Configuration common to all published messages and their parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @cached_property
    def as_json(self) -> str:
        """JSON text of the message, made once for the journal and every subscriber."""
        return self.model_dump_json()


class ReceivedMessage(Message):
    """Configuration common to all received messages and their parts: values are not converted to another type."""

    model_config = ConfigDict(strict=True)


def strict_json(text: bytes | str) -> object:
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
