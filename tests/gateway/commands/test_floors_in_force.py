"""Floors and the EV's V2X window in a running core: what a command, a running discharge and the energy service get."""

from __future__ import annotations

import pytest

from emulators.runtime.clock import run_virtual
from gateway.energy.service import EnergyService
from gateway.energy.settings import EnergySection
from gateway.model.event import Metered, PowerLimits, VehicleNeeds
from gateway.model.site import SitePolicy
from tests.gateway.commands.rig import House, house

LIMITS = PowerLimits(11_000.0, 10_000.0)


def report(home: House, soc_pct: float | None = 80.0, v2x_wh: float | None = None) -> None:
    """The meter reports the power that runs, with this state of charge and energy to the V2X window."""
    home.stations.evses["CP1-1"].soc_pct = soc_pct
    now, power_w = home.clock.now(), home.power("CP1-1")
    home.service.report(Metered("CP1-1", now, home.clock.wall(), power_w, soc_pct=soc_pct, min_v2x_energy_wh=v2x_wh))


def needs(v2x_wh: float | None) -> VehicleNeeds:
    return VehicleNeeds(LIMITS, True, "DC_BPT", soc_pct=80.0, battery_capacity_wh=63_000.0, min_v2x_energy_wh=v2x_wh)


def test_a_discharge_below_the_v2x_window_is_refused_and_nothing_is_sent() -> None:
    async def scene() -> None:
        async with house("CP1-1", plugged=False) as home:
            home.stations.plug("CP1-1", "tx", needs(1200.0))
            await home.wait(1)
            refused = await home.send("CP1-1", "discharge", "d", power_w=5000, lease_s=60)
            assert (refused.status, refused.code) == ("refused", "outside_v2x_window")
            await home.wait(10)
            assert all(power_w >= 0 for _, power_w, _ in home.stations.evses["CP1-1"].orders)
            assert (await home.send("CP1-1", "charge", "c", power_w=5000, lease_s=60)).status == "accepted"
            await home.wait(5)
            assert home.power("CP1-1") == 5000

    run_virtual(scene())


def test_a_discharge_ends_when_the_ev_leaves_its_v2x_window() -> None:
    async def scene() -> None:
        async with house("CP1-1") as home:
            assert (await home.send("CP1-1", "discharge", "d", power_w=5000, lease_s=60)).status == "accepted"
            await home.wait(0.2)
            assert home.power("CP1-1") == -5000
            report(home, v2x_wh=1.0)
            await home.wait(0.2)
            assert home.power("CP1-1") == 0
            (clamp,) = [event for event in home.heard.events if event.event == "clamp_changed"]
            assert clamp.reason is not None
            assert (clamp.reason.code, clamp.command) == ("outside_v2x_window", "d")
            report(home, v2x_wh=-1.0)
            await home.wait(0.2)
            assert home.power("CP1-1") == -5000

    run_virtual(scene())


@pytest.mark.parametrize(("v2x_wh", "discharge_w"), [(1200.0, 0.0), (0.5, 0.0), (0.0, 10_000.0), (None, 10_000.0)])
def test_the_energy_service_does_not_count_on_an_ev_below_its_v2x_window(
    v2x_wh: float | None, discharge_w: float
) -> None:
    async def scene() -> None:
        async with house("CP1-1", plugged=False) as home:
            home.stations.plug("CP1-1", "tx", needs(v2x_wh))
            await home.wait(1)
            (car,) = EnergyService(home.service.board, EnergySection()).view().cars
            assert (car.max_charge_w, car.max_discharge_w) == (11_000.0, discharge_w)

    run_virtual(scene())


def test_a_reached_floor_refuses_discharge_until_the_hysteresis_is_over() -> None:
    async def scene() -> None:
        async with house("CP1-1", policy=SitePolicy("home", min_soc_pct=50.0, floor_hysteresis_pct=4.0)) as home:
            home.stations.evses["CP1-1"].seldom = True
            for number, (soc_pct, granted) in enumerate(
                [(51.0, True), (50.0, False), (51.0, False), (53.9, False), (54.0, True), (51.0, True), (49.0, False)]
            ):
                report(home, soc_pct)
                await home.wait(1)
                result = await home.send("CP1-1", "discharge", f"d{number}", power_w=5000, lease_s=60)
                assert (result.status == "accepted") is granted, soc_pct
                if not granted:
                    assert result.code == "below_floor"
                await home.wait(1)
                assert home.power("CP1-1") == (-5000 if granted else 0)
                assert home.heard.kinds().count("floor_reached") == (0 if number == 0 else 1 if number < 6 else 2)

    run_virtual(scene())


def test_a_discharge_ends_at_the_floor_and_its_result_says_so() -> None:
    async def scene() -> None:
        async with house("CP1-1", policy=SitePolicy("home", min_soc_pct=50.0)) as home:
            home.stations.evses["CP1-1"].seldom = True
            report(home, 50.1)
            await home.send("CP1-1", "discharge", "d", power_w=5000, lease_s=60)
            await home.wait(0.2)
            assert home.power("CP1-1") == -5000
            report(home, 50.0)
            await home.wait(0.2)
            assert home.power("CP1-1") == 0
            assert home.service.board.places["CP1-1"].decision is not None

    run_virtual(scene())
