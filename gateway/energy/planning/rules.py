"""The plan by rules: used without a solver, and the reference that the optimum is compared with.

Step by step, from each vehicle's own needs and the quantiles of the day's prices: charge evenly until the departure,
charge fully in the cheapest quarter or from PV surplus, supply the site's load in the most expensive hours. The
contract is kept where less charge or more discharge can keep it. `cost_of` prices any plan in the same way as the
optimum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import NamedTuple

from gateway.energy.planning.model import left_price, missing_price, place
from gateway.energy.planning.problem import Plan, Problem, Visit
from gateway.energy.price import CHEAP_QUANTILE, EXPENSIVE_QUANTILE
from gateway.energy.resource import REFILL_S
from gateway.model.energy_state import PlanSource


def rule_plan(problem: Problem, reason: str) -> Plan:
    """Return a plan by rules; it always exists. `reason`: why it is needed."""
    hours = problem.hours()
    prices = sorted(problem.buy)
    cheap, expensive = (prices[int(share * (len(prices) - 1))] for share in (CHEAP_QUANTILE, EXPENSIVE_QUANTILE))
    energy = {visit.name: visit.energy_wh for visit in problem.visits}
    visit_w: dict[str, list[float]] = {visit.name: [] for visit in problem.visits}
    energy_wh: dict[str, list[float]] = {visit.name: [] for visit in problem.visits}
    for step, h in enumerate(hours):
        begin = problem.wall if step == 0 else problem.start + step * problem.step_s
        here = [visit for visit in problem.visits if visit.start <= begin and begin + h * 3600 <= visit.end + 1]
        net_w, buy = problem.load_w[step] - problem.pv_w[step], problem.buy[step]
        now = _Step(begin, h, net_w, buy, problem.sell[step], is_cheap=buy <= cheap, is_expensive=buy >= expensive)
        power = _powers(problem, here, energy, now)
        for visit in problem.visits:
            power_w = power.get(visit.name, 0.0)
            eta = visit.charge_efficiency if power_w > 0 else 1 / visit.discharge_efficiency
            energy[visit.name] += power_w * eta * h
            visit_w[visit.name].append(power_w)
            energy_wh[visit.name].append(energy[visit.name])
    total = [sum(series[step] for series in visit_w.values()) for step in range(problem.steps)]
    grid = [
        max(problem.load_w[step] - problem.pv_w[step] + total[step], -problem.export_w) for step in range(problem.steps)
    ]
    return Plan(
        problem.wall,
        problem.start,
        problem.step_s,
        tuple(total),
        tuple(grid),
        {name: tuple(series) for name, series in visit_w.items()},
        {name: tuple(series) for name, series in energy_wh.items()},
        cost_of(problem, {name: tuple(series) for name, series in visit_w.items()}),
        PlanSource.RULES,
        reason,
    )


class _Step(NamedTuple):
    """One step of the horizon: Unix time, hours, load less PV, prices."""

    begin: float
    h: float
    net_w: float
    buy: float
    sell: float
    is_cheap: bool
    is_expensive: bool


def _powers(problem: Problem, here: list[Visit], energy: dict[str, float], step: _Step) -> dict[str, float]:
    begin, h, net_w = step.begin, step.h, step.net_w
    limit_w = min(problem.import_w, problem.contract_w if problem.contract_w is not None else math.inf)
    charge: dict[str, float] = {}
    surplus_w = max(0.0, -net_w)
    for visit in here:
        free_w = max(0.0, min(visit.ceiling_wh, visit.capacity_wh) - energy[visit.name]) / visit.charge_efficiency / h
        wanted_w = free_w if step.is_cheap else 0.0
        for target in visit.targets:
            left_h = max((target.at - begin) / 3600, h)
            wanted_w = max(wanted_w, (target.energy_wh - energy[visit.name]) / visit.charge_efficiency / left_h)
        if energy[visit.name] < visit.floor_wh:
            wanted_w = max(
                wanted_w, (visit.floor_wh - energy[visit.name]) / (REFILL_S / 3600) / visit.charge_efficiency
            )
        own = min(free_w, surplus_w) if step.sell <= step.buy else 0.0  # surplus that earns more is exported
        power_w = min(max(wanted_w, own), free_w, visit.max_charge_w)
        surplus_w = max(0.0, surplus_w - power_w)
        charge[visit.name] = max(0.0, power_w)
    total_w = sum(charge.values())
    if total_w > 0 and net_w + total_w > limit_w:
        scale = max(0.0, limit_w - net_w) / total_w
        charge = {name: power_w * scale for name, power_w in charge.items()}
    short_w = max(0.0, net_w - limit_w)
    discharge_w = max(short_w, net_w if step.is_expensive else 0.0)
    for visit in sorted(here, key=lambda one: one.degradation_per_kwh):
        if discharge_w <= 0 or charge[visit.name] > 0:
            continue
        floor = max(
            [
                visit.floor_wh,
                *(_kept_wh(visit, target.at, target.energy_wh, begin + h * 3600) for target in visit.targets),
            ]
        )
        able_w = max(0.0, energy[visit.name] - floor) * visit.discharge_efficiency / h
        power_w = min(able_w, visit.max_discharge_w, discharge_w)
        charge[visit.name] = -power_w
        discharge_w -= power_w
    return charge


def _kept_wh(visit: Visit, at: float, energy_wh: float, after: float) -> float:
    """Return the energy needed in the battery at `after` so that full charge power reaches what is wanted."""
    return energy_wh - visit.max_charge_w * visit.charge_efficiency * max(0.0, at - after) / 3600


def cost_of(problem: Problem, visit_w: Mapping[str, tuple[float, ...]]) -> float:
    """Return the cost of a schedule, priced as in `model.py`; PV that may not be exported is curtailed without cost."""
    hours = problem.hours()
    highest = max(max(map(abs, problem.buy)), 1.0)
    worth = median(problem.buy)
    limit_w = problem.contract_w if problem.contract_w is not None else math.inf
    cost, peaks_w = 0.0, [min(problem.peak_so_far_w, limit_w), 0.0]  # of this billing period and of the next
    windows: dict[int, float] = {}
    over = 0.0
    for step, h in enumerate(hours):
        net_w = problem.load_w[step] - problem.pv_w[step] + sum(series[step] for series in visit_w.values())
        buy = problem.buy[step]
        sell = problem.sell[step]
        drawn_w = max(net_w, 0.0)
        cost += (
            min(drawn_w, problem.import_w) / 1000 * h * buy - min(max(-net_w, 0.0), problem.export_w) / 1000 * h * sell
        )
        cost += max(0.0, net_w - problem.import_w) / 1000 * h * 200 * highest
        window = int((problem.start + step * problem.step_s) // problem.window_s)
        windows[window] = windows.get(window, problem.imported_wh if step == 0 else 0.0) + drawn_w * h
    for window, drawn_wh in windows.items():
        average_w = drawn_wh / (problem.window_s / 3600)
        over += max(0.0, average_w - limit_w) / 1000 * 100 * highest
        period = int(window * problem.window_s >= problem.peak_resets_at)
        peaks_w[period] = max(peaks_w[period], min(average_w, limit_w))
    cost += sum(peaks_w) / 1000 * problem.demand_charge_per_kw + over
    for visit in problem.visits:
        block, series = place(problem, visit), visit_w.get(visit.name)
        if block is None or series is None:
            continue
        energy, levels = visit.energy_wh, []
        for power_w, h in zip(series, hours, strict=True):
            eta = visit.charge_efficiency if power_w > 0 else 1 / visit.discharge_efficiency
            energy += power_w * eta * h
            levels.append(energy)
            cost += max(0.0, -power_w) / 1000 * h * visit.degradation_per_kwh
        missing = [max(0.0, due - levels[step] / 1000) for step, due in zip(block.targets, block.due, strict=True)]
        cost += sum(missing) * missing_price(visit, worth)
        if block.first + block.steps == problem.steps:
            cost -= energy / 1000 * left_price(visit, worth)
    return cost
