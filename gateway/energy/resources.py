"""Resources of one step: every vehicle and the storage, with limits, floor in force and wanted energy.

The floors and their hysteresis are those of `gateway.authority.soc_floors`, the limits of the storage those of
`gateway.authority.storage_limits`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import inf, sqrt
from statistics import fmean

from gateway.authority import soc_floors
from gateway.authority.power_history import RESPONSE_S
from gateway.authority.soc_floors import Floor
from gateway.authority.storage_limits import StorageLimits, storage_limits
from gateway.energy.reserve import SiteReserve
from gateway.energy.resource import REFILL_S, STORAGE, Kind, Resource
from gateway.energy.settings import EnergySection
from gateway.energy.storage_accounting import degradation_per_kwh
from gateway.energy.view import Car, View
from gateway.model.site import Storage

STORAGE_SAME_W = 25.0
STORAGE_SETTLE_S = 1.0


class ResourceBuilder:
    """Builds the resources of each step; keeps the floors in force, and the hysteresis of the storage's floor."""

    _storage_reached = False

    def __init__(self, settings: EnergySection, reserve: SiteReserve) -> None:
        self._settings = settings
        self._reserve = reserve
        self._fill_by: dict[str, float] = {}  # Unix time by which a battery below the reserve is charged up to it
        self.floors: dict[str, Floor] = {}
        self._storage_w: float | None = 0.0  # set-point; None: no order
        self._storage_ordered_at = -inf  # Unix time, of any other set-point
        self._storage_before_w: float | None = None  # set-point until then
        self._storage_moved: tuple[float | None, float] = (0.0, -inf)  # from which set-point on, since when (Unix time)

    def storage_ordered(self, power_w: float | None, wall: float) -> None:
        """Note the storage's set-point: a reading from before it moved does not show its present power."""
        if power_w is not None and power_w != self._storage_w:
            self._storage_ordered_at, self._storage_before_w = wall, self._storage_w
        self._storage_w = power_w
        before, since = self._storage_moved
        if power_w is None or before is None or abs(power_w - before) >= STORAGE_SAME_W:
            self._storage_moved = (power_w, wall if power_w is not None else since)

    def resources(self, view: View, forming: str | None = None) -> list[Resource]:
        """Return all resources; `free_of_commands` leaves out those that energy management does not set.

        No reserve of its EVSE ends or moves what the grid-forming source `forming` supplies.
        """
        found = [self.car(view, car, forms=car.evse == forming) for car in view.cars]
        storage = self.storage(view)
        return found if storage is None else [*found, storage]

    def car(self, view: View, car: Car, *, forms: bool = False) -> Resource:
        """Return one vehicle as a resource; it is not discharged while its floor counts as reached."""
        reserve = replace(self._reserve.in_force, needed=True) if forms else self._reserve.in_force
        floor = self.floors[car.evse] = soc_floors.floor_in_force(car.floors, reserve)
        reached = soc_floors.floor_reached(car.floor_reached, car.soc_pct, floor.pct, view.floor_hysteresis_pct)
        gives = _may_discharge(view, car.soc_pct, floor, reached) or (car.supplies_island and car.soc_pct is None)
        wanted, due = car.wanted_pct, None
        if not self._reserve.off_grid and car.soc_pct is not None and car.soc_pct < floor.pct:
            due = self._fill_by.setdefault(car.evse, view.wall + REFILL_S)
            wanted = max(wanted or 0.0, floor.pct)
        else:
            self._fill_by.pop(car.evse, None)
        return Resource(
            car.evse,
            car.max_charge_w,
            car.max_discharge_w if gives else 0.0,
            Kind.CAR,
            car.min_charge_w,
            car.min_discharge_w,
            car.soc_pct,
            car.capacity_wh,
            floor.pct,
            wanted_pct=wanted,
            departure=car.departure,
            due=due,
            power_w=car.power_w,
            setpoint_w=car.setpoint_w,
            degradation_per_kwh=self._settings.car_wear_per_kwh,
            can_form=car.supplies_island or car.evse in self._settings.forming,
            vehicle=car.vehicle,
            max_discharge_above_w=car.max_discharge_w,
        )

    def storage(self, view: View) -> Resource | None:
        """Return the storage, where the gateway controls it and its reading is fresh."""
        table = self._settings.storage
        reading = view.inputs.fresh(Storage, view.now)
        if not table.controlled or reading is None:
            return None
        converter = StorageLimits(
            table.max_charge_w if reading.max_charge_w is None else reading.max_charge_w,
            table.max_discharge_w if reading.max_discharge_w is None else reading.max_discharge_w,
            table.capacity_wh if reading.capacity_wh is None else reading.capacity_wh,
        )
        limits, degradation = storage_limits(converter, reading.modules), table.wear_per_kwh
        if reading.modules is not None:
            degradation = fmean(degradation_per_kwh(one.soh, table.wear_per_kwh) for one in reading.modules)
        floor = self.floors[STORAGE] = soc_floors.storage_floor(self._reserve.in_force, table.floor_pct)
        off_grid, soc_pct = self._reserve.off_grid, reading.soc_pct
        refill = floor.pct if not off_grid and soc_pct is not None and soc_pct < floor.pct else None
        if refill is None:
            self._fill_by.pop(STORAGE, None)
        before, hysteresis_pct = self._storage_reached, view.floor_hysteresis_pct
        reached = self._storage_reached = soc_floors.floor_reached(before, soc_pct, floor.pct, hysteresis_pct)
        may_discharge = _may_discharge(view, soc_pct, floor, reached) and soc_pct is not None
        eta = sqrt(table.round_trip)
        ordered_w = reading.power_w if self._storage_w is None else self._storage_w
        return Resource(
            STORAGE,
            limits.max_charge_w,
            limits.max_discharge_w if may_discharge else 0.0,
            Kind.STORAGE,
            soc_pct=soc_pct,
            capacity_wh=limits.capacity_wh,
            floor_pct=floor.pct,
            ceiling_pct=table.ceiling_pct,
            wanted_pct=refill,
            due=None if refill is None else self._fill_by.setdefault(STORAGE, view.wall + REFILL_S),
            power_w=reading.power_w if reading.ts >= self._storage_moved[1] + STORAGE_SETTLE_S else None,
            setpoint_w=ordered_w,
            flowing_w=self._storage_flowing_w(reading, ordered_w, view.wall),
            charge_efficiency=eta,
            discharge_efficiency=eta,
            degradation_per_kwh=degradation,
            rank=0,  # PV surplus is stored here first
            can_form=table.forming,
            max_discharge_above_w=limits.max_discharge_w,
        )

    def _storage_flowing_w(self, reading: Storage, ordered_w: float, wall: float) -> tuple[float, ...]:
        """Return the way on which the storage's power is now; it has reached a set-point after `RESPONSE_S`.

        A reading near the set-point shows that earlier, but not one that is as near to the set-point before.
        """
        seen = reading.ts >= self._storage_ordered_at + STORAGE_SETTLE_S
        apart_w, before_w = abs(reading.power_w - ordered_w), self._storage_before_w
        moved = before_w is None or apart_w < abs(reading.power_w - before_w)
        if seen and moved and apart_w < STORAGE_SAME_W:
            return (reading.power_w,)
        arrived_at = self._storage_moved[1] + RESPONSE_S
        if wall < arrived_at or (seen and reading.ts < arrived_at):
            return (reading.power_w, ordered_w)
        return (reading.power_w if seen else ordered_w,)


def _may_discharge(view: View, soc_pct: float | None, floor: Floor, reached: bool) -> bool:
    """Return whether its floor lets a battery be discharged."""
    bound = soc_floors.discharge_bound(soc_pct, floor, reached=reached, without_soc=view.discharge_without_soc)
    return bound is None


def free_of_commands(view: View, resources: Iterable[Resource]) -> list[Resource]:
    """Return the resources that energy management sets: without the vehicles under a command of their own."""
    held = {car.evse for car in view.cars if car.held}
    return [one for one in resources if one.name not in held]
