"""Conversion between OCPP date-times and Unix time.

2.x requires RFC 3339 (2.1 part 2, dateTime); 1.6 accepts any ISO 8601, and a time without an offset is read as UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

CACHED, LONGEST_CACHED = 256, 40  # a message has one time stamp several times; characters


def stamp(wall: float) -> str:
    """Return Unix time as RFC 3339 in UTC with milliseconds, such as `2026-01-31T12:00:00.250Z`."""
    text = datetime.fromtimestamp(round(wall, 3), UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def parse(text: object) -> float | None:
    """Return the Unix time of a date-time; None if it is invalid."""
    if not isinstance(text, str):
        return None
    return _cached(text) if len(text) <= LONGEST_CACHED else _parse(text)


def _parse(text: str) -> float | None:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except OverflowError:
        return None


_cached = lru_cache(CACHED)(_parse)
