"""Parking bay of an EVSE that the gateway hosts: hardware of a board, and the vehicle at its connector.

The gateway's driver commands the hardware (`emulators/boards/emulated.py`); here is the vehicle's side: its plug, the
state of its pilot circuit, its contactors, and its sessions with the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from emulators.boards.ac import EmulatedAcBoard, EmulatedAcSettings, ac_hardware
from emulators.boards.ac_vehicle import AcVehicle
from emulators.boards.emulated import EmulatedBoard, EmulatedSettings
from emulators.boards.vehicle import VehicleAtBoard
from emulators.charger.hardware.board_hardware import BoardHardware
from emulators.charger.hardware.dc_output import OutputMode
from emulators.charger.hardware.power_stage import Fault
from emulators.charger.station.power_path import CarPowerPath
from emulators.ev.car import Car
from emulators.ev.session import PROTOCOLS, EvSession, car_settings
from emulators.runtime.transports import Link
from emulators.world.parking_bay import MAX_SESSIONS, RETRY_AFTER_S, ParkingBay
from gateway.drivers.board.faults import FaultName, Part
from gateway.drivers.board.ports import Board
from protocols.iso15118.iso20 import events
from protocols.iso15118.iso20.services import ServiceId
from protocols.ports import Clock, Wire

X1 = "X1"  # steady pilot: the EVSE is not ready
FAULTS = {  # of the converter, as its driver reports them
    Fault.INSULATION: (Part.ISOLATION, FaultName.GROUND),
    Fault.OVERVOLTAGE: (Part.POWER, FaultName.OVER_VOLTAGE_DC),
    Fault.INTERNAL: (Part.POWER, FaultName.HARDWARE),
}
AC_OF = {ServiceId.DC: ServiceId.AC, ServiceId.DC_BPT: ServiceId.AC_BPT}  # of a vehicle at an AC board
SILENCE_S = 10.0  # after which the module switches off without commands

# Connects a vehicle at an EVSE to the gateway that hosts it; returns the vehicle's end of the stream
ConnectHosted = Callable[[str, Link[bytes]], Awaitable[Wire]]


@dataclass
class HostedBay(ParkingBay):
    """One EVSE that the gateway hosts. `plug` and `unplug` may be called at any time."""

    connect_gateway: ConnectHosted | None = None
    ac: bool = False  # contactors only, with the converter in the vehicle
    hardware: BoardHardware = field(init=False)
    vehicle: VehicleAtBoard | AcVehicle = field(init=False)
    _boards: list[EmulatedBoard] = field(default_factory=list)  # drivers over the hardware, the last one in operation
    _signal: str | float = "F"  # of the pilot, as the vehicle has seen it
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.power_path = CarPowerPath(self.stage)
        if self.ac:
            self.hardware = ac_hardware(self.stage, self.clock.now())
            self.vehicle = AcVehicle(self.hardware, self.clock, self._notify_board)
        else:
            self.hardware = BoardHardware(self.stage, self.clock.now(), SILENCE_S)
            self.vehicle = VehicleAtBoard(self.hardware, self.clock, self._notify_board)

    def board(self, clock: Clock) -> Board:
        """Return a driver of the hardware for a new run of the gateway; that of the run before ends."""
        self.kill_driver()
        spec = self.stage.spec
        if self.ac:
            made = EmulatedAcBoard(EmulatedAcSettings(), clock, self.hardware)
            self._boards = [made.driver]
            return made
        board = EmulatedBoard(EmulatedSettings(max_discharge_w=spec.max_discharge_w, forming=spec.forming), clock)
        board.hardware = self.hardware
        self._boards = [board]
        return board

    def kill_driver(self) -> None:
        """End the driver with the process of the gateway: the hardware gets no more commands."""
        for board in self._boards:
            board.running = False
        if self.ac:
            self.hardware.pilot_signal = "F"  # the pilot generator's own reaction to a silent controller

    # the vehicle

    async def plug(self, car: Car) -> None:
        """Plug a car in; ValueError if another one is plugged in."""
        if self.car is not None:
            raise ValueError(f"{self.evse} is occupied by {self.car.name}")
        self.car = car
        if isinstance(self.vehicle, AcVehicle):
            self.vehicle.basic = not set(car.spec.protocols) & set(PROTOCOLS)
        self.vehicle.plug(car)
        self._sessions = asyncio.get_running_loop().create_task(self._run_vehicle(car))

    async def unplug(self, car: Car | None = None) -> None:
        """Unplug the car at any stage of its session."""
        leaving, self.car = self.car, None
        if leaving is None:
            return
        self.vehicle.unplug()
        sessions, self._sessions = self._sessions, None
        if self.session is not None:
            await self.session.unplug()
        if sessions is not None:
            self._woken.set()  # ends the wait for a request, too
            sessions.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sessions

    async def _run_vehicle(self, car: Car) -> None:
        if isinstance(self.vehicle, AcVehicle) and self.vehicle.basic:
            return
        for _ in range(MAX_SESSIONS):
            ok = await self._run_one(car)
            if ok:
                self._woken.clear()
                await self._woken.wait()
            else:
                await self.clock.sleep(RETRY_AFTER_S)
            if self.car is not car:
                return

    async def _run_one(self, car: Car) -> bool:
        """Run one session to its end; return whether it succeeded."""
        assert self.connect_gateway is not None
        link: Link[bytes] = Link(on_write=None if self.capture is None else self._capture_packet)
        self.injection_points.attach_vehicle(self.evse, link)
        settings = car_settings(car, loop_interval=self.settings.loop_interval_s, tls=self.settings.tls)
        if self.ac:
            settings = replace(
                settings, services=tuple(dict.fromkeys(AC_OF.get(one, one) for one in settings.services))
            )
        self.session = EvSession(car, self.clock, self._on_ev_event, settings=settings)
        try:
            wire = await self.connect_gateway(self.evse, link)
        except OSError as error:
            self.session_ends.append(f"no connection to the gateway: {error}")
            return False
        try:
            ended = await self.session.run(wire)
        finally:
            self.vehicle.end_session()
        self.session_ends.append(ended.reason)
        self.transcript.add(self.clock.now(), f"iso15118:{self.evse}", "session", f"ended: {ended.reason}")
        return ended.ok

    def _on_ev_event(self, event: events.Event) -> None:
        self.vehicle.observe(event, 0.0 if self.session is None else self.session.ac_power_w)

    def _notify_board(self) -> None:
        for board in self._boards:
            board.wake()

    # the world

    def wake(self) -> None:
        """Charge loops of a hosted EVSE are never skipped."""

    def update(self, now: float) -> None:
        """Apply what changed since the last step of the site."""
        self._update_hardware()
        if isinstance(self.vehicle, AcVehicle):
            self.vehicle.update()
        signal, before = self.hardware.pilot_signal, self._signal
        self._signal = signal
        if before == X1 and isinstance(signal, float):
            self._woken.set()

    def _update_hardware(self) -> None:
        hardware, stage = self.hardware, self.stage
        stage.grid_forming_ordered = hardware.output.ordered is OutputMode.FORM
        hardware.isolation_ohm = stage.insulation_ohm
        for fault, (part, name) in FAULTS.items():
            for board in self._boards:
                if fault in stage.faults:
                    board.raise_fault(part, name)
                else:
                    board.clear_fault(part, name)
