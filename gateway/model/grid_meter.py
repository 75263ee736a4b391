"""Recognition of those values of the grid meter that are measurements. Pure.

A meter that does not have a quantity sends 0, or the highest number of its register. No power flows without a voltage,
so 0 V while power flows is no measurement; 0 V without any power is one: the grid is dead.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

LOWEST_NOMINAL_V = 100.0  # of low-voltage networks, for a site that states none
DEAD_PU = 0.5  # of the nominal voltage: below it there is no grid
NOTHING_PU = 0.05  # up to this a reading is 0 V
HIGHEST_PU = 1.5 * math.sqrt(3.0)  # 1.5 times the phase-to-phase voltage, where the nominal one is phase-to-neutral
IMPOSSIBLE_HZ = 0.2  # of the nominal frequency: one further off is of no grid
FLOW_W = 30.0  # above the noise of a meter
CERTAIN_FLOW_W = 500.0
RIGHT_HZ = 1.5  # from a nominal frequency
NOMINAL_HZ = (50.0, 60.0)
LACKING = 3  # readings of 0 V while power flows, after which a meter has no voltage
UNFILLED = sorted(  # values of unfilled registers of 16 and 32 bit, in all their scales
    number / 10.0**scale
    for number in (32_767, 32_768, 65_535, 2_147_483_647, 2_147_483_648, 4_294_967_295)
    for scale in range(5)
)
ROUNDED = 1e-9  # relative: a value that passed through other formats


def unfilled(value: float) -> bool:
    """Return whether a value is that of a register that has never been written."""
    place = bisect_left(UNFILLED, value * (1.0 - ROUNDED))
    return place < len(UNFILLED) and math.isclose(value, UNFILLED[place], rel_tol=ROUNDED)


def measured_frequency(hertz: float | None, nominal_hz: float) -> float | None:
    """Return a frequency, None where it is not measured: 0 Hz, an unfilled register, a value of no grid."""
    if hertz is None or unfilled(hertz) or abs(hertz - nominal_hz) > IMPOSSIBLE_HZ * nominal_hz:
        return None
    return hertz


@dataclass(slots=True)
class GridMeter:
    """Voltage of a meter, and whether the meter has one at all."""

    nominal_v: float = LOWEST_NOMINAL_V
    _has_voltage: bool = False
    _lacking: int = 0

    def learn(self, voltage_v: float | None, power_w: float | None) -> None:
        """Learn from a reading whether the meter measures a voltage: one that has shown one does."""
        if voltage_v is None or unfilled(voltage_v):
            return
        if voltage_v >= DEAD_PU * self.nominal_v:
            self._has_voltage = True
        elif voltage_v <= NOTHING_PU * self.nominal_v and abs(power_w or 0.0) > FLOW_W:
            self._lacking += 1

    def measured(self, voltage_v: float | None, frequency_hz: float | None, power_w: float | None) -> float | None:
        """Return the voltage, None where it is not measured."""
        if voltage_v is None or unfilled(voltage_v) or voltage_v > HIGHEST_PU * self.nominal_v:
            return None
        if voltage_v >= DEAD_PU * self.nominal_v:
            return voltage_v
        flow_w = abs(power_w or 0.0)
        lacks = not self._has_voltage and self._lacking >= LACKING
        if voltage_v <= NOTHING_PU * self.nominal_v and (flow_w > FLOW_W or lacks):
            return None
        return None if flow_w > CERTAIN_FLOW_W and _right(frequency_hz) else voltage_v

    def dead(self, voltage_v: float | None, frequency_hz: float | None, power_w: float | None) -> bool:
        """Return whether the grid is measured without voltage."""
        value_v = self.measured(voltage_v, frequency_hz, power_w)
        return value_v is not None and value_v < DEAD_PU * self.nominal_v


def _right(hertz: float | None) -> bool:
    return hertz is not None and any(abs(hertz - one) <= RIGHT_HZ for one in NOMINAL_HZ)
