"""OCPP's date-times to Unix time and back.

2.x asks for RFC 3339 (2.1 part 2, dateTime); 1.6 takes any ISO 8601, and a time without an offset is read as UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(wall: float) -> str:
    """Unix time as RFC 3339 in UTC with milliseconds, such as `2026-01-31T12:00:00.250Z`."""
    text = datetime.fromtimestamp(round(wall, 3), UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def parse(text: object) -> float | None:
    """Unix time of a date-time, None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except OverflowError:
        return None
