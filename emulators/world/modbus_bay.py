"""Parking bay of a wallbox that the gateway reaches over Modbus: its registers, and the vehicle at its connector."""

from __future__ import annotations

from dataclasses import dataclass, field

from emulators.ev.car import Car
from emulators.modbus.device import EmulatedDevice
from emulators.modbus.wallbox import Wallbox
from emulators.world.box_bay import BoxBay
from protocols.modbus.register_map import RegisterMap, shipped

INTERNAL_ERROR = 1  # code that the wallbox states for each of its faults


@dataclass
class ModbusBay(BoxBay):
    """One wallbox."""

    product: RegisterMap = field(default_factory=lambda: shipped("bidipro-10"))
    box: Wallbox = field(init=False)
    device: EmulatedDevice = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.box = Wallbox(self.product, self.stage)
        self.device = EmulatedDevice(self.product, self.box, self.clock)

    def advance(self, now: float) -> None:
        self.box.advance(now)

    def connect(self, car: Car) -> None:
        self.box.capacity_wh = car.pack.energy_between_wh(0.0, 100.0)
        self.box.connect(car, self.clock.now())

    def disconnect(self) -> None:
        self.box.disconnect(self.clock.now())

    def update(self, now: float) -> None:
        """Let the silence time-out expire; apply the vehicle's limits, and what changed since the site's last step."""
        super().update(now)
        self.box.error = INTERNAL_ERROR if self.faulted else 0
