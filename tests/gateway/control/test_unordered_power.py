"""Power that nobody ordered is told, and the station is told again what it was told."""

from __future__ import annotations

import pytest

from gateway.control.settings import ServiceSettings
from gateway.model.site import SitePolicy
from tests.gateway.commands.rig import House, house

pytestmark = pytest.mark.virtual_time

WITHIN_S = ServiceSettings(SitePolicy("home")).achieve_within_s


async def at_rest(home: House) -> None:
    """A discharge that has come to its end, long ago."""
    await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=5)
    await home.wait(10)
    assert home.power("CP1-1") == 0
    await home.wait(WITHIN_S)


@pytest.mark.parametrize("power_w", [10_000.0, -3000.0])
async def test_a_station_that_runs_though_it_was_told_to_rest_is_told_again(power_w: float) -> None:
    async with house("CP1-1") as home:
        await at_rest(home)
        held = home.stations.evses["CP1-1"]
        orders, told = len(held.orders), home.heard.kinds().count("fault")
        held.power_w, held.until = power_w, 1e9
        await home.wait(3)
        assert [order[1] for order in held.orders[orders:]] == [0.0]
        assert home.power("CP1-1") == 0
        [event] = [one for one in home.heard.events if one.event.value == "fault"][told:]
        assert event.reason is not None
        assert f"{power_w:.0f} W" in event.reason.text
        await home.wait(300)
        assert len(held.orders) == orders + 1


async def test_one_that_goes_on_is_told_now_and_then_and_not_each_second() -> None:
    async with house("CP1-1") as home:
        await at_rest(home)
        held = home.stations.evses["CP1-1"]
        orders = len(held.orders)
        held.power_w, held.until, held.deaf = 10_000.0, 1e9, True
        await home.wait(600)
        assert 3 <= len(held.orders) - orders <= 600 / WITHIN_S + 1


async def test_little_power_and_the_way_down_are_nothing_to_tell() -> None:
    async with house("CP1-1") as home:
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=5)
        await home.wait(8)
        held = home.stations.evses["CP1-1"]
        orders = len(held.orders)
        held.power_w, held.until = -900.0, 1e9  # still on its way
        await home.wait(WITHIN_S - 15)
        held.power_w = 100.0  # what a car at rest draws
        await home.wait(200)
        assert len(held.orders) == orders
        assert "fault" not in home.heard.kinds()
