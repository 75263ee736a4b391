"""The gateway's clock is set while it runs: leases go on by their own time, and new inputs do not pass for old ones."""

from __future__ import annotations

import json

import pytest

from tests.gateway.commands.rig import House, house

pytestmark = pytest.mark.virtual_time


def grid(home: House, present: bool, ago_s: float = 0.0) -> None:
    body = {"ts": home.clock.wall() - ago_s, "present": present}
    assert home.service.input("grid", json.dumps(body).encode()) is None


def set_clock(home: House, by_s: float) -> None:
    real = home.clock.wall
    home.clock.wall = lambda: real() + by_s  # type: ignore[method-assign]


async def test_a_grid_that_goes_after_the_clock_was_set_back_is_heard() -> None:
    async with house("CP1-1") as home:
        grid(home, True)
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        await home.wait(2)
        assert home.power("CP1-1") == -5000
        set_clock(home, -3600)
        grid(home, False)
        await home.wait(1)
        assert home.power("CP1-1") == 0
        assert home.service.site_state().grid_present is False
        grid(home, True, ago_s=2)  # and from here on order is order again
        assert home.service.site_state().grid_present is False


@pytest.mark.parametrize("by_s", [-86_400.0, -10.0, 10.0, 86_400.0])
async def test_a_lease_ends_in_its_own_time_whatever_the_clock_says(by_s: float) -> None:
    async with house("CP1-1") as home:
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=30)
        await home.wait(10)
        set_clock(home, by_s)
        await home.wait(15)
        assert home.power("CP1-1") == -5000
        await home.wait(9)
        assert home.power("CP1-1") == 0
