"""Base load behind a grid meter of unknown delay: what the readings imply about the load that is not controlled. Pure.

The grid meter measures everything, the controlled vehicles and storages included, up to `LONGEST_DELAY_S` late. To
subtract their present power from an older reading would count the controller's own last change as load; the orders
would oscillate and exceed the limit. So the power of each controlled resource is recorded over time, as the interval
between what it measures and what it was ordered while the two differ, and every reading is compared with the power at
its own time.

That time is unknown: a reading's time stamp may be that of its publication. Each candidate delay is a hypothesis with
an estimate of the base load and a cost. The cost of a reading is the change of the base load that the hypothesis needs
to explain it (an unchanged load explains a reading best), plus a little for a changed delay; a reading is never older
than the one before it. With a wrong delay every change of the controlled power appears twice as a change of the load,
so its cost grows until it is left out: a cycle of orders cannot last. This is dynamic time warping of the recorded
power onto the meter's readings, by a Viterbi recursion.

The estimate of the cheapest hypothesis is for tracking (filtered). Limits take the extremes of all plausible
hypotheses and of the last two readings: a reading that takes power away takes effect at once, one that releases power
needs the next one to confirm it. A reading beyond what the connection can carry is ignored until it is confirmed.

A load that rises while controlled power moves hides in the movement, until a reading exceeds a limit in spite of the
orders. Then the load counts as the most that it may be: the ordered increases have not been followed yet, the decreases
have. All constant delays count that are possible if loads have hidden in movements; the one that time stamps show
counts alone while it is possible itself. The load is held until the readings leave little of it open, so that power is
cut once and released once. What is no more than the noise of the readings exceeds no limit here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from gateway.authority.power_history import CANDIDATES, LONGEST_DELAY_S, STEP_S, PowerHistory

Array = NDArray[np.float64]
Kind = TypeVar("Kind", np.float64, np.bool_)

STORAGE = "storage"  # name of the site's storage as a resource; the name of an EVSE always has a number
DELAYS = 1 + len(CANDIDATES)  # the stamped one first
_ROWS = np.arange(2)
MEMORY_S = 300.0  # time constant with which costs are forgotten
MOST_COST_W = 20_000.0
DELAY_COST_W_PER_S = 600.0  # of a change of the delay
UNSTAMPED_COST_W_PER_S = 150.0  # of a longer delay than the time stamp shows: it may be that of publication
CLOCK_COST_W_PER_S = 600.0  # of another delay, for which the clocks have to differ
FULL_SWING_W = 6000.0  # both apply in full to movements of this size; smaller ones prove less, and cost less
PUBLISHED_S = 2.0  # a reading whose time stamp is older is not stamped at its publication
PLAUSIBLE_SHARE = 0.1  # of the difference in base load: a cost up to this above the least one is as plausible
POSSIBLE_SHARE = 1.1  # likewise, while a limit is or was exceeded
BEYOND_W = 50.0  # above a limit, and above the highest load so far; with noise more:
NOISE_FACTOR = 5.0  # times the median change between readings: hardly a change by noise is larger
MOST_NOISE_W = 1000.0  # likewise: load steps larger than this are recognised, whatever the noise
NOISE_READINGS = 31  # of which the median is taken
SILENT_READINGS = 3  # taken to have been before the first one: as many changes may be load steps
QUIET_W = 500.0  # changes count as noise while the controlled power moves by no more
OPEN_S = 30.0  # after a limit was exceeded
CLEAR_SHARE = 0.25  # of what is held: less of it left open is clear
SWING_S = 60.0  # time constant with which a movement is forgotten
FILTER_S = 2.0  # time constant of the tracked estimate
LOAD_STEP_W = 2000.0  # a change this large is a load switched on, not noise: not filtered
CONFIRMED_SHARE = 0.25  # two impossible readings that differ by less confirm each other
UNKNOWN_CONNECTION_W = 30_000.0  # least bound of a possible reading where no limit is configured
POSSIBLE_FACTOR = 3.0  # times the largest reading, likewise


@dataclass(frozen=True, slots=True)
class BaseLoad:
    """Load less generation behind the meter, without the controlled resources, W. `low_w`, `high_w`: for limits."""

    power_w: float
    low_w: float
    high_w: float


class Band(NamedTuple):
    """Powers at the grid's meter that the limits allow, W, + import."""

    low_w: float = -math.inf
    high_w: float = math.inf


UNLIMITED = Band()


