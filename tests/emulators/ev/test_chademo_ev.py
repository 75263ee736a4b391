"""An emulated LEAF and an emulated charger on one CAN bus: a discharge, its energy, and the ends of a session."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from emulators.charger.chademo.post import ChademoPost
from emulators.ev.car import Car
from emulators.ev.chademo import ChademoEv, profile_of
from emulators.ev.profile import load
from emulators.runtime.clock import VirtualClock, run_virtual
from emulators.runtime.memory_can import MemoryCan
from emulators.runtime.plug_lines import ChargerLines, VehicleLines, decode, encode
from protocols.can import CanFrame
from protocols.chademo.charger_session import ChargerSettings, SetCurrent, Start, StopSession
from protocols.chademo.states import ChargerState, VehicleState
from protocols.chademo.stops import Cause

Scene = Callable[[ChademoEv, ChademoPost, VirtualClock, MemoryCan], Awaitable[None]]


def together(scene: Scene, model: str = "leaf-40", soc_pct: float = 60.0) -> None:
    """Run a vehicle and a charger on one bus in virtual time."""

    async def main() -> None:
        clock, bus = VirtualClock(), MemoryCan()
        ev = ChademoEv(Car(load(model), soc_pct), bus.port(), clock)
        post = ChademoPost(bus.port(), clock, ChargerSettings(max_charge_a=30, max_discharge_a=15))
        runs = [asyncio.ensure_future(one.run()) for one in (ev, post)]
        await clock.sleep(0.3)
        await scene(ev, post, clock, bus)
        for one in runs:
            one.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    run_virtual(main())


@pytest.mark.parametrize("model", ["leaf-40", "leaf-62", "outlander-20"])
def test_a_vehicle_discharges_and_charges(model: str) -> None:
    async def scene(ev: ChademoEv, post: ChademoPost, clock: VirtualClock, bus: MemoryCan) -> None:
        stored = ev.car.pack.stored_wh
        post.order(SetCurrent(-10.0))
        post.order(Start())
        await clock.sleep(20)
        assert (post.engine.state, ev.engine.state) == (ChargerState.POWER, VehicleState.POWER)
        assert post.dc.current_a == -10
        await clock.sleep(60)
        assert ev.car.energy_out_wh > 40
        assert stored - ev.car.pack.stored_wh == pytest.approx(ev.car.energy_out_wh, rel=0.1)
        post.order(SetCurrent(10.0))
        await clock.sleep(5)
        assert post.dc.current_a == 10
        post.order(StopSession())
        await clock.sleep(8)
        assert post.engine.state is ChargerState.IDLE
        assert ev.ended is not None
        assert ev.ended.cause is Cause.CHARGER_STOP
        assert not ev.car.contactors_closed
        assert {frame.can_id for frame in bus.trace} >= {0x100, 0x109, 0x200, 0x208}

    together(scene, model)


def test_the_driver_ends_the_session_and_leaves() -> None:
    async def scene(ev: ChademoEv, post: ChademoPost, clock: VirtualClock, bus: MemoryCan) -> None:
        post.order(SetCurrent(-10.0))
        post.order(Start())
        await clock.sleep(20)
        ev.stop("done")
        await clock.sleep(8)
        assert ev.ended is not None
        assert ev.ended.text == "stop ordered: done"
        assert post.engine.state is ChargerState.IDLE
        ev.plugged = False
        await clock.sleep(2)
        assert not post.plugged
        assert ev.engine.state is VehicleState.SLEEP

    together(scene)


def test_a_charger_that_disappears_opens_the_contactors() -> None:
    async def scene(ev: ChademoEv, post: ChademoPost, clock: VirtualClock, bus: MemoryCan) -> None:
        post.order(SetCurrent(-10.0))
        post.order(Start())
        await clock.sleep(20)
        bus.tamper = lambda frame: None
        await clock.sleep(1.5)
        assert not ev.car.contactors_closed
        await clock.sleep(2)
        assert ev.ended is not None
        assert ev.ended.error

    together(scene)


def test_profiles_follow_the_model() -> None:
    assert profile_of(Car(load("leaf-40"))).sequence == 2
    assert profile_of(Car(load("leaf-40"))).capacity_wh == pytest.approx(39_000, rel=0.05)
    assert profile_of(Car(load("ccs-63"))).protocol == 3  # no model of its own: strict


@pytest.mark.parametrize(
    "lines",
    [ChargerLines(True, False, 370.5, -12.3), ChargerLines(), VehicleLines(True, True, 361.2, 0.093), VehicleLines()],
)
def test_lines_pass_the_bus(lines: ChargerLines | VehicleLines) -> None:
    assert decode(encode(lines)) == lines
    assert decode(CanFrame(0x102, bytes(7))) is None
    assert decode(encode(lines)._replace(data=b"")) is None
