"""Properties of values: numbers, limits, set-points, schedules, services."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.iso15118.iso20 import ac_messages, dc_loop, dc_messages, phases
from protocols.iso15118.iso20.common import Parameter, ParameterSet
from protocols.iso15118.iso20.limits import Limits, PowerRange, allowed
from protocols.iso15118.iso20.loop import CarReport, Meter, StationReport
from protocols.iso15118.iso20.messages import header
from protocols.iso15118.iso20.prices import PriceBlock, PriceLevels, Prices
from protocols.iso15118.iso20.rational import LARGEST, magnitude, number, rational, rational_down, rational_up
from protocols.iso15118.iso20.schedules import (
    Block,
    Profile,
    ScheduleOffer,
    offer_message,
    profile_fault,
    profile_message,
    profile_within,
    read_offer,
    read_profile,
)
from protocols.iso15118.iso20.services import (
    ISLANDING,
    ControlMode,
    MobilityNeedsMode,
    ServiceId,
    choose,
    from_message,
    offer,
    to_message,
)
from protocols.iso15118.iso20.setpoint import EnergyRequests, decide, narrowed_by_needs
from protocols.iso15118.iso20.types import RationalNumber, ResponseCode

HEADER = header(b"\1" * 8, 1_770_000_000)
ANCHOR = 1_770_000_000
POWERS = st.floats(0, 400_000)
SIGNED = st.floats(-400_000, 400_000)
LIMITS = st.builds(
    Limits,
    max_charge_w=POWERS,
    min_charge_w=st.floats(0, 2_000),
    max_discharge_w=POWERS,
    min_discharge_w=st.floats(0, 2_000),
    max_charge_a=st.floats(0, 500),
    max_discharge_a=st.floats(0, 500),
    max_voltage_v=st.floats(300, 1_000),
    min_voltage_v=st.floats(0, 299),
)
VOLTAGES = st.floats(1, 1_100)
NEEDS = st.builds(
    EnergyRequests,
    target_wh=st.floats(-60_000, 60_000),
    maximum_wh=st.floats(-60_000, 60_000),
    minimum_wh=st.floats(-60_000, 60_000),
    maximum_v2x_wh=st.none() | st.floats(-60_000, 60_000),
    minimum_v2x_wh=st.none() | st.floats(-60_000, 60_000),
)


# -------------------------------------------------------------------------------------------------------------- numbers


@given(st.floats(-1e12, 1e12))
def test_rational_numbers_are_near_and_on_the_safe_side(value: float) -> None:
    for build in (rational, rational_down, rational_up):
        result = build(value)
        assert abs(result.Value) <= LARGEST
        assert number(result) == pytest.approx(value, rel=4e-4, abs=1e-3)
    fuzz = 1e-6 * max(1.0, abs(value))
    assert number(rational_down(value)) <= value + fuzz
    assert number(rational_up(value)) >= value - fuzz


@given(st.integers(-LARGEST, LARGEST))
def test_whole_numbers_stay_whole(value: int) -> None:
    assert rational(value) == RationalNumber(Exponent=0, Value=value)


@pytest.mark.parametrize(("value", "expected"), [(40_000, (1, 4_000)), (12.5, (-1, 125)), (0.3, (-1, 3)), (0, (0, 0))])
def test_the_smallest_exponent_that_fits(value: float, expected: tuple[int, int]) -> None:
    result = rational(value)
    assert (result.Exponent, result.Value) == expected


@given(st.integers(-128, 127), st.integers(-32768, 32767))
def test_any_number_of_a_peer_is_read(exponent: int, value: int) -> None:
    read = RationalNumber(Exponent=exponent, Value=value)
    assert number(read) == pytest.approx(value * 10.0**exponent)
    assert magnitude(read) == abs(number(read))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_value_that_is_not_a_number_is_rejected(value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        rational(value)


# --------------------------------------------------------------------------------------------------- limits, set-points


@given(LIMITS, LIMITS, VOLTAGES, SIGNED, NEEDS, st.none() | st.floats(0, 1e5), st.booleans())
def test_no_set_point_leaves_a_limit_of_either_side(
    ev: Limits,
    evse: Limits,
    voltage: float,
    wish: float,
    needs: EnergyRequests,
    departure: float | None,
    cycling: bool,
) -> None:
    headroom = narrowed_by_needs(allowed(ev, evse, voltage), needs, departure, cycling=cycling)
    power = decide(wish, headroom).power_w
    for side in (ev, evse):
        assert -side.max_discharge_w <= power <= side.max_charge_w
        slack = 1e-6 * max(1.0, abs(power))
        assert -side.max_discharge_a * voltage - slack <= power <= side.max_charge_a * voltage + slack
        if power > 0:
            assert power >= side.min_charge_w
            assert voltage <= side.max_voltage_v
        if power < 0:
            assert -power >= side.min_discharge_w
            assert voltage >= side.min_voltage_v
    if needs.minimum_wh > 0 or (needs.minimum_v2x_wh or -1) > 0:
        assert power >= 0
    if needs.maximum_wh <= 0:
        assert power <= 0


@given(LIMITS, LIMITS, VOLTAGES, SIGNED)
def test_the_limiting_constraint_of_a_target_is_named(ev: Limits, evse: Limits, voltage: float, wish: float) -> None:
    target = decide(wish, allowed(ev, evse, voltage))
    assert (target.binding is None) is (target.power_w == wish)


@given(LIMITS, LIMITS)
def test_loop_limits_only_tighten(first: Limits, later: Limits) -> None:
    both = first.narrowed(later)
    assert both.max_charge_w <= first.max_charge_w
    assert both.max_discharge_a <= first.max_discharge_a
    assert both.min_charge_w >= first.min_charge_w
    assert both.narrowed(first) == both


def test_limits_name_the_layer_that_set_them() -> None:
    headroom = allowed(Limits(max_charge_w=5, max_discharge_w=9), Limits(max_charge_w=7, max_discharge_w=3))
    assert (headroom.high_by, headroom.low_by) == ("ev", "evse")
    assert decide(100, headroom).binding == "ev"
    assert decide(-100, headroom).binding == "evse"
    assert decide(4, replace(headroom, dead_high_w=4.5)).binding == "dead_band"
    empty = narrowed_by_needs(headroom, EnergyRequests(target_wh=0, maximum_wh=1, minimum_wh=1), None)
    assert decide(-1, empty).binding == "ev_energy"


# ------------------------------------------------------------------------------------------------------------- messages


@given(LIMITS, st.booleans())
def test_dc_limits_come_back_no_wider(limits: Limits, bpt: bool) -> None:
    stated = limits if bpt else limits.charge_only()
    read = dc_messages.read_discovery_request_mode(dc_messages.discovery_request_mode(stated, bpt=bpt))
    assert read.max_charge_w <= stated.max_charge_w + 1e-3
    assert read.max_discharge_w <= stated.max_discharge_w + 1e-3
    assert read.min_charge_w >= stated.min_charge_w - 1e-3
    assert read.max_charge_w == pytest.approx(stated.max_charge_w, rel=1e-3, abs=0.01)
    assert read.max_discharge_w == pytest.approx(stated.max_discharge_w, rel=1e-3, abs=0.01)


@given(LIMITS, st.sampled_from([1, 3]), st.booleans())
def test_ac_limits_come_back_no_wider(limits: Limits, count: int, bpt: bool) -> None:
    stated = replace(limits if bpt else limits.charge_only(), phases=count)
    read = ac_messages.read_discovery_request_mode(ac_messages.discovery_request_mode(stated, bpt=bpt))
    assert read.phases == count
    assert read.max_charge_w <= stated.max_charge_w + 0.01
    assert read.max_charge_w == pytest.approx(stated.max_charge_w, rel=1e-3, abs=0.01)
    assert read.max_discharge_w == pytest.approx(stated.max_discharge_w, rel=1e-3, abs=0.01)


@given(SIGNED, st.sampled_from([1, 3]))
def test_ac_targets_come_back_with_their_sign(power: float, count: int) -> None:
    turn = StationReport(limits=Limits(phases=count), target_power_w=power)
    message = ac_messages.response(HEADER, turn, bpt=True, dynamic=True, code=ResponseCode.OK)
    read = ac_messages.read_response(message, Limits())
    assert read.target_power_w == pytest.approx(power, rel=1e-3, abs=0.01)


def test_three_phases_count_as_the_weakest() -> None:
    mode = ac_messages.discovery_request_mode(Limits(max_charge_w=9_000, phases=3), bpt=False)
    weak = replace(mode, EVMaximumChargePower_L3=rational(1_000))
    assert phases.largest_total(weak, "EVMaximumChargePower", 0.0) == 3_000
    assert phases.smallest_total(weak, "EVMaximumChargePower", 0.0) == 9_000


@given(LIMITS, st.booleans(), st.booleans(), st.floats(-200, 200), NEEDS)
def test_dc_loop_requests_come_back(
    limits: Limits, bpt: bool, dynamic: bool, current: float, needs: EnergyRequests
) -> None:
    turn = CarReport(
        limits=limits, needs=needs, present_voltage_v=400.0, target_current_a=current, target_voltage_v=420.0
    )
    message = dc_loop.request(HEADER, turn, bpt=bpt, dynamic=dynamic)
    assert dc_loop.fits_request(message, bpt=bpt, dynamic=dynamic)
    assert not dc_loop.fits_request(message, bpt=not bpt, dynamic=dynamic)
    read = dc_loop.read_request(message, limits if bpt else limits.charge_only())
    assert read.limits.max_charge_w <= limits.max_charge_w
    assert read.needs is not None
    assert read.needs.target_wh == pytest.approx(needs.target_wh, rel=1e-3, abs=0.01)
    if not dynamic:
        assert read.target_current_a == pytest.approx(current, abs=0.01)


def test_negative_discharge_limits_are_read_by_magnitude() -> None:
    limits = Limits(max_charge_w=5_000, max_discharge_w=4_000, max_charge_a=10, max_discharge_a=12, max_voltage_v=500)
    negative = replace(limits, max_discharge_w=-4_000, max_discharge_a=-12)
    message = dc_loop.request(HEADER, CarReport(limits=negative), bpt=True, dynamic=True)
    read = dc_loop.read_request(message, limits).limits
    assert (read.max_discharge_w, read.max_discharge_a) == (4_000, 12)


def test_meters_come_back() -> None:
    meter = Meter(meter_id="M", charged_wh=12, discharged_wh=34, timestamp_s=ANCHOR)
    turn = StationReport(limits=Limits(max_voltage_v=500), meter=meter)
    message = dc_loop.response(HEADER, turn, bpt=True, dynamic=True, code=ResponseCode.OK)
    assert dc_loop.read_response(message, Limits()).meter == meter


# ------------------------------------------------------------------------------------------------------------ schedules

BLOCKS = st.lists(st.builds(Block, st.integers(1, 86_400), st.integers(0, 30_000).map(float)), min_size=1, max_size=6)
OFFERS = st.builds(
    ScheduleOffer,
    tuple_id=st.integers(1, 9),
    anchor_s=st.just(ANCHOR),
    charge=BLOCKS.map(tuple),
    discharge=st.none() | BLOCKS.map(tuple),
    tolerance_w=st.none() | st.integers(0, 500).map(float),
    levels=st.just(PriceLevels(levels=2, entries=((60, 0), (60, 1)))),
)


@given(OFFERS)
def test_offers_come_back(sent: ScheduleOffer) -> None:
    assert read_offer(offer_message(sent, 1024)) == sent


@given(OFFERS, st.integers(1, 12))
def test_no_more_points_than_the_car_can_hold(sent: ScheduleOffer, most: int) -> None:
    message = offer_message(sent, most)
    assert len(message.ChargingSchedule.PowerSchedule.PowerScheduleEntries.PowerScheduleEntry) <= most


@given(OFFERS, st.floats(0, 40_000), st.floats(0, 40_000), st.booleans())
def test_an_ev_power_profile_is_always_within_the_offer(
    sent: ScheduleOffer, charge: float, discharge: float, discharge_first: bool
) -> None:
    profile = profile_within(sent, PowerRange(-discharge, charge), discharge_first=discharge_first)
    assert profile_fault(profile, (sent,)) is None
    assert profile_fault(read_profile(profile_message(profile)), (sent,)) is None
    for block in profile.blocks:
        assert -discharge - 1e-6 <= block.power_w <= charge + 1e-6


@given(OFFERS, st.integers(0, 5), st.floats(1_000, 50_000), st.booleans())
def test_a_profile_beyond_the_offer_is_found(sent: ScheduleOffer, which: int, beyond: float, out: bool) -> None:
    profile = profile_within(sent, PowerRange(-1e6, 1e6), discharge_first=False)
    index = which % len(profile.blocks)
    start = sum(block.duration_s for block in profile.blocks[:index])
    headroom = sent.range_at(ANCHOR + start)
    slack = (sent.tolerance_w or 0.0) + 2.0
    bad = headroom.low_w - beyond - slack if out else headroom.high_w + beyond + slack
    blocks = (*profile.blocks[:index], Block(profile.blocks[index].duration_s, bad), *profile.blocks[index + 1 :])
    fault = profile_fault(replace(profile, blocks=blocks), (sent,))
    assert fault is ResponseCode.FAILED_EVPowerProfileInvalid


@given(OFFERS, SIGNED, st.integers(-100, 200_000))
def test_outside_its_time_an_offer_allows_nothing(sent: ScheduleOffer, power: float, later: int) -> None:
    allowed = sent.range_at(ANCHOR + later)
    result = min(max(power, allowed.low_w), allowed.high_w)
    longest = max(
        sum(block.duration_s for block in blocks) for blocks in (sent.charge, sent.discharge or (Block(0, 0),))
    )
    if later > longest or later < -1:
        assert result == 0


@given(OFFERS, st.integers(0, 10**9))
def test_an_offer_with_a_past_start_begins_now(sent: ScheduleOffer, later: int) -> None:
    now = ANCHOR + later
    current = sent.covering(now)
    assert current.charge == sent.charge
    assert current is sent or current.range_at(now).high_w == sent.range_at(ANCHOR).high_w


def test_prices_come_back() -> None:
    prices = Prices(
        currency="EUR",
        minimum=1.0,
        maximum=50.0,
        tax_pct=19.0,
        blocks=(
            PriceBlock(duration_s=3_600, per_kwh=0.31, co2_g_per_kwh=200, renewable_pct=60),
            PriceBlock(duration_s=3_600, per_kwh=0.12),
        ),
    )
    sent = ScheduleOffer(tuple_id=1, anchor_s=ANCHOR, charge=(Block(7_200, 5_000.0),), prices=prices)
    message = offer_message(sent, 1024)
    assert message.ChargingSchedule.PriceLevelSchedule is None
    assert read_offer(message).prices == prices


def test_a_profile_has_no_limits_outside_its_time() -> None:
    profile = Profile(anchor_s=ANCHOR, blocks=(Block(60, 1.0), Block(60, 2.0)))
    assert [profile.power_at(ANCHOR + at) for at in (-10, 0, 59, 60, 119, 120)] == [None, 1.0, 1.0, 2.0, 2.0, None]


# ------------------------------------------------------------------------------------------------------------- services


@pytest.mark.parametrize("service", list(ServiceId))
def test_parameter_sets_come_back(service: ServiceId) -> None:
    sets = offer(service).sets
    assert [from_message(to_message(one)) for one in sets] == list(sets)
    assert len({one.set_id for one in sets}) == len(sets)
    for one in sets:  # V2G20-2663
        assert one.mobility is MobilityNeedsMode.BY_EVCC or one.control is ControlMode.DYNAMIC


def test_a_car_gets_its_preferred_control_mode() -> None:
    sets = offer(ServiceId.DC_BPT).sets
    modes = (MobilityNeedsMode.BY_EVCC,)
    for order in ((ControlMode.SCHEDULED, ControlMode.DYNAMIC), (ControlMode.DYNAMIC, ControlMode.SCHEDULED)):
        chosen = choose(sets, order, modes)
        assert chosen is not None
        assert chosen.control is order[0]
    assert choose(sets[:0], (ControlMode.DYNAMIC,), modes) is None


@pytest.mark.parametrize("name", ISLANDING)
@pytest.mark.parametrize("kind", ["intValue", "shortValue", "byteValue"])
def test_parameters_of_peers_are_read_leniently(name: str, kind: str) -> None:
    message = ParameterSet(
        ParameterSetID=0,
        Parameter=(
            Parameter(Name="ControlMode", **{kind: 2}),  # type: ignore[arg-type]
            Parameter(Name=name, **{kind: 1}),  # type: ignore[arg-type]
            Parameter(Name="SomethingNew", finiteString="x"),
        ),
    )
    read = from_message(message)
    assert read is not None
    assert read.control is ControlMode.DYNAMIC
    assert read.islanding == 1


def test_a_parameter_set_without_a_control_mode_is_skipped() -> None:
    assert from_message(ParameterSet(ParameterSetID=1, Parameter=(Parameter(Name="Connector", intValue=2),))) is None
