"""Emulated DC modules on CAN: InfyPower BEG and V1.13, Winline. They answer frames; `DcOutput` is their power part.

Each is one module with address 0. Requests to other addresses are ignored, as are requests of other protocols.
"""

from __future__ import annotations

import struct

from emulators.charger.hardware.dc_output import DcOutput, OutputMode
from emulators.charger.hardware.power_stage import Fault
from protocols.can import CanFrame
from protocols.dc_modules import infypower, winline
from protocols.dc_modules.bus import CanBus
from protocols.dc_modules.infypower import ALL, CONTROLLER, READ, WRITE, Command, Device, Item
from protocols.dc_modules.winline import Register
from protocols.ports import Clock


class EmulatedModule:
    """Base: switch, set-points and their application to the output."""

    inverter = False

    def __init__(self, output: DcOutput) -> None:
        self.output = output
        self.on = False
        self.voltage_v = self.current_a = 0.0
        self.powered = True

    def answer(self, frame: CanFrame, now: float) -> list[CanFrame]:
        """Process a frame; return the answers."""
        raise NotImplementedError

    def receive(self, frame: CanFrame, now: float) -> list[CanFrame]:
        """Process a frame, if the module is supplied."""
        self.output.advance(now)
        if self.output.timed_out:
            self.on = False
        return self.answer(frame, now) if self.powered else []

    def restart(self, now: float) -> None:
        """Restart: off, set-points and settings lost."""
        self.output.restart(now)
        self.on, self.voltage_v, self.current_a, self.inverter = False, 0.0, 0.0, False

    def apply(self, now: float) -> None:
        """Apply switch and set-points."""
        if not self.on:
            self.output.set(OutputMode.OFF, 0.0, 0.0, now)
        elif self.inverter:
            self.output.set(OutputMode.DISCHARGE, 0.0, -self.current_a, now)
        else:
            self.output.set(OutputMode.CHARGE, self.voltage_v, self.current_a, now)

    async def run(self, bus: CanBus, clock: Clock) -> None:
        """Answer frames of a bus until cancelled."""
        while True:
            frame = await bus.receive()
            for reply in self.receive(frame, clock.now()):
                await bus.send(reply)

    def infy_status(self) -> bytes:
        """Return bytes 5 to 7 of InfyPower's status."""
        faults = self.output.stage.faults
        byte5 = 0x80 * (not self.on) | 0x20 * (not self.output.stage.grid_present)
        byte6 = int(not self.on) | 0x02 * bool(faults) | 0x20 * (Fault.OVERVOLTAGE in faults)
        return bytes([byte5, byte6, 0])


class EmulatedBeg(EmulatedModule):
    """Bidirectional InfyPower BEG module."""

    def answer(self, frame: CanFrame, now: float) -> list[CanFrame]:
        device, command, destination, source, _ = infypower.parts(frame.can_id)
        if not frame.extended or source != CONTROLLER or command not in (READ, WRITE) or len(frame.data) != 8:
            return []
        if destination != (ALL if device == Device.MODULE else 0):
            return []
        self.output.feed(now)
        item, value = struct.unpack(">HxxI", frame.data)
        if command == WRITE:
            self._write(item, value, now)
            return [self._reply(WRITE, item, value)]
        found = self._read(item)
        return [] if found is None else [self._reply(READ, item, found)]

    def _reply(self, command: int, item: int, value: int) -> CanFrame:
        data = infypower.item_data(item, value)
        return CanFrame(infypower.identifier(Device.MODULE, command, CONTROLLER, 0), data, True)

    def _write(self, item: int, value: int, now: float) -> None:
        match item:
            case Item.VOLTAGE:
                self.voltage_v = value / 1000
            case Item.CURRENT:
                self.current_a = value / 1000
            case Item.POWER:
                self.on = value == infypower.ON
            case Item.WORKING_MODE if not self.on:
                self.inverter = value == infypower.INVERTER
            case _:
                return
        self.apply(now)

    def _read(self, item: int) -> int | None:
        spec, output = self.output.stage.spec, self.output
        values: dict[int, float] = {
            Item.VOLTAGE: output.voltage_v * 1000,
            Item.CURRENT: abs(output.current_a) * 1000,
            Item.COUNT: 1.0,
            Item.POWER: float(int.from_bytes(self.infy_status())),
            Item.INVERTER: float(self.inverter),
            Item.MAX_VOLTAGE: spec.max_voltage_v * 1000,
            Item.MIN_VOLTAGE: spec.min_voltage_v * 1000,
            Item.MAX_CURRENT: spec.max_current_a * 1000,
            Item.RATED_POWER: spec.max_charge_w * 1000,
        }
        found = values.get(item)
        return None if found is None else round(found)


