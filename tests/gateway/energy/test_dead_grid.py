"""A grid that is reported as present but measured dead is a lost grid, whatever is managed, also after a restart."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.energy.settings import EnergySection
from gateway.model.grid_meter import UNFILLED, GridMeter
from gateway.model.message import rfc3339
from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import ServiceRig, service_rig
from tests.rounds import rounds, some
from tests.virtual_time import virtual_examples

SECTIONS = {
    "off": EnergySection(enabled=False),
    "idle": EnergySection(),
    "contract": EnergySection(contract_w=100_000),
    "island": EnergySection(island=True, forming=("CP1-1",)),
}
HEALTHY = {"present": True, "power_w": 1000.0, "voltage_v": 200.0, "frequency_hz": 50.0}
DEAD: list[dict[str, Any]] = [
    {"voltage_v": 0.0, "frequency_hz": 0.0, "power_w": 0.0},
    {"voltage_v": 0.0, "frequency_hz": 50.0, "power_w": 0.0},
    {"voltage_v": 12.0, "power_w": 0.0},
    {"voltage_v": 0.3, "power_w": -4.0, "frequency_hz": 12.5},
    {"voltage_v": 0.0},
]
ALIVE: list[dict[str, Any]] = [
    {"voltage_v": 0.0, "frequency_hz": 0.0, "power_w": 2500.0},
    {"voltage_v": 0.0, "frequency_hz": 0.0, "power_w": -300.0},
    {"frequency_hz": 0.0, "power_w": 0.0},
    {"frequency_hz": 0.0},
    {"voltage_v": 6553.5, "power_w": 0.0},
    {"voltage_v": 200.0, "frequency_hz": 0.0, "power_w": 0.0},
    {"power_w": 0.0},
]


async def live(rig: ServiceRig, seconds: int, grid: dict[str, Any] | None) -> None:
    for _ in range(seconds):
        if grid is not None:
            body = {"present": True, "ts": rfc3339(rig.clock.wall()), **grid}
            assert rig.service.input("grid", json.dumps(body).encode()) is None
        if rig.energy_service.active():
            rig.energy_service.step()
        await rig.wait(1.0)


@pytest.mark.virtual_time
@pytest.mark.parametrize(("name", "grid"), some(product(SECTIONS, DEAD), 3))
async def test_nothing_flows_into_a_measured_dead_grid_before_or_after_a_restart(
    name: str, grid: dict[str, Any]
) -> None:
    store, energy = MemoryStore(), SECTIONS[name]
    async with service_rig("CP1-1", store=store, energy=energy) as rig:
        await live(rig, 5, HEALTHY)
        await rig.send("CP1-1", "discharge", "before", power_w=3000, lease_s=300)
        await live(rig, 5, HEALTHY)
        assert rig.power("CP1-1") == -3000
        await live(rig, 5, grid)
        assert rig.power("CP1-1") == 0
        for seconds in (0, 60):  # and while the facility is silent
            await live(rig, seconds, None)
            for verb in ("discharge", "charge"):
                result = await rig.send("CP1-1", verb, f"{verb}{seconds}", power_w=3000, lease_s=60)
                assert (result.status, result.reason.code) == ("refused", "grid_lost")
        await rig.journal.flush()
    async with service_rig("CP1-1", store=store, energy=energy) as rig:
        rig.energy_service.restore(await store.kept(10))
        await live(rig, 5, None)
        for verb in ("discharge", "charge"):
            result = await rig.send("CP1-1", verb, f"{verb}r", power_w=3000, lease_s=60)
            assert (result.status, result.reason.code) == ("refused", "grid_lost")
        await live(rig, 700, HEALTHY)
        result = await rig.send("CP1-1", "discharge", "again", power_w=3000, lease_s=60)
        assert result.status == "accepted"


@pytest.mark.virtual_time
@pytest.mark.parametrize(("name", "grid"), some(product(SECTIONS, ALIVE), 3))
async def test_a_value_that_is_not_measured_refuses_nothing(name: str, grid: dict[str, Any]) -> None:
    async with service_rig("CP1-1", energy=SECTIONS[name]) as rig:
        await live(rig, 60, grid)
        result = await rig.send("CP1-1", "discharge", "d", power_w=3000, lease_s=60)
        assert result.status == "accepted"


readings = st.lists(st.sampled_from([*((one, True) for one in DEAD), *((one, False) for one in ALIVE)]), max_size=8)


@settings(max_examples=rounds(8, 100))
@given(readings, st.sampled_from(["off", "idle"]))
@virtual_examples
async def test_the_last_reading_decides(steps: list[tuple[dict[str, Any], bool]], name: str) -> None:
    async with service_rig("CP1-1", energy=SECTIONS[name]) as rig:
        await live(rig, 1, HEALTHY)
        for number, (grid, dead) in enumerate(steps):
            await live(rig, 1, grid)
            result = await rig.send("CP1-1", "discharge", f"d{number}", power_w=1000 + number, lease_s=60)
            assert (result.status == "refused") is dead


HIGH_V = st.floats(200, 1e5) | st.sampled_from(UNFILLED)


@given(HIGH_V, st.none() | st.floats(0, 1000), st.none() | st.floats(-1e5, 1e5))
def test_no_value_above_the_nominal_voltage_is_a_dead_grid(
    voltage_v: float, hertz: float | None, power_w: float | None
) -> None:
    assert not GridMeter(200.0).dead(voltage_v, hertz, power_w)


@given(st.floats(0, 9.9), st.none() | st.floats(0, 1000), st.none() | st.floats(-30, 30))
def test_a_meter_that_has_shown_a_voltage_measures_0_v_without_power(
    voltage_v: float, hertz: float | None, power_w: float | None
) -> None:
    meter = GridMeter(200.0)
    meter.learn(200.0, 1000.0)
    for _ in range(20):  # the last power is sent on for a while
        meter.learn(voltage_v, 2500.0)
    assert meter.dead(voltage_v, hertz, power_w)


def test_a_meter_without_a_voltage_stays_one_when_no_power_flows() -> None:
    """A car that balances the site's meter to 0 W must not turn a missing quantity into an outage."""
    meter = GridMeter(200.0)
    for power_w in (2500.0, 300.0, -700.0):
        meter.learn(0.0, power_w)
    assert not meter.dead(0.0, 0.0, 0.0)
