"""Limits near floor and ceiling, and cars that must charge for their departure: shares by numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.energy.dispatch import Fleet
from gateway.energy.resource import Resource
from tests.gateway.energy.cars import WALL, car, parts, powers
from tests.rounds import rounds

# limits near floor and ceiling ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "lowest_w"),
    [
        ({}, -6000.0),
        ({"soc_pct": 30.25, "floor_pct": 30.0}, -6000.0),  # 100 Wh in 60 s
        ({"soc_pct": 30.125, "floor_pct": 30.0}, -3000.0),
        ({"soc_pct": 30.125, "floor_pct": 30.0, "discharge_efficiency": 0.5}, -1500.0),
        ({"soc_pct": 30.125, "floor_pct": 30.0, "charge_efficiency": 0.5}, -3000.0),
        ({"soc_pct": 30.125, "floor_pct": 30.0, "min_discharge_w": 3000.0}, -3000.0),
        ({"soc_pct": 30.125, "floor_pct": 30.0, "min_discharge_w": 3000.5}, 0.0),
        ({"soc_pct": 30.0, "floor_pct": 30.0}, 0.0),
        ({"soc_pct": 29.0, "floor_pct": 30.0}, 0.0),
        ({"soc_pct": None, "floor_pct": 30.0}, -6000.0),
        ({"capacity_wh": None, "soc_pct": 1.0, "floor_pct": 30.0}, -6000.0),
        ({"max_discharge_w": 0.0}, 0.0),
        ({"max_discharge_w": 1.0}, -1.0),
    ],
)
def test_power_falls_before_the_floor(more: dict[str, Any], lowest_w: float) -> None:
    assert powers(-50_000.0, car(**more)) == [pytest.approx(lowest_w)]
    assert parts(-50_000.0, car(**more)) == [pytest.approx(lowest_w)]


@pytest.mark.parametrize(
    ("more", "highest_w"),
    [
        ({}, 6000.0),
        ({"soc_pct": 79.75, "ceiling_pct": 80.0}, 6000.0),
        ({"soc_pct": 79.875, "ceiling_pct": 80.0}, 3000.0),
        ({"soc_pct": 79.875, "ceiling_pct": 80.0, "charge_efficiency": 0.75}, 4000.0),
        ({"soc_pct": 79.875, "ceiling_pct": 80.0, "discharge_efficiency": 0.5}, 3000.0),
        ({"soc_pct": 79.875, "ceiling_pct": 80.0, "min_charge_w": 3000.0}, 3000.0),
        ({"soc_pct": 79.875, "ceiling_pct": 80.0, "min_charge_w": 3000.5}, 0.0),
        ({"soc_pct": 80.0, "ceiling_pct": 80.0}, 0.0),
        ({"soc_pct": 81.0, "ceiling_pct": 80.0}, 0.0),
        ({"soc_pct": None, "ceiling_pct": 80.0}, 6000.0),
        ({"capacity_wh": None, "soc_pct": 99.0, "ceiling_pct": 80.0}, 6000.0),
        ({"max_charge_w": 0.0}, 0.0),
        ({"max_charge_w": 1.0}, 1.0),
    ],
)
def test_power_falls_before_the_ceiling(more: dict[str, Any], highest_w: float) -> None:
    assert powers(50_000.0, car(**more)) == [pytest.approx(highest_w)]
    assert parts(50_000.0, car(**more)) == [pytest.approx(highest_w)]


# urgent charging ------------------------------------------------------------------------------------------------------

LACKS_12_KWH: dict[str, Any] = {"wanted_pct": 80.0}


@pytest.mark.parametrize(
    ("more", "left_s", "urgent_w"),
    [
        (LACKS_12_KWH, None, 0.0),
        (LACKS_12_KWH, 100_000.0, 0.0),
        (LACKS_12_KWH, 9901.0, 0.0),  # less than 80 % of the charge power until 900 s before departure
        (LACKS_12_KWH, 9900.0, 4800.0),
        (LACKS_12_KWH, 9000.0, 12_000 * 3600 / 8100),
        (LACKS_12_KWH, 8100.0, 6000.0),
        (LACKS_12_KWH, 500.0, 6000.0),
        (LACKS_12_KWH, -500.0, 6000.0),
        ({"wanted_pct": 80.0, "ceiling_pct": 70.0}, 6900.0, 4800.0),  # 8 kWh up to the ceiling
        ({"wanted_pct": 80.0, "ceiling_pct": 70.0}, 6901.0, 0.0),
        ({"wanted_pct": 80.0, "charge_efficiency": 0.75}, 12_900.0, 4800.0),  # 16 kWh at the meter
        ({"wanted_pct": 80.0, "charge_efficiency": 0.75}, 12_901.0, 0.0),
        ({"wanted_pct": 50.225}, 950.0, 5400.0),  # 90 Wh in the last 60 s
        ({"wanted_pct": 50.00125, "max_charge_w": 30.0}, 500.0, 30.0),  # 0.5 Wh
        ({"wanted_pct": 50.0}, 500.0, 0.0),
        ({"wanted_pct": 50.0, "max_charge_w": 1.0}, 500.0, 0.0),
        ({"wanted_pct": 40.0}, 500.0, 0.0),
        ({"wanted_pct": None}, 500.0, 0.0),
        (LACKS_12_KWH | {"soc_pct": None}, 500.0, 0.0),
        (LACKS_12_KWH | {"capacity_wh": None}, 500.0, 0.0),
        (LACKS_12_KWH | {"max_charge_w": 0.0}, 500.0, 0.0),
        (LACKS_12_KWH | {"max_charge_w": 0.5}, 500.0, 0.5),
        (LACKS_12_KWH | {"min_charge_w": 5500.0}, 9900.0, 5500.0),
        ({"must_w": 2000.0}, None, 2000.0),
        ({"must_w": 0.5}, None, 0.5),
        ({"must_w": 500.0, "min_charge_w": 1400.0}, None, 1400.0),
        ({"must_w": 20_000.0}, None, 6000.0),
        ({"must_w": 2000.0, "max_charge_w": 0.0}, None, 0.0),
        ({"must_w": 2000.0, "soc_pct": None}, None, 2000.0),
        (LACKS_12_KWH | {"must_w": 2000.0}, 9900.0, 4800.0),
        (LACKS_12_KWH | {"must_w": 5000.0}, 9900.0, 5000.0),
    ],
)
def test_a_car_charges_when_its_time_is_needed_for_it(
    more: dict[str, Any], left_s: float | None, urgent_w: float
) -> None:
    end = None if left_s is None else WALL + left_s
    later = None if end is None else end + 1e6
    for one in (
        car(departure=end, **more),
        car(due=end, **more),
        car(departure=later, due=end, **more),
        car(departure=end, due=later, **more),
    ):
        assert Fleet([one], WALL).must_w == pytest.approx(urgent_w, rel=1e-9)
        assert Fleet([one, one], WALL).must_w == pytest.approx(2 * urgent_w, rel=1e-9)
        assert powers(0.0, one, car("B")) == [pytest.approx(urgent_w), pytest.approx(-urgent_w)]


def test_what_others_can_discharge_excludes_the_cars_that_charge() -> None:
    empty = car("C", soc_pct=30.125, floor_pct=30.0)
    assert needed_and_able(car("A", must_w=2000.0), car("B", max_discharge_w=5000.0), empty) == (2000.0, 8000.0)
    assert needed_and_able(car("A", must_w=0.5), car("B")) == (0.5, 6000.0)
    assert needed_and_able(car("A"), car("B")) == (0.0, 12_000.0)


def needed_and_able(*fleet: Resource) -> tuple[float, float]:
    found = Fleet(fleet, WALL)
    return found.must_w, found.able_w


def test_power_beyond_urgent_charging_comes_on_top() -> None:
    late = car("A", must_w=4800.0)
    assert powers(4800.0, late, car("B")) == [4800.0, 0.0]
    assert powers(5800.0, late, car("B")) == [pytest.approx(5800.0), 0.0]
    assert powers(50_000.0, late, car("B")) == [6000.0, 6000.0]
    assert powers(4800.5, late) == [pytest.approx(4800.5)]
    banded = car("A", must_w=2000.0, min_charge_w=1400.0)
    assert powers(2100.0, banded) == [pytest.approx(2100.0)]  # it runs already: the rest need not pass the dead band
    assert powers(2100.0, car("A", must_w=0.5), car("B", min_charge_w=3000.0)) == [pytest.approx(2100.0), 0.0]


def test_urgent_charging_is_reduced_for_the_target() -> None:
    late, other = car("L", must_w=6000.0), car("S")
    assert powers(0.0, late, other) == [6000.0, -6000.0]
    assert powers(-0.5, late, other) == [pytest.approx(5999.5), -6000.0]
    assert powers(-3000.0, late, other) == [3000.0, -6000.0]
    assert powers(-5999.5, late, other) == [pytest.approx(0.5), -6000.0]
    assert powers(-6000.0, late, other) == [pytest.approx(-3000.0), pytest.approx(-3000.0)]  # neither charges
    assert powers(-9000.0, late, other) == [pytest.approx(-4500.0), pytest.approx(-4500.0)]
    assert powers(-50_000.0, late, other) == [-6000.0, -6000.0]
    assert powers(-6000.25, car("L", must_w=0.5), other) == [pytest.approx(-3000.125)] * 2


def test_where_its_dead_band_ends_urgent_charging_the_others_discharge_the_target_only() -> None:
    late = car("L", must_w=6000.0, min_charge_w=4000.0)
    assert powers(-3000.0, late, car("S")) == [0.0, pytest.approx(-3000.0)]
    assert powers(-2000.0, late, car("S")) == [4000.0, -6000.0]
    assert powers(1000.0, late, car("S", max_discharge_w=2000.0)) == [0.0, pytest.approx(1000.0)]
    banded = car("S", min_discharge_w=5000.0)
    assert powers(-3000.0, late, banded) == [pytest.approx(-3000.0), 0.0]


@settings(max_examples=rounds(60, 300), deadline=None)
@given(
    st.floats(-30_000, 30_000),
    st.lists(
        st.builds(
            lambda charge, discharge, least, share: {
                "max_charge_w": charge,
                "max_discharge_w": discharge,
                "min_charge_w": least * charge,
                "min_discharge_w": least * discharge,
                "must_w": share * charge,
            },
            st.floats(0, 12_000),
            st.floats(0, 12_000),
            st.sampled_from([0.0, 0.3, 0.7]),
            st.sampled_from([0.0, 0.0, 0.5, 1.0]),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_the_sum_is_never_beyond_the_target_except_for_urgent_charging(
    target_w: float, fleet: list[dict[str, float]]
) -> None:
    total_w = sum(powers(target_w, *(car(f"C{number}", **one) for number, one in enumerate(fleet))))
    must_w_ = sum(max(one["must_w"], one["min_charge_w"]) for one in fleet if one["must_w"] > 0)
    assert min(target_w, 0.0) - 1e-3 <= total_w <= max(target_w, 0.0) + must_w_ + 1e-3
    if target_w < 0:
        assert total_w <= 1e-3 or total_w <= must_w_


@pytest.mark.parametrize(
    ("target_w", "least_w", "expected"),
    [
        (0.0, 0.0, [4000.0, 2000.0, -6000.0]),  # in proportion
        (-1000.0, 0.0, [3333.333333, 1666.666667, -6000.0]),
        (-3000.0, 0.0, [3000.0, 0.0, -6000.0]),  # one is enough for the rest, the one that needs most
        (-5000.0, 0.0, [1000.0, 0.0, -6000.0]),
        (-8000.0, 0.0, [-4000.0, -4000.0, 0.0]),
        (0.0, 2000.0, [4000.0, 2000.0, -6000.0]),
        (-500.0, 2000.0, [3500.0, 2000.0, -6000.0]),
        (-1000.0, 2000.0, [3000.0, 2000.0, -6000.0]),
        (-3000.0, 2000.0, [3000.0, 0.0, -6000.0]),
    ],
)
def test_urgent_charging_of_two_is_reduced(target_w: float, least_w: float, expected: list[float]) -> None:
    fleet = car("A", must_w=6000.0, min_charge_w=least_w), car("B", must_w=3000.0, min_charge_w=least_w), car("S")
    assert powers(target_w, *fleet) == [pytest.approx(one) for one in expected]


def test_the_rules_hold_below_1_w_as_well() -> None:
    assert powers(1.0, car("B"), car("A", must_w=0.9)) == [0.0, pytest.approx(1.0)]  # what runs already comes first
    assert powers(1.0, car("A", must_w=0.9, min_charge_w=0.8)) == [pytest.approx(1.0)]
    two_late = car("A", must_w=0.9), car("B", must_w=0.9)
    assert powers(0.0, *two_late, car("S", max_discharge_w=0.7)) == [
        pytest.approx(0.35),
        pytest.approx(0.35),
        pytest.approx(-0.7),
    ]


def test_of_many_equal_cars_the_first_ones_keep_their_urgent_charging() -> None:
    fleet = [*(car(f"L{number}", must_w=3000.0) for number in range(40)), car("S", max_discharge_w=60_000.0)]
    assert [power_w > 0 for power_w in powers(0.0, *fleet)] == [True] * 34 + [False] * 7


def test_a_target_that_needs_the_leaving_vehicle_too_follows_the_merit_order() -> None:
    leaving = car("L", must_w=1000.0, max_discharge_w=20_000.0, soc_pct=51.0)
    small = car("A", max_discharge_w=3000.0)
    assert powers(-5000.0, leaving, small) == [pytest.approx(-5000.0), 0.0]
    one, other = powers(-5000.0, leaving, car("A", max_discharge_w=3000.0, setpoint_w=-1.0))
    assert other < 0
    assert one + other == pytest.approx(-5000.0)


@pytest.mark.parametrize("target_w", [0.5, 2000.0])
def test_a_target_below_the_least_power_of_the_leaving_vehicle_goes_to_the_others(target_w: float) -> None:
    leaving = car("L", must_w=5000.0, min_charge_w=3000.0, max_discharge_w=0.0)
    first, second = car("A", max_discharge_w=0.0), car("B", max_discharge_w=0.0, soc_pct=51.0)
    assert powers(target_w, leaving, first, second) == [0.0, pytest.approx(target_w), 0.0]
    running = car("B", max_discharge_w=0.0, soc_pct=51.0, setpoint_w=1.0)
    assert powers(target_w, leaving, first, running) == [0.0, 0.0, pytest.approx(target_w)]
