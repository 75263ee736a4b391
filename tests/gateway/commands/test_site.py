"""Commands to the site: shared over the vehicles, which come, leave and fail while the command is in force."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.event import PowerLimits, VehicleNeeds
from gateway.model.site import SitePolicy
from gateway.model.station import Answer, Outcome
from gateway.store.store import MemoryStore
from tests.gateway.commands.rig import ServiceRig, service_rig

pytestmark = pytest.mark.virtual_time

THREE = ("CP1-1", "CP2-1", "CP3-1")


def powers(rig: ServiceRig) -> list[float]:
    return [rig.power(evse) for evse in THREE]


async def test_a_site_total_is_shared_metered_and_ends_with_its_lease() -> None:
    async with service_rig(*THREE) as rig:
        result = await rig.send(None, "discharge", "a", power_w=9000, lease_s=20)
        assert (result.status, result.effective_w, result.evse) == ("accepted", -9000, None)
        assert [(one.evse, one.effective_w) for one in result.shares or ()] == [(evse, -3000) for evse in THREE]
        await rig.wait(3)
        assert powers(rig) == [-3000] * 3
        final = rig.published.final("a")
        assert (final.status, final.effective_w) == ("achieved", -9000)
        assert final.measured is not None
        assert final.measured.power_w == -9000
        await rig.wait(25)
        assert powers(rig) == [0] * 3
        assert rig.service.site_state().command is None


async def test_power_beyond_one_evse_is_shared_by_others_and_excess_is_clamped() -> None:
    async with service_rig(*THREE) as rig:
        weak = VehicleNeeds(PowerLimits(11_000, 1_000), True, "DC_BPT", soc_pct=80)
        rig.stations.plug("CP1-1", "tx0", weak)
        result = await rig.send(None, "discharge", "a", power_w=9000)
        assert [one.effective_w for one in result.shares or ()] == [-1000, -4000, -4000]
        assert result.status == "accepted"
        result = await rig.send(None, "discharge", "b", power_w=50_000)
        assert (result.status, result.effective_w) == ("clamped", -21_000)
        assert result.binding in ("station", "vehicle")


async def test_the_export_limit_binds_the_sum() -> None:
    async with service_rig(*THREE, policy=SitePolicy("home", export_limit_w=6000)) as rig:
        result = await rig.send(None, "discharge", "a", power_w=9000, lease_s=60)
        assert (result.status, result.effective_w, result.binding) == ("clamped", -6000, "site")
        assert result.reason.code == "export_limit"
        await rig.wait(3)
        assert powers(rig) == [-2000] * 3
        refused = await rig.send(None, "peak_limit", "p", import_w=0)
        assert refused.status == "accepted"
        result = await rig.send(None, "charge", "b", power_w=9000)
        assert (result.status, result.reason.code) == ("refused", "peak_limit")


async def test_others_replace_a_vehicle_that_leaves_and_share_with_one_that_arrives() -> None:
    async with service_rig(*THREE) as rig:
        await rig.send(None, "discharge", "a", power_w=9000, lease_s=120)
        await rig.wait(3)
        rig.stations.unplug("CP2-1")
        await rig.wait(3)
        assert powers(rig) == [-4500, 0, -4500]
        rig.stations.plug("CP2-1", "tx9")
        await rig.wait(3)
        assert powers(rig) == [-3000] * 3
        rig.stations.disconnect("CP1")
        await rig.wait(3)
        assert powers(rig)[1:] == [-4500] * 2


async def test_a_rejecting_station_makes_a_partial_failure_with_each_evses_power() -> None:
    async with service_rig(*THREE) as rig:
        rig.stations.evses["CP3-1"].answers = [Outcome(Answer.REFUSED, "Rejected")] * 9
        await rig.send(None, "discharge", "a", power_w=9000, lease_s=120)
        await rig.wait(5)
        final = rig.published.final("a")
        assert (final.status, final.reason.code) == ("achieved", "partly")
        assert "CP3-1" in final.reason.text
        assert [(one.evse, one.status.value) for one in final.shares or ()] == [
            ("CP1-1", "achieved"), ("CP2-1", "achieved"), ("CP3-1", "failed"),
        ]  # fmt: skip
        assert final.effective_w == sum(one.effective_w for one in final.shares or ()) == -9000


async def test_all_failing_is_a_failure() -> None:
    async with service_rig(*THREE) as rig:
        for evse in THREE:
            rig.stations.evses[evse].answers = [Outcome(Answer.REFUSED, "Rejected")] * 9
        await rig.send(None, "discharge", "a", power_w=9000, lease_s=120)
        await rig.wait(5)
        assert rig.published.final("a").status == "failed"


async def test_an_evse_with_a_higher_priority_stays_out_and_equal_ones_take_their_evse_back() -> None:
    async with service_rig(*THREE) as rig:
        await rig.send("CP1-1", "charge", "mine", power_w=2000, priority=80, lease_s=120)
        result = await rig.send(None, "discharge", "a", power_w=6000, lease_s=120)
        assert [one.evse for one in result.shares or ()] == ["CP2-1", "CP3-1"]
        await rig.wait(3)
        assert powers(rig) == [2000, -3000, -3000]
        await rig.send("CP2-1", "charge", "b", power_w=1000, lease_s=120)
        await rig.wait(3)
        assert powers(rig) == [2000, 1000, -6000]
        assert rig.service.site_state().command is not None


@pytest.mark.parametrize("power_w", [0, 9000])
async def test_stops_at_every_evse_one_after_the_other_end_the_command_of_the_site(power_w: float) -> None:
    async with service_rig(*THREE) as rig:
        await rig.send(None, "discharge", "a", power_w=power_w, lease_s=120)
        for number, evse in enumerate([THREE[1], *THREE]):  # one of them is stopped twice
            await rig.send(evse, "stop", f"s{number}", priority=99)
        assert rig.service.site_state().command is None
        await rig.wait(3)
        assert rig.published.final("a").status == "superseded"
        assert powers(rig) == [0] * 3


async def test_no_cars_is_refused() -> None:
    async with service_rig(*THREE, plugged=False) as rig:
        result = await rig.send(None, "discharge", "a", power_w=9000)
        assert (result.status, result.reason.code) == ("refused", "no_cars")


async def test_the_emergency_stop_ends_everything_until_the_site_is_released() -> None:
    async with service_rig(*THREE) as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=600)
        await rig.send("CP2-1", "charge", "b", power_w=5000, lease_s=600)
        await rig.wait(2)
        stop = await rig.send(None, "emergency_stop", "stop", source="guard")
        assert (stop.status, stop.binding) == ("accepted", "emergency_stop")
        await rig.wait(0.1)
        assert powers(rig) == [0, 0, 0]  # at once, without a ramp
        refused = await rig.send("CP1-1", "discharge", "c", power_w=5000)
        assert (refused.status, refused.binding) == ("refused", "emergency_stop")
        assert rig.service.site_state().emergency_stop
        await rig.send(None, "release", "free")
        await rig.wait(30)
        assert powers(rig) == [0, 0, 0]  # nothing is resumed
        assert (await rig.send("CP1-1", "discharge", "d", power_w=5000)).status == "accepted"


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    ("verb", "body", "lasts"),
    [
        ("mode", {"mode": "self_consumption"}, False),
        ("mode", {"mode": "manual"}, True),
        ("backup", {"action": "enter"}, False),
        ("backup", {"action": "leave"}, True),
        ("reserve", {"min_soc_pct": 40}, True),
        ("peak_limit", {"import_w": 5000}, True),
    ],
)
async def test_what_the_release_of_an_emergency_stop_would_undo_is_refused_during_it(
    verb: str, body: dict[str, Any], lasts: bool, restarts: bool
) -> None:
    """What is answered as in force is in force after the release."""
    store = MemoryStore()
    if restarts:
        async with service_rig(*THREE, store=store) as rig:
            await rig.send(None, "emergency_stop", "e")
            await rig.journal.flush()
    async with service_rig(*THREE, store=store) as rig:
        if not restarts:
            await rig.send(None, "emergency_stop", "e")
        result = await rig.send(None, verb, "c", **body)
        await rig.wait(1)
        if not lasts:
            assert (result.status, result.reason.code, result.binding) == (
                "refused",
                "emergency_stop",
                "emergency_stop",
            )
            assert "after `release`" in result.reason.text
        else:
            assert rig.published.statuses("c") == ["accepted", "achieved"]
        before = rig.service.site_state()
        await rig.send(None, "release", "r")
        after = rig.service.site_state()
        assert (after.mode, after.backup, after.reserve_pct) == (before.mode, before.backup, before.reserve_pct)
        assert (await rig.send(None, verb, "d", **body)).status == "accepted"


@pytest.mark.parametrize("body", [{"min_soc_pct": 80.5}, {"energy_wh": 55_000}])
async def test_a_reserve_of_the_site_holds_until_it_is_changed(body: dict[str, float]) -> None:
    async with service_rig(*THREE) as rig:
        assert (await rig.send(None, "reserve", "r", **body)).status == "accepted"
        await rig.wait(1)
        assert rig.published.statuses("r") == ["accepted", "achieved"]
        refused = await rig.send("CP1-1", "discharge", "a", power_w=5000)
        assert (refused.status, refused.reason.code) == ("refused", "below_floor")
        await rig.send(None, "reserve", "none", min_soc_pct=0)
        assert (await rig.send("CP1-1", "discharge", "b", power_w=5000)).status == "accepted"


async def test_mode_and_backup_last_until_changed() -> None:
    async with service_rig("CP1-1") as rig:
        await rig.send(None, "mode", "m", mode="peak_shaving")
        await rig.send(None, "backup", "b", action="enter")
        state = rig.service.site_state()
        assert (state.mode, state.backup) == ("peak_shaving", True)
        assert (await rig.send(None, "mode", "m2", mode="party")).reason.code == "bad_command"


async def test_the_loss_of_the_grid_ends_all_power_outside_an_island() -> None:
    async with service_rig("CP1-1") as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=600)
        await rig.wait(2)
        rig.service.input("grid", b'{"ts": %d, "present": false}' % rig.clock.wall())
        await rig.wait(0.1)
        assert rig.power("CP1-1") == 0
        refused = await rig.send("CP1-1", "discharge", "b", power_w=5000)
        assert (refused.binding, refused.reason.code) == ("grid_code", "grid_lost")


async def test_stale_inputs_are_published_and_never_count_as_zero() -> None:
    async with service_rig("CP1-1", policy=SitePolicy("home", import_limit_w=10_000)) as rig:
        rig.service.input("load", b'{"ts": %d, "power_w": 4000}' % rig.clock.wall())
        await rig.send("CP1-1", "charge", "a", power_w=8000, lease_s=600)
        await rig.wait(2)
        assert rig.power("CP1-1") == 6000
        assert rig.service.site_state().inputs["load"].freshness == "fresh"
        await rig.wait(20)
        assert rig.service.site_state().inputs["load"].freshness == "stale"
        assert rig.power("CP1-1") == 0
        assert "input_stale" in rig.published.kinds()
        assert rig.service.site_telemetry(1).base_w is None


@pytest.mark.parametrize(
    ("kind", "payload", "code"),
    [
        ("wind", b"{}", "bad_input"),
        ("load", b"{", "bad_input"),
        ("load", b'{"ts": "2026-01-15T00:00:00Z", "power_w": -1}', "bad_input"),
        ("load", b'{"power_w": 1}', "bad_input"),
        ("load", b'{"ts": "2026-01-15T01:00:00Z", "power_w": 1}', "clock_skew"),
        ("load", b" " * 70_000, "too_large"),
        ("grid", b"\xff\xfe", "bad_input"),
    ],
)
async def test_invalid_inputs_are_rejected_with_a_reason_and_have_no_effect(
    kind: str, payload: bytes, code: str
) -> None:
    async with service_rig("CP1-1") as rig:
        reason = rig.service.input(kind, payload)
        assert reason is not None
        assert reason.code == code
        assert rig.published.kinds()[-1] == "input_refused"
        assert all(one.freshness == "never" for one in rig.service.site_state().inputs.values())


async def test_an_old_input_comes_after_a_newer_one_and_changes_nothing() -> None:
    async with service_rig("CP1-1") as rig:
        wall = rig.clock.wall()
        rig.service.input("load", b'{"ts": %f, "power_w": 1000}' % wall)
        rig.service.input("load", b'{"ts": %f, "power_w": 9000}' % (wall - 5))
        assert rig.service.site_telemetry(1).base_w == 1000


async def test_a_command_to_the_site_cannot_replace_one_of_a_higher_priority() -> None:
    async with service_rig(*THREE) as rig:
        await rig.send(None, "discharge", "high", power_w=9000, lease_s=60, priority=90, source="grid")
        await rig.wait(3)
        for verb, body in (("charge", {"power_w": 3000, "lease_s": 60}), ("release", {})):
            result = await rig.send(None, verb, f"low-{verb}", priority=10, **body)
            assert (result.status, result.reason.code) == ("refused", "outranked")
            assert "grid" in result.reason.text
        await rig.wait(3)
        assert powers(rig) == [-3000] * 3
        assert (await rig.send(None, "stop", "s", priority=0)).status == "accepted"
        assert (await rig.send(None, "charge", "c", power_w=3000, lease_s=60, priority=10)).status == "accepted"


async def test_a_removed_station_takes_nothing_of_the_connection() -> None:
    async with service_rig(*THREE) as rig:
        await rig.send(None, "discharge", "a", power_w=9000, lease_s=20)
        await rig.wait(2)
        rig.stations.disconnect("CP2")
        await rig.wait(1)
        del rig.stations.evses["CP2-1"]
        rig.service.forget("CP2")
        await rig.wait(30)
        assert rig.control.meter.history.within(rig.clock.now(), rig.clock.now())[:2] == (0.0, 0.0)


async def test_a_removed_station_leaves_the_command_of_the_site_to_the_others() -> None:
    async with service_rig(*THREE) as rig:
        await rig.send(None, "discharge", "a", power_w=9000, lease_s=20)
        del rig.stations.evses["CP2-1"]
        rig.service.forget("CP2")
        await rig.wait(10)
        assert rig.service.evses() == ["CP1-1", "CP3-1"]
        assert (rig.power("CP1-1"), rig.power("CP3-1")) == (-4500, -4500)
        final = rig.published.final("a")
        assert final.status == "achieved"
        assert [share.evse for share in final.shares or ()] == ["CP1-1", "CP3-1"]
