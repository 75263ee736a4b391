"""Laws of sharing: inside every interval, outside every dead band, up to the target where possible."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.soc_floors import LEAST_W, TAPER_S
from gateway.energy.dispatch import Fleet, _ascending, share, share_command
from gateway.energy.resource import Kind, Resource, free_capacity_wh, usable_wh

EPS = 1e-3
POWERS = st.floats(0, 50_000).map(lambda value: round(value, 1))


@st.composite
def resources(draw: st.DrawFn, dead_bands: bool = True) -> list[Resource]:
    found = []
    for number in range(draw(st.integers(1, 6))):
        charge, discharge = draw(POWERS), draw(POWERS)
        band = draw(st.floats(0, 3000)) if dead_bands else 0.0
        found.append(
            Resource(
                f"E{number}",
                charge,
                discharge,
                kind=draw(st.sampled_from(Kind)),
                min_charge_w=band,
                min_discharge_w=band,
                soc_pct=draw(st.none() | st.floats(0, 100).map(lambda value: round(value, 6))),
                capacity_wh=draw(st.none() | st.floats(10_000, 100_000)),
                floor_pct=draw(st.floats(0, 60)),
                ceiling_pct=draw(st.floats(60, 100)),
                wanted_pct=draw(st.none() | st.floats(0, 100)),
                departure=draw(st.none() | st.floats(-1000, 100_000)),
                rank=draw(st.integers(0, 2)),
                degradation_per_kwh=draw(st.sampled_from([0.0, 3.0, 8.0])),
                setpoint_w=draw(st.floats(-20_000, 20_000)),
            )
        )
    return found


def limits(one: Resource) -> tuple[float, float]:
    low, high = one.max_discharge_w, one.max_charge_w
    if one.soc_pct is not None and one.capacity_wh is not None:
        above_wh = (one.soc_pct - one.floor_pct) / 100 * one.capacity_wh * one.discharge_efficiency
        below_wh = (one.ceiling_pct - one.soc_pct) / 100 * one.capacity_wh / one.charge_efficiency
        low = min(low, max(LEAST_W, above_wh * 3600 / TAPER_S) if above_wh > 0 else 0.0)
        high = min(high, max(LEAST_W, below_wh * 3600 / TAPER_S) if below_wh > 0 else 0.0)
    low = low if low >= max(one.min_discharge_w, 1e-6) else 0.0
    high = high if high >= max(one.min_charge_w, 1e-6) else 0.0
    return -low, high


@given(st.floats(-200_000, 200_000), resources())
def test_every_share_can_be_run(target_w: float, fleet: list[Resource]) -> None:
    for one in fleet:
        power_w = share(target_w, fleet).power_w[one.name]
        low_w, high_w = limits(one)
        assert low_w - EPS <= power_w <= high_w + EPS
        if power_w > EPS:
            assert power_w >= one.min_charge_w - EPS
        if power_w < -EPS:
            assert power_w <= -one.min_discharge_w + EPS


@given(st.floats(-200_000, 200_000), resources(dead_bands=False))
def test_shares_add_up_to_the_target_where_that_is_feasible(target_w: float, fleet: list[Resource]) -> None:
    lowest, highest = sum(limits(one)[0] for one in fleet), sum(limits(one)[1] for one in fleet)
    feasible = min(max(target_w, lowest), highest)
    assert share(target_w, fleet).total_w == pytest.approx(feasible, abs=0.5)


@given(st.floats(-60_000, 60_000), resources())
def test_with_dead_bands_the_sum_never_passes_the_target(target_w: float, fleet: list[Resource]) -> None:
    fleet = [Resource(**{name: getattr(one, name) for name in one.__slots__} | {"wanted_pct": None}) for one in fleet]
    done = share(target_w, fleet)
    assert done.total_w * target_w >= 0
    assert abs(done.total_w) <= abs(target_w) + EPS
    assert done.short_w == pytest.approx(target_w - done.total_w)


@given(st.floats(0, 60_000), resources())
def test_with_dead_bands_it_is_nearly_as_good_as_trying_every_choice(target_w: float, fleet: list[Resource]) -> None:
    fleet = [Resource(**{name: getattr(one, name) for name in one.__slots__} | {"wanted_pct": None}) for one in fleet]
    best = 0.0
    for runs in product([False, True], repeat=len(fleet)):
        low = sum(one.min_discharge_w for one, on in zip(fleet, runs, strict=True) if on and limits(one)[0])
        high = sum(-limits(one)[0] for one, on in zip(fleet, runs, strict=True) if on)
        if low <= target_w:
            best = max(best, min(high, target_w))
    band = max(one.min_discharge_w for one in fleet)
    assert -share(-target_w, fleet).total_w >= best - band - EPS


def car(name: str, **more: object) -> Resource:
    base: dict[str, object] = {
        "name": name, "max_charge_w": 6000.0, "max_discharge_w": 6000.0,
        "soc_pct": 60.0, "capacity_wh": 40_000.0, "floor_pct": 30.0,
    }  # fmt: skip
    return Resource(**(base | more))  # type: ignore[arg-type]


def test_cars_reach_their_floors_together() -> None:
    done = share(-9000.0, [car("A", soc_pct=50.0), car("B", soc_pct=40.0), car("C", soc_pct=70.0)])
    assert done.total_w == pytest.approx(-9000.0)
    assert done.power_w["C"] < done.power_w["A"] < 0


def test_few_resources_near_rated_power_are_preferred() -> None:
    done = share(-2000.0, [car(f"C{number}") for number in range(10)])
    assert sum(1 for power in done.power_w.values() if power) == 1


def test_small_changes_of_the_target_do_not_alternate_cars() -> None:
    fleet = [car(f"C{number}", soc_pct=60.0 + number / 10) for number in range(8)]
    seen = set()
    for step in range(200):
        target_w = -16_000.0 + (400.0 if step % 2 else -400.0)
        done = share(target_w, fleet)
        fleet = [car(one.name, soc_pct=one.soc_pct, setpoint_w=done.power_w[one.name]) for one in fleet]
        seen.add(frozenset(name for name, power in done.power_w.items() if power))
    assert len(seen) <= 2


def test_an_early_departure_charges_first_at_the_expense_of_others() -> None:
    leaving = car("L", soc_pct=30.0, wanted_pct=60.0, departure=2.5 * 3600)
    done = share(0.0, [leaving, car("S", soc_pct=90.0, kind=Kind.STORAGE)])
    assert done.power_w["L"] > 5000
    assert done.total_w == pytest.approx(0.0, abs=1e-6)


def test_a_hard_target_beats_the_departure() -> None:
    leaving = car("L", soc_pct=30.0, wanted_pct=60.0, departure=2.5 * 3600)
    assert share(-6000.0, [leaving, car("S", soc_pct=90.0)]).total_w == pytest.approx(-6000.0)


def test_renewable_energy_goes_to_the_storage_first() -> None:
    done = share(4000.0, [car("A"), car("S", kind=Kind.STORAGE, rank=0)])
    assert done.power_w == {"A": 0.0, "S": pytest.approx(4000.0)}


def test_without_resources_nothing_is_shared() -> None:
    done = share(-5000.0, [])
    assert (done.power_w, done.total_w, done.short_w) == ({}, 0.0, -5000.0)
    assert share_command(-5000.0, []) == {}
    assert (Fleet([]).must_w, Fleet([]).able_w) == (0.0, 0.0)


@given(st.floats(-60_000, 60_000), resources())
def test_shares_are_named_and_their_total_is_their_sum(target_w: float, fleet: list[Resource]) -> None:
    done, parts = share(target_w, fleet), share_command(target_w, fleet)
    assert [*done.power_w] == [*parts] == [one.name for one in fleet]
    assert done.total_w == pytest.approx(sum(done.power_w.values()))
    assert done.short_w == pytest.approx(target_w - done.total_w)
    assert "-0.0" not in [str(one) for one in (*done.power_w.values(), *parts.values())]


@pytest.mark.parametrize("target_w", [0.5, -0.5, 1e-5, -1e-5])
def test_low_power_is_shared(target_w: float) -> None:
    assert share(target_w, [car("A")]).power_w["A"] == pytest.approx(target_w)
    assert share_command(target_w, [car("A")])["A"] == pytest.approx(target_w)


def test_equal_resources_stay_in_their_order() -> None:
    order = _ascending(np.tile([1.0, 0.0], 50)).tolist()
    assert order == [*range(1, 100, 2), *range(0, 100, 2)]


def test_the_default_time_is_0() -> None:
    fleet = [car("L", soc_pct=30.0, wanted_pct=60.0, departure=9000.0), car("A", soc_pct=80.0)]
    assert share(0.0, fleet) == share(0.0, fleet, 0.0)
    assert share(0.0, fleet).power_w["L"] < share(0.0, fleet, 8000.0).power_w["L"]  # then it must charge with more


@given(st.floats(-100_000, 100_000), resources())
def test_a_command_is_shared_within_every_interval_and_never_exceeds_the_requested_power(
    total_w: float, fleet: list[Resource]
) -> None:
    parts = share_command(total_w, fleet)
    assert sum(parts.values()) * total_w >= 0
    assert abs(sum(parts.values())) <= abs(total_w) + EPS
    for one in fleet:
        low_w, high_w = limits(one)
        assert low_w - EPS <= parts[one.name] <= high_w + EPS
        assert parts[one.name] == 0 or abs(parts[one.name]) >= min(one.min_charge_w, one.min_discharge_w) - EPS


@given(st.floats(-100_000, 100_000), resources(dead_bands=False))
def test_a_command_gets_all_that_the_cars_can_give(total_w: float, fleet: list[Resource]) -> None:
    lowest, highest = sum(limits(one)[0] for one in fleet), sum(limits(one)[1] for one in fleet)
    assert sum(share_command(total_w, fleet).values()) == pytest.approx(min(max(total_w, lowest), highest), abs=0.5)


def test_a_command_is_for_all_cars_and_equal_cars_get_equal_parts() -> None:
    parts = share_command(-6000.0, [car("A"), car("B"), car("C")])
    assert list(parts.values()) == [pytest.approx(-2000.0)] * 3
    parts = share_command(-6000.0, [car("A", soc_pct=90.0), car("B", soc_pct=40.0)])
    assert parts["A"] < 3 * parts["B"] < 0


@given(st.floats(-200_000, 200_000), resources(), st.randoms(use_true_random=False))
def test_shares_do_not_depend_on_the_order_of_the_resources(
    target_w: float, fleet: list[Resource], chance: Random
) -> None:
    fleet = [replace(one, soc_pct=None, degradation_per_kwh=float(number)) for number, one in enumerate(fleet)]
    fleet = [replace(one, rank=number) for number, one in enumerate(fleet)]  # no two are equal in merit
    shuffled = chance.sample(fleet, len(fleet))
    assert share(target_w, shuffled).power_w == pytest.approx(share(target_w, fleet).power_w, abs=EPS)
    assert share(target_w, fleet) == share(target_w, fleet)
    assert share_command(target_w, shuffled) == pytest.approx(share_command(target_w, fleet), abs=EPS)


@given(st.floats(-200_000, 200_000), st.integers(1, 8), resources())
def test_equal_resources_that_run_get_equal_shares(target_w: float, number: int, fleet: list[Resource]) -> None:
    equal = [replace(fleet[0], name=f"E{one}") for one in range(number)]
    for found in (share(target_w, equal).power_w, share_command(target_w, equal)):
        powers = [power_w for power_w in found.values() if power_w]
        assert powers == pytest.approx(powers[:1] * len(powers))


@given(st.floats(-200_000, 200_000), st.floats(0, 50_000), resources(dead_bands=False))
def test_every_part_of_a_command_grows_with_the_command(total_w: float, more_w: float, fleet: list[Resource]) -> None:
    parts, larger = share_command(total_w, fleet), share_command(total_w + more_w, fleet)
    assert all(larger[name] >= part_w - EPS for name, part_w in parts.items())


@given(st.floats(-100_000, 100_000), resources(dead_bands=False))
def test_parts_of_a_command_are_in_proportion_to_energy_up_to_each_limit(total_w: float, fleet: list[Resource]) -> None:
    """One level for all: every resource below its limit has the same power per energy, and none has more."""
    parts = share_command(total_w, fleet)
    levels = []
    for one in fleet:
        known = one.soc_pct is not None and one.capacity_wh is not None
        energy = (usable_wh(one) if total_w < 0 else free_capacity_wh(one)) if known else 5000.0
        most_w = abs(limits(one)[total_w >= 0])
        if most_w:
            part_w = abs(parts[one.name])
            levels.append((part_w / max(1.0, round(energy / 1000) * 1000), part_w >= most_w - EPS))
    free = [level for level, at_limit in levels if not at_limit]
    if free:
        assert free == pytest.approx(free[:1] * len(free), rel=1e-6, abs=1e-5)
        assert all(level <= free[0] + 1e-3 for level, _ in levels)


@given(st.floats(0, 50_000), resources(dead_bands=False))
def test_no_more_resources_than_needed_start(target_w: float, fleet: list[Resource]) -> None:
    """Without the last one that starts, the others would be above 90 % of their power."""
    resting = [replace(one, setpoint_w=0.0, wanted_pct=None) for one in fleet]
    for sign, edge in ((-1, 0), (1, 1)):
        most_w = {one.name: abs(limits(one)[edge]) for one in resting}
        runs = [most_w[name] for name, power_w in share(sign * target_w, resting).power_w.items() if abs(power_w) > EPS]
        if runs:
            assert 0.9 * (sum(runs) - max(runs)) <= target_w + EPS
