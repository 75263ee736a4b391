"""Implausible values of stations and facilities are left out and affect nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.plausibility import MOST_W, plausible
from gateway.model.event import Event, EvseDescribed, Metered, NeedsStated, PowerLimits, VehicleNeeds
from gateway.model.site import SitePolicy
from tests.gateway.commands.rig import service_rig
from tests.virtual_time import virtual_examples

pytestmark = pytest.mark.virtual_time

FLOORED = SitePolicy("home", export_limit_w=20_000, min_soc_pct=30)
NUMBERS = st.floats() | st.sampled_from([0.0, -1.0, 1e300, 2.0**63, -62_135_614_800.0, 253_402_351_199.0])
SAID = st.none() | NUMBERS
LIMITS = st.builds(PowerLimits, NUMBERS, NUMBERS, NUMBERS, NUMBERS)


def metered(at: float) -> st.SearchStrategy[Event]:
    return st.builds(Metered, st.just("CP1-1"), st.just(at), *[SAID] * 11)


def stated(at: float) -> st.SearchStrategy[Event]:
    needs = st.builds(VehicleNeeds, LIMITS, st.just(True), st.just("DC_BPT"), st.just("dynamic"), *[SAID] * 9)
    return st.builds(NeedsStated, st.just("CP1-1"), st.just(at), needs)


def described(at: float) -> st.SearchStrategy[Event]:
    return st.builds(EvseDescribed, st.just("CP1-1"), st.just("CP1"), st.just(at), LIMITS, st.booleans())


def numbers_in(value: object) -> list[float]:
    if isinstance(value, dict):
        return [n for one in value.values() for n in numbers_in(one)]
    if isinstance(value, list):
        return [n for one in value for n in numbers_in(one)]
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize("kind", [metered, stated, described])
@given(data=st.data())
@virtual_examples
async def test_the_state_is_valid_whatever_a_station_reports(
    kind: Callable[[float], st.SearchStrategy[Event]], data: st.DataObject
) -> None:
    # any power that is plausible is exported: it takes from the limit what others may export
    async with service_rig("CP1-1", "CP2-1", policy=replace(FLOORED, export_limit_w=2 * MOST_W)) as rig:
        service = rig.service
        rig.stations.evses["CP1-1"].metered_on_call = True  # no other report meanwhile
        service.report(data.draw(kind(rig.clock.now())))
        await rig.wait(1)
        published = [
            service.state("CP1-1"),
            service.telemetry("CP1-1"),
            service.site_state(),
            service.site_telemetry(1),
        ]
        for message in [*published, service.explain("CP1-1")]:
            assert message is not None
            assert all(math.isfinite(number) for number in numbers_in(json.loads(message.model_dump_json())))
        state = service.state("CP1-1")
        assert state is not None
        assert state.soc_pct is None or 0 <= state.soc_pct <= 100
        assert (await rig.send("CP2-1", "discharge", "other", power_w=3000)).status in ("accepted", "clamped")
        assert (await rig.send("CP1-1", "discharge", "own", power_w=3000)).status != "failed"


@given(data=st.data())
def test_plausible_values_are_left_as_they_are(data: st.DataObject) -> None:
    power_w = data.draw(st.floats(-MOST_W, MOST_W))
    reading = Metered("CP1-1", 1.0, 1.7e9, power_w, 1.0, 2.0, data.draw(st.floats(0, 100)), 400.0, 10.0, 50.0)
    assert plausible(reading) == reading


@pytest.mark.parametrize("soc_pct", [1e9, 250.0, math.nan, -50.0])
async def test_an_implausible_state_of_charge_takes_no_vehicle_below_its_floor(soc_pct: float) -> None:
    async with service_rig("CP1-1", policy=FLOORED) as rig:
        rig.stations.evses["CP1-1"].soc_pct = 29.0
        await rig.wait(2)
        rig.stations.evses["CP1-1"].soc_pct = soc_pct
        await rig.wait(2)
        refused = await rig.send("CP1-1", "discharge", "a", power_w=3000)
        assert (refused.status, refused.reason.code) == ("refused", "below_floor")


@pytest.mark.parametrize("capacity_wh", [-63_000.0, 0.0, math.nan, math.inf])
async def test_an_implausible_capacity_does_not_undo_a_reserve_in_energy(capacity_wh: float) -> None:
    async with service_rig("CP1-1", plugged=False) as rig:
        limits = PowerLimits(11_000, 10_000)
        needs = VehicleNeeds(limits, True, "DC_BPT", "dynamic", soc_pct=50, battery_capacity_wh=capacity_wh)
        rig.stations.plug("CP1-1", needs=needs, soc_pct=50.0)
        await rig.send("CP1-1", "reserve", "r", energy_wh=40_000)
        refused = await rig.send("CP1-1", "discharge", "a", power_w=3000)
        assert (refused.status, refused.reason.code) == ("refused", "soc_unknown")


@pytest.mark.parametrize("moment", [0.0, 7e9])
async def test_a_gateway_whose_clock_was_never_set_still_answers(moment: float) -> None:
    async with service_rig("CP1-1") as rig:
        rig.clock.wall = lambda: moment + rig.clock.now()  # type: ignore[method-assign]
        assert (await rig.send("CP1-1", "discharge", "a", power_w=3000, lease_s=10)).status == "accepted"
        await rig.wait(5)
        assert rig.power("CP1-1") == -3000
        assert rig.service.site_state().model_dump_json()
        await rig.wait(15)
        assert rig.power("CP1-1") == 0


async def test_a_number_of_four_hundred_digits_is_refused_with_a_reason() -> None:
    async with service_rig("CP1-1") as rig:
        huge = 10**400
        for field in ("expires_at", "power_w", "lease_s", "priority", "min_soc_pct"):
            refused = await rig.send("CP1-1", "discharge", f"by-{field}", **{"power_w": 1, field: huge})
            assert (refused.status, refused.reason.code) == ("refused", "bad_command"), field
