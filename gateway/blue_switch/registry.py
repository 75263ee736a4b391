"""The cars that are lent: what they are, under which agreement, and where and how full they were last seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gateway.blue_switch.agreement import Agreement

ETA = 0.93  # battery to meter


class Status(StrEnum):
    """What a car is doing for us."""

    FREE = "free"
    CALLED = "called"
    THERE = "there"
    CHARGING = "charging"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class LentCar:
    """A car of an agreement. `place` is where it is, or where it will be at `free_from` (Unix time).

    Energies are Wh in its battery, `power_w` what it gives at the meter.
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
        return self.capacity_wh * self.soc_pct / 100

    @property
    def floor_wh(self) -> float:
        """The agreement's floor."""
        return self.capacity_wh * self.agreement.floor_pct / 100


@dataclass(slots=True)
class Registry:
    """All cars by identity. A car belongs to one agreement; ValueError where two claim it."""

    cars: dict[str, LentCar] = field(default_factory=dict)

    @classmethod
    def of(cls, cars: Iterable[LentCar]) -> Registry:
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
    ) -> LentCar | None:
        """A sighting; older than the last one it changes nothing. None for a car nobody lent."""
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

    def by_place(self) -> Mapping[str, list[LentCar]]:
        """Cars by where they are."""
        found: dict[str, list[LentCar]] = {}
        for car in self.cars.values():
            found.setdefault(car.place, []).append(car)
        return found
