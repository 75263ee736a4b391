"""Fair shares of instances: connections of stations, and sites."""

from __future__ import annotations

from collections.abc import Sequence

FEWEST = 20  # connections, below which nothing is moved


def excess(own: int, others: Sequence[int], over_pct: float) -> int:
    """Return how many connections an instance has beyond the mean of all and a tolerance; 0 for few or none."""
    if not others or own < FEWEST:
        return 0
    mean = (own + sum(others)) / (1 + len(others))
    return max(0, int(own - mean)) if own > mean * (1 + over_pct / 100) else 0
