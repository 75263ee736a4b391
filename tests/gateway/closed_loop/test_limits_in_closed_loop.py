"""Laws of the loop through meter, gateway and chargers: limits hold, orders come to rest, whatever the delays."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from emulators.runtime.clock import run_virtual
from gateway.energy.settings import EnergySection
from gateway.model.command import SiteMode
from gateway.model.result import Status
from gateway.model.site import SitePolicy
from tests.gateway.closed_loop.plant import TOLERANCE_W, Plant, Timing, plant

FIRST_S = 20.0  # the command is sent then, or the mode begins
LAST_S = 60.0  # the last change of the load
REST_S = LAST_S + 60.0  # by then the orders have come to rest
END_S = REST_S + 40.0
ASKED_W = 6000.0
MANAGED = EnergySection(plan=False)
# each example runs for minutes of virtual time: the same ones in every run, and a failure is shown as it was found
unshrunk = settings(max_examples=20, phases=[Phase.explicit, Phase.reuse, Phase.generate], derandomize=True)

timings = st.builds(
    Timing,
    meter_delay_s=st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.25, 5.0, 8.0, 12.0, 15.0]),
    meter_period_s=st.sampled_from([1.0, 2.0, 5.0, 10.0]),
    stamped=st.booleans(),
    charger_delay_s=st.sampled_from([0.0, 0.25, 1.0, 3.0]),
    charger_w_per_s=st.sampled_from([500.0, 1000.0, 2500.0, 1e6]),
    evse_meter_s=st.sampled_from([1.0, 5.0, 10.0]),
)


def changes(least_w: float) -> st.SearchStrategy[list[tuple[int, float]]]:
    """Return changes of the base load: (time, new power)."""
    powers = st.integers(int(least_w / 500), 16).map(lambda step: 500.0 * step)
    return st.lists(st.tuples(st.integers(int(FIRST_S), int(LAST_S)), powers), max_size=3)


def stepped(first_w: float, changes: list[tuple[int, float]]) -> Callable[[float], float]:
    """Return the base load over time."""
    ordered = sorted(changes)

    def base_w(elapsed: float) -> float:
        power_w = first_w
        for at, new_w in ordered:
            power_w = new_w if elapsed >= at else power_w
        return power_w

    return base_w


def assert_within(site: Plant, changes: list[tuple[int, float]], limit_w: float, change_w: float) -> None:
    """No charge above the limit for longer than meter and chargers need after the last change of the load."""
    allowed_s = site.timing.slowest_s(change_w)
    moments = sorted([FIRST_S, *(float(at) for at, _ in changes)])
    for one in site.trace:
        last = max((at for at in moments if at <= one.at), default=0.0)
        excess_w = min(one.grid_w - limit_w, one.evses_w)
        assert excess_w <= TOLERANCE_W or one.at - last <= allowed_s, (one, last, allowed_s)


def assert_at_rest(site: Plant) -> None:
    """Orders do not change any more."""
    orders = [one.orders for one in site.since(REST_S)]
    spread_w = max(max(order) - min(order) for order in zip(*orders, strict=True))
    assert spread_w <= 1.0, [orders[0], orders[len(orders) // 2], orders[-1]]


@unshrunk
@given(
    st.integers(1, 4),
    timings,
    st.sampled_from([4000.0, 10_000.0]),
    st.sampled_from([0.0, 500.0, 2000.0]),
    changes(-2000.0),
)
def test_commands_keep_the_import_limit_and_come_to_rest(
    evses: int, timing: Timing, limit_w: float, first_w: float, changes: list[tuple[int, float]]
) -> None:
    async def scene() -> None:
        policy = SitePolicy("home", import_limit_w=limit_w)
        async with plant(evses, policy, timing, stepped(first_w, changes)) as site:
            await site.rig.wait(FIRST_S)
            for number in range(1, evses + 1):
                result = await site.rig.send(f"CP{number}-1", "charge", f"c{number}", power_w=ASKED_W, lease_s=300)
                assert result.status in (Status.ACCEPTED, Status.CLAMPED, Status.REFUSED)
            await site.rig.wait(END_S - FIRST_S)
            assert_within(site, changes, limit_w, ASKED_W)
            assert_at_rest(site)

    run_virtual(scene())


@pytest.mark.parametrize("mode", [SiteMode.SELF_CONSUMPTION, SiteMode.PEAK_SHAVING])
@unshrunk
@given(st.integers(1, 4), timings, st.sampled_from([1000.0, 3000.0, 5000.0]), changes(0.0))
def test_modes_come_to_rest_at_their_target(
    mode: SiteMode, evses: int, timing: Timing, first_w: float, changes: list[tuple[int, float]]
) -> None:
    peak_w = 1000.0 if mode is SiteMode.PEAK_SHAVING else None

    async def scene() -> None:
        policy = SitePolicy("home", mode=mode, import_limit_w=peak_w)
        async with plant(evses, policy, timing, stepped(first_w, changes), MANAGED) as site:
            await site.rig.wait(END_S)
            assert_at_rest(site)
            end = site.trace[-1]
            if mode is SiteMode.PEAK_SHAVING:
                assert end.grid_w <= 1000.0 + TOLERANCE_W
            elif end.base_w > 200.0:
                assert abs(end.grid_w) <= 150.0

    run_virtual(scene())


@pytest.mark.parametrize("delay_s", [0.0, 5.0])
def test_a_fuse_of_4_kw_is_kept_beside_2_kw_of_load(delay_s: float) -> None:
    """A vehicle asked for 6 kW gets the 2 kW that are left, and keeps them."""

    async def scene() -> None:
        timing = Timing(meter_delay_s=delay_s)
        async with plant(1, SitePolicy("home", import_limit_w=4000.0), timing, stepped(2000.0, [])) as site:
            await site.rig.wait(FIRST_S)
            result = await site.rig.send("CP1-1", "charge", "a", power_w=ASKED_W, lease_s=300)
            assert (result.status, result.effective_w) == (Status.CLAMPED, 2000.0)
            await site.rig.wait(40.0)
            assert {one.orders for one in site.since(FIRST_S + 1.0)} == {(2000.0,)}

    run_virtual(scene())


@pytest.mark.parametrize("spike_w", [-52_800.0, 52_800.0, -327_680.0])
def test_one_impossible_reading_moves_no_vehicle(spike_w: float) -> None:
    async def scene() -> None:
        policy = SitePolicy(
            "home", mode=SiteMode.SELF_CONSUMPTION, import_limit_w=20_000.0, export_limit_w=20_000.0, min_soc_pct=20.0
        )
        async with plant(1, policy, Timing(meter_period_s=2.0), stepped(1500.0, []), MANAGED) as site:
            site.spikes[20] = spike_w
            await site.rig.wait(60.0)
            assert {one.orders for one in site.since(30.0)} == {(-1450.0,)}

    run_virtual(scene())


def test_a_vehicle_that_supplies_the_load_is_no_loss_of_mains() -> None:
    """The meter reads about 0 W while the site draws power, and the facility reports the grid as present."""

    async def scene() -> None:
        policy = SitePolicy("home", mode=SiteMode.SELF_CONSUMPTION, min_soc_pct=20.0)
        timing = Timing(meter_period_s=4.0, charger_w_per_s=4000.0, evse_meter_s=10.0)
        changing = [(second, 2000.0 + 300.0 * (second // 20 % 2)) for second in range(0, 200, 20)]
        async with plant(1, policy, timing, stepped(2000.0, changing), MANAGED, loads=True) as site:
            await site.rig.wait(200.0)
            codes = [event.code for event in site.rig.published.events if (event.code or "").startswith("grid")]
            assert codes == []

    run_virtual(scene())
