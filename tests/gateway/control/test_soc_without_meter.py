"""Floors hold with one report of the state of charge, a silent meter, or another vehicle before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.event import Metered, NeedsStated, PowerLimits, SessionStarted, VehicleNeeds
from gateway.model.evse import Evse
from gateway.model.site import SitePolicy
from tests.gateway.commands.rig import ServiceRig, service_rig

pytestmark = pytest.mark.virtual_time

FLOOR_PCT = 75.0
POLICY = SitePolicy("home", min_soc_pct=FLOOR_PCT)
LIMITS = PowerLimits(11_000, 10_000)


def read(rig: ServiceRig, *, power: bool, registers: bool) -> None:
    """A reading without the car's state of charge."""
    now, held = rig.clock.now(), rig.stations.evses["CP1-1"]
    rig.stations._advance(held, now)
    charged, discharged = (held.charged_wh, held.discharged_wh) if registers else (None, None)
    power_w = held.power_w if power else None
    rig.service.report(Metered("CP1-1", now, rig.clock.wall(), power_w, charged, discharged))


@pytest.mark.parametrize("capacity_wh", [63_000.0, None])
@pytest.mark.parametrize("registers", [True, False])
@pytest.mark.parametrize("by", ["lease", "schedule"])
async def test_a_vehicle_that_reports_its_soc_once_is_not_discharged_below_its_floor(
    by: str, registers: bool, capacity_wh: float | None
) -> None:
    async with service_rig("CP1-1", policy=POLICY, plugged=False) as rig:
        held = rig.stations.evses["CP1-1"]
        held.metered_on_call = True
        needs = VehicleNeeds(LIMITS, True, "DC_BPT", "dynamic", soc_pct=80.0, battery_capacity_wh=capacity_wh)
        rig.stations.plug("CP1-1", needs=needs)
        if by == "lease":
            await rig.send("CP1-1", "discharge", "a", power_w=10_000, lease_s=3600)
        else:
            periods = [{"start": rig.clock.wall(), "duration_s": 3600, "power_w": -10_000}]
            await rig.send("CP1-1", "schedule", "a", periods=periods)
        for _ in range(360):
            await rig.wait(5)
            read(rig, power=True, registers=registers)
        assert held.soc_pct is not None
        assert held.soc_pct >= FLOOR_PCT
        assert rig.power("CP1-1") == 0
        assert "floor_reached" in rig.published.kinds()
        if capacity_wh is not None:
            assert held.soc_pct < FLOOR_PCT + 1  # and what may be taken is taken


async def test_missing_meter_values_discharge_no_vehicle_below_its_floor() -> None:
    async with service_rig("CP1-1", policy=POLICY) as rig:
        held = rig.stations.evses["CP1-1"]
        periods = [{"start": rig.clock.wall(), "duration_s": 7200, "power_w": -10_000}]
        await rig.send("CP1-1", "schedule", "a", periods=periods)
        await rig.wait(10)
        held.metered_on_call = True
        await rig.wait(3600)
        rig.stations.meter("CP1-1")
        assert held.soc_pct is not None
        assert FLOOR_PCT <= held.soc_pct < FLOOR_PCT + 2


async def test_the_soc_of_the_last_vehicle_does_not_count_for_the_next() -> None:
    async with service_rig("CP1-1", policy=POLICY) as rig:
        rig.stations.evses["CP1-1"].metered_on_call = True
        rig.stations.unplug("CP1-1")
        late = Metered("CP1-1", rig.clock.now(), rig.clock.wall(), 0.0, soc_pct=90.0)
        rig.service.report(late)
        rig.stations.plug("CP1-1", "next", needs=VehicleNeeds(LIMITS, True, "DC_BPT", "dynamic"))
        await rig.wait(1)
        refused = await rig.send("CP1-1", "discharge", "a", power_w=3000)
        assert (refused.status, refused.reason.code) == ("refused", "soc_unknown")


@given(
    st.lists(st.tuples(st.floats(-10_000, 10_000), st.integers(1, 300)), max_size=40),
    st.sampled_from([None, 5_000.0, 63_000.0]),
)
def test_the_estimated_soc_is_never_above_the_real_one(
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
