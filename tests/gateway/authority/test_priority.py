"""Laws of the control hierarchy: no input makes a result leave a higher layer's range."""

from __future__ import annotations

import math
from dataclasses import replace
from operator import attrgetter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.authority.priority import Bound, DeadBand, above_command, decide, ends_supply, still_holds
from gateway.model.reason import Code
from gateway.model.result import Layer

WATTS = st.one_of(st.floats(-50_000, 50_000), st.sampled_from([-math.inf, math.inf, 0.0, -0.0, 5e-324]))


@st.composite
def bounds(draw: st.DrawFn) -> Bound:
    one, other = draw(WATTS), draw(WATTS)
    low, high = min(one, other), max(one, other)
    if low == math.inf or high == -math.inf:
        low, high = 0.0, 0.0
    return Bound(draw(st.sampled_from(list(Layer))), low, high)


def left_by(given_bounds: list[Bound], below: int) -> tuple[float, float]:
    """Return what the layers ranked above `below` leave, calculated independently."""
    low, high = -math.inf, math.inf
    for bound in sorted(given_bounds, key=lambda one: one.layer.rank):
        if bound.layer.rank >= below:
            break
        if bound.low_w > high:
            low = high
        elif bound.high_w < low:
            high = low
        else:
            low, high = max(low, bound.low_w), min(high, bound.high_w)
    return low, high


@given(st.lists(bounds(), max_size=12))
def test_a_ramp_stays_within_what_the_layers_above_the_command_leave(several: list[Bound]) -> None:
    assert above_command(decide(several)) == left_by(several, Layer.COMMAND.rank)


@given(st.lists(bounds(), max_size=12))
def test_no_layer_leaves_the_range_of_the_layers_above(several: list[Bound]) -> None:
    decision = decide(several)
    for rank in range(len(Layer) + 1):
        low, high = left_by(several, rank)
        assert low <= decision.power_w <= high
    assert math.isfinite(decision.power_w) or any(math.isinf(b.low_w) or math.isinf(b.high_w) for b in several)


@given(st.lists(bounds(), max_size=12))
def test_the_layer_named_as_binding_holds_the_value_at_its_edge(several: list[Bound]) -> None:
    decision = decide(several)
    ends = [
        edge
        for b in [*several, Bound(Layer.IDLE, 0.0, 0.0)]
        if b.layer is decision.binding
        for edge in (b.low_w, b.high_w)
    ]
    assert decision.power_w in ends


@given(st.lists(bounds(), max_size=8), st.floats(-50_000, 50_000))
def test_the_bound_named_as_limiting_is_one_that_excludes_the_request(several: list[Bound], power_w: float) -> None:
    above = [
        replace(one, text=f"bound {number}")
        for number, one in enumerate(several)
        if one.layer.rank < Layer.COMMAND.rank
    ]
    assume(max((one.low_w for one in above), default=0) <= min((one.high_w for one in above), default=0))
    decision = decide([*above, Bound(Layer.COMMAND, power_w, power_w, text="the command")])
    if decision.text == "the command":
        assert decision.power_w == power_w
        return
    [named] = [one for one in above if one.text == decision.text]
    assert named.low_w == named.high_w or not named.low_w <= power_w <= named.high_w
    assert decision.power_w in (named.low_w, named.high_w)


@pytest.mark.parametrize("far_w", [-5000.0, 5000.0])
@pytest.mark.parametrize("floor", [Layer.SOC_FLOOR, Layer.STATION])
def test_where_two_layers_meet_the_one_against_the_request_is_named(far_w: float, floor: Layer) -> None:
    several = [Bound(floor, low_w=0.0, code=Code.BELOW_FLOOR), Bound(Layer.SITE, high_w=0.0, code=Code.IMPORT_LIMIT)]
    decision = decide([*several, Bound(Layer.COMMAND, far_w, far_w)])
    assert decision.code is (Code.BELOW_FLOOR if far_w < 0 else Code.IMPORT_LIMIT)
    assert decide([*several, Bound(Layer.COMMAND, 0.0, 0.0)]).binding is Layer.COMMAND
    assert decide(several).binding is Layer(max(floor, Layer.SITE, key=attrgetter("rank")))


