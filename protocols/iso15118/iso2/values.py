"""PhysicalValue of ISO 15118-2 and DIN 70121: Value · 10^Multiplier with a 16-bit Value and −3 ≤ Multiplier ≤ 3.

Voltages and currents have one decimal where they fit. Limits are rounded to the safe side (`down`, `up`). The unit of a
received value is ignored: cars and chargers omit it, or send a wrong one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

LARGEST = 32767
LARGEST_MULTIPLIER = 3
_FUZZ = 1e-6
_FINEST = {"V": -1, "A": -1}


class PhysicalValue(Protocol):
    """The number format of both generations."""

    @property
    def Multiplier(self) -> int: ...

    @property
    def Value(self) -> int: ...


def number(value: PhysicalValue) -> float:
    """Return the number, in the unit of its field."""
    return float(value.Value * 10**value.Multiplier) if value.Multiplier >= 0 else value.Value / 10**-value.Multiplier


def optional(value: PhysicalValue | None, default: float) -> float:
    """Return the number of a field that may be absent."""
    return default if value is None else number(value)


def parts(value: float, unit: str, rounded: Callable[[float], float] = round) -> dict[str, int]:
    """Return multiplier and value; a number outside the range becomes the largest one."""
    if not math.isfinite(value):
        value = math.copysign(LARGEST * 10.0**LARGEST_MULTIPLIER, value)
    for multiplier in range(_FINEST.get(unit, 0), LARGEST_MULTIPLIER + 1):
        scaled = rounded(value / 10**multiplier)
        if abs(scaled) <= LARGEST:
            return {"Multiplier": multiplier, "Value": int(scaled)}
    return {"Multiplier": LARGEST_MULTIPLIER, "Value": LARGEST if value > 0 else -LARGEST}


def down(value: float) -> float:
    """Round an upper limit."""
    return math.floor(value + _FUZZ)


def up(value: float) -> float:
    """Round a lower limit."""
    return math.ceil(value - _FUZZ)
