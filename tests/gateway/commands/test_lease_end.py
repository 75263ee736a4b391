"""No set-point is valid beyond its lease: without a gateway the station is at 0 W when the lease ends."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.site import SitePolicy
from protocols.ocpp.schema import Version
from tests.emulators.charger.station_rig import Rig
from tests.gateway.commands.rig import service_rig
from tests.gateway.commands.test_with_stations import governed, send
from tests.rounds import rounds
from tests.virtual_time import virtual_examples

HOLD_S, SLACK_S, LONGEST_RAMP_S = 15.0, 1.0, 5.0


def ramp_s(power_w: float, rate_w_per_s: float) -> float:
    """The gateway ends a lease by a ramp, for which the station still needs its set-points."""
    return min(LONGEST_RAMP_S, power_w / rate_w_per_s) if rate_w_per_s else 0.0


@pytest.mark.parametrize("verb", ["discharge", "charge"])
@pytest.mark.parametrize(
    ("lease_s", "power_w", "rate_w_per_s"),
    [(5, 5000, 2500.0), (5, 5000, 0.0), (5, 9000, 1000.0), (5, 50, 2500.0), (12, 5000, 2500.0), (20, 9000, 1000.0)],
)
@pytest.mark.virtual_time
async def test_a_station_may_hold_a_set_point_until_the_ramp_after_the_lease_is_over(
    verb: str, lease_s: int, power_w: int, rate_w_per_s: float
) -> None:
    async with service_rig("CP1-1", policy=SitePolicy("home", ramp_w_per_s=rate_w_per_s)) as rig:
        begun = rig.clock.now()
        result = await rig.send("CP1-1", verb, "d", power_w=power_w, lease_s=lease_s)
        assert result.lease_until == pytest.approx(rig.clock.wall() + lease_s, abs=0.1)
        await rig.wait(lease_s - 0.1)
        sent = [order for order in rig.stations.evses["CP1-1"].orders if abs(order[1]) == power_w]
        assert sent
        for at, _, valid_for_s in sent:
            left_s = begun + lease_s - at
            longest_s = min(HOLD_S, left_s + ramp_s(power_w, rate_w_per_s) + SLACK_S)
            assert valid_for_s == pytest.approx(longest_s, abs=0.01)
        at, _, valid_for_s = sent[-1]
        assert at + valid_for_s >= begun + lease_s  # and it holds until then without a gap
        starts, ends = [at for at, _, _ in sent[1:]], [at + valid_for_s for at, _, valid_for_s in sent[:-1]]
        assert all(start <= end for start, end in zip(starts, ends, strict=True))


@settings(max_examples=rounds(15, 40))
@given(
    st.integers(5, 60),
    st.integers(100, 9000),
    st.lists(st.tuples(st.floats(0, 20), st.integers(5, 60)), max_size=4),
    st.sampled_from([0.0, 500.0, 2500.0]),
)
@virtual_examples
async def test_renewals_never_make_a_station_hold_beyond_the_lease_that_was_in_force(
    lease_s: int, power_w: int, renewals: list[tuple[float, int]], rate_w_per_s: float
) -> None:
    async with service_rig("CP1-1", policy=SitePolicy("home", ramp_w_per_s=rate_w_per_s), evse_rate_per_s=1e3) as rig:
        leases = []  # (granted at, over at)
        for number, (pause_s, seconds) in enumerate([(0.0, lease_s), *renewals]):
            await rig.wait(pause_s)
            leases.append((rig.clock.now(), rig.clock.now() + seconds))
            await rig.send("CP1-1", "discharge", f"d{number}", power_w=power_w, lease_s=seconds)
        await rig.wait(80)
        orders = rig.stations.evses["CP1-1"].orders
        replaced = [at for at, _, _ in orders[1:]] + [math.inf]
        for (at, sent_w, valid_for_s), after in zip(orders, replaced, strict=True):
            if after < at + 0.1:  # of two commands at once the second is in force
                continue
            if abs(sent_w) == power_w:
                until = [over for granted, over in leases if granted <= at][-1]
                assert at + valid_for_s <= until + ramp_s(power_w, rate_w_per_s) + SLACK_S + 0.01
            elif sent_w:  # a step of the ramp
                assert valid_for_s <= LONGEST_RAMP_S + SLACK_S
        assert rig.power("CP1-1") == 0


@pytest.mark.parametrize("power_w", [2500, 2600, 4900, 5000])
@pytest.mark.virtual_time
async def test_the_profile_in_the_station_lapses_with_the_lease(power_w: int) -> None:
    async with Rig(Version.V21) as rig, governed(rig) as service:
        await rig.charging()
        await rig.sleep(5)
        begun = rig.clock.now()
        await send(service, "discharge", "d", power_w=power_w, lease_s=6)
        await rig.sleep(2)
        profiles = [call["chargingProfile"]["chargingSchedule"][0] for call in rig.calls("SetChargingProfile")]
        held = [one for one in profiles if one["chargingSchedulePeriod"][0].get("setpoint") == -power_w]
        assert [one["duration"] for one in held] == [math.floor(6 + power_w / 2500 + SLACK_S)]
        assert rig.clock.now() < begun + 4


@pytest.mark.parametrize("version", [Version.V21, Version.V201])
@pytest.mark.parametrize("power_w", [1000, 2600, 4600])  # whose ramps are no whole seconds
@pytest.mark.parametrize("served_s", [0.5, 4.0])
@pytest.mark.virtual_time
async def test_a_gateway_that_stands_still_leaves_no_power_beyond_the_ramp_and_one_second(
    version: Version, power_w: int, served_s: float
) -> None:
    vendor = None if version is Version.V21 else "negative-limit"
    async with Rig(version, vendor_profile=vendor) as rig:
        async with governed(rig) as service:
            await rig.charging()
            await rig.sleep(5)
            await send(service, "discharge", "d", power_w=power_w, lease_s=5)
            await rig.sleep(served_s)
        path = rig.power_paths[0]
        await rig.sleep(4.5 - served_s)
        assert path.reading(rig.clock.now()).power_w == pytest.approx(-power_w, rel=0.01)  # served to its end
        of_station_s = power_w / path.stage.spec.ramp_w_per_s
        await rig.sleep(0.5 + ramp_s(power_w, 2500.0) + SLACK_S + of_station_s + 0.1)
        assert path.reading(rig.clock.now()).power_w == 0
