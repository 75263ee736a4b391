"""Battery pack: energy balance, voltage limits, temperature derating, ageing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.battery.chemistry import CHEMISTRIES, LFP, LMO, NMC, Chemistry, Curve
from emulators.battery.pack import GENERIC_63, Battery, Pack, PackSpec
from tests.rounds import rounds

any_chemistry = st.sampled_from([NMC, LFP, LMO])


def spec_of(chemistry: Chemistry) -> PackSpec:
    return PackSpec("test", chemistry, max_discharge_a=200.0)


@settings(max_examples=rounds(15, 40), deadline=None)
@given(
    any_chemistry,
    st.floats(0, 100),
    st.floats(-25, 55),
    st.lists(st.tuples(st.floats(-1, 1), st.floats(1, 3600)), min_size=1, max_size=24),
)
def test_the_energy_balance_closes_over_a_day(
    chemistry: Chemistry, soc: float, celsius: float, day: list[tuple[float, float]]
) -> None:
    pack = Pack(spec_of(chemistry), soc, temperature_c=celsius, ambient_c=celsius)
    stored = pack.stored_wh
    summed = 0.0
    for share, seconds in day:
        amps = share * (pack.max_charge_a() if share > 0 else pack.max_discharge_a())
        summed += pack.flow(amps, seconds)
    through = pack.energy_in_wh + pack.energy_out_wh
    closing = pack.energy_in_wh - pack.energy_out_wh - pack.loss_wh - (pack.stored_wh - stored)
    assert abs(closing) <= 0.001 * through + 0.01
    assert summed == pytest.approx(pack.energy_in_wh - pack.energy_out_wh)
    assert pack.loss_wh >= 0


@given(any_chemistry, st.floats(5, 95), st.floats(-80, 80))
def test_energy_is_what_a_meter_at_the_terminals_counts(chemistry: Chemistry, soc: float, amps: float) -> None:
    pack = Pack(spec_of(chemistry), soc)
    metered = 0.0
    for _ in range(600):
        before = pack.rest_v + amps * pack.resistance_ohm
        pack.flow(amps, 1.0)
        metered += (before + pack.voltage_v) / 2 * amps / 3600
    accounted = pack.energy_in_wh - pack.energy_out_wh
    assert accounted == pytest.approx(metered, rel=1e-3, abs=1e-6)


@given(any_chemistry, st.floats(0, 100), st.floats(-30, 60))
def test_allowed_currents_keep_the_cells_within_their_voltages(
    chemistry: Chemistry, soc: float, celsius: float
) -> None:
    pack = Pack(spec_of(chemistry), soc, temperature_c=celsius)
    top, bottom = (pack.spec.series * v for v in (chemistry.max_v, chemistry.min_v))
    assert pack.rest_v + pack.max_charge_a() * pack.resistance_ohm <= max(top, pack.rest_v) + 1e-6
    assert pack.rest_v - pack.max_discharge_a() * pack.resistance_ohm >= min(bottom, pack.rest_v) - 1e-6


@given(st.floats(2, 98), st.floats(-150_000, 80_000))
def test_the_current_for_a_power_yields_that_power(soc: float, watts: float) -> None:
    pack: Battery = Pack(soc_start_pct=soc)
    amps = pack.current_for(watts)
    assert isinstance(pack, Pack)
    assert (pack.rest_v + amps * pack.resistance_ohm) * amps == pytest.approx(watts, rel=1e-9, abs=1e-6)


def test_charging_is_constant_current_then_constant_voltage() -> None:
    spec = PackSpec("cccv", max_charge_a=120.0, resistance_ohm=0.1, self_discharge_pct_month=0)
    pack = Pack(spec, 40.0, temperature_c=25, ambient_c=25)
    currents = []
    for _ in range(6 * 3600 // 10):
        currents.append(pack.max_charge_a())
        pack.flow(currents[-1], 10)
    assert currents[0] == 120.0
    taper = [amps for amps in currents if 1e-6 < amps < 119.9]
    assert len(taper) > 20
    assert taper == sorted(taper, reverse=True)
    assert pack.soc_pct == pytest.approx(100, abs=0.1)


def test_discharge_is_limited_at_low_soc() -> None:
    spec = PackSpec("weak", resistance_ohm=0.4, usable_low=0.0, max_discharge_a=200.0)
    assert Pack(spec, 1.0).max_discharge_a() < Pack(spec, 8.0).max_discharge_a() < Pack(spec, 60.0).max_discharge_a()
    assert Pack(spec, 0.0).max_discharge_a() == 0.0


def test_temperature_derates_limits_and_changes_resistance() -> None:
    mild, cold, hot = (Pack(soc_start_pct=50, temperature_c=c) for c in (25, -15, 53))
    assert cold.max_charge_a() < 0.1 * mild.max_charge_a()
    assert hot.max_charge_a() < 0.5 * mild.max_charge_a()
    assert cold.resistance_ohm > 2 * mild.resistance_ohm
    assert cold.max_discharge_a() < mild.max_discharge_a()


def test_current_heats_the_pack_and_rest_cools_it() -> None:
    pack = Pack(soc_start_pct=90, temperature_c=20, ambient_c=20)
    pack.flow(-150, 1200)
    warm = pack.temperature_c
    assert warm > 23
    pack.flow(0, 4 * 86400)
    assert pack.temperature_c == pytest.approx(20, abs=0.1)
    assert warm - 20 <= pack.loss_wh * 3600 / pack.spec.heat_j_per_k


def test_a_63_kwh_pack_holds_63_kwh() -> None:
    assert GENERIC_63.usable_wh == pytest.approx(63_000, rel=0.02)
    pack = Pack(GENERIC_63, 100)
    assert pack.energy_between_wh(0, 100) == pytest.approx(GENERIC_63.usable_wh)
    assert pack.energy_between_wh(80, 20) == pytest.approx(-pack.energy_between_wh(20, 80))


def test_the_charge_stays_between_empty_and_full() -> None:
    pack = Pack(soc_start_pct=99)
    pack.flow(200, 7200)
    assert pack.charge == pytest.approx(1, abs=1e-4)
    assert pack.soc_pct == 100
    pack.flow(-200, 7200)
    assert pack.charge == pack.soc_pct == 0


def test_the_energy_balance_of_an_aged_pack_closes() -> None:
    pack = Pack(GENERIC_63, 90, ambient_c=35, temperature_c=35)
    stored = pack.stored_wh
    for _ in range(60):
        pack.flow(-40, 3600 * 2)
        pack.flow(41, 3600 * 2)
        pack.flow(0, 3600 * 20)
    assert pack.age.capacity_factor < 0.995
    closing = pack.energy_in_wh - pack.energy_out_wh - pack.loss_wh - (pack.stored_wh - stored)
    assert abs(closing) <= 0.001 * (pack.energy_in_wh + pack.energy_out_wh)


@given(st.floats(0, 1))
def test_the_integral_of_a_curve_is_its_area(x: float) -> None:
    for chemistry in CHEMISTRIES.values():
        steps = 2000
        area = sum(chemistry.ocv_v(x * (n + 0.5) / steps) for n in range(steps)) * x / steps
        assert chemistry.ocv_v.integral(x) == pytest.approx(area, rel=1e-3, abs=1e-9)
    with pytest.raises(ValueError, match="rising"):
        Curve([(1, 0), (0, 1)])


@given(st.lists(st.tuples(st.floats(0, 100), st.lists(st.floats(0, 100), max_size=6)), min_size=1, max_size=20))
def test_energies_to_fixed_levels_are_those_between_two_levels(asked: list[tuple[float, list[float]]]) -> None:
    pack = Pack(GENERIC_63, 50)
    for low, highs in [*asked, *asked]:  # what is kept is more than `MAX_KNOWN` values
        assert pack.energies_to_wh(low, highs) == [pack.energy_between_wh(low, high) for high in highs]
        pack.flow(-20.0, 60.0)
