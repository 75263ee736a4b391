"""Hardware of a hosted CHAdeMO EVSE without its controller: the lines of the plug in the place of the control pilot.

d1 and d2 are commanded by the driver, k by the vehicle. The vehicle closes its contactors onto a cable without voltage.
"""

from __future__ import annotations

from emulators.battery.pack import Battery
from emulators.charger.hardware.board_hardware import BoardHardware
from emulators.charger.hardware.power_stage import PowerStage

DEAD_V = 20.0  # largest voltage of the cable at which a vehicle closes its contactors


class ChademoHardware(BoardHardware):
    """Hardware of one EVSE. `k` and `plugged_in` are the inputs of the controller, `d1` and `d2` its outputs."""

    def __init__(self, stage: PowerStage, now: float, silence_s: float | None = 10.0) -> None:
        super().__init__(stage, now, silence_s)
        self.d1 = self.d2 = False
        self.k = False
        self.plugged_in = False
        self.welded = False  # fault: the contactors of the vehicle do not open
        self.vehicle_opened_at_a: list[float] = []  # current at each opening of the vehicle's contactors
        self._at = now

    def plug(self, battery: Battery | None) -> None:
        """Plug in a vehicle; its contactors are open."""
        self._vehicle = battery
        self.plugged_in, self.k = True, False

    def unplug(self, now: float) -> None:
        """Remove the plug, which interrupts a current."""
        self.welded = False
        self.open_vehicle(now)
        self._vehicle = None
        self.plugged_in = self.k = False

    def open_vehicle(self, now: float) -> None:
        """Open the vehicle's contactors; welded ones stay closed."""
        if self.welded or not self.vehicle_closed:
            return
        self.output.advance(now)
        self.vehicle_opened_at_a.append(self.stage.current_a)
        super().open_vehicle(now)

    @property
    def inlet_v(self) -> float:
        """Voltage at the inlet of the vehicle."""
        if self.vehicle_closed and self._vehicle is not None:
            return self._vehicle.voltage_v
        return self.stage.voltage_v if self.closed else 0.0

    def _may_close(self, vehicle: Battery) -> bool:
        return self.d2 and self.inlet_v < DEAD_V

    @property
    def _permitted(self) -> bool:
        """Return False without d2, which supplies the coils of the contactors."""
        return self.d2
