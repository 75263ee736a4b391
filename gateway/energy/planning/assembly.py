"""From what is known now to a planning problem: cars here, cars expected, storage, prices and the outlook."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.energy.demand_window import DemandWindow
from gateway.energy.forecast import Memory
from gateway.energy.planning.problem import Problem, Visit, Want, grid_start
from gateway.energy.price import Tariff, flat, tariff_of
from gateway.energy.resource import Kind, Resource
from gateway.energy.settings import EnergySection
from gateway.energy.view import View
from gateway.model.command import SiteMode
from gateway.model.site import Arrival, Forecast, Price

STEP_S = 1800.0
USUAL_WH = 40_000.0  # a car of which nothing is known: the commonest battery of the field
USUAL_PCT = 50.0
USUAL_W = 6000.0
STAY_S = 8 * 3600.0
MISSED_PER_KWH = 10.0  # times the dearest price, for energy missing at departure


def tariff_now(view: View, settings: EnergySection) -> Tariff:
    """The facility's prices, else the site's fixed ones, else none."""
    told = view.inputs.fresh(Price, view.now)
    if told is not None:
        return tariff_of(told)
    if settings.import_per_kwh is not None:
        return flat(settings.import_per_kwh, settings.export_per_kwh)
    return Tariff()


def problem_of(
    view: View,
    settings: EnergySection,
    resources: Sequence[Resource],
    memory: Memory,
    window: DemandWindow | None,
    peak_w: float,
) -> Problem:
    """The problem of the next `plan_hours`; ValueError, with a sentence's part, where it cannot be stated."""
    start = grid_start(view.wall, STEP_S)
    steps = max(4, int(settings.plan_hours * 3600 / STEP_S))
    outlook = memory.outlook(start, STEP_S, steps, view.inputs.fresh(Forecast, view.now))
    tariff = tariff_now(view, settings)
    if not tariff.starts and view.mode is not SiteMode.PRICE:
        tariff = flat(1.0)  # peaks and departures can be planned without a price
    buy, sell, _ = tariff.series(start, STEP_S, steps)
    dearest = max(max(map(abs, buy)), 1.0)
    visits = [_here(one, view.wall, dearest) for one in resources]
    visits += _expected(view, settings, dearest, {one.vehicle for one in resources if one.vehicle})
    limits = [limit for limit in (view.import_w, view.peak_w) if limit is not None]
    return Problem(
        view.wall,
        start,
        STEP_S,
        outlook.load_w,
        outlook.pv_w,
        tuple(buy),
        tuple(sell),
        tuple(visits),
        min(limits, default=math.inf),
        view.export_w if view.export_w is not None else math.inf,
        settings.contract_w,
        settings.demand_charge_per_kw,
        peak_w,
        settings.window_s,
        window.imported_wh if window is not None else 0.0,
    )


def _here(one: Resource, wall: float, dearest: float) -> Visit:
    capacity = one.capacity_wh or USUAL_WH
    energy = capacity * (one.soc_pct if one.soc_pct is not None else USUAL_PCT) / 100
    stays = one.kind is Kind.STORAGE or one.departure is None
    end = math.inf if stays else max(one.departure or 0.0, wall)
    wants: tuple[Want, ...] = ()
    by = [moment for moment in (one.departure, one.due) if moment is not None]
    if one.wanted_pct is not None and by:
        wants = (Want(min(by), capacity * one.wanted_pct / 100, MISSED_PER_KWH * dearest),)
    return Visit(
        one.name,
        energy,
        capacity,
        one.max_charge_w,
        one.max_discharge_w if one.soc_pct is not None and one.capacity_wh is not None else 0.0,
        -math.inf,
        end,
        capacity * one.floor_pct / 100,
        capacity * one.ceiling_pct / 100,
        one.charge_efficiency,
        one.discharge_efficiency,
        one.wear_per_kwh,
        wants,
    )


def _expected(view: View, settings: EnergySection, dearest: float, here: set[str]) -> list[Visit]:
    """Cars that the facility expects.

    They are charged to leave as they came; what they could give is not counted on.
    """
    told = view.inputs.fresh(Arrival, view.now)
    if told is None:
        return []
    known = {car.vehicle: car for car in settings.cars}
    visits = []
    for car in told.arrivals:
        if car.vehicle in here or car.at <= view.wall:
            continue
        own = known.get(car.vehicle)
        capacity = car.capacity_wh or (own.capacity_wh if own is not None and own.capacity_wh else USUAL_WH)
        energy = capacity * (car.soc_pct if car.soc_pct is not None else USUAL_PCT) / 100
        end = car.departure if car.departure is not None else car.at + STAY_S
        want = Want(end, max(energy, 0.8 * capacity), MISSED_PER_KWH * dearest)
        visits.append(
            Visit(
                f"{car.vehicle}@{car.at:.0f}", energy, capacity, USUAL_W, 0.0, car.at, end, 0.0, capacity, wants=(want,)
            )
        )
    return visits
