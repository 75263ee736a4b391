"""The life of a command at one EVSE, in virtual time: granted, set, seen, ended."""

from __future__ import annotations

import pytest

from gateway.model.event import FaultRaised, PowerLimits, VehicleNeeds
from gateway.model.site import SitePolicy
from gateway.model.station import Answer, Outcome
from tests.gateway.commands.rig import house

pytestmark = pytest.mark.virtual_time


async def test_a_discharge_is_granted_seen_on_the_meter_and_ends_with_its_lease() -> None:
    async with house("CP1-1") as home:
        result = await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=20)
        assert (result.status, result.effective_w, result.binding) == ("accepted", -5000, "command")
        await home.wait(3)
        assert home.power("CP1-1") == -5000
        assert home.heard.statuses("a") == ["accepted", "achieved"]
        final = home.heard.final("a")
        assert final.measured is not None
        assert final.measured.power_w == -5000
        await home.wait(16)  # 19.5 s
        assert home.power("CP1-1") == -5000
        await home.wait(1.2)
        assert -5000 < home.power("CP1-1") < 0  # on its way down
        await home.wait(3)
        assert home.power("CP1-1") == 0
        assert home.stations.evses["CP1-1"].session == "tx0"
        assert home.heard.kinds()[-1] == "lease_ended"
        steps = [entry.step.value for entry in await home.service.entries(command="a")]
        assert steps[:9] == [
            "received", "validated", "journalled", "bound", "result", "set", "confirmed", "metered", "result",
        ]  # fmt: skip
        assert "ended" in steps


async def test_what_the_station_is_told_never_outlives_the_lease_but_for_the_ramp() -> None:
    async with house("CP1-1") as home:
        await home.send("CP1-1", "discharge", "a", power_w=10_000, lease_s=40)
        begun = home.clock.now()
        await home.wait(60)
        for at, power_w, hold_s in home.stations.evses["CP1-1"].orders:
            if power_w:
                assert at + hold_s <= begun + 40 + 5 + 1.001
        assert home.power("CP1-1") == 0


async def test_renewal_supersedes_without_a_gap() -> None:
    async with house("CP1-1") as home:
        for number in range(6):
            await home.send("CP1-1", "discharge", f"c{number}", power_w=5000, lease_s=15)
            for _ in range(10):
                await home.wait(1)
                assert home.power("CP1-1") == -5000
        assert home.heard.statuses("c3") == ["accepted", "achieved"]
        assert "lease_ended" not in home.heard.kinds()


@pytest.mark.parametrize(
    ("needs", "effective", "binding"),
    [
        (VehicleNeeds(PowerLimits(11_000, 3_000), True, "DC_BPT", "dynamic", soc_pct=80), -3000, "vehicle"),
        (VehicleNeeds(PowerLimits(11_000, 30_000), True, "DC_BPT", "dynamic", soc_pct=80), -10_000, "station"),
    ],
)
async def test_more_than_is_there_is_clamped_and_says_by_whom(
    needs: VehicleNeeds, effective: float, binding: str
) -> None:
    async with house("CP1-1", plugged=False) as home:
        home.stations.plug("CP1-1", needs=needs)
        result = await home.send("CP1-1", "discharge", "a", power_w=20_000)
        assert (result.status, result.effective_w, result.binding) == ("clamped", effective, binding)
        await home.wait(3)
        assert home.heard.statuses("a") == ["clamped", "achieved"]


async def test_an_export_limit_of_0_w_leaves_only_what_the_house_takes() -> None:
    async with house("CP1-1", policy=SitePolicy("home", export_limit_w=0)) as home:
        result = await home.send("CP1-1", "discharge", "a", power_w=5000)
        assert (result.status, result.binding, result.reason.code) == ("refused", "site", "export_limit")
        home.service.input("load", b'{"ts": %d, "power_w": 2000}' % home.clock.wall())
        result = await home.send("CP1-1", "discharge", "b", power_w=5000, lease_s=60)
        assert (result.status, result.effective_w, result.binding) == ("clamped", -2000, "site")
        await home.wait(3)
        assert home.power("CP1-1") == -2000
        await home.wait(20)  # the load has gone quiet: that is not a load of zero, and not the last one either
        assert home.power("CP1-1") == 0


