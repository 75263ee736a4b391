"""Parts of a time step: where values of periods (prices, forecasts) change inside it, for time-weighted means."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence


def parts(edges: Sequence[float], begin: float, end: float) -> Iterator[tuple[float, float]]:
    """Yield (middle, duration in s) of the parts of a step; `edges`, in order, are the moments at which values change.

    The durations add up to that of the step; a step without an edge inside is one part.
    """
    at = begin
    for index in range(bisect.bisect_right(edges, begin), bisect.bisect_left(edges, end)):
        yield (at + edges[index]) / 2, edges[index] - at
        at = edges[index]
    yield (at + end) / 2, end - at
