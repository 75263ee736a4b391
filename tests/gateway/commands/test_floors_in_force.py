"""Floors and the EV's V2X window in a running service: results of a command, a discharge and the energy service."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.energy.service import LendingConstraints
from gateway.energy.settings import EnergySection
from gateway.model.event import Metered, NeedsStated, PowerLimits, VehicleIdentified, VehicleNeeds
from gateway.model.site import SitePolicy
from tests.gateway.commands.rig import ServiceRig, service_rig

LIMITS = PowerLimits(11_000.0, 10_000.0)
FLOOR_50 = SitePolicy("home", min_soc_pct=50.0)


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


@pytest.mark.virtual_time
@pytest.mark.parametrize("member", ["min_v2x_energy_wh", "min_energy_wh"])
async def test_a_reading_with_nothing_but_an_energy_request_takes_effect_at_once(member: str) -> None:
    async with service_rig("CP1-1") as rig:
        await rig.send("CP1-1", "discharge", "d", power_w=5000, lease_s=60)
        await rig.wait(2)
        assert rig.power("CP1-1") == -5000
        values: dict[str, Any] = {member: 500.0}
        rig.service.report(Metered("CP1-1", rig.clock.now(), **values))
        await rig.wait(0.2)
        assert rig.power("CP1-1") == 0


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
    async with service_rig("CP1-1", policy=SitePolicy("home", min_soc_pct=50.0, floor_hysteresis_pct=1.0)) as rig:
        rig.stations.evses["CP1-1"].metered_on_call = True
        for number, (soc_pct, granted) in enumerate(
            [(51.0, True), (50.0, False), (50.5, False), (50.9, False), (51.0, True), (50.5, True), (49.0, False)]
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
        rig.stations.evses["CP1-1"].metered_on_call = True
        report(rig, 51.0)
        await rig.send("CP1-1", "discharge", "d", power_w=5000, lease_s=60)
        await rig.wait(0.2)
        assert rig.power("CP1-1") == -5000
        report(rig, 50.0)
        await rig.wait(0.2)
        assert rig.power("CP1-1") == 0
        assert rig.evse("CP1-1").decision is not None


@pytest.mark.virtual_time
async def test_the_next_vehicle_does_not_inherit_a_reached_floor() -> None:
    async with service_rig("CP1-1", policy=FLOOR_50) as rig:
        energy = rig.energy(EnergySection(reserve_pct=40.0))
        rig.stations.evses["CP1-1"].metered_on_call = True
        able_w = []
        for number, soc_pct in enumerate((51.0, 50.0, 51.0, None, 51.0)):
            if soc_pct is None:
                rig.stations.unplug("CP1-1")
                rig.stations.plug("CP1-1", f"next{number}", needs(None))
                continue
            report(rig, soc_pct)
            await rig.wait(1)
            view = energy.view()
            assert view.cars[0].floor_reached is rig.evse("CP1-1").floor_reached
            able_w.append(energy.controller.resource_builder.car(view, view.cars[0]).max_discharge_w)
        assert able_w == [10_000.0, 0.0, 0.0, 10_000.0]


@pytest.mark.parametrize(
    ("soc_pct", "agreed_pct", "source"),
    [
        (31.0, None, ""),
        (30.0, None, "the trip home"),
        (31.0, 35.0, "the agreement"),
    ],
)
@pytest.mark.virtual_time
async def test_a_vehicles_own_floors_hold_for_commands_without_energy_management(
    soc_pct: float, agreed_pct: float | None, source: str
) -> None:
    policy = SitePolicy("home", min_soc_pct=10.0, vehicle_floor_pct={"V": 20.0}, vehicle_trip_wh={"V": 18_900.0})

    async with service_rig("CP1-1", policy=policy) as rig:
        rig.stations.evses["CP1-1"].metered_on_call = True
        rig.service.report(NeedsStated("CP1-1", rig.clock.now(), needs(None)))
        rig.service.report(VehicleIdentified("CP1-1", rig.clock.now(), "V"))
        rig.energy_service.constrain(LendingConstraints(floor_pct={} if agreed_pct is None else {"CP1-1": agreed_pct}))
        report(rig, soc_pct)
        await rig.wait(1)
        assert not rig.energy_service.active()
        result = await rig.send("CP1-1", "discharge", "d", power_w=5000, lease_s=60)
        assert result.status == ("refused" if source else "accepted")
        assert source in result.reason.text


@pytest.mark.virtual_time
async def test_commands_and_energy_management_name_the_same_source_of_a_floor() -> None:
    async with service_rig("CP1-1", policy=FLOOR_50) as rig:
        rig.stations.evses["CP1-1"].metered_on_call = True
        for reserve_pct, floor in ((60.0, "the site's reserve is 60.0 %"), (0.0, "the site's floor is 50.0 %")):
            energy = rig.energy(EnergySection(reserve_pct=reserve_pct))
            energy.step()
            report(rig, 45.0)
            await rig.wait(1)
            result = await rig.send("CP1-1", "discharge", f"d{reserve_pct}", power_w=5000, lease_s=60)
            assert result.reason.text.endswith(f"{floor}.")
            assert f"{floor}." == "{0.source} is {0.pct:.1f} %.".format(
                energy.controller.resource_builder.floors["CP1-1"]
            )