@pytest.mark.parametrize(
    ("evse", "code"),
    [("CP1-1", "offline"), ("CP2-1", "unplugged"), ("CP3-1", "charging_only"), ("CP4-1", "below_floor"),
     ("CP5-1", "fault"), ("CP6-1", "soc_unknown"), ("CP7-1", "charging_only"),
     ("CP9-1", "unknown_evse"), ("CP8-1", "offline")],
)  # fmt: skip
async def test_what_cannot_be_done_is_refused_with_the_right_reason(evse: str, code: str) -> None:
    async with house("CP1-1", policy=SitePolicy("home", min_soc_pct=30), stations=("CP8",)) as home:
        home.stations.disconnect("CP1")
        home.stations.connect("CP2", "CP2-1")
        home.stations.connect("CP3", "CP3-1")
        home.stations.plug("CP3-1", needs=VehicleNeeds(PowerLimits(11_000), False, "DC", soc_pct=80))
        home.stations.connect("CP4", "CP4-1")
        home.stations.plug("CP4-1", soc_pct=29)
        home.stations.connect("CP5", "CP5-1")
        home.stations.plug("CP5-1")
        home.service.report(FaultRaised("CP5-1", home.clock.now(), "GroundFailure", "earth leakage"))
        home.stations.connect("CP6", "CP6-1")
        home.stations.plug("CP6-1", soc_pct=None)
        home.stations.connect("CP7", "CP7-1", can_discharge=False)
        home.stations.plug("CP7-1")
        result = await home.send(evse, "discharge", "a", power_w=5000)
        assert (result.status, result.reason.code) == ("refused", code)
        assert result.reason.text.endswith(".")
        again = await home.send(evse, "discharge", "a", power_w=5000)
        assert again == result
        assert home.heard.statuses("a") == ["refused"]


async def test_the_floor_ends_a_discharge_and_holds_until_the_battery_is_above_it_again() -> None:
    async with house("CP1-1", policy=SitePolicy("home", min_soc_pct=79.95)) as home:
        await home.send("CP1-1", "discharge", "a", power_w=10_000, lease_s=600)
        await home.wait(30)
        soc_pct = home.stations.evses["CP1-1"].soc_pct
        assert soc_pct is not None
        assert 79.9 < soc_pct <= 79.95
        assert home.power("CP1-1") == 0
        assert "floor_reached" in home.heard.kinds()
        result = await home.send("CP1-1", "discharge", "b", power_w=10_000)
        assert (result.status, result.reason.code) == ("refused", "below_floor")
        assert result.binding == "soc_floor"


async def test_a_station_that_refuses_makes_the_command_fail_with_its_words() -> None:
    async with house("CP1-1") as home:
        home.stations.evses["CP1-1"].answers = [Outcome(Answer.REFUSED, "InvalidSchedule", "no such profile")]
        assert (await home.send("CP1-1", "discharge", "a", power_w=5000)).status == "accepted"
        await home.wait(3)
        final = home.heard.final("a")
        assert (final.status, final.reason.code) == ("failed", "station_refused")
        assert "InvalidSchedule" in final.reason.text
        assert home.power("CP1-1") == 0


async def test_a_station_that_stays_silent_is_asked_what_it_holds_before_each_new_order() -> None:
    async with house("CP1-1") as home:
        evse = home.stations.evses["CP1-1"]
        evse.calls.clear()
        evse.answers = [Outcome(Answer.UNKNOWN)] * 3
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        await home.wait(10)
        assert home.heard.final("a").reason.code == "station_silent"
        assert evse.calls[:5] == ["set_power", "reconcile", "set_power", "reconcile", "set_power"]


