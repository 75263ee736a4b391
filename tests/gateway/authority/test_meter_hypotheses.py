"""The model of the grid meter gives the same as its rules one delay at a time, without arrays."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
    share: float = 0.0  # of the cost of another delay than the stamped one
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
    beyond_w: float,
) -> Explained:
    """Return the estimates after a reading."""
    delays = [stamped_s, *CANDIDATES]
    spans = [history.within(now - one - 0.5, now - one + 0.5) for one in delays]
    longer = rules.UNSTAMPED_COST_W_PER_S if stamped_s < rules.PUBLISHED_S else rules.CLOCK_COST_W_PER_S
    rates = [longer if one > stamped_s else rules.CLOCK_COST_W_PER_S for one in delays]
    unstamped = [rate * abs(one - stamped_s) for rate, one in zip(rates, delays, strict=True)]
    swing_w = max(one.high_w for one in spans) - min(one.low_w for one in spans)
    share = min(1.0, swing_w / rules.FULL_SWING_W)
    if before is None:
        loads = [(grid_w - (one.low_w + one.high_w) / 2, grid_w - one.high_w, grid_w - one.low_w) for one in spans]
        return Explained(
            delays,
            spans,
            grid_w,
            [Estimate(load, share * cost_w) for load, cost_w in zip(loads, unstamped, strict=True)],
            [Estimate(load, 0.0) for load in loads],
            share,
        )
    decay = math.exp(-elapsed_s / rules.MEMORY_S)
    constant_w = history.constant_since(now - elapsed_s - max(LONGEST_DELAY_S, stamped_s) - 1.0)
    if before.agree and constant_w is not None:
        load_w = grid_w - constant_w
        cheapest = [Estimate((load_w, load_w, load_w), one.cost_w * decay) for one in before.cheapest]
        steady = [Estimate((load_w, load_w, load_w), one.cost_w * decay) for one in before.steady]
        delays = [stamped_s, *before.delays[1:]]
        return Explained(delays, before.spans, grid_w, cheapest, steady, before.share * decay, agree=True)
    share = max(share, before.share * decay)
    best = min(range(len(delays)), key=lambda one: before.cheapest[one].cost_w)
    ways: list[tuple[Moved, float, Loads]] = []  # the chosen way to each delay, its cost, the loads before
    for number, delay_s in enumerate(delays):
        kept, changed = before.cheapest[number], before.cheapest[best]
        stays = before.moved(kept, before.spans[number], spans[number], grid_w)
        stays_w = stays.changed_w + (kept.cost_w * decay + unstamped[number] * (share - before.share * decay))
        moves = before.moved(changed, before.spans[best], spans[number], grid_w)
        later_s = delay_s - before.delays[best]
        moves_w = moves.changed_w + (changed.cost_w * decay + rules.DELAY_COST_W_PER_S * abs(later_s))
        moves_w += unstamped[number] * max(0.0, share - before.share)
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
        if grid_w > allowed.high_w + beyond_w and way.least[2] > earlier[2] + beyond_w:
            moved, high_w = 1, way.most[2]
        if grid_w < allowed.low_w - beyond_w and way.most[1] < earlier[1] - beyond_w:
            moved, low_w = -1, way.least[1]
        if number in (cheapest_one, steady_one):
            beyond = beyond or moved
        estimates.append(Estimate((base_w, low_w, high_w), cost_w))
    agree = max(one.loads[2] for one in estimates) - min(one.loads[1] for one in estimates) <= 1e-6
    cheapest, steady = estimates[: len(delays)], estimates[len(delays) :]
    return Explained(delays, spans, grid_w, cheapest, steady, share, agree, beyond)


def extremes(estimates: list[Estimate], share: float, allowed_w: float = 0.0) -> tuple[float, float]:
    """Return the extremes of the estimates that are as plausible as the best one."""
    best = min(estimates, key=lambda one: one.cost_w)
    _, low_w, high_w = best.loads
    more = [(one.cost_w - best.cost_w - allowed_w, one.loads) for one in estimates]
    lows = [loads[1] for more_w, loads in more if more_w <= share * (low_w - loads[1])]
    highs = [loads[2] for more_w, loads in more if more_w <= share * (loads[2] - high_w)]
    return min([low_w, *lows]), max([high_w, *highs])


class Noise:
    """Changes between the last readings while hardly any controlled power moved, after silent ones."""

    def __init__(self) -> None:
        self.changes_w = [0.0] * rules.SILENT_READINGS
        self.before: Explained | None = None

    def read(self, plain: Explained) -> None:
        if self.before is not None:
            swings = [max(one.high_w for one in each) - min(one.low_w for one in each) for each in self.spans(plain)]
            if max(swings) <= rules.QUIET_W:
                self.changes_w.append(abs(plain.grid_w - self.before.grid_w))
        self.before = plain

    def spans(self, plain: Explained) -> list[list[Span]]:
        return [one.spans for one in (self.before, plain) if one is not None]

    @property
    def beyond_w(self) -> float:
        noise_w = rules.NOISE_FACTOR * statistics.median_high(self.changes_w[-rules.NOISE_READINGS :])
        return max(rules.BEYOND_W, min(noise_w, rules.MOST_NOISE_W))


class Limits:
    """Extremes of the base load by reading: what is held after a limit was exceeded, until little of it is open."""

    def __init__(self) -> None:
        self.found: list[tuple[float, float]] = []
        self.beyond, self.beyond_at, self.swing_w = 0, -math.inf, 0.0

    def read(self, plain: Explained, now: float, elapsed_s: float, beyond_w: float) -> None:
        moved_w = max(one.high_w for one in plain.spans) - min(one.low_w for one in plain.spans)
        self.swing_w = max(moved_w, self.swing_w * math.exp(-elapsed_s / rules.SWING_S))
        low_w, high_w = extremes(plain.cheapest, rules.PLAUSIBLE_SHARE)
        if self.found and moved_w > rules.QUIET_W:  # no more is released than the constant delays show
            held_low_w, held_high_w = self.found[-1]
            constant_low_w, constant_high_w = extremes(plain.steady, rules.PLAUSIBLE_SHARE)
            low_w = min(low_w, max(constant_low_w, held_low_w))
            high_w = max(high_w, min(constant_high_w, held_high_w))
        if plain.beyond:
            self.beyond, self.beyond_at = plain.beyond, now
        if now - self.beyond_at <= rules.OPEN_S:
            lowest_w, highest_w = extremes(plain.steady, rules.POSSIBLE_SHARE, self.swing_w)
            least_w = min(one.cost_w for one in plain.steady)
            if plain.delays[0] >= rules.PUBLISHED_S and plain.steady[0].cost_w - least_w <= self.swing_w:
                _, lowest_w, highest_w = plain.steady[0].loads  # the time stamp shows the delay
            held_low_w, held_high_w = self.found[-1] if self.found else (low_w, high_w)
            if self.beyond > 0:  # only the side of the exceeded limit
                high_w = self.held(plain, beyond_w, high_w, max(high_w, highest_w), held_high_w)
            else:
                low_w = -self.held(plain, beyond_w, -low_w, max(-low_w, -lowest_w), -held_low_w)
        self.found.append((low_w, high_w))

    def held(self, plain: Explained, beyond_w: float, load_w: float, possible_w: float, held_w: float) -> float:
        """Return the highest load, or the lowest one with the signs reversed."""
        if possible_w - load_w <= beyond_w or possible_w - load_w <= rules.CLEAR_SHARE * (held_w - load_w):
            self.beyond_at = -math.inf
            return possible_w
        return possible_w if plain.beyond else max(possible_w, held_w)


@dataclass
class Step:
    """Events until the next reading, and that reading."""

    after_s: float = 1.0
    powers_w: tuple[float, ...] = ()  # the way of the resource, recorded before it
    load_w: float | None = None  # another load
    age_s: float = 0.0  # by the time stamp
    grid_w: float | None = None  # another power than the load and the resource


def obeys(steps: Sequence[Step], allowed: Band) -> MeterModel:
    """Assert that the model gives after each reading what its rules give, one delay at a time."""
    model, limits, noise, now, at, load_w, plain = MeterModel(), Limits(), Noise(), 0.0, -math.inf, 0.0, None
    for step in steps:
        if step.powers_w:
            model.history.record("one", now + 0.1, step.powers_w)
        now += step.after_s
        load_w = load_w if step.load_w is None else step.load_w
        grid_w = load_w + model.history.within(now - 2.0, now - 2.0).low_w if step.grid_w is None else step.grid_w
        model.metered(now, now, step.age_s, grid_w, 1e6, allowed)
        plain = explain(plain, model.history, now, grid_w, step.age_s, now - at, allowed, noise.beyond_w)
        limits.read(plain, now, now - at, noise.beyond_w)
        noise.read(plain)
        at, found, base = now, model._hypotheses, model.base_load()
        assert found is not None
        estimates = [*plain.cheapest, *plain.steady]
        assert np.allclose(found.loads_w.reshape(3, -1).T, np.array([one.loads for one in estimates]), 0.0, 1e-5)
        assert np.allclose(found.cost_w.ravel(), np.array([one.cost_w for one in estimates]), 1e-9, 1e-5)
        assert (found.agree, found.beyond) == (plain.agree, plain.beyond)
        assert found.delay_s.tolist() == plain.delays
        lows, highs = zip(*limits.found[-2:], strict=True)
        assert base is not None
        assert (base.low_w, base.high_w) == pytest.approx((min(lows), max(highs)), abs=1e-5)
    return model


steps = st.builds(
    Step,
    st.sampled_from([0.5, 1.0, 1.0, 1.0, 2.0, 6.0, 30.0]),
    st.just(()) | st.just(()) | st.lists(WATTS, min_size=1, max_size=3).map(tuple),
    st.none() | st.none() | WATTS,
    st.sampled_from([0.0, 0.0, 0.25, 3.0, 20.0]),
)
BAND = Band(-3000.0, 3000.0)


@given(st.lists(steps, min_size=2, max_size=30), st.sampled_from([rules.UNLIMITED, BAND]))
def test_all_delays_at_once_are_each_delay_by_itself(steps: list[Step], allowed: Band) -> None:
    obeys(steps, allowed)


def drawn(seed: int) -> Iterator[Step]:
    """Yield steps around the limits: ways that go far, loads that differ by little, readings at a limit and pauses."""
    draw = random.Random(seed)
    few_w = (0.0, 0.0, 0.0, 20.0, 50.0, 100.0, -50.0, 0.5)
    for _ in range(draw.randint(4, 25)):
        step = Step(
            draw.choice((0.5, 1.0, 1.0, 1.0, 2.0, 6.0, 20.0, 30.0)),
            age_s=draw.choice((0.0, 0.0, 0.25, 0.75, 3.0, 20.0)),
        )
        if draw.random() < 0.4:
            step.powers_w = tuple(500.0 * draw.randint(-8, 8) for _ in range(draw.randint(1, 3)))
        if draw.random() < 0.4:
            step.load_w = 500.0 * draw.randint(-8, 8) + draw.choice(few_w)
        if draw.random() < 0.15:
            step.grid_w = draw.choice((-1.0, 1.0)) * 3000.0 + draw.choice((-1.0, 1.0)) * draw.choice(
                (0.0, 49.5, 50.0, 50.5, 100.0)
            )
        yield step


@pytest.mark.parametrize("noise_w", [20.0, 100.0, 300.0])
@pytest.mark.parametrize("share", [0.99, 1.01])
def test_a_load_of_more_than_its_noise_exceeds_a_limit(noise_w: float, share: float) -> None:
    """The noise is that of the readings before a movement: no change by a movement counts."""
    around = [Step(load_w=2000.0 + noise_w * (number % 2)) for number in range(rules.NOISE_READINGS)]
    moving = [Step(powers_w=(-1000.0 * (number % 2),)) for number in range(20)]
    beyond_w = min(max(rules.BEYOND_W, rules.NOISE_FACTOR * noise_w), rules.MOST_NOISE_W)
    last = Step(powers_w=(-1100.0,), grid_w=BAND.high_w + beyond_w * share)  # explained alike while nothing moves
    model = obeys([*around, *moving, *[Step()] * 20, last], BAND)
    assert model._hypotheses is not None
    assert model._hypotheses.beyond == (1 if share > 1.0 else 0)


def test_a_few_load_steps_are_no_noise() -> None:
    loads_w = [1000.0 * (number % 2) for number in range(rules.SILENT_READINGS)]
    last = Step(powers_w=(-100.0,), grid_w=BAND.high_w + rules.BEYOND_W + 1.0)
    model = obeys([*(Step(load_w=load_w) for load_w in loads_w), last], BAND)
    assert model._beyond == 1


@pytest.mark.parametrize("seed", [1, 3, 5, 11, 17, 20, 23, 33, 34, 36, 40, 45, 62, 74, 83, 162, 230, 233, 256, 315])
def test_rules_at_the_limits(seed: int) -> None:
    obeys(list(drawn(seed)), BAND)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("first_w", "then_w", "beyond"), [(3010.0, 3060.0, 0), (3009.5, 3060.0, 1), (0.0, 3050.0, 0)])
def test_a_limit_is_exceeded_by_a_load_that_has_changed(
    sign: float, first_w: float, then_w: float, beyond: int
) -> None:
    obeys([Step(load_w=sign * first_w), Step(load_w=sign * then_w), Step(load_w=sign * then_w)], BAND)
    model = MeterModel()
    for now, load_w in enumerate((first_w, then_w)):
        model.metered(float(now), float(now), 0.0, sign * load_w, None, BAND)
    assert model._hypotheses is not None
    assert model._hypotheses.beyond == sign * beyond


def test_a_cost_below_a_tenth_of_the_difference_in_load_is_as_plausible() -> None:
    loads = np.array([[0.0, 0.0, 0.0], [0.0, -1000.0, -10.0], [0.0, 10.0, 1000.0]])
    for more_w, extremes_w in ((100.0, (-1000.0, 1000.0)), (100.5, (0.0, 0.0))):
        assert rules._extremes_w(loads, np.array([7.0, 7.0 + more_w, 7.0 + more_w]), 0.1) == extremes_w
    assert rules._extremes_w(loads, np.array([7.0, 112.0, 112.0]), 0.1, 5.0) == (-1000.0, 1000.0)


@pytest.mark.parametrize(
    ("open_w", "held_w", "beyond", "high_w", "closed"),
    [
        (-5.0, 0.0, 0, 0.0, True),
        (50.0, 0.0, 0, 50.0, True),
        (51.0, 60.0, 0, 60.0, False),
        (250.0, 1000.0, 0, 250.0, True),  # a quarter
        (251.0, 1000.0, 0, 1000.0, False),
        (251.0, 200.0, 0, 251.0, False),
        (251.0, 1000.0, 1, 251.0, False),  # exceeded again
    ],
)
def test_what_is_held_ends_when_little_is_open(
    open_w: float, held_w: float, beyond: int, high_w: float, closed: bool
) -> None:
    model = MeterModel()
    model.metered(0.0, 0.0, 0.0, 1000.0)
    assert model._hypotheses is not None
    model._beyond_at = 0.0
    assert model._held_w(replace(model._hypotheses, beyond=beyond), open_w, held_w) == high_w
    assert model._beyond_at == (-math.inf if closed else 0.0)


@pytest.mark.parametrize(("after_s", "low_w"), [(rules.OPEN_S, -9550.0), (rules.OPEN_S + 0.5, -5550.0)])
def test_which_load_exceeded_a_limit_is_open_for_a_while(after_s: float, low_w: float) -> None:
    """All that is possible counts until then, which is more while power moves again."""
    powers_w = [(1500.0,), (0.0,), (-3500.0,)]
    beyond = [*(Step(powers_w=one) for one in powers_w), Step(load_w=-4050.0)]
    base = obeys([*beyond, Step(after_s, powers_w=(-2000.0, 3500.0))], BAND).base_load()
    assert base is not None
    assert (base.low_w, base.high_w) == pytest.approx((low_w, -550.0))


@pytest.mark.parametrize(("power_w", "high_w"), [(-rules.QUIET_W, -500.0), (-rules.QUIET_W - 1.0, 0.0)])
def test_what_a_small_movement_leaves_open_is_not_waited_for(power_w: float, high_w: float) -> None:
    base = obeys([Step(powers_w=(power_w,), age_s=20.0), Step(), Step(), Step()], BAND).base_load()
    assert base is not None
    assert (base.low_w, base.high_w) == pytest.approx((power_w, high_w))


def test_a_movement_is_forgotten_within_minutes() -> None:
    model = MeterModel()
    for now, swing_w in ((0.0, 0.0), (11.0, 3000.0), (41.0, 3000.0 * math.exp(-0.5))):
        model.history.record("one", now, [3000.0 if now > 0.0 else 0.0])
        model.metered(now, now, 0.0, 0.0)
        assert model._swing_w == pytest.approx(swing_w)
