"""Durations in scenario files: seconds as a number, or a text such as "1h30m", "90s", "2d"."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNIT = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(value: object) -> float:
    """Return the seconds of a number or of a text such as "1h30m"; ValueError if it is neither."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    elif isinstance(value, str) and value and _PART.sub("", value) == "":
        number = sum(float(amount) * _UNIT[unit] for amount, unit in _PART.findall(value))
    else:
        raise ValueError('must be a number of seconds or a text such as "90s", "1h30m" or "2d"')
    if not 0 <= number <= 366 * 86400:
        raise ValueError("must be between 0 s and one year")
    return number


Seconds = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema(
        {
            "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^(\d+(\.\d+)?[smhd])+$"}],
            "description": 'seconds, or a text such as "90s", "1h30m", "2d"',
        }
    ),
]
