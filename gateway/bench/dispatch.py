"""`v2x bench dispatch`: one step of the real-time loop for 10, 100 and 1,000 vehicles, beside equal shares.

`share` is the allocation alone, `step` the whole controller on the grid (detection, demand window, mode, tracking,
ramp, bounds, state). Reference in the same run: `equal`, a plain division into equal shares. Aim: a step for 1,000
vehicles within 20 ms.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Sequence

from gateway.authority.soc_floors import Floor
from gateway.bench.measuring import Figures, progress, quantile, timed_ms
from gateway.energy.controller import SiteController
from gateway.energy.dispatch import share
from gateway.energy.resource import Resource
from gateway.energy.settings import EnergySection
from gateway.energy.view import Car, View
from gateway.model.command import SiteMode
from gateway.model.site import Grid, InputKind, Inputs, Load

SIZES = (10, 100, 1000)
ROUNDS = 40
AIM_MS = 20.0
START = 1_800_000_000.0


def figures() -> Figures:
    """Return all figures."""
    return {"bench": "dispatch", "aim_ms": AIM_MS, "cars": [measure(size) for size in SIZES]}


def text(found: Figures) -> Iterator[str]:
    """Yield one line for each number of vehicles."""
    for one in found["cars"]:
        yield (
            f"{one['cars']:>5} cars: share {one['share_ms_p50']:.2f} ms, step {one['step_ms_p50']:.2f} ms "
            f"(p99 {one['step_ms_p99']:.2f}, processor {one['step_cpu_ms_p50']:.2f}), "
            f"equal parts {one['equal_ms_p50']:.2f} ms: "
            f"sharing takes {one['ratio']:.1f} times that"
        )


def measure(size: int) -> Figures:
    """Return the figures for a number of vehicles, in ms."""
    progress(f"{size} vehicles")
    rng = random.Random(size)
    fleet = [resource(number, rng) for number in range(size)]
    targets = [rng.uniform(-5000.0, 5000.0) * size for _ in range(ROUNDS)]
    sharing = [timed_ms(share, target_w, fleet, START)[1] for target_w in targets]
    equal = [timed_ms(equal_parts, target_w, fleet)[1] for target_w in targets]
    steps, busy = _steps(size, rng)
    return {
        "cars": size,
        "share_ms_p50": round(statistics.median(sharing), 3),
        "step_ms_p50": round(statistics.median(steps), 3),
        "step_ms_p99": quantile(steps, 0.99),
        "step_cpu_ms_p50": round(statistics.median(busy), 3),
        "equal_ms_p50": round(statistics.median(equal), 3),
        "ratio": round(statistics.median(sharing) / max(statistics.median(equal), 1e-6), 2),
    }


def resource(number: int, rng: random.Random) -> Resource:
    """Return an ordinary vehicle."""
    return Resource(
        f"CP{number}-1",
        6000.0,
        6000.0,
        min_charge_w=1400.0,
        min_discharge_w=300.0,
        soc_pct=rng.uniform(20, 95),
        capacity_wh=rng.choice([40_000.0, 62_000.0]),
        floor_pct=30.0,
        wanted_pct=80.0,
        departure=START + rng.uniform(1, 12) * 3600,
        power_w=0.0,
    )


def _steps(size: int, rng: random.Random) -> tuple[list[float], list[float]]:
    """Return for each step: elapsed ms and processor ms."""
    controller = SiteController(EnergySection(contract_w=20_000.0 + 4000.0 * size))
    inputs = Inputs()
    powers = [0.0] * size
    socs = [rng.uniform(20, 95) for _ in range(size)]
    found, busy = [], []
    for second in range(ROUNDS):
        now, wall = float(second), START + second
        load_w = 15_000.0 + 3500.0 * size * (1 + 0.2 * rng.random())
        grid = Grid(ts=wall, present=True, voltage_v=200.0, frequency_hz=50.0, power_w=load_w + sum(powers))
        inputs.put(InputKind.GRID, grid, now, wall)
        inputs.put(InputKind.LOAD, Load(ts=wall, power_w=load_w), now, wall)
        cars = [
            Car(
                f"CP{number}-1",
                6000.0,
                6000.0,
                1400.0,
                300.0,
                soc_pct=socs[number],
                capacity_wh=62_000.0,
                floors=(Floor(30.0, "the site's floor"),),
                wanted_pct=80.0,
                departure=START + 6 * 3600,
                power_w=powers[number],
                setpoint_w=powers[number],
            )
            for number in range(size)
        ]
        view = View(now, wall, inputs, cars, SiteMode.PEAK_SHAVING)
        orders, elapsed_ms, cpu_ms = timed_ms(controller.step, view)
        found.append(elapsed_ms)
        busy.append(cpu_ms)
        for number in range(size):
            optimum = orders.evses[f"CP{number}-1"].optimiser
            powers[number] = optimum.low_w if optimum is not None else 0.0
    return found, busy


def equal_parts(total_w: float, fleet: Sequence[Resource]) -> dict[str, float]:
    """Return equal parts of `total_w`, none beyond its limit; an EVSE inside its dead band gets 0 W."""
    sign = -1.0 if total_w < 0 else 1.0
    most = {one.name: one.max_discharge_w if total_w < 0 else one.max_charge_w for one in fleet}
    least = {one.name: one.min_discharge_w if total_w < 0 else one.min_charge_w for one in fleet}
    used = sorted(evse for evse in most if most[evse] > 0 and most[evse] >= least[evse])
    while True:
        parts = _level(abs(total_w), [(evse, most[evse]) for evse in used])
        too_small = [evse for evse in used if parts[evse] < least[evse]]
        if not too_small:
            break
        used.remove(max(too_small, key=lambda evse: (least[evse], evse)))
    return {evse: sign * parts.get(evse, 0.0) + 0.0 for evse in most}


def _level(total_w: float, limits: list[tuple[str, float]]) -> dict[str, float]:
    """Give all the same power, each up to its own limit."""
    parts: dict[str, float] = {}
    left_w, left = total_w, len(limits)
    for evse, most_w in sorted(limits, key=lambda one: (one[1], one[0])):
        parts[evse] = max(0.0, min(most_w, left_w / left))
        left_w -= parts[evse]
        left -= 1
    return parts
