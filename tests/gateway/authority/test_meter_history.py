"""Recorded power and single readings behind the model of the grid meter, by exact numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.meter_model import BaseLoad, MeterModel
from gateway.authority.power_history import CANDIDATES, PowerHistory, Span

KEEP_S = 90.0  # of the history


def history() -> PowerHistory:
    """Return the history of a resource on its way from 10 to 14 s, and of one that is at rest from 12 s on."""
    made = PowerHistory()
    made.record("one", 10.0, [1000.0, 3000.0, 500.0, 2000.0])
    made.record("two", 12.0, [-2000.0])
    made.record("one", 14.0, [2000.0])
    return made


MOVING = Span(500.0, 3000.0, 3500.0, 2500.0, 4500.0, 1500.0, 4500.0, 1500.0)


@pytest.mark.parametrize(
    ("begin", "end", "span"),
    [
        (0.0, 9.9, Span()),
        (9.0, 10.0, Span(0.0, 3000.0, 0.0, 0.0, 0.0, 0.0, 4500.0, 1500.0)),
        (10.0, 10.0, MOVING),
        (10.0, 11.9, MOVING),
        (11.0, 12.0, Span(-1500.0, 3000.0, 3500.0, 2500.0, 4500.0, 1500.0, 4500.0, 3500.0)),
        (12.0, 13.0, Span(-1500.0, 1000.0, 3500.0, 2500.0, 4500.0, 3500.0, 4500.0, 3500.0)),
        (11.0, 14.0, Span(-1500.0, 3000.0, 3500.0, 2500.0, 4500.0, 1500.0, 4500.0, 3500.0)),
        (14.0, 99.0, Span(0.0, 0.0, 0.0, 0.0, 4500.0, 3500.0, 4500.0, 3500.0)),
        (0.0, 99.0, Span(-1500.0, 3000.0, 0.0, 0.0, 0.0, 0.0, 4500.0, 3500.0)),
        (13.0, 9.0, Span(-1500.0, 1000.0, 3500.0, 2500.0, 4500.0, 3500.0, 4500.0, 3500.0)),  # no time at all
    ],
)
def test_the_power_within_a_time_with_the_movements_ordered(begin: float, end: float, span: Span) -> None:
    assert history().within(begin, end) == span


def test_the_way_of_each_resource_is_the_last_one_recorded() -> None:
    made = history()
    assert (made.present("one"), made.present("two"), made.present("three")) == (
        (2000.0, 2000.0),
        (-2000.0, -2000.0),
        (0.0, 0.0),
    )
    made.record("one", 15.0, [2000.0, -500.0, 700.0])
    assert made.present("one") == (-500.0, 2000.0)


def test_the_power_is_constant_since_the_last_movement() -> None:
    made = PowerHistory()
    assert made.constant_since(-1000.0) == 0.0
    made.record("one", 10.0, [0.0, 3000.0])
    assert made.constant_since(20.0) is None  # still on its way
    made.record("one", 14.0, [3000.0])
    assert (made.constant_since(13.9), made.constant_since(14.0)) == (None, 3000.0)
    made.record("one", 30.0, [3000.0])  # nothing new
    assert made.constant_since(14.0) == 3000.0


def test_records_of_one_moment_are_one() -> None:
    made = PowerHistory()
    made.record("one", 10.0, [1000.0])
    made.record("two", 10.04, [500.0])
    assert made.within(10.0, 10.0) == Span(1500.0, 1500.0, 0.0, 0.0, 1500.0, 0.0, 1500.0, 0.0)
    made.record("two", 10.06, [700.0])
    assert made.within(10.0, 10.05)[:2] == (1500.0, 1500.0)
    assert made.within(10.06, 10.06) == Span(1700.0, 1700.0, 0.0, 0.0, 1700.0, 0.0, 1700.0, 0.0)


def test_records_of_two_moments_are_two() -> None:
    made = PowerHistory()
    made.record("one", 0.0, [1000.0])
    made.record("one", 0.05, [2000.0])
    assert made.within(0.0, 0.0)[:2] == (1000.0, 1000.0)


def test_all_movements_of_a_way_add_up() -> None:
    made = PowerHistory()
    made.record("one", 0.0, [3000.0, 1000.0, 2000.0, 500.0, 700.0])
    assert made.within(0.0, 0.0) == Span(500.0, 3000.0, 1200.0, 3500.0, 4200.0, 500.0, 4200.0, 500.0)


def test_what_has_been_overtaken_for_long_is_forgotten() -> None:
    made = PowerHistory()
    made.record("one", 10.0, [5.0, 3000.0])
    for now in (11.0, 26.0, 40.0):
        made.record("one", now, [5.0, 5.0])
    assert (made.present("one"), made.constant_since(26.0)) == ((5.0, 5.0), 5.0)


def test_an_order_is_another_step_of_the_way() -> None:
    made = PowerHistory()
    made.order("one", 10.0, 0.0)
    assert made.constant_since(0.0) == 0.0
    made.order("one", 10.0, 3000.0)
    assert made.present("one") == (0.0, 3000.0)
    made.order("one", 12.0, 3000.0)
    assert made.within(11.0, 13.0) == Span(0.0, 3000.0, 3000.0, 0.0, 3000.0, 0.0, 3000.0, 0.0)
    made.record("two", 13.0, [1000.0])
    made.order("two", 13.0, 1200.0)
    assert made.present("two") == (1000.0, 1200.0)
    made.record("two", 13.0, [0.0])
    made = PowerHistory()
    made.order("one", 10.0, 3000.0)
    made.order("one", 14.0, -500.0)
    assert made.within(14.0, 14.0) == Span(-500.0, 3000.0, 3000.0, 3500.0, 3000.0, 3500.0, 3000.0, 3500.0)


@pytest.mark.parametrize(("now", "first_w"), [(KEEP_S + 64.5, 10.0), (KEEP_S + 65.5, 65.0)])
def test_what_is_too_old_is_dropped_in_pieces(now: float, first_w: float) -> None:
    made = PowerHistory()
    for second in range(1, 200):
        made.record("one", float(second), [float(second)])
    made.tidy(now)
    assert made.within(10.0, 10.0)[:2] == (first_w, first_w)
    assert made.within(70.0, 70.0)[:2] == (70.0, 70.0)
    assert made.present("one") == (199.0, 199.0)


WATTS = st.integers(-8, 8).map(lambda number: 500.0 * number)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 7.0]), st.lists(WATTS, min_size=1, max_size=3)), max_size=40))
def test_the_power_at_all_delays_is_the_power_at_each(records: list[tuple[float, list[float]]]) -> None:
    made, now = PowerHistory(), 0.0
    for gap_s, powers_w in records:
        now += gap_s
        made.record("one", now, powers_w)
        made.tidy(now)
        assert made.spans(now) == [made.within(now - one - 0.5, now - one + 0.5) for one in CANDIDATES]


def test_an_order_that_another_has_overtaken_may_be_followed_for_a_while() -> None:
    made = PowerHistory()
    made.record("one", 10.0, [0.0, 3000.0])
    made.record("one", 11.0, [0.0, -1000.0])
    assert made.present("one") == (-1000.0, 3000.0)
    assert made.within(11.0, 11.0) == Span(-1000.0, 3000.0, 3000.0, 4000.0, 3000.0, 4000.0, 3000.0, 4000.0)
    made.record("one", 12.0, [0.0, 500.0])  # of two, the older first
    assert made.within(12.0, 12.0) == Span(-1000.0, 3000.0, 4500.0, 4000.0, 4500.0, 4000.0, 4500.0, 4000.0)
    made.record("one", 25.9, [0.0, 500.0])
    assert made.present("one") == (-1000.0, 3000.0)
    made.record("one", 26.0, [0.0, 500.0])
    assert made.present("one") == (-1000.0, 500.0)
    made.record("one", 27.0, [0.0, 500.0])
    assert made.present("one") == (0.0, 500.0)
    made.record("one", 28.0, [0.0, 700.0])
    made.record("one", 29.0, [700.0])  # it is at rest there
    assert (made.present("one"), made.constant_since(29.0)) == ((700.0, 700.0), 700.0)
    made.record("one", 30.0, [700.0, 900.0])
    assert made.present("one") == (700.0, 900.0)


@pytest.mark.parametrize(
    ("records", "overtaken_w"),
    [
        ([[-3000.0, 0.0], [-2000.0, 0.0], [-2000.0, -6000.0], [-2500.0, -6000.0]], []),
        ([[-3000.0, 0.0], [-2000.0, 0.0], [-2000.0, -6000.0], [-2150.0, -6000.0]], [0.0]),  # as exact as a meter
        ([[-3000.0, 0.0], [-2000.0, 0.0], [-2000.0, -6000.0], [-2151.0, -6000.0]], []),
        ([[-3000.0, 0.0], [-2150.0, 0.0], [-2000.0, -6000.0], [-2500.0, -6000.0]], []),  # turned at any time
        ([[-3000.0, 0.0], [-2000.0, 0.0], [-2000.0, -6000.0], [-1000.0, -6000.0]], [0.0]),  # has not turned
        ([[-2000.0, 0.0], [-2000.0, -6000.0], [-2500.0, -6000.0]], [0.0]),  # it may not have begun to follow it
        ([[-3000.0], [-2000.0, 0.0], [-2000.0, -6000.0], [-2500.0, -6000.0]], []),
        ([[-3000.0, 0.0], [-2000.0], [-2000.0, 0.0], [-2000.0, -6000.0], [-2500.0, -6000.0]], [0.0]),  # it was at rest
        ([[-3e3, 0.0], [-2e3, 0.0], [-2e3], [-2e3, 0.0], [-2e3, -6e3], [-2500.0, -6e3]], [0.0]),  # and was before
        # what was ordered before the one that it followed is over, too
        ([[-3e3], [-3e3, -9e3], [-3e3, 0.0], [-2e3, 0.0], [-2e3, -6e3], [-2500.0, -6e3]], []),
        ([[-3000.0, -9000.0], [-3000.0, 0.0], [-2000.0, 0.0], [-2000.0, -6000.0], [-2500.0, -6000.0]], []),
        # of two that were followed neither counts, but all that were ordered after one the other way
        ([[-3000.0, -500.0], [-2000.0, 0.0], [-2000.0, -6000.0], [-2500.0, -6000.0]], []),
        ([[-3e3, 0.0], [-2e3, -7e3], [-2e3, 500.0], [-2e3, -6e3], [-2500.0, -6e3]], [-7e3, 500.0]),
        # it has followed none of them
        ([[-3e3, -7e3], [-2e3, -7e3], [-2e3, -2500.0], [-2e3, -6e3], [-2500.0, -6e3]], [-7e3]),
    ],
)
def test_an_order_that_a_resource_has_turned_away_from_is_over(
    records: list[list[float]], overtaken_w: list[float]
) -> None:
    made = PowerHistory()
    for second, powers_w in enumerate(records):
        made.record("one", float(second), powers_w)
    last_w = [*overtaken_w, *records[-1]]
    assert made.present("one") == (min(last_w), max(last_w))


def test_rounding_errors_do_not_add_up() -> None:
    made = PowerHistory()
    for second in range(100):
        made.record("one", float(second), [0.1 * second])
    made.record("two", 100.0, [0.2, 0.7, 0.3])
    made.record("one", 101.0, [0.0])
    made.record("three", 102.0, [0.0, 1.0])
    made.record("three", 103.0, [0.0])
    made.tidy(100.0 + KEEP_S)
    now = made.within(103.0, 103.0)
    assert now[:4] == (0.2, 0.7, 0.7 - 0.2, 0.7 - 0.3)
    assert now == pytest.approx((*now[:4], 11.6, 10.1, 11.6, 10.1))


# readings -------------------------------------------------------------------------------------------------------------


def read(model: MeterModel, now: float, grid_w: float, connection_w: float | None = None) -> tuple[float, float]:
    """Apply a reading; return the interval of the base load."""
    model.metered(now, now, 0.0, grid_w, connection_w)
    found = model.base_load()
    assert found is not None
    return found.low_w, found.high_w


@pytest.mark.parametrize(
    ("first_w", "then_w", "connection_w", "possible"),
    [
        (100.0, 30_000.0, None, True),
        (100.0, -30_000.0, None, True),
        (100.0, 30_001.0, None, False),
        (-11_000.0, 33_000.0, None, True),
        (-11_000.0, 33_001.0, None, False),
        (100.0, 5000.0, 5000.0, True),
        (100.0, 5001.0, 5000.0, False),
        (100.0, -5001.0, 5000.0, False),
    ],
)
def test_a_reading_is_possible_up_to_what_the_connection_can_carry(
    first_w: float, then_w: float, connection_w: float | None, possible: bool
) -> None:
    model = MeterModel()
    read(model, 0.0, first_w)
    read(model, 1.0, first_w)
    assert read(model, 2.0, then_w, connection_w) == (
        (min(first_w, then_w), max(first_w, then_w)) if possible else (first_w, first_w)
    )


def test_the_first_reading_is_possible_unless_the_connection_cannot_carry_it() -> None:
    assert read(MeterModel(), 0.0, 1e7) == (1e7, 1e7)
    model = MeterModel()
    model.metered(0.0, 0.0, 0.0, 5001.0, 5000.0)
    assert model.base_load() is None
    assert read(model, 1.0, 5001.0, 5000.0) == (5001.0, 5001.0)


@pytest.mark.parametrize(
    ("doubted_w", "then_w", "confirmed"),
    [
        (40_000.0, 40_000.0, True),
        (40_000.0, 30_000.0, True),  # it differs by a quarter
        (40_000.0, 29_999.0, False),
        (30_000.0, 40_000.0, True),
        (30_000.0, 40_001.0, False),
        (-40_000.0, 40_000.0, False),
        (-40_000.0, -30_000.0, True),
    ],
)
def test_an_impossible_reading_is_confirmed_by_the_next_one_alike(
    doubted_w: float, then_w: float, confirmed: bool
) -> None:
    model = MeterModel()
    for second in range(3):
        read(model, float(second), 100.0, 5000.0)
    assert read(model, 3.0, doubted_w, 5000.0) == (100.0, 100.0)
    assert read(model, 4.0, then_w, 5000.0) == (
        (min(100.0, then_w), max(100.0, then_w)) if confirmed else (100.0, 100.0)
    )
    if confirmed:
        assert read(model, 5.0, then_w, 5000.0) == (then_w, then_w)


def test_a_possible_reading_between_two_impossible_ones_leaves_each_in_doubt() -> None:
    model = MeterModel()
    for now, grid_w in enumerate((100.0, 40_000.0, 100.0, 40_000.0)):
        assert read(model, float(now), grid_w, 5000.0) == (100.0, 100.0)


@pytest.mark.parametrize(
    ("now", "grid_w", "tracked_w"),
    [
        (1.0, 1300.0, 1000.0 + 300.0 * (1 - math.exp(-0.5))),
        (3.0, 700.0, 1000.0 - 300.0 * (1 - math.exp(-1.5))),
        (1.0, 2999.0, 1000.0 + 1999.0 * (1 - math.exp(-0.5))),
        (1.0, 3000.0, 3000.0),
        (1.0, -1000.0, -1000.0),
        (-1.0, 1300.0, 1000.0),  # the clock went back
    ],
)
def test_noise_is_filtered_and_a_load_that_is_switched_on_is_not(now: float, grid_w: float, tracked_w: float) -> None:
    model = MeterModel()
    model.metered(0.0, 0.0, 0.0, 1000.0)
    assert model.base_load() == BaseLoad(1000.0, 1000.0, 1000.0)
    model.metered(now, 1.0, 0.0, grid_w)
    found = model.base_load()
    assert found is not None
    assert found.power_w == pytest.approx(tracked_w)
    assert (found.low_w, found.high_w) == (min(1000.0, grid_w), max(1000.0, grid_w))


def test_the_present_power_of_resources_besides_is_added() -> None:
    model = MeterModel()
    model.history.record("one", -100.0, [300.0])
    model.metered(0.0, 0.0, 0.0, 1000.0)
    assert model.base_load() == BaseLoad(700.0, 700.0, 700.0)
    model.history.record("one", 1.0, [300.0, 500.0])
    model.history.record("two", 1.0, [-40.0, -20.0])
    assert model.base_load(["one", "two", "three"]) == BaseLoad(1070.0, 960.0, 1180.0)


@pytest.mark.parametrize(
    ("delay_s", "age_s", "base_w"), [(0.0, 30.0, 1000.0), (30.0, 0.0, 1000.0), (30.0, 5.0, 1000.0), (0.0, 0.0, 400.0)]
)
def test_the_delay_is_configured_or_shown_by_the_time_stamps(delay_s: float, age_s: float, base_w: float) -> None:
    model = MeterModel(delay_s)
    model.metered(0.0, 0.0, age_s, 1000.0)
    model.history.record("one", 0.0, [600.0])
    for now in range(1, 30):  # longer than any delay that is tried without being shown
        model.metered(float(now), float(now), age_s, 1000.0)
    found = model.base_load()
    assert found is not None
    assert found.power_w == pytest.approx(base_w, abs=1.0)  # filtered
    assert (found.low_w, found.high_w) == pytest.approx((base_w, base_w))
