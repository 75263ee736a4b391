"""Floors hold although the car tells its state of charge once, or the meter falls silent, or another car stood here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.event import Metered, NeedsStated, PowerLimits, SessionStarted, VehicleNeeds
from gateway.model.evse import Evse
from gateway.model.site import SitePolicy
from tests.gateway.commands.rig import House, house

pytestmark = pytest.mark.virtual_time

FLOOR_PCT = 75.0
POLICY = SitePolicy("home", min_soc_pct=FLOOR_PCT)
LIMITS = PowerLimits(11_000, 10_000)


def read(home: House, *, power: bool, registers: bool) -> None:
    """A reading without the car's state of charge."""
    now, held = home.clock.now(), home.stations.evses["CP1-1"]
    home.stations._advance(held, now)
    charged, discharged = (held.charged_wh, held.discharged_wh) if registers else (None, None)
    power_w = held.power_w if power else None
    home.service.report(Metered("CP1-1", now, home.clock.wall(), power_w, charged, discharged))


@pytest.mark.parametrize("capacity_wh", [63_000.0, None])
@pytest.mark.parametrize("registers", [True, False])
@pytest.mark.parametrize("by", ["lease", "schedule"])
async def test_a_car_that_tells_its_charge_once_is_not_taken_below_its_floor(
    by: str, registers: bool, capacity_wh: float | None
) -> None:
    async with house("CP1-1", policy=POLICY, plugged=False) as home:
        held = home.stations.evses["CP1-1"]
        held.seldom = True
        needs = VehicleNeeds(LIMITS, True, "DC_BPT", "dynamic", soc_pct=80.0, battery_capacity_wh=capacity_wh)
        home.stations.plug("CP1-1", needs=needs)
        if by == "lease":
            await home.send("CP1-1", "discharge", "a", power_w=10_000, lease_s=3600)
        else:
            periods = [{"start": home.clock.wall(), "duration_s": 3600, "power_w": -10_000}]
            await home.send("CP1-1", "schedule", "a", periods=periods)
        for _ in range(360):
            await home.wait(5)
            read(home, power=True, registers=registers)
        assert held.soc_pct is not None
        assert held.soc_pct >= FLOOR_PCT
        assert home.power("CP1-1") == 0
        assert "floor_reached" in home.heard.kinds()
        if capacity_wh is not None:
            assert held.soc_pct < FLOOR_PCT + 1  # and what may be taken is taken


async def test_a_meter_that_falls_silent_takes_no_car_below_its_floor() -> None:
    async with house("CP1-1", policy=POLICY) as home:
        held = home.stations.evses["CP1-1"]
        periods = [{"start": home.clock.wall(), "duration_s": 7200, "power_w": -10_000}]
        await home.send("CP1-1", "schedule", "a", periods=periods)
        await home.wait(10)
        held.seldom = True
        await home.wait(3600)
        home.stations.meter("CP1-1")
        assert held.soc_pct is not None
        assert FLOOR_PCT <= held.soc_pct < FLOOR_PCT + 2


async def test_the_charge_of_the_car_before_is_not_taken_for_that_of_the_next() -> None:
    async with house("CP1-1", policy=POLICY) as home:
        home.stations.evses["CP1-1"].seldom = True
        home.stations.unplug("CP1-1")
        late = Metered("CP1-1", home.clock.now(), home.clock.wall(), 0.0, soc_pct=90.0)
        home.service.report(late)
        home.stations.plug("CP1-1", "next", needs=VehicleNeeds(LIMITS, True, "DC_BPT", "dynamic"))
        await home.wait(1)
        refused = await home.send("CP1-1", "discharge", "a", power_w=3000)
        assert (refused.status, refused.code) == ("refused", "soc_unknown")


@given(
    st.lists(st.tuples(st.floats(-10_000, 10_000), st.integers(1, 300)), max_size=40),
    st.sampled_from([None, 5_000.0, 63_000.0]),
)
def test_what_is_believed_of_a_battery_is_never_more_than_what_is_in_it(
    steps: list[tuple[float, int]], capacity_wh: float | None
) -> None:
    real_wh = capacity_wh or 60_000.0
    stored_wh, out_wh, into_wh, now = 0.8 * real_wh, 0.0, 0.0, 0.0
    evse = Evse("CP1-1", "CP1")
    evse.apply(SessionStarted("CP1-1", now, "tx"))
    evse.apply(NeedsStated("CP1-1", now, VehicleNeeds(LIMITS, True, soc_pct=80.0, battery_capacity_wh=capacity_wh)))
    evse.apply(Metered("CP1-1", now, None, 0.0, into_wh, out_wh))
    for power_w, seconds in steps:
        now, moved_wh = now + seconds, power_w * seconds / 3600
        into_wh, out_wh = into_wh + max(0.0, moved_wh), out_wh + max(0.0, -moved_wh)
        stored_wh += moved_wh * (0.95 if moved_wh > 0 else 1.05)
        if not 0 <= stored_wh <= real_wh:
            return
        evse.apply(Metered("CP1-1", now, None, power_w, into_wh, out_wh))
        assert evse.soc_pct is not None
        assert evse.soc_pct <= 100 * stored_wh / real_wh + 1e-6
