"""Power over time: the SECC's offers (schedule tuples) and the EV's power profile.

Blocks run back to back from an anchor (Unix time, s). An offer states charge and discharge as magnitudes, a profile is
signed (+ into the vehicle). Discharge schedules of peers are read by magnitude, because implementations differ in their
sign. Prices are in `prices.py`. Source: ISO 15118-20 ScheduleExchange and EVPowerProfile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from protocols.frozen import frozen
from protocols.iso15118.iso20.common import (
    ChargingSchedule,
    Dynamic_EVPPTControlMode,
    EVPowerProfile,
    EVPowerProfileEntryList,
    PowerSchedule,
    PowerScheduleEntry,
    PowerScheduleEntryList,
    PowerToleranceAcceptance,
    Scheduled_EVPPTControlMode,
    ScheduleTuple,
)
from protocols.iso15118.iso20.limits import PowerRange
from protocols.iso15118.iso20.prices import PriceLevels, Prices, level_message, price_message
from protocols.iso15118.iso20.rational import number, rational, rational_down
from protocols.iso15118.iso20.types import ResponseCode

DAY = 24 * 3600
SLACK_W = 1.0  # rounding of RationalNumbers


@frozen
class Block:
    """`power_w` for `duration_s`."""

    duration_s: int
    power_w: float


@frozen(kw_only=True)
class ScheduleOffer:
    """One schedule tuple. Magnitudes; with `discharge` None the EV must not discharge under it."""

    tuple_id: int
    anchor_s: int
    charge: tuple[Block, ...]
    discharge: tuple[Block, ...] | None = None
    tolerance_w: float | None = None
    levels: PriceLevels | None = None
    prices: Prices | None = None

    def covering(self, wall_s: float) -> ScheduleOffer:
        """Return the same offer, begun now if it is long over: some peers anchor their schedules at 1970."""
        length = max(sum(block.duration_s for block in blocks) for blocks in (self.charge, self.discharge or ()))
        return self if wall_s < self.anchor_s + length else replace(self, anchor_s=int(wall_s))

    def range_at(self, wall_s: float) -> PowerRange:
        """Return the signed power that the tuple permits at a moment; zero outside its time."""
        high = _power_at(self.charge, self.anchor_s, wall_s) or 0.0
        low = (_power_at(self.discharge, self.anchor_s, wall_s) or 0.0) if self.discharge is not None else 0.0
        return PowerRange(0.0 - abs(low), max(high, 0.0), low_by="schedule", high_by="schedule")


@frozen(kw_only=True)
class Profile:
    """An EV's power profile, signed. `tuple_id` None: dynamic control."""

    anchor_s: int
    blocks: tuple[Block, ...]
    tuple_id: int | None = None
    tolerance_accepted: bool | None = None

    def power_at(self, wall_s: float) -> float | None:
        """Return the planned power at a moment; None outside the profile's time."""
        return _power_at(self.blocks, self.anchor_s, wall_s)


def flat_offer(
    anchor_s: int, charge_w: float, discharge_w: float | None, *, duration_s: int = DAY, tuple_id: int = 1
) -> ScheduleOffer:
    """Return an offer of one block for the whole time, with one price level."""
    return ScheduleOffer(
        tuple_id=tuple_id,
        anchor_s=anchor_s,
        charge=(Block(duration_s, charge_w),),
        discharge=None if discharge_w is None else (Block(duration_s, discharge_w),),
        levels=PriceLevels(levels=1, entries=((duration_s, 0),)),
    )


def offer_message(offer: ScheduleOffer, max_points: int) -> ScheduleTuple:
    """Return the tuple as a message, with no more entries than the EV can store."""
    return ScheduleTuple(
        ScheduleTupleID=offer.tuple_id,
        ChargingSchedule=_schedule(offer, offer.charge, max_points, 1),
        DischargingSchedule=None if offer.discharge is None else _schedule(offer, offer.discharge, max_points, 2),
    )


def read_offer(message: ScheduleTuple) -> ScheduleOffer:
    charging = message.ChargingSchedule.PowerSchedule
    discharging = message.DischargingSchedule
    return ScheduleOffer(
        tuple_id=message.ScheduleTupleID,
        anchor_s=charging.TimeAnchor,
        charge=_blocks(charging.PowerScheduleEntries.PowerScheduleEntry),
        discharge=None
        if discharging is None
        else tuple(
            Block(block.duration_s, abs(block.power_w))
            for block in _blocks(discharging.PowerSchedule.PowerScheduleEntries.PowerScheduleEntry)
        ),
        tolerance_w=None if charging.PowerTolerance is None else number(charging.PowerTolerance),
        levels=None
        if message.ChargingSchedule.PriceLevelSchedule is None
        else PriceLevels.read(message.ChargingSchedule.PriceLevelSchedule),
        prices=None
        if message.ChargingSchedule.AbsolutePriceSchedule is None
        else Prices.read(message.ChargingSchedule.AbsolutePriceSchedule),
    )


