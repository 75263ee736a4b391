"""Stations that do not answer what they are asked, refuse what they are told, or say little: power stays in hand."""

from __future__ import annotations

from emulators.clock import run_virtual
from gateway.bench.plain_station import PlainStations
from gateway.model.station import Outcome
from tests.gateway.core.house import house


def test_a_station_that_never_says_what_it_holds_is_ordered_all_the_same() -> None:
    async def scene() -> None:
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

    run_virtual(scene())


def test_an_emergency_stop_is_ordered_before_the_station_is_asked_what_it_holds() -> None:
    async def scene() -> None:
        async with house("CP1-1", plugged=False) as home:
            held = home.stations.evses["CP1-1"]
            held.mute = True
            await home.send(None, "emergency_stop", "e")
            home.stations.plug("CP1-1")
            await home.wait(0.2)
            assert [power_w for _, power_w, _ in held.orders] == [0.0]
            assert held.calls[:2] == ["set_power", "reconcile"]
            await home.wait(60)
            assert home.core.board.places["CP1-1"].reconciled
            assert len(held.orders) == 2  # once more when it could not say what it held, and then no more

    run_virtual(scene())


class Defective:
    """Stations, of which one has a defect in our own code."""

    def __init__(self, stations: PlainStations, evse: str) -> None:
        self._stations, self.evse = stations, evse
        self.reaches, self.end_session, self.reconcile = stations.reaches, stations.end_session, stations.reconcile

    async def set_power(self, evse: str, power_w: float, hold_s: float) -> Outcome:
        if evse == self.evse:
            raise ZeroDivisionError
        return await self._stations.set_power(evse, power_w, hold_s)


def test_a_defect_at_one_evse_never_ends_the_others() -> None:
    async def scene() -> None:
        async with house("CP1-1", "CP2-1") as home:
            broken = home.core.board.stations = Defective(home.stations, "CP1-1")
            await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=300)
            await home.send("CP2-1", "discharge", "b", power_w=4000, lease_s=300)
            await home.wait(20)
            assert (home.power("CP1-1"), home.power("CP2-1")) == (0, -4000)
            assert home.heard.kinds().count("fault") == 1  # told once, however often it is tried
            broken.evse = ""
            await home.wait(5)
            assert (home.power("CP1-1"), home.power("CP2-1")) == (-5000, -4000)

    run_virtual(scene())
