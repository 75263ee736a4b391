"""Levels of 200.6 and 200.7 in %, whatever unit the vehicle uses, and its state of charge.

The unit is % since V2H guideline 1.0 and 0.1 kWh before. A vehicle states no version of the guideline: one that sends
0x201 with a sequence number of 1 or more uses %; one that does not, or whose level exceeds 100, uses 0.1 kWh.
"""

from __future__ import annotations

from protocols.chademo.frames import BatteryLimits, ChargeTime, DischargeLimits, VehicleSequence, VehicleStatus
from protocols.frozen import frozen

_UNKNOWN = (0, 0xFF)  # not used, not initialised
_UNIT_WH = 100


@frozen
class Levels:
    """Levels in % of the capacity; None is no limit."""

    min_pct: int | None = None  # discharging ends here
    max_pct: int | None = None  # charging ends here


def in_pct(limits: DischargeLimits, time: ChargeTime | None, sequence: VehicleSequence | None) -> Levels:
    """Return the levels of a vehicle in %, truncated. Valid after permission (switch k)."""
    raw = (limits.min_level, limits.max_level)
    as_energy = any(100 < level < 0xFF for level in raw) or sequence is None or sequence.sequence == 0
    low, high = (_level_pct(level, as_energy, time.capacity_wh if time else 0) for level in raw)
    return Levels(low, high)


def _level_pct(level: int, as_energy: bool, capacity_wh: int) -> int | None:
    if level in _UNKNOWN:
        return None
    if not as_energy:
        return level
    return min(100, level * _UNIT_WH * 100 // capacity_wh) if capacity_wh else None


def raw_level(pct: float, capacity_wh: float, as_energy: bool) -> int:
    """Return a level as a vehicle sends it."""
    return min(0xFE, round(pct / 100 * capacity_wh / _UNIT_WH)) if as_energy else round(pct)


def soc_pct(status: VehicleStatus, limits: BatteryLimits | None) -> float | None:
    """Return the state of charge in %; None while the vehicle has not stated the divisor."""
    if limits is None or not limits.rate_constant:
        return None
    return min(100.0, 100.0 * status.soc_raw / limits.rate_constant)
