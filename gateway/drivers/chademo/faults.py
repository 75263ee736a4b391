"""Causes of the stop matrix of CHAdeMO as faults of the fault table (`board/faults.py`)."""

from __future__ import annotations

from gateway.drivers.board.faults import FaultName, Part
from protocols.chademo.charger_session import ChargerSession
from protocols.chademo.stops import Cause, Severity, Stop

_N, _P = FaultName, Part

# causes without a fault: normal ends, and those that the board itself reports as a fault
FAULTS: dict[Cause, tuple[FaultName, Part]] = {
    Cause.NOT_IN_PARK: (_N.INVALID_MODE, _P.VEHICLE),
    Cause.VEHICLE_FAULT: (_N.VENDOR_ERROR, _P.VEHICLE),
    Cause.BATTERY_INCOMPATIBLE: (_N.INVALID_MODE, _P.VEHICLE),
    Cause.UNPLUGGED: (_N.PROXIMITY, _P.LINES),
    Cause.NO_VOLTAGE: (_N.EV_CONTACTOR, _P.VEHICLE),
    Cause.CONTACTORS_REMAIN_CLOSED: (_N.EV_CONTACTOR, _P.VEHICLE),
    Cause.NO_CURRENT: (_N.HARDWARE, _P.POWER),
    Cause.CURRENT_REMAINS: (_N.OVER_CURRENT_DC, _P.POWER),
    Cause.OVERVOLTAGE_SUSTAINED: (_N.OVER_VOLTAGE_DC, _P.POWER),
    Cause.UNDERVOLTAGE_SUSTAINED: (_N.UNDER_VOLTAGE_DC, _P.POWER),
    Cause.REQUEST_TOO_HIGH: (_N.OVER_CURRENT, _P.VEHICLE),
    Cause.PERMISSION_INCONSISTENT: (_N.PILOT, _P.LINES),
    Cause.INSULATION: (_N.GROUND, _P.ISOLATION),
    Cause.LOCK_LOST: (_N.LOCK_UNEXPECTED_OPEN, _P.LOCK),
    Cause.NO_VEHICLE: (_N.COMMUNICATION, _P.VEHICLE),
    Cause.NO_POWER_START: (_N.COMMUNICATION, _P.VEHICLE),
    Cause.VEHICLE_SILENT: (_N.COMMUNICATION, _P.VEHICLE),
}
OF_BOARD = frozenset({Cause.CHARGER_MALFUNCTION, Cause.EARTH_FAULT, Cause.PROTECTIVE_EARTH_LOST})

_BITS = {  # of 102.4
    "battery_overvoltage": _N.OVER_VOLTAGE,
    "battery_undervoltage": _N.UNDER_VOLTAGE,
    "current_deviation": _N.OVER_CURRENT,
    "battery_overtemperature": _N.HIGH_TEMPERATURE,
}


def fault_of(stop: Stop, session: ChargerSession) -> tuple[FaultName, Part] | None:
    """Return the fault of a stop; None for a normal one, for what the board reports, and for a plug that was free."""
    if stop.severity is Severity.NORMAL or stop.cause in OF_BOARD:
        return None
    if stop.cause is Cause.UNPLUGGED and not session.lock_bit:
        return None
    status = session.vehicle.status
    if stop.cause is Cause.VEHICLE_FAULT and status is not None:
        for bit, name in _BITS.items():
            if getattr(status, bit):
                return name, Part.VEHICLE
    return FAULTS.get(stop.cause, (FaultName.VENDOR_ERROR, Part.VEHICLE))
