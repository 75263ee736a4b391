"""Rules of the observer: what a status, a limit or a measurement shows about a session. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from protocols.chademo import levels
from protocols.chademo.charger_session import VehicleReport
from protocols.chademo.frames import ChargerStatus, VehicleStatus, minutes_of
from protocols.chademo.layout import Message, encode
from protocols.chademo.states import follows_102, follows_109
from protocols.chademo.stops import Cause, Stop
from protocols.chademo.vehicle_session import FIRST_REPORTING, ChargerReport
from protocols.frozen import frozen

_RECENT_S = 1.0
_BEYOND_A, _BEYOND_PART = 3.0, 1 / 8
_STATUS = 5  # byte of 102 and 109


@frozen
class Sample:
    """Measurements and limits of both sides at a time; current + into the vehicle."""

    at: float
    voltage_v: float
    current_a: float
    request_a: float
    offered_a: float
    ceiling_a: float  # of discharging, as a magnitude
    soc_pct: float | None

    @classmethod
    def of(cls, at: float, vehicle: VehicleReport, charger: ChargerReport) -> Sample | None:
        """Return a sample; None before both sides have sent their status."""
        status, own = charger.status, vehicle.status
        if status is None or own is None:
            return None
        discharge = charger.discharge.discharge_a if charger.discharge is not None else 0
        capability = charger.discharge.available_a if charger.discharge is not None else 0
        ceiling = min(vehicle.discharge.max_discharge_a, capability) if vehicle.discharge is not None else 0
        return cls(
            at,
            float(status.voltage_v),
            float(status.charge_a - discharge),
            float(own.charge_request_a),
            float(charger.limits.available_a) if charger.limits is not None else 0.0,
            float(ceiling),
            levels.soc_pct(own, vehicle.limits),
        )


def findings_of_status(before: tuple[Message | None, Message | None], message: Message, *, powered: bool) -> list[str]:
    """Return what is irregular about a change of a status."""
    vehicle, charger = before
    found: list[str] = []
    if isinstance(message, ChargerStatus) and isinstance(charger, ChargerStatus):
        was, value = encode(charger).data[_STATUS], encode(message).data[_STATUS]
        if not follows_109(was, value) and not _ends(was, value):
            found.append(f"109.5 {was:02X} -> {value:02X} is not a regular sequence")
    if isinstance(message, VehicleStatus) and isinstance(vehicle, VehicleStatus):
        was, value = encode(vehicle).data[_STATUS], encode(message).data[_STATUS]
        if not follows_102(was, value):
            found.append(f"102.5 {was:02X} -> {value:02X} is not a regular sequence")
        if vehicle.target_voltage_v != message.target_voltage_v and powered:
            found.append(f"target voltage {vehicle.target_voltage_v} -> {message.target_voltage_v} V while power flows")
        requests = message.charge_request_a > 0 and vehicle.charge_request_a == 0
        locked = isinstance(charger, ChargerStatus) and charger.locked
        if requests and not locked:
            found.append(f"request of {message.charge_request_a} A before the connector is locked")
    return found


def _ends(was: int, value: int) -> bool:
    """Return whether the lock bit was cleared at the end."""
    return bool(was & 0x20) and was & ~0x04 == value


def limits_of(vehicle: VehicleReport, charger: ChargerReport) -> dict[str, str]:
    """Return the limits that both sides state, as text by name; without requests and measurements."""
    found: dict[str, str] = {}
    _limits_of_vehicle(vehicle, found)
    if charger.limits is not None:
        limits = charger.limits
        found["108 output:"] = (
            f"{limits.available_voltage_v} V, {limits.available_a} A, threshold {limits.threshold_v} V"
        )
        if vehicle.limits is not None and 0 < vehicle.limits.max_voltage_v < limits.threshold_v:
            found["108 threshold"] = "exceeds the maximum voltage of the battery"
    if charger.status is not None:
        status = charger.status
        found["109 protocol:"] = f"{status.protocol}, discharge {'yes' if status.discharge_compatible else 'no'}"
    if charger.discharge is not None:
        discharge = charger.discharge
        found["208 input:"] = (
            f"{discharge.input_voltage_v} V, {discharge.available_a} A, threshold {discharge.threshold_v} V"
        )
    return found


def findings_at_lock(vehicle: VehicleReport, charger: ChargerReport) -> list[str]:
    """Return what is irregular about the limits when the connector is locked."""
    if charger.limits is None or vehicle.limits is None or charger.status is None:
        return []
    found, threshold, most = [], charger.limits.threshold_v, vehicle.limits.max_voltage_v
    if 0 < most < threshold:
        found.append(f"threshold of the charger {threshold} V, maximum of the battery {most} V")
    if charger.status.protocol >= FIRST_REPORTING and not charger.limits.welding_detection:
        found.append("the charger does not support welding detection (108.0)")
    return found


def _limits_of_vehicle(vehicle: VehicleReport, found: dict[str, str]) -> None:
    if vehicle.limits is not None:
        limits = vehicle.limits
        found["100 battery:"] = f"{limits.min_voltage_v} to {limits.max_voltage_v} V"
    if vehicle.time is not None:
        minutes = minutes_of(vehicle.time.max_time_10s, vehicle.time.max_time_min)
        stated = "" if not minutes else f", at most {minutes:g} min"
        found["101 capacity:"] = f"{vehicle.time.capacity_wh / 1000:g} kWh{stated}"
    if vehicle.status is not None:
        status = vehicle.status
        permits = "yes" if status.discharge_compatible else "no"
        found["102 protocol:"] = f"{status.protocol}, target {status.target_voltage_v} V, discharge {permits}"
    if vehicle.discharge is not None:
        in_pct = levels.in_pct(vehicle.discharge, vehicle.time, vehicle.sequence)
        low, high = ("-" if one is None else f"{one} %" for one in (in_pct.min_pct, in_pct.max_pct))
        found["200 discharge:"] = f"down to {vehicle.discharge.min_voltage_v} V, levels {low} to {high}"


def stop_of(vehicle: VehicleStatus | None, charger: ChargerStatus | None) -> Stop | None:
    """Return the fault that a side reports; None without one."""
    if charger is not None:
        if charger.malfunction:
            return Stop(Cause.CHARGER_MALFUNCTION)
        if charger.battery_incompatible:
            return Stop(Cause.BATTERY_INCOMPATIBLE)
        if charger.system_fault:
            return Stop(Cause.CHARGER_SYSTEM_FAULT)
    if vehicle is not None and vehicle.fault:
        return Stop(Cause.VEHICLE_FAULT, vehicle.fault)
    return None


def measured_beyond(samples: Sequence[Sample]) -> str:
    """Return a text if the last measured current exceeds what the vehicle permitted recently; "" otherwise."""
    last = samples[-1]
    if last.current_a == 0:
        return ""
    recent = list(takewhile(lambda one: last.at - one.at <= _RECENT_S, reversed(samples)))
    charge, discharge = max(one.request_a for one in recent), max(one.ceiling_a for one in recent)
    if last.current_a > charge + max(_BEYOND_A, charge * _BEYOND_PART):
        return f"{last.current_a:.0f} A measured, {charge:.0f} A requested"
    if -last.current_a > discharge + max(_BEYOND_A, discharge * _BEYOND_PART):
        return f"{-last.current_a:.0f} A discharge measured, {discharge:.0f} A permitted"
    return ""
