"""A leased command whose station loses its connection and is back in time; the law is in `test_reconnection_law.py`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from emulators.runtime.clock import START
from gateway.model.site import SitePolicy
from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import ServiceRig, service_rig
from tests.gateway.commands.test_out_of_order_commands import SlowStore, slow

pytestmark = pytest.mark.virtual_time


async def _discharge(rig: ServiceRig, evse: str | None = "CP1-1", name: str = "a", **body: Any) -> None:
    first = await rig.send(evse, "discharge", name, **{"power_w": 5000, "lease_s": 60} | body)
    assert first.status == "accepted"


def _ended(rig: ServiceRig) -> list[str]:
    """Return the reasons of the events `lease_ended`."""
    return [event.reason.code for event in rig.published.events if event.event == "lease_ended" and event.reason]


async def test_the_set_point_of_an_achieved_command_is_sent_anew_before_the_one_at_the_station_ends() -> None:
    async with service_rig("CP1-1") as rig:
        await _discharge(rig)
        await rig.wait(7)
        assert rig.published.statuses("a") == ["accepted", "achieved"]
        held = rig.stations.evses["CP1-1"]
        rig.stations.disconnect("CP1")
        for _ in range(95):
            await rig.wait(0.1)
            assert rig.power("CP1-1") == -5000  # valid for longer than the station is away
        rig.stations.connect("CP1", "CP1-1")
        for _ in range(300):
            await rig.wait(0.1)
            assert rig.power("CP1-1") == -5000
        assert held.calls[0] == "reconcile"
        await rig.wait(25)
        assert rig.power("CP1-1") == 0
        assert rig.published.statuses("a") == ["accepted", "achieved"]
        assert _ended(rig) == ["lease_expired"]


async def test_an_achieved_command_whose_station_stays_away_ends_with_an_event() -> None:
    async with service_rig("CP1-1") as rig:
        await _discharge(rig)
        await rig.wait(6)
        rig.stations.evses["CP1-1"].metered_on_call = True
        rig.stations.disconnect("CP1")
        steps = rig.evse("CP1-1").steps
        await rig.wait(9.9)
        assert "lease_ended" not in rig.published.kinds()
        state = rig.service.state("CP1-1")
        assert state is not None
        assert (state.connection, state.reason.code, state.command is not None) == ("offline", "offline", True)
        assert (state.available.max_charge_w, state.available.max_discharge_w) == (0, 0)
        await rig.wait(0.2)
        assert _ended(rig) == ["offline"]
        assert rig.evse("CP1-1").command is None
        assert rig.evse("CP1-1").steps - steps < 10  # it waits without work


async def test_without_time_to_reconnect_a_command_ends_with_the_connection() -> None:
    async with service_rig("CP1-1", reconnect_within_s=0.0) as rig:
        await _discharge(rig)
        rig.stations.disconnect("CP1")
        rig.stations.connect("CP1", "CP1-1")
        await rig.wait(1)
        assert rig.published.final("a").reason.code == "offline"
        assert rig.power("CP1-1") == 0


async def test_the_time_away_is_none_in_which_the_meter_has_to_show_the_power() -> None:
    async with service_rig("CP1-1", achieve_within_s=5.0, reconnect_within_s=30.0) as rig:
        rig.stations.evses["CP1-1"].metered_on_call = True
        await _discharge(rig)
        await rig.wait(1)
        rig.stations.disconnect("CP1")
        await rig.wait(20)
        rig.stations.connect("CP1", "CP1-1")
        await rig.wait(3)
        assert rig.published.statuses("a") == ["accepted"]
        rig.stations.meter("CP1-1")
        await rig.wait(0.1)
        assert rig.published.statuses("a") == ["accepted", "achieved"]


async def test_a_command_to_the_site_goes_on_while_its_stations_connect_elsewhere_one_after_the_other() -> None:
    async with service_rig("CP1-1", "CP2-1") as rig:
        await _discharge(rig, None, power_w=8000)
        await rig.wait(5)
        rig.stations.disconnect("CP1")
        await rig.wait(1)
        assert rig.power("CP2-1") == -8000  # it takes over at once
        rig.stations.disconnect("CP2")
        await rig.wait(1)
        rig.stations.connect("CP1", "CP1-1")
        await rig.wait(1)
        assert rig.power("CP1-1") == -8000
        rig.stations.connect("CP2", "CP2-1")
        await rig.wait(1)
        assert rig.power("CP1-1") + rig.power("CP2-1") == -8000
        await rig.wait(60)
        assert rig.published.statuses("a") == ["accepted", "achieved"]
        assert _ended(rig) == ["lease_expired"]


async def test_a_command_to_the_site_goes_on_at_the_other_station_where_the_last_one_stays_away() -> None:
    async with service_rig("CP1-1", "CP2-1") as rig:
        await _discharge(rig, None, power_w=8000)
        rig.stations.disconnect("CP1")
        rig.stations.disconnect("CP2")
        await rig.wait(2)
        rig.stations.connect("CP1", "CP1-1")
        await rig.wait(20)
        assert rig.power("CP1-1") == -8000
        assert rig.published.statuses("a") == ["accepted", "achieved"]
        assert rig.published.final("a").reason.code == "partly"


async def test_a_command_to_the_site_ends_once_where_all_stations_stay_away() -> None:
    async with service_rig("CP1-1", "CP2-1") as rig:
        rig.stations.evses["CP1-1"].metered_on_call = rig.stations.evses["CP2-1"].metered_on_call = True
        await _discharge(rig, None, power_w=8000)
        rig.stations.disconnect("CP1")
        rig.stations.disconnect("CP2")
        await rig.wait(11)
        assert rig.published.statuses("a") == ["accepted", "failed"]
        assert rig.published.final("a").reason.code == "offline"


async def test_the_stop_of_the_site_ends_a_command_that_waits_and_is_confirmed_when_its_station_is_back() -> None:
    async with service_rig("CP1-1", "CP2-1") as rig:
        await _discharge(rig)
        await rig.wait(2)
        rig.stations.disconnect("CP1")
        await rig.wait(2)
        assert (await rig.send(None, "stop", "s")).status == "accepted"
        await rig.wait(2)
        assert rig.published.statuses("s") == ["accepted"]
        rig.stations.connect("CP1", "CP1-1")
        await rig.wait(3)
        assert rig.published.statuses("s") == ["accepted", "achieved"]
        assert rig.power("CP1-1") == 0


async def test_a_command_to_the_site_waits_for_the_station_lost_last_though_another_one_waits_longer() -> None:
    async with service_rig("CP1-1", "CP2-1") as rig:
        await _discharge(rig, None, power_w=8000)
        await rig.wait(5)
        rig.stations.disconnect("CP1")
        await rig.wait(1)
        rig.stations.disconnect("CP2")
        await rig.wait(8)
        rig.stations.connect("CP1", "CP1-1")
        await rig.wait(1)
        rig.stations.disconnect("CP1")
        await rig.wait(5)  # CP2 has not connected again in time
        rig.stations.connect("CP1", "CP1-1")
        await rig.wait(1)
        assert rig.power("CP1-1") == -8000
        assert rig.published.statuses("a") == ["accepted", "achieved"]


async def test_a_command_waits_whose_station_is_lost_while_the_journal_writes_it() -> None:
    async with service_rig("CP1-1", store=SlowStore()) as rig:
        slow(rig)
        sent = asyncio.create_task(_discharge(rig))
        await rig.wait(0.1)
        rig.stations.disconnect("CP1")
        await sent
        await rig.wait(5)
        rig.stations.connect("CP1", "CP1-1")
        await rig.wait(3)
        assert rig.power("CP1-1") == -5000
        assert rig.published.statuses("a") == ["accepted", "achieved"]


async def test_other_evses_get_at_once_what_a_station_that_is_back_does_not_take() -> None:
    policy = SitePolicy("home", import_limit_w=11_000.0)
    async with service_rig("CP1-1", "CP2-1", policy=policy) as rig:
        for held in rig.stations.evses.values():
            held.metered_on_call = True
        for number in (1, 2):
            first = await rig.send(f"CP{number}-1", "charge", f"c{number}", power_w=8000, lease_s=600)
            assert first.status in ("accepted", "clamped")
        await rig.wait(5.9)  # before the set-point is sent again
        assert (rig.power("CP1-1"), rig.power("CP2-1")) == (8000, 3000)
        rig.stations.disconnect("CP1")
        await rig.wait(12)  # the command has ended, and the set-point
        assert (rig.power("CP1-1"), rig.power("CP2-1")) == (0, 3000)
        rig.stations.connect("CP1", "CP1-1")
        await rig.wait(0.5)
        assert rig.power("CP2-1") == 8000


async def test_a_stop_of_the_site_needs_nothing_of_a_station_that_is_back_without_a_session() -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        await _discharge(rig)
        await rig.wait(2)
    async with service_rig("CP2-1", store=store, start=START + 5, takes_over=True) as rig:
        assert (await rig.send(None, "stop", "s")).status == "accepted"
        rig.stations.connect("CP1", "CP1-1")
        await rig.wait(10)
        assert rig.published.statuses("s") == ["accepted", "achieved"]


@pytest.mark.parametrize(("takes_over", "session", "ended"), [
    (True, "tx0", None), (True, "tx1", "session_ended"), (False, "tx0", "gateway_restarted")
])  # fmt: skip
async def test_a_gateway_that_ends_while_a_command_waits(takes_over: bool, session: str, ended: str | None) -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        rig.stations.evses["CP1-1"].metered_on_call = True
        await _discharge(rig)
        await rig.wait(2)
        rig.stations.disconnect("CP1")
        await rig.wait(2)
    async with service_rig(store=store, start=START + 5, takes_over=takes_over) as rig:
        await rig.wait(2)
        rig.stations.connect("CP1", "CP1-1")
        rig.stations.plug("CP1-1", session)
        await rig.wait(3)
        assert rig.power("CP1-1") == (-5000 if ended is None else 0)
        assert [order for order in rig.stations.evses["CP1-1"].orders if order[1]] == [] or ended is None
        final = rig.published.final("a")
        assert final.reason.code == (ended or "seen_on_meter")
        assert len(rig.published.statuses("a")) == 2
