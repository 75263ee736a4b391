"""Fast-forward: repeated charge loops are skipped without changing the transcript."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import CodeType, FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.charger.hardware.power_stage import PowerStage, StageSpec
from emulators.charger.station.secc_power_path import SeccPowerPath
from emulators.ev.car import Car
from emulators.faults.injection_points import InjectionPoints
from emulators.runtime.clock import VirtualClock, VirtualLoop, run_virtual
from emulators.runtime.memory_broker import MemoryBroker
from emulators.runtime.transcript import Line, Transcript
from emulators.world.fast_forward import WakeableClock, loop_state
from emulators.world.network import MemoryNetwork
from emulators.world.parking_bay import BaySettings, ParkingBay
from tests.rounds import rounds


@dataclass(frozen=True, slots=True)
class Recorded:
    """Result of a run."""

    lines: list[Line]
    soc_pct: float
    charged_wh: float
    discharged_wh: float
    loops: int
    skipped: int


def run_bay(orders: list[tuple[float, float]], *, fast_forward: bool, soc: float = 70.0) -> Recorded:
    """Run a car at a charger in virtual time; orders are (seconds to wait before, watts)."""
    return run_virtual(recorded(orders, fast_forward, soc))


async def recorded(orders: list[tuple[float, float]], fast_forward: bool, soc: float) -> Recorded:
    clock, transcript, car = VirtualClock(), Transcript(), Car(soc_pct=soc)
    stage = PowerStage(StageSpec(max_current_a=60), step_s=1.0)
    bay = ParkingBay(
        "CP1-1",
        stage,
        clock,
        transcript,
        InjectionPoints(clock),
        BaySettings(fast_forward=fast_forward),
        MemoryNetwork(MemoryBroker()).vehicle,
    )
    await bay.plug(car)
    power_path = bay.power_path
    assert isinstance(power_path, SeccPowerPath)
    for wait, watts in orders:
        await clock.sleep(wait)
        power_path.set_power(watts, clock.now())
    await clock.sleep(30)
    bay.wake()
    skipped = bay.skipped_loops
    loops = bay.session.loops if bay.session is not None else 0
    await bay.unplug()
    stage.advance(clock.now())
    meter = stage.meter
    return Recorded(transcript.lines, car.soc_pct, meter.charged_wh, meter.discharged_wh, loops, skipped)


@settings(max_examples=5, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.1, 30), st.floats(-12_000, 12_000)), min_size=1, max_size=3),
    st.floats(20, 90),
)
def test_fast_forward_gives_the_same_transcript_for_any_commands(orders: list[tuple[float, float]], soc: float) -> None:
    full, fast = run_bay(orders, fast_forward=False, soc=soc), run_bay(orders, fast_forward=True, soc=soc)
    assert fast.lines == full.lines
    assert (fast.charged_wh, fast.discharged_wh) == (full.charged_wh, full.discharged_wh)
    assert fast.soc_pct == pytest.approx(full.soc_pct, abs=1e-6)  # rounding differs with the step size
    assert fast.loops <= full.loops


def test_every_loop_is_either_exchanged_or_skipped() -> None:
    orders = [(20.0, -6000.0), (200.0, 0.0)]
    full, fast = run_bay(orders, fast_forward=False), run_bay(orders, fast_forward=True)
    assert fast.loops + fast.skipped == pytest.approx(full.loops, abs=3)
    assert fast.loops < 0.05 * full.loops


def test_hours_exchange_few_loops() -> None:
    hours = rounds(1, 4)
    recorded = run_bay([(10.0, -9000.0), (hours * 3600.0, 0.0)], fast_forward=True, soc=95.0)
    assert recorded.discharged_wh == pytest.approx(hours * 9000, rel=0.01)
    assert recorded.loops < hours * 375  # of 14,400 in an hour
    assert recorded.soc_pct < 95 - hours * 13


def counted(code: CodeType, orders: list[tuple[float, float]], *, fast_forward: bool) -> tuple[int, Recorded]:
    """Return how often a function is called in a run, and the run."""
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code is code

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        recorded = run_bay(orders, fast_forward=fast_forward)
        return calls, recorded
    finally:
        sys.setprofile(before)


def test_loops_that_are_interrupted_each_second_are_not_simulated_far_ahead() -> None:
    orders = [(20.0, -6000.0), *((1.0, -6000.0 + 50.0 * number) for number in range(60))]
    simulated, recorded = counted(loop_state.__code__, orders, fast_forward=True)
    assert recorded.loops > 50
    assert simulated < 10 * recorded.loops


def test_a_charge_loop_takes_few_turns_of_the_event_loop() -> None:
    turns, recorded = counted(VirtualLoop._run_once.__code__, [(20.0, -6000.0), (60.0, -6000.0)], fast_forward=False)
    assert recorded.loops > 200
    assert turns < 3.5 * recorded.loops  # timer, request, response


@pytest.mark.virtual_time
@pytest.mark.parametrize("when", [10.0, 10.0 - 1e-9])
async def test_a_wait_ends_at_a_time_that_is_the_present_but_for_rounding(when: float) -> None:
    clock, found = WakeableClock(VirtualClock()), list[float]()
    start = clock.now()
    clock.call_at(start + 300.0, lambda: found.append(clock.now() - start))
    await clock.sleep(10.0)
    clock.wake_at(start + when)
    await clock.sleep(0.1)
    assert found == [10.0]
