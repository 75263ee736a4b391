"""A CHAdeMO EVSE that the gateway hosts, with an emulated LEAF: power in both directions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.model import event as model
from protocols.chademo.frames import VehicleId0, VehicleId1, VehicleId2
from tests.gateway.drivers.chademo.bay import Bay, running

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("vehicle", ["leaf-24", "leaf-40"])
async def test_a_leaf_discharges_charges_and_changes_direction(vehicle: str) -> None:
    async with running(Bay(vehicle)) as bay:
        await bay.plug()
        await bay.flowing(-3000.0)
        assert bay.current_a < -5
        await bay.flowing(3000.0)
        assert bay.current_a > 5
        await bay.flowing(-5000.0)
        assert len(bay.of(model.SessionStarted)) == 1, "no new negotiation"
        assert bay.faults() == []
        assert bay.car.violations == []


async def test_a_vehicle_with_an_identifier_is_named_and_one_without_is_not() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        assert bay.of(model.SessionStarted)[0].vehicle is None
    bay = Bay()
    extras = (VehicleId0(content=0x0807060504030201), VehicleId1(content=0), VehicleId2(content=1 << 56))
    bay.vehicle.ev.engine.profile = replace(bay.profile, extras=extras)
    async with running(bay):
        await bay.plug()
        assert bay.of(model.SessionStarted)[0].vehicle == "0102030405060708" + "00" * 15 + "01"


async def test_the_limits_of_the_vehicle_and_its_window_are_stated() -> None:
    async with running(Bay("leaf-24")) as bay:
        await bay.plug()
        await bay.clock.sleep(5)
        needs = bay.of(model.NeedsStated)[-1].needs
        assert needs.bidirectional
        assert (needs.energy_transfer, needs.control_mode) == ("DC_BPT", "dynamic")
        assert needs.battery_capacity_wh == bay.profile.capacity_wh
        assert needs.limits.max_discharge_w == 5700, "30 A of the vehicle are more than the EVSE has"
        low, high = needs.min_v2x_energy_wh, needs.max_v2x_energy_wh
        assert low is not None
        assert high is not None
        assert low == pytest.approx((30 - 60) / 100 * bay.profile.capacity_wh, rel=0.05), "levels in 0.1 kWh"
        assert high == pytest.approx((80 - 60) / 100 * bay.profile.capacity_wh, rel=0.05)
        metered = bay.of(model.Metered)[-1]
        assert metered.soc_pct == pytest.approx(60, abs=1)
        assert metered.min_v2x_energy_wh == pytest.approx(low, abs=400)


async def test_the_whole_power_of_the_evse_is_used_in_both_directions() -> None:
    async with running(Bay()) as bay:
        await bay.plug()
        for power_w in (6000.0, -5600.0):
            await bay.order(power_w)
            await bay.clock.sleep(20)
            assert bay.board.plug.stage.meter.power_w == pytest.approx(power_w, rel=0.01)


async def test_a_power_stage_that_was_derated_at_the_start_is_used_in_full_later() -> None:
    bay = Bay()
    spec = bay.board.plug.stage.spec
    bay.board.plug.stage.spec = replace(spec, max_current_a=5.0)
    async with running(bay):
        await bay.plug()
        await bay.order(-4000.0)
        await bay.clock.sleep(5)
        assert bay.current_a == pytest.approx(-5, abs=0.5)
        bay.board.plug.stage.spec = spec
        bay.vehicle.unplug()
        await bay.clock.sleep(10)
        await bay.plug()
        await bay.flowing(-4000.0)


async def test_a_returned_can_bus_is_used_at_once() -> None:
    bay = Bay()
    bay.can.down = bay.bus_fails = True
    async with running(bay):
        bay.vehicle.plug()
        await bay.clock.sleep(20)
        bay.can.down = bay.bus_fails = False
        await bay.powered(25)
