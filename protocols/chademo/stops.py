"""Matrix of stops and faults: who stops, how severe it is, which bits are sent, which text people read.

A normal stop and an alarm end the session; after an error the engine stays in its fault state until it is reset or
the plug is removed. In each case current goes to zero first, contactors open then, and the plug is released last.
"""

from __future__ import annotations

from enum import StrEnum

from protocols.frozen import frozen


class Severity(StrEnum):
    """Severity of a stop."""

    NORMAL = "normal"
    ALARM = "alarm"  # normal, but a person has to act
    NO_START = "no_start"  # the session ended before power
    ERROR = "error"  # latched


class Cause(StrEnum):
    """Causes of a stop, of both roles."""

    # ordered
    STOP_ORDERED = "stop_ordered"  # by the host: stop button, gateway, driver
    TIME_UP = "time_up"
    IDLE = "idle"  # no current for six minutes (LEAF)
    # by the vehicle
    VEHICLE_STOP = "vehicle_stop"  # 102.5.0 or k
    VEHICLE_STOP_BEFORE_CHARGE = "vehicle_stop_before_charge"  # 102.5.4
    TARGET_VOLTAGE_ZERO = "target_voltage_zero"
    NOT_IN_PARK = "not_in_park"  # 102.5.1
    VEHICLE_FAULT = "vehicle_fault"  # 102.4, 102.5.2
    BATTERY_OVERVOLTAGE = "battery_overvoltage"
    BATTERY_UNDERVOLTAGE = "battery_undervoltage"
    CURRENT_DEVIATION = "current_deviation"
    BATTERY_OVERTEMPERATURE = "battery_overtemperature"
    VOLTAGE_DEVIATION = "voltage_deviation"
    WELDED = "welded"
    # by the charger
    CHARGER_STOP = "charger_stop"  # 109.5.5, or d1 opened
    CHARGER_MALFUNCTION = "charger_malfunction"  # 109.5.1
    CHARGER_SYSTEM_FAULT = "charger_system_fault"  # 109.5.4
    BATTERY_INCOMPATIBLE = "battery_incompatible"  # 109.5.3
    LOCK_LOST = "lock_lost"
    UNPLUGGED = "unplugged"
    EARTH_FAULT = "earth_fault"
    PROTECTIVE_EARTH_LOST = "protective_earth_lost"
    INSULATION = "insulation"
    NO_VOLTAGE = "no_voltage"  # contactors reported closed, but the cable shows none
    NO_CURRENT = "no_current"  # voltage above the target, but no current flows
    OVERVOLTAGE = "overvoltage"  # above the threshold of 108.4
    UNDERVOLTAGE = "undervoltage"  # below 208.6 or 200.4
    OVERVOLTAGE_SUSTAINED = "overvoltage_sustained"
    UNDERVOLTAGE_SUSTAINED = "undervoltage_sustained"
    REQUEST_TOO_HIGH = "request_too_high"  # strict only
    CURRENT_REMAINS = "current_remains"  # after a stop
    CONTACTORS_REMAIN_CLOSED = "contactors_remain_closed"
    PERMISSION_INCONSISTENT = "permission_inconsistent"  # k and 102.5.0 contradict each other
    # no power at all
    NO_VEHICLE = "no_vehicle"  # no frame after d1
    NO_CHARGER = "no_charger"
    NO_POWER_START = "no_power_start"
    # link
    VEHICLE_SILENT = "vehicle_silent"
    CHARGER_SILENT = "charger_silent"


@frozen
class Row:
    """A row of the matrix. `charger_bit` and `vehicle_bits` are fields of 109 and 102 that are set besides the stop."""

    severity: Severity
    text: str
    charger_bit: str = ""
    vehicle_bit: str = ""


_N, _A, _S, _E = Severity.NORMAL, Severity.ALARM, Severity.NO_START, Severity.ERROR
_B1, _B3, _B4 = "malfunction", "battery_incompatible", "system_fault"

_RANK = {Severity.NORMAL: 0, Severity.ALARM: 1, Severity.NO_START: 1, Severity.ERROR: 2}

