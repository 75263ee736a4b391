"""Laws of the loop through meter, gateway and chargers: limits hold, orders come to rest, whatever the delays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from emulators.runtime.clock import run_virtual
from gateway.energy.modes.mode import BIAS_W
from gateway.energy.order_changes import SAME_SHARE
from gateway.energy.settings import EnergySection, StorageTable
from gateway.model.command import SiteMode
from gateway.model.message import rfc3339
from gateway.model.result import Status
from gateway.model.site import SitePolicy
from tests.gateway.closed_loop.case import REST_W, Case, Changes
from tests.gateway.closed_loop.plant import STEP_S, TOLERANCE_W, Plant, PlantStorage, Timing, plant
from tests.rounds import rounds, some

FIRST_S = 20.0
ASKED_W = 6000.0
LIMIT_W = 5000.0
MANAGED = EnergySection(plan=False)
SOAK = settings.get_current_profile_name() == "soak"
FASTEST = Timing()
UNMOVED_W = 30.0
NOISE_WATCHED_S = 160.0
MOVING_W = 250.0  # half a second of a ramp, within which a time stamp is exact


def between(least: float, most: float, usual: Collection[float]) -> st.SearchStrategy[float]:
    """Return usual values, or any in hundredths between two."""
    return st.sampled_from(list(usual)) | st.integers(round(100 * least), round(100 * most)).map(lambda one: one / 100)


def watts(least_w: float, most_w: float) -> st.SearchStrategy[float]:
    """Return powers: steps of 500 W, which meet each other and the limits, or any."""
    return between(least_w, most_w, np.arange(least_w, most_w + 1.0, 500.0).tolist())


timings = st.builds(
    Timing,
    meter_delay_s=between(0.0, 15.0, [0.0, 0.5, 1.0, 2.0, 3.25, 5.0, 8.0, 12.0, 15.0]),
    meter_period_s=between(1.0, 10.0, [1.0, 2.0, 5.0, 10.0]),
    stamped=st.booleans(),
    charger_delay_s=between(0.0, 3.0, [0.0, 0.25, 1.0, 3.0]),
    charger_w_per_s=st.sampled_from([1000.0, 500.0, 400.0, 250.0, 2500.0, 1e6]),
    evse_meter_s=between(1.0, 10.0, [1.0, 5.0, 10.0]),
)


def law(examples: int) -> settings:
    """Return the settings of a law: each example runs for minutes of virtual time, so a failure is not shrunk.

    Random in `make soak` only.
    """
    phases = [Phase.explicit, Phase.reuse, Phase.generate]
    return settings(
        max_examples=500 if SOAK else rounds(max(2, examples // 10), examples), phases=phases, derandomize=not SOAK
    )


def changes(least_w: float, most_w: float) -> st.SearchStrategy[Changes]:
    """Return changes of the base load: (time after the command, new power), often in the moment of the command."""
    times = st.just(0.0) | st.integers(0, 40).map(float)
    return st.lists(st.tuples(times, watts(least_w, most_w)), max_size=3).map(tuple)


def keeps_the_law(case: Case) -> Plant:
    site = run_virtual(case.run())
    assert list(case.breaches(site.trace)) == []
    return site


evses = st.integers(1, 4)
limits = between(4000.0, 10_000.0, [4000.0, 10_000.0])


@law(60)
@given(evses, timings, limits, watts(0.0, 2000.0), changes(-2000.0, 8000.0))
@example(4, Timing(4.36, 4.36, False, 0.0, 250.0, 5.0), 10_000.0, 43.07, ())
def test_commands_keep_the_import_limit(
    count: int, timing: Timing, limit_w: float, first_w: float, changes: Changes
) -> None:
    keeps_the_law(Case(count, timing, first_w, changes, asked_w=ASKED_W, import_w=limit_w))


@law(20)
@given(evses, timings, watts(-2000.0, 2000.0), st.integers(0, 200), st.sampled_from([1.0, -1.0]))
@example(1, Timing(8.89, 2.0, False, 3.0, 2500.0, 10.0), 2000.0, 200, 1.0)
@example(3, Timing(6.32, 1.0, True, 3.0, 2500.0, 5.0), -1500.0, 100, -1.0)
@example(3, Timing(9.12, 1.0, False, 1.0, 2500.0, 10.0), -1500.0, 100, 1.0)
def test_noise_of_a_constant_load_cuts_no_vehicle(
    count: int, timing: Timing, load_w: float, noise_w: float, sign: float
) -> None:
    """Nor does it lead above the limit on import, or the one on export, by more than the noise itself."""
    import_w, export_w = (LIMIT_W, None) if sign > 0 else (None, LIMIT_W)
    first_w, asked_w = sign * load_w, sign * ASKED_W
    case = Case(
        count,
        timing,
        first_w,
        asked_w=asked_w,
        import_w=import_w,
        export_w=export_w,
        noise_w=noise_w,
        watched_s=NOISE_WATCHED_S,
    )
    rest = run_virtual(case.run()).since(case.rest_s)
    room_w = min(count * ASKED_W, LIMIT_W - load_w)
    assert min(sign * sum(one.orders_w) for one in rest) >= room_w - (4 * noise_w + REST_W)
    assert max(case.excess_w(one) for one in rest) <= 2 * noise_w + TOLERANCE_W


@law(40)
@given(evses, timings, limits, watts(-2000.0, 0.0), changes(-8000.0, 2000.0))
@example(4, Timing(1.0, 4.23, False, 0.22, 400.0, 1.0), 10_000.0, -684.01, ((4.0, -2861.71),))
def test_commands_keep_the_export_limit(
    count: int, timing: Timing, limit_w: float, first_w: float, changes: Changes
) -> None:
    keeps_the_law(Case(count, timing, first_w, changes, asked_w=-ASKED_W, export_w=limit_w))


@law(40)
@given(evses, timings, limits, watts(0.0, 2000.0), st.sampled_from([1.0, -1.0]))
@example(4, Timing(4.36, 4.36, False, 0.0, 250.0, 5.0), 10_000.0, 43.07, 1.0)
@example(3, Timing(7.36, 2.0, True, 2.82, 400.0, 6.96), 10_000.0, 1936.96, 1.0)
@example(4, Timing(14.67, 1.13, False, 0.53, 500.0, 8.83), 4000.0, 1000.0, -1.0)
@example(4, Timing(15.0, 1.49, False, 2.74, 400.0, 5.0), 7325.05, 1410.22, -1.0)
def test_commands_are_left_alone_while_the_load_is_constant(
    count: int, timing: Timing, limit_w: float, load_w: float, sign: float
) -> None:
    """Vehicles on their way do not look like less load, nor like more, however slow they and their meters are."""
    import_w, export_w = (limit_w, None) if sign > 0 else (None, limit_w)
    case = Case(count, timing, sign * load_w, asked_w=sign * ASKED_W, import_w=import_w, export_w=export_w)
    site = keeps_the_law(case)
    assert max(case.excess_w(one) for one in site.trace) <= TOLERANCE_W
    totals_w = [sum(one.orders_w) for one in site.since(case.begin_s + 3.0)]
    assert max(totals_w) - min(totals_w) <= REST_W


@law(20)
@given(evses, timings, watts(1000.0, 5000.0), changes(0.0, 8000.0), st.booleans())
def test_self_consumption_comes_to_rest_at_no_exchange(
    count: int, timing: Timing, first_w: float, changes: Changes, storage: bool
) -> None:
    case = Case(count, timing, first_w, changes, mode=SiteMode.SELF_CONSUMPTION, storage=storage)
    end = keeps_the_law(case).trace[-1]
    unsent_w = BIAS_W + SAME_SHARE * end.base_w  # an order that differs by less is not sent
    assert end.base_w <= 200.0 or abs(end.grid_w) <= max(150.0, unsent_w)


@law(15)
@given(evses, timings, watts(-5000.0, -1000.0), changes(-8000.0, -500.0), st.booleans())
def test_surplus_is_charged_without_a_cycle(
    count: int, timing: Timing, first_w: float, changes: Changes, storage: bool
) -> None:
    keeps_the_law(Case(count, timing, first_w, changes, mode=SiteMode.SELF_CONSUMPTION, storage=storage))


@law(30)
@given(
    evses,
    timings,
    watts(1000.0, 5000.0),
    watts(1000.0, 5000.0),
    changes(0.0, 8000.0),
    st.booleans(),
)
def test_peak_shaving_keeps_the_peak(
    count: int, timing: Timing, peak_w: float, first_w: float, changes: Changes, storage: bool
) -> None:
    case = Case(count, timing, first_w, changes, import_w=peak_w, mode=SiteMode.PEAK_SHAVING, storage=storage)
    assert keeps_the_law(case).trace[-1].grid_w <= peak_w + TOLERANCE_W


@law(15)
@given(evses, timings, watts(2000.0, 5000.0), changes(0.0, 8000.0), st.sampled_from([0.93, 0.95, 0.98, 1.05]))
@example(1, Timing(2.0, 2.0, True, 0.5, 2500.0, 5.0), 5000.0, ((10.0, 9000.0),), 0.95)
@example(3, Timing(1.0, 1.01, True, 0.42, 1e6, 10.0), 2366.24, ((4.0, 3000.0), (4.0, 6500.0)), 1.05)
@example(3, Timing(1.0, 2.0, False, 0.25, 400.0, 8.3), 2500.0, ((27.0, 7142.3),), 1.05)
@example(2, Timing(2.0, 1.0, True, 0.0, 2500.0, 5.33), 5000.0, ((34.0, 8000.0), (24.0, 7772.5)), 0.95)
@example(2, Timing(10.27, 5.0, True, 0.25, 1e6, 5.0), 3644.94, ((0.0, 5000.0), (0.0, 6500.0)), 0.95)
def test_what_a_charger_does_not_deliver_of_an_order_is_learnt(
    count: int, timing: Timing, peak_w: float, changes: Changes, delivered: float
) -> None:
    """A peak limit is kept although the vehicles that support the site discharge less than ordered, or more."""
    case = Case(count, timing, 2000.0, changes, import_w=peak_w, mode=SiteMode.PEAK_SHAVING, delivered=delivered)
    assert keeps_the_law(case).trace[-1].grid_w <= peak_w + TOLERANCE_W


@pytest.mark.virtual_time
@pytest.mark.parametrize("delivered", [0.95, 1.05])
@pytest.mark.parametrize("load_w", [1000.0, 3739.0])
async def test_a_limit_is_kept_beside_a_commanded_vehicle_that_delivers_another_power_than_ordered(
    load_w: float, delivered: float
) -> None:
    """One vehicle is commanded to charge, another supports it: neither exceeds the limit again and again."""
    timing = Timing(8.76, 5.0, False, 0.3, 1e6, 10.0)
    policy = SitePolicy("home", 5000.0, min_soc_pct=20.0, mode=SiteMode.PEAK_SHAVING)
    case = Case(1, timing, 400.0, ((55.0, load_w),))  # 80 s after the beginning
    async with plant(2, policy, timing, case.base_w, MANAGED) as site:
        site.delivered = delivered
        await site.rig.wait(30.0)
        await site.rig.send("CP1-1", "charge", "a", power_w=ASKED_W, lease_s=600)
        await site.rig.wait(270.0)
        above = [one for one in site.since(30.0) if one.grid_w > 5000.0 + TOLERANCE_W]
        assert len(above) * STEP_S <= 2 * (timing.allowed_s(ASKED_W) + timing.delivery_s)
        assert [one for one in above if one.at > 150.0] == []


@law(15)
@given(evses, timings, limits, watts(0.0, 2000.0), changes(-2000.0, 8000.0), st.booleans())
@example(2, Timing(15.0, 10.0, True, 3.0, 400.0, 10.0), 10_000.0, 0.0, ((1.0, 4500.0), (12.0, 4000.0)), False)
@example(
    1, Timing(7.57, 1.51, False, 0.0, 250.0, 2.58), 4000.0, 505.81, ((2.0, 0.0), (0.0, 950.27), (35.0, 7000.0)), False
)
def test_cheap_energy_is_charged_within_the_import_limit(
    count: int, timing: Timing, limit_w: float, first_w: float, changes: Changes, storage: bool
) -> None:
    keeps_the_law(Case(count, timing, first_w, changes, import_w=limit_w, mode=SiteMode.PRICE, storage=storage))


@law(15)
@given(evses, timings, limits, watts(-2000.0, 2000.0), changes(-8000.0, 8000.0), st.booleans())
@example(3, Timing(8.0, 2.0, True, 0.25, 250.0, 10.0), 4000.0, 2000.0, ((1.0, 5000.0), (34.0, -1000.0)), True)
@example(3, Timing(0.0, 2.0, False, 0.25, 250.0, 2.77), 5016.94, 1014.64, ((0.0, -500.0), (23.0, 6500.0)), True)
@example(
    2,
    Timing(13.68, 1.0, True, 0.25, 500.0, 8.41),
    8056.73,
    -129.05,
    ((0.0, -6712.94), (12.0, 7500.0), (38.0, -137.7)),
    True,
)
def test_expensive_energy_is_discharged_within_the_export_limit(
    count: int, timing: Timing, limit_w: float, first_w: float, changes: Changes, storage: bool
) -> None:
    case = Case(count, timing, first_w, changes, export_w=limit_w, mode=SiteMode.PRICE, storage=storage)
    keeps_the_law(replace(case, cheap=False))


@law(30)
@given(st.integers(1, 3), timings, watts(1000.0, 5000.0), between(5.0, 1000.0, [150.0, 300.0]), st.booleans())
@example(3, Timing(14.05, 6.0, False, 0.1, 400.0), 5000.0, 152.3, True)
def test_small_movements_show_the_delay_of_the_meter(
    count: int, timing: Timing, peak_w: float, left_w: float, storage: bool
) -> None:
    """What fills the room below a peak is not taken for a load, however little it is: the load never changes here."""
    case = Case(count, timing, peak_w - left_w, import_w=peak_w, mode=SiteMode.PEAK_SHAVING, storage=storage)
    site = keeps_the_law(case)
    totals_w = [sum(one.orders_w) for one in site.since(case.begin_s)]
    assert max(totals_w) - min(totals_w) <= UNMOVED_W
    assert max(case.excess_w(one) for one in site.trace) <= UNMOVED_W


@pytest.mark.parametrize(
    "case",
    some(
        [
            Case(
                2, Timing(15.0, 5.0, True, 1.22, 500.0, 1.06), 500.0, ((0.0, -1500.0), (7.0, 5500.0), (34.0, 500.0)),
                export_w=4000.0, mode=SiteMode.PRICE, cheap=False,
            ),
            Case(
                1, Timing(2.0, 10.0, True, 3.0, 500.0, 10.0), 2000.0, ((8.0, -3500.0),),
                export_w=4271.0, mode=SiteMode.PRICE, cheap=False,
            ),
            Case(
                3, Timing(5.0, 1.0, True, 1.0, 250.0, 5.0), 0.0, ((0.0, -1000.0), (39.0, 6500.0), (1.0, -5000.0)),
                export_w=4702.0, mode=SiteMode.PRICE, cheap=False,
            ),
            Case(
                4, Timing(8.0, 10.0, True, 1.36, 500.0, 1.0), 0.0, ((19.0, 0.0), (5.0, 6500.0), (40.0, -1500.0)),
                import_w=10_000.0, mode=SiteMode.PRICE,
            ),
        ],
        every=4,
    ),
)  # fmt: skip
def test_a_meter_that_shows_its_delay_is_not_answered_with_more_than_needed(case: Case) -> None:
    """No vehicle charges at a dear price, nor discharges at a low one, beyond what the limit requires of it."""
    site = keeps_the_law(case)
    totals_w = [sum(one.orders_w) for one in site.since(case.begin_s)]
    if case.export_w is not None:
        needed_w = max(max(-case.export_w - one.base_w for one in site.trace), 0.0)
        assert max(totals_w) <= needed_w + MOVING_W
    if case.import_w is not None:
        needed_w = min(min(case.import_w - one.base_w for one in site.trace), 0.0)
        assert min(totals_w) >= needed_w - MOVING_W


def test_a_charger_that_was_measured_on_its_way_goes_on() -> None:
    """Its meter is so slow that the last reading is far from the set-point, which it has reached since."""
    timing = Timing(1.0, 1.0, stamped=True, charger_delay_s=3.0, charger_w_per_s=500.0, evse_meter_s=10.0)
    site = keeps_the_law(Case(1, timing, 5000.0, import_w=1000.0, mode=SiteMode.PEAK_SHAVING))
    assert {one.orders_w for one in site.since(2.0)} == {(-4000.0,)}


def test_small_steps_of_a_late_charger_do_not_hide_the_delay_of_the_meter() -> None:
    """A set-point that changed by less than the tolerance of a meter is not reached with the next reading."""
    timing = Timing(1.0, 2.0, stamped=False, charger_delay_s=3.0, charger_w_per_s=1000.0, evse_meter_s=5.0)
    loads = ((13.0, 7500.0), (0.0, 8000.0), (8.0, -2000.0))
    keeps_the_law(Case(4, timing, 2000.0, loads, import_w=4000.0, mode=SiteMode.PRICE))


def test_a_load_that_rises_with_the_command_is_answered_once() -> None:
    """Chargers that are late ramp while the load rises: power above the limit ends with the first cut."""
    timing = Timing(0.5, 2.0, stamped=True, charger_delay_s=3.0, charger_w_per_s=1000.0)
    keeps_the_law(Case(4, timing, 2000.0, ((0.0, 8000.0),), asked_w=ASKED_W, import_w=10_000.0))


@pytest.mark.parametrize(("period_s", "delay_s", "stamped"), some(product([5.0, 10.0], [0.0, 15.0], [True, False]), 5))
def test_a_slow_meter_does_not_end_a_charge(period_s: float, delay_s: float, stamped: bool) -> None:
    """A reading is not stale before the next one of the same meter is due."""
    timing = Timing(delay_s, period_s, stamped)
    case = Case(1, timing, 2000.0, asked_w=ASKED_W, import_w=20_000.0)
    site = keeps_the_law(case)
    assert {one.orders_w for one in site.since(case.begin_s + 1.0)} == {(ASKED_W,)}


@pytest.mark.virtual_time
@pytest.mark.parametrize(("delay_s", "period_s"), [(0.0, 1.0), (5.0, 5.0), (15.0, 10.0)])
@pytest.mark.parametrize(("asked_w", "base_w"), some([(-4000.0, 2000.0), (3000.0, 1000.0), (6000.0, -3000.0)], every=3))
async def test_a_storage_in_self_consumption_balances_a_commanded_vehicle(
    asked_w: float, base_w: float, delay_s: float, period_s: float
) -> None:
    """The vehicle is load or generation like any other: from the first second, in both directions, and afterwards."""
    policy = SitePolicy("home", mode=SiteMode.SELF_CONSUMPTION, min_soc_pct=20.0)
    energy = EnergySection(plan=False, storage=StorageTable(controlled=True))
    timing = Timing(delay_s, period_s)
    async with plant(1, policy, timing, lambda elapsed: base_w, energy, storage=PlantStorage()) as site:
        await site.rig.wait(40.0)
        verb = "charge" if asked_w > 0 else "discharge"
        await site.rig.send("CP1-1", verb, "a", power_w=abs(asked_w), lease_s=60)
        await site.rig.wait(90.0)
        held = [one for one in site.trace if 45.0 <= one.at <= 95.0]
        assert {one.orders_w for one in held} == {(asked_w, BIAS_W - base_w - asked_w)}
        around = [one for one in held + site.since(110.0) if abs(one.grid_w - BIAS_W) > TOLERANCE_W]
        assert around == []


@pytest.mark.virtual_time
@pytest.mark.parametrize("delay_s", [0.0, 5.0])
async def test_a_fuse_of_4_kw_is_kept_beside_2_kw_of_load(delay_s: float) -> None:
    """A vehicle asked for 6 kW gets the 2 kW that are left, and keeps them."""
    timing, case = Timing(meter_delay_s=delay_s), Case(1, FASTEST, 2000.0)
    async with plant(1, SitePolicy("home", import_limit_w=4000.0), timing, case.base_w) as site:
        await site.rig.wait(FIRST_S)
        result = await site.rig.send("CP1-1", "charge", "a", power_w=ASKED_W, lease_s=300)
        assert (result.status, result.effective_w) == (Status.CLAMPED, 2000.0)
        await site.rig.wait(40.0)
        assert {one.orders_w for one in site.since(FIRST_S + 1.0)} == {(2000.0,)}


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("asked_w", "spike_w", "limit_w"),
    some(product([None, ASKED_W, -ASKED_W], [-52_800.0, 52_800.0, -327_680.0], [20_000.0, None]), 5),
)
async def test_one_impossible_reading_moves_no_vehicle(
    asked_w: float | None, spike_w: float, limit_w: float | None
) -> None:
    policy = SitePolicy(
        "home", mode=SiteMode.SELF_CONSUMPTION, import_limit_w=limit_w, export_limit_w=limit_w, min_soc_pct=20.0
    )
    timing, case = Timing(meter_period_s=2.0), Case(1, FASTEST, 1500.0)
    async with plant(1, policy, timing, case.base_w, MANAGED) as site:
        site.spikes[20] = spike_w
        if asked_w is not None:
            verb = "charge" if asked_w > 0 else "discharge"
            await site.rig.send("CP1-1", verb, "a", power_w=abs(asked_w), lease_s=300)
        await site.rig.wait(60.0)
        assert {one.orders_w for one in site.since(30.0)} == {(asked_w or -1450.0,)}


@pytest.mark.virtual_time
async def test_a_vehicle_that_supplies_the_load_is_no_loss_of_mains() -> None:
    """The meter reads about 0 W while the site draws power, and the facility reports the grid as present."""
    policy = SitePolicy("home", mode=SiteMode.SELF_CONSUMPTION, min_soc_pct=20.0)
    timing = Timing(meter_period_s=4.0, charger_w_per_s=4000.0, evse_meter_s=10.0)
    steps = tuple((second - FIRST_S, 2000.0 + 300.0 * (second // 20 % 2)) for second in range(0, 200, 20))
    case = Case(1, timing, 2000.0, steps)
    async with plant(1, policy, timing, case.base_w, MANAGED, loads=True) as site:
        await site.rig.wait(200.0)
        codes = [event.code for event in site.rig.published.events if (event.code or "").startswith("grid")]
        assert codes == []


@pytest.mark.virtual_time
async def test_a_storage_that_is_seldom_measured_follows_a_slowly_falling_load() -> None:
    """Small steps towards less export are ordered, too, and a step is not under way for ever without a reading."""
    policy = SitePolicy("home", export_limit_w=0.0, mode=SiteMode.PRICE, min_soc_pct=20.0)
    timing = Timing(meter_delay_s=5.0, meter_period_s=5.0, stamped=True, evse_meter_s=45.0)
    case = Case(1, timing, 1600.0, mode=SiteMode.PRICE, export_w=0.0, storage=True, cheap=False)
    energy = EnergySection(plan=False, step_s=5.0, storage=StorageTable(controlled=True))
    async with plant(1, policy, timing, _falling_w, energy, storage=PlantStorage()) as site:
        site.input("price", ts=rfc3339(site.rig.clock.wall()), prices=case.prices(site.rig.clock.wall()))
        await site.rig.wait(400.0)
        assert min(one.powers_w[-1] for one in site.trace) < -1000.0
        assert _longest_s(site, above_w=50.0) <= timing.allowed_s(0.0) + energy.step_s


def _falling_w(elapsed: float) -> float:
    return 1600.0 - 1.3 * max(0.0, elapsed - 100.0) - (50.0 if elapsed > 250.0 else 0.0)


def _longest_s(site: Plant, above_w: float) -> float:
    """Return the longest time without a break for which the site exports more than a power."""
    longest_s = current_s = 0.0
    for one in site.trace:
        current_s = current_s + STEP_S if one.grid_w < -above_w else 0.0
        longest_s = max(longest_s, current_s)
    return longest_s
