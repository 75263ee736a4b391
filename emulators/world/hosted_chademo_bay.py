"""Parking bay of a CHAdeMO EVSE that the gateway hosts: hardware of a board with the lines of the plug, a bus, a LEAF.

The gateway's driver has the engine of the charger; here is the vehicle with its own engine, on the same bus in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from emulators.boards.chademo import ChademoBoard
from emulators.boards.chademo_vehicle import ChademoVehicle
from emulators.boards.emulated import EmulatedSettings
from emulators.charger.hardware.chademo_hardware import ChademoHardware
from emulators.charger.station.power_path import CarPowerPath
from emulators.ev.car import Car
from emulators.runtime.can_link import CanLink, LinkedCan
from emulators.runtime.candump import CanRecording
from emulators.world.hosted_bay import SILENCE_S, HostedBay
from protocols.can import CanFrame
from protocols.chademo.events import Event, SessionEnded, StateEntered, Stopping
from protocols.chademo.states import VehicleState
from protocols.chademo.vehicle_session import ResetVehicle
from protocols.dc_modules.bus import CanBus
from protocols.ports import Clock


@dataclass
class HostedChademoBay(HostedBay):
    """One hosted EVSE with CHAdeMO. `plug` and `unplug` may be called at any time."""

    frames: CanRecording | None = None  # of the sessions
    can: LinkedCan = field(init=False)
    leaf: ChademoVehicle | None = None
    _plug: ChademoHardware = field(init=False)

    def __post_init__(self) -> None:
        self.power_path = CarPowerPath(self.stage)
        self.hardware = self._plug = ChademoHardware(self.stage, self.clock.now(), SILENCE_S)
        self.can = LinkedCan(CanLink(), self._record_frame)
        self.injection_points.attach_can(self.evse, self.can.link)

    @property
    def recorded(self) -> CanRecording | None:
        """Frames of the sessions, if they are kept."""
        return self.frames

    def board(self, clock: Clock) -> ChademoBoard:
        """Return a driver of the hardware for a new run of the gateway; that of the run before ends."""
        self.kill_driver()
        spec = self.stage.spec
        settings = EmulatedSettings(max_discharge_w=spec.max_discharge_w, forming=spec.forming)
        board = ChademoBoard(settings, clock, self._plug)
        self._boards = [board]
        return board

    def open_bus(self) -> CanBus:
        """Return a participant of the bus for the gateway."""
        return self.can.port()

    async def plug(self, car: Car) -> None:
        """Plug a car in; ValueError if another one is plugged in."""
        if self.car is not None:
            raise ValueError(f"{self.evse} is occupied by {self.car.name}")
        self.car = car
        self.can.link.broken = False
        self.leaf = ChademoVehicle(
            self._plug, car, self.can.port(), self.clock, self._notify_board, report=self._record_event
        )
        self.leaf.plug()
        self._sessions = asyncio.get_running_loop().create_task(self.leaf.run())

    async def unplug(self, car: Car | None = None) -> None:
        """Unplug the car at any stage of its session."""
        leaving, self.car = self.car, None
        leaf, sessions, self.leaf, self._sessions = self.leaf, self._sessions, None, None
        if leaving is None or leaf is None:
            return
        leaf.unplug()
        if sessions is not None:
            sessions.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sessions

    def update(self, now: float) -> None:
        """Apply what changed since the last step of the site."""
        self._update_hardware()
        if self.car is not None and self.stage.current_a:
            self.car.check_current(self.stage.current_a)
        if self.leaf is not None and self.leaf.ev.engine.state is VehicleState.FAULT and not self._plug.d1:
            self.leaf.ev.command(ResetVehicle())  # by service, after the plug was released

    def _record_frame(self, frame: CanFrame) -> None:
        if self.frames is not None:
            self.frames.add(self.clock.wall(), frame)

    def _record_event(self, event: Event) -> None:
        if isinstance(event, StateEntered | Stopping):
            text = event.state.value if isinstance(event, StateEntered) else f"stop: {event.stop.text}"
            self.transcript.add(self.clock.now(), f"chademo:{self.evse}", "vehicle", text)
        if isinstance(event, SessionEnded):
            self.session_ends.append(event.stop.text)
