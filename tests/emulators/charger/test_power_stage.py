"""Converter: limits, ramp, losses, contactors, protections, and a meter that only grows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.battery.pack import Pack
from emulators.charger.hardware.meter import Meter, MeterSpec
from emulators.charger.hardware.power_stage import Bounds, Contactors, Fault, PowerStage, StageSpec
from emulators.ev.car import Car
from tests.rounds import rounds


def running(soc: float = 60.0, spec: StageSpec | None = None) -> tuple[PowerStage, Car]:
    car = Car(soc_pct=soc)
    car.contactors_closed = True
    stage = PowerStage(spec or StageSpec())
    stage.connect(car)
    stage.advance(0.0)
    stage.close(0.0)
    return stage, car


def test_a_setpoint_ramps_and_is_metered() -> None:
    stage, car = running()
    stage.set_point(-5000.0, 10.0)
    half = stage.reading(10.5)
    assert -3000 < half.ac_power_w < -2000
    there = stage.reading(20.0)
    assert there.ac_power_w == pytest.approx(-5000, rel=0.005)
    assert there.dc_power_w < there.ac_power_w
    assert there.current_a == pytest.approx(there.dc_power_w / there.voltage_v, rel=0.01)
    assert car.energy_out_wh > 0


@settings(max_examples=rounds(20, 50), deadline=None)
@given(
    st.floats(10, 95),
    st.lists(
        st.tuples(st.floats(-15_000, 15_000), st.floats(0.05, 200), st.floats(0, 80), st.floats(0, 80)),
        min_size=1,
        max_size=8,
    ),
)
def test_limits_hold_and_energy_is_conserved(soc: float, orders: list[tuple[float, float, float, float]]) -> None:
    stage, car = running(soc)
    now = 0.0
    for watts, seconds, into, out in orders:
        stage.limit(Bounds(into, out), now)
        stage.set_point(watts, now)
        charged, discharged = stage.meter.charged_wh, stage.meter.discharged_wh
        now += seconds
        seen = stage.reading(now)
        assert -out - 1e-6 <= seen.current_a <= into + 1e-6
        assert abs(seen.current_a) <= stage.spec.max_current_a + 1e-6
        assert -stage.spec.max_discharge_w * 1.02 <= seen.ac_power_w <= stage.spec.max_charge_w * 1.02
        assert stage.meter.charged_wh >= charged
        assert stage.meter.discharged_wh >= discharged
    into_car = car.energy_in_wh - car.energy_out_wh
    metered = stage.meter.true_charged_wh - stage.meter.true_discharged_wh
    assert metered == pytest.approx(into_car + stage.loss_wh, abs=1e-3)
    assert stage.loss_wh >= 0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.01, 30), min_size=1, max_size=30))
def test_results_do_not_depend_on_the_polling_rate(looks: list[float]) -> None:
    watched, one = running()
    alone, two = running()
    for stage in (watched, alone):
        stage.set_point(-6000, 0.0)
    now = 0.0
    for look in looks:
        now += look
        watched.reading(now)
    assert watched.reading(now) == alone.reading(now)
    assert one.pack.charge == two.pack.charge


def test_below_minimum_power_is_zero() -> None:
    stage, _ = running()
    stage.set_point(-150, 0.0)
    assert stage.reading(10).ac_power_w == 0
    stage.set_point(250, 10.0)
    assert stage.reading(20).ac_power_w == pytest.approx(250, rel=0.02)


def test_no_power_with_open_contactors_or_without_vehicle() -> None:
    stage, car = running()
    stage.set_point(4000, 0.0)
    assert stage.reading(5).current_a > 0
    stage.open(5.0)
    assert stage.reading(6).current_a == 0
    assert stage.voltage_v == 0
    stage.close(6.0)
    stage.disconnect()
    assert stage.contactors is Contactors.OPEN
    assert stage.reading(10).current_a == 0
    before = car.energy_in_wh
    stage.advance(100)
    assert car.energy_in_wh == before


def test_welded_contactors_keep_the_voltage() -> None:
    stage, _ = running()
    stage.contactors = Contactors.WELDED
    stage.open(1.0)
    assert stage.voltage_v > 300


def test_a_trip_stops_the_power_until_reset() -> None:
    stage, _ = running()
    stage.set_point(-4000, 0.0)
    stage.advance(5)
    stage.trip(Fault.GRID, 5.0)
    assert stage.reading(5.05).ac_power_w == 0
    assert stage.available_discharge_w == 0
    stage.reset(Fault.GRID, 6.0)
    assert stage.reading(10).ac_power_w == pytest.approx(-4000, rel=0.01)
    stage.insulation_ohm = 10_000
    assert not stage.insulation_good


def test_without_grid_only_a_grid_forming_stage_supplies() -> None:
    following, _ = running()
    forming, _ = running(spec=StageSpec(forming=True))
    for stage in (following, forming):
        stage.set_point(-3000, 0.0)
        stage.advance(3)
        stage.grid_present = False
        stage.advance(6)
    assert following.reading(6).ac_power_w == 0
    assert forming.reading(6).ac_power_w == pytest.approx(-3000, rel=0.01)


def test_precharge_reaches_the_vehicle_voltage() -> None:
    stage = PowerStage()
    assert stage.precharge(380.0) == 380.0
    assert stage.precharge(9999.0) == stage.spec.max_voltage_v


def test_losses_are_those_of_the_curve() -> None:
    stage, _ = running(spec=StageSpec(standby_w=0))
    stage.set_point(-10_000 * 0.93 * 0.4, 0.0)
    seen = stage.reading(30)
    assert seen.ac_power_w / seen.dc_power_w == pytest.approx(0.93, abs=0.002)


@pytest.mark.parametrize(
    ("watts", "low", "high"),
    [(500, 0.60, 0.75), (1000, 0.75, 0.85), (3000, 0.88, 0.93), (7000, 0.93, 0.95), (9000, 0.93, 0.95)],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_default_efficiency_is_that_of_measured_chargers(watts: float, low: float, high: float, sign: int) -> None:
    """One way, standby consumption included, of a charger of 10 kW."""
    stage, _ = running()
    stage.set_point(sign * watts, 0.0)
    seen = stage.reading(30)
    assert seen.ac_power_w == pytest.approx(sign * watts, rel=0.01)
    into, out = (seen.ac_power_w, seen.dc_power_w) if sign > 0 else (-seen.dc_power_w, -seen.ac_power_w)
    assert low <= out / into <= high


def test_a_round_trip_at_low_power_loses_more_than_near_the_rated_power() -> None:
    trips = []
    for watts in (500.0, 1000.0, 8000.0):
        one_way = []
        for power_w in (watts, -watts):
            stage, _ = running()
            stage.set_point(power_w, 0.0)
            seen = stage.reading(30)
            one_way.append(seen.dc_power_w / seen.ac_power_w)
        trips.append(one_way[0] / one_way[1])
    assert trips == sorted(trips)
    assert 0.36 <= trips[0] <= 0.55
    assert 0.55 <= trips[1] <= 0.72
    assert 0.86 <= trips[2] <= 0.91


def test_standby_is_metered_while_nothing_flows() -> None:
    stage = PowerStage()
    stage.connect(Pack())
    stage.advance(0)
    stage.advance(36_000)
    assert stage.meter.charged_wh == pytest.approx(250, abs=1)


@given(st.lists(st.floats(-1000, 1000), max_size=30), st.floats(0, 3))
def test_a_meter_is_within_its_accuracy_class_and_its_register_only_grows(steps: list[float], class_pct: float) -> None:
    meter = Meter(MeterSpec(class_pct=class_pct, resolution_wh=0), seed=7)
    for energy in steps:
        before = meter.charged_wh, meter.discharged_wh
        meter.add(energy, 60)
        assert meter.charged_wh >= before[0]
        assert meter.discharged_wh >= before[1]
    assert abs(meter.charged_wh - meter.true_charged_wh) <= class_pct / 100 * meter.true_charged_wh + 1e-6


def test_meter_faults() -> None:
    meter = Meter()
    meter.add(10, 3600)
    meter.stuck = True
    meter.add(10, 3600)
    assert (meter.charged_wh, meter.true_charged_wh, meter.power_w) == (10, 20, 10)
    meter.stuck = False
    meter.sign_swapped = True
    meter.add(10, 3600)
    assert meter.discharged_wh == 10
    drifting = Meter(MeterSpec(drift_pct_year=1.0, resolution_wh=0))
    drifting.add(0, 365 * 86400)
    drifting.add(1000, 3600)
    assert drifting.charged_wh == pytest.approx(1010, rel=1e-3)
