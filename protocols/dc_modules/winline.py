"""Winline UXR and UXC modules (compatible with Maxwell MXR, "protocol 060"): frames and controller. One-way.

Source: the driver in EVerest (Winline) as described in the project's documents; its code, not its README, whose tables
of identifiers and registers are wrong. 29-bit identifiers, 125 kbit/s, big-endian. Identifier: group 0-2, source 3-10
(controller F0), destination 11-18 (FF all, FE group), point-to-point 19, protocol 20-28 = 060.

Not certain: the silence time-out of the modules (not published: the driver states none, the supervisor then waits
`BLIND_S`); bidirectional UXC variants exist, their registers are not published.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from enum import IntEnum

from protocols.can import CanFrame
from protocols.dc_modules.controller import Alarm, Controller, FrameError, Mode, Rating

PROTOCOL = 0x060
CONTROLLER = 0xF0
ALL, GROUP = 0xFF, 0xFE
SET, READ = 0x03, 0x10
FLOAT, INTEGER = 0x41, 0x42
OK = 0xF0
AMPERE = 1024
DC_OFF = 22


class Register(IntEnum):
    """Registers that this controller uses."""

    VOLTAGE = 0x0001  # read, float
    CURRENT = 0x0002  # read, float
    RATED_POWER = 0x0011  # read, float
    RATED_CURRENT = 0x0012  # read, float
    ALTITUDE = 0x0017  # set, m
    SET_CURRENT = 0x001B  # set, A × 1024
    SET_VOLTAGE = 0x0021  # set, float
    POWER = 0x0030  # set, 0 on, 00010000 off
    STATUS = 0x0040  # read
    INPUT = 0x0046  # set, 1 AC


SWITCH_OFF = 0x00010000
FLOATS = frozenset({Register.VOLTAGE, Register.CURRENT, Register.RATED_POWER, Register.RATED_CURRENT})
STATUS_ALARMS = {
    0: Alarm.FAULT,
    1: Alarm.PROTECTION,
    3: Alarm.FAULT,
    4: Alarm.OTHER,
    5: Alarm.OTHER,
    7: Alarm.OUTPUT_OVER_VOLTAGE,
    8: Alarm.FAULT,
    9: Alarm.INPUT_HIGH,
    14: Alarm.INPUT_LOW,
    16: Alarm.SILENCE,
    17: Alarm.OTHER,
    23: Alarm.DERATED,
    24: Alarm.DERATED,
    25: Alarm.DERATED,
    27: Alarm.FAN,
    28: Alarm.OUTPUT_SHORT,
    30: Alarm.OVER_TEMPERATURE,
    31: Alarm.OUTPUT_OVER_VOLTAGE,
}


def identifier(destination: int, source: int = CONTROLLER, *, single: bool = True, group: int = 0) -> int:
    """Return a 29-bit identifier."""
    return PROTOCOL << 20 | single << 19 | destination << 11 | source << 3 | group


def parts(can_id: int) -> tuple[int, int, int]:
    """Return protocol, destination and source of an identifier."""
    return can_id >> 20 & 0x1FF, can_id >> 11 & 0xFF, can_id >> 3 & 0xFF


def request(function: int, register: int, value: int | float = 0) -> bytes:
    """Return the data of a request: a float or an unsigned value."""
    return struct.pack(">BxHf" if isinstance(value, float) else ">BxHI", function, register, value)


def answer(register: int, value: int | float, error: int = OK) -> bytes:
    """Return the data of an answer."""
    kind = FLOAT if isinstance(value, float) else INTEGER
    return struct.pack(">BBHf" if isinstance(value, float) else ">BBHI", kind, error, register, value)


class WinlineController(Controller):
    """Controller of modules in parallel; `max_voltage_v` and `min_voltage_v` are those of the type plate."""

    def __init__(
        self,
        now: float,
        addresses: Sequence[int] = (0,),
        *,
        max_voltage_v: float = 1000.0,
        min_voltage_v: float = 200.0,
        altitude_m: int = 1000,
    ) -> None:
        self._plate = max_voltage_v, min_voltage_v
        self._altitude_m = altitude_m
        self._rated: dict[tuple[int, int], float] = {}
        super().__init__(addresses, now)

    def _each(self, function: int, register: int, value: int | float = 0) -> list[CanFrame]:
        return [CanFrame(identifier(one), request(function, register, value), True) for one in self.modules]

    def _configuration(self) -> list[CanFrame]:
        return [
            *self._each(SET, Register.POWER, SWITCH_OFF),
            *self._each(SET, Register.ALTITUDE, self._altitude_m),
            *self._each(SET, Register.INPUT, 1),
        ]

    def _polls(self) -> list[CanFrame]:
        registers = [Register.VOLTAGE, Register.CURRENT, Register.STATUS]
        if any(module.rating is None for module in self.modules.values()):
            registers += [Register.RATED_POWER, Register.RATED_CURRENT]
        return [frame for register in registers for frame in self._each(READ, register)]

    def _setpoint(self, voltage_v: float, current_a: float) -> list[CanFrame]:
        return [
            *self._each(SET, Register.SET_VOLTAGE, float(voltage_v)),
            *self._each(SET, Register.SET_CURRENT, round(current_a * AMPERE)),
        ]

    def _switching(self, mode: Mode) -> list[CanFrame]:
        return self._each(SET, Register.POWER, SWITCH_OFF if mode is Mode.OFF else 0)

    def _decode(self, frame: CanFrame) -> int | None:
        protocol, destination, source = parts(frame.can_id)
        if not frame.extended or protocol != PROTOCOL or destination != CONTROLLER or source not in self.modules:
            return None
        if len(frame.data) != 8 or frame.data[1] != OK or frame.data[0] not in (FLOAT, INTEGER):
            raise FrameError(frame.data.hex())
        register = int.from_bytes(frame.data[2:4])
        module = self.modules[source]
        if register == Register.STATUS:
            status = int.from_bytes(frame.data[4:])
            module.off = bool(status >> DC_OFF & 1)
            module.alarms = frozenset(alarm for bit, alarm in STATUS_ALARMS.items() if status >> bit & 1)
        elif register in FLOATS and frame.data[0] == FLOAT:
            value: float = struct.unpack(">f", frame.data[4:])[0]
            if not math.isfinite(value) or abs(value) > 1e6:
                raise FrameError(f"{value} in register {register:04X}")
            self._store(source, register, value)
        return source

    def _store(self, source: int, register: int, value: float) -> None:
        module = self.modules[source]
        if register == Register.VOLTAGE:
            module.voltage_v = value
        elif register == Register.CURRENT:
            module.current_a, module.measured = abs(value), True
        else:
            self._rated[source, register] = value
            power = self._rated.get((source, Register.RATED_POWER))
            amps = self._rated.get((source, Register.RATED_CURRENT))
            if power is not None and amps is not None:
                module.rating = Rating(*self._plate, amps, power)
