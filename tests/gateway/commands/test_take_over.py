"""Another process takes a site over: leased commands stay in force until their lease ends, with one final result."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulators.runtime.clock import START
from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import POLICY, service_rig

pytestmark = pytest.mark.virtual_time


async def test_a_command_to_an_evse_stays_in_force_and_ends_with_its_lease() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        assert (await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)).status == "accepted"
        await rig.wait(10)
        assert rig.published.statuses("a") == ["accepted", "achieved"]
    async with service_rig("CP1-1", store=store, start=START + 15, takes_over=True) as rig:
        await rig.wait(3)
        assert rig.power("CP1-1") == -5000
        again = await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)  # the same command once more
        assert again.status == "achieved"
        await rig.wait(28)
        assert rig.power("CP1-1") == -5000
        await rig.wait(10)
        assert rig.power("CP1-1") == 0
        assert "lease_ended" in rig.published.kinds()
        stored = await store.find_command("a")
        assert stored is not None
        assert not stored.in_force


async def test_a_command_without_final_result_gets_it_from_the_process_that_takes_over() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        rig.stations.evses["CP1-1"].metered_on_call = True  # nothing is seen on the meter yet
        assert (await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)).status == "accepted"
        await rig.wait(2)
        assert rig.published.statuses("a") == ["accepted"]
    async with service_rig(store=store, start=START + 5, takes_over=True) as rig:
        await rig.wait(5)  # its station is connected to no instance yet
        assert rig.published.statuses("a") == ["accepted"]  # again: no broker has acknowledged it
        rig.stations.connect("CP1", "CP1-1")
        rig.stations.plug("CP1-1", "tx0")
        await rig.wait(5)
        assert rig.power("CP1-1") == -5000
        assert rig.published.statuses("a") == ["accepted", "achieved"]


async def test_a_command_whose_station_does_not_return_ends_with_its_lease() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        rig.stations.evses["CP1-1"].metered_on_call = True
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=30)
    async with service_rig(store=store, start=START + 5, takes_over=True) as rig:
        await rig.wait(40)
        assert rig.published.statuses("a") == ["accepted", "lease_expired"]


async def test_a_command_to_the_site_is_shared_among_the_stations_that_report() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", "CP2-1", store=store) as rig:
        assert (await rig.send(None, "discharge", "s", power_w=8000, lease_s=60)).status == "accepted"
        await rig.wait(5)
        assert rig.power("CP1-1") + rig.power("CP2-1") == -8000
    async with service_rig("CP1-1", "CP2-1", store=store, start=START + 10, takes_over=True) as rig:
        await rig.wait(5)
        assert rig.power("CP1-1") + rig.power("CP2-1") == -8000
        await rig.wait(55)
        assert rig.power("CP1-1") == rig.power("CP2-1") == 0


async def test_a_lease_that_ended_meanwhile_does_not_act() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=30)
        await rig.wait(5)
    async with service_rig("CP1-1", store=store, start=START + 60, takes_over=True) as rig:
        await rig.wait(5)
        assert rig.power("CP1-1") == 0
        assert all(power_w == 0 for _, power_w, _ in rig.stations.evses["CP1-1"].orders)


async def test_a_lease_that_ends_while_the_set_point_of_the_station_is_read_is_over() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=10)
        await rig.wait(2)
    async with service_rig(store=store, start=START, takes_over=True) as rig:
        rig.stations.connect("CP1", "CP1-1")
        rig.stations.evses["CP1-1"].hides_setpoint = True  # the reading lasts until its time-out of 10 s
        rig.stations.plug("CP1-1", "tx0")
        await rig.wait(20)
        assert all(power_w == 0 for _, power_w, _ in rig.stations.evses["CP1-1"].orders)


async def test_both_results_of_a_command_are_published_again_where_no_broker_has_acknowledged_one() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        await rig.send("CP1-1", "discharge", "b", power_w=4000, lease_s=60)
        await rig.wait(1)
        assert rig.published.statuses("a") == ["accepted", "superseded"]
    async with service_rig(store=store, start=START + 5, takes_over=True) as rig:
        await rig.wait(1)
        assert rig.published.statuses("a") == ["accepted", "superseded"]


@pytest.mark.parametrize(("paused_s", "power_w"), [(15, -5000), (80, 0)])
async def test_a_discharge_stays_in_force_before_the_vehicle_reports_its_state_of_charge_again(
    paused_s: float, power_w: float
) -> None:
    """What was reported long ago is no statement about now."""
    floor, store = replace(POLICY, min_soc_pct=30), MemoryStore()
    async with service_rig("CP1-1", policy=floor, store=store, takes_over=True) as rig:
        assert (await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=120)).status == "accepted"
        await rig.wait(10)
        assert rig.published.statuses("a") == ["accepted", "achieved"]
    async with service_rig(policy=floor, store=store, start=START + 11 + paused_s, takes_over=True) as rig:
        rig.stations.connect("CP1", "CP1-1")
        rig.stations.plug("CP1-1", "tx0", soc_pct=None)
        await rig.wait(3)
        assert rig.power("CP1-1") == power_w
