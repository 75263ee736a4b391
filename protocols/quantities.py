"""Units and the sign convention.

SI units, named in the variable (`power_w`, `energy_wh`, `soc_pct`, `current_a`, `voltage_v`). Positive is into the
vehicle (charge), negative is out of it (discharge), everywhere inside; adapters convert the signs of external
interfaces with the two functions below.
"""

from __future__ import annotations


def discharge(magnitude: float) -> float:
    """Return the signed value of a discharge that an external interface states as a magnitude (its sign there is
    ignored)."""
    return 0.0 - abs(magnitude)


def charge(magnitude: float) -> float:
    """Return the signed value of a charge that an external interface states as a magnitude."""
    return abs(magnitude)


def clamp(value: float, low: float, high: float) -> float:
    """Return the value nearest to `value` in [low, high]."""
    return min(max(value, low), high)
