"""Parking bay of a product that communicates with the vehicle by itself: a wallbox over Modbus, a V2H box.

Between vehicle and product there are no messages here.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from emulators.charger.hardware.power_stage import Bounds, Fault
from emulators.charger.station.power_path import CarPowerPath
from emulators.ev.car import Car
from emulators.world.parking_bay import ParkingBay


@dataclass
class BoxBay(ParkingBay):
    """One product. `plug` and `unplug` may be called at any time."""

    def __post_init__(self) -> None:
        self.power_path = CarPowerPath(self.stage)

    @abstractmethod
    def advance(self, now: float) -> None:
        """Let the time of the product pass."""

    @abstractmethod
    def connect(self, car: Car) -> None:
        """Connect a vehicle to the product."""

    @abstractmethod
    def disconnect(self) -> None:
        """Disconnect the vehicle from the product."""

    async def plug(self, car: Car) -> None:
        """Plug a car in; ValueError if another one is plugged in."""
        if self.car is not None:
            raise ValueError(f"{self.evse} is occupied by {self.car.name}")
        self.car = car
        car.plug()
        car.couple(self.advance)
        car.contactors_closed = True
        self.connect(car)

    async def unplug(self, car: Car | None = None) -> None:
        """Unplug the car."""
        leaving, self.car = self.car, None
        if leaving is not None:
            self.disconnect()
            leaving.decouple()
            leaving.contactors_closed = False

    def requested_w(self) -> float:
        return abs(self.stage.setpoint_w)

    def wake(self) -> None:
        """There are no charge loops that could be skipped."""

    def update(self, now: float) -> None:
        """Let the time of the product pass, and apply the vehicle's limits."""
        self.advance(now)
        if self.car is not None:
            limits = self.car.limits()
            bounds = Bounds(limits.max_charge_a, limits.max_discharge_a, limits.max_charge_w, limits.max_discharge_w)
            self.stage.limit(bounds, now)
            self.car.check_current(self.stage.current_a)

    @property
    def faulted(self) -> bool:
        """True while the product has a fault of its own."""
        return bool(self.stage.faults - {Fault.GRID})
