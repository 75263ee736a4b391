"""The model of the grid meter gives the same as its rules one delay at a time, without arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority import meter_model as rules
from gateway.authority.meter_model import Band, MeterModel
from gateway.authority.power_history import CANDIDATES, LONGEST_DELAY_S, PowerHistory, Span

Loads = tuple[float, float, float]  # base load, the lowest and the highest that it may be
WATTS = st.integers(-12, 12).map(lambda number: 500.0 * number)


def clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


@dataclass
class Estimate:
    """Estimate of one delay, by one way to it."""

    loads: Loads
    cost_w: float


@dataclass
class Moved:
    """An estimate moved on to the next reading: no further than the power was ordered to move."""

    loads: Loads
    least: Loads
    most: Loads
    changed_w: float


@dataclass
class Explained:
    """Estimates of each delay after a reading: the cheapest way to it, and that of a delay that never changes."""

    delays: list[float]
    spans: list[Span]
    grid_w: float
    cheapest: list[Estimate]
    steady: list[Estimate]
    agree: bool = False
    beyond: int = 0  # because a load has risen (1) or fallen (-1)

    def moved(self, estimate: Estimate, span: Span, now: Span, grid_w: float) -> Moved:
        moved: list[tuple[float, float, float]] = []
        for load_w in estimate.loads:
            power_w = self.grid_w - load_w
            rise_w = max(span.rise_w + now.rose_w - span.rose_before_w, 0.0)
            fall_w = max(span.fall_w + now.fell_w - span.fell_before_w, 0.0)
            least_w = grid_w - clip(power_w + rise_w, now.low_w, now.high_w)
            most_w = grid_w - clip(power_w - fall_w, now.low_w, now.high_w)
            moved.append((clip(load_w, least_w, most_w), least_w, most_w))
        loads, least, most = zip(*moved, strict=True)
        return Moved(loads, least, most, abs(loads[0] - estimate.loads[0]))


def explain(
    before: Explained | None,
    history: PowerHistory,
    now: float,
    grid_w: float,
    stamped_s: float,
    elapsed_s: float,
    allowed: Band,
) -> Explained:
    """Return the estimates after a reading."""
    delays = [stamped_s, *CANDIDATES]
    spans = [history.within(now - one - 0.5, now - one + 0.5) for one in delays]
    unstamped = [rules.UNSTAMPED_COST_W_PER_S * abs(one - stamped_s) for one in delays]
    if before is None:
        loads = [(grid_w - (one.low_w + one.high_w) / 2, grid_w - one.high_w, grid_w - one.low_w) for one in spans]
        return Explained(
            delays,
            spans,
            grid_w,
            [Estimate(load, cost_w) for load, cost_w in zip(loads, unstamped, strict=True)],
            [Estimate(load, 0.0) for load in loads],
        )
    decay = math.exp(-elapsed_s / rules.MEMORY_S)
    constant_w = history.constant_since(now - elapsed_s - max(LONGEST_DELAY_S, stamped_s) - 1.0)
    if before.agree and constant_w is not None:
        load_w = grid_w - constant_w
        cheapest = [Estimate((load_w, load_w, load_w), one.cost_w * decay) for one in before.cheapest]
        steady = [Estimate((load_w, load_w, load_w), one.cost_w * decay) for one in before.steady]
        return Explained([stamped_s, *before.delays[1:]], before.spans, grid_w, cheapest, steady, agree=True)
    best = min(range(len(delays)), key=lambda one: before.cheapest[one].cost_w)
    ways: list[tuple[Moved, float, Loads]] = []  # the chosen way to each delay, its cost, the loads before
    for number, delay_s in enumerate(delays):
        kept, changed = before.cheapest[number], before.cheapest[best]
        stays = before.moved(kept, before.spans[number], spans[number], grid_w)
        stays_w = stays.changed_w + (kept.cost_w * decay + unstamped[number] * (1.0 - decay))
        moves = before.moved(changed, before.spans[best], spans[number], grid_w)
        later_s = delay_s - before.delays[best]
        moves_w = moves.changed_w + (changed.cost_w * decay + rules.DELAY_COST_W_PER_S * abs(later_s))
        if later_s <= elapsed_s + 1e-6 and moves_w < stays_w:
            ways.append((moves, moves_w, changed.loads))
        else:
            ways.append((stays, stays_w, kept.loads))
    least_w = min(cost_w for _, cost_w, _ in ways)
    ways = [(way, min(cost_w - least_w, rules.MOST_COST_W), earlier) for way, cost_w, earlier in ways]
    for number, estimate in enumerate(before.steady):
        way = before.moved(estimate, before.spans[number], spans[number], grid_w)
        ways.append((way, way.changed_w + estimate.cost_w * decay, estimate.loads))
    cheapest_one = min(range(len(delays)), key=lambda one: ways[one][1])
    steady_one = min(range(len(delays), len(ways)), key=lambda one: ways[one][1])
    estimates, beyond = [], 0
    for number, (way, cost_w, earlier) in enumerate(ways):
        base_w, low_w, high_w = way.loads
        moved = 0
        if grid_w > allowed.high_w + rules.BEYOND_W and way.least[2] > earlier[2] + rules.BEYOND_W:
            moved, high_w = 1, way.most[2]
        if grid_w < allowed.low_w - rules.BEYOND_W and way.most[1] < earlier[1] - rules.BEYOND_W:
            moved, low_w = -1, way.least[1]
        if number in (cheapest_one, steady_one):
            beyond = beyond or moved
        estimates.append(Estimate((base_w, low_w, high_w), cost_w))
    agree = max(one.loads[2] for one in estimates) - min(one.loads[1] for one in estimates) <= 1e-6
    return Explained(delays, spans, grid_w, estimates[: len(delays)], estimates[len(delays) :], agree, beyond)


def extremes(estimates: list[Estimate], share: float, allowed_w: float = 0.0) -> tuple[float, float]:
    """Return the extremes of the estimates that are as plausible as the best one."""
    best = min(estimates, key=lambda one: one.cost_w)
    _, low_w, high_w = best.loads
    more = [(one.cost_w - best.cost_w - allowed_w, one.loads) for one in estimates]
    lows = [loads[1] for more_w, loads in more if more_w <= share * (low_w - loads[1])]
    highs = [loads[2] for more_w, loads in more if more_w <= share * (loads[2] - high_w)]
    return min([low_w, *lows]), max([high_w, *highs])


class Limits:
    """Extremes of the base load by reading: what is held after a limit was exceeded, until little of it is open."""

    def __init__(self) -> None:
        self.found: list[tuple[float, float]] = []
        self.beyond, self.beyond_at, self.swing_w = 0, -math.inf, 0.0

    def read(self, plain: Explained, now: float, elapsed_s: float) -> None:
        moved_w = max(one.high_w for one in plain.spans) - min(one.low_w for one in plain.spans)
        self.swing_w = max(moved_w, self.swing_w * math.exp(-elapsed_s / rules.SWING_S))
        low_w, high_w = extremes(plain.cheapest, rules.PLAUSIBLE_SHARE)
        if plain.beyond:
            self.beyond, self.beyond_at = plain.beyond, now
        if now - self.beyond_at <= rules.OPEN_S:
            lowest_w, highest_w = extremes(plain.steady, rules.POSSIBLE_SHARE, self.swing_w)
            held_low_w, held_high_w = self.found[-1] if self.found else (low_w, high_w)
            if self.beyond > 0:  # only the side of the exceeded limit
                high_w = self.held(plain, high_w, max(high_w, highest_w), held_high_w)
            else:
                low_w = -self.held(plain, -low_w, max(-low_w, -lowest_w), -held_low_w)
        self.found.append((low_w, high_w))

    def held(self, plain: Explained, load_w: float, possible_w: float, held_w: float) -> float:
        """Return the highest load, or the lowest one with the signs reversed."""
        if possible_w - load_w <= rules.BEYOND_W or possible_w - load_w <= rules.CLEAR_SHARE * (held_w - load_w):
            self.beyond_at = -math.inf
            return possible_w
        return possible_w if plain.beyond else max(possible_w, held_w)


step = st.tuples(
    st.sampled_from([0.5, 1.0, 1.0, 1.0, 2.0, 6.0, 30.0]),  # until the reading
    st.none() | st.none() | st.lists(WATTS, min_size=1, max_size=3),  # the way of the resource recorded before it
    st.none() | st.none() | WATTS,  # another load
    st.sampled_from([0.0, 0.0, 0.25, 3.0, 20.0]),  # age by the time stamp
)


@given(st.lists(step, min_size=2, max_size=30), st.sampled_from([rules.UNLIMITED, Band(-3000.0, 3000.0)]))
def test_all_delays_at_once_are_each_delay_by_itself(
    steps: list[tuple[float, list[float] | None, float | None, float]], allowed: Band
) -> None:
    model, limits, now, at, load_w, plain = MeterModel(), Limits(), 0.0, -math.inf, 0.0, None
    for gap_s, powers_w, another_w, age_s in steps:
        if powers_w is not None:
            model.history.record("one", now + 0.1, powers_w)
        now += gap_s
        load_w = load_w if another_w is None else another_w
        grid_w = load_w + model.history.within(now - 2.0, now - 2.0).low_w
        model.metered(now, now, age_s, grid_w, 1e6, allowed)
        plain = explain(plain, model.history, now, grid_w, age_s, now - at, allowed)
        limits.read(plain, now, now - at)
        at, found, base = now, model._hypotheses, model.base_load()
        assert found is not None
        estimates = [*plain.cheapest, *plain.steady]
        assert pytest.approx(np.array([one.loads for one in estimates]), abs=1e-5) == found.loads_w.T
        assert found.cost_w == pytest.approx(np.array([one.cost_w for one in estimates]), abs=1e-5)
        assert (found.agree, found.beyond) == (plain.agree, plain.beyond)
        assert found.delay_s.tolist() == plain.delays
        lows, highs = zip(*limits.found[-2:], strict=True)
        assert base is not None
        assert (base.low_w, base.high_w) == pytest.approx((min(lows), max(highs)), abs=1e-5)
