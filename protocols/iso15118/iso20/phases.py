"""Power over one or three phases: the `_L2` and `_L3` fields of AC messages.

Without `_L2` and `_L3` the base field is the total of all phases; with them it is phase L1 (the interpretation of peers
and of OCPP 2.1's descriptions; not verified against the standard). Internally power is the total and phases are equal.
"""

from __future__ import annotations

from collections.abc import Callable

from protocols.iso15118.iso20.rational import number
from protocols.iso15118.iso20.types import RationalNumber


def phase_fields(
    name: str, total: float, phases: int, build: Callable[[float], RationalNumber]
) -> dict[str, RationalNumber]:
    """Return the fields that state `total`: one, or one for each of three phases."""
    if phases == 1:
        return {name: build(total)}
    share = build(total / phases)
    return {name: share} | {f"{name}_L{phase}": share for phase in range(2, phases + 1)}


def phase_values(message: object, name: str) -> list[float]:
    """Return the values of a message for `name`: one number (the total) or one for each phase; empty if omitted."""
    base = getattr(message, name)
    others = (getattr(message, f"{name}_L2"), getattr(message, f"{name}_L3"))
    return [number(value) for value in (base, *others) if value is not None] if base is not None else []


def total(message: object, name: str) -> float | None:
    """Return the signed sum over the phases; None if omitted."""
    values = phase_values(message, name)
    return sum(values) if values else None


def largest_total(message: object, name: str, otherwise: float) -> float:
    """Return the largest total in equal phases that exceeds no phase's limit (a magnitude)."""
    values = phase_values(message, name)
    return len(values) * min(abs(value) for value in values) if values else otherwise


def smallest_total(message: object, name: str, otherwise: float) -> float:
    """Return the smallest total in equal phases that undercuts no phase's minimum (a magnitude)."""
    values = phase_values(message, name)
    return len(values) * max(abs(value) for value in values) if values else otherwise