class EmulatedV113(EmulatedModule):
    """One-way InfyPower module of protocol V1.13."""

    def answer(self, frame: CanFrame, now: float) -> list[CanFrame]:
        device, command, destination, source, _ = infypower.parts(frame.can_id)
        if (
            not frame.extended
            or source != CONTROLLER
            or device != Device.MODULE
            or destination != 0
            or len(frame.data) != 8
        ):
            return []
        self.output.feed(now)
        data = self._data(command, frame.data, now)
        if data is None:
            return []
        return [CanFrame(infypower.identifier(Device.MODULE, command, CONTROLLER, 0), data, True)]

    def _data(self, command: int, data: bytes, now: float) -> bytes | None:
        spec, output = self.output.stage.spec, self.output
        match command:
            case Command.COUNT:
                return bytes([0, 0, 1, 0, 0, 0, 0, 0])
            case Command.OUTPUT:
                return struct.pack(">ff", output.voltage_v, output.current_a)
            case Command.STATUS:
                return bytes([0, 0, 0, 0, 27]) + self.infy_status()
            case Command.CAPABILITY:
                numbers = spec.max_voltage_v, spec.min_voltage_v, spec.max_current_a * 10, spec.max_charge_w / 10
                return struct.pack(">HHHH", *(round(one) for one in numbers))
            case Command.POWER:
                self.on = data[0] == 0
            case Command.SET:
                volts, amps = struct.unpack(">II", data)
                self.voltage_v, self.current_a = volts / 1000, amps / 1000
            case _:
                return None
        self.apply(now)
        return data


class EmulatedWinline(EmulatedModule):
    """Winline module."""

    def answer(self, frame: CanFrame, now: float) -> list[CanFrame]:
        protocol, destination, source = winline.parts(frame.can_id)
        if not frame.extended or protocol != winline.PROTOCOL or source != winline.CONTROLLER or len(frame.data) != 8:
            return []
        if destination not in (0, winline.ALL):
            return []
        self.output.feed(now)
        function, register = frame.data[0], int.from_bytes(frame.data[2:4])
        if function == winline.SET:
            self._write(register, frame.data[4:], now)
            value: int | float = int.from_bytes(frame.data[4:])
        else:
            value = self._read(register)
        data = winline.answer(register, value)
        return [CanFrame(winline.identifier(winline.CONTROLLER, 0), data, True)]

    def _write(self, register: int, data: bytes, now: float) -> None:
        match register:
            case Register.SET_VOLTAGE:
                self.voltage_v = struct.unpack(">f", data)[0]
            case Register.SET_CURRENT:
                self.current_a = int.from_bytes(data) / winline.AMPERE
            case Register.POWER:
                self.on = data == bytes(4)
            case _:
                return
        self.apply(now)

    def _read(self, register: int) -> int | float:
        spec, output = self.output.stage.spec, self.output
        match register:
            case Register.VOLTAGE:
                return float(output.voltage_v)
            case Register.CURRENT:
                return float(output.current_a)
            case Register.RATED_POWER:
                return float(spec.max_charge_w)
            case Register.RATED_CURRENT:
                return float(spec.max_current_a)
            case Register.STATUS:
                tripped = bool(self.output.stage.faults)
                return (not self.on) << winline.DC_OFF | int(tripped)
            case _:
                return 0
