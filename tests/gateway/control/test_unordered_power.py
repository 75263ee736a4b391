"""Power that was not ordered is reported, and 0 W is sent again."""

from __future__ import annotations

import pytest

from gateway.control.settings import ServiceSettings
from gateway.model.event import Metered
from gateway.model.site import SitePolicy
from tests.gateway.commands.rig import ServiceRig, service_rig

pytestmark = pytest.mark.virtual_time

WITHIN_S = ServiceSettings(SitePolicy("home")).achieve_within_s


async def at_rest(rig: ServiceRig) -> None:
    """A discharge that has come to its end, long ago."""
    await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=5)
    await rig.wait(10)
    assert rig.power("CP1-1") == 0
    await rig.wait(WITHIN_S)


@pytest.mark.parametrize("power_w", [10_000.0, -3000.0])
async def test_0_w_is_repeated_to_a_station_that_still_transfers_power(power_w: float) -> None:
    async with service_rig("CP1-1") as rig:
        await at_rest(rig)
        held = rig.stations.evses["CP1-1"]
        orders, before = len(held.orders), rig.published.kinds().count("fault")
        held.power_w, held.until = power_w, 1e9
        await rig.wait(3)
        assert [order[1] for order in held.orders[orders:]] == [0.0]
        assert rig.power("CP1-1") == 0
        [event] = [one for one in rig.published.events if one.event.value == "fault"][before:]
        assert event.reason is not None
        assert f"{power_w:.0f} W" in event.reason.text
        await rig.wait(300)
        assert len(held.orders) == orders + 1


async def test_0_w_is_repeated_at_intervals_and_not_each_second() -> None:
    async with service_rig("CP1-1") as rig:
        await at_rest(rig)
        held = rig.stations.evses["CP1-1"]
        orders = len(held.orders)
        held.power_w, held.until, held.ignores_setpoints = 10_000.0, 1e9, True
        await rig.wait(600)
        assert 3 <= len(held.orders) - orders <= 600 / WITHIN_S + 1


async def test_small_power_and_the_ramp_down_are_not_corrected() -> None:
    async with service_rig("CP1-1") as rig:
        await rig.send("CP1-1", "discharge", "a", power_w=5000, lease_s=5)
        await rig.wait(8)
        held = rig.stations.evses["CP1-1"]
        orders = len(held.orders)
        held.power_w, held.until = -900.0, 1e9  # still on its way
        await rig.wait(WITHIN_S - 15)
        held.power_w = 100.0  # what a car at rest draws
        await rig.wait(200)
        assert len(held.orders) == orders
        assert "fault" not in rig.published.kinds()


async def test_power_at_rest_is_seen_without_a_state_of_charge_in_the_reading() -> None:
    async with service_rig("CP1-1") as rig:
        await at_rest(rig)
        orders = len(rig.stations.evses["CP1-1"].orders)
        rig.service.report(Metered("CP1-1", rig.clock.now(), power_w=3000.0))
        await rig.wait(0)
        assert [order[1] for order in rig.stations.evses["CP1-1"].orders[orders:]] == [0.0]


async def test_readings_of_an_evse_at_rest_do_not_cost_a_decision_each() -> None:
    async with service_rig("CP1-1") as rig:
        await at_rest(rig)
        state, held = rig.evse("CP1-1"), rig.stations.evses["CP1-1"]
        steps = state.steps
        for _ in range(300):  # a reading every 5 s, each 0.04 % higher
            held.soc_pct = (held.soc_pct or 0.0) + 0.008
            await rig.wait(1)
        assert 15 <= state.steps - steps <= 40
        assert state.evse.soc_pct is not None
        assert state.decided_soc_pct is not None
        assert abs(state.evse.soc_pct - state.decided_soc_pct) < 0.1
