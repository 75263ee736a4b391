"""Vehicles of the agreements: their data, and where and at which state of charge they were last reported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gateway.blue_switch.agreement import Agreement


class Status(StrEnum):
    """Availability of a vehicle."""

    FREE = "free"
    DEPLOYED = "there"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class ProvidedVehicle:
    """A vehicle under an agreement. `place` is where it is, or where it will be at `free_from` (Unix time).

    Energies are Wh in its battery, `power_w` is its discharge power at the meter.
    """

    vehicle: str
    agreement: Agreement
    capacity_wh: float
    place: str
    base: str
    soc_pct: float = 80.0
    wh_per_km: float = 160.0
    power_w: float = 6000.0
    charge_w: float = 6000.0
    connector: str = "chademo"
    status: Status = Status.FREE
    free_from: float = 0.0
    seen_at: float = 0.0

    @property
    def energy_wh(self) -> float:
        """Energy in the battery."""
        return self.capacity_wh * self.soc_pct / 100


@dataclass(slots=True)
class VehicleRegistry:
    """Vehicles by identity. A vehicle belongs to one agreement; ValueError where two name it."""

    cars: dict[str, ProvidedVehicle] = field(default_factory=dict)

    @classmethod
    def of(cls, cars: Iterable[ProvidedVehicle]) -> VehicleRegistry:
        """Return the registry of these vehicles."""
        registry = cls()
        for car in cars:
            if car.vehicle in registry.cars:
                other = registry.cars[car.vehicle].agreement.id
                raise ValueError(f"the car {car.vehicle} stands in two agreements: {other} and {car.agreement.id}")
            registry.cars[car.vehicle] = car
        return registry

    def seen(
        self,
        vehicle: str,
        wall: float,
        place: str | None = None,
        soc_pct: float | None = None,
        status: Status | None = None,
    ) -> ProvidedVehicle | None:
        """Apply a report of a vehicle; one older than the last has no effect. None for an unregistered vehicle."""
        car = self.cars.get(vehicle)
        if car is None or wall < car.seen_at:
            return car
        car = replace(
            car,
            seen_at=wall,
            place=place if place is not None else car.place,
            soc_pct=min(max(soc_pct, 0.0), 100.0) if soc_pct is not None else car.soc_pct,
            status=status if status is not None else car.status,
        )
        self.cars[vehicle] = car
        return car
