"""Ageing against the published laws: losses after N days and N full cycles, calculated independently of the code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.battery.ageing import Age
from emulators.battery.ageing_laws import LAWS
from emulators.battery.chemistry import LFP
from emulators.battery.pack import GENERIC_63, Pack


def stored(chemistry: str, charge: float, celsius: float, days: int) -> Age:
    age = Age(law=LAWS[chemistry])
    for _ in range(days):
        age.rest(charge, celsius, 1.0)
    return age


def cycled(chemistry: str, low: float, high: float, times: int) -> Age:
    age = Age(law=LAWS[chemistry])
    for _ in range(times):
        for start, end in ((low, high), (high, low)):
            for n in range(10):
                age.move(start + (end - start) * (n + 1) / 10, start + (end - start) * n / 10)
    age.move(low + 0.02, low)
    return age


# Worked by hand from the papers' equations; NMC at 50 % is 3.697 V:
# (7.543·3.697 − 23.75)·10⁶·exp(−6976/323.15)·400^0.75 = 4.136·10⁶·4.211·10⁻¹⁰·89.44
@pytest.mark.parametrize(
    ("chemistry", "charge", "celsius", "days", "lost"),
    [
        ("NMC", 0.5, 50.0, 400, 0.1558),
        ("NMC", 0.5, 35.0, 365, 0.0509),
        ("NMC", 1.0, 50.0, 200, 0.1713),
        ("LFP", 0.5, 25.0, 885, 0.0662),  # 1.2571·10⁻⁵·0.60225·√(885·86400)
        ("LFP", 1.0, 40.0, 885, 0.1461),
        ("LMO", 0.5, 25.0, 365, 0.0599),  # 3.25·10⁸·exp(−7580/298.15)·exp(81/298.15)·365^0.464
    ],
)
def test_calendar_ageing_matches_the_published_law(
    chemistry: str, charge: float, celsius: float, days: int, lost: float
) -> None:
    assert stored(chemistry, charge, celsius, days).calendar == pytest.approx(lost, rel=0.02)


# NMC from 10 % to 90 %: mean 3.735 V, depth 0.8, 400 full cycles are 1720 Ah: β = 4.058·10⁻³, times √1720
@pytest.mark.parametrize(
    ("chemistry", "low", "high", "times", "lost"),
    [
        ("NMC", 0.1, 0.9, 500, 0.1683),
        ("NMC", 0.0, 1.0, 500, 0.2258),
        ("LFP", 0.0, 1.0, 1000, 0.0503),  # (0.063/3 + 0.0971)·(4.0253·0.4³ + 1.0923)·√1000 %
        ("LMO", 0.0, 1.0, 1000, 0.1318),  # 7.58·10⁻⁵·1000^1.08
    ],
)
def test_cycle_ageing_matches_the_published_law(
    chemistry: str, low: float, high: float, times: int, lost: float
) -> None:
    assert cycled(chemistry, low, high, times).cycle == pytest.approx(lost, rel=0.02)


def test_resistance_rises_as_published() -> None:
    # NMC, 50 °C, 50 %: (5.270·3.697 − 16.32)·10⁵·exp(−5986/323.15)·400^0.75
    assert stored("NMC", 0.5, 50.0, 400).resistance_calendar == pytest.approx(0.2544, rel=0.02)
    # LFP, 40 °C, 50 %: 3.4194·10⁻¹⁰·86400·exp(−71827/R·(1/313.15 − 1/298.15))·1.5604·885
    assert stored("LFP", 0.5, 40.0, 885).resistance_calendar == pytest.approx(0.1628, rel=0.02)
    assert cycled("NMC", 0.0, 1.0, 500).resistance_cycle > cycled("NMC", 0.3, 0.7, 1250).resistance_cycle


def test_ageing_increases_with_temperature_charge_and_depth() -> None:
    for chemistry in LAWS:
        assert stored(chemistry, 0.5, 40, 100).calendar > 1.2 * stored(chemistry, 0.5, 25, 100).calendar
        assert stored(chemistry, 1.0, 25, 100).calendar > stored(chemistry, 0.2, 25, 100).calendar > 0
    assert cycled("NMC", 0.1, 0.9, 100).cycle > 1.5 * cycled("NMC", 0.45, 0.55, 800).cycle > 0


@given(st.sampled_from(sorted(LAWS)), st.floats(0, 1), st.floats(-10, 55), st.integers(1, 60), st.integers(1, 8))
def test_ageing_is_independent_of_the_step_size(
    chemistry: str, charge: float, celsius: float, days: int, pieces: int
) -> None:
    whole, parts = Age(law=LAWS[chemistry]), Age(law=LAWS[chemistry])
    whole.rest(charge, celsius, days)
    for _ in range(pieces):
        parts.rest(charge, celsius, days / pieces)
    assert parts.calendar == pytest.approx(whole.calendar, rel=1e-6)
    assert parts.resistance_calendar == pytest.approx(whole.resistance_calendar, rel=1e-6)
    assert whole.capacity_factor <= 1 <= whole.resistance_factor


def test_a_pack_ages_by_the_model_of_its_chemistry() -> None:
    from dataclasses import replace

    nmc, lfp = Pack(GENERIC_63), Pack(replace(GENERIC_63, chemistry=LFP))
    assert nmc.age.law is LAWS[GENERIC_63.chemistry.name]
    assert lfp.age.law is LAWS["LFP"]
