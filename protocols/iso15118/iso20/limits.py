"""Limits of each side, and the power range that both permit.

Magnitudes everywhere (W, A, V; charge and discharge apart), as in ISO 15118-20; discharge limits stated as negative
numbers are accepted. `PowerRange` is signed: + is into the vehicle. `setpoint.py` chooses the power within the range;
`dc_messages.py` and `ac_messages.py` convert limits to messages. Source: ISO 15118-20 V2G20-2188 (the SECC never
exceeds the EV's limits), V2G20-2654/2655 (loop limits only tighten).
"""

from __future__ import annotations

import math
from dataclasses import fields, replace

from protocols.frozen import frozen

UNLIMITED = math.inf


@frozen(kw_only=True)
class Limits:
    """Limits of one side. For AC the power is the sum of `phases` equal phases and the currents are unlimited."""

    max_charge_w: float = 0.0
    min_charge_w: float = 0.0
    max_discharge_w: float = 0.0
    min_discharge_w: float = 0.0
    max_charge_a: float = UNLIMITED
    min_charge_a: float = 0.0
    max_discharge_a: float = UNLIMITED
    min_discharge_a: float = 0.0
    max_voltage_v: float = UNLIMITED
    min_voltage_v: float = 0.0
    phases: int = 1

    def narrowed(self, other: Limits) -> Limits:
        """Return the tighter of both, limit by limit."""
        return Limits(
            max_charge_w=min(self.max_charge_w, other.max_charge_w),
            min_charge_w=max(self.min_charge_w, other.min_charge_w),
            max_discharge_w=min(self.max_discharge_w, other.max_discharge_w),
            min_discharge_w=max(self.min_discharge_w, other.min_discharge_w),
            max_charge_a=min(self.max_charge_a, other.max_charge_a),
            min_charge_a=max(self.min_charge_a, other.min_charge_a),
            max_discharge_a=min(self.max_discharge_a, other.max_discharge_a),
            min_discharge_a=max(self.min_discharge_a, other.min_discharge_a),
            max_voltage_v=min(self.max_voltage_v, other.max_voltage_v),
            min_voltage_v=max(self.min_voltage_v, other.min_voltage_v),
            phases=self.phases,
        )

    def charge_only(self) -> Limits:
        return replace(self, max_discharge_w=0.0, min_discharge_w=0.0, max_discharge_a=0.0, min_discharge_a=0.0)

    def impossible(self) -> str | None:
        """Return the reason why these limits contradict each other, or None."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 0 or math.isnan(value):
                return f"{field.name} is {value}"
        if self.max_voltage_v <= self.min_voltage_v and self.max_voltage_v != UNLIMITED:
            return f"the highest voltage {self.max_voltage_v} V is not above the lowest {self.min_voltage_v} V"
        return None


NOTHING = Limits()  # no power in either direction


@frozen
class PowerRange:
    """Signed power that both sides permit: `low_w` ≤ 0 ≤ `high_w`; inside the dead band only zero.

    `low_by` and `high_by` name the limiting constraint: "ev", "evse", "ev_energy", "ev_v2x_window", "departure", ...
    """

    low_w: float
    high_w: float
    dead_low_w: float = 0.0  # ≤ 0: the smallest possible discharge
    dead_high_w: float = 0.0  # ≥ 0: the smallest possible charge
    low_by: str = "ev"
    high_by: str = "ev"

    def without_discharge(self, why: str) -> PowerRange:
        return replace(self, low_w=0.0, low_by=why) if self.low_w < 0 else self

    def without_charge(self, why: str) -> PowerRange:
        return replace(self, high_w=0.0, high_by=why) if self.high_w > 0 else self

    def capped(self, low_w: float, high_w: float, why: str) -> PowerRange:
        """Return the range narrowed to [low_w, high_w] around zero."""
        low, high = min(0.0, low_w), max(0.0, high_w)
        result = self
        if low > self.low_w:
            result = replace(result, low_w=low, low_by=why)
        if high < self.high_w:
            result = replace(result, high_w=high, high_by=why)
        return result

    def holds(self, power_w: float, slack_w: float = 0.5) -> bool:
        return self.low_w - slack_w <= power_w <= self.high_w + slack_w


def allowed(ev: Limits, evse: Limits, voltage_v: float | None = None) -> PowerRange:
    """Return the intersection of both sides' limits; with a `voltage_v` (DC) including currents and voltages."""
    high, high_by = _least(ev.max_charge_w, evse.max_charge_w, ev.max_charge_a, evse.max_charge_a, voltage_v)
    low, low_by = _least(ev.max_discharge_w, evse.max_discharge_w, ev.max_discharge_a, evse.max_discharge_a, voltage_v)
    dead_high = max(ev.min_charge_w, evse.min_charge_w)
    dead_low = max(ev.min_discharge_w, evse.min_discharge_w)
    if voltage_v is not None and voltage_v > 0:
        dead_high = max(dead_high, ev.min_charge_a * voltage_v, evse.min_charge_a * voltage_v)
        dead_low = max(dead_low, ev.min_discharge_a * voltage_v, evse.min_discharge_a * voltage_v)
        if voltage_v > min(ev.max_voltage_v, evse.max_voltage_v):
            high, high_by = 0.0, "voltage"
        if voltage_v < max(ev.min_voltage_v, evse.min_voltage_v):
            low, low_by = 0.0, "voltage"
    return PowerRange(0.0 - low, high, 0.0 - dead_low, dead_high, low_by, high_by)


def _least(ev_w: float, evse_w: float, ev_a: float, evse_a: float, voltage_v: float | None) -> tuple[float, str]:
    """Return the lowest limit of power, currents at a voltage included, and whose it is: of equal ones the first."""
    least, by = (evse_w, "evse") if evse_w < ev_w else (ev_w, "ev")
    if voltage_v is not None and voltage_v > 0:
        if ev_a * voltage_v < least:
            least, by = ev_a * voltage_v, "ev"
        if evse_a * voltage_v < least:
            least, by = evse_a * voltage_v, "evse"
    return least, by