def profile_message(profile: Profile) -> EVPowerProfile:
    dynamic = scheduled = None
    if profile.tuple_id is None:
        dynamic = Dynamic_EVPPTControlMode()
    else:
        accepted = profile.tolerance_accepted
        scheduled = Scheduled_EVPPTControlMode(
            SelectedScheduleTupleID=profile.tuple_id,
            PowerToleranceAcceptance=PowerToleranceAcceptance.PowerToleranceConfirmed
            if accepted or accepted is None
            else PowerToleranceAcceptance.PowerToleranceNotConfirmed,
        )
    return EVPowerProfile(
        TimeAnchor=profile.anchor_s,
        Dynamic_EVPPTControlMode=dynamic,
        Scheduled_EVPPTControlMode=scheduled,
        EVPowerProfileEntries=EVPowerProfileEntryList(
            EVPowerProfileEntry=tuple(
                PowerScheduleEntry(Duration=block.duration_s, Power=rational(block.power_w)) for block in profile.blocks
            )
        ),
    )


def read_profile(message: EVPowerProfile) -> Profile:
    scheduled = message.Scheduled_EVPPTControlMode
    accepted: bool | None = None
    if scheduled is not None and scheduled.PowerToleranceAcceptance is not None:
        accepted = scheduled.PowerToleranceAcceptance is PowerToleranceAcceptance.PowerToleranceConfirmed
    return Profile(
        anchor_s=message.TimeAnchor,
        blocks=_blocks(message.EVPowerProfileEntries.EVPowerProfileEntry),
        tuple_id=None if scheduled is None else scheduled.SelectedScheduleTupleID,
        tolerance_accepted=accepted,
    )


def profile_within(offer: ScheduleOffer, own: PowerRange, *, discharge_first: bool, most: int = 1024) -> Profile:
    """Return the profile of an EV that uses the whole offer, within its own limits.

    It discharges where the offer has a discharge but no charge, or where it has both and `discharge_first` is set.
    """
    blocks: list[Block] = []
    elapsed = 0
    for duration in _cuts(offer):
        allowed = offer.range_at(offer.anchor_s + elapsed)
        low, high = max(allowed.low_w, own.low_w), min(allowed.high_w, own.high_w)
        use_discharge = low < 0 and (discharge_first or high <= 0)
        blocks.append(Block(duration, low if use_discharge else high))
        elapsed += duration
    return Profile(
        anchor_s=offer.anchor_s,
        blocks=tuple(blocks[:most]),
        tuple_id=offer.tuple_id,
        tolerance_accepted=True if offer.tolerance_w is not None else None,
    )


def profile_fault(profile: Profile, offers: Sequence[ScheduleOffer]) -> ResponseCode | None:
    """Return the response code for a profile that violates the offers, or None."""
    if profile.tuple_id is None:
        return None
    offer = next((one for one in offers if one.tuple_id == profile.tuple_id), None)
    if offer is None:
        return ResponseCode.FAILED_ScheduleSelectionInvalid
    slack = SLACK_W + (offer.tolerance_w or 0.0)
    elapsed = profile.anchor_s - offer.anchor_s
    for block in profile.blocks:
        for moment in _moments(offer, elapsed, block.duration_s):
            if not offer.range_at(offer.anchor_s + moment).holds(block.power_w, slack):
                return ResponseCode.FAILED_EVPowerProfileInvalid
        elapsed += block.duration_s
    return None


def _moments(offer: ScheduleOffer, start: int, duration: int) -> Iterable[int]:
    """Return every moment in [start, start + duration) at which the offer's power changes, and the start itself."""
    yield max(start, 0)
    edge = 0
    for length in _cuts(offer):
        if start < edge < start + duration:
            yield edge
        edge += length


def _cuts(offer: ScheduleOffer) -> list[int]:
    """Return the durations after which charge or discharge of an offer changes."""
    edges: set[int] = set()
    for blocks in (offer.charge, offer.discharge or ()):
        elapsed = 0
        for block in blocks:
            elapsed += block.duration_s
            edges.add(elapsed)
    ordered = [0, *sorted(edge for edge in edges if edge > 0)]
    return [later - earlier for earlier, later in pairwise(ordered)]


def _power_at(blocks: Sequence[Block], anchor_s: int, wall_s: float) -> float | None:
    elapsed = wall_s - anchor_s
    if elapsed < -1.0:  # clocks of whole seconds
        return None
    for block in blocks:
        if elapsed < block.duration_s:
            return block.power_w
        elapsed -= block.duration_s
    return None


def _schedule(offer: ScheduleOffer, blocks: Sequence[Block], max_points: int, price_id: int) -> ChargingSchedule:
    points = blocks[: max(1, max_points)]
    absolute = offer.prices is not None
    duration = sum(block.duration_s for block in points)
    levels = offer.levels or PriceLevels(levels=1, entries=((duration, 0),))
    return ChargingSchedule(
        PowerSchedule=PowerSchedule(
            TimeAnchor=offer.anchor_s,
            PowerTolerance=None if offer.tolerance_w is None else rational(offer.tolerance_w),
            PowerScheduleEntries=PowerScheduleEntryList(
                PowerScheduleEntry=tuple(
                    PowerScheduleEntry(Duration=block.duration_s, Power=rational_down(block.power_w))
                    for block in points
                )
            ),
        ),
        AbsolutePriceSchedule=price_message(offer.prices, offer.anchor_s, price_id) if offer.prices else None,
        PriceLevelSchedule=None if absolute else level_message(levels, offer.anchor_s, price_id),
    )


def _blocks(entries: Iterable[PowerScheduleEntry]) -> tuple[Block, ...]:
    return tuple(
        Block(
            entry.Duration,
            sum(number(power) for power in (entry.Power, entry.Power_L2, entry.Power_L3) if power is not None),
        )
        for entry in entries
    )
