"""Stations that do not answer what they are asked, refuse what they are told, or say little: power stays in hand."""

from __future__ import annotations

import json

import pytest

from gateway.bench.plain_station import PlainStations
from gateway.model.journal import CommandOpened
from gateway.model.site import SitePolicy
from gateway.model.station import Outcome
from gateway.store.memory import MemoryStore
from tests.gateway.commands.rig import House, house

pytestmark = pytest.mark.virtual_time


async def test_a_station_that_never_says_what_it_holds_is_ordered_all_the_same() -> None:
    async with house("CP1-1", plugged=False) as home:
        home.stations.evses["CP1-1"].mute = True
        home.stations.plug("CP1-1")
        assert (await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=300)).status == "accepted"
        await home.wait(15)
        assert home.power("CP1-1") == -5000
        assert home.heard.statuses("a") == ["accepted", "achieved"]
        await home.send("CP1-1", "stop", "s")
        await home.wait(5)
        assert home.power("CP1-1") == 0


async def test_an_emergency_stop_is_ordered_before_the_station_is_asked_what_it_holds() -> None:
    async with house("CP1-1", plugged=False) as home:
        held = home.stations.evses["CP1-1"]
        held.mute = True
        await home.send(None, "emergency_stop", "e")
        home.stations.plug("CP1-1")
        await home.wait(0.2)
        assert [power_w for _, power_w, _ in held.orders] == [0.0]
        assert held.calls[:2] == ["set_power", "reconcile"]
        await home.wait(60)
        assert home.service.board.places["CP1-1"].reconciled
        assert len(held.orders) == 2  # once more when it could not say what it held, and then no more


class Defective:
    """Stations, of which one has a defect in our own code."""

    def __init__(self, stations: PlainStations, evse: str) -> None:
        self._stations, self.evse = stations, evse
        self.reaches, self.end_session, self.reconcile = stations.reaches, stations.end_session, stations.reconcile

    async def set_power(self, evse: str, power_w: float, hold_s: float) -> Outcome:
        if evse == self.evse:
            raise ZeroDivisionError
        return await self._stations.set_power(evse, power_w, hold_s)


async def test_a_defect_at_one_evse_never_ends_the_others() -> None:
    async with house("CP1-1", "CP2-1") as home:
        broken = home.service.board.stations = Defective(home.stations, "CP1-1")
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=300)
        await home.send("CP2-1", "discharge", "b", power_w=4000, lease_s=300)
        await home.wait(20)
        assert (home.power("CP1-1"), home.power("CP2-1")) == (0, -4000)
        assert home.heard.kinds().count("fault") == 1  # told once, however often it is tried
        broken.evse = ""
        await home.wait(5)
        assert (home.power("CP1-1"), home.power("CP2-1")) == (-5000, -4000)


async def test_an_id_that_another_gateway_has_used_is_refused_and_a_stop_of_that_id_still_stops() -> None:
    store = MemoryStore()
    async with house("CP1-1", store=store) as home:
        taken = [CommandOpened(name, "CP9-1", "charge", "f" * 64, "{}", None, "mqtt", 1.0, True) for name in "xy"]
        await store.write(taken)
        refused = await home.send("CP1-1", "discharge", "x", power_w=5000, lease_s=60)
        assert (refused.status, refused.reason.code) == ("refused", "id_conflict")
        assert (await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)).status == "accepted"
        await home.wait(3)
        assert (await home.send("CP1-1", "stop", "y")).status == "accepted"
        await home.wait(3)
        assert home.power("CP1-1") == 0
        assert "result" in [entry.step.value for entry in await home.service.entries(command="y")]
        assert home.service.journal.dropped == 0
        assert (await home.send("CP1-1", "discharge", "b", power_w=5000, lease_s=60)).status == "accepted"


def grid(home: House, house_w: float) -> None:
    """The meter at the grid sees the house and the car, as they are now."""
    seen = {"ts": home.clock.wall(), "present": True, "power_w": house_w + home.power("CP1-1")}
    home.service.input("grid", json.dumps(seen).encode())


async def test_what_a_slow_meter_said_before_a_stop_is_not_taken_for_what_the_car_does_now() -> None:
    async with house("CP1-1", policy=SitePolicy("home", export_limit_w=0)) as home:
        home.stations.evses["CP1-1"].seldom = True
        grid(home, 6000)
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        for _ in range(5):
            await home.wait(1)
            grid(home, 6000)
        home.stations.meter("CP1-1")  # -5000 W, and then nothing for minutes
        await home.send("CP1-1", "stop", "s")
        for _ in range(20):
            await home.wait(1)
            grid(home, 6000)
        assert home.power("CP1-1") == 0
        granted = await home.send("CP1-1", "discharge", "b", power_w=10_000, lease_s=60)
        assert granted.effective_w == -6000
        for _ in range(20):
            await home.wait(1)
            assert home.power("CP1-1") >= -6000
            grid(home, 6000)


async def test_a_car_that_gives_less_than_it_was_told_is_believed_by_its_meter() -> None:
    async with house("CP1-1", policy=SitePolicy("home", import_limit_w=9000)) as home:
        held, place = home.stations.evses["CP1-1"], home.service.board.places["CP1-1"]
        held.deaf = held.seldom = True
        await home.send("CP1-1", "charge", "a", power_w=5000, lease_s=60)
        await home.wait(1)
        assert (place.sent_w, home.service.board.cars_w()) == (5000, 5000)  # nothing better is known
        home.stations.meter("CP1-1")
        assert home.service.board.cars_w() == 0  # it is still on its way
        await home.wait(5)
        assert home.service.board.cars_w() == 5000  # and may have arrived
        home.stations.meter("CP1-1")
        await home.wait(20)
        assert home.service.board.cars_w() == 0  # it has not
