"""Prices and forecasts of the plan's steps: time-weighted means of the periods inside them; what is unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.energy.forecast import DayProfile
from gateway.energy.price import DAY_S, Tariff, flat, tariff_of
from gateway.model.site import Forecast, ForecastPeriod, Price, PricePeriod

MIDNIGHT = 1_800_000_000.0 - 1_800_000_000.0 % 86_400
STEP_S = 1800.0


def quarters(*prices: float, begin: float = MIDNIGHT, length_s: float = 900.0) -> Tariff:
    periods = [
        PricePeriod(
            start=begin + number * length_s, duration_s=length_s, import_per_kwh=price, export_per_kwh=price / 2
        )
        for number, price in enumerate(prices)
    ]
    return tariff_of(Price(ts=begin, prices=tuple(periods)))


def test_a_step_has_the_mean_of_the_quarter_hours_inside_it() -> None:
    buy, sell = quarters(80, 20, 10, 30).series(MIDNIGHT, STEP_S, 2)
    assert buy == pytest.approx([50, 20])
    assert sell == pytest.approx([25, 10])


def test_the_step_that_has_begun_has_the_mean_of_the_time_left() -> None:
    tariff = quarters(80, 20, 10, 30)
    assert tariff.series(MIDNIGHT, STEP_S, 1, MIDNIGHT + 900)[0] == pytest.approx([20])
    assert tariff.series(MIDNIGHT, STEP_S, 1, MIDNIGHT + 600)[0] == pytest.approx([(80 * 300 + 20 * 900) / 1200])


@given(
    st.lists(st.floats(-50, 100), min_size=1, max_size=300),
    st.sampled_from([300.0, 600.0, 900.0, 1800.0, 3600.0]),
    st.integers(1, 60),
    st.sampled_from([900.0, 1800.0, 3600.0]),
    st.integers(0, 3000),
)
def test_means_are_those_of_each_second(
    prices: list[float], length_s: float, steps: int, step_s: float, later_s: int
) -> None:
    """Sampled at the middle of each minute; periods and steps begin at full minutes."""
    tariff = quarters(*prices, length_s=length_s)
    start = MIDNIGHT + later_s * 60.0
    buy, _ = tariff.series(start, step_s, steps)
    mean = sum(prices) / len(prices)
    for number in range(steps):
        minutes = [start + number * step_s + minute * 60 + 30 for minute in range(int(step_s / 60))]
        found = []
        for at in minutes:
            known = [tariff.at(at + days * DAY_S) for days in (0, -1, -2, 1, -3, -7)]
            found.append(next((price[0] for price in known if price is not None), mean))
        assert buy[number] == pytest.approx(sum(found) / len(found), abs=1e-6)


def test_a_missing_price_is_that_of_another_day() -> None:
    today = quarters(*[10.0, 30.0] * 48)
    assert today.series(MIDNIGHT + 6 * 3600, STEP_S, 96)[0] == pytest.approx([20.0] * 96)
    short = quarters(10, 20, begin=MIDNIGHT + DAY_S)
    assert short.series(MIDNIGHT + DAY_S, STEP_S, 2)[0] == pytest.approx([15, 15])
    with pytest.raises(ValueError, match="no price"):
        Tariff().series(MIDNIGHT, STEP_S, 1)
    assert flat(20.0, 42.0).series(MIDNIGHT, STEP_S, 2) == ([20.0, 20.0], [42.0, 42.0])


def test_a_step_has_the_mean_of_the_forecast_inside_it() -> None:
    profile = DayProfile()
    profile.record(MIDNIGHT, 600.0, 0.0)
    periods = [
        ForecastPeriod(start=MIDNIGHT + number * 900, duration_s=900, load_w=watts, pv_w=2 * watts)
        for number, watts in enumerate((1000, 3000, 5000))
    ]
    outlook = profile.outlook(MIDNIGHT, STEP_S, 2, Forecast(ts=MIDNIGHT, series=tuple(periods)))
    assert outlook.load_w == pytest.approx((2000, (5000 + 600) / 2))
    assert outlook.pv_w[0] == pytest.approx(4000)
    assert outlook.load_sigma[0] < outlook.load_sigma[1]
