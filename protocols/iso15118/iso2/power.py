"""Rules that decide the power of a session of ISO 15118-2 or DIN 70121, as pure functions of both roles.

The EV requests a current with DC and takes what it may with AC; the charger limits it. There is no discharge: whatever
is ordered, requested or measured, no result is negative.
"""

from __future__ import annotations

from dataclasses import replace

from protocols.iso15118.iso20.limits import Limits, PowerRange, allowed
from protocols.iso15118.iso20.setpoint import Target, decide


def capped(limits: Limits, setpoint_w: float | None, schedule_w: float | None, *, faulty: bool) -> Limits:
    """Return the charger's limits with set-point and schedule as the highest power; a fault leaves none."""
    caps = [limits.max_charge_w, *(one for one in (setpoint_w, schedule_w) if one is not None)]
    return replace(limits, max_charge_w=0.0 if faulty else max(0.0, min(caps)))


def dc_demand(current_a: float, target_voltage_v: float, present_voltage_v: float) -> tuple[float, float]:
    """Return the requested power and the voltage that it counts for: the present one, before it the target."""
    voltage = present_voltage_v if present_voltage_v > 0 else max(target_voltage_v, 0.0)
    return max(current_a, 0.0) * voltage, voltage


def dc_target(
    demand_w: float, voltage_v: float, ev: Limits, evse: Limits, *, ev_error: bool
) -> tuple[Target, PowerRange]:
    """Return the output of a DC charger, and the range that both sides permit; an error of the EV leaves no power."""
    permitted = allowed(ev, evse, voltage_v).without_discharge("protocol")
    return (Target(0.0, "ev_error") if ev_error else decide(demand_w, permitted)), permitted


def ac_target(ev: Limits, evse: Limits) -> tuple[Target, PowerRange]:
    """Return the power that an EV may take with AC; none below its lowest."""
    permitted = allowed(ev, evse).without_discharge("protocol")
    if ev.min_charge_w > permitted.high_w:
        permitted = replace(permitted, high_w=0.0)
    return decide(permitted.high_w, permitted), permitted


def requested_a(ev: Limits, evse: Limits, voltage_v: float, planned_w: float) -> float:
    """Return the current that an EV requests with DC, within both sides' limits and its plan."""
    power_w = min(ev.max_charge_w, evse.max_charge_w, planned_w)
    return max(0.0, min(ev.max_charge_a, evse.max_charge_a, power_w / max(voltage_v, 1.0)))
