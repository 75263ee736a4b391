"""Frames of CHAdeMO 0.9 to 2.0 and of the V2H guideline, as tables.

Numbers such as 102.5.0 in comments are frame, byte and bit. Sources: public CAN logs and open implementations; the
standards (IEEE 2030.1.1, IEC 61851-24) are not quoted. Patents and licences of the CHAdeMO association apply to
hardware products.
"""

from __future__ import annotations

from protocols.chademo.layout import Message, bit, frame, octet, octets, word

NOT_USED = 0xFF  # of times in 10 s units: the field in minutes applies


# ------------------------------------------------------------------------------------------------- sent by the vehicle


@frame(0x100)
class BatteryLimits(Message):
    """Limits of the battery; constant after permission (switch k)."""

    min_charge_a: int = octet(0)
    max_charge_a: int = octet(1)  # few vehicles
    min_voltage_v: int = word(2)
    max_voltage_v: int = word(4)  # threshold at which the charger stops
    rate_constant: int = octet(6)  # 102.6 at full charge: 100, 240 before a charger >= 1.0, 255 with one < 1.0


@frame(0x101)
class ChargeTime(Message):
    """Charging times and capacity; capacity is unstable before permission."""

    max_time_10s: int = octet(1)
    max_time_min: int = octet(2)
    estimated_time_min: int = octet(3)
    capacity_wh: int = word(5, scale=100)


@frame(0x102)
class VehicleStatus(Message):
    """Requests, faults, status and state of charge of the vehicle."""

    protocol: int = octet(0)  # 0: before 0.9, 1: 0.9, 2: 1.0 to 1.2, 3: 2.0
    target_voltage_v: int = word(1)
    charge_request_a: int = octet(3)
    battery_overvoltage: bool = bit(4, 0)
    battery_undervoltage: bool = bit(4, 1)
    current_deviation: bool = bit(4, 2)
    battery_overtemperature: bool = bit(4, 3)
    voltage_deviation: bool = bit(4, 4)
    enabled: bool = bit(5, 0)
    not_in_park: bool = bit(5, 1)
    system_fault: bool = bit(5, 2)
    contactors_open: bool = bit(5, 3)  # also: welding check finished
    stop_before_charge: bool = bit(5, 4)  # normal stop, before the first request
    bit_5_6: bool = bit(5, 6)  # not published; set by LEAFs (ZE0) that follow changes of 108.3
    discharge_compatible: bool = bit(5, 7)
    soc_raw: int = octet(6)

    @property
    def fault(self) -> str:
        """Faults that the vehicle reports, as text; "" without one."""
        return ", ".join(text for name, text in VEHICLE_FAULTS.items() if getattr(self, name))


VEHICLE_FAULTS = {
    "battery_overvoltage": "battery overvoltage",
    "battery_undervoltage": "battery undervoltage",
    "current_deviation": "current deviation",
    "battery_overtemperature": "battery overtemperature",
    "voltage_deviation": "voltage deviation",
    "system_fault": "charging system fault",
}


@frame(0x103)
class BatteryVoltage(Message):
    """Voltage that the vehicle measures (few vehicles)."""

    voltage_v: int = word(0)


@frame(0x110)
class VehicleExtension(Message):
    """Functions of 2.0; also sent by LEAFs (ZE1) of protocol number 2."""

    dynamic_control: bool = bit(0, 0)
    high_current: bool = bit(0, 1)
    high_voltage: bool = bit(0, 2)
    charge_request_a: int = word(1)  # instead of 102.3 in high-current control


@frame(0x200)
class DischargeLimits(Message):
    """Discharge limits of the vehicle (V2H guideline). The unit of the levels depends on its version: `levels.py`."""

    max_discharge_a: int = octet(0, inverted=True)
    min_voltage_v: int = word(4)
    min_level: int = octet(6, initial=0xFF)  # discharging ends here
    max_level: int = octet(7, initial=0xFF)  # charging ends here


