"""Set-points within the capability of a power stage (pure)."""

from __future__ import annotations

from gateway.drivers.board.orders import Deliver, Precharge
from gateway.drivers.board.ports import OFF, Capability, Range, Setpoint, StageMode


def within(setpoint: Setpoint, capability: Capability | None, voltage_v: float) -> Setpoint:
    """Return the nearest set-point within the capability at this output voltage; OFF where there is none."""
    if setpoint.mode in (StageMode.OFF, StageMode.FAULT) or capability is None:
        return OFF
    outwards = setpoint.mode is not StageMode.CHARGE
    limits = capability.discharge if outwards else capability.charge
    if limits is None or (setpoint.mode is StageMode.FORM and not capability.forming):
        return OFF
    if (setpoint.current_a > 0) is outwards and setpoint.current_a != 0:
        return OFF
    if outwards:
        voltage = max(setpoint.voltage_v, limits.min_voltage_v)
        if voltage > limits.max_voltage_v:
            return OFF
    else:
        voltage = min(setpoint.voltage_v, limits.max_voltage_v)
        if voltage < limits.min_voltage_v:
            return OFF
    magnitude = min(abs(setpoint.current_a), largest_current_a(limits, max(voltage_v, limits.min_voltage_v)))
    if magnitude < limits.min_current_a and setpoint.mode is not StageMode.FORM:
        magnitude = 0.0
    return Setpoint(setpoint.mode, voltage, -magnitude if outwards and magnitude else magnitude)


def required(order: Precharge | Deliver) -> Setpoint:
    """Return the set-point of an order, before the limits of the stage."""
    if isinstance(order, Precharge):
        return Setpoint(StageMode.CHARGE, order.voltage_v, max(0.0, order.current_a))
    if order.forming:
        return Setpoint(StageMode.FORM, order.min_voltage_v, min(0.0, order.current_a))
    if order.current_a < 0:
        return Setpoint(StageMode.DISCHARGE, order.min_voltage_v, order.current_a)
    return Setpoint(StageMode.CHARGE, order.max_voltage_v, order.current_a)


def largest_current_a(limits: Range, voltage_v: float) -> float:
    """Return the largest current of one direction at a voltage; magnitude."""
    return min(limits.max_current_a, limits.max_power_w / voltage_v) if voltage_v > 0 else limits.max_current_a
