"""Emulated vehicle: reported limits and energy requests, energy flow, quirks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.battery.pack import Battery
from emulators.ev.car import CCS_63, Car, CarSpec, Quirks


@given(st.floats(0, 100))
def test_energy_requests_are_ordered_and_change_sign_at_their_targets(soc: float) -> None:
    car = Car(soc_pct=soc)
    needs = car.energy()
    assert needs.minimum_v2x_wh is not None
    assert needs.maximum_v2x_wh is not None
    assert needs.minimum_wh <= needs.target_wh <= needs.maximum_wh
    assert needs.minimum_wh <= needs.minimum_v2x_wh <= needs.maximum_v2x_wh <= needs.maximum_wh
    for goal, wh in ((80, needs.target_wh), (20, needs.minimum_wh), (25, needs.minimum_v2x_wh)):
        assert (wh > 0) == (goal > car.soc_pct + 1e-9) or abs(wh) < 1


@given(st.floats(0, 100), st.floats(-25, 50))
def test_limits_are_magnitudes_within_model_and_pack(soc: float, celsius: float) -> None:
    car = Car(soc_pct=soc, ambient_c=celsius)
    limits = car.limits()
    assert 0 <= limits.max_charge_a <= min(car.spec.max_charge_a, car.pack.max_charge_a() + 1e-9)
    assert 0 <= limits.max_discharge_a <= min(car.spec.max_discharge_a, car.pack.max_discharge_a() + 1e-9)
    assert 0 <= limits.min_charge_w <= max(limits.max_charge_w, 0)
    assert limits.max_discharge_w <= car.spec.max_discharge_w
    if soc < car.v2x_min_soc_pct:
        assert limits.max_discharge_w == limits.max_discharge_a == 0


def test_the_v2x_minimum_has_a_hysteresis() -> None:
    car = Car(soc_pct=25.2)
    assert car.limits().max_discharge_a > 0
    car.pack.soc_pct = 25.0
    assert car.limits().max_discharge_a == 0
    car.pack.soc_pct = 25.3
    assert car.limits().max_discharge_a == 0
    car.pack.soc_pct = 25.6
    assert car.limits().max_discharge_a > 0


def test_a_remote_charger_discharges_the_car_by_the_reported_current() -> None:
    car = Car(soc_pct=80)
    battery: Battery = car
    car.contactors_closed = True
    car.set_current(-15.0, 0.0)
    car.advance(3600.0)
    assert battery.soc_pct < 80
    assert car.energy_out_wh == pytest.approx(15 * 375, rel=0.05)
    assert car.aux_wh == pytest.approx(car.spec.aux_w)
    assert car.pack.energy_out_wh == pytest.approx(car.energy_out_wh + car.aux_wh)


def test_open_contactors_conduct_no_current() -> None:
    car = Car(soc_pct=50)
    before = car.pack.stored_wh
    assert car.flow(-20, 600) == 0
    assert car.max_discharge_a() == car.max_charge_a() == 0
    assert car.pack.stored_wh == pytest.approx(before, rel=1e-4)


def test_quirks_take_effect() -> None:
    def car_with(**kwargs: object) -> CarSpec:
        return replace(CCS_63, quirks=Quirks(**kwargs))  # type: ignore[arg-type]

    assert Car(car_with(no_discharge_below_c=5), 60, ambient_c=0).limits().max_discharge_w == 0
    assert Car(car_with(no_discharge_below_c=5), 60, ambient_c=10).limits().max_discharge_w > 0
    frozen = Car(car_with(frozen_soc=True), 60)
    frozen.contactors_closed = True
    frozen.plug()
    frozen.flow(-50, 3600)
    assert frozen.reported_soc_pct == 60 > frozen.soc_pct + 5
    stops = Car(car_with(ends_session_at_pct=20.0), 20.5)
    stops.contactors_closed = True
    stops.flow(-10, 60)
    assert stops.session_end_reason() is None
    stops.flow(-50, 600)
    assert stops.session_end_reason() == "ends at 20 %"


def test_driving_consumes_energy_of_the_pack() -> None:
    car = Car(soc_pct=50)
    assert car.drive(6000) == pytest.approx(6000, rel=0.01)
    assert car.soc_pct == pytest.approx(40.5, abs=1)
    assert Car(soc_pct=1).drive(60_000) < 5_000


def test_the_driver_may_forbid_discharge_and_settings_are_checked() -> None:
    car = Car(soc_pct=60)
    car.discharge_permitted = False
    assert car.limits().max_discharge_w == 0
    with pytest.raises(ValueError, match="must rise"):
        CarSpec(min_soc_pct=50, v2x_min_soc_pct=20)


def test_a_current_above_the_limit_is_a_violation() -> None:
    car = Car(soc_pct=60)
    car.check_current(-30)
    assert car.violations == []
    for _ in range(2):
        car.check_current(-70)
    assert car.violations == ["70.0 A discharge current, limit 60.0 A"]
    car.discharge_permitted = False
    car.check_current(-30)
    assert len(car.violations) == 1  # the limit before this one permitted it
    car.check_current(-30)
    assert car.violations[1:] == ["30.0 A discharge current, limit 0.0 A"]
