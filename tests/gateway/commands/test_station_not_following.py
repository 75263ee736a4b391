"""Stations that do not report, refuse orders or measure little: power stays under control."""

from __future__ import annotations

import json

import pytest

from gateway.bench.plain_station import PlainStations
from gateway.model.journal import CommandOpened
from gateway.model.site import SitePolicy
from gateway.model.station import Outcome
from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import ServiceRig, service_rig

pytestmark = pytest.mark.virtual_time


async def test_a_station_that_never_reports_its_set_point_gets_orders() -> None:
    async with service_rig("CP1-1", plugged=False) as rig:
        rig.stations.evses["CP1-1"].hides_setpoint = True
        rig.stations.plug("CP1-1")
        assert (await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=300)).status == "accepted"
        await rig.wait(15)
        assert rig.power("CP1-1") == -5000
        assert rig.published.statuses("a") == ["accepted", "achieved"]
        await rig.send("CP1-1", "stop", "s")
        await rig.wait(5)
        assert rig.power("CP1-1") == 0


async def test_an_emergency_stop_is_ordered_before_the_station_is_reconciled() -> None:
    async with service_rig("CP1-1", plugged=False) as rig:
        held = rig.stations.evses["CP1-1"]
        held.hides_setpoint = True
        await rig.send(None, "emergency_stop", "e")
        rig.stations.plug("CP1-1")
        await rig.wait(0.2)
        assert [power_w for _, power_w, _ in held.orders] == [0.0]
        assert held.calls[:2] == ["set_power", "reconcile"]
        await rig.wait(60)
        assert rig.evse("CP1-1").setpoint.verified
        assert len(held.orders) == 2  # once more after an unknown set-point, and then no more


class Defective:
    """Stations, of which one has a defect in our own code."""

    def __init__(self, stations: PlainStations, evse: str) -> None:
        self._stations, self.evse = stations, evse
        self.reaches, self.reconcile = stations.reaches, stations.reconcile

    async def set_power(self, evse: str, power_w: float, valid_for_s: float) -> Outcome:
        if evse == self.evse:
            raise ZeroDivisionError
        return await self._stations.set_power(evse, power_w, valid_for_s)


async def test_an_error_at_one_evse_does_not_affect_the_others() -> None:
    async with service_rig("CP1-1", "CP2-1") as rig:
        rig.backend.stations = broken = Defective(rig.stations, "CP1-1")
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=300)
        await rig.send("CP2-1", "discharge", "b", power_w=4000, lease_s=300)
        await rig.wait(20)
        assert (rig.power("CP1-1"), rig.power("CP2-1")) == (0, -4000)
        assert rig.published.kinds().count("fault") == 1  # reported once, whatever the number of attempts
        broken.evse = ""
        await rig.wait(5)
        assert (rig.power("CP1-1"), rig.power("CP2-1")) == (-5000, -4000)


async def test_an_id_that_another_gateway_has_used_is_refused_and_a_stop_of_that_id_still_stops() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        taken = [CommandOpened(name, "CP9-1", "charge", "f" * 64, "{}", None, "mqtt", 1.0, True) for name in "xy"]
        await store.write(taken)
        refused = await rig.send("CP1-1", "discharge", "x", power_w=5000, lease_s=60)
        assert (refused.status, refused.reason.code) == ("refused", "id_conflict")
        assert (await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)).status == "accepted"
        await rig.wait(3)
        assert (await rig.send("CP1-1", "stop", "y")).status == "accepted"
        await rig.wait(3)
        assert rig.power("CP1-1") == 0
        assert "result" in [entry.step.value for entry in await rig.service.entries(command="y")]
        assert rig.journal.dropped == 0
        assert (await rig.send("CP1-1", "discharge", "b", power_w=5000, lease_s=60)).status == "accepted"


def grid(rig: ServiceRig, house_w: float) -> None:
    """Report the grid meter: the load of the site and the car at present."""
    seen = {"ts": rig.clock.wall(), "present": True, "power_w": house_w + rig.power("CP1-1")}
    rig.service.input("grid", json.dumps(seen).encode())


async def test_a_reading_from_before_a_stop_does_not_count_as_the_power_now() -> None:
    async with service_rig("CP1-1", policy=SitePolicy("home", export_limit_w=0)) as rig:
        rig.stations.evses["CP1-1"].metered_on_call = True
        grid(rig, 6000)
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        for _ in range(5):
            await rig.wait(1)
            grid(rig, 6000)
        rig.stations.meter("CP1-1")  # -5000 W, and then nothing for minutes
        await rig.send("CP1-1", "stop", "s")
        for _ in range(20):
            await rig.wait(1)
            grid(rig, 6000)
        assert rig.power("CP1-1") == 0
        granted = await rig.send("CP1-1", "discharge", "b", power_w=10_000, lease_s=60)
        assert granted.effective_w == -6000
        for _ in range(20):
            await rig.wait(1)
            assert rig.power("CP1-1") >= -6000
            grid(rig, 6000)


async def test_the_power_of_a_vehicle_that_follows_in_part_is_that_of_its_meter() -> None:
    async with service_rig("CP1-1", policy=SitePolicy("home", import_limit_w=9000)) as rig:
        held, place = rig.stations.evses["CP1-1"], rig.evse("CP1-1")
        held.ignores_setpoints = held.metered_on_call = True
        await rig.send("CP1-1", "charge", "a", power_w=5000, lease_s=60)
        await rig.wait(1)
        assert place.flowing_w(rig.clock.now()) == [5000]  # nothing better is known
        rig.stations.meter("CP1-1")
        assert place.flowing_w(rig.clock.now()) == [0, 5000]  # it is still on its way, or has arrived
        await rig.wait(20)
        assert place.flowing_w(rig.clock.now()) == [0, 5000]  # nothing was measured since
        rig.stations.meter("CP1-1")
        assert place.flowing_w(rig.clock.now()) == [0]  # it has not moved


@pytest.mark.parametrize("verb", ["emergency_stop", "stop"])
async def test_0_w_does_not_wait_for_the_answer_to_another_order(verb: str) -> None:
    async with service_rig("CP1-1") as rig:
        held = rig.stations.evses["CP1-1"]
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=300)
        await rig.wait(2)
        held.hides_setpoint = True
        await rig.send("CP1-1", "discharge", "b", power_w=6000, lease_s=300)
        await rig.wait(1)
        assert held.orders[-1][1] == -6000.0
        await rig.send(None if verb == "emergency_stop" else "CP1-1", verb, "s")
        await rig.wait(0.5)
        assert held.orders[-1][1] == 0.0
