"""Parking bay of a V2H box that the gateway reaches over ECHONET Lite, with the vehicle at its connector.

Between vehicle and box there are no messages here. In an outage the box operates independently of the grid once the
main switch is open; the model of the site computes the power of the island.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from emulators.charger.echonet.box import Ratings, V2hBox, box_object
from emulators.charger.hardware.power_stage import Bounds, Fault
from emulators.charger.station.power_path import CarPowerPath
from emulators.ev.car import Car
from emulators.scenario.scenario import Scenario
from emulators.site.balance import State
from emulators.site.site import Site
from emulators.world.parking_bay import ParkingBay
from protocols.echonet.engine import Node

GATEWAY_ADDRESS = "192.0.2.1"


def box_addresses(scenario: Scenario) -> Mapping[str, str]:
    """Return the address of each box, by EVSE."""
    names = [name for part in scenario.charger if part.driver == "echonet" for name in part.ids()]
    return {name: f"192.0.2.{number}" for number, name in enumerate(names, 10)}


@dataclass
class EchonetBay(ParkingBay):
    """One V2H box. `plug` and `unplug` may be called at any time."""

    site: Site | None = None
    box: V2hBox = field(init=False)
    node: Node = field(init=False)

    def __post_init__(self) -> None:
        self.power_path = CarPowerPath(self.stage)
        self.box = V2hBox(Ratings(), self.stage, in_site=True)
        self.node = Node([box_object(self.box)])

    async def plug(self, car: Car) -> None:
        """Plug a car in; ValueError if another one is plugged in."""
        if self.car is not None:
            raise ValueError(f"{self.evse} is occupied by {self.car.name}")
        self.car = car
        car.plug()
        car.couple(self.box.advance)
        car.contactors_closed = True
        self.box.connect(car.pack, self.clock.now(), car)

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
        """Apply the state of the grid and of the vehicle."""
        assert self.site is not None
        if self.site.state is State.GRID:
            self.box.set_grid(True, now)
        elif self.site.switch.confirmed_open:
            self.box.set_grid(False, now)
        self.box.advance(now)
        if self.car is not None:
            limits = self.car.limits()
            bounds = Bounds(limits.max_charge_a, limits.max_discharge_a, limits.max_charge_w, limits.max_discharge_w)
            self.stage.limit(bounds, now)
            self.car.check_current(self.stage.current_a)
        self.box.fault = bool(self.stage.faults - {Fault.GRID})
