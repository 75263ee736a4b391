"""Times in messages: RFC 3339 in UTC outgoing, RFC 3339 or Unix seconds incoming; floats of Unix time inside.

Monotonic time never appears in a message. Incoming times (`Moment`) lie in this century; outgoing ones (`Stamp`) may be
any, because a gateway whose clock was never set still answers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

EARLIEST = 946_684_800.0  # 2000-01-01: the 1970 of an unset clock is rejected
LATEST = 4_102_444_800.0  # 2100-01-01
FIRST, LAST = -30_610_224_000.0, 253_402_300_799.0  # the years 1000 to 9999, the range of RFC 3339 here


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
