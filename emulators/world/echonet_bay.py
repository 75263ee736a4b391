"""Parking bay of a V2H box that the gateway reaches over ECHONET Lite, with the vehicle at its connector.

In an outage the box operates independently of the grid once the
main switch is open; the model of the site computes the power of the island.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from emulators.charger.echonet.box import Ratings, V2hBox, box_object
from emulators.ev.car import Car
from emulators.scenario.scenario import Scenario
from emulators.site.balance import State
from emulators.site.site import Site
from emulators.world.box_bay import BoxBay
from protocols.echonet.engine import Node

GATEWAY_ADDRESS = "192.0.2.1"


def box_addresses(scenario: Scenario) -> Mapping[str, str]:
    """Return the address of each box, by EVSE."""
    names = [name for part in scenario.charger if part.driver == "echonet" for name in part.ids()]
    return {name: f"192.0.2.{number}" for number, name in enumerate(names, 10)}


@dataclass
class EchonetBay(BoxBay):
    """One V2H box."""

    site: Site | None = None
    box: V2hBox = field(init=False)
    node: Node = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.box = V2hBox(Ratings(), self.stage, in_site=True)
        self.node = Node([box_object(self.box)])

    def advance(self, now: float) -> None:
        self.box.advance(now)

    def connect(self, car: Car) -> None:
        self.box.connect(car.pack, self.clock.now(), car)

    def disconnect(self) -> None:
        self.box.disconnect(self.clock.now())

    def update(self, now: float) -> None:
        """Apply the state of the grid and of the vehicle."""
        assert self.site is not None
        if self.site.state is State.GRID:
            self.box.set_grid(True, now)
        elif self.site.switch.confirmed_open:
            self.box.set_grid(False, now)
        super().update(now)
        self.box.fault = self.faulted
