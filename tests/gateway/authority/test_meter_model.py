"""Base load behind a grid meter: unknown delays, powers that move, wrong readings."""

from __future__ import annotations

import math

import pytest

from gateway.authority.meter_model import Band, MeterModel
from gateway.authority.power_history import RESPONSE_S, PowerHistory


def base_w(model: MeterModel) -> tuple[int, int]:
    """Return the extremes of the base load, for limits."""
    found = model.base_load()
    assert found is not None
    return round(found.low_w), round(found.high_w)


def feed(model: MeterModel, begin: int, end: int, grid_w: float, connection_w: float | None = None) -> None:
    """Report a power each second, without a time stamp that shows its age."""
    for second in range(begin, end):
        model.metered(float(second), float(second), 0.0, grid_w, connection_w)


def at_rest(base_w: float = 2000.0) -> MeterModel:
    model = MeterModel()
    feed(model, 0, 30, base_w)
    return model


def test_there_is_no_base_load_before_the_first_reading() -> None:
    assert MeterModel().base_load() is None


@pytest.mark.parametrize("delay_s", [0, 1, 4, 9, 15])
def test_a_controlled_power_is_not_taken_for_load_whatever_the_delay(delay_s: int) -> None:
    model = at_rest()
    model.history.record("CP1-1", 30.0, [4000.0])
    for second in range(30, 60):
        feed(model, second, second + 1, 2000.0 if second < 30 + delay_s else 6000.0)
        assert base_w(model) == (2000, 2000)


@pytest.mark.parametrize("delay_s", [0, 4, 15])
def test_a_load_is_seen_at_once_although_the_delay_is_unknown(delay_s: int) -> None:
    model = at_rest()
    model.history.record("CP1-1", 30.0, [4000.0])
    feed(model, 30, 30 + delay_s, 2000.0)
    feed(model, 30 + delay_s, 50, 6000.0)
    feed(model, 50, 51, 9000.0)
    assert base_w(model)[1] == 5000
    model.history.record("CP1-1", 51.0, [1000.0])
    feed(model, 51, 51 + delay_s, 9000.0)
    feed(model, 51 + delay_s, 80, 6000.0)
    assert base_w(model) == (5000, 5000)


def test_a_power_on_its_way_explains_no_more_than_its_way() -> None:
    model = at_rest()
    model.history.record("CP1-1", 30.0, [0.0, 4000.0])
    feed(model, 31, 32, 4500.0)
    assert base_w(model) == (2000, 2000)
    feed(model, 32, 34, 7000.0)
    assert base_w(model)[1] >= 3000
    model.history.record("CP1-1", 34.0, [4000.0])
    feed(model, 34, 60, 7000.0)
    assert base_w(model) == (3000, 3000)


def test_a_power_that_falls_does_not_rise_again() -> None:
    model = at_rest()
    model.history.record("CP1-1", 30.0, [6000.0])
    feed(model, 30, 60, 8000.0)
    model.history.record("CP1-1", 60.0, [6000.0, 1000.0])
    feed(model, 60, 64, 3000.0)  # it has arrived, although its own meter has not shown it
    feed(model, 64, 65, 5000.0)
    assert base_w(model)[1] >= 4000


def test_a_reading_that_releases_power_is_confirmed_first() -> None:
    model = at_rest(3000.0)
    feed(model, 30, 31, 1000.0)
    assert base_w(model) == (1000, 3000)
    feed(model, 31, 32, 1000.0)
    assert base_w(model) == (1000, 1000)


@pytest.mark.parametrize("wrong_w", [-52_800.0, 52_800.0, -327_680.0, 1e7])
def test_one_impossible_reading_changes_nothing_and_a_second_one_confirms_it(wrong_w: float) -> None:
    for connection_w in (40_000.0, None):
        model = at_rest()
        feed(model, 30, 31, wrong_w, connection_w)
        assert base_w(model) == (2000, 2000)
        feed(model, 31, 32, 2000.0, connection_w)
        assert base_w(model) == (2000, 2000)
        feed(model, 32, 34, wrong_w, connection_w)
        assert round(wrong_w) in base_w(model)
        feed(model, 34, 40, wrong_w * 1.01, connection_w)  # and is then obeyed without delay
        assert base_w(model) == (round(wrong_w * 1.01), round(wrong_w * 1.01))


def test_a_repeated_message_is_no_second_reading() -> None:
    model = at_rest()
    model.metered(30.0, 30.0, 0.0, 90_000.0, 40_000.0)
    model.metered(31.0, 30.0, 0.0, 90_000.0, 40_000.0)
    assert base_w(model) == (2000, 2000)


