"""Assembly of the planning problem: vehicles present and expected, storage, prices, outlook."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.authority.demand_window import DemandWindow, advance
from gateway.authority.site_limits import import_limits
from gateway.authority.soc_floors import capacity
from gateway.energy.billing import BilledPeak
from gateway.energy.forecast import DayProfile
from gateway.energy.planning.problem import EnergyTarget, Problem, Visit, grid_start
from gateway.energy.price import Tariff, flat, tariff_of
from gateway.energy.resource import Kind, Resource
from gateway.energy.settings import EnergySection
from gateway.energy.view import View
from gateway.model.command import SiteMode
from gateway.model.site import Arrival, Forecast, Inputs, Price

STEP_S = 1800.0
DEFAULT_PCT = 50.0  # of a vehicle whose SoC is unknown
DEFAULT_W = 6000.0
STAY_S = 8 * 3600.0
MISSED_PER_KWH = 10.0  # times the highest price, for energy missing at departure


def tariff_now(inputs: Inputs, now: float, settings: EnergySection) -> Tariff:
    """Return the facility's prices, else the site's fixed ones, else none."""
    return tariff_from(inputs.fresh(Price, now), settings)


def tariff_from(price: Price | None, settings: EnergySection) -> Tariff:
    """Return the tariff of the facility's prices, else of the site's fixed ones, else none."""
    if price is not None:
        return tariff_of(price)
    if settings.import_per_kwh is not None:
        return flat(settings.import_per_kwh, settings.export_per_kwh)
    return Tariff()


def problem_of(
    view: View,
    settings: EnergySection,
    resources: Sequence[Resource],
    profile: DayProfile,
    window: DemandWindow | None,
    billed: BilledPeak,
) -> Problem:
    """Return the problem of the next `plan_hours`; ValueError, with part of a sentence, where it cannot be stated."""
    start = grid_start(view.wall, STEP_S)
    steps = max(4, int(settings.plan_hours * 3600 / STEP_S))
    outlook = profile.outlook(start, STEP_S, steps, view.inputs.fresh(Forecast, view.now))
    tariff = tariff_now(view.inputs, view.now, settings)
    if not tariff.starts and view.mode is not SiteMode.PRICE:
        tariff = flat(1.0)  # peaks and departures can be planned without a price
    buy, sell = tariff.series(start, STEP_S, steps, view.wall)
    highest = max(max(map(abs, buy)), 1.0)
    visits = [_present(one, view.wall, highest, settings.assumed_capacity_wh) for one in resources]
    visits += _expected(view, settings, highest, {one.vehicle for one in resources if one.vehicle})
    if window is not None:
        window, _ = advance(window, view.wall, None, 0.0)  # the window was measured up to the last step
    limits = import_limits(settings.site_limits(view.import_w, view.export_w, view.peak_w))
    return Problem(
        view.wall,
        start,
        STEP_S,
        outlook.load_w,
        outlook.pv_w,
        tuple(buy),
        tuple(sell),
        tuple(visits),
        min((limit_w for _, limit_w in limits), default=math.inf),
        view.export_w if view.export_w is not None else math.inf,
        settings.contract_w,
        settings.demand_charge_per_kw,
        billed.at(view.wall),
        settings.window_s,
        window.imported_wh if window is not None else 0.0,
        billed.next_start(view.wall),
    )


def _present(one: Resource, wall: float, highest: float, assumed_wh: float) -> Visit:
    capacity_wh = capacity(one.capacity_wh, assumed_wh).energy_wh
    energy = capacity_wh * (one.soc_pct if one.soc_pct is not None else DEFAULT_PCT) / 100
    stays = one.kind is Kind.STORAGE or one.departure is None
    end = math.inf if stays else max(one.departure or 0.0, wall)
    targets: tuple[EnergyTarget, ...] = ()
    by = [moment for moment in (one.departure, one.due) if moment is not None]
    if one.wanted_pct is not None and by:
        targets = (EnergyTarget(min(by), capacity_wh * one.wanted_pct / 100, MISSED_PER_KWH * highest),)
    discharge_w = one.max_discharge_w
    if one.soc_pct is not None and one.max_discharge_above_w is not None:
        discharge_w = one.max_discharge_above_w
    return Visit(
        one.name,
        energy,
        capacity_wh,
        one.max_charge_w,
        discharge_w if one.capacity_wh is not None else 0.0,
        -math.inf,
        end,
        capacity_wh * one.floor_pct / 100,
        capacity_wh * one.ceiling_pct / 100,
        one.charge_efficiency,
        one.discharge_efficiency,
        one.degradation_per_kwh,
        targets,
    )


def _expected(view: View, settings: EnergySection, highest: float, present: set[str]) -> list[Visit]:
    """Return the visits of vehicles that the facility expects: charged for their departure, not discharged."""
    expected = view.inputs.fresh(Arrival, view.now)
    if expected is None:
        return []
    known = {car.vehicle: car for car in settings.cars}
    visits = []
    for car in expected.arrivals:
        if car.vehicle in present or car.at <= view.wall:
            continue
        own = known.get(car.vehicle)
        known_wh = car.capacity_wh or (own.capacity_wh if own is not None else None)
        capacity_wh = capacity(known_wh, settings.assumed_capacity_wh).energy_wh
        energy = capacity_wh * (car.soc_pct if car.soc_pct is not None else DEFAULT_PCT) / 100
        end = car.departure if car.departure is not None else car.at + STAY_S
        target = EnergyTarget(end, max(energy, 0.8 * capacity_wh), MISSED_PER_KWH * highest)
        name = f"{car.vehicle}@{car.at:.0f}"
        visits.append(Visit(name, energy, capacity_wh, DEFAULT_W, 0.0, car.at, end, targets=(target,)))
    return visits
