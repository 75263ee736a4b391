"""`v2x bench plan`: the plan of 36 hours for 10, 100 and 1,000 vehicles, cold and five minutes later, beside the rules.

Warm is the plan of five minutes later, and of the next half hour (when the steps advance by one), from the basis of
the last one. More than 60 vehicles are grouped by departure. Reference in the same run: the plan by rules, its time
and its extra cost. Aim: a warm plan of 50 vehicles within 100 ms.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from gateway.bench.measuring import Figures, progress, timed_ms
from gateway.energy.planning.planner import aggregate
from gateway.energy.planning.problem import EnergyTarget, Problem, Visit, grid_start
from gateway.energy.planning.rules import rule_plan
from gateway.energy.planning.solve import solve

SIZES = (10, 50, 100, 1000)
STEP_S = 1800.0
STEPS = 72
WARM_ROUNDS = 11
AIM_MS = 100.0
START = 1_800_000_000.0 - 1_800_000_000.0 % 86_400 + 6 * 3600


def figures() -> Figures:
    """Return all figures."""
    solve(problem(5, START))  # the first start of the library is not part of a plan
    return {"bench": "plan", "aim_ms": AIM_MS, "steps": STEPS, "cars": [measure(size) for size in SIZES]}


def text(found: Figures) -> Iterator[str]:
    """Yield one line for each number of vehicles."""
    for one in found["cars"]:
        yield (
            f"{one['cars']:>5} cars: cold {one['cold_ms']:.0f} ms, warm {one['warm_ms_p50']:.0f} ms "
            f"(worst {one['warm_ms_max']:.0f}, processor {one['warm_cpu_ms_p50']:.0f}), "
            f"{one['warm_iterations_p50']:.0f} iterations after "
            f"{one['cold_iterations']}; rules {one['rules_ms']:.0f} ms and {one['rules_cost_pct']:+.1f} % of cost"
        )


def measure(size: int) -> Figures:
    """Return the figures for a number of vehicles."""
    progress(f"{size} vehicles")
    now = problem(size, START)
    solved = partial(solve, within_s=60.0)
    (plan, basis), cold_ms, _ = timed_ms(lambda: solved(aggregate(now)))
    rules, rules_ms, _ = timed_ms(rule_plan, now, "to compare")
    warm, busy, iterations = [], [], []
    for number in range(1, WARM_ROUNDS):
        later = aggregate(problem(size, START + number * 300.0))
        (again, basis), elapsed_ms, cpu_ms = timed_ms(solved, later, basis)
        warm.append(elapsed_ms)
        busy.append(cpu_ms)
        iterations.append(again.iterations)
    return {
        "cars": size,
        "cold_ms": round(cold_ms, 1),
        "cold_iterations": plan.iterations,
        "warm_ms_p50": round(statistics.median(warm), 1),
        "warm_cpu_ms_p50": round(statistics.median(busy), 1),
        "warm_ms_max": round(max(warm), 1),
        "warm_iterations_p50": statistics.median(iterations),
        "rules_ms": round(rules_ms, 1),
        "rules_cost_pct": round(100 * (rules.cost - plan.cost) / abs(plan.cost), 2),
    }


def problem(size: int, wall: float) -> Problem:
    """Return a site whose connection grows with its fleet, with PV, a tariff of three prices and departures all day."""
    start = grid_start(wall, STEP_S)
    load, pv, buy = [], [], []
    for step in range(STEPS):
        at = start + step * STEP_S
        hour, noise = at % 86_400 / 3600, random.Random(f"bench {at}").random()
        load.append((500 * size + 10_000) * (1 + 0.4 * math.sin((hour - 8) / 12 * math.pi) + 0.1 * noise))
        sun = max(0.0, math.sin((hour - 6) / 12 * math.pi)) * (0.6 + 0.4 * noise)
        pv.append(600 * size * sun if 6 < hour < 18 else 0.0)
        buy.append((15.0 if hour < 6 else 45.0 if 17 <= hour < 21 else 28.0) + noise)
    visits = tuple(_visit(number, start) for number in range(size))
    made = Problem(wall, start, STEP_S, tuple(load), tuple(pv), tuple(buy), (8.0,) * STEPS, visits)
    headroom_w = 1500.0 * size + 20_000
    return replace(made, import_w=2 * headroom_w, export_w=headroom_w, contract_w=headroom_w, demand_charge_per_kw=40.0)


def _visit(number: int, start: float) -> Visit:
    rng = random.Random(number)
    capacity = rng.choice([40_000.0, 62_000.0])
    begin = START - 3600.0 if rng.random() < 0.5 else START + rng.uniform(0, 20) * 3600
    end = max(begin, START) + rng.uniform(6, 14) * 3600
    return Visit(
        f"car{number}",
        capacity * rng.uniform(0.35, 0.8),
        capacity,
        6000.0,
        6000.0,
        begin,
        end,
        0.3 * capacity,
        degradation_per_kwh=4.0,
        targets=(EnergyTarget(end, 0.8 * capacity, 300.0),),
    )
