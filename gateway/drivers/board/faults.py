"""Fault table of hosted EVSEs: EVerest's names, as OCPP status, MQTT reason and reaction.

The names are those of EVerest's errors of evse_board_support, power_supply_DC, isolation_monitor, over_voltage_monitor,
connector_lock and ac_rcd; `MREC…` are the Minimum Required Error Codes of the ChargeX consortium. `docs/hardware.md`
shows the table.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.model.event import PlugState
from gateway.model.reason import Code
from protocols.frozen import frozen


class Part(StrEnum):
    """The ports of a board, and the vehicle where its own report is a fault."""

    PILOT = "pilot"
    LINES = "lines"
    CONTACTORS = "contactors"
    POWER = "power"
    ISOLATION = "isolation"
    METER = "meter"
    LOCK = "lock"
    VEHICLE = "vehicle"


class FaultName(StrEnum):
    """Fault names of EVerest."""

    # any part
    COMMUNICATION = "CommunicationFault"
    VENDOR_ERROR = "VendorError"
    VENDOR_WARNING = "VendorWarning"
    # board support
    DIODE = "DiodeFault"
    VENTILATION = "VentilationNotAvailable"
    BROWN_OUT = "BrownOut"
    ENERGY_MANAGEMENT = "EnergyManagement"
    PERMANENT = "PermanentFault"
    TILT = "TiltDetected"
    WATER = "WaterIngressDetected"
    ENCLOSURE = "EnclosureOpen"
    LOCK_FAILURE = "MREC1ConnectorLockFailure"
    GROUND = "MREC2GroundFailure"
    HIGH_TEMPERATURE = "MREC3HighTemperature"
    OVER_CURRENT = "MREC4OverCurrentFailure"
    OVER_VOLTAGE = "MREC5OverVoltage"
    UNDER_VOLTAGE = "MREC6UnderVoltage"
    EMERGENCY_STOP = "MREC8EmergencyStop"
    INVALID_MODE = "MREC10InvalidVehicleMode"
    PILOT = "MREC14PilotFault"
    POWER_LOSS = "MREC15PowerLoss"
    EV_CONTACTOR = "MREC16EVContactorFault"
    CONTACTOR = "MREC17EVSEContactorFault"
    CABLE_TEMPERATURE_DERATE = "MREC18CableOverTempDerate"
    CABLE_TEMPERATURE_STOP = "MREC19CableOverTempStop"
    PARTIAL_INSERTION = "MREC20PartialInsertion"
    PROXIMITY = "MREC23ProximityFault"
    CONNECTOR_VOLTAGE = "MREC24ConnectorVoltageHigh"
    BROKEN_LATCH = "MREC25BrokenLatch"
    CUT_CABLE = "MREC26CutCable"
    # connector lock
    LOCK_NOT_CHARGED = "ConnectorLockCapNotCharged"
    LOCK_UNEXPECTED_OPEN = "ConnectorLockUnexpectedOpen"
    LOCK_UNEXPECTED_CLOSE = "ConnectorLockUnexpectedClose"
    LOCK_FAILED_LOCK = "ConnectorLockFailedLock"
    LOCK_FAILED_UNLOCK = "ConnectorLockFailedUnlock"
    # residual current device
    RCD_SELFTEST = "Selftest"
    RCD_AC = "AC"
    RCD_DC = "DC"
    # power supply
    HARDWARE = "HardwareFault"
    OVER_TEMPERATURE = "OverTemperature"
    UNDER_TEMPERATURE = "UnderTemperature"
    UNDER_VOLTAGE_AC = "UnderVoltageAC"
    OVER_VOLTAGE_AC = "OverVoltageAC"
    UNDER_VOLTAGE_DC = "UnderVoltageDC"
    OVER_VOLTAGE_DC = "OverVoltageDC"
    OVER_CURRENT_AC = "OverCurrentAC"
    OVER_CURRENT_DC = "OverCurrentDC"
    # isolation monitor
    DEVICE = "DeviceFault"


class Reaction(StrEnum):
    """Reaction of the supervisor, in the order of severity."""

    NOTE = "note"  # reported; the session continues
    ZERO = "zero"  # 0 A, contactors stay closed; the set-point returns when the fault clears
    OPEN = "open"  # 0 A, off, contactors open; a new session is possible when the fault clears
    LATCH = "latch"  # as open; a new session needs the fault cleared and a reset by the operator


@frozen
class FaultRule:
    """Row of the fault table. `ocpp16_error` is the ChargePointErrorCode of OCPP 1.6; `part` None is any part."""

    name: FaultName
    reaction: Reaction
    status: PlugState = PlugState.FAULTED  # connector status of OCPP; AVAILABLE: unchanged by this fault
    ocpp16_error: str = "OtherError"
    reason: Code = Code.FAULT
    meaning: str = ""
    part: Part | None = None


_N, _R = FaultName, Reaction
_UNCHANGED = PlugState.AVAILABLE

RULES: tuple[FaultRule, ...] = (
    FaultRule(
        _N.COMMUNICATION,
        _R.OPEN,
        ocpp16_error="InternalError",
        reason=Code.STATION_SILENT,
        meaning="a part of the hardware is silent, or answers with errors or incomplete frames",
    ),
    FaultRule(
        _N.COMMUNICATION,
        _R.ZERO,
        _UNCHANGED,
        "PowerMeterFailure",
        Code.METER_SILENT,
        "the meter is silent, or answers with errors or incomplete frames",
        Part.METER,
    ),
    FaultRule(
        _N.COMMUNICATION,
        _R.OPEN,
        ocpp16_error="EVCommunicationError",
        meaning="CHAdeMO: the vehicle sends no frames, or gives no permission in time",
        part=Part.VEHICLE,
    ),
    FaultRule(_N.VENDOR_ERROR, _R.OPEN, meaning="error of the product, see the detail"),
    FaultRule(
        _N.VENDOR_ERROR,
        _R.OPEN,
        ocpp16_error="EVCommunicationError",
        meaning="CHAdeMO: the vehicle reports a fault of its charging system, see the detail",
        part=Part.VEHICLE,
    ),
    FaultRule(_N.VENDOR_WARNING, _R.NOTE, _UNCHANGED, "NoError", Code.IDLE, "warning of the product, see the detail"),
    FaultRule(
        _N.DIODE, _R.OPEN, ocpp16_error="EVCommunicationError", meaning="no diode in the vehicle's pilot circuit"
    ),
    FaultRule(_N.VENTILATION, _R.OPEN, meaning="the vehicle requires ventilation (state D) that is not available"),
    FaultRule(_N.BROWN_OUT, _R.OPEN, ocpp16_error="UnderVoltage", meaning="supply of the controller too low"),
    FaultRule(_N.ENERGY_MANAGEMENT, _R.ZERO, _UNCHANGED, "NoError", Code.STATION_LIMIT, "no energy allocated"),
    FaultRule(_N.PERMANENT, _R.LATCH, ocpp16_error="InternalError", meaning="defect that needs service"),
    FaultRule(_N.TILT, _R.LATCH, meaning="the charger was moved or hit"),
    FaultRule(_N.WATER, _R.LATCH, meaning="water inside the enclosure"),
    FaultRule(_N.ENCLOSURE, _R.OPEN, meaning="the enclosure is open"),
    FaultRule(_N.LOCK_FAILURE, _R.OPEN, ocpp16_error="ConnectorLockFailure", meaning="the connector lock failed"),
    FaultRule(_N.GROUND, _R.LATCH, ocpp16_error="GroundFailure", meaning="earth fault or isolation too low"),
    FaultRule(_N.HIGH_TEMPERATURE, _R.OPEN, ocpp16_error="HighTemperature", meaning="the charger is too hot"),
    FaultRule(
        _N.HIGH_TEMPERATURE,
        _R.OPEN,
        ocpp16_error="HighTemperature",
        meaning="CHAdeMO: the battery of the vehicle is too hot",
        part=Part.VEHICLE,
    ),
    FaultRule(
        _N.OVER_CURRENT,
        _R.OPEN,
        ocpp16_error="OverCurrentFailure",
        meaning="CHAdeMO: the current differs from what the vehicle requests or permits",
        part=Part.VEHICLE,
    ),
    FaultRule(
        _N.OVER_VOLTAGE,
        _R.OPEN,
        ocpp16_error="OverVoltage",
        meaning="CHAdeMO: the voltage of the battery is too high",
        part=Part.VEHICLE,
    ),
    FaultRule(
        _N.UNDER_VOLTAGE,
        _R.OPEN,
        ocpp16_error="UnderVoltage",
        meaning="CHAdeMO: the voltage of the battery is too low",
        part=Part.VEHICLE,
    ),
    FaultRule(_N.OVER_CURRENT, _R.OPEN, ocpp16_error="OverCurrentFailure", meaning="output current too high"),
    FaultRule(_N.OVER_VOLTAGE, _R.OPEN, ocpp16_error="OverVoltage", meaning="output or supply voltage too high"),
    FaultRule(_N.UNDER_VOLTAGE, _R.OPEN, ocpp16_error="UnderVoltage", meaning="output or supply voltage too low"),
    FaultRule(_N.EMERGENCY_STOP, _R.LATCH, reason=Code.EMERGENCY_STOP, meaning="emergency stop of the charger pressed"),
    FaultRule(_N.INVALID_MODE, _R.OPEN, _UNCHANGED, "EVCommunicationError", meaning="state of the vehicle not allowed"),
    FaultRule(_N.PILOT, _R.OPEN, ocpp16_error="EVCommunicationError", meaning="pilot out of range or not steady"),
    FaultRule(_N.POWER_LOSS, _R.ZERO, ocpp16_error="UnderVoltage", reason=Code.GRID_LOST, meaning="no supply"),
    FaultRule(
        _N.EV_CONTACTOR,
        _R.LATCH,
        ocpp16_error="PowerSwitchFailure",
        meaning="CHAdeMO: a contactor of the vehicle is welded or does not close",
    ),
    FaultRule(_N.CONTACTOR, _R.LATCH, ocpp16_error="PowerSwitchFailure", meaning="contactor welded or does not move"),
    FaultRule(
        _N.CABLE_TEMPERATURE_DERATE, _R.NOTE, _UNCHANGED, "NoError", Code.STATION_LIMIT, "cable hot, capability reduced"
    ),
    FaultRule(_N.CABLE_TEMPERATURE_STOP, _R.OPEN, ocpp16_error="HighTemperature", meaning="cable or plug too hot"),
    FaultRule(_N.PARTIAL_INSERTION, _R.OPEN, _UNCHANGED, "NoError", meaning="the plug is not fully inserted"),
    FaultRule(_N.PROXIMITY, _R.OPEN, ocpp16_error="EVCommunicationError", meaning="proximity circuit out of range"),
    FaultRule(_N.CONNECTOR_VOLTAGE, _R.OPEN, ocpp16_error="OverVoltage", meaning="voltage at an idle connector"),
    FaultRule(_N.BROKEN_LATCH, _R.OPEN, ocpp16_error="ConnectorLockFailure", meaning="the latch of the plug is broken"),
    FaultRule(_N.CUT_CABLE, _R.LATCH, meaning="the cable is cut"),
    FaultRule(
        _N.LOCK_NOT_CHARGED, _R.OPEN, ocpp16_error="ConnectorLockFailure", meaning="the lock cannot open without supply"
    ),
    FaultRule(
        _N.LOCK_UNEXPECTED_OPEN, _R.OPEN, ocpp16_error="ConnectorLockFailure", meaning="the lock opened by itself"
    ),
    FaultRule(
        _N.LOCK_UNEXPECTED_CLOSE, _R.OPEN, ocpp16_error="ConnectorLockFailure", meaning="the lock closed by itself"
    ),
    FaultRule(_N.LOCK_FAILED_LOCK, _R.OPEN, ocpp16_error="ConnectorLockFailure", meaning="the plug cannot be locked"),
    FaultRule(
        _N.LOCK_FAILED_UNLOCK, _R.NOTE, _UNCHANGED, "ConnectorLockFailure", Code.FAULT, "the plug cannot be unlocked"
    ),
    FaultRule(_N.RCD_SELFTEST, _R.LATCH, ocpp16_error="GroundFailure", meaning="self-test of the RCD failed"),
    FaultRule(_N.RCD_AC, _R.LATCH, ocpp16_error="GroundFailure", meaning="AC residual current"),
    FaultRule(_N.RCD_DC, _R.LATCH, ocpp16_error="GroundFailure", meaning="DC residual current"),
    FaultRule(_N.HARDWARE, _R.OPEN, ocpp16_error="InternalError", meaning="the power stage reports a defect"),
    FaultRule(_N.OVER_TEMPERATURE, _R.ZERO, ocpp16_error="HighTemperature", meaning="the power stage is too hot"),
    FaultRule(_N.UNDER_TEMPERATURE, _R.ZERO, ocpp16_error="OtherError", meaning="the power stage is too cold"),
    FaultRule(_N.UNDER_VOLTAGE_AC, _R.ZERO, ocpp16_error="UnderVoltage", reason=Code.GRID_LOST, meaning="supply low"),
    FaultRule(_N.OVER_VOLTAGE_AC, _R.ZERO, ocpp16_error="OverVoltage", reason=Code.GRID_CODE, meaning="supply high"),
    FaultRule(_N.UNDER_VOLTAGE_DC, _R.OPEN, ocpp16_error="UnderVoltage", meaning="voltage of the output too low"),
    FaultRule(_N.OVER_VOLTAGE_DC, _R.OPEN, ocpp16_error="OverVoltage", meaning="voltage of the output too high"),
    FaultRule(_N.OVER_CURRENT_AC, _R.OPEN, ocpp16_error="OverCurrentFailure", meaning="AC current too high"),
    FaultRule(_N.OVER_CURRENT_DC, _R.OPEN, ocpp16_error="OverCurrentFailure", meaning="current of the output too high"),
    FaultRule(_N.DEVICE, _R.OPEN, ocpp16_error="InternalError", meaning="the isolation monitor is defective"),
)

_BY_NAME = {(rule.part, rule.name): rule for rule in RULES}
GRID_FAULTS = frozenset({_N.POWER_LOSS, _N.UNDER_VOLTAGE_AC, _N.OVER_VOLTAGE_AC})  # no reaction while grid-forming


def rule_of(name: FaultName, part: Part) -> FaultRule:
    """Return the row of a fault of a part."""
    return _BY_NAME.get((part, name)) or _BY_NAME[None, name]
