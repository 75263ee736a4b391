"""Commands to the site: shared over the cars, with what each got; cars come, go and fail while they last."""

from __future__ import annotations

import pytest

from gateway.model.event import PowerLimits, VehicleNeeds
from gateway.model.site import SitePolicy
from gateway.model.station import Answer, Outcome
from tests.gateway.commands.rig import House, house

pytestmark = pytest.mark.virtual_time

THREE = ("CP1-1", "CP2-1", "CP3-1")


def powers(home: House) -> list[float]:
    return [home.power(evse) for evse in THREE]


async def test_a_total_is_shared_and_seen_and_ends_with_its_lease() -> None:
    async with house(*THREE) as home:
        result = await home.send(None, "discharge", "a", power_w=9000, lease_s=20)
        assert (result.status, result.effective_w, result.evse) == ("accepted", -9000, None)
        assert [(one.evse, one.effective_w) for one in result.shares or ()] == [(evse, -3000) for evse in THREE]
        await home.wait(3)
        assert powers(home) == [-3000] * 3
        final = home.heard.final("a")
        assert (final.status, final.effective_w) == ("achieved", -9000)
        assert final.measured is not None
        assert final.measured.power_w == -9000
        await home.wait(25)
        assert powers(home) == [0] * 3
        assert home.service.site_state().command is None


async def test_what_one_cannot_carry_goes_to_the_others_and_too_much_is_clamped() -> None:
    async with house(*THREE) as home:
        weak = VehicleNeeds(PowerLimits(11_000, 1_000), True, "DC_BPT", soc_pct=80)
        home.stations.plug("CP1-1", "tx0", weak)
        result = await home.send(None, "discharge", "a", power_w=9000)
        assert [one.effective_w for one in result.shares or ()] == [-1000, -4000, -4000]
        assert result.status == "accepted"
        result = await home.send(None, "discharge", "b", power_w=50_000)
        assert (result.status, result.effective_w) == ("clamped", -21_000)
        assert result.binding in ("station", "vehicle")


async def test_the_export_limit_binds_the_sum() -> None:
    async with house(*THREE, policy=SitePolicy("home", export_limit_w=6000)) as home:
        result = await home.send(None, "discharge", "a", power_w=9000, lease_s=60)
        assert (result.status, result.effective_w, result.binding) == ("clamped", -6000, "site")
        assert result.reason.code == "export_limit"
        await home.wait(3)
        assert powers(home) == [-2000] * 3
        refused = await home.send(None, "peak_limit", "p", import_w=0)
        assert refused.status == "accepted"
        result = await home.send(None, "charge", "b", power_w=9000)
        assert (result.status, result.reason.code) == ("refused", "peak_limit")


async def test_a_car_that_leaves_is_carried_by_the_others_and_one_that_comes_shares() -> None:
    async with house(*THREE) as home:
        await home.send(None, "discharge", "a", power_w=9000, lease_s=120)
        await home.wait(3)
        home.stations.unplug("CP2-1")
        await home.wait(3)
        assert powers(home) == [-4500, 0, -4500]
        home.stations.plug("CP2-1", "tx9")
        await home.wait(3)
        assert powers(home) == [-3000] * 3
        home.stations.disconnect("CP1")
        await home.wait(3)
        assert powers(home)[1:] == [-4500] * 2


async def test_a_station_that_refuses_makes_a_partial_failure_with_what_each_got() -> None:
    async with house(*THREE) as home:
        home.stations.evses["CP3-1"].answers = [Outcome(Answer.REFUSED, "Rejected")] * 9
        await home.send(None, "discharge", "a", power_w=9000, lease_s=120)
        await home.wait(5)
        final = home.heard.final("a")
        assert (final.status, final.reason.code) == ("achieved", "partly")
        assert "CP3-1" in final.reason.text
        assert [(one.evse, one.status.value) for one in final.shares or ()] == [
            ("CP1-1", "achieved"), ("CP2-1", "achieved"), ("CP3-1", "failed"),
        ]  # fmt: skip
        assert final.effective_w == sum(one.effective_w for one in final.shares or ()) == -9000


async def test_all_failing_is_a_failure() -> None:
    async with house(*THREE) as home:
        for evse in THREE:
            home.stations.evses[evse].answers = [Outcome(Answer.REFUSED, "Rejected")] * 9
        await home.send(None, "discharge", "a", power_w=9000, lease_s=120)
        await home.wait(5)
        assert home.heard.final("a").status == "failed"


async def test_an_evse_with_a_higher_priority_stays_out_and_equal_ones_take_their_evse_back() -> None:
    async with house(*THREE) as home:
        await home.send("CP1-1", "charge", "mine", power_w=2000, priority=80, lease_s=120)
        result = await home.send(None, "discharge", "a", power_w=6000, lease_s=120)
        assert [one.evse for one in result.shares or ()] == ["CP2-1", "CP3-1"]
        await home.wait(3)
        assert powers(home) == [2000, -3000, -3000]
        await home.send("CP2-1", "charge", "b", power_w=1000, lease_s=120)
        await home.wait(3)
        assert powers(home) == [2000, 1000, -6000]
        assert home.service.site_state().command is not None


async def test_no_cars_is_refused() -> None:
    async with house(*THREE, plugged=False) as home:
        result = await home.send(None, "discharge", "a", power_w=9000)
        assert (result.status, result.reason.code) == ("refused", "no_cars")


