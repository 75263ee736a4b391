"""Lifecycle of a command at one EVSE: granted, confirmed, achieved, ended."""

from __future__ import annotations

import pytest

from gateway.model.event import FaultRaised, PowerLimits, VehicleNeeds
from gateway.model.site import SitePolicy
from gateway.model.station import Answer, Outcome
from tests.gateway.commands.rig import service_rig

pytestmark = pytest.mark.virtual_time


async def test_a_discharge_is_granted_seen_on_the_meter_and_ends_with_its_lease() -> None:
    async with service_rig("CP1-1") as rig:
        result = await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=20)
        assert (result.status, result.effective_w, result.binding) == ("accepted", -5000, "command")
        await rig.wait(3)
        assert rig.power("CP1-1") == -5000
        assert rig.published.statuses("a") == ["accepted", "achieved"]
        final = rig.published.final("a")
        assert final.measured is not None
        assert final.measured.power_w == -5000
        await rig.wait(16)  # 19.5 s
        assert rig.power("CP1-1") == -5000
        await rig.wait(1.2)
        assert -5000 < rig.power("CP1-1") < 0  # on its way down
        await rig.wait(3)
        assert rig.power("CP1-1") == 0
        assert rig.stations.evses["CP1-1"].session == "tx0"
        assert rig.published.kinds()[-1] == "lease_ended"
        steps = [entry.step.value for entry in await rig.service.entries(command="a")]
        assert steps[:9] == [
            "received", "validated", "journalled", "bound", "result", "set", "confirmed", "metered", "result",
        ]  # fmt: skip
        assert "ended" in steps


async def test_a_set_point_is_never_valid_beyond_the_lease_but_for_the_ramp() -> None:
    async with service_rig("CP1-1") as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=10_000, lease_s=40)
        begun = rig.clock.now()
        await rig.wait(60)
        for at, power_w, valid_for_s in rig.stations.evses["CP1-1"].orders:
            if power_w:
                assert at + valid_for_s <= begun + 40 + 5 + 1.001
        assert rig.power("CP1-1") == 0


async def test_renewal_supersedes_without_a_gap() -> None:
    async with service_rig("CP1-1") as rig:
        for number in range(6):
            await rig.send("CP1-1", "discharge", f"c{number}", power_w=5000, lease_s=15)
            for _ in range(10):
                await rig.wait(1)
                assert rig.power("CP1-1") == -5000
        assert rig.published.statuses("c3") == ["accepted", "achieved"]
        assert "lease_ended" not in rig.published.kinds()


@pytest.mark.parametrize(
    ("needs", "effective", "binding"),
    [
        (VehicleNeeds(PowerLimits(11_000, 3_000), True, "DC_BPT", "dynamic", soc_pct=80), -3000, "vehicle"),
        (VehicleNeeds(PowerLimits(11_000, 30_000), True, "DC_BPT", "dynamic", soc_pct=80), -10_000, "station"),
    ],
)
async def test_more_than_available_is_clamped_with_the_limiting_layer(
    needs: VehicleNeeds, effective: float, binding: str
) -> None:
    async with service_rig("CP1-1", plugged=False) as rig:
        rig.stations.plug("CP1-1", needs=needs)
        result = await rig.send("CP1-1", "discharge", "a", power_w=20_000)
        assert (result.status, result.effective_w, result.binding) == ("clamped", effective, binding)
        await rig.wait(3)
        assert rig.published.statuses("a") == ["clamped", "achieved"]


async def test_an_export_limit_of_0_w_leaves_only_what_the_site_consumes() -> None:
    async with service_rig("CP1-1", policy=SitePolicy("home", export_limit_w=0)) as rig:
        result = await rig.send("CP1-1", "discharge", "a", power_w=5000)
        assert (result.status, result.binding, result.reason.code) == ("refused", "site", "export_limit")
        rig.service.input("load", b'{"ts": %d, "power_w": 2000}' % rig.clock.wall())
        result = await rig.send("CP1-1", "discharge", "b", power_w=5000, lease_s=60)
        assert (result.status, result.effective_w, result.binding) == ("clamped", -2000, "site")
        await rig.wait(3)
        assert rig.power("CP1-1") == -2000
        await rig.wait(20)  # the load has gone quiet: that is not a load of zero, and not the last one either
        assert rig.power("CP1-1") == 0


