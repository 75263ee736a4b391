"""Schedules and tariffs of ISO 15118-2 and DIN 70121 as entries, and the EV's plan within one of them.

The host offers schedules as in ISO 15118-20 (`ScheduleOffer`); `dialect.py` converts the entries to messages. An entry
has a start in s from now and holds until the next one, the last one has a duration. A tariff is stated only if it has
more than one level or a price, because some cars fail at contents that they do not need. Source: V2G2-303, 304, 305,
773; schema of SAScheduleList, SalesTariff and ChargingProfile.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import floor

from protocols.frozen import frozen
from protocols.iso15118.iso20.prices import PriceLevels
from protocols.iso15118.iso20.schedules import DAY, Block, ScheduleOffer

LONGEST_S = 7 * DAY  # beyond it the charger renegotiates
MOST_PROFILE_ENTRIES = 24
MOST_ENTRIES = 1024


@frozen
class Span:
    """Power limit from `start_s` on; only the last one has a duration, of at most a day."""

    start_s: int
    duration_s: int | None
    power_w: float


@frozen
class Cost:
    """Cost of energy: price as % of the highest one of the tariff, share of renewables in %, CO2 in g/kWh."""

    above_w: float
    price_pct: int
    renewable_pct: int | None = None
    co2_g_per_kwh: int | None = None


@frozen
class TariffSpan:
    """Price level from `start_s` on; 1 is the cheapest."""

    start_s: int
    duration_s: int | None
    level: int
    costs: tuple[Cost, ...] = ()


def spans(offer: ScheduleOffer, wall_s: float, most: int = MOST_ENTRIES) -> list[Span]:
    """Return the entries of a schedule from now: starts ascend, the first one is 0, at most `most` of them.

    Of too many entries the last one covers the rest with its lowest power.
    """
    rest = remaining(offer.charge, offer.anchor_s - wall_s) or [Block(1, 0.0)]
    rest = [Block(min(one, DAY), block.power_w) for block in rest for one in _days(block.duration_s)]
    if len(rest) > max(1, most):
        kept, tail = rest[: max(1, most) - 1], rest[max(1, most) - 1 :]
        rest = [*kept, Block(min(sum(one.duration_s for one in tail), DAY), min(one.power_w for one in tail))]
    found, start = list[Span](), 0
    for block in rest:
        found.append(Span(start, None, block.power_w))
        start += block.duration_s
    found[-1] = Span(found[-1].start_s, rest[-1].duration_s, found[-1].power_w)
    return found


def _days(duration_s: int) -> list[int]:
    """Return a duration in pieces of a day."""
    whole, rest = divmod(min(duration_s, LONGEST_S), DAY)
    return [DAY] * whole + ([rest] if rest else [])


def remaining(blocks: Sequence[Block], offset_s: float) -> list[Block]:
    """Return what is left of blocks that begin `offset_s` from now (negative: past); a later begin counts as now."""
    begin, found = floor(offset_s), list[Block]()
    for block in blocks:
        end = begin + block.duration_s
        if block.duration_s > 0 and end > 0:
            start = begin if found else 0
            found.append(Block(end - start, block.power_w))
        begin = end
    return found


def tariff(offer: ScheduleOffer, wall_s: float) -> list[TariffSpan]:
    """Return the entries of the tariff; none without more than one level or price."""
    entries = _levels(offer)
    if len({(level, costs) for _, level, costs in entries}) < 2:
        return []
    begin, found = floor(offer.anchor_s - wall_s), list[TariffSpan]()
    for duration_s, level, costs in entries:
        end = begin + duration_s
        if end > 0:
            start = begin if found else 0
            found.append(TariffSpan(start, min(end - start, DAY), level, costs))
        begin = end
    return [TariffSpan(one.start_s, None, one.level, one.costs) for one in found[:-1]] + found[-1:]


def _levels(offer: ScheduleOffer) -> list[tuple[int, int, tuple[Cost, ...]]]:
    """Return durations with level and costs: of the prices, else of the price levels."""
    if offer.prices is None:
        return [] if offer.levels is None else [(one, min(level + 1, 255), ()) for one, level in offer.levels.entries]
    blocks = offer.prices.blocks
    steps = sorted({one.per_kwh for one in blocks})
    highest = max(map(abs, steps)) or 1.0
    found = list[tuple[int, int, tuple[Cost, ...]]]()
    for one in blocks:
        share = max(0, round(100 * one.per_kwh / highest))
        cost = Cost(one.above_w, share, one.renewable_pct, one.co2_g_per_kwh)
        found.append((one.duration_s, min(steps.index(one.per_kwh) + 1, 255), (cost,)))
    return found


def read(tuple_id: int, limits: Sequence[Span], levels: Sequence[TariffSpan], anchor_s: int) -> ScheduleOffer:
    """Return the schedule that a charger offers, from `anchor_s` on. The first entry counts from there, whatever its
    start; without a duration the last one covers a day. A negative power counts as none."""
    powers = [max(0.0, one.power_w) for one in limits]
    prices = [max(0, one.level - 1) for one in levels]
    return ScheduleOffer(
        tuple_id=tuple_id,
        anchor_s=anchor_s,
        charge=tuple(Block(*one) for one in zip(_durations(limits), powers, strict=True)),
        levels=PriceLevels(levels=max(prices) + 1, entries=tuple(zip(_durations(levels), prices, strict=True)))
        if prices
        else None,
    )


def _durations(entries: Sequence[Span | TariffSpan]) -> list[int]:
    starts = [0] + [one.start_s for one in entries[1:]]
    return [max(0, after - before) for before, after in pairwise(starts)] + [entries[-1].duration_s or DAY]


def power_at(blocks: Sequence[Block], elapsed_s: float) -> float:
    """Return the power of blocks after `elapsed_s`; the last one holds to the end."""
    for block in blocks:
        elapsed_s -= block.duration_s
        if elapsed_s < 0:
            return block.power_w
    return blocks[-1].power_w if blocks else 0.0


def ends_in(offer: ScheduleOffer, wall_s: float) -> float:
    """Return the time until the schedule ends, s."""
    return offer.anchor_s + sum(block.duration_s for block in offer.charge) - wall_s


def selected(offers: Sequence[ScheduleOffer], own_w: float, need_wh: float, within_s: float | None) -> ScheduleOffer:
    """Return the schedule that an EV selects: most of its need, then the lowest price levels, then the first one."""

    def rank(offer: ScheduleOffer) -> tuple[float, float]:
        blocks = _started(plan(offer, own_w, need_wh, within_s))
        energy = sum(_wh(block, start, within_s) for start, block in blocks)
        cost = sum(_wh(block, start, within_s) * _level(offer, start) for start, block in blocks)
        return (-round(min(energy, need_wh) if need_wh > 0 else energy), cost / energy if energy else 0.0)

    return min(offers, key=rank)


def plan(offer: ScheduleOffer, own_w: float, need_wh: float, within_s: float | None) -> tuple[Block, ...]:
    """Return an EV's charging profile: the power that the schedule permits, and of several price levels the cheapest
    that cover the need before departure. At most 24 blocks."""
    durations = [one.duration_s for one in offer.charge], [one for one, _ in _level_entries(offer)]
    edges = sorted({0, *(edge for one in durations for edge in accumulate(one))})
    end = sum(one.duration_s for one in offer.charge)
    cut = [one for one in edges if one < end] + [end]
    blocks = [Block(b - a, min(own_w, power_at(offer.charge, a))) for a, b in pairwise(cut)] or [Block(DAY, 0.0)]
    if need_wh > 0 and len({level for _, level in _level_entries(offer)}) > 1:
        used, missing = set[int](), need_wh
        for start, block in sorted(_started(blocks), key=lambda one: (_level(offer, one[0]), one[0])):
            if missing > 0:
                used.add(start)
                missing -= _wh(block, start, within_s)
        blocks = [block if start in used else Block(block.duration_s, 0.0) for start, block in _started(blocks)]
    return tuple(_merged(blocks))


def _merged(blocks: Sequence[Block]) -> list[Block]:
    """Return blocks of equal power as one; of too many the last one has the lowest power of the rest."""
    found = list[Block]()
    for block in blocks:
        if found and found[-1].power_w == block.power_w:
            found[-1] = Block(found[-1].duration_s + block.duration_s, block.power_w)
        else:
            found.append(block)
    if len(found) > MOST_PROFILE_ENTRIES:
        tail = found[MOST_PROFILE_ENTRIES - 1 :]
        rest = Block(sum(one.duration_s for one in tail), min(one.power_w for one in tail))
        found = [*found[: MOST_PROFILE_ENTRIES - 1], rest]
    return found


def started(blocks: Sequence[Block]) -> list[tuple[int, float]]:
    """Return the start in s and the power of each block."""
    return [(start, block.power_w) for start, block in _started(blocks)]


def _started(blocks: Sequence[Block]) -> list[tuple[int, Block]]:
    start, found = 0, list[tuple[int, Block]]()
    for block in blocks:
        found.append((start, block))
        start += block.duration_s
    return found


def _level_entries(offer: ScheduleOffer) -> tuple[tuple[int, int], ...]:
    return () if offer.levels is None else offer.levels.entries


def _level(offer: ScheduleOffer, elapsed_s: float) -> int:
    """Return the price level after `elapsed_s`; the last one holds, without any it is 0."""
    found = 0
    for duration, level in _level_entries(offer):
        found = level
        elapsed_s -= duration
        if elapsed_s < 0:
            break
    return found


def _wh(block: Block, start_s: int, within_s: float | None) -> float:
    """Return the energy of a block before departure."""
    end = start_s + block.duration_s if within_s is None else min(start_s + block.duration_s, within_s)
    return block.power_w * max(0.0, end - start_s) / 3600
