"""Fair shares of connections and of sites."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.cluster.placement import FEWEST, TURN_S, excess, order, share, surplus, wait_s


def test_only_an_instance_far_above_the_mean_closes_connections() -> None:
    assert excess(200, [0], 20) == 100
    assert excess(110, [90], 20) == 0
    assert excess(150, [100, 50], 20) == 50
    assert excess(500, [], 20) == 0
    assert excess(FEWEST - 1, [0], 20) == 0


@given(st.integers(0, 10_000), st.lists(st.integers(0, 10_000), max_size=5), st.floats(1, 100))
def test_an_instance_stays_at_or_above_the_mean(own: int, others: list[int], over_pct: float) -> None:
    moved = excess(own, others, over_pct)
    assert 0 <= moved <= own
    if moved:
        assert own - moved >= (own + sum(others)) / (1 + len(others)) - 1e-6


HELD = st.dictionaries(st.sampled_from([f"gw{number}" for number in range(9)]), st.integers(0, 40), min_size=1)


@given(HELD, st.integers(1, 100))
def test_instances_below_their_share_acquire_a_free_site_first(held: dict[str, int], sites: int) -> None:
    found = order("a site", held, sites)
    full = [held[name] >= share(sites, len(held)) for name in found]
    assert sorted(found) == sorted(held)
    assert full == sorted(full)
    assert sorted(wait_s("a site", name, held, sites) for name in held) == [TURN_S * one for one in range(len(held))]


@given(st.integers(1, 300), st.integers(1, 8), st.randoms(use_true_random=False))
def test_sites_are_divided_evenly_and_then_stay(sites: int, instances: int, random: Random) -> None:
    """Whoever has had them: each gives its surplus, and the first in the order takes what is free."""
    names = [f"gw{number}" for number in range(instances)]
    holder = {f"s{number}": random.choice(names) for number in range(sites)}

    def held() -> dict[str, int]:
        counted = Counter(holder.values())
        return {name: counted[name] for name in names}

    moved = 0
    while any(surplus(name, held(), sites) for name in names):
        giver = next(name for name in names if surplus(name, held(), sites))
        site = next(one for one, by in holder.items() if by == giver)
        holder[site] = order(site, held(), sites)[0]
        assert holder[site] != giver
        moved += 1
        assert moved <= sites
    assert max(held().values()) <= share(sites, instances)


def test_the_sites_of_a_lost_instance_are_divided_among_the_others() -> None:
    left = {"gw2": 20, "gw3": 20, "gw4": 20}
    first = Counter(order(f"s{number}", left, 80)[0] for number in range(20))
    assert max(first.values()) <= 12


def test_nothing_is_handed_over_where_nobody_has_room() -> None:
    assert surplus("gw1", {"gw1": 5}, 5) == 0
    assert surplus("gw1", {"gw1": 2, "gw2": 1}, 3) == 0
    assert surplus("gw1", {"gw1": 3, "gw2": 0}, 3) == 1
