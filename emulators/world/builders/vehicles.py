"""Vehicles of a scenario."""

from __future__ import annotations

import random

from emulators.ev import profile
from emulators.ev.car import Car
from emulators.scenario.tables import CarPart
from emulators.world.emulated_site import EmulatedSite


def add_cars(world: EmulatedSite, part: CarPart) -> None:
    """Add the cars of one table of the scenario, unplugged, to a world."""
    spec = profile.load(part.profile)
    for name in part.names():
        draw = random.Random(f"car-{world.seed}-{name}")
        soc = part.soc_pct + draw.uniform(-1, 1) * part.soc_spread_pct
        car = Car(spec, min(100.0, max(0.0, soc)), name=name, ambient_c=world.scenario.site.ambient_c)
        if part.floor_pct is not None:
            car.v2x_min_soc_pct = max(part.floor_pct, spec.min_soc_pct)
        world.cars[name] = world.injection_points.cars[name] = car
