"""Vehicle with CHAdeMO at the connector of emulated hardware in the same process.

Its frames are on the bus of the EVSE; lines, contactors and current are those of the hardware, which moves the charge.
"""

from __future__ import annotations

from collections.abc import Callable

from emulators.boards.chademo import ChademoBoard
from emulators.charger.hardware.chademo_hardware import ChademoHardware
from emulators.ev.car import Car
from emulators.ev.chademo import ChademoEv
from emulators.runtime.plug_lines import ChargerLines, VehicleLines
from protocols.chademo.events import Event
from protocols.chademo.profile import VehicleProfile
from protocols.dc_modules.bus import CanBus
from protocols.ports import Clock

PERIOD_S = 0.1  # in which the vehicle reads its inlet


class HardwarePlug:
    """Wires between a vehicle and hardware. `changed` is called after a change of k, so that a driver reads it."""

    period_s = PERIOD_S

    def __init__(self, hardware: ChademoHardware, car: Car, changed: Callable[[], None]) -> None:
        self._hardware, self._car, self._changed = hardware, car, changed

    def charger(self, now: float) -> ChargerLines | None:
        """Return lines and measurements of the charger; None without a plug."""
        hardware = self._hardware
        hardware.advance(now)
        if not hardware.plugged_in:
            return None
        return ChargerLines(hardware.d1, hardware.d2, hardware.inlet_v, hardware.stage.current_a)

    def closed(self, ordered: bool) -> bool:
        """Return the position feedback."""
        return self._hardware.vehicle_closed

    async def update(self, lines: VehicleLines, now: float) -> None:
        """Set k and the contactors of the vehicle."""
        hardware = self._hardware
        if not hardware.plugged_in:
            return
        if lines.closed:
            hardware.close_vehicle(now)
        else:
            hardware.open_vehicle(now)
        self._car.contactors_closed = hardware.vehicle_closed
        if hardware.k != lines.k:
            hardware.k = lines.k
            self._changed()


class ChademoVehicle:
    """A car at one connector; `run` until it is unplugged. `ev` has its engine and the end of its last session."""

    def __init__(
        self,
        hardware: ChademoHardware,
        car: Car,
        bus: CanBus,
        clock: Clock,
        changed: Callable[[], None],
        *,
        profile: VehicleProfile | None = None,
        report: Callable[[Event], None] | None = None,
    ) -> None:
        """`changed`: see `HardwarePlug`; `bus`: a participant of its own."""
        self.car = car
        self._hardware, self._clock, self._changed = hardware, clock, changed
        self.ev = ChademoEv(car, bus, clock, profile=profile, report=report, plug=HardwarePlug(hardware, car, changed))

    @classmethod
    def at(cls, board: ChademoBoard, car: Car, bus: CanBus, *, profile: VehicleProfile | None = None) -> ChademoVehicle:
        """Return a car at the hardware of a board."""
        return cls(board.plug, car, bus, board.clock, board.wake, profile=profile)

    def plug(self) -> None:
        """Plug the car in."""
        self.car.plug()
        self.car.couple(self._hardware.advance)
        self._hardware.plug(self.car)
        self.ev.plugged = True
        self._changed()

    def unplug(self) -> None:
        """Remove the plug at any stage of a session; a current is interrupted."""
        self._hardware.unplug(self._clock.now())
        self.ev.plugged = False
        self.car.decouple()
        self.car.contactors_closed = False
        self._changed()

    def reset(self) -> None:
        """Release the fault state of the vehicle, by service."""
        self.ev.reset()

    async def run(self) -> None:
        """Run the vehicle until it is cancelled or its bus is lost (ConnectionError)."""
        await self.ev.run()