@dataclass(slots=True)
class _Hypotheses:
    """Estimates and cost of each candidate delay; the first is the delay that the reading's time stamp shows.

    Loads and costs have two rows of delays: the cheapest way to each, then that of a delay that never changes.
    """

    delay_s: Array
    spans: Array  # a column for each delay: members of `Span`
    swing_w: float  # by how much the controlled power has moved within the longest delay
    grid_w: float
    loads_w: Array  # base load, the lowest and the highest that it may be
    cost_w: Array
    share: float = 0.0  # of the costs of a delay that the time stamp does not show: largest movement, forgotten alike
    agree: bool = False
    beyond: int = 0  # a limit is exceeded because a load has risen (1) or fallen (-1)

    @property
    def best_w(self) -> float:
        return float(self.loads_w[0, 0, self.cost_w[0].argmin()])

    def extremes_w(self) -> tuple[float, float]:
        """Return the extremes of all hypotheses that are as plausible as the best one."""
        return _extremes_w(self.loads_w[:, 0], self.cost_w[0], PLAUSIBLE_SHARE)

    def constant_w(self) -> tuple[float, float]:
        """Return the extremes of all constant delays that are as plausible as the best one, however likely it is."""
        return _extremes_w(self.loads_w[:, 1], self.cost_w[1], PLAUSIBLE_SHARE)

    def widest_w(self, swing_w: float) -> tuple[float, float]:
        """Return the extremes of all possible delays; loads may have hidden in movements of up to `swing_w`.

        A time stamp that is not that of the publication is used as long as the delay that it shows is possible.
        """
        loads_w, cost_w = self.loads_w[:, 1], self.cost_w[1]
        if self.delay_s[0] >= PUBLISHED_S and cost_w[0] - cost_w.min() <= swing_w:
            return float(loads_w[1, 0]), float(loads_w[2, 0])
        return _extremes_w(loads_w, cost_w, POSSIBLE_SHARE, swing_w)


@lru_cache(maxsize=64)  # the delay that time stamps show is often the same
def _delays(stamped_s: float) -> tuple[Array, Array]:
    """Return the candidate delays, and the cost of each that is longer or shorter than the one of the time stamp."""
    delay_s = np.array((stamped_s, *CANDIDATES))
    later_s = delay_s - stamped_s
    longer_w_per_s = UNSTAMPED_COST_W_PER_S if stamped_s < PUBLISHED_S else CLOCK_COST_W_PER_S
    return delay_s, np.maximum(longer_w_per_s * later_s, -CLOCK_COST_W_PER_S * later_s)


def _cheapest(ways: NDArray[Kind], changed: NDArray[np.bool_]) -> NDArray[Kind]:
    """Return the first two of three ways, with those of the last one where the delay has `changed`, in place."""
    np.copyto(ways[..., 0, :], ways[..., 2, :], where=changed)
    return ways[..., :2, :]


def _extremes_w(loads_w: Array, cost_w: Array, share: float, allowed_w: float = 0.0) -> tuple[float, float]:
    _, lows_w, highs_w = loads_w.tolist()
    costs_w = cost_w.tolist()
    least_w = min(costs_w)
    best = costs_w.index(least_w)
    best_low_w, best_high_w = low_w, high_w = lows_w[best], highs_w[best]
    for delay_cost_w, delay_low_w, delay_high_w in zip(costs_w, lows_w, highs_w, strict=True):
        more_w = delay_cost_w - least_w - allowed_w
        if delay_low_w < low_w and more_w <= share * (best_low_w - delay_low_w):
            low_w = delay_low_w
        if delay_high_w > high_w and more_w <= share * (delay_high_w - best_high_w):
            high_w = delay_high_w
    return low_w, high_w


