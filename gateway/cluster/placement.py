"""Fair shares of instances: connections of stations, and sites."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

FEWEST = 20  # connections, below which nothing is moved
TURN_S = 0.5  # for which a free lease is left to each instance that comes first


def excess(own: int, others: Sequence[int], over_pct: float) -> int:
    """Return how many connections an instance has beyond the mean of all and a tolerance; 0 for few or none."""
    if not others or own < FEWEST:
        return 0
    mean = (own + sum(others)) / (1 + len(others))
    return max(0, int(own - mean)) if own > mean * (1 + over_pct / 100) else 0


def share(sites: int, instances: int) -> int:
    """Return how many sites an instance controls at most while all instances are present."""
    return -(-sites // max(1, instances))


def order(site: str, held: Mapping[str, int], sites: int) -> list[str]:
    """Return the instances in the order in which they may acquire the free lease of a site.

    `held` has the number of sites that each one controls. Those below their share come first; the rest of the order
    differs from site to site, so that the sites of a lost instance are divided among the others at once.
    """
    most = share(sites, len(held))
    return sorted(held, key=lambda name: (held[name] >= most, preference(site, name)))


def wait_s(site: str, instance: str, held: Mapping[str, int], sites: int) -> float:
    """Return how long an instance leaves the free lease of a site to others."""
    return TURN_S * order(site, held, sites).index(instance)


def surplus(instance: str, held: Mapping[str, int], sites: int) -> int:
    """Return how many sites an instance hands over: those beyond its share, where another has fewer than its own."""
    most = share(sites, len(held))
    room = sum(max(0, most - number) for name, number in held.items() if name != instance)
    return min(max(0, held[instance] - most), room)


def preference(site: str, instance: str) -> bytes:
    """Return what orders the instances differently for each site."""
    return hashlib.sha256(f"{site}/{instance}".encode()).digest()
