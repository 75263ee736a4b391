"""Cost of a virtual hour in steps: independent of the machine, and every bound fails if a component polls."""

from __future__ import annotations

import asyncio

import pytest

from emulators.runtime.clock import VirtualLoop
from emulators.scenario.loading import parse
from emulators.scenario.scenario import Scenario
from emulators.world import World
from gateway.bench.sim import DISCHARGE, Run, run

pytestmark = pytest.mark.virtual_time

HOUR = 3600.0
STORE = """
name = "a store"
start = 2026-05-18T00:00:00+09:00
duration = "1h"
step = "5s"
tick = "5s"
telemetry = "60s"
[gateway]
import_limit_w = 45000
mode = "peak_shaving"
[gateway.energy]
contract_w = 30000
[site]
kind = "store"
[[charger]]
id = "CP"
count = 6
"""
CAR = """
[[car]]
name = "car"
evse = "CP1-1"
soc_pct = 50
visits = [{arrive = "10s", leave = "2h", target_pct = 80}]
"""


def plan(more: str = "") -> Scenario:
    return parse(STORE + more, "test")


async def run_part(scenario: Scenario, seconds: float) -> tuple[World, int, int, int]:
    """Return the world, and wake-ups of the clock, energy controller steps and EVSE updates after its start."""

    world = World(scenario, keep_transcript=False, fast_forward=True)
    async with world.running():
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        assert world.gateway is not None
        await world.clock.sleep(120)
        energy_service, registry = world.gateway.energy_service, world.gateway.control.registry
        before = loop.jumps, energy_service.steps, sum(state.steps for state in registry)
        await world.clock.sleep(seconds)
        looks = sum(state.steps for state in registry)
        return world, loop.jumps - before[0], energy_service.steps - before[1], looks - before[2]


async def test_a_site_without_cars_has_no_work() -> None:
    world, wakes, steps, looks = await run_part(plan(), 600)
    inputs = 600 / world.scenario.step
    assert looks == 0  # no input concerns an EVSE without a session
    assert steps <= 1.1 * inputs  # one step for each input
    assert wakes < 0.6 * 600  # each 5 s the facility, each 10 s telemetry and the age of inputs; no polling


async def test_one_car_triggers_only_its_own_controller() -> None:
    world, _, _, looks = await run_part(plan(CAR), 600)
    assert world.gateway is None  # the world has ended
    # a renewed set-point each 6 s, its own meter each 10 s; no limit that does not bind, none of the five other EVSEs
    assert looks <= 1.25 * (600 / 6 + 600 / 10)


async def test_the_energy_controller_runs_on_input() -> None:
    _, _, steps, _ = await run_part(plan(CAR), 600)
    assert 600 / 5 <= steps <= 1.3 * 600 / 5  # inputs, and readings of the vehicle; not what it has decided itself


async def test_new_inputs_are_processed_at_once() -> None:
    world = World(plan(), keep_transcript=False, fast_forward=True)
    async with world.running():
        await world.clock.sleep(60)
        assert world.gateway is not None
        energy_service, service = world.gateway.energy_service, world.gateway.service
        world.facility.muted_inputs.update(("grid", "switch", "load", "pv", "meter"))
        await world.clock.sleep(6)  # inputs are not stale yet
        before = energy_service.steps
        await world.clock.sleep(1.5)
        rested = energy_service.steps - before
        wall = world.clock.wall()
        body = f'{{"ts": {wall}, "present": true, "power_w": 9000, "voltage_v": 200, "frequency_hz": 50}}'
        before = energy_service.steps
        assert service.input("grid", body.encode()) is None
        await world.clock.sleep(0.2)
        assert [rested, energy_service.steps - before] == [0, 1]


def test_a_discharge_needs_few_loops_and_steps() -> None:
    measured: Run = run({**DISCHARGE, "duration": HOUR}, fast_forward=True)
    assert measured.loops + measured.loops_left_out > 3400
    assert measured.loops < 60  # each percent of the battery; limits beyond the reach of the charger are none
    assert measured.controller_steps == 0  # no energy management on this site
    assert measured.messages["ocpp"] < 2 * HOUR / 6 + 2 * HOUR / 10 + 100  # renewals, meter values


async def test_a_site_state_iterates_over_the_evses_once() -> None:
    world = World(plan(CAR), keep_transcript=False, fast_forward=True)
    async with world.running():
        await world.clock.sleep(60)
        assert world.gateway is not None
        control = world.gateway.control
        walks = 0
        shared = control.decision.shared

        def counted() -> object:
            nonlocal walks
            walks += 1
            return shared()

        control.decision.shared = counted  # type: ignore[method-assign, assignment]
        world.gateway.service.site_state()
        assert (walks, len(control.registry.names())) == (1, 6)