LEFT_W = st.one_of(st.none(), st.floats(0, 5000), st.sampled_from([0.0, 1000.0, 5000.0]))
RUNS_FROM_W = st.sampled_from([0.0, 1000.0, 1380.0])


@st.composite
def connections(draw: st.DrawFn) -> list[Bound]:
    """Bounds of a site's connection: each forbids charge or discharge and forces neither."""
    charge_w, discharge_w = draw(LEFT_W), draw(LEFT_W)
    high = [] if charge_w is None else [Bound(Layer.SITE, high_w=charge_w, code=Code.IMPORT_LIMIT)]
    low = [] if discharge_w is None else [Bound(Layer.SITE, low_w=-discharge_w, code=Code.EXPORT_LIMIT)]
    return [*high, *low]


@given(st.lists(bounds(), max_size=5), connections(), connections(), RUNS_FROM_W, RUNS_FROM_W)
def test_a_decision_that_still_holds_is_the_one_that_the_other_connection_gives(
    several: list[Bound], before: list[Bound], after: list[Bound], discharge_w: float, charge_w: float
) -> None:
    band = DeadBand(discharge_w, charge_w)
    decision = decide([*several, *before], band)
    if still_holds(decision, after):
        again = decide([*several, *after], band)
        assert (again.power_w, again.binding, again.code) == (decision.power_w, decision.binding, decision.code)


def test_a_decision_far_from_the_limits_of_the_connection_still_holds() -> None:
    decision = decide([Bound(Layer.SITE, -5000.0, 5000.0), Bound(Layer.COMMAND, 2000.0, 2000.0)])
    assert still_holds(decision, [Bound(Layer.SITE, high_w=3000.0)])
    assert not still_holds(decision, [Bound(Layer.SITE, high_w=1999.0)])
    assert not still_holds(decision, [Bound(Layer.STATION, high_w=3000.0)])


@given(st.lists(bounds(), max_size=8), bounds())
def test_adding_a_layer_never_widens_what_was_left(several: list[Bound], another: Bound) -> None:
    low, high = left_by(several, another.layer.rank + 1)
    more_low, more_high = left_by([*several, another], another.layer.rank + 1)
    assert low <= more_low <= more_high <= high


@given(st.lists(bounds(), max_size=8), st.integers(0, 10**6))
def test_the_order_in_which_layers_are_given_does_not_matter(several: list[Bound], seed: int) -> None:
    one_each = list({bound.layer: bound for bound in several}.values())
    shuffled = sorted(one_each, key=lambda bound: hash((seed, bound.layer)))
    assert decide(shuffled) == decide(one_each)


@given(st.lists(bounds(), max_size=8), st.floats(0, 5000), st.floats(0, 5000))
def test_a_dead_band_never_leads_out_of_the_layers_above_the_command(
    several: list[Bound], out: float, into: float
) -> None:
    band = DeadBand(out, into)
    decision = decide(several, band)
    low, high = left_by(several, Layer.COMMAND.rank)
    assert low <= decision.power_w <= high
    if not band.inside(decision.power_w):
        return
    assert not low <= 0 <= high  # only where a layer above the command excludes 0 W