async def test_the_emergency_stop_ends_everything_until_the_site_is_released() -> None:
    async with house(*THREE) as home:
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=600)
        await home.send("CP2-1", "charge", "b", power_w=5000, lease_s=600)
        await home.wait(2)
        stop = await home.send(None, "emergency_stop", "stop", source="guard")
        assert (stop.status, stop.binding) == ("accepted", "emergency_stop")
        await home.wait(0.1)
        assert powers(home) == [0, 0, 0]  # at once, without a ramp
        refused = await home.send("CP1-1", "discharge", "c", power_w=5000)
        assert (refused.status, refused.binding) == ("refused", "emergency_stop")
        assert home.service.site_state().emergency_stop
        await home.send(None, "release", "free")
        await home.wait(30)
        assert powers(home) == [0, 0, 0]  # nothing is resumed
        assert (await home.send("CP1-1", "discharge", "d", power_w=5000)).status == "accepted"


@pytest.mark.parametrize("body", [{"min_soc_pct": 80.5}, {"energy_wh": 55_000}])
async def test_a_reserve_of_the_site_holds_until_it_is_changed(body: dict[str, float]) -> None:
    async with house(*THREE) as home:
        assert (await home.send(None, "reserve", "r", **body)).status == "accepted"
        await home.wait(1)
        assert home.heard.statuses("r") == ["accepted", "achieved"]
        refused = await home.send("CP1-1", "discharge", "a", power_w=5000)
        assert (refused.status, refused.reason.code) == ("refused", "below_floor")
        await home.send(None, "reserve", "none", min_soc_pct=0)
        assert (await home.send("CP1-1", "discharge", "b", power_w=5000)).status == "accepted"


async def test_mode_and_backup_last_until_changed() -> None:
    async with house("CP1-1") as home:
        await home.send(None, "mode", "m", mode="peak_shaving")
        await home.send(None, "backup", "b", action="enter")
        state = home.service.site_state()
        assert (state.mode, state.backup) == ("peak_shaving", True)
        assert (await home.send(None, "mode", "m2", mode="party")).reason.code == "bad_command"


async def test_the_loss_of_the_grid_ends_all_power_outside_an_island() -> None:
    async with house("CP1-1") as home:
        await home.send("CP1-1", "discharge", "a", power_w=5000, lease_s=600)
        await home.wait(2)
        home.service.input("grid", b'{"ts": %d, "present": false}' % home.clock.wall())
        await home.wait(0.1)
        assert home.power("CP1-1") == 0
        refused = await home.send("CP1-1", "discharge", "b", power_w=5000)
        assert (refused.binding, refused.reason.code) == ("grid_code", "grid_lost")


async def test_stale_inputs_are_told_and_are_never_a_zero() -> None:
    async with house("CP1-1", policy=SitePolicy("home", import_limit_w=10_000)) as home:
        home.service.input("load", b'{"ts": %d, "power_w": 4000}' % home.clock.wall())
        await home.send("CP1-1", "charge", "a", power_w=8000, lease_s=600)
        await home.wait(2)
        assert home.power("CP1-1") == 6000
        assert home.service.site_state().inputs["load"].freshness == "fresh"
        await home.wait(20)
        assert home.service.site_state().inputs["load"].freshness == "stale"
        assert home.power("CP1-1") == 0
        assert "input_stale" in home.heard.kinds()
        assert home.service.site_telemetry(1).base_w is None


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
async def test_bad_inputs_are_refused_with_a_reason_and_change_nothing(kind: str, payload: bytes, code: str) -> None:
    async with house("CP1-1") as home:
        reason = home.service.input(kind, payload)
        assert reason is not None
        assert reason.code == code
        assert home.heard.kinds()[-1] == "input_refused"
        assert all(one.freshness == "never" for one in home.service.site_state().inputs.values())


async def test_an_old_input_comes_after_a_newer_one_and_changes_nothing() -> None:
    async with house("CP1-1") as home:
        wall = home.clock.wall()
        home.service.input("load", b'{"ts": %f, "power_w": 1000}' % wall)
        home.service.input("load", b'{"ts": %f, "power_w": 9000}' % (wall - 5))
        assert home.service.site_telemetry(1).base_w == 1000


async def test_a_command_to_the_site_cannot_replace_one_of_a_higher_priority() -> None:
    async with house(*THREE) as home:
        await home.send(None, "discharge", "high", power_w=9000, lease_s=60, priority=90, source="grid")
        await home.wait(3)
        for verb, body in (("charge", {"power_w": 3000, "lease_s": 60}), ("release", {})):
            result = await home.send(None, verb, f"low-{verb}", priority=10, **body)
            assert (result.status, result.reason.code) == ("refused", "outranked")
            assert "grid" in result.reason.text
        await home.wait(3)
        assert powers(home) == [-3000] * 3
        assert (await home.send(None, "stop", "s", priority=0)).status == "accepted"
        assert (await home.send(None, "charge", "c", power_w=3000, lease_s=60, priority=10)).status == "accepted"


async def test_a_removed_station_leaves_the_command_of_the_site_to_the_others() -> None:
    async with house(*THREE) as home:
        await home.send(None, "discharge", "a", power_w=9000, lease_s=20)
        del home.stations.evses["CP2-1"]
        home.service.forget("CP2")
        await home.wait(10)
        assert home.service.evses() == ["CP1-1", "CP3-1"]
        assert (home.power("CP1-1"), home.power("CP3-1")) == (-4500, -4500)
        final = home.heard.final("a")
        assert final.status == "achieved"
        assert [share.evse for share in final.shares or ()] == ["CP1-1", "CP3-1"]
