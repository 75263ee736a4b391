"""Form of messages: models that are immutable and without unknown members, JSON without ambiguity, and times.

What two readers of a JSON text could understand differently is refused (`strict_json`). Times are RFC 3339 in UTC
outgoing, RFC 3339 or Unix seconds incoming, and floats of Unix time inside; monotonic time never appears in a message.
Incoming times (`Moment`) lie in this century; outgoing ones (`Stamp`) may be any, because a gateway whose clock was
never set still answers.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Annotated, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

MAX_DEPTH = 64
EARLIEST = 946_684_800.0  # 2000-01-01: the 1970 of an unset clock is rejected
LATEST = 4_102_444_800.0  # 2100-01-01
FIRST, LAST = -30_610_224_000.0, 253_402_300_799.0  # the years 1000 to 9999, the range of RFC 3339 here
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
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    value: object = _DECODER.decode(text)
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


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_finite)


# times ----------------------------------------------------------------------------------------------------------------


def is_moment(wall: float) -> bool:
    """Return whether this is a plausible time: finite and in this century."""
    return EARLIEST <= wall <= LATEST


def rfc3339(wall: float) -> str:
    """Return Unix time as `2026-01-31T12:00:00.000Z`; parsing and formatting it again gives the same text."""
    seconds, ms = divmod(round(min(max(wall, FIRST), LAST) * 1000), 1000)
    return f"{_second(seconds)}.{ms:03d}Z"


@lru_cache(maxsize=64)  # the messages of a second have the same few times
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_moment(value: object) -> float:
    """Return the Unix time of an RFC 3339 text with zone, or of Unix seconds; ValueError otherwise."""
    wall = parse_stamp(value)
    if not is_moment(wall):
        raise ValueError("must lie between the years 2000 and 2100 (Unix time is in seconds, not milliseconds)")
    return wall


def parse_stamp(value: object) -> float:
    """Return the same for a time of any year."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be an RFC 3339 time such as 2026-01-31T12:00:00Z") from None
        if moment.tzinfo is None:
            raise ValueError("must have a time zone, such as 2026-01-31T12:00:00Z")
        return moment.timestamp()
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15:
        return float(value)
    raise ValueError("must be an RFC 3339 time or Unix seconds")


Moment = Annotated[
    float,
    BeforeValidator(parse_moment),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "number", "minimum": EARLIEST, "maximum": LATEST},
            ],
            "description": "RFC 3339 with its zone, or Unix seconds",
        },
        mode="validation",
    ),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
Stamp = Annotated[
    float,
    BeforeValidator(parse_stamp),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
