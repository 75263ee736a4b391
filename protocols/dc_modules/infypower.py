"""InfyPower modules: frames and controllers of the bidirectional BEG series and of the one-way protocol V1.13.

Source: the drivers in EVerest (InfyPower_BEG1K075G, InfyPower) as described in the project's documents. 29-bit
identifiers, 125 kbit/s, big-endian. Identifier: source 0-7 (controller F0), destination 8-15 (3F all), command 16-21,
device 22-25 (0A one module, 0B a group), error 26-28 (2 invalid command, 3 invalid data, 7 starting).

Not certain: the silence time-out of the BEG series (10 s is the text of V1.13); whether item 1002 of the BEG is ever
signed (treated as a magnitude); byte 4 of status 04 of V1.13 (possibly a temperature, not used).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum

from protocols.can import CanFrame
from protocols.dc_modules.controller import Alarm, Controller, FrameError, Mode, Rating

CONTROLLER = 0xF0
ALL = 0x3F
READ, WRITE = 0x23, 0x24  # commands of the BEG series
MIN_VOLTAGE_V = 150.0  # lower set-points of the BEG series are not transmitted, as in EVerest's driver
SILENCE_S = 10.0


class Device(IntEnum):
    """Device field of the identifier."""

    MODULE = 0x0A
    GROUP = 0x0B


class Item(IntEnum):
    """Items of the BEG series; 2110 is the working mode when written, an apparent power when read."""

    VOLTAGE = 0x1001  # mV
    CURRENT = 0x1002  # mA, without direction
    COUNT = 0x1010
    POWER = 0x1110  # read: status; write: A0 on, A1 off
    INVERTER = 0x1111  # read: bit 0 of byte 7
    WALK_IN = 0x1122
    OUTPUT_MODE = 0x1126  # A2 automatic
    MAX_VOLTAGE = 0x1130  # mV
    MIN_VOLTAGE = 0x1131  # mV
    MAX_CURRENT = 0x1132  # mA
    RATED_POWER = 0x1133  # mW
    POWER_FACTOR = 0x2105  # write: signed, thousandths
    WORKING_MODE = 0x2110  # write: A0 rectifier, A1 inverter


class Command(IntEnum):
    """Commands of V1.13."""

    COUNT = 0x02
    OUTPUT = 0x03
    STATUS = 0x04
    CAPABILITY = 0x0A
    POWER = 0x1A
    SET = 0x1C


ON, OFF_VALUE = 0xA0, 0xA1
RECTIFIER, INVERTER = 0xA0, 0xA1
STATUS_ALARMS = {  # byte, bit
    (7, 0): Alarm.OUTPUT_SHORT,
    (7, 5): Alarm.FAULT,
    (6, 1): Alarm.FAULT,
    (6, 2): Alarm.PROTECTION,
    (6, 3): Alarm.FAN,
    (6, 4): Alarm.OVER_TEMPERATURE,
    (6, 5): Alarm.OUTPUT_OVER_VOLTAGE,
    (6, 7): Alarm.SILENCE,
    (5, 0): Alarm.DERATED,
    (5, 1): Alarm.OTHER,
    (5, 2): Alarm.OTHER,
    (5, 3): Alarm.INPUT_PHASE,
    (5, 4): Alarm.INPUT_PHASE,
    (5, 5): Alarm.INPUT_LOW,
    (5, 6): Alarm.INPUT_HIGH,
}
DC_OFF = (6, 0)


def identifier(device: int, command: int, destination: int, source: int = CONTROLLER, error: int = 0) -> int:
    """Return a 29-bit identifier."""
    return error << 26 | device << 22 | command << 16 | destination << 8 | source


def parts(can_id: int) -> tuple[int, int, int, int, int]:
    """Return device, command, destination, source and error of an identifier."""
    return can_id >> 22 & 0xF, can_id >> 16 & 0x3F, can_id >> 8 & 0xFF, can_id & 0xFF, can_id >> 26 & 0x7


def item_frame(command: int, item: int, value: int = 0, *, device: int = Device.MODULE) -> CanFrame:
    """Return a request of the BEG series: to all modules, or to group 0."""
    destination = ALL if device == Device.MODULE else 0
    return CanFrame(identifier(device, command, destination), item_data(item, value), True)


def item_data(item: int, value: int) -> bytes:
    """Return the data of an item: item, two bytes 0, value."""
    return struct.pack(">HxxI", item, value & 0xFFFFFFFF)


def decode_status(data: bytes) -> tuple[bool, frozenset[Alarm]]:
    """Return (DC side off, alarms) of the status bytes 5 to 7."""
    alarms = frozenset(alarm for (byte, bit), alarm in STATUS_ALARMS.items() if data[byte] >> bit & 1)
    return bool(data[DC_OFF[0]] >> DC_OFF[1] & 1), alarms


class BegController(Controller):
    """Controller of one module of the BEG series, such as BEG1K075G; EVerest's driver also supports one only."""

    bidirectional = True

    def __init__(self, now: float, address: int = 0) -> None:
        self._address = address
        self._rated: dict[int, float] = {}
        super().__init__([address], now)

    def _configuration(self) -> list[CanFrame]:
        return [
            item_frame(WRITE, Item.POWER, OFF_VALUE),
            item_frame(WRITE, Item.POWER_FACTOR, 1000, device=Device.GROUP),
            item_frame(WRITE, Item.OUTPUT_MODE, 0xA2),
            *(item_frame(READ, item) for item in _RATINGS),
        ]

    def _polls(self) -> list[CanFrame]:
        polls = [Item.VOLTAGE, Item.CURRENT, Item.POWER, Item.INVERTER]
        if len(self._rated) < len(_RATINGS):
            polls += [item for item in _RATINGS if item not in self._rated]
        return [item_frame(READ, item) for item in polls]

    def _setpoint(self, voltage_v: float, current_a: float) -> list[CanFrame]:
        if voltage_v <= MIN_VOLTAGE_V:
            return []
        return [
            item_frame(WRITE, Item.VOLTAGE, round(voltage_v * 1000)),
            item_frame(WRITE, Item.CURRENT, round(current_a * 1000)),
        ]

    def _switching(self, mode: Mode) -> list[CanFrame]:
        power = item_frame(WRITE, Item.POWER, OFF_VALUE if mode is Mode.OFF else ON)
        direction = item_frame(WRITE, Item.WORKING_MODE, INVERTER if mode is Mode.DISCHARGE else RECTIFIER)
        return [power, direction] if mode is Mode.OFF else [direction, power]

    def _decode(self, frame: CanFrame) -> int | None:
        if not frame.extended:
            return None
        _, command, destination, source, error = parts(frame.can_id)
        if destination != CONTROLLER or source != self._address or command not in (READ, WRITE):
            return None
        if len(frame.data) != 8 or error:
            raise FrameError(f"error {error}, {len(frame.data)} bytes")
        if command == WRITE:
            return source
        item, value = struct.unpack(">HxxI", frame.data)
        module = self.modules[source]
        match item:
            case Item.VOLTAGE:
                module.voltage_v = value / 1000
            case Item.CURRENT:
                module.current_a, module.measured = value / 1000, True
            case Item.POWER:
                module.off, module.alarms = decode_status(frame.data)
            case one if one in _RATINGS:
                self._rated[item] = value / 1000
                if len(self._rated) == len(_RATINGS):
                    module.rating = Rating(*(self._rated[one] for one in _RATINGS))
            case _:
                pass
        return source


