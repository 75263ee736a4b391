"""The look-ahead plan for people: with prices, departures and expected states of charge. Only reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.authority.soc_floors import capacity_of
from gateway.control.control_state import EvseRegistry
from gateway.energy.planning.assembly import tariff_now
from gateway.energy.planning.problem import Plan
from gateway.energy.price import Tariff
from gateway.energy.resource import STORAGE
from gateway.energy.settings import EnergySection
from gateway.model.site import Arrival, ArrivingCar, Price, Site, Storage


@dataclass(frozen=True, slots=True)
class PlanOutlook:
    """The plan, None where none is made, and what it depends on.

    `soc_pct`: by EVSE, and of the storage, at the end of each step of the plan; None after the departure.
    `departures`: Unix time, by EVSE.
    """

    plan: Plan | None
    prices: Tariff
    currency: str | None
    soc_pct: Mapping[str, tuple[float | None, ...]]
    departures: Mapping[str, float]
    arrivals: tuple[ArrivingCar, ...]


def plan_outlook(
    plan: Plan | None, site: Site, registry: EvseRegistry, settings: EnergySection, now: float
) -> PlanOutlook:
    """Return the outlook of a site; `now` is monotonic. A plan that aggregates vehicles has no state of charge."""
    capacities: dict[str, float | None] = {STORAGE: None}
    departures: dict[str, float] = {}
    for state in registry:
        evse = state.evse
        if evse.session is None:
            continue
        capacities[evse.name] = capacity_of(evse, site.policy).energy_wh
        if evse.needs is not None and evse.needs.departure is not None:
            departures[evse.name] = evse.needs.departure
    storage = site.inputs.fresh(Storage, now)
    if storage is not None:
        capacities[STORAGE] = storage.capacity_wh or settings.storage.capacity_wh
    soc_pct = {} if plan is None else _soc_pct(plan, capacities, departures)
    expected = site.inputs.fresh(Arrival, now)
    arrivals = expected.arrivals if expected is not None else ()
    price = site.inputs.fresh(Price, now)
    currency = price.currency if price is not None else None
    return PlanOutlook(plan, tariff_now(site.inputs, now, settings), currency, soc_pct, departures, arrivals)


def _soc_pct(
    plan: Plan, capacities: Mapping[str, float | None], departures: Mapping[str, float]
) -> dict[str, tuple[float | None, ...]]:
    """Return the expected states of charge of the batteries whose capacity is known."""
    found: dict[str, tuple[float | None, ...]] = {}
    for name, capacity_wh in capacities.items():
        energies, leaves = plan.energy_wh.get(name), departures.get(name, math.inf)
        if energies is None or not capacity_wh:
            continue
        ends = (plan.start + (step + 1) * plan.step_s for step in range(len(energies)))
        found[name] = tuple(  # the plan has the steps that a vehicle stays through
            min(100.0, 100.0 * energy / capacity_wh) if end <= leaves + 1.0 else None
            for end, energy in zip(ends, energies, strict=True)
        )
    return found
