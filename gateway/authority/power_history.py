"""Power of the controlled resources over time: what each was measured at and ordered, as intervals. Pure.

While a resource moves, its power lies between the one measured last and all orders that it may be following: also one
that a newer order has overtaken, for as long as a station may take to respond, unless it has turned away from it.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

LONGEST_DELAY_S = 16.0
STEP_S = 1.0  # between candidate delays
KEEP_S = 90.0  # of recorded power, for a meter whose readings are stamped much earlier
CANDIDATES = tuple(STEP_S * step for step in range(int(LONGEST_DELAY_S / STEP_S) + 1))
TOGETHER_S = 0.05  # records of one moment
RESPONSE_S = 15.0  # for a resource to reach a power: its delay and its ramp
TURN_W = 150.0  # measured movements up to this are within the tolerance of a meter


class Span(NamedTuple):
    """Total power of the controlled resources within a short time, W.

    `low_w`, `high_w`: the interval that it lies in. `rise_w`, `fall_w`: how far it may still move after the beginning
    by the orders given until then. `rose_*`, `fell_*`: sums of all movements ordered up to the beginning and the end.
    The order of the members is that of `PowerHistory.spans`, which `meter_model` reads as rows of an array.
    """

    low_w: float = 0.0
    high_w: float = 0.0
    rise_w: float = 0.0
    fall_w: float = 0.0
    rose_before_w: float = 0.0
    fell_before_w: float = 0.0
    rose_w: float = 0.0
    fell_w: float = 0.0


class _Way(NamedTuple):
    """Course of one resource: from the power measured last through the orders since."""

    given_w: tuple[float, ...] = (0.0,)  # without the orders that others have overtaken
    low_w: float = 0.0
    high_w: float = 0.0
    rise_w: float = 0.0
    fall_w: float = 0.0
    top_w: float = 0.0  # beginning and all rises
    bottom_w: float = 0.0


_AT_REST = _Way()


class PowerHistory:
    """Total power of the controlled resources over time, with the movements that were ordered."""

    def __init__(self) -> None:
        self._present: dict[str, _Way] = {}
        self._overtaken: dict[str, list[tuple[float, float]]] = {}  # (until when it may still be followed, order)
        self._course_w: dict[str, float] = {}  # last movement of each resource on its way, as measured
        self._totals: list[list[float]] = [[0.0] * 6]  # low, high, rise, fall, rose and fell as of `Span`
        self._times: list[float] = [-math.inf]  # of each total

    def present(self, name: str) -> tuple[float, float]:
        """Return the interval recorded last for a resource; 0 W where there is none."""
        way = self._present.get(name, _AT_REST)
        return way.low_w, way.high_w

    def record(self, name: str, now: float, powers_w: Sequence[float]) -> None:
        """Record the way of one resource from `now` on: the power measured, then what it was ordered since.

        One power: it is at rest there. Else an order that is not among them any more may still be followed for a while.
        """
        given_w, before = tuple(powers_w), self._present.get(name, _AT_REST)
        overtaken = self._overtaken.get(name)
        if given_w == before.given_w and (overtaken is None or now < overtaken[0][0]):
            return
        if len(given_w) == 1:
            self._overtaken.pop(name, None)
            self._course_w.pop(name, None)
            [power_w] = given_w
            new = _Way(given_w, power_w, power_w, 0.0, 0.0, power_w, power_w)
        else:
            if len(before.given_w) > 1:
                left = [(now + RESPONSE_S, one) for one in before.given_w[1:] if one not in given_w]
                overtaken = [one for one in overtaken or () if one[0] > now] + left
            if self._turned(name, given_w[0] - before.given_w[0]) and overtaken:
                overtaken = _followed(overtaken, given_w[0], self._course_w[name])
            if overtaken:
                self._overtaken[name] = overtaken
                new = _way(given_w, [given_w[0], *(one for _, one in overtaken), *given_w[1:]])
            else:
                self._overtaken.pop(name, None)
                new = _way(given_w, given_w)
        self._present[name] = new
        if now - self._times[-1] >= TOGETHER_S:
            self._totals.append(self._totals[-1].copy())
            self._times.append(now)
        total = self._totals[-1]
        total[0] += new.low_w - before.low_w
        total[1] += new.high_w - before.high_w
        total[2] += new.rise_w - before.rise_w
        total[3] += new.fall_w - before.fall_w
        if new.top_w > before.top_w:
            total[4] += new.top_w - before.top_w
        if new.bottom_w < before.bottom_w:
            total[5] += before.bottom_w - new.bottom_w

    def _turned(self, name: str, moved_w: float) -> bool:
        """Return whether a resource moves the other way than before, as measured."""
        if abs(moved_w) <= TURN_W:
            return False
        course_w, self._course_w[name] = self._course_w.get(name, 0.0), moved_w
        return moved_w * course_w < 0

    def order(self, name: str, now: float, power_w: float) -> None:
        """Record that a resource is ordered another power."""
        powers_w = self._present.get(name, _AT_REST).given_w
        if powers_w[-1] != power_w:
            self.record(name, now, (*powers_w, power_w))

    def tidy(self, now: float) -> None:
        """Drop what is too old, and the rounding errors of the sums."""
        drop = bisect.bisect_right(self._times, now - KEEP_S) - 1
        if drop > 64:
            del self._totals[:drop], self._times[:drop]
            ways = self._present.values()
            self._totals[-1][:4] = [math.fsum(column) for column in zip(*(way[1:5] for way in ways), strict=True)]

    def constant_since(self, begin: float) -> float | None:
        """Return the power if it has not moved since a time, else None."""
        low_w, high_w = self._totals[-1][:2]
        return low_w if self._times[-1] <= begin and low_w == high_w else None

    def within(self, begin: float, end: float) -> Span:
        """Return the power between two times."""
        first = max(bisect.bisect_right(self._times, begin) - 1, 0)
        last = max(bisect.bisect_right(self._times, end) - 1, first)
        parts = self._totals[first : last + 1]
        low_w, high_w = min(one[0] for one in parts), max(one[1] for one in parts)
        return Span(low_w, high_w, *parts[0][2:], *parts[-1][4:])

    def spans(self, now: float) -> list[tuple[float, ...]]:
        """Return the power around the time of each candidate delay, in one pass: the members of a `Span` each."""
        edge = now - LONGEST_DELAY_S - STEP_S / 2
        count, index = len(self._times), max(bisect.bisect_right(self._times, edge), 1)
        last = self._totals[index - 1]
        found: list[tuple[float, ...]] = []
        for _ in CANDIDATES:
            edge += STEP_S
            low_w, high_w, rise_w, fall_w, rose_w, fell_w = last
            while index < count and self._times[index] <= edge:
                last = self._totals[index]
                if last[0] < low_w:
                    low_w = last[0]
                if last[1] > high_w:
                    high_w = last[1]
                index += 1
            found.append((low_w, high_w, rise_w, fall_w, rose_w, fell_w, last[4], last[5]))
        return found[::-1]


def _followed(overtaken: list[tuple[float, float]], power_w: float, course_w: float) -> list[tuple[float, float]]:
    """Return which overtaken orders may still be followed by a resource that has turned to another course.

    Orders take effect one after the other: the first ones the other way were followed before it turned.
    """
    against = [(one[1] - power_w) * course_w < 0 for one in overtaken]
    first = against.index(True) if True in against else 0
    while first < len(against) and against[first]:
        first += 1
    return overtaken[first:]


def _way(given_w: tuple[float, ...], powers_w: Sequence[float]) -> _Way:
    first_w, rise_w, fall_w = powers_w[0], 0.0, 0.0
    for earlier_w, later_w in pairwise(powers_w):
        if later_w > earlier_w:
            rise_w += later_w - earlier_w
        else:
            fall_w += earlier_w - later_w
    return _Way(given_w, min(powers_w), max(powers_w), rise_w, fall_w, first_w + rise_w, first_w - fall_w)
