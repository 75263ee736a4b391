"""A command that a limit leaves nothing of its power waits: it gets its power when there is room again.

It fails where the limit lasts as long as the meter has to show a power, and where the cause cannot pass by itself.
"""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.event import PowerLimits, VehicleNeeds
from gateway.model.site import SitePolicy
from tests.gateway.commands.rig import ServiceRig, service_rig

pytestmark = pytest.mark.virtual_time

LIMITED = SitePolicy("home", import_limit_w=10_000, export_limit_w=8000)
DEAD_BAND = VehicleNeeds(PowerLimits(11_000, 10_000, 1400, 1400), True, "DC_BPT", "dynamic", soc_pct=60)


def put(rig: ServiceRig, kind: str, power_w: float) -> None:
    rig.service.input(kind, b'{"ts": %f, "power_w": %f}' % (rig.clock.wall(), power_w))


@pytest.mark.parametrize("target", ["CP1-1", None])
@pytest.mark.parametrize(
    ("verb", "kind", "power_w", "code"),
    [
        ("charge", "load", 30_000.0, "import_limit"),
        ("charge", "load", 9_000.0, "dead_band"),  # it leaves less than the vehicle can run at
        ("discharge", "pv", 9_000.0, "export_limit"),
    ],
)
async def test_a_short_cut_costs_no_command(
    target: str | None, verb: str, kind: str, power_w: float, code: str
) -> None:
    async with service_rig("CP1-1", policy=LIMITED, plugged=False) as rig:
        rig.stations.plug("CP1-1", needs=DEAD_BAND)
        put(rig, kind, 0.0)
        await rig.send(target, verb, "a", power_w=4000, lease_s=300)
        put(rig, kind, power_w)
        for _ in range(10):
            await rig.wait(2)
            put(rig, kind, power_w)
        assert rig.power("CP1-1") == 0
        assert rig.published.statuses("a") == ["accepted"]
        changes = [one.reason.code for one in rig.published.events if one.event == "clamp_changed" and one.reason]
        assert changes == [code]
        put(rig, kind, 0.0)
        await rig.wait(5)
        assert abs(rig.power("CP1-1")) == 4000
        assert rig.published.statuses("a") == ["accepted", "achieved"]


async def test_an_input_that_is_late_once_costs_no_command() -> None:
    async with service_rig("CP1-1", policy=LIMITED) as rig:
        rig.stations.evses["CP1-1"].metered_on_call = True
        put(rig, "load", 0.0)
        await rig.send("CP1-1", "charge", "a", power_w=4000, lease_s=300)
        await rig.wait(20)
        assert rig.power("CP1-1") == 0
        put(rig, "load", 0.0)
        await rig.wait(2)
        rig.stations.meter("CP1-1")
        await rig.wait(1)
        assert rig.published.statuses("a") == ["accepted", "achieved"]


@pytest.mark.parametrize("target", ["CP1-1", None])
@pytest.mark.parametrize(("lease_s", "end"), [(300, "failed"), (40, "lease_expired")])
async def test_a_limit_that_lasts_ends_the_command_with_its_reason(target: str | None, lease_s: int, end: str) -> None:
    async with service_rig("CP1-1", policy=LIMITED) as rig:
        put(rig, "load", 0.0)
        await rig.send(target, "charge", "a", power_w=4000, lease_s=lease_s)
        for _ in range(29):
            put(rig, "load", 12_000.0)
            await rig.wait(2)
            assert rig.power("CP1-1") == 0
            if end == "failed":
                assert rig.published.statuses("a") == ["accepted"]
        put(rig, "load", 12_000.0)
        await rig.wait(5)
        assert rig.published.statuses("a") == ["accepted", end]
        final = rig.published.final("a")
        assert final.reason.code == ("import_limit" if end == "failed" else end)
        assert "import limit of 10000 W leaves 0 W" in final.reason.text
        assert final.effective_w == 0


async def test_time_at_a_limit_does_not_count_against_the_vehicle() -> None:
    async with service_rig("CP1-1", policy=LIMITED) as rig:
        held = rig.stations.evses["CP1-1"]
        held.ignores_setpoints = True
        put(rig, "load", 0.0)
        await rig.send("CP1-1", "charge", "a", power_w=4000, lease_s=300)
        for second in range(0, 110, 2):
            put(rig, "load", 12_000.0 if 30 <= second < 80 else 0.0)
            await rig.wait(2)
        assert rig.published.statuses("a") == ["accepted"]
        put(rig, "load", 0.0)
        await rig.wait(5)
        assert rig.published.final("a").reason.code == "not_seen_on_meter"


@pytest.mark.parametrize(
    ("body", "code"), [({"min_soc_pct": 60}, "below_floor"), ({}, "grid_lost")], ids=["floor", "grid"]
)
async def test_what_does_not_pass_by_itself_fails_the_command_at_once(body: dict[str, Any], code: str) -> None:
    async with service_rig("CP1-1") as rig:
        rig.stations.evses["CP1-1"].metered_on_call = True
        await rig.send("CP1-1", "discharge", "a", power_w=4000, lease_s=300, **body)
        if code == "grid_lost":
            rig.service.input("grid", b'{"ts": %f, "present": false}' % rig.clock.wall())
        else:
            await rig.wait(1)
            rig.stations.evses["CP1-1"].soc_pct, rig.stations.evses["CP1-1"].power_w = 59.0, 0.0
            rig.stations.meter("CP1-1")
        await rig.wait(1)
        assert rig.published.final("a").reason.code == code


async def test_a_schedule_that_a_limit_cuts_is_not_achieved_before_the_meter_shows_power() -> None:
    async with service_rig("CP1-1", policy=LIMITED) as rig:
        put(rig, "load", 12_000.0)
        periods = [{"start": rig.clock.wall() + 5, "duration_s": 600, "power_w": 4000.0}]
        await rig.send("CP1-1", "schedule", "s", periods=periods)
        for second in range(0, 150, 2):
            put(rig, "load", 12_000.0 if second < 140 else 0.0)
            await rig.wait(2)
            if second < 138:
                assert rig.published.statuses("s") == ["accepted"]
        assert rig.power("CP1-1") == 4000
        assert rig.published.statuses("s") == ["accepted", "achieved"]