@pytest.mark.parametrize(
    ("several", "power_w"),
    [
        ([Bound(Layer.COMMAND, -500, -500)], 0.0),
        ([Bound(Layer.COMMAND, -999, -999)], 0.0),
        ([Bound(Layer.COMMAND, -1000, -1000)], -1000.0),
        ([Bound(Layer.COMMAND, -1001, -1001)], -1001.0),
        ([Bound(Layer.COMMAND, 1, 1)], 0.0),
        ([Bound(Layer.COMMAND, 1999, 1999)], 0.0),
        ([Bound(Layer.COMMAND, 2000, 2000)], 2000.0),
        ([Bound(Layer.COMMAND, 0, 0)], 0.0),
        ([Bound(Layer.ISLAND, -5000, -1), Bound(Layer.COMMAND, -500, -500)], -1000.0),
        ([Bound(Layer.ISLAND, -5000, -1000), Bound(Layer.COMMAND, -500, -500)], -1000.0),
        ([Bound(Layer.ISLAND, -5000, 0), Bound(Layer.COMMAND, -500, -500)], 0.0),
        ([Bound(Layer.ISLAND, 0, 5000), Bound(Layer.COMMAND, 500, 500)], 0.0),
        ([Bound(Layer.ISLAND, 1, 5000), Bound(Layer.COMMAND, 500, 500)], 2000.0),
        ([Bound(Layer.ISLAND, 1, 2000), Bound(Layer.COMMAND, 500, 500)], 2000.0),
        ([Bound(Layer.ISLAND, 1, 1999), Bound(Layer.COMMAND, 500, 500)], 500.0),  # nothing that can be run is left
        ([Bound(Layer.ISLAND, 0.1, 5000), Bound(Layer.COMMAND, 0.5, 0.5)], 2000.0),
        ([Bound(Layer.ISLAND, 1, 1999, Code.NO_SESSION, "x")], 1.0),
        ([Bound(Layer.ISLAND, -999, -1), Bound(Layer.COMMAND, -500, -500)], -500.0),
        (
            [Bound(Layer.COMMAND, -5000, -400), Bound(Layer.OPTIMISER, -500, -500)],
            0.0,
        ),  # below the command nothing holds
    ],
)
def test_inside_the_dead_band_less_runs_before_more(several: list[Bound], power_w: float) -> None:
    decision = decide(several, DeadBand(1000.0, 2000.0))
    assert decision.power_w == power_w
    plain = decide(several)
    if power_w == plain.power_w:
        assert decision == plain
    else:
        assert (decision.binding, decision.code) == (Layer.STATION, Code.DEAD_BAND)
        assert decision.text
    assert len(decision.layers) == len(several) + 1


@given(st.lists(bounds(), max_size=8), st.floats(0, 5000), st.floats(0, 5000))
def test_a_dead_band_gives_0_w_wherever_the_layers_above_the_command_leave_it(
    several: list[Bound], out: float, into: float
) -> None:
    band = DeadBand(out, into)
    plain, decision = decide(several), decide(several, band)
    low, high = left_by(several, Layer.COMMAND.rank)
    if not band.inside(plain.power_w):
        assert decision == plain
    elif low <= 0 <= high:
        assert decision.power_w == 0
    else:
        assert decision.power_w in (plain.power_w, -out if plain.power_w < 0 else into)


@given(st.floats(0, 5000), st.floats(0, 5000), WATTS)
def test_the_ends_of_a_dead_band_and_0_w_can_be_run(out: float, into: float, power_w: float) -> None:
    band = DeadBand(out, into)
    assert not any(band.inside(one) for one in (0.0, -0.0, -out, into))
    assert band.inside(power_w) == (-out < power_w < into and power_w != 0)


def test_no_request_is_0_w_with_the_reason_idle() -> None:
    assert (decide([]).power_w, decide([]).binding) == (0.0, Layer.IDLE)


