"""Lease of one site: which instance controls it, decided by compare-and-set writes of one record.

The record is a key of a store in which every write has a revision. The revision of the write that acquired the lease is
its term: later terms are higher, and every effect of a holder carries its term (fencing token).

Clocks of two machines are never compared. A holder counts its lease from when it *sent* the last successful renewal,
and stops after `valid_s`. Another instance acquires the lease after it has observed one and the same revision for
`lease_s`, which is longer, by its own clock. An effect also carries the newest time stamp of its receiver that had
arrived when that renewal was sent (`proof`); the receiver refuses it `valid_s` after that time, however long it was
delayed (`gateway.cluster.fence`). A time stamp is older than its arrival, so a proof may end before the lease does: the
holder uses one for `proved_s` after it arrived, which leaves the rest of `valid_s` for the way there and back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, TypeAlias

BEAT_EVERY_S = 2.0  # at most, between regular messages of an instance to the holder, however long the lease is


class Stamp(NamedTuple):
    """The newest time stamp of a receiver of effects."""

    receiver: str  # name of a run of an instance
    at: float  # by the clock of the receiver
    arrived: float  # by that of the holder


Stamps: TypeAlias = tuple[Stamp, ...]  # one of each receiver, by name


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of a lease, in s. `valid_s` is shorter than `lease_s` by a margin for clocks that run at other rates."""

    lease_s: float = 10.0
    valid_s: float = 9.0
    renew_every_s: float = 2.0

    @classmethod
    def of(cls, lease_s: float) -> Timing:
        """Return the times for one length of the lease."""
        return cls(lease_s, 0.9 * lease_s, 0.2 * lease_s)

    @property
    def beat_every_s(self) -> float:
        """Time between regular messages of an instance to the holder, whose time stamps a renewal proves."""
        return min(self.renew_every_s, BEAT_EVERY_S)

    @property
    def proved_s(self) -> float:
        """Time after the arrival of a time stamp for which the holder uses it as a proof."""
        return self.valid_s * 2 / 3


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """Content of the record. `holder` is empty after a release; `term` is 0 in the write that acquires the lease."""

    holder: str
    term: int = 0


@dataclass(frozen=True, slots=True)
class Observed:
    """The newest known state of the record."""

    record: LeaseRecord
    revision: int
    at: float  # monotonic time at which this revision was first observed

    @property
    def term(self) -> int:
        """Term of the lease that the record describes."""
        return self.record.term or self.revision


class Purpose(StrEnum):
    """Purpose of a write."""

    ACQUIRE = "acquire"
    RENEW = "renew"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Write:
    """A write that succeeds only while the record has revision `last` (0: while there is none)."""

    purpose: Purpose
    record: LeaseRecord
    last: int
    sent_at: float
    stamps: Stamps


@dataclass(frozen=True, slots=True)
class Held:
    """A lease of this instance."""

    term: int
    revision: int
    renewed_at: float  # when the last renewal that succeeded was sent
    proofs: Stamps  # of that renewal


