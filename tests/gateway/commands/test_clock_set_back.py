"""The gateway's clock is set while it runs: leases use monotonic time, and new inputs do not count as old ones."""

from __future__ import annotations

import json

import pytest

from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import ServiceRig, service_rig

pytestmark = pytest.mark.virtual_time


def grid(rig: ServiceRig, present: bool, ago_s: float = 0.0) -> None:
    body = {"ts": rig.clock.wall() - ago_s, "present": present}
    assert rig.service.input("grid", json.dumps(body).encode()) is None


def set_clock(rig: ServiceRig, by_s: float) -> None:
    real = rig.clock.wall
    rig.clock.wall = lambda: real() + by_s  # type: ignore[method-assign]


async def test_a_grid_loss_after_the_clock_was_set_back_is_applied() -> None:
    async with service_rig("CP1-1") as rig:
        grid(rig, True)
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        await rig.wait(2)
        assert rig.power("CP1-1") == -5000
        set_clock(rig, -3600)
        grid(rig, False)
        await rig.wait(1)
        assert rig.power("CP1-1") == 0
        assert rig.service.site_state().grid_present is False
        grid(rig, True, ago_s=2)  # and from here on order is order again
        assert rig.service.site_state().grid_present is False


@pytest.mark.parametrize("by_s", [-86_400.0, -10.0, 10.0, 86_400.0])
async def test_a_lease_ends_in_its_own_time_whatever_the_wall_clock(by_s: float) -> None:
    async with service_rig("CP1-1") as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=30)
        await rig.wait(10)
        set_clock(rig, by_s)
        await rig.wait(15)
        assert rig.power("CP1-1") == -5000
        await rig.wait(9)
        assert rig.power("CP1-1") == 0


@pytest.mark.parametrize("hours", [2, pytest.param(50, marks=pytest.mark.soak)])
async def test_a_clock_that_was_ahead_lets_no_command_act_twice(hours: int) -> None:
    store = MemoryStore()
    async with service_rig("CP1-1", store=store) as rig:
        await rig.wait(3700)  # the first round of housekeeping
        await rig.send("CP1-1", "discharge", "once", power_w=5000, lease_s=10)
        await rig.wait(20)
        set_clock(rig, 400 * 86_400.0)
        await rig.wait(hours * 3600)
    async with service_rig("CP1-1", store=store) as rig:
        await rig.send("CP1-1", "discharge", "once", power_w=5000, lease_s=10)
        await rig.wait(5)
        assert rig.power("CP1-1") == 0