@dataclass(slots=True)
class MeterModel:
    """Model of one site's grid meter: `record` each change of a controlled power, `metered` each reading.

    `delay_s`: delay of a meter whose time stamps do not show it, where it is configured.
    """

    delay_s: float = 0.0
    history: PowerHistory = field(default_factory=PowerHistory)
    _hypotheses: _Hypotheses | None = None
    _tracked_w: float = 0.0
    _extremes: tuple[tuple[float, float], ...] = ()  # of the last two readings
    _at: float = -math.inf  # arrival of the last reading
    _beyond: int = 0  # by a rise (1) or a fall (-1) of the load
    _beyond_at: float = -math.inf  # a limit was exceeded, and it is open since by which load
    _swing_w: float = 0.0
    _quiet: bool = False  # hardly any controlled power moved around the last reading
    _changes_w: deque[float] = field(default_factory=lambda: deque([0.0] * SILENT_READINGS, NOISE_READINGS))
    _stamp: float = math.nan
    _doubted_w: float | None = None  # an impossible reading that has not been confirmed
    _accepted_w: float = math.nan
    _largest_w: float = 0.0

    def base_load(self, besides: Collection[str] = ()) -> BaseLoad | None:
        """Return the base load, with the present power of the resources `besides`; None before the first reading."""
        if not self._extremes:
            return None
        low_w = high_w = 0.0
        for name in besides:
            span_w = self.history.present(name)
            low_w, high_w = low_w + span_w[0], high_w + span_w[1]
        before_w, last_w = self._extremes[0], self._extremes[-1]
        return BaseLoad(
            self._tracked_w + (low_w + high_w) / 2,
            min(before_w[0], last_w[0]) + low_w,
            max(before_w[1], last_w[1]) + high_w,
        )

    def metered(
        self,
        now: float,
        stamp: float,
        age_s: float,
        grid_w: float,
        connection_w: float | None = None,
        allowed: Band = UNLIMITED,
    ) -> None:
        """Apply a reading (+ import) that arrived at `now`; one with the time stamp of the last one is ignored.

        `age_s`: its age by the time stamp. `connection_w`: the most that the connection can carry.
        """
        if stamp == self._stamp:
            return
        self._stamp = stamp
        if not self._possible(grid_w, connection_w):
            return
        self.history.tidy(now)
        elapsed_s = max(0.0, now - self._at)
        stamped_s = self.delay_s or age_s
        before = self._hypotheses
        found = self._hypotheses = self._explain(now, grid_w, stamped_s, elapsed_s, allowed)
        self._at = now
        swing_w = found.swing_w
        self._swing_w = max(swing_w, self._swing_w * math.exp(-elapsed_s / SWING_S))
        best_w = found.best_w
        if before is None or abs(best_w - self._tracked_w) >= LOAD_STEP_W:
            self._tracked_w = best_w
        else:
            self._tracked_w += (best_w - self._tracked_w) * (1.0 - math.exp(-elapsed_s / FILTER_S))
        self._extremes = (*self._extremes[-1:], self._bounds_w(found, now))
        was_quiet, self._quiet = self._quiet, swing_w <= QUIET_W
        if before is not None and was_quiet and self._quiet:
            self._changes_w.append(abs(grid_w - before.grid_w))

    def _beyond_w(self) -> float:
        """Return by how much a load exceeds a limit, or the highest load so far: by more than noise does.

        The median change is one by noise: load steps are few, and changes while controlled power moves do not count.
        """
        median_w = sorted(self._changes_w)[len(self._changes_w) // 2]
        return max(BEYOND_W, min(NOISE_FACTOR * median_w, MOST_NOISE_W))

    def _bounds_w(self, found: _Hypotheses, now: float) -> tuple[float, float]:
        """Return the extremes by this reading; after a limit was exceeded, all that is possible until that is clear."""
        low_w, high_w = self._confirmed_w(found)
        if found.beyond:
            self._beyond, self._beyond_at = found.beyond, now
        elif now - self._beyond_at > OPEN_S:
            return low_w, high_w
        lowest_w, highest_w = found.widest_w(self._swing_w)
        held_low_w, held_high_w = self._extremes[-1]  # the first reading exceeds nothing
        if self._beyond > 0:
            high_w = self._held_w(found, highest_w - high_w, held_high_w - high_w) + high_w
        else:
            low_w -= self._held_w(found, low_w - lowest_w, low_w - held_low_w)
        return low_w, high_w

    def _confirmed_w(self, found: _Hypotheses) -> tuple[float, float]:
        """Return the extremes; what was held is released no further than the best constant delay shows, too.

        That a short delay is likely by itself does not prove that a load changes together with the controlled power. A
        small movement hides little: what it leaves is not waited for.
        """
        low_w, high_w = found.extremes_w()
        if found.agree or found.swing_w <= QUIET_W or not self._extremes:
            return low_w, high_w
        held_low_w, held_high_w = self._extremes[-1]
        if low_w > held_low_w or high_w < held_high_w:
            constant_low_w, constant_high_w = found.constant_w()
            low_w = min(low_w, max(constant_low_w, held_low_w))
            high_w = max(high_w, min(constant_high_w, held_high_w))
        return low_w, high_w

    def _held_w(self, found: _Hypotheses, open_w: float, held_w: float) -> float:
        """Return how much more load is possible; what is held ends when little of it is left open."""
        open_w = max(0.0, open_w)
        if open_w <= max(self._beyond_w(), CLEAR_SHARE * held_w):
            self._beyond_at = -math.inf
            return open_w
        # a part of the power would only keep it open for longer
        return open_w if found.beyond else max(open_w, held_w)

    def _explain(self, now: float, grid_w: float, stamped_s: float, elapsed_s: float, allowed: Band) -> _Hypotheses:
        """Return the hypotheses after a reading: the cheapest way to each delay."""
        before, decay = self._hypotheses, math.exp(-elapsed_s / MEMORY_S)
        delay_s, unstamped_w = _delays(stamped_s)
        constant_w = self.history.constant_since(now - elapsed_s - max(LONGEST_DELAY_S, stamped_s) - STEP_S)
        if before is not None and before.agree and constant_w is not None:  # every delay explains it alike
            loads_w, cost_w = np.full_like(before.loads_w, grid_w - constant_w), before.cost_w * decay
            spans, share = before.spans, before.share * decay
            return _Hypotheses(delay_s, spans, before.swing_w, grid_w, loads_w, cost_w, share, True)
        measured = now - stamped_s
        parts = (self.history.within(measured - STEP_S / 2, measured + STEP_S / 2), *self.history.spans(now))
        swing_w = max([one[1] for one in parts]) - min([one[0] for one in parts])
        spans = np.fromiter(chain.from_iterable(parts), np.float64, 8 * DELAYS).reshape(DELAYS, 8).T.copy()
        share = min(1.0, swing_w / FULL_SWING_W)
        if before is None:
            loads_w = grid_w - np.stack(((spans[0] + spans[1]) / 2, spans[1], spans[0]))
            cost_w = np.stack((unstamped_w * share, np.zeros(DELAYS)))
            return _Hypotheses(delay_s, spans, swing_w, grid_w, np.stack((loads_w, loads_w), 1), cost_w, share)
        share = max(share, before.share * decay)
        best = before.cost_w[0].argmin()
        # three ways to each delay: it has not changed, it never changes, the best one has changed to it
        earlier_w, moving_w = np.empty((3, 3, DELAYS)), np.empty((4, 3, DELAYS))
        earlier_w[:, :2], earlier_w[:, 2] = before.loads_w, before.loads_w[:, 0, best, np.newaxis]
        moving_w[:, :2], moving_w[:, 2] = before.spans[2:6, np.newaxis], before.spans[2:6, best, np.newaxis]
        # since then the power has moved no further than ordered; each estimate has a power of its own that moves on
        moved_w = np.maximum(moving_w[:2] + spans[6:, np.newaxis] - moving_w[2:], 0.0)
        np.negative(moved_w[1], out=moved_w[1])
        power_w = before.grid_w - earlier_w + moved_w[:, np.newaxis]
        least_w, most_w = grid_w - np.minimum(np.maximum(power_w, spans[0]), spans[1])
        loads_w = np.minimum(np.maximum(earlier_w, least_w), most_w)
        ways_w = np.abs(loads_w[0] - earlier_w[0])
        cost_w, changed_w = ways_w[:2], ways_w[2]
        longer_w = before.cost_w * decay
        longer_w[0] += unstamped_w * (share - before.share * decay)
        cost_w += longer_w
        moved_s = delay_s - before.delay_s[best]
        changed_w += DELAY_COST_W_PER_S * np.abs(moved_s)  # the best one itself costs no more
        if share > before.share:
            changed_w += unstamped_w * (share - before.share)
        changed_w[moved_s > elapsed_s + 1e-6] = np.inf  # it would be older than the reading before
        changed = changed_w < cost_w[0]
        cheapest_w = np.minimum(cost_w[0], changed_w)
        cost_w[0] = np.minimum(cheapest_w - min(cheapest_w.tolist()), MOST_COST_W)
        loads_w, beyond = _cheapest(loads_w, changed), 0
        if grid_w > allowed.high_w or grid_w < allowed.low_w:
            bests, beyond_w = cost_w.argmin(1), self._beyond_w()
            if grid_w > allowed.high_w + beyond_w:
                risen = _cheapest(least_w[2] > earlier_w[2] + beyond_w, changed)
                beyond = int(risen[_ROWS, bests].any())
                loads_w[2] = np.where(risen, _cheapest(most_w[2], changed), loads_w[2])
            elif grid_w < allowed.low_w - beyond_w:
                fallen = _cheapest(most_w[1] < earlier_w[1] - beyond_w, changed)
                beyond = -int(fallen[_ROWS, bests].any())
                loads_w[1] = np.where(fallen, _cheapest(least_w[1], changed), loads_w[1])
        agree = bool(loads_w[2].max() - loads_w[1].min() <= 1e-6)
        return _Hypotheses(delay_s, spans, swing_w, grid_w, loads_w, cost_w, share, agree, beyond)

    def _possible(self, grid_w: float, connection_w: float | None) -> bool:
        """Return whether a reading is one that the connection can carry, or confirmed by the one before."""
        bound_w = connection_w
        if bound_w is None:
            first = math.isnan(self._accepted_w)
            bound_w = math.inf if first else max(UNKNOWN_CONNECTION_W, POSSIBLE_FACTOR * self._largest_w)
        doubted_w, self._doubted_w = self._doubted_w, None
        if abs(grid_w) > bound_w and not _alike(grid_w, doubted_w) and not _alike(grid_w, self._accepted_w):
            self._doubted_w = grid_w
            return False
        self._accepted_w, self._largest_w = grid_w, max(self._largest_w, abs(grid_w))
        return True


def _alike(one_w: float, two_w: float | None) -> bool:
    return two_w is not None and abs(one_w - two_w) <= CONFIRMED_SHARE * max(abs(one_w), abs(two_w))
