"""From the view to resources: every car and the storage, with the floor in force and what is wanted of them."""

from __future__ import annotations

from math import sqrt

from gateway.energy.reserve import Floor, Reserve, home_wh
from gateway.energy.resource import Kind, Resource
from gateway.energy.settings import CarTable, EnergySection
from gateway.energy.storage import Module, pack_limits
from gateway.energy.view import Car, View
from gateway.model.site import Storage

STORAGE = "storage"  # its name as a resource; an EVSE's name always has a number
FILL_S = 7200.0  # within this a raised reserve should be in the batteries
HYSTERESIS_PCT = 2.0
STORAGE_SAME_W = 25.0
STORAGE_SETTLE_S = 1.0


class ResourceBuilder:
    """Remembers whose floor was reached, for the hysteresis; nothing else."""

    def __init__(self, settings: EnergySection, reserve: Reserve) -> None:
        self._settings = settings
        self._reserve = reserve
        self._cars = {car.vehicle: car for car in settings.cars}
        self._reached: set[str] = set()
        self._fill_by: dict[str, float] = {}  # since when a battery is below its floor decides until when it is filled
        self.floors: dict[str, Floor] = {}
        self._storage_told: tuple[float | None, float] = (0.0, 0.0)  # W (None: left to itself), since when (Unix time)

    def told_storage(self, power_w: float | None, wall: float) -> None:
        """The order that the storage has now: a reading from before it says nothing about its power."""
        before = self._storage_told[0]
        if power_w is None or before is None or abs(power_w - before) >= STORAGE_SAME_W:
            self._storage_told = (power_w, wall if power_w is not None else self._storage_told[1])

    def resources(self, view: View) -> list[Resource]:
        """The resources that are ours to set. Cars with a command of their own are not among them."""
        found = [self.car(view, car) for car in view.cars if not car.held]
        storage = self.storage(view)
        return found if storage is None else [*found, storage]

    def car(self, view: View, car: Car) -> Resource:
        """One car. Below its floor (and until a little above it again) it may not be discharged."""
        known = self._cars.get(car.vehicle)
        told = car.capacity_wh or (known.capacity_wh if known else None)
        capacity = told or (self._settings.assumed_capacity_wh if car.soc_pct is not None else None)
        floor = self._floor(view, car, known, capacity)
        reached = self._hysteresis(car.evse, car.soc_pct, floor.pct)
        wanted, due = car.wanted_pct, None
        refill = max(self._reserve.pct if not self._reserve.off_grid else 0.0, floor.pct)
        if not self._reserve.off_grid and car.soc_pct is not None and refill > 0 and car.soc_pct < refill:
            due = self._fill_by.setdefault(car.evse, view.wall + FILL_S)
            wanted = max(wanted or 0.0, refill)
        else:
            self._fill_by.pop(car.evse, None)
        discharge = 0.0 if reached or (car.soc_pct is None and floor.pct > 0) else car.max_discharge_w
        return Resource(
            car.evse,
            car.max_charge_w,
            discharge,
            Kind.CAR,
            car.min_charge_w,
            car.min_discharge_w,
            car.soc_pct,
            capacity,
            floor.pct,
            wanted_pct=wanted,
            departure=car.departure,
            due=due,
            power_w=car.power_w,
            setpoint_w=car.setpoint_w,
            wear_per_kwh=self._settings.car_wear_per_kwh,
            can_form=car.evse in self._settings.forming,
            vehicle=car.vehicle,
        )

    def storage(self, view: View) -> Resource | None:
        """The storage, where the facility lets us decide and its last word is fresh."""
        table = self._settings.storage
        told = view.inputs.fresh(Storage, view.now)
        if not table.controlled or told is None:
            return None
        capacity = told.capacity_wh if told.capacity_wh is not None else table.capacity_wh
        charge = told.max_charge_w if told.max_charge_w is not None else table.max_charge_w
        discharge = told.max_discharge_w if told.max_discharge_w is not None else table.max_discharge_w
        wear = table.wear_per_kwh
        if told.modules is not None:  # the weakest module rules, whatever the converter could do
            limits = pack_limits(modules_of(told), told.strings, table.wear_per_kwh)
            charge, discharge = min(charge, limits.max_charge_w), min(discharge, limits.max_discharge_w)
            capacity = limits.capacity_wh if capacity is None else min(capacity, limits.capacity_wh)
            wear = limits.wear_per_kwh
        off = self._reserve.off_grid
        floor = Floor(table.floor_pct, "the storage") if off else Floor(max(table.floor_pct, self._reserve.pct), "")
        if off and self._settings.off_grid_pct > floor.pct:
            floor = Floor(self._settings.off_grid_pct, "the site's off-grid floor")
        self.floors[STORAGE] = floor
        reached = self._hysteresis(STORAGE, told.soc_pct, floor.pct)
        refill = floor.pct if not off and told.soc_pct is not None and told.soc_pct < floor.pct else None
        if refill is None:
            self._fill_by.pop(STORAGE, None)
        eta = sqrt(table.round_trip)
        return Resource(
            STORAGE,
            charge,
            0.0 if reached or told.soc_pct is None else discharge,
            Kind.STORAGE,
            soc_pct=told.soc_pct,
            capacity_wh=capacity,
            floor_pct=floor.pct,
            ceiling_pct=table.ceiling_pct,
            wanted_pct=refill,
            due=None if refill is None else self._fill_by.setdefault(STORAGE, view.wall + FILL_S),
            power_w=told.power_w if told.ts >= self._storage_told[1] + STORAGE_SETTLE_S else None,
            setpoint_w=told.power_w if self._storage_told[0] is None else self._storage_told[0],
            charge_efficiency=eta,
            discharge_efficiency=eta,
            wear_per_kwh=wear,
            rank=0,  # what the sun gives goes in here first
            can_form=table.forming,
        )

    def _floor(self, view: View, car: Car, known: CarTable | None, capacity: float | None) -> Floor:
        way = home_wh(known.home_km, known.wh_per_km) if known is not None else None
        own = max(known.floor_pct if known is not None else 0.0, car.floor_pct)
        commanded = view.reserve_pct if view.reserve_pct is not None and not self._reserve.off_grid else 0.0
        floor = self._reserve.floor(capacity, way, own_pct=own)
        if commanded > floor.pct:
            floor = Floor(commanded, "the site's commanded reserve")
        self.floors[car.evse] = floor
        return floor

    def _hysteresis(self, name: str, soc_pct: float | None, floor_pct: float) -> bool:
        if soc_pct is None or floor_pct <= 0:
            self._reached.discard(name)
        elif soc_pct <= floor_pct:
            self._reached.add(name)
        elif soc_pct >= min(100.0, floor_pct + HYSTERESIS_PCT):
            self._reached.discard(name)
        return name in self._reached


def modules_of(told: Storage) -> list[Module]:
    """The modules that the facility told, as the storage's rules take them."""
    return [
        Module(one.name, one.new_wh, one.soh, one.voltage_v, one.resistance_ohm, one.temperature_c, one.soc_pct)
        for one in told.modules or ()
    ]
