"""An emulated LEAF and an emulated charger on one CAN bus: a discharge, its energy, and the ends of a session."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from emulators.charger.chademo.post import ChademoPost
from emulators.charger.chademo.run import ChargerOptions, ChargerRun
from emulators.ev.car import Car
from emulators.ev.chademo import ChademoEv, profile_of
from emulators.ev.chademo_run import ChademoOptions, run_on
from emulators.ev.profile import load
from emulators.ev.report import Reporter
from emulators.runtime.clock import RealClock, VirtualClock, run_virtual
from emulators.runtime.memory_can import MemoryCan
from emulators.runtime.plug_lines import ChargerLines, VehicleLines, decode, encode
from protocols.can import CanFrame
from protocols.chademo.charger_session import ChargerSettings, SetCurrent, Start, StopSession
from protocols.chademo.states import ChargerState, VehicleState
from protocols.chademo.stops import Cause
from tests.rounds import some

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


@pytest.mark.parametrize("model", some(["leaf-40", "leaf-62", "outlander-20"], 3))
def test_a_vehicle_discharges_and_charges(model: str) -> None:
    async def scene(ev: ChademoEv, post: ChademoPost, clock: VirtualClock, bus: MemoryCan) -> None:
        stored = ev.car.pack.stored_wh
        post.order(SetCurrent(-10.0))
        post.order(Start())
        await clock.sleep(14)
        assert (post.engine.state, ev.engine.state) == (ChargerState.POWER, VehicleState.POWER)
        assert post.dc.current_a == -10
        await clock.sleep(15)
        assert ev.car.energy_out_wh > 12
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
        await clock.sleep(12)
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
        await clock.sleep(12)
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


@pytest.mark.virtual_time
async def test_the_session_of_the_command_ends_with_a_summary() -> None:
    out = io.StringIO()
    clock, bus = VirtualClock(), MemoryCan()
    post = ChademoPost(bus.port(), clock, ChargerSettings(max_charge_a=30, max_discharge_a=15))
    running = asyncio.ensure_future(post.run())
    options = ChademoOptions("memory", soc_pct=60.0, loops=20)
    ev = run_on(bus.port(), Car(load("leaf-40"), 60.0), options, Reporter(out, True, {}), clock)
    driving = asyncio.ensure_future(ev)
    await clock.sleep(0.5)
    post.order(SetCurrent(-10.0))
    post.order(Start())
    status = await driving
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert status == 0
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    assert records[-1]["reason"] == "stop ordered: 20 cycles"
    assert records[-1]["ok"]
    assert records[-1]["energy_out_wh"] > 0
    assert "power" in [record.get("state") for record in records]


def both_ends(charger: ChargerOptions, vehicle: ChademoOptions, soc_pct: float = 60.0) -> tuple[int, int, list[Any]]:
    """Run a charger for one session and a vehicle in virtual time; return both statuses, the records of the charger."""
    out = io.StringIO()

    async def main() -> tuple[int, int]:
        clock, bus = VirtualClock(), MemoryCan()
        serving = asyncio.ensure_future(ChargerRun(bus.port(), charger, Reporter(out, True, {}), clock).run())
        await clock.sleep(3.0)  # it waits for a vehicle
        reporter = Reporter(io.StringIO(), True, {})
        driven = await run_on(bus.port(), Car(load("leaf-40"), soc_pct), vehicle, reporter, clock)
        return await serving, driven

    served, driven = run_virtual(main())
    return served, driven, [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_charger_for_one_session_ends_it_after_its_cycles() -> None:
    served, driven, records = both_ends(ChargerOptions(power_w=-3000, loops=50), ChademoOptions("memory"))
    assert (served, driven) == (0, 0)
    assert records[-1]["reason"] == "stop ordered: 50 cycles"
    assert records[-1]["energy_out_wh"] == pytest.approx(3000 * 5 / 3600, rel=0.2)
    assert min(one["power_w"] for one in records if one["event"] == "Measured") == pytest.approx(-3000, rel=0.02)


def test_a_charger_for_one_session_follows_a_vehicle_that_ends_it() -> None:
    served, driven, records = both_ends(ChargerOptions(power_w=2000), ChademoOptions("memory", loops=20))
    assert (served, driven) == (0, 0)
    assert records[-1]["reason"].startswith("the vehicle withdrew its permission")
    assert records[-1]["energy_in_wh"] > 0


@pytest.mark.virtual_time
async def test_a_vehicle_without_a_charger_ends_at_once() -> None:
    clock, reporter = VirtualClock(), Reporter(io.StringIO(), True, {})
    car, options = Car(load("leaf-40"), 60.0), ChademoOptions("memory")
    driving = asyncio.ensure_future(run_on(MemoryCan().port(), car, options, reporter, clock))
    await clock.sleep(3.0)
    driving.cancel()
    assert await driving == 1
    assert clock.now() < 3.5


async def command(channel: str, *options: str) -> asyncio.subprocess.Process:
    """Start `v2x ev --chademo`."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "ev", "--chademo", channel, *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.soak
async def test_the_command_runs_a_session_with_a_charger_in_another_process() -> None:
    pytest.importorskip("can")
    from protocols.dc_modules.io import open_bus

    channel = "udp:239.74.163.59"
    try:
        bus = open_bus(channel)
    except ConnectionError as error:
        pytest.skip(str(error))
    clock = RealClock()
    post = ChademoPost(bus, clock, ChargerSettings(max_charge_a=30, max_discharge_a=15))
    running = asyncio.ensure_future(post.run())
    process = await command(channel, "--soc", "60", "--loops", "10", "--json")
    async with asyncio.timeout(60):
        while not post.plugged:
            await clock.sleep(0.1)
        post.order(SetCurrent(-10.0))
        post.order(Start())
        output, errors = await process.communicate()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    records = [json.loads(line) for line in output.decode().splitlines()]
    assert process.returncode == 0, errors.decode()
    assert records[-1]["event"] == "Summary"
    assert records[-1]["reason"] == "stop ordered: 10 cycles"
    assert records[-1]["energy_out_wh"] > 0
    assert "power" in [record.get("state") for record in records]


async def test_the_command_names_a_profile_that_does_not_exist() -> None:
    process = await command("memory:x", "--profile", "no-such-car")
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert "unknown car profile 'no-such-car'" in errors.decode()