@pytest.mark.parametrize(
    ("evse", "code"),
    [("CP1-1", "offline"), ("CP2-1", "unplugged"), ("CP3-1", "charging_only"), ("CP4-1", "below_floor"),
     ("CP5-1", "fault"), ("CP6-1", "soc_unknown"), ("CP7-1", "charging_only"),
     ("CP9-1", "unknown_evse"), ("CP8-1", "offline")],
)  # fmt: skip
async def test_infeasible_commands_are_rejected_with_their_reason(evse: str, code: str) -> None:
    async with service_rig("CP1-1", policy=SitePolicy("home", min_soc_pct=30), stations=("CP8",)) as rig:
        rig.stations.disconnect("CP1")
        rig.stations.connect("CP2", "CP2-1")
        rig.stations.connect("CP3", "CP3-1")
        rig.stations.plug("CP3-1", needs=VehicleNeeds(PowerLimits(11_000), False, "DC", soc_pct=80))
        rig.stations.connect("CP4", "CP4-1")
        rig.stations.plug("CP4-1", soc_pct=29)
        rig.stations.connect("CP5", "CP5-1")
        rig.stations.plug("CP5-1")
        rig.service.report(FaultRaised("CP5-1", rig.clock.now(), "GroundFailure", "earth leakage"))
        rig.stations.connect("CP6", "CP6-1")
        rig.stations.plug("CP6-1", soc_pct=None)
        rig.stations.connect("CP7", "CP7-1", can_discharge=False)
        rig.stations.plug("CP7-1")
        result = await rig.send(evse, "discharge", "a", power_w=5000)
        assert (result.status, result.reason.code) == ("refused", code)
        assert result.reason.text.endswith(".")
        again = await rig.send(evse, "discharge", "a", power_w=5000)
        assert again == result
        assert rig.published.statuses("a") == ["refused"]


async def test_the_floor_ends_a_discharge_and_holds_until_the_battery_is_above_it_again() -> None:
    async with service_rig("CP1-1", policy=SitePolicy("home", min_soc_pct=79.95)) as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=10_000, lease_s=600)
        await rig.wait(400)
        soc_pct = rig.stations.evses["CP1-1"].soc_pct
        assert soc_pct is not None
        assert 79.9 < soc_pct <= 79.95
        assert rig.power("CP1-1") == 0
        assert "floor_reached" in rig.published.kinds()
        result = await rig.send("CP1-1", "discharge", "b", power_w=10_000)
        assert (result.status, result.reason.code) == ("refused", "below_floor")
        assert result.binding == "soc_floor"


async def test_a_station_that_refuses_fails_the_command_with_its_reason() -> None:
    async with service_rig("CP1-1") as rig:
        rig.stations.evses["CP1-1"].answers = [Outcome(Answer.REFUSED, "InvalidSchedule", "no such profile")]
        assert (await rig.send("CP1-1", "discharge", "a", power_w=5000)).status == "accepted"
        await rig.wait(3)
        final = rig.published.final("a")
        assert (final.status, final.reason.code) == ("failed", "station_refused")
        assert "InvalidSchedule" in final.reason.text
        assert rig.power("CP1-1") == 0


async def test_a_station_without_responses_is_reconciled_before_each_new_order() -> None:
    async with service_rig("CP1-1") as rig:
        evse = rig.stations.evses["CP1-1"]
        evse.calls.clear()
        evse.answers = [Outcome(Answer.UNKNOWN)] * 3
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=60)
        await rig.wait(10)
        assert rig.published.final("a").reason.code == "station_silent"
        assert evse.calls[:5] == ["set_power", "reconcile", "set_power", "reconcile", "set_power"]


