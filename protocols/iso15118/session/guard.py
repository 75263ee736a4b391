"""Current that an EV accepts from a charger, with the tolerance of a measurement."""

from __future__ import annotations

from protocols.iso15118.iso20.limits import Limits

SLACK_A = 2.0  # tolerated measuring error
SLACK = 1.05


def permitted_current(limits: Limits, voltage_v: float) -> tuple[float, float]:
    """Return the lowest and the highest current, signed, at a battery voltage."""
    voltage = max(voltage_v, 1.0)
    high = min(limits.max_charge_a, limits.max_charge_w / voltage) * SLACK + SLACK_A
    low = -(min(limits.max_discharge_a, limits.max_discharge_w / voltage) * SLACK + SLACK_A)
    return low, high
