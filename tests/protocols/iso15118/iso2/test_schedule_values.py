"""Schedules, tariffs and plans of ISO 15118-2 and DIN 70121 as values; mutants are tested with this file alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.iso15118.iso2.schedules import (
    LONGEST_S,
    MOST_PROFILE_ENTRIES,
    Span,
    TariffSpan,
    ends_in,
    plan,
    power_at,
    read,
    remaining,
    selected,
    spans,
    started,
    tariff,
)
from protocols.iso15118.iso20.prices import PriceBlock, PriceLevels, Prices
from protocols.iso15118.iso20.schedules import DAY, Block, ScheduleOffer, flat_offer
from tests.protocols.iso15118.engine_pair import EPOCH

BLOCKS = st.lists(st.builds(Block, st.integers(1, 2 * DAY), st.integers(0, 30_000).map(float)), min_size=1, max_size=12)
NIGHT = ScheduleOffer(
    tuple_id=1,
    anchor_s=int(EPOCH),
    charge=(Block(3_600, 8_000.0), Block(3_600, 4_000.0)),
    levels=PriceLevels(levels=2, entries=((3_600, 1), (3_600, 0))),
)


@given(blocks=BLOCKS, offset=st.integers(-3 * DAY, DAY), most=st.integers(1, 30))
@settings(deadline=None)
def test_the_entries_ascend_from_now_and_never_exceed_the_offer(blocks: list[Block], offset: int, most: int) -> None:
    offer = ScheduleOffer(tuple_id=1, anchor_s=offset, charge=tuple(blocks))
    found = spans(offer, 0.0, most)
    assert 1 <= len(found) <= most
    starts = [one.start_s for one in found]
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    assert [one.duration_s for one in found[:-1]] == [None] * (len(found) - 1)
    assert 1 <= (found[-1].duration_s or 0) <= DAY
    for one in found:
        assert one.power_w <= power_at(blocks, max(one.start_s, offset) - offset)


@given(
    blocks=BLOCKS, need=st.floats(0, 200_000), own=st.floats(0, 50_000), levels=st.lists(st.integers(0, 3), min_size=1)
)
@settings(deadline=None)
def test_a_plan_is_within_the_schedule_and_the_car(
    blocks: list[Block], need: float, own: float, levels: list[int]
) -> None:
    entries = tuple((block.duration_s, level) for block, level in zip(blocks, levels, strict=False))
    offer = ScheduleOffer(
        tuple_id=1, anchor_s=0, charge=tuple(blocks), levels=PriceLevels(levels=max(levels) + 1, entries=entries)
    )
    planned = plan(offer, own, need, None)
    assert 1 <= len(planned) <= MOST_PROFILE_ENTRIES
    assert sum(one.duration_s for one in planned) == sum(one.duration_s for one in blocks)
    at = 0
    for one in planned:
        for moment in (at, at + one.duration_s - 1):
            assert 0.0 <= one.power_w <= min(own, power_at(blocks, moment))
        at += one.duration_s


def test_a_plan_uses_the_cheapest_levels_first() -> None:
    assert plan(NIGHT, 11_000.0, 3_000.0, None) == (Block(3_600, 0.0), Block(3_600, 4_000.0))
    assert plan(NIGHT, 11_000.0, 5_000.0, None) == (Block(3_600, 8_000.0), Block(3_600, 4_000.0))
    assert plan(NIGHT, 11_000.0, 3_000.0, 3_600.0)[0] == Block(3_600, 8_000.0)  # it departs before the cheap hour
    assert plan(NIGHT, 3_000.0, 0.0, None) == (Block(7_200, 3_000.0),)


def test_the_selected_schedule_covers_the_need_then_costs_least() -> None:
    dear = replace(NIGHT, tuple_id=2, levels=PriceLevels(levels=3, entries=((3_600, 2), (3_600, 2))))
    small = flat_offer(0, 500.0, None, tuple_id=3)
    assert selected([small, dear, NIGHT], 11_000.0, 3_000.0, 7_200.0).tuple_id == 1
    assert selected([dear, small], 11_000.0, 9_000.0, 7_200.0).tuple_id == 2
    assert selected([NIGHT, replace(NIGHT, tuple_id=7)], 11_000.0, 0.0, None).tuple_id == 1


def test_a_tariff_is_stated_only_with_a_choice() -> None:
    assert tariff(flat_offer(0, 1_000.0, None), 0.0) == []
    assert [one.level for one in tariff(NIGHT, EPOCH)] == [2, 1]
    assert [one.start_s for one in tariff(NIGHT, EPOCH + 3_600)] == [0]


@pytest.mark.parametrize(
    ("elapsed_s", "power_w"), [(-5, 8_000.0), (0, 8_000.0), (3_599, 8_000.0), (3_600, 4_000.0), (99_999, 4_000.0)]
)
def test_the_last_power_holds(elapsed_s: float, power_w: float) -> None:
    assert power_at(NIGHT.charge, elapsed_s) == power_w
    assert power_at((), elapsed_s) == 0.0


def test_entries_in_detail() -> None:
    def listed(wall_s: float, most: int = 1024) -> list[tuple[int, int | None, float]]:
        return [(one.start_s, one.duration_s, one.power_w) for one in spans(NIGHT, wall_s, most)]

    assert listed(EPOCH) == [(0, None, 8_000.0), (3_600, 3_600, 4_000.0)]
    assert listed(EPOCH + 600) == [(0, None, 8_000.0), (3_000, 3_600, 4_000.0)]
    assert listed(EPOCH + 3_600) == [(0, 3_600, 4_000.0)]
    assert listed(EPOCH + 7_199) == [(0, 1, 4_000.0)]
    assert listed(EPOCH + 7_200) == [(0, 1, 0.0)]
    assert listed(EPOCH - 100) == [(0, None, 8_000.0), (3_700, 3_600, 4_000.0)]
    assert listed(EPOCH, 1) == listed(EPOCH, 0) == [(0, 7_200, 4_000.0)]
    assert listed(EPOCH, 2) == listed(EPOCH)
    long = flat_offer(0, 1.0, None, duration_s=2 * DAY + 5)
    assert [(one.start_s, one.duration_s) for one in spans(long, 0.0)] == [(0, None), (DAY, None), (2 * DAY, 5)]
    assert [(one.start_s, one.duration_s) for one in spans(long, 0.0, 2)] == [(0, None), (DAY, DAY)]
    assert spans(flat_offer(0, 1.0, None, duration_s=99 * DAY), 0.0)[-1].start_s == LONGEST_S - DAY


def test_what_is_left_of_blocks() -> None:
    blocks = (Block(10, 1.0), Block(0, 9.0), Block(20, 2.0))
    assert remaining(blocks, 0.0) == [Block(10, 1.0), Block(20, 2.0)]
    assert remaining(blocks, -4.0) == [Block(6, 1.0), Block(20, 2.0)]
    assert remaining(blocks, -4.5) == [Block(5, 1.0), Block(20, 2.0)]
    assert remaining(blocks, -10.0) == [Block(20, 2.0)]
    assert remaining(blocks, 5.0) == [Block(15, 1.0), Block(20, 2.0)]
    assert remaining(blocks, -30.0) == []


def test_a_schedule_is_read_as_it_was_sent() -> None:
    limits = [Span(0, None, 8_000.0), Span(3_600, 600, -4.0)]
    levels = [TariffSpan(0, None, 2), TariffSpan(60, None, 1)]
    found = read(7, limits, levels, 100)
    assert (found.tuple_id, found.anchor_s) == (7, 100)
    assert found.charge == (Block(3_600, 8_000.0), Block(600, 0.0))
    assert found.levels == PriceLevels(levels=2, entries=((60, 1), (DAY, 0)))
    late = read(1, [Span(50, None, 1.0), Span(80, None, 2.0), Span(70, 5, 3.0)], [], 0)
    assert late.charge == (Block(80, 1.0), Block(0, 2.0), Block(5, 3.0))
    assert late.levels is None
    assert read(1, [Span(0, 0, 5.0)], [TariffSpan(0, 0, 0)], 0).charge == (Block(DAY, 5.0),)


def test_the_end_of_a_schedule() -> None:
    assert ends_in(NIGHT, EPOCH) == 7_200
    assert ends_in(NIGHT, EPOCH + 7_000) == 200


def test_blocks_with_their_starts() -> None:
    assert started(NIGHT.charge) == [(0, 8_000.0), (3_600, 4_000.0)]


def test_tariffs_in_detail() -> None:
    def listed(offer: ScheduleOffer, wall_s: float) -> list[tuple[int, int | None, int]]:
        return [(one.start_s, one.duration_s, one.level) for one in tariff(offer, wall_s)]

    assert listed(NIGHT, EPOCH) == [(0, None, 2), (3_600, 3_600, 1)]
    assert listed(NIGHT, EPOCH - 50) == [(0, None, 2), (3_650, 3_600, 1)]
    assert listed(NIGHT, EPOCH + 3_599) == [(0, None, 2), (1, 3_600, 1)]
    assert listed(NIGHT, EPOCH + 7_200) == []
    assert listed(replace(NIGHT, levels=None), EPOCH) == []
    long = PriceLevels(levels=300, entries=((60, 299), (9 * DAY, 0)))
    assert listed(replace(NIGHT, levels=long), EPOCH) == [(0, None, 255), (60, DAY, 1)]


def test_prices_become_levels_and_shares() -> None:
    blocks = (
        PriceBlock(duration_s=60, per_kwh=0.4, above_w=5.0, co2_g_per_kwh=7, renewable_pct=8),
        PriceBlock(duration_s=60, per_kwh=-0.1),
        PriceBlock(duration_s=60, per_kwh=0.2),
    )
    found = tariff(replace(NIGHT, prices=Prices(currency="EUR", blocks=blocks)), EPOCH)
    assert [one.level for one in found] == [3, 1, 2]
    costs = [one.costs[0] for one in found]
    assert [one.price_pct for one in costs] == [100, 0, 50]
    assert (costs[0].above_w, costs[0].renewable_pct, costs[0].co2_g_per_kwh) == (5.0, 8, 7)
    free = Prices(
        currency="EUR", blocks=(PriceBlock(duration_s=60, per_kwh=0.0), PriceBlock(duration_s=60, per_kwh=0.0))
    )
    assert tariff(replace(NIGHT, prices=free), EPOCH) == []


def test_a_plan_has_no_more_blocks_than_a_profile() -> None:
    many = ScheduleOffer(tuple_id=1, anchor_s=0, charge=tuple(Block(60, float(100 + index)) for index in range(30)))
    planned = plan(many, 1e9, 0.0, None)
    assert len(planned) == 24
    assert [one.power_w for one in planned[:23]] == [float(100 + index) for index in range(23)]
    assert planned[23] == Block(7 * 60, 123.0)
    flat = ScheduleOffer(tuple_id=1, anchor_s=0, charge=tuple(Block(60, 100.0) for _ in range(30)))
    assert plan(flat, 1e9, 0.0, None) == (Block(1_800, 100.0),)
    assert plan(replace(flat, charge=()), 1e9, 0.0, None) == (Block(DAY, 0.0),)


def test_a_plan_of_several_levels_in_order_of_price_then_time() -> None:
    four = ScheduleOffer(
        tuple_id=1,
        anchor_s=0,
        charge=(Block(4 * 3_600, 1_000.0),),
        levels=PriceLevels(levels=3, entries=((3_600, 1), (3_600, 0), (3_600, 1), (3_600, 2))),
    )

    def powers(need_wh: float, within_s: float | None = None) -> list[float]:
        planned = plan(four, 2_000.0, need_wh, within_s)
        return [power_at(planned, hour * 3_600) for hour in range(4)]

    assert powers(900.0) == [0.0, 1_000.0, 0.0, 0.0]
    assert powers(1_000.0) == [0.0, 1_000.0, 0.0, 0.0]
    assert powers(1_001.0) == [1_000.0, 1_000.0, 0.0, 0.0]
    assert powers(2_500.0) == [1_000.0, 1_000.0, 1_000.0, 0.0]
    assert powers(9_000.0) == [1_000.0] * 4
    assert powers(0.0) == [1_000.0] * 4
    assert powers(900.0, 5_400.0) == [1_000.0, 1_000.0, 0.0, 0.0]  # half an hour of the cheap one is not enough
    shorter = replace(four, levels=PriceLevels(levels=2, entries=((3_600, 1), (1_800, 0))))
    planned = plan(shorter, 2_000.0, 2_000.0, None)  # the last level holds
    assert [power_at(planned, hour * 3_600) for hour in range(4)] == [0.0, 1_000.0, 1_000.0, 1_000.0]


def test_a_need_below_a_watt_hour_still_uses_the_cheapest() -> None:
    assert plan(NIGHT, 11_000.0, 0.5, None) == (Block(3_600, 0.0), Block(3_600, 4_000.0))
    assert plan(NIGHT, 11_000.0, 0.5, 0.0) == NIGHT.charge  # it departs at once: nothing covers the need


def test_one_level_is_no_choice() -> None:
    for levels in (None, PriceLevels(levels=1, entries=((60, 0), (7_000, 0)))):
        assert plan(replace(NIGHT, levels=levels), 11_000.0, 100.0, None) == NIGHT.charge


def test_the_selection_in_detail() -> None:
    small = flat_offer(int(EPOCH), 4_000.0, None, tuple_id=2)
    large = flat_offer(int(EPOCH), 8_000.0, None, tuple_id=3)
    unpriced = replace(large, tuple_id=4, levels=None)
    paid = replace(small, tuple_id=5, levels=PriceLevels(levels=2, entries=((DAY, 1),)))
    assert selected([small, large], 1e9, 0.0, None).tuple_id == 3
    assert selected([large, small], 1e9, 1_000.0, None).tuple_id == 3
    assert selected([small, large], 1e9, 1_000.0, None).tuple_id == 2
    assert selected([paid, small], 1e9, 0.6, None).tuple_id == 2
    assert selected([paid, large], 1e9, 0.6, None).tuple_id == 3
    assert selected([paid, unpriced], 1e9, 1_000.0, None).tuple_id == 4
    costly = replace(large, tuple_id=6, levels=PriceLevels(levels=2, entries=((DAY, 1),)))
    assert selected([costly, paid], 1e9, 1_000.0, None).tuple_id == 6
    assert selected([small, large], 1e9, 1_000.0, 0.0).tuple_id == 2
    assert selected([costly, small], 1e9, 0.6, None).tuple_id == 2
    zero, tiny = flat_offer(0, 0.0, None, tuple_id=7), flat_offer(0, 0.4, None, tuple_id=8, duration_s=3_600)
    assert selected([zero, tiny], 1e9, 100.0, None).tuple_id == 7


def test_the_price_level_before_departure_counts() -> None:
    """The dear hour first, and the cheap one after departure: the schedule with one middle level costs less."""
    late = ScheduleOffer(
        tuple_id=1,
        anchor_s=0,
        charge=(Block(7_200, 4_000.0),),
        levels=PriceLevels(levels=4, entries=((3_600, 3), (3_600, 0))),
    )
    middle = replace(late, tuple_id=2, levels=PriceLevels(levels=4, entries=((7_200, 2),)))
    assert selected([late, middle], 1e9, 3_000.0, 3_600.0).tuple_id == 2
    assert selected([late, middle], 1e9, 3_000.0, None).tuple_id == 1
    dearer = replace(middle, levels=PriceLevels(levels=5, entries=((7_200, 4),)))
    assert selected([dearer, late], 1e9, 3_000.0, 3_600.0).tuple_id == 1
    falling = replace(late, levels=PriceLevels(levels=4, entries=((3_600, 2), (3_600, 1))))
    hour = replace(middle, charge=(Block(3_600, 4_000.0),))
    assert selected([falling, hour], 1e9, 3_000.0, 3_600.0).tuple_id == 1
    three = PriceLevels(levels=4, entries=((60, 3), (60, 2), (60, 1)))
    assert selected([replace(late, levels=three), middle], 1e9, 3_000.0, None).tuple_id == 1  # the last level holds


def test_blocks_of_a_second_and_many_prices() -> None:
    assert remaining((Block(1, 1.0), Block(20, 2.0)), 0.0) == [Block(1, 1.0), Block(20, 2.0)]
    blocks = tuple(PriceBlock(duration_s=60, per_kwh=float(index)) for index in range(1, 301))
    found = tariff(replace(NIGHT, prices=Prices(currency="EUR", blocks=blocks)), EPOCH)
    assert (found[0].level, found[253].level, found[254].level, found[-1].level) == (1, 254, 255, 255)
