"""Selection of resources and their shares: order of merit, dead bands and weights by numbers."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest

from gateway.energy.dispatch import share, share_command
from gateway.energy.resource import Resource
from tests.gateway.energy.cars import WALL, car, parts, powers


def running(target_w: float, *fleet: Resource) -> str:
    """Names of the resources with power."""
    return "".join(name for name, power_w in share(target_w, fleet, WALL).power_w.items() if power_w)


# who runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("magnitude_w", "before", "names"),
    [
        (0.5, "", "A"),
        (5400.0, "", "A"),  # 90 % of one car's power
        (5401.0, "", "AB"),
        (10_800.0, "", "AB"),
        (10_801.0, "", "ABC"),
        (24_000.0, "", "ABCD"),
        (99_000.0, "", "ABCD"),
        (3601.0, "AB", "AB"),  # 60 % of one car's power
        (3600.0, "AB", "A"),
        (7201.0, "ABC", "ABC"),
        (7200.0, "ABC", "AB"),
        (100.0, "ABCD", "A"),
        (5400.0, "C", "C"),
        (5401.0, "C", "AC"),
        (9000.0, "D", "AD"),
    ],
)
def test_as_few_resources_run_as_needed_without_alternating(
    sign: float, magnitude_w: float, before: str, names: str
) -> None:
    fleet = [car(name, setpoint_w=sign * 2000.0 if name in before else -sign * 2000.0) for name in "ABCD"]
    assert running(sign * magnitude_w, *fleet) == names
    done = share(sign * magnitude_w, fleet, WALL)
    assert done.total_w == pytest.approx(sign * min(magnitude_w, 24_000.0))
    assert len({round(power_w, 6) for power_w in done.power_w.values() if power_w}) == 1


@pytest.mark.parametrize(
    ("first", "second", "discharges", "charges"),
    [
        ({}, {"soc_pct": 51.0}, "B", "A"),
        ({"rank": 0, "degradation_per_kwh": 8.0, "soc_pct": 10.0}, {"soc_pct": 90.0}, "A", "A"),
        ({"rank": 0, "soc_pct": 90.0}, {"soc_pct": 10.0}, "A", "A"),
        ({"soc_pct": 20.0}, {"degradation_per_kwh": 3.0, "soc_pct": 90.0}, "A", "A"),
        ({"degradation_per_kwh": 3.0, "soc_pct": 20.0}, {"soc_pct": 90.0}, "B", "A"),  # wear is that of discharging
        ({"setpoint_w": -1.0}, {"soc_pct": 55.5}, "A", "A"),  # 22.2 kWh: a tenth of the best one's energy more
        ({"setpoint_w": -1.0}, {"soc_pct": 55.7}, "B", "A"),
        ({"setpoint_w": 1.0}, {"soc_pct": 44.5}, "A", "A"),
        ({"setpoint_w": 1.0}, {"soc_pct": 44.3}, "A", "B"),
    ],
)
def test_merit_order(first: dict[str, Any], second: dict[str, Any], discharges: str, charges: str) -> None:
    one, other = car("A", **first), car("B", **second)
    for fleet in ([one, other], [other, one]):
        assert running(-1000.0, *fleet) == discharges
        assert running(1000.0, *fleet) == charges


# dead bands -----------------------------------------------------------------------------------------------------------


def banded(name: str, least_w: float, most_w: float, **more: Any) -> Resource:
    return car(
        name,
        min_charge_w=least_w,
        min_discharge_w=least_w,
        max_charge_w=most_w,
        max_discharge_w=most_w,
        **more,
    )


@pytest.mark.parametrize(
    ("fixed_kw", "target_kw", "total_kw"),
    [
        ((4, 8, 12, 5), 15, 13),
        ((8, 2, 8, 12), 17, 16),
        ((3, 5, 6, 12), 20, 20),
        ((4, 5, 3, 12, 10), 14, 14),
        ((4, 6, 12, 3), 20, 19),
    ],
)
def test_where_the_first_by_merit_blocks_the_others_another_one_begins(
    fixed_kw: tuple[int, ...], target_kw: int, total_kw: int
) -> None:
    fleet = [banded(str(number), 1000.0 * kw, 1000.0 * kw) for number, kw in enumerate(fixed_kw)]
    assert share(-1000.0 * target_kw, fleet, WALL).total_w == pytest.approx(-1000.0 * total_kw)
    assert sum(share_command(-1000.0 * target_kw, fleet).values()) == pytest.approx(-1000.0 * total_kw)


@pytest.mark.parametrize(
    ("magnitude_w", "bands", "expected"),
    [
        (2000.0, [(3000.0, 6000.0)], [0.0]),
        (3000.0, [(3000.0, 6000.0)], [3000.0]),
        (2000.0, [(3000.0, 6000.0), (1000.0, 2500.0)], [0.0, 2000.0]),
        (6000.0, [(1400.0, 1500.0), (5000.0, 6000.0)], [0.0, 6000.0]),
        (5500.0, [(1400.0, 1500.0), (5000.0, 6000.0)], [0.0, 5500.0]),
        (7500.0, [(1400.0, 1500.0), (5000.0, 6000.0)], [1500.0, 6000.0]),
        (4900.0, [(1400.0, 1500.0), (5000.0, 6000.0)], [1500.0, 0.0]),  # nearest from below
        (3000.0, [(2000.0, 2500.0), (1000.0, 1500.0), (1500.0, 1500.0)], [2000.0, 1000.0, 0.0]),
        (1000.0, [(1400.0, 1500.0), (5000.0, 6000.0)], [0.0, 0.0]),
    ],
)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_dead_bands_leave_the_power_that_comes_nearest(
    sign: float, magnitude_w: float, bands: list[tuple[float, float]], expected: list[float]
) -> None:
    fleet = [
        banded(name, *band, soc_pct=50.0 + (-sign if name == "A" else 0.0))
        for name, band in zip("ABC", bands, strict=False)
    ]
    signed = [pytest.approx(sign * power_w) for power_w in expected]
    assert powers(sign * magnitude_w, *fleet) == signed
    assert parts(sign * magnitude_w, *fleet) == signed


def test_each_direction_has_a_dead_band_of_its_own() -> None:
    charging, discharging = car(min_charge_w=1400.0), car(min_discharge_w=1400.0)
    for found in (powers, parts):
        assert found(1000.0, charging) == [0.0]
        assert found(-1000.0, charging) == [-1000.0]
        assert found(1000.0, discharging) == [1000.0]
        assert found(-1000.0, discharging) == [0.0]


@pytest.mark.parametrize(
    ("total_w", "names"),
    [(4200.0, "ABC"), (4199.0, "BC"), (2800.0, "BC"), (2799.0, "C"), (1400.0, "C"), (1399.0, "")],
)
def test_of_a_small_command_those_with_most_energy_get_parts(total_w: float, names: str) -> None:
    for sign, socs in ((-1.0, (20.0, 50.0, 80.0)), (1.0, (80.0, 50.0, 20.0))):
        fleet = [banded(name, 1400.0, 6000.0, soc_pct=soc) for name, soc in zip("ABC", socs, strict=True)]
        done = share_command(sign * total_w, fleet)
        assert "".join(name for name, part_w in done.items() if part_w) == names
        assert sum(done.values()) == pytest.approx(sign * total_w if names else 0.0)


@pytest.mark.parametrize(
    ("magnitude_w", "bands", "expected"),
    [
        (2100.0, "1400-1900 1000-1000 1000-2500 1400-1900 2000-3000", [0, 1000, 1100, 0, 0]),  # the smallest minima
        (3100.0, "500-1000 0-1000 5000-5100 3000-3500", [0, 0, 0, 3100]),  # the largest powers
        (1600.0, "1000-1100 1400-1500 1400-1500", [0, 1500, 0]),  # the first of two that come as near
        (3500.0, "3000-3500 5000-6500 0-1000", [3500, 0, 0]),  # the first by merit
    ],
)
def test_where_the_first_in_merit_order_do_not_fit_others_run(
    magnitude_w: float, bands: str, expected: list[float]
) -> None:
    limits = [[float(limit) for limit in one.split("-")] for one in bands.split()]
    fleet = [banded(f"E{number}", *one) for number, one in enumerate(limits)]
    assert powers(-magnitude_w, *fleet) == [pytest.approx(-one) for one in expected]
    assert parts(magnitude_w, *fleet) == [pytest.approx(one) for one in expected]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"rank": 0, "degradation_per_kwh": 3.0}, {"soc_pct": 90.0}),
        ({}, {"degradation_per_kwh": 3.0, "soc_pct": 90.0}),
        ({"soc_pct": 60.0}, {}),
    ],
)
def test_a_command_within_one_cars_limits_follows_the_merit_order(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    one, other = banded("A", 1400.0, 6000.0, **first), banded("B", 1400.0, 6000.0, **second)
    assert parts(-2000.0, one, other) == [-2000.0, 0.0]
    assert parts(-2000.0, other, one) == [0.0, -2000.0]


# weights --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "ratio"),
    [
        ({}, {}, 1.0),
        ({"soc_pct": 75.0}, {"soc_pct": 25.0}, 3.0),
        ({"floor_pct": 25.0}, {}, 0.5),
        ({"capacity_wh": 80_000.0}, {}, 2.0),
        ({"discharge_efficiency": 0.5}, {}, 0.5),
        ({"soc_pct": None}, {}, 0.25),  # as 5 kWh
        ({"capacity_wh": None}, {}, 0.25),
        ({"soc_pct": 51.0}, {}, 1.0),  # 20.4 kWh: parts differ by whole kWh
        ({"soc_pct": 52.0}, {}, 21 / 20),
        ({"soc_pct": 1.0}, {}, 1 / 20_000),  # less than half a kWh
    ],
)
def test_a_command_is_shared_by_energy(first: dict[str, Any], second: dict[str, Any], ratio: float) -> None:
    one, other = car("A", **first), car("B", **second)
    assert parts(-4000.0, one, other) == [
        pytest.approx(-4000.0 * ratio / (1 + ratio), abs=1e-5),
        pytest.approx(-4000.0 / (1 + ratio), abs=1e-5),
    ]


@pytest.mark.parametrize(
    ("first", "second", "ratio"),
    [
        ({"soc_pct": 25.0}, {"soc_pct": 75.0}, 3.0),
        ({"ceiling_pct": 75.0}, {}, 0.5),
        ({"charge_efficiency": 0.5}, {}, 2.0),
        ({"soc_pct": None}, {}, 0.25),
    ],
)
def test_a_command_to_charge_is_shared_by_what_batteries_still_take(
    first: dict[str, Any], second: dict[str, Any], ratio: float
) -> None:
    one, other = car("A", **first), car("B", **second)
    assert parts(4000.0, one, other) == [
        pytest.approx(4000.0 * ratio / (1 + ratio), abs=1e-5),
        pytest.approx(4000.0 / (1 + ratio), abs=1e-5),
    ]


@pytest.mark.parametrize(
    ("first", "weight"),
    [
        ({}, 20_000.0),
        ({"soc_pct": 40.0}, 24_000.0),
        ({"wanted_pct": 60.0, "departure": WALL + 12 * 3600}, 20_000 + 4 * 4000 * 2),
        ({"wanted_pct": 60.0, "departure": WALL + 24 * 3600}, 20_000 + 4 * 4000),
        ({"wanted_pct": 60.0, "departure": WALL + 48 * 3600}, 20_000 + 4 * 4000),
        ({"wanted_pct": 60.0}, 20_000 + 4 * 4000),
        ({"wanted_pct": 50.1, "departure": WALL + 900}, 20_000 + 4 * 40 * 96),
        ({"wanted_pct": 50.1, "departure": WALL + 450}, 20_000 + 4 * 40 * 96),
        ({"wanted_pct": 50.1, "departure": WALL + 1800}, 20_000 + 4 * 40 * 48),
        ({"rank": 0}, 20_000_000.0),
        ({"rank": 0, "soc_pct": 40.0}, 24_000_000.0),
        ({"rank": -1}, 20_000_000_000.0),
        ({"rank": -2}, 20e12),
        ({"rank": -5}, 20e12),
        ({"rank": 2}, 20.0),
    ],
)
def test_charging_is_shared_by_need_and_rank(first: dict[str, Any], weight: float) -> None:
    one, other = car("A", setpoint_w=2000.0, **first), car("B", setpoint_w=2000.0)
    part_w, rest_w = powers(5000.0, one, other)
    assert part_w + rest_w == pytest.approx(5000.0)
    assert part_w / rest_w == pytest.approx(weight / 20_000, rel=1e-4)


def test_charging_of_nearly_full_batteries_is_shared_by_what_they_still_take() -> None:
    one, other = (car(name, setpoint_w=20.0, soc_pct=100 - wh / 400) for name, wh in (("A", 1.5), ("B", 1.0)))
    assert powers(100.0, one, other) == [pytest.approx(60.0), pytest.approx(40.0)]


def test_discharging_is_shared_by_energy() -> None:
    assert powers(-8000.0, car("A", soc_pct=30.0), car("B")) == [pytest.approx(-3000.0), pytest.approx(-5000.0)]
    assert powers(-8000.0, car("A", soc_pct=None), car("B")) == [pytest.approx(-2000.0), pytest.approx(-6000.0)]


def test_a_limit_that_binds_leaves_the_rest_to_the_others() -> None:
    small = car("A", max_discharge_w=500.0)
    assert parts(-6500.0, small, car("B"), car("C")) == [-500.0, pytest.approx(-3000.0), pytest.approx(-3000.0)]
    banded_one = car("A", min_discharge_w=3000.0, soc_pct=10.0)
    assert parts(-7000.0, banded_one, car("B"), car("C")) == [-3000.0, pytest.approx(-2000.0), pytest.approx(-2000.0)]


def test_without_resources_or_power_the_shares_are_empty_or_0() -> None:
    assert powers(0.0, car("A"), car("B")) == [0.0, 0.0]
    assert parts(0.0, car("A"), car("B")) == [0.0, 0.0]
    shares = [*powers(0.0, car()), *powers(-1.0, car("A"), car("B")), *parts(-1.0, car(max_discharge_w=0.0))]
    assert "-0.0" not in str(shares)


BANDS = [(0.0, 1000.0), (1400.0, 1500.0), (1000.0, 2500.0), (2000.0, 2500.0), (5000.0, 6000.0)]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_up_to_three_resources_come_as_near_to_the_target_as_their_dead_bands_allow(number: int) -> None:
    for bands in product(BANDS, repeat=number):
        fleet = [banded(f"E{one}", *band, soc_pct=50.0 + one) for one, band in enumerate(bands)]
        choices = [chosen for size in range(number + 1) for chosen in combinations(bands, size)]
        for target_w in (500.0, 1400.0, 2900.0, 4500.0, 7000.0, 8300.0):
            within = [chosen for chosen in choices if sum(least_w for least_w, _ in chosen) <= target_w]
            nearest_w = max(min(target_w, sum(most_w for _, most_w in chosen)) for chosen in within)
            assert sum(powers(-target_w, *fleet)) == pytest.approx(-nearest_w), (bands, target_w)
            assert sum(parts(target_w, *fleet)) == pytest.approx(nearest_w), (bands, target_w)
