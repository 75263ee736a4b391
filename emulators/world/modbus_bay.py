"""Parking bay of a wallbox that the gateway reaches over Modbus: its registers, and the vehicle at its connector.

Between vehicle and wallbox there are no messages here: the wallbox communicates with the vehicle by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from emulators.charger.hardware.power_stage import Bounds, Fault
from emulators.charger.station.power_path import CarPowerPath
from emulators.ev.car import Car
from emulators.modbus.device import EmulatedDevice
from emulators.modbus.wallbox import Wallbox
from emulators.world.parking_bay import ParkingBay
from protocols.modbus.register_map import RegisterMap, shipped

INTERNAL_ERROR = 1  # code that the wallbox states for each of its faults


@dataclass
class ModbusBay(ParkingBay):
    """One wallbox. `plug` and `unplug` may be called at any time."""

    product: RegisterMap = field(default_factory=lambda: shipped("bidipro-10"))
    box: Wallbox = field(init=False)
    device: EmulatedDevice = field(init=False)

    def __post_init__(self) -> None:
        self.power_path = CarPowerPath(self.stage)
        self.box = Wallbox(self.product, self.stage)
        self.device = EmulatedDevice(self.product, self.box, self.clock)

    async def plug(self, car: Car) -> None:
        """Plug a car in; ValueError if another one is plugged in."""
        if self.car is not None:
            raise ValueError(f"{self.evse} is occupied by {self.car.name}")
        self.car = car
        car.plug()
        car.couple(self.box.advance)
        car.contactors_closed = True
        self.box.capacity_wh = car.pack.energy_between_wh(0.0, 100.0)
        self.box.connect(car, self.clock.now())

    async def unplug(self, car: Car | None = None) -> None:
        """Unplug the car."""
        leaving, self.car = self.car, None
        if leaving is not None:
            self.box.disconnect(self.clock.now())
            leaving.decouple()
            leaving.contactors_closed = False

    def requested_w(self) -> float:
        return abs(self.stage.setpoint_w)

    def wake(self) -> None:
        """There are no charge loops that could be skipped."""

    def update(self, now: float) -> None:
        """Let the silence time-out expire; apply the vehicle's limits, and what changed since the site's last step."""
        self.box.advance(now)
        if self.car is not None:
            limits = self.car.limits()
            bounds = Bounds(limits.max_charge_a, limits.max_discharge_a, limits.max_charge_w, limits.max_discharge_w)
            self.stage.limit(bounds, now)
            self.car.check_current(self.stage.current_a)
        self.box.error = INTERNAL_ERROR if self.stage.faults - {Fault.GRID} else 0