async def test_a_meter_that_disagrees_makes_the_command_fail() -> None:
    async with service_rig("CP1-1") as rig:
        rig.stations.evses["CP1-1"].ignores_setpoints = True
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=600)
        await rig.wait(61)
        assert rig.published.final("a").reason.code == "not_seen_on_meter"
        state = rig.service.state("CP1-1")
        assert state is not None
        assert state.command is None


async def test_a_lost_link_ends_the_command_and_nothing_is_resumed() -> None:
    async with service_rig("CP1-1") as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=600)
        await rig.wait(3)
        rig.stations.disconnect("CP1")
        await rig.wait(30)
        assert rig.power("CP1-1") == 0
        evse = rig.stations.evses["CP1-1"]
        evse.calls.clear()
        rig.stations.connect("CP1", "CP1-1")
        await rig.wait(5)
        assert evse.calls[0] == "reconcile"
        assert rig.power("CP1-1") == 0


async def test_stop_and_release() -> None:
    async with service_rig("CP1-1", policy=SitePolicy("home", idle_power_w=1000)) as rig:
        await rig.wait(2)
        assert rig.power("CP1-1") == 1000
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=600)
        await rig.wait(2)
        stop = await rig.send("CP1-1", "stop", "b", lease_s=30)
        assert (stop.status, stop.effective_w) == ("accepted", 0)
        await rig.wait(60)
        assert rig.power("CP1-1") == 0
        assert rig.published.statuses("b") == ["accepted", "achieved"]
        await rig.send("CP1-1", "release", "c")
        await rig.wait(10)
        assert rig.power("CP1-1") == 1000
        assert rig.published.statuses("c") == ["accepted", "achieved"]


async def test_priorities() -> None:
    async with service_rig("CP1-1") as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, priority=60, source="bems")
        result = await rig.send("CP1-1", "charge", "b", power_w=5000, priority=40)
        assert (result.status, result.reason.code) == ("refused", "outranked")
        assert "bems" in result.reason.text
        assert (await rig.send("CP1-1", "charge", "c", power_w=2000, priority=60)).status == "accepted"
        await rig.wait(2)
        assert rig.published.final("a").status == "superseded"
        assert (await rig.send("CP1-1", "stop", "d", priority=0)).status == "accepted"


async def test_a_schedule_runs_through_its_periods_and_ends() -> None:
    async with service_rig("CP1-1") as rig:
        now = rig.clock.wall()
        periods = [
            {"start": now + 10, "duration_s": 20, "power_w": -3000},
            {"start": now + 30, "duration_s": 20, "power_w": 4000},
        ]
        assert (await rig.send("CP1-1", "schedule", "a", periods=periods)).effective_w == 0
        seen = []
        for _ in range(6):
            await rig.wait(10)
            seen.append(rig.power("CP1-1"))
        assert seen == [-3000, -3000, 4000, 4000, 0, 0] or seen == [0, -3000, -3000, 4000, 4000, 0]
        assert rig.published.statuses("a") == ["accepted", "achieved"]


async def test_changed_limits_of_a_car_change_the_power() -> None:
    async with service_rig("CP1-1") as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=600)
        await rig.wait(3)
        rig.stations.plug("CP1-1", "tx0", VehicleNeeds(PowerLimits(11_000, 2_000), True, "DC_BPT", soc_pct=80))
        await rig.wait(3)
        assert rig.power("CP1-1") == -2000
        assert "clamp_changed" in rig.published.kinds()


async def test_the_floor_of_one_command_does_not_bind_the_next() -> None:
    async with service_rig("CP1-1") as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=300, min_soc_pct=79.9)
        await rig.wait(3)
        rig.stations.evses["CP1-1"].soc_pct = 79.5
        await rig.wait(3)
        assert rig.power("CP1-1") == 0
        result = await rig.send("CP1-1", "discharge", "b", power_w=5000, lease_s=300, min_soc_pct=50)
        assert result.status == "accepted"
        await rig.wait(3)
        assert rig.power("CP1-1") == -5000
