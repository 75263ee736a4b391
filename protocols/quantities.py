"""Units and the one sign rule.

SI units, named in the variable (`power_w`, `energy_wh`, `soc_pct`, `current_a`, `voltage_v`). Positive is into the
vehicle (charge), negative is out of it (discharge), everywhere inside; adapters turn the signs of the outside at the
border with the two functions below.
"""

from __future__ import annotations


def discharge(magnitude: float) -> float:
    """The signed value of a discharge that the outside states as a magnitude (its sign there is not trusted)."""
    return 0.0 - abs(magnitude)


def charge(magnitude: float) -> float:
    """The signed value of a charge that the outside states as a magnitude."""
    return abs(magnitude)


def clamp(value: float, low: float, high: float) -> float:
    """The value nearest to `value` in [low, high]."""
    return min(max(value, low), high)
