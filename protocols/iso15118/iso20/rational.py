"""RationalNumber, the number format of ISO 15118-20: Value · 10^Exponent with a 16-bit Value.

Limits are rounded to the safe side (`rational_down` for maxima, `rational_up` for minima), everything else to the
nearest.
"""

from __future__ import annotations

import math
from functools import lru_cache

from protocols.iso15118.iso20.types import RationalNumber

LARGEST = 32767  # of Value; its least, −32768, is not used, so that every number can change its sign
MAX_DECIMALS = 3
_FUZZ = 1e-9  # binary rounding error: 12.3 × 10 is 123.00000000000001
_POWERS = tuple(10.0**e for e in range(19))


def number(value: RationalNumber) -> float:
    """Return the number, in the unit of its field."""
    exponent = value.Exponent
    if exponent == 0:
        return float(value.Value)
    if 0 < exponent < len(_POWERS):
        return value.Value * _POWERS[exponent]
    if -len(_POWERS) < exponent < 0:
        return value.Value / _POWERS[-exponent]
    return value.Value * math.pow(10.0, exponent)


def magnitude(value: RationalNumber) -> float:
    """Return the absolute number: some EVs state discharge limits as negative numbers."""
    return abs(number(value))


def rational(value: float) -> RationalNumber:
    """Return the nearest RationalNumber, with at most three decimals."""
    return _build(float(value), 0)


def rational_down(value: float) -> RationalNumber:
    """Return the nearest RationalNumber that is not larger."""
    return _build(float(value), -1)


def rational_up(value: float) -> RationalNumber:
    """Return the nearest RationalNumber that is not smaller."""
    return _build(float(value), 1)


@lru_cache(maxsize=4096)
def _build(value: float, direction: int) -> RationalNumber:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not finite and has no RationalNumber")
    if value.is_integer() and -LARGEST <= value <= LARGEST:
        return RationalNumber(Exponent=0, Value=int(value))
    exponent = -MAX_DECIMALS
    while True:
        scaled = value / 10.0**exponent
        if abs(scaled) <= LARGEST + 0.5:
            whole = _round(scaled, direction)
            if abs(whole) <= LARGEST:
                break
        exponent += 1
    while exponent < 0 and whole % 10 == 0:
        whole //= 10
        exponent += 1
    return RationalNumber(Exponent=exponent, Value=whole)


def _round(value: float, direction: int) -> int:
    if direction < 0:
        return math.floor(value + _FUZZ)
    if direction > 0:
        return math.ceil(value - _FUZZ)
    return round(value)
