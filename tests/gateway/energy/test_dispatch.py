"""Sharing a power over cars, and ramps, as laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.energy.dispatch import Capacity, ramp, ramp_s, share

WATTS = st.floats(0, 50_000)


@st.composite
def capacities(draw: st.DrawFn) -> list[Capacity]:
    cars = []
    for number in range(draw(st.integers(0, 6))):
        out_w, in_w = draw(WATTS), draw(WATTS)
        band_out, band_in = draw(st.sampled_from([0.0, 500.0, 1400.0])), draw(st.sampled_from([0.0, 1400.0]))
        cars.append(Capacity(f"CP{number}-1", -out_w, in_w, band_out, band_in))
    return cars


@given(st.floats(-100_000, 100_000), capacities())
def test_no_part_leaves_its_capacity_or_its_dead_band_and_the_sum_never_exceeds_the_total(
    total_w: float, cars: list[Capacity]
) -> None:
    parts = share(total_w, cars)
    assert set(parts) == {car.evse for car in cars}
    for car in cars:
        part = parts[car.evse]
        assert car.low_w - 1e-6 <= part <= car.high_w + 1e-6
        assert part * total_w >= 0
        assert part == 0 or abs(part) >= car.least(total_w) - 1e-6
    assert abs(sum(parts.values())) <= abs(total_w) + 1e-6


@given(st.floats(-100_000, 100_000), capacities())
def test_without_dead_bands_everything_that_can_be_carried_is(total_w: float, cars: list[Capacity]) -> None:
    cars = [Capacity(car.evse, car.low_w, car.high_w) for car in cars]
    possible_w = sum(car.most(total_w) for car in cars)
    assert abs(sum(share(total_w, cars).values())) == pytest.approx(min(abs(total_w), possible_w), abs=1e-3)


@given(st.floats(-100_000, 100_000), capacities())
def test_the_order_of_the_cars_does_not_matter(total_w: float, cars: list[Capacity]) -> None:
    assert share(total_w, cars) == share(total_w, cars[::-1])


@given(st.floats(1, 100_000), capacities())
def test_who_has_room_left_carries_as_much_as_anybody(total_w: float, cars: list[Capacity]) -> None:
    cars = [Capacity(car.evse, car.low_w, car.high_w) for car in cars]
    parts = share(total_w, cars)
    most = max(parts.values(), default=0.0)
    assert all(parts[car.evse] >= most - 1e-6 for car in cars if car.high_w > parts[car.evse] + 1e-6)


@given(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.floats(1, 1e5), st.floats(0, 1e3))
def test_a_ramp_walks_towards_its_target_at_its_rate_and_stays_there(
    start_w: float, target_w: float, rate: float, elapsed_s: float
) -> None:
    there_w = ramp(start_w, target_w, rate, elapsed_s)
    assert min(start_w, target_w) <= there_w <= max(start_w, target_w)
    assert abs(there_w - start_w) <= rate * elapsed_s + 1e-6
    assert ramp(start_w, target_w, rate, ramp_s(start_w, target_w, rate) * 1.0001 + 1e-9) == pytest.approx(
        target_w, abs=1e-3
    )


def test_no_rate_is_a_step() -> None:
    assert (ramp(-5000, 0, 0, 0), ramp_s(-5000, 0, 0)) == (0, 0)
