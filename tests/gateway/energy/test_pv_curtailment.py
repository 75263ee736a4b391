"""PV in an island whose batteries are full or nearly full: the surplus is ordered down before the frequency rises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.scenario.loading import parse
from emulators.scenario.scenario import ScenarioError
from emulators.site.pv import Pv, PvSpec
from emulators.world import World, simulate
from gateway.authority.soc_floors import absorbable_w
from gateway.energy.controller import SiteController
from gateway.energy.resilience.phase import Phase
from gateway.energy.settings import EnergySection, StorageTable
from gateway.energy.view import View
from gateway.model.command import SiteMode
from gateway.model.site import Grid, InputKind, Inputs, Load, Storage, Switch
from gateway.model.site import Pv as PvReading
from tests.rounds import some

START = 1_800_000_000.0
CASE = """
name = "a roof in the sun, a full car, no grid"
seed = 7
start = 2026-05-20T11:30:00+09:00
duration = "11m"
step = "1s"
telemetry = "10s"
[gateway]
min_soc_pct = 15
[gateway.energy]
step_s = 1
island = true
off_grid_pct = 15
forming = ["CP1-1"]
[site]
kind = "home"
[[site.pv]]
peak_w = 9000
clearness = 0.95
[[grid.events]]
kind = "outage"
at = "3m"
duration = "8m"
[[charger]]
id = "CP1"
forming = true
[[car]]
name = "a"
evse = "CP1-1"
soc_pct = {soc}
visits = [{{ arrive = "20s", leave = "11m" }}]
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("soc", some([98.9, 99.5, 60], 3))
def test_pv_in_an_island_does_not_trip(soc: float) -> None:
    """With 98.9 % the vehicle reports 98, and takes no more within minutes."""
    result = simulate(parse(CASE.format(soc=soc), "test"), fast_forward=True)
    figures = result.figures
    assert figures["dark_s"] < 10
    assert figures["pv_trips"] == 0
    if soc > 98:
        assert figures["pv_curtailed_wh"] > 500
        assert figures["car.a.soc_pct"] > 98.0  # the sun and not the car supplies the house


@pytest.mark.virtual_time
async def test_an_inverter_over_modbus_is_limited_in_an_island_and_free_without_the_gateway() -> None:
    """No MQTT client publishes the power of the roof or limits it: both are registers of the inverter."""
    case = CASE.replace("[[site.pv]]", '[[site.pv]]\ndriver = "modbus"').format(soc=99.5)
    world = World(parse(case, "test"), fast_forward=True)
    async with world.running():
        (inverter,) = world.inverters.values()
        await world.clock.sleep(110)
        assert world.gateway is not None
        assert world.gateway.service.site_state().inputs["pv"].freshness == "fresh"
        assert inverter.array.limit_w is None
        await world.clock.sleep(440)
        published = world.facility.states["site"]["energy"]["pv_limit_w"]
        assert published is not None
        assert inverter.array.limit_w == pytest.approx(published, rel=0.1, abs=150)
        assert inverter.array.curtailed_wh > 200
        assert inverter.array.trips == 0
        assert inverter.device.violations == []
        await world._stop_gateway()
        await world.clock.sleep(20)
        assert inverter.array.limit_w is None


def test_arrays_of_a_site_have_one_driver() -> None:
    two = CASE.replace("[[site.pv]]", '[[site.pv]]\ndriver = "modbus"\npeak_w = 500\n[[site.pv]]').format(soc=60)
    with pytest.raises(ScenarioError, match="all arrays of a site have the same driver"):
        parse(two, "test")


def test_emulated_pv_follows_its_limit_and_trips_by_over_frequency() -> None:
    roof, noon = Pv(PvSpec(peak_w=8000.0, clearness=1.0)), 1_779_246_000.0
    free_w = roof.feeds(noon, 0.0)
    assert free_w > 4000
    roof.limit_w = 1500.0
    assert roof.feeds(noon, 0.0) == 1500.0
    assert not roof.frequency(51.5, 50.0, 0.0)
    assert not roof.frequency(50.2, 50.0, 0.5)
    assert not roof.frequency(51.5, 50.0, 1.0)
    assert roof.frequency(51.5, 50.0, 2.0)
    assert roof.feeds(noon, 3.0) == roof.feeds(noon, 301.0) == 0.0
    assert roof.feeds(noon, 302.0) == 1500.0


@given(st.none() | st.floats(0, 100), st.sampled_from([100.0, 90.0]))
def test_a_full_battery_takes_nothing_and_one_that_is_not_full_takes_its_power(
    soc_pct: float | None, ceiling_pct: float
) -> None:
    found_w = absorbable_w(6000.0, soc_pct, ceiling_pct)
    assert 0.0 <= found_w <= 6000.0
    if soc_pct is None or soc_pct >= ceiling_pct - 2.0:
        assert found_w == 0.0
    elif soc_pct <= ceiling_pct - 5.0:
        assert found_w == 6000.0


@pytest.mark.parametrize(
    ("storage_pct", "pv_w", "limit_w"),
    [
        (100.0, 6000.0, 1275.0),  # the load less what is kept free for loads that are switched off
        (92.0, 6000.0, 4275.0),  # a third of the storage's power besides
        (60.0, 6000.0, None),
        (60.0, 12_000.0, 10_275.0),
    ],
)
def test_the_published_limit_leaves_what_load_and_batteries_take(
    storage_pct: float, pv_w: float, limit_w: float | None
) -> None:
    storage_table = StorageTable(controlled=True, forming=True, capacity_wh=90_000)
    controller = SiteController(EnergySection(storage=storage_table, island=True))
    inputs, orders = Inputs(), None
    for now in range(1, 31):
        wall = START + now
        inputs.put(InputKind.GRID, Grid(ts=wall, present=now < 5, power_w=1000.0 if now < 5 else 0.0), now, wall)
        inputs.put(InputKind.SWITCH, Switch(ts=wall, open=now >= 8), now, wall)
        inputs.put(InputKind.LOAD, Load(ts=wall, power_w=1500.0), now, wall)
        inputs.put(InputKind.PV, PvReading(ts=wall, power_w=pv_w), now, wall)
        storage = Storage(ts=wall, power_w=0.0, soc_pct=storage_pct, max_charge_w=9000.0, max_discharge_w=9000.0)
        inputs.put(InputKind.STORAGE, storage, now, wall)
        orders = controller.step(View(float(now), wall, inputs, mode=SiteMode.MANUAL))
    assert orders is not None
    assert orders.state.phase is Phase.ISLAND
    assert orders.pv_limit_w == orders.state.pv_limit_w == limit_w
