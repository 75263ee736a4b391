"""When a command counts as achieved: not before it has asked for power, and not by a meter that shows none."""

from __future__ import annotations

from emulators.clock import run_virtual
from tests.gateway.core.house import house


def test_a_schedule_is_not_judged_before_its_first_period_with_power() -> None:
    async def scene() -> None:
        async with house("CP1-1") as home:
            start = home.clock.wall() + 3600
            periods = [
                {"start": start - 1800, "duration_s": 600, "power_w": 0.0},
                {"start": start, "duration_s": 600, "power_w": -5000.0},
            ]
            await home.send("CP1-1", "schedule", "s", periods=periods)
            await home.wait(3590)
            assert home.heard.statuses("s") == ["accepted"]
            await home.wait(15)
            assert home.power("CP1-1") == -5000
            assert home.heard.statuses("s") == ["accepted", "achieved"]
            measured = home.heard.final("s").measured
            assert measured is not None
            assert measured.power_w == -5000

    run_virtual(scene())


def test_a_schedule_with_a_silent_meter_is_still_in_force_when_its_period_comes() -> None:
    async def scene() -> None:
        async with house("CP1-1") as home:
            home.stations.evses["CP1-1"].seldom = True
            start = home.clock.wall() + 3600
            await home.send("CP1-1", "schedule", "s", periods=[{"start": start, "duration_s": 600, "power_w": -5000.0}])
            await home.wait(3620)
            assert home.power("CP1-1") == -5000
            home.stations.meter("CP1-1")
            await home.wait(1)
            assert home.heard.statuses("s") == ["accepted", "achieved"]

    run_virtual(scene())


def test_a_schedule_that_asks_for_nothing_is_judged_at_once() -> None:
    async def scene() -> None:
        async with house("CP1-1") as home:
            start = home.clock.wall() + 60
            await home.send("CP1-1", "schedule", "s", periods=[{"start": start, "duration_s": 600, "power_w": 0.0}])
            await home.wait(5)
            assert home.heard.statuses("s") == ["accepted", "achieved"]

    run_virtual(scene())


def test_a_small_power_is_not_achieved_by_a_meter_that_shows_none() -> None:
    async def scene() -> None:
        async with house("CP1-1") as home:
            home.stations.evses["CP1-1"].deaf = True
            await home.send("CP1-1", "discharge", "a", power_w=140, lease_s=60)
            await home.wait(5)
            assert home.heard.statuses("a") == ["accepted"]

    run_virtual(scene())