@frame(0x201)
class VehicleSequence(Message):
    """Version of the V2H sequence and estimates; absent before V2H guideline 1.1."""

    sequence: int = octet(0)  # 0: 1.0 and before, 1: 2.0 appendix A, 2: 2.0 appendix B
    discharge_time_min: int = word(1)
    available_wh: int = word(3, scale=100)


@frame(0x202)
class Vehicle202(Message):
    """Sent by LEAFs (ZE1); meaning unknown."""

    content: int = octets(0, 8)


@frame(0x700)
class Automaker(Message):
    """Code of the automaker. LEAFs (ZE1) also send it outside of sessions."""

    code: int = octet(0)
    content: int = octets(1, 7)


@frame(0x710)
class VehicleId0(Message):
    """Vehicle identifier, first part."""

    content: int = octets(0, 8)


@frame(0x711)
class VehicleId1(Message):
    """Vehicle identifier, second part."""

    content: int = octets(0, 8)


@frame(0x712)
class VehicleId2(Message):
    """Vehicle identifier, third part."""

    content: int = octets(0, 8)


# ------------------------------------------------------------------------------------------------- sent by the charger


@frame(0x108)
class ChargerLimits(Message):
    """Output of the charger. 0 A available: charging is not allowed now (dynamic control, V2H)."""

    welding_detection: int = octet(0)
    available_voltage_v: int = word(1)
    available_a: int = octet(3)
    threshold_v: int = word(4)


@frame(0x109)
class ChargerStatus(Message):
    """Status of the charger and measured output."""

    protocol: int = octet(0)
    voltage_v: int = word(1)
    charge_a: int = octet(3)
    discharge_compatible: bool = bit(4, 0)
    power: bool = bit(5, 0)
    malfunction: bool = bit(5, 1)
    locked: bool = bit(5, 2)
    battery_incompatible: bool = bit(5, 3)
    system_fault: bool = bit(5, 4)
    stopped: bool = bit(5, 5)
    remaining_10s: int = octet(6)
    remaining_min: int = octet(7)

    @property
    def fault(self) -> str:
        """Faults that the charger reports, as text; "" without one."""
        return ", ".join(text for name, text in CHARGER_FAULTS.items() if getattr(self, name))


CHARGER_FAULTS = {
    "malfunction": "charger malfunction",
    "battery_incompatible": "battery incompatible",
    "system_fault": "charging system malfunction",
}


@frame(0x118)
class ChargerExtension(Message):
    """Functions of 2.0; bytes after the first are unknown."""

    dynamic_control: bool = bit(0, 0)
    high_current: bool = bit(0, 1)
    high_voltage: bool = bit(0, 2)


@frame(0x208)
class DischargeCapability(Message):
    """Measured discharge current and input limits of the charger (V2H guideline)."""

    discharge_a: int = octet(0, inverted=True)
    input_voltage_v: int = word(1)
    available_a: int = octet(3, inverted=True)
    threshold_v: int = word(6)  # lower voltage at which the charger stops


@frame(0x209)
class ChargerSequence(Message):
    """Version of the V2H sequence and remaining discharge time."""

    sequence: int = octet(0)
    remaining_min: int = word(1)


@frame(0x708)
class ChargerMaker(Message):
    """Code of the maker of the charger; answers 0x700."""

    code: int = octet(0)
    content: int = octets(1, 7)


FROM_VEHICLE = frozenset({0x100, 0x101, 0x102, 0x103, 0x110, 0x200, 0x201, 0x202, 0x700, 0x710, 0x711, 0x712})
FROM_CHARGER = frozenset({0x108, 0x109, 0x118, 0x208, 0x209, 0x708})


def minutes_of(ten_seconds: int, minutes: int) -> float | None:
    """Return a charging time in minutes from its two fields; None if it is not stated."""
    if ten_seconds != NOT_USED:
        return ten_seconds / 6
    return float(minutes) if minutes != NOT_USED else None