def test_time_stamps_that_show_the_delay_are_used_however_irregular() -> None:
    model = at_rest()
    for second in range(30, 60):
        model.history.record("CP1-1", float(second), [1000.0 * (second % 7)])
        age_s = 0.25 + second % 8  # the bridge delivers what it has gathered
        if second % 8 not in (0, 1, 7):
            continue
        seen = math.floor(second - age_s)
        seen_w = 1000.0 * (seen % 7) if seen >= 30 else 0.0
        model.metered(float(second), second - age_s, age_s, 2000.0 + seen_w)
    assert base_w(model) == (2000, 2000)


def test_the_tracked_load_is_filtered_but_not_a_step() -> None:
    model = at_rest(2000.0)
    model.metered(30.0, 30.0, 0.0, 2300.0)
    noisy = model.base_load()
    assert noisy is not None
    assert 2000 < noisy.power_w < 2200
    model.metered(31.0, 31.0, 0.0, 6000.0)
    stepped = model.base_load()
    assert stepped is not None
    assert stepped.power_w == pytest.approx(6000.0)


def test_resources_besides_count_at_their_present_power() -> None:
    model = at_rest()
    model.history.record("storage", 29.5, [0.0, 500.0])
    found = model.base_load(["storage", "unknown"])
    assert found is not None
    assert (round(found.low_w), round(found.power_w), round(found.high_w)) == (2000, 2250, 2500)


def test_the_history_is_bounded() -> None:
    history = PowerHistory()
    for second in range(5000):
        history.record("CP1-1", float(second), [float(second % 3)])
        history.tidy(float(second))
    assert len(history._totals) < 300
    assert history.within(4990.0, 4999.0).high_w == 2.0
    assert history.present("CP1-1") == (1.0, 1.0)


def test_an_order_that_a_newer_one_has_overtaken_may_still_be_followed() -> None:
    history = PowerHistory()
    history.record("CP1-1", 0.0, [0.0, 8000.0])
    history.record("CP1-1", 1.0, [0.0, 2000.0])
    assert history.present("CP1-1") == (0.0, 8000.0)
    history.record("CP1-1", 1.0 + RESPONSE_S, [0.0, 2000.0])
    assert history.present("CP1-1") == (0.0, 2000.0)
    history.record("CP1-1", 17.0, [0.0, 6000.0])
    history.record("CP1-1", 18.0, [6000.0])
    assert history.present("CP1-1") == (6000.0, 6000.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_load_that_exceeds_a_limit_while_power_moves_counts_as_the_most_it_may_be(sign: int) -> None:
    """Until the reading that exceeds it, an unchanged load explains the readings."""
    model, allowed = at_rest(sign * 2000.0), Band(-10_000.0, 10_000.0)
    model.history.record("CP1-1", 30.0, [0.0, sign * 8000.0])
    model.metered(31.0, 31.0, 0.0, sign * 8000.0, None, allowed)
    assert base_w(model) == (sign * 2000, sign * 2000)
    model.metered(32.0, 32.0, 0.0, sign * 10_500.0, None, allowed)
    assert (base_w(model)[1] if sign > 0 else base_w(model)[0]) == sign * 10_500
    model.history.record("CP1-1", 32.0, [sign * 8000.0, 0.0])
    feed(model, 33, 36, sign * 16_000.0)
    model.history.record("CP1-1", 36.0, [0.0])
    feed(model, 37, 60, sign * 8000.0)
    assert base_w(model) == (sign * 8000, sign * 8000)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("low_w", "high_w"), [(500.0, 5500.0), (-1500.0, 4000.0), (1000.0, 8000.0)])
def test_a_time_stamp_that_shows_the_delay_leaves_no_other_delay_open(sign: float, low_w: float, high_w: float) -> None:
    """Where the power was at rest when a reading was taken, its load is known: also after a limit was exceeded."""
    powers_w = (0.0, 0.0, -2500.0, -9500.0, -9500.0, 0.0, 3500.0, 8500.0, 8500.0, -4500.0, -4500.0, -4500.0)
    model, power_w, seen = MeterModel(), 0.0, [0.0]
    for number, next_w in enumerate(powers_w[2:]):
        begin = 10.0 * number
        model.history.record("CP1-1", begin + 3.0, [power_w, sign * next_w])
        model.history.record("CP1-1", begin + 4.0, [sign * next_w])
        power_w, load_w = sign * next_w, sign * (high_w if number == 2 else low_w)
        grid_w = load_w + sign * powers_w[number]  # measured before this movement and the one before
        model.metered(begin + 4.0, begin - 11.0, 15.0, grid_w, None, Band(-4000.0, 4000.0))
        seen = [*seen[-1:], load_w] if number else [load_w]
        assert base_w(model) == (min(seen), max(seen))
