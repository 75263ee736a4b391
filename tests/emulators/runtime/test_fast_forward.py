"""Charge loops that only repeat are left out, and nothing of what happens changes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.charger.station.secc_power_path import SeccPowerPath
from emulators.ev.car import Car
from emulators.faults.injector import Parts
from emulators.runtime.clock import VirtualClock, run_virtual
from emulators.runtime.transcript import Line, Transcript
from emulators.world.network import MemoryNetwork
from emulators.world.parking_bay import ParkingBay


@dataclass(frozen=True, slots=True)
class Told:
    """What a run left behind."""

    lines: list[Line]
    soc_pct: float
    charged_wh: float
    discharged_wh: float
    loops: int
    skipped: int


def live(orders: list[tuple[float, float]], *, hurries: bool, soc: float = 70.0) -> Told:
    """A car at a charger; orders are (seconds to wait before, watts)."""

    async def main() -> Told:
        clock, transcript, car = VirtualClock(), Transcript(), Car(soc_pct=soc)
        stage = PowerStage(StageSpec(max_current_a=60), step_s=1.0)
        bay = ParkingBay(
            "CP1-1", 1, stage, clock, transcript, Parts(clock), hurries=hurries, meet=MemoryNetwork().vehicle
        )
        await bay.plug(car)
        outlet = bay.outlet
        assert isinstance(outlet, SeccPowerPath)
        for wait, watts in orders:
            await clock.sleep(wait)
            outlet.set_power(watts, clock.now())
        await clock.sleep(30)
        bay.wake()
        fast = bay._fast.skipped if bay._fast is not None else 0
        loops = bay.session.loops if bay.session is not None else 0
        await bay.unplug()
        stage.advance(clock.now())
        meter = stage.meter
        return Told(transcript.lines, car.soc_pct, meter.charged_wh, meter.discharged_wh, loops, fast)

    return run_virtual(main())


@settings(max_examples=5, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.1, 30), st.floats(-12_000, 12_000)), min_size=1, max_size=3),
    st.floats(20, 90),
)
def test_any_orders_at_any_moment_come_out_the_same(orders: list[tuple[float, float]], soc: float) -> None:
    full, fast = live(orders, hurries=False, soc=soc), live(orders, hurries=True, soc=soc)
    assert fast.lines == full.lines
    assert (fast.charged_wh, fast.discharged_wh) == (full.charged_wh, full.discharged_wh)
    assert fast.soc_pct == pytest.approx(full.soc_pct, abs=1e-6)  # rest is added up in other pieces
    assert fast.loops <= full.loops


def test_every_loop_is_either_spoken_or_left_out() -> None:
    orders = [(20.0, -6000.0), (200.0, 0.0)]
    full, fast = live(orders, hurries=False), live(orders, hurries=True)
    assert fast.loops + fast.skipped == pytest.approx(full.loops, abs=3)
    assert fast.loops < 0.05 * full.loops


def test_four_hours_need_few_words() -> None:
    told = live([(10.0, -9000.0), (4 * 3600.0, 0.0)], hurries=True, soc=95.0)
    assert told.discharged_wh == pytest.approx(36_000, rel=0.01)
    assert told.loops < 1500  # of 57,600
    assert told.soc_pct < 40