@pytest.mark.parametrize(
    ("several", "power_w", "binding"),
    [
        ([Bound(Layer.COMMAND, -5000, -5000)], -5000, Layer.COMMAND),
        ([Bound(Layer.VEHICLE, -3000, 7000), Bound(Layer.COMMAND, -5000, -5000)], -3000, Layer.VEHICLE),
        ([Bound(Layer.VEHICLE, -5000, 7000), Bound(Layer.COMMAND, -5000, -5000)], -5000, Layer.COMMAND),
        (
            [Bound(Layer.VEHICLE, -3000, 7000), Bound(Layer.SITE, low_w=-2000), Bound(Layer.COMMAND, -5000, -5000)],
            -2000,
            Layer.SITE,
        ),
        ([Bound(Layer.EMERGENCY_STOP, 0, 0), Bound(Layer.COMMAND, -5000, -5000)], 0, Layer.EMERGENCY_STOP),
        ([Bound(Layer.COMMAND, -5000, -5000), Bound(Layer.OPTIMISER, 2000, 2000)], -5000, Layer.COMMAND),
        ([Bound(Layer.VEHICLE, -9, 9), Bound(Layer.OPTIMISER, 2000, 2000)], 9, Layer.VEHICLE),
        ([Bound(Layer.ISLAND, -4000, -2000)], -2000, Layer.ISLAND),
    ],
)
def test_limiting_layer(several: list[Bound], power_w: float, binding: Layer) -> None:
    decision = decide(several)
    assert (decision.power_w, decision.binding) == (power_w, binding)


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (math.nan, 0.0), (0.0, math.nan)])
def test_an_invalid_interval_is_rejected(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="no interval"):
        Bound(Layer.SITE, low, high)


@pytest.mark.parametrize(
    ("several", "ends"),
    [
        ([], False),
        ([Bound(Layer.STATION, 0.0, 0.0)], True),
        ([Bound(Layer.STATION, 0.0), Bound(Layer.VEHICLE, high_w=0.0)], True),
        ([Bound(Layer.EMERGENCY_STOP, 0.0, 0.0)], True),
        ([Bound(Layer.GRID_CODE, 0.0, 0.0)], False),
        ([Bound(Layer.STATION, 0.0, 500.0), Bound(Layer.COMMAND, 0.0, 0.0)], False),
        ([Bound(Layer.STATION, -500.0, 0.0), Bound(Layer.ISLAND, -500.0, -500.0)], False),
        ([Bound(Layer.VEHICLE, 1.0, 1.0)], False),
        ([Bound(Layer.VEHICLE, -500.0, 500.0), Bound(Layer.EMERGENCY_STOP, 0.0, 0.0)], True),
    ],
)
def test_only_hardware_and_an_emergency_stop_end_the_supply_of_an_island(several: list[Bound], ends: bool) -> None:
    assert ends_supply(decide(several)) is ends


@pytest.mark.parametrize(
    ("above", "holds"),
    [
        ((0.0, 5000.0), True),
        ((-5000.0, 0.0), True),
        ((0.5, 5000.0), False),  # 0 W is excluded, so the dead band may have no other power
        ((-5000.0, -0.5), False),
    ],
)
def test_a_decision_may_change_where_the_layers_above_exclude_0_w(above: tuple[float, float], holds: bool) -> None:
    power_w = 2000.0 if above[1] > 0 else -2000.0
    decision = decide([Bound(Layer.STATION, *above), Bound(Layer.COMMAND, power_w, power_w)])
    assert decision.power_w == power_w
    assert still_holds(decision, [Bound(Layer.SITE, -3000.0, 3000.0)]) is holds


def test_a_decision_at_a_limit_of_the_connection_may_change() -> None:
    free = decide([Bound(Layer.COMMAND, 2000.0, 2000.0)])
    for at_limit in (Bound(Layer.SITE, high_w=2000.0), Bound(Layer.SITE, low_w=2000.0)):
        assert not still_holds(free, [at_limit])
        assert not still_holds(decide([at_limit, Bound(Layer.COMMAND, 2000.0, 2000.0)]), [])


def test_a_decision_by_the_dead_band_may_change() -> None:
    decision = decide([Bound(Layer.COMMAND, 500.0, 500.0)], DeadBand(0.0, 1000.0))
    assert (decision.power_w, decision.code) == (0.0, Code.DEAD_BAND)
    assert not still_holds(decision, [Bound(Layer.SITE, -3000.0, 3000.0)])
