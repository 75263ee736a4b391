"""Town in an outage: storages, loads and vehicles that follow the calls of a coordinator, in virtual time.

A vehicle at a site supplies it when its storage is empty; one that is called to another site fills the storage first,
until the departure is due. Vehicles report their state of charge in whole percent; `delivered` is the share of their
battery's energy that arrives at the meter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gateway.blue_switch.callout import SWAP_S
from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.registry import ProvidedVehicle, Status
from gateway.blue_switch.trips import SiteNeed
from tests.gateway.blue_switch.visits import Case

STEP_S = 60.0
RELEASE_H = 1.0  # a storage lasts so long when its vehicle leaves
PLANNED_S = 72 * 3600.0  # a coordinator does not know when the grid is back


@dataclass(slots=True)
class Town:
    """State of a town: energy in the storage of each site, its dark hours, and where each vehicle is heading."""

    case: Case
    coordinator: Coordinator
    stored_wh: dict[str, float]
    soc_pct: dict[str, float]  # by vehicle
    delivered: float = 0.82
    dark_h: float = 0.0
    visits: list[tuple[str, str]] = field(default_factory=list)
    withdrawn: int = 0  # calls
    _under_way: dict[str, tuple[str, float, float]] = field(default_factory=dict)  # (site, arrival, energy of the way)

    def run(self, begin: float) -> None:
        """Run from `begin` (Unix time) until the horizon of the case."""
        case = self.case
        for minute in range(int(case.horizon_h * 60)):
            wall = begin + STEP_S * minute
            for site, wh in self.stored_wh.items():
                need = SiteNeed(
                    site, case.draw_w, wh, 2, wall + PLANNED_S, store_wh=case.store_wh, store_w=case.store_w
                )
                self.coordinator.outage(need, wall, wall)
            events = self.coordinator.update(wall, wall)
            self.withdrawn += sum(one.code == "call_withdrawn" for one in events)
            for vehicle in list(self.coordinator.registry.cars):
                self._drive(vehicle, wall)
            for site in self.stored_wh:
                self._supply(site, wall)

    def _drive(self, vehicle: str, wall: float) -> None:
        """Start a vehicle whose departure is due, or plug it in where it has arrived."""
        registry, trip = self.coordinator.registry, self.coordinator.calls.get(vehicle)
        car = registry.cars[vehicle]
        if vehicle in self._under_way:
            site, there_at, way_wh = self._under_way[vehicle]
            if wall >= there_at:
                del self._under_way[vehicle]
                self.soc_pct[vehicle] -= 100 * way_wh / car.capacity_wh
                registry.seen(vehicle, wall, site, math.floor(self.soc_pct[vehicle]), Status.DEPLOYED)
                self.coordinator.arrived(vehicle, site)
                self.visits.append((vehicle, site))
        elif trip is not None and trip.leave_at <= wall and self._may_leave(car):
            self._under_way[vehicle] = trip.site, wall + trip.arrive_at - trip.leave_at + SWAP_S / 3, trip.way_wh
            registry.seen(vehicle, wall, status=Status.FREE)

    def _may_leave(self, car: ProvidedVehicle) -> bool:
        return car.status is Status.FREE or self.stored_wh[car.place] >= RELEASE_H * self.case.draw_w

    def _supply(self, site: str, wall: float) -> None:
        """Supply the load of a site for one step: vehicles first where they fill the storage, else the storage."""
        load_wh, called = self.case.draw_w * STEP_S / 3600, self.coordinator.called_away(site)
        for car in self.coordinator.registry.cars.values():
            if car.place == site and car.status is Status.DEPLOYED:
                self._discharge(car, load_wh, car.vehicle in called, wall)
        self.dark_h += max(0.0, load_wh - self.stored_wh[site]) / self.case.draw_w
        self.stored_wh[site] = max(0.0, self.stored_wh[site] - load_wh)

    def _discharge(self, car: ProvidedVehicle, load_wh: float, fills: bool, wall: float) -> None:
        """Discharge a vehicle for one step, down to its floor."""
        case, stored_wh = self.case, self.stored_wh[car.place]
        above_wh = (self.soc_pct[car.vehicle] - car.agreement.floor_pct) / 100 * car.capacity_wh * self.delivered
        wanted_wh = load_wh - stored_wh
        if fills:
            wanted_wh = load_wh + min(case.store_wh - stored_wh, case.store_w * STEP_S / 3600)
        given_wh = max(0.0, min(wanted_wh, above_wh, case.car_w * STEP_S / 3600))
        self.stored_wh[car.place] += given_wh
        self.soc_pct[car.vehicle] -= 100 * given_wh / self.delivered / car.capacity_wh
        self.coordinator.registry.seen(car.vehicle, wall, car.place, math.floor(self.soc_pct[car.vehicle]))