_RATINGS = (Item.MAX_VOLTAGE, Item.MIN_VOLTAGE, Item.MAX_CURRENT, Item.RATED_POWER)


class V113Controller(Controller):
    """Controller of one-way modules of protocol V1.13, one or several in parallel; the current is shared equally."""

    def __init__(self, now: float, addresses: Sequence[int] = (0,)) -> None:
        super().__init__(addresses, now)

    def _request(self, command: Command, data: bytes = bytes(8)) -> list[CanFrame]:
        return [CanFrame(identifier(Device.MODULE, command, one), data, True) for one in self.modules]

    def _configuration(self) -> list[CanFrame]:
        return self._request(Command.CAPABILITY)

    def _polls(self) -> list[CanFrame]:
        polls = self._request(Command.OUTPUT) + self._request(Command.STATUS)
        missing = any(module.rating is None for module in self.modules.values())
        return polls + (self._request(Command.CAPABILITY) if missing else [])

    def _setpoint(self, voltage_v: float, current_a: float) -> list[CanFrame]:
        return self._request(Command.SET, struct.pack(">II", round(voltage_v * 1000), round(current_a * 1000)))

    def _switching(self, mode: Mode) -> list[CanFrame]:
        return self._request(Command.POWER, bytes([mode is Mode.OFF, *bytes(7)]))

    def _decode(self, frame: CanFrame) -> int | None:
        if not frame.extended:
            return None
        _, command, destination, source, error = parts(frame.can_id)
        if destination != CONTROLLER or source not in self.modules:
            return None
        if len(frame.data) != 8 or error:
            raise FrameError(f"error {error}, {len(frame.data)} bytes")
        module = self.modules[source]
        match command:
            case Command.OUTPUT:
                volts, amps = struct.unpack(">ff", frame.data)
                if not (0 <= volts < 2000 and abs(amps) < 1000):
                    raise FrameError(f"{volts} V, {amps} A")
                module.voltage_v, module.current_a, module.measured = volts, abs(amps), True
            case Command.STATUS:
                module.off, module.alarms = decode_status(frame.data)
            case Command.CAPABILITY:
                high, low, amps, power = struct.unpack(">HHHH", frame.data)
                module.rating = Rating(float(high), float(low), amps / 10, power * 10.0)
            case _:
                pass
        return source
