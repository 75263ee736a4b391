"""Accuracy of a station's meter in all its messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.charger.hardware.meter import Meter, MeterSpec
from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.charger.station.power_path import CarPowerPath
from emulators.ev.car import CCS_63, Car
from tests.emulators.charger.station_rig import Rig

pytestmark = pytest.mark.virtual_time

flows = st.lists(st.tuples(st.floats(-10_000, 10_000), st.integers(1, 600)), min_size=1, max_size=40)


@given(flows, st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.integers(0, 50))
def test_registers_and_power_stay_within_the_class(steps: list[tuple[float, int]], pct: float, seed: int) -> None:
    meter = Meter(MeterSpec(class_pct=pct), seed)
    for watts, seconds in steps:
        before = (meter.charged_wh, meter.discharged_wh)
        meter.add(watts * seconds / 3600, seconds)
        assert meter.charged_wh >= before[0]
        assert meter.discharged_wh >= before[1]
        assert abs(meter.shows_w(watts) - watts) <= abs(watts) * pct / 100 + 1e-6
    for shown, true in (
        (meter.charged_wh, meter.true_charged_wh), (meter.discharged_wh, meter.true_discharged_wh),
    ):  # fmt: skip
        assert abs(shown - true) <= true * pct / 100 + meter.spec.resolution_wh + 1e-6
        assert abs(shown / meter.spec.resolution_wh - round(shown / meter.spec.resolution_wh)) < 1e-6


async def test_power_and_registers_are_consistent() -> None:
    """Power over time equals the increase of the registers: both have the error of one meter."""
    meter = Meter(MeterSpec(class_pct=2.0), seed=3)
    async with Rig(power_paths=[CarPowerPath(PowerStage(StageSpec(), meter))]) as rig:
        rig.plug(Car(CCS_63, 40.0))
        await rig.until(lambda: rig.evse().open)
        rig.evse().vendor_setpoint_w = 6000.0
        await rig.sleep(30)
        power, before = rig.evse().power_path.reading(rig.clock.now()).power_w, meter.charged_wh
        await rig.sleep(600)
        assert abs((meter.charged_wh - before) * 6 - power) < 20
        assert abs(power - 6000) > 1  # this very meter is off
        assert abs(power - 6000) <= 120
        meter.stuck = True
        await rig.sleep(5)
        rig.evse().vendor_setpoint_w = 1000.0
        await rig.sleep(60)
        assert rig.evse().reading.power_w > 5000  # the reading is stuck
