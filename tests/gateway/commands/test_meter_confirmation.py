"""A command is achieved only after it has requested power, and only if the meter shows it."""

from __future__ import annotations

import pytest

from gateway.model.journal import Phase
from gateway.model.reason import Code
from gateway.model.result import Status
from tests.gateway.commands.rig import service_rig

pytestmark = pytest.mark.virtual_time


async def test_a_schedule_is_not_evaluated_before_its_first_period_with_power() -> None:
    async with service_rig("CP1-1") as rig:
        start = rig.clock.wall() + 3600
        periods = [
            {"start": start - 1800, "duration_s": 600, "power_w": 0.0},
            {"start": start, "duration_s": 600, "power_w": -5000.0},
        ]
        await rig.send("CP1-1", "schedule", "s", periods=periods)
        await rig.wait(3590)
        assert rig.published.statuses("s") == ["accepted"]
        await rig.wait(15)
        assert rig.power("CP1-1") == -5000
        assert rig.published.statuses("s") == ["accepted", "achieved"]
        measured = rig.published.final("s").measured
        assert measured is not None
        assert measured.power_w == -5000


async def test_a_schedule_without_meter_values_is_active_until_its_period_begins() -> None:
    async with service_rig("CP1-1") as rig:
        rig.stations.evses["CP1-1"].metered_on_call = True
        start = rig.clock.wall() + 3600
        await rig.send("CP1-1", "schedule", "s", periods=[{"start": start, "duration_s": 600, "power_w": -5000.0}])
        await rig.wait(3620)
        assert rig.power("CP1-1") == -5000
        rig.stations.meter("CP1-1")
        await rig.wait(1)
        assert rig.published.statuses("s") == ["accepted", "achieved"]


async def test_a_schedule_without_power_is_evaluated_at_once() -> None:
    async with service_rig("CP1-1") as rig:
        start = rig.clock.wall() + 60
        await rig.send("CP1-1", "schedule", "s", periods=[{"start": start, "duration_s": 600, "power_w": 0.0}])
        await rig.wait(5)
        assert rig.published.statuses("s") == ["accepted", "achieved"]


async def test_a_small_power_is_not_achieved_by_a_meter_that_shows_none() -> None:
    async with service_rig("CP1-1") as rig:
        rig.stations.evses["CP1-1"].ignores_setpoints = True
        await rig.send("CP1-1", "discharge", "a", power_w=140, lease_s=60)
        await rig.wait(5)
        assert rig.published.statuses("a") == ["accepted"]


@pytest.mark.parametrize("every_s", [2, 7, 20])
async def test_renewals_do_not_hide_a_car_that_never_follows(every_s: int) -> None:
    """The lease is renewed every few seconds, the station accepts, the meter shows no power: the command fails."""
    async with service_rig("CP1-1") as rig:
        rig.stations.evses["CP1-1"].ignores_setpoints = True
        sent = 0
        while rig.clock.now() < 150:
            await rig.send("CP1-1", "discharge", f"r{sent}", power_w=5000, lease_s=60)
            sent += 1
            await rig.wait(every_s)
        finals = [result for result, phase in rig.published.results if phase is Phase.FINAL]
        failed = [result for result in finals if result.status is Status.FAILED]
        assert len(failed) in (1, 2)  # within a minute, and again a minute later
        assert {result.reason.code for result in failed} == {Code.NOT_SEEN_ON_METER}
        assert all("shows 0 W" in result.reason.text for result in failed)
        assert all(result.status in (Status.SUPERSEDED, Status.FAILED) for result in finals)


async def test_changing_powers_do_not_hide_a_car_without_power() -> None:
    """A controller that follows the load requests another power each time; the car follows none of them."""
    async with service_rig("CP1-1") as rig:
        rig.stations.evses["CP1-1"].ignores_setpoints = True
        for n in range(20):
            await rig.send("CP1-1", "discharge", f"r{n}", power_w=3000 + 400 * (n % 5), lease_s=60)
            await rig.wait(5)
        finals = [result for result, phase in rig.published.results if phase is Phase.FINAL]
        assert [result.status for result in finals].count(Status.FAILED) == 1


async def test_renewals_of_a_command_that_is_followed_never_fail() -> None:
    """The car follows and the meter speaks seldom: nothing speaks against it, so nothing has failed."""
    async with service_rig("CP1-1") as rig:
        await rig.send("CP1-1", "discharge", "first", power_w=5000, lease_s=60)
        await rig.wait(5)
        assert rig.published.statuses("first") == ["accepted", "achieved"]
        rig.stations.evses["CP1-1"].metered_on_call = True
        for n in range(40):
            await rig.send("CP1-1", "discharge", f"r{n}", power_w=5000, lease_s=60)
            await rig.wait(5)
        finals = [result.status for result, phase in rig.published.results if phase is Phase.FINAL]
        assert Status.FAILED not in finals
        assert rig.power("CP1-1") == -5000


async def test_a_vehicle_that_stops_following_fails_the_command_though_it_followed_before() -> None:
    async with service_rig("CP1-1") as rig:
        for n in range(30):
            rig.stations.evses["CP1-1"].ignores_setpoints = n >= 5
            await rig.send("CP1-1", "discharge", f"r{n}", power_w=5000 if n < 5 else 6000, lease_s=60)
            await rig.wait(5)
        finals = [result.status for result, phase in rig.published.results if phase is Phase.FINAL]
        assert finals.count(Status.ACHIEVED) == 5
        assert finals.count(Status.FAILED) in (1, 2)


async def test_renewals_of_the_sites_command_do_not_hide_a_car_that_never_follows() -> None:
    async with service_rig("CP1-1", "CP2-1") as rig:
        rig.stations.evses["CP1-1"].ignores_setpoints = True
        for n in range(24):
            await rig.send(None, "discharge", f"r{n}", power_w=8000, lease_s=60)
            await rig.wait(5)
        shares = [
            share
            for result, phase in rig.published.results
            if phase is Phase.FINAL and result.shares
            for share in result.shares
            if share.evse == "CP1-1"
        ]
        assert any(share.status is Status.FAILED for share in shares)
