"""Floors and the EV's V2X window in a running service: results of a command, a discharge and the energy service."""

from __future__ import annotations

import pytest

from gateway.energy.settings import EnergySection
from gateway.model.event import Metered, PowerLimits, VehicleNeeds
from gateway.model.site import SitePolicy
from tests.gateway.commands.rig import ServiceRig, service_rig

LIMITS = PowerLimits(11_000.0, 10_000.0)


def report(rig: ServiceRig, soc_pct: float | None = 80.0, v2x_wh: float | None = None) -> None:
    """The meter reports the power that runs, with this state of charge and energy to the V2X window."""
    rig.stations.evses["CP1-1"].soc_pct = soc_pct
    now, power_w = rig.clock.now(), rig.power("CP1-1")
    rig.service.report(Metered("CP1-1", now, rig.clock.wall(), power_w, soc_pct=soc_pct, min_v2x_energy_wh=v2x_wh))


def needs(v2x_wh: float | None) -> VehicleNeeds:
    return VehicleNeeds(LIMITS, True, "DC_BPT", soc_pct=80.0, battery_capacity_wh=63_000.0, min_v2x_energy_wh=v2x_wh)


@pytest.mark.virtual_time
async def test_a_discharge_below_the_v2x_window_is_refused_and_nothing_is_sent() -> None:
    async with service_rig("CP1-1", plugged=False) as rig:
        rig.stations.plug("CP1-1", "tx", needs(1200.0))
        await rig.wait(1)
        refused = await rig.send("CP1-1", "discharge", "d", power_w=5000, lease_s=60)
        assert (refused.status, refused.reason.code) == ("refused", "outside_v2x_window")
        await rig.wait(10)
        assert all(power_w >= 0 for _, power_w, _ in rig.stations.evses["CP1-1"].orders)
        assert (await rig.send("CP1-1", "charge", "c", power_w=5000, lease_s=60)).status == "accepted"
        await rig.wait(5)
        assert rig.power("CP1-1") == 5000


@pytest.mark.virtual_time
async def test_a_discharge_ends_when_the_ev_leaves_its_v2x_window() -> None:
    async with service_rig("CP1-1") as rig:
        assert (await rig.send("CP1-1", "discharge", "d", power_w=5000, lease_s=60)).status == "accepted"
        await rig.wait(0.2)
        assert rig.power("CP1-1") == -5000
        report(rig, v2x_wh=1.0)
        await rig.wait(0.2)
        assert rig.power("CP1-1") == 0
        (clamp,) = [event for event in rig.published.events if event.event == "clamp_changed"]
        assert clamp.reason is not None
        assert (clamp.reason.code, clamp.command) == ("outside_v2x_window", "d")
        report(rig, v2x_wh=-1.0)
        await rig.wait(0.2)
        assert rig.power("CP1-1") == -5000


@pytest.mark.parametrize(("v2x_wh", "discharge_w"), [(1200.0, 0.0), (0.5, 0.0), (0.0, 10_000.0), (None, 10_000.0)])
@pytest.mark.virtual_time
async def test_the_energy_service_does_not_count_on_an_ev_below_its_v2x_window(
    v2x_wh: float | None, discharge_w: float
) -> None:
    async with service_rig("CP1-1", plugged=False) as rig:
        rig.stations.plug("CP1-1", "tx", needs(v2x_wh))
        await rig.wait(1)
        (car,) = rig.energy(EnergySection()).view().cars
        assert (car.max_charge_w, car.max_discharge_w) == (11_000.0, discharge_w)


@pytest.mark.virtual_time
async def test_a_reached_floor_refuses_discharge_until_the_hysteresis_is_over() -> None:
    async with service_rig("CP1-1", policy=SitePolicy("home", min_soc_pct=50.0, floor_hysteresis_pct=4.0)) as rig:
        rig.stations.evses["CP1-1"].seldom = True
        for number, (soc_pct, granted) in enumerate(
            [(51.0, True), (50.0, False), (51.0, False), (53.9, False), (54.0, True), (51.0, True), (49.0, False)]
        ):
            report(rig, soc_pct)
            await rig.wait(1)
            result = await rig.send("CP1-1", "discharge", f"d{number}", power_w=5000, lease_s=60)
            assert (result.status == "accepted") is granted, soc_pct
            if not granted:
                assert result.reason.code == "below_floor"
            await rig.wait(1)
            assert rig.power("CP1-1") == (-5000 if granted else 0)
            assert rig.published.kinds().count("floor_reached") == (0 if number == 0 else 1 if number < 6 else 2)


@pytest.mark.virtual_time
async def test_a_discharge_ends_at_the_floor_and_a_decision_is_kept() -> None:
    async with service_rig("CP1-1", policy=SitePolicy("home", min_soc_pct=50.0)) as rig:
        rig.stations.evses["CP1-1"].seldom = True
        report(rig, 50.1)
        await rig.send("CP1-1", "discharge", "d", power_w=5000, lease_s=60)
        await rig.wait(0.2)
        assert rig.power("CP1-1") == -5000
        report(rig, 50.0)
        await rig.wait(0.2)
        assert rig.power("CP1-1") == 0
        assert rig.evse("CP1-1").decision is not None