@dataclass(frozen=True, slots=True)
class SiteLease:
    """The lease of one site, as one run of one instance has it. Every method returns the next state."""

    holder: str  # name of this run: a restarted instance is another holder
    timing: Timing
    wanted: bool = True
    seen: Observed | None = None
    listed: bool = False  # the record has been read at least once
    held: Held | None = None
    pending: Write | None = None
    stamps: Stamps = ()
    urgent: bool = False  # renew at once

    # decisions

    def may_act(self, now: float) -> bool:
        """Return whether this instance may control the site now."""
        return self.held is not None and now < self.held.renewed_at + self.timing.valid_s

    def proof(self, receiver: str, now: float) -> float | None:
        """Return the time stamp of a receiver that proves the lease to it now.

        None before it has sent one, and when it is so old that the receiver may refuse it: effects then wait for the
        next renewal.
        """
        proofs = () if self.held is None else self.held.proofs
        for one in proofs:
            if one.receiver == receiver:
                return one.at if now < one.arrived + self.timing.proved_s else None
        return None

    def next_write(self, now: float) -> Write | None:
        """Return the write that is due now. None while one is pending."""
        if self.pending is not None:
            return None
        if self.held is not None:
            due = self.urgent or now >= self.held.renewed_at + self.timing.renew_every_s
            record = LeaseRecord(self.holder, self.held.term)
            return Write(Purpose.RENEW, record, self.held.revision, now, self.stamps) if due else None
        if not self.wanted or not self.free(now):
            return None
        last = 0 if self.seen is None else self.seen.revision
        return Write(Purpose.ACQUIRE, LeaseRecord(self.holder), last, now, self.stamps)

    def free(self, now: float) -> bool:
        """Return whether the lease may be acquired: there is no record, no holder, or no renewal for `lease_s`."""
        if self.held is not None or not self.listed:
            return False
        return self.seen is None or not self.seen.record.holder or now >= self.seen.at + self.timing.lease_s

    def release(self, now: float) -> Write | None:
        """Return the write that frees the lease at once; for a holder whose effects have all arrived."""
        if self.held is None or self.pending is not None:
            return None
        return Write(Purpose.RELEASE, LeaseRecord("", self.held.term), self.held.revision, now, self.stamps)

    # what happened

    def wants(self, wanted: bool) -> SiteLease:
        """Acquire the lease when it is free, or no longer; one that is held stays."""
        return replace(self, wanted=wanted)

    def stamped(self, receiver: str, at: float, now: float) -> SiteLease:
        """Note a time stamp of a receiver of effects. The first one of a receiver makes a renewal urgent."""
        known = {one.receiver: one for one in self.stamps}
        before = known.get(receiver)
        if before is not None and at <= before.at:
            return self
        known[receiver] = Stamp(receiver, at, now)
        urgent = self.urgent or (before is None and bool(self.held))
        return replace(self, stamps=tuple(sorted(known.values())), urgent=urgent)

    def departed(self, receiver: str) -> SiteLease:
        """Remove the time stamps of a receiver that is absent."""
        return replace(self, stamps=tuple(one for one in self.stamps if one.receiver != receiver))

    def sent(self, write: Write) -> SiteLease:
        """Note that a write was sent. From a release on this instance does not act, whatever becomes of the write."""
        held = None if write.purpose is Purpose.RELEASE else self.held
        return replace(self, pending=write, held=held, urgent=False)

    def observed(self, record: LeaseRecord | None, revision: int, now: float) -> SiteLease:
        """Note the record as read or notified; an older revision than a known one changes nothing."""
        if record is None:
            return replace(self, listed=True)
        if self.seen is not None and revision <= self.seen.revision:
            return replace(self, listed=True)
        seen = Observed(record, revision, now)
        held = self.held
        if held is not None and revision > held.revision:
            mine = record.holder == self.holder and seen.term == held.term
            held = replace(held, revision=revision) if mine else None
        return replace(self, seen=seen, held=held, listed=True)

    def written(self, revision: int, now: float) -> SiteLease:
        """Note that the pending write succeeded."""
        write = self.pending
        assert write is not None
        after = replace(self.observed(write.record, revision, now), pending=None)
        if write.purpose is Purpose.ACQUIRE:
            return replace(after, held=Held(revision, revision, write.sent_at, write.stamps))
        if after.held is None:  # lost meanwhile
            return after
        held = after.held
        return replace(after, held=Held(held.term, max(revision, held.revision), write.sent_at, write.stamps))

    def refused(self, record: LeaseRecord | None, revision: int, now: float) -> SiteLease:
        """Note that the pending write found another revision, and what the record is now.

        It may be an earlier write of this instance whose answer was lost: a renewal is repeated with its revision. A
        lease that was acquired so is not held, and runs out like that of a lost instance.
        """
        return replace(self.observed(record, revision, now), pending=None)

    def unanswered(self) -> SiteLease:
        """Note that the outcome of the pending write is unknown: the next one decides by what it finds."""
        return replace(self, pending=None)

    def abandoned(self) -> SiteLease:
        """Stop using a lease, which then runs out; for a holder that cannot control the site."""
        return replace(self, held=None)

    def expired(self, now: float) -> SiteLease:
        """Give up a lease that has run out by this instance's clock."""
        return self if self.held is None or self.may_act(now) else replace(self, held=None)
