"""Renewals of set-points are left out in a run that skips what only repeats; nothing else differs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import product

import pytest

from emulators.charger.station.ocpp_enums import ProfilePurpose
from emulators.runtime.clock import run_virtual
from emulators.scenario.loading import parse
from emulators.world import World
from tests.emulators.world.renewed import without_renewals
from tests.rounds import some

ONE = """
name = "one car"
start = 2026-01-15T17:00:00+09:00
duration = "10m"
step = "5s"
tick = "{tick}"
[site]
kind = "home"
[[charger]]
id = "CP1"
vehicle_link = "none"
clock_drift_ppm = {drift_ppm}
[[car]]
name = "car"
evse = "CP1-1"
soc_pct = 70
"""
LEASE_S = 100.0
Action = Callable[[World], Awaitable[object]]


async def run(action: Action, at: float, *, fast_forward: bool, tick: str = "2s", drift_ppm: float = 0.0) -> World:
    """Run a discharge, do something at a time during it, and let the world run on."""
    world = World(parse(ONE.format(tick=tick, drift_ppm=drift_ppm), "test"), fast_forward=fast_forward)
    async with world.running():
        await world.clock.sleep(20)
        await world.facility.command("CP1-1", "discharge", power_w=6000, lease_s=LEASE_S)
        await world.clock.sleep(at)
        await action(world)
        await world.clock.sleep(200 - at)
    return world


async def nothing(world: World) -> None:
    pass


async def cut(world: World) -> None:
    await world.inject_command("cut ocpp:CP1")


async def cut_without_a_fault(world: World) -> None:
    world.injection_points.text_links["CP1"].cut()


async def half_open(world: World) -> None:
    await world.inject_command("half-open ocpp:CP1 60")


async def lost(world: World) -> None:
    await world.inject_command("loss ocpp:CP1 30 rate=1")


async def kill(world: World) -> None:
    world.tasks.add(asyncio.get_running_loop().create_task(world.restart_gateway(40.0)))


async def reboot(world: World) -> None:
    await world.stations["CP1"].reboot("PowerUp", "PowerLoss")


async def clear(world: World) -> None:
    world.stations["CP1"].profiles.clear(purpose=ProfilePurpose.tx_profile)
    world.stations["CP1"].wake()


async def step_clock(world: World) -> None:
    await world.inject_command("clock-jump CP1 value=-3600")


async def another_power(world: World) -> None:
    await world.facility.command("CP1-1", "discharge", power_w=4000, lease_s=LEASE_S)


async def stop(world: World) -> None:
    await world.facility.command("CP1-1", "stop")


async def renegotiate(world: World) -> None:
    station = world.stations["CP1"]
    vehicle = station.evses[1].vehicle
    assert vehicle is not None
    station.plug_in(1, vehicle)  # it states its needs again


async def unplug(world: World) -> None:
    await world.bays["CP1-1"].unplug()


ACTIONS = [
    nothing,
    cut,
    cut_without_a_fault,
    half_open,
    lost,
    kill,
    reboot,
    clear,
    step_clock,
    another_power,
    renegotiate,
    stop,
    unplug,
]


@pytest.mark.parametrize(("action", "at"), some(product(ACTIONS, (52.3, 54.0)), 5))
def test_a_disturbance_has_the_same_effect_at_the_same_time(action: Action, at: float) -> None:
    """Also one at the moment of a renewal (54 s), which comes before it: its timer was set first."""
    full = run_virtual(run(action, at, fast_forward=False))
    fast = run_virtual(run(action, at, fast_forward=True))
    assert without_renewals(fast.transcript.lines) == without_renewals(full.transcript.lines)
    assert fast.recording.figures() == full.recording.figures()
    assert len(fast.transcript.lines) <= len(full.transcript.lines) - 2 * 4  # in vain if none were left out


@pytest.mark.parametrize(
    ("tick", "drift_ppm"), [("30s", 0.0), ("2s", 40.0)], ids=["woken by them", "its seconds differ"]
)
def test_no_renewal_of_a_station_is_left_out(tick: str, drift_ppm: float) -> None:
    full, fast = (
        run_virtual(run(nothing, 52.3, fast_forward=fast, tick=tick, drift_ppm=drift_ppm)) for fast in (False, True)
    )
    assert fast.transcript.lines == full.transcript.lines