MATRIX: dict[Cause, Row] = {
    Cause.STOP_ORDERED: Row(_N, "stop ordered"),
    Cause.TIME_UP: Row(_N, "the remaining time is over"),
    Cause.IDLE: Row(_N, "no current for too long"),
    Cause.VEHICLE_STOP: Row(_N, "the vehicle withdrew its permission"),
    Cause.VEHICLE_STOP_BEFORE_CHARGE: Row(_N, "the vehicle requested a stop before charging"),
    Cause.TARGET_VOLTAGE_ZERO: Row(_N, "the vehicle set its target voltage to zero"),
    Cause.NOT_IN_PARK: Row(_A, "the shift lever is not in park", vehicle_bit="not_in_park"),
    Cause.VEHICLE_FAULT: Row(_E, "the vehicle reported a fault"),
    Cause.BATTERY_OVERVOLTAGE: Row(_E, "battery overvoltage", vehicle_bit="battery_overvoltage"),
    Cause.BATTERY_UNDERVOLTAGE: Row(_E, "battery undervoltage", vehicle_bit="battery_undervoltage"),
    Cause.CURRENT_DEVIATION: Row(_E, "current differs from the request", vehicle_bit="current_deviation"),
    Cause.BATTERY_OVERTEMPERATURE: Row(_E, "battery overtemperature", vehicle_bit="battery_overtemperature"),
    Cause.VOLTAGE_DEVIATION: Row(_E, "voltages of both sides differ", vehicle_bit="voltage_deviation"),
    Cause.WELDED: Row(_E, "a contactor of the vehicle is welded", vehicle_bit="system_fault"),
    Cause.CHARGER_STOP: Row(_N, "the charger stopped"),
    Cause.CHARGER_MALFUNCTION: Row(_E, "charger malfunction", charger_bit=_B1),
    Cause.CHARGER_SYSTEM_FAULT: Row(_E, "charging system malfunction", charger_bit=_B4),
    Cause.BATTERY_INCOMPATIBLE: Row(_E, "battery and charger are incompatible", charger_bit=_B3),
    Cause.LOCK_LOST: Row(_E, "the connector lock opened", charger_bit=_B1),
    Cause.UNPLUGGED: Row(_E, "the connector was removed", charger_bit=_B1),
    Cause.EARTH_FAULT: Row(_E, "earth fault", charger_bit=_B4),
    Cause.PROTECTIVE_EARTH_LOST: Row(_E, "protective earth lost", charger_bit=_B4),
    Cause.INSULATION: Row(_E, "insulation too low", charger_bit=_B4),
    Cause.NO_VOLTAGE: Row(_E, "no battery voltage after the contactors closed", charger_bit=_B4),
    Cause.NO_CURRENT: Row(_E, "charger malfunction: no current at the target voltage", charger_bit=_B1),
    Cause.OVERVOLTAGE: Row(_N, "voltage above the threshold"),
    Cause.UNDERVOLTAGE: Row(_N, "voltage below the threshold"),
    Cause.OVERVOLTAGE_SUSTAINED: Row(_E, "voltage remains above the threshold", charger_bit=_B4),
    Cause.UNDERVOLTAGE_SUSTAINED: Row(_E, "voltage remains below the threshold", charger_bit=_B4),
    Cause.REQUEST_TOO_HIGH: Row(_E, "the vehicle requested more than was offered", charger_bit=_B4),
    Cause.CURRENT_REMAINS: Row(_E, "current remains after the stop", charger_bit=_B1, vehicle_bit="system_fault"),
    Cause.CONTACTORS_REMAIN_CLOSED: Row(_E, "the vehicle did not open its contactors", charger_bit=_B4),
    Cause.PERMISSION_INCONSISTENT: Row(_E, "switch k and 102.5.0 contradict each other", charger_bit=_B4),
    Cause.NO_VEHICLE: Row(_S, "no frame of the vehicle"),
    Cause.NO_CHARGER: Row(_S, "no frame of the charger"),
    Cause.NO_POWER_START: Row(_S, "no power start"),
    Cause.VEHICLE_SILENT: Row(_E, "no frame of the vehicle while power can flow", charger_bit=_B4),
    Cause.CHARGER_SILENT: Row(_E, "no frame of the charger while power can flow"),
}


@frozen
class Stop:
    """A stop with its cause and what was measured."""

    cause: Cause
    detail: str = ""

    @property
    def severity(self) -> Severity:
        """Severity by the matrix."""
        return MATRIX[self.cause].severity

    def outranks(self, other: Stop | None) -> bool:
        """Return whether this stop replaces another: the first one counts, unless a more severe one follows."""
        return other is None or _RANK[self.severity] > _RANK[other.severity]

    @property
    def error(self) -> bool:
        """True while the engine stays in its fault state."""
        return self.severity is Severity.ERROR

    @property
    def text(self) -> str:
        """Cause and detail for people."""
        return f"{MATRIX[self.cause].text}: {self.detail}" if self.detail else MATRIX[self.cause].text