async def test_a_meter_that_disagrees_makes_the_command_fail() -> None:
    async with house("CP1-1") as home:
        home.stations.evses["CP1-1"].deaf = True
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=600)
        await home.wait(61)
        assert home.heard.final("a").reason.code == "not_seen_on_meter"
        state = home.service.state("CP1-1")
        assert state is not None
        assert state.command is None


async def test_a_lost_link_ends_the_command_and_nothing_is_resumed() -> None:
    async with house("CP1-1") as home:
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=600)
        await home.wait(3)
        home.stations.disconnect("CP1")
        await home.wait(30)
        assert home.power("CP1-1") == 0
        evse = home.stations.evses["CP1-1"]
        evse.calls.clear()
        home.stations.connect("CP1", "CP1-1")
        await home.wait(5)
        assert evse.calls[0] == "reconcile"
        assert home.power("CP1-1") == 0


async def test_stop_and_release() -> None:
    async with house("CP1-1", policy=SitePolicy("home", idle_power_w=1000)) as home:
        await home.wait(2)
        assert home.power("CP1-1") == 1000
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=600)
        await home.wait(2)
        stop = await home.send("CP1-1", "stop", "b", lease_s=30)
        assert (stop.status, stop.effective_w) == ("accepted", 0)
        await home.wait(60)
        assert home.power("CP1-1") == 0
        assert home.heard.statuses("b") == ["accepted", "achieved"]
        await home.send("CP1-1", "release", "c")
        await home.wait(10)
        assert home.power("CP1-1") == 1000
        assert home.heard.statuses("c") == ["accepted", "achieved"]


async def test_priorities() -> None:
    async with house("CP1-1") as home:
        await home.send("CP1-1", "discharge", "a", power_w=5000, priority=60, source="bems")
        result = await home.send("CP1-1", "charge", "b", power_w=5000, priority=40)
        assert (result.status, result.reason.code) == ("refused", "outranked")
        assert "bems" in result.reason.text
        assert (await home.send("CP1-1", "charge", "c", power_w=2000, priority=60)).status == "accepted"
        await home.wait(2)
        assert home.heard.final("a").status == "superseded"
        assert (await home.send("CP1-1", "stop", "d", priority=0)).status == "accepted"


async def test_a_schedule_runs_through_its_periods_and_ends() -> None:
    async with house("CP1-1") as home:
        now = home.clock.wall()
        periods = [
            {"start": now + 10, "duration_s": 20, "power_w": -3000},
            {"start": now + 30, "duration_s": 20, "power_w": 4000},
        ]
        assert (await home.send("CP1-1", "schedule", "a", periods=periods)).effective_w == 0
        seen = []
        for _ in range(6):
            await home.wait(10)
            seen.append(home.power("CP1-1"))
        assert seen == [-3000, -3000, 4000, 4000, 0, 0] or seen == [0, -3000, -3000, 4000, 4000, 0]
        assert home.heard.statuses("a") == ["accepted", "achieved"]


async def test_what_a_car_allows_later_moves_the_power_with_it() -> None:
    async with house("CP1-1") as home:
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=600)
        await home.wait(3)
        home.stations.plug("CP1-1", "tx0", VehicleNeeds(PowerLimits(11_000, 2_000), True, "DC_BPT", soc_pct=80))
        await home.wait(3)
        assert home.power("CP1-1") == -2000
        assert "clamp_changed" in home.heard.kinds()


async def test_the_floor_of_one_command_does_not_bind_the_next() -> None:
    async with house("CP1-1") as home:
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=300, min_soc_pct=79.9)
        await home.wait(3)
        home.stations.evses["CP1-1"].soc_pct = 79.5
        await home.wait(3)
        assert home.power("CP1-1") == 0
        result = await home.send("CP1-1", "discharge", "b", power_w=5000, lease_s=300, min_soc_pct=50)
        assert result.status == "accepted"
        await home.wait(3)
        assert home.power("CP1-1") == -5000
