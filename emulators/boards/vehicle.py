"""Vehicle at the connector of emulated hardware: its plug, the state of its pilot circuit and its contactors.

`observe` follows the events of its session (`emulators/ev/session.py`); the messages go to the host of the EVSE.
"""

from __future__ import annotations

from collections.abc import Callable

from emulators.charger.hardware.board_hardware import BoardHardware
from emulators.ev.car import Car
from protocols.iso15118.iso20 import events
from protocols.ports import Clock


class VehicleAtBoard:
    """Vehicle's side of one connector. `changed` is called after each change, so that a driver reads it at once."""

    def __init__(self, hardware: BoardHardware, clock: Clock, changed: Callable[[], None]) -> None:
        self._hardware, self._clock, self._changed = hardware, clock, changed
        self.car: Car | None = None

    def plug(self, car: Car) -> None:
        """Plug a car in: state B, its contactors open."""
        self.car = car
        car.couple(self._hardware.advance)
        self._hardware.plug(car)
        self._changed()

    def unplug(self) -> None:
        """Remove the plug."""
        car, self.car = self.car, None
        self._hardware.unplug(self._clock.now())
        self._changed()
        if car is not None:
            car.decouple()
            car.contactors_closed = False

    def observe(self, event: events.Event, power_w: float = 0.0) -> None:
        """Operate pilot and contactors as the session requires; the power is that of the charger."""
        if isinstance(event, events.LimitsStated):
            self._set_pilot("C")
        elif isinstance(event, events.VoltageMatched):
            self._hardware.close_vehicle(self._clock.now())
        elif isinstance(event, events.PowerStopped | events.SessionEnded):
            self.end_session()

    def end_session(self) -> None:
        """Open the vehicle's contactors and go back to state B."""
        self._hardware.open_vehicle(self._clock.now())
        if self.car is not None:
            self._set_pilot("B")

    def _set_pilot(self, state: str) -> None:
        if self._hardware.pilot_state != state:
            self._hardware.pilot_state = state
            self._changed()
