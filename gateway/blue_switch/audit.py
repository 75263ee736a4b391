"""Audit chain of vehicle lending.

Each entry carries the hash of the one before it (SHA-256 over its canonical JSON), so the last hash, kept elsewhere,
proves that no earlier entry was added, removed or altered. The text of an entry is stored as reports show it, on one
line without control characters: the hash covers what is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from gateway.model.foreign_text import line
from gateway.model.message import rfc3339

GENESIS = "0" * 64
Start: TypeAlias = tuple[int, str]  # number of the oldest stored entry, and the hash before it
Number: TypeAlias = int | float  # as written: the hash depends on it


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of an entry, in the order of their names; what is unset is neither stored nor part of the hash."""

    arrive_at: str | UnsetType = UNSET
    brings_wh: Number | UnsetType = UNSET
    call_by: str | UnsetType = UNSET
    draw_w: Number | UnsetType = UNSET
    given_wh: Number | UnsetType = UNSET
    hours: Number | UnsetType = UNSET
    leave_at: str | UnsetType = UNSET
    outage: str | UnsetType = UNSET
    payment: str | UnsetType = UNSET
    site: str | UnsetType = UNSET
    soc_pct: Number | UnsetType | None = UNSET
    until: str | UnsetType = UNSET
    welcome: bool | UnsetType = UNSET  # whether the vehicle that was plugged in is accepted
    wh: Number | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `wall` is Unix time, `before` the hash of the entry before."""

    seq: int
    wall: float
    kind: str
    subject: str
    text: str
    data: Details
    before: str
    hash: str

    @property
    def outage(self) -> str | None:
        """Outage that the entry belongs to."""
        return None if self.data.outage is UNSET else self.data.outage

    def as_json(self) -> dict[str, Any]:
        """Return the entry as published."""
        return {
            "seq": self.seq,
            "at": rfc3339(self.wall),
            "kind": self.kind,
            "subject": self.subject,
            "text": self.text,
            "data": msgspec.to_builtins(self.data),
            "before": self.before,
            "hash": self.hash,
        }


@dataclass(slots=True)
class Audit:
    """An append-only chain."""

    entries: list[Entry] = field(default_factory=list)
    start: Start = (1, GENESIS)

    @property
    def last_seq(self) -> int:
        """Number of the newest entry, 0 without any."""
        return self.entries[-1].seq if self.entries else 0

    def add(self, wall: float, kind: str, subject: str, text: str, data: Details) -> Entry:
        """Append an entry."""
        text = line(text)
        before = self.entries[-1].hash if self.entries else self.start[1]
        seq = self.entries[-1].seq + 1 if self.entries else self.start[0]
        digest = _hash(seq, wall, kind, subject, text, data, before)
        entry = Entry(seq, wall, kind, subject, text, data, before, digest)
        self.entries.append(entry)
        return entry

    def restore(self, entries: Iterable[Entry]) -> None:
        """Restore stored entries; those older than the oldest stored outage were deleted."""
        self.entries = sorted(entries, key=lambda one: one.seq)
        if self.entries:
            self.start = (self.entries[0].seq, self.entries[0].before)

    def of_outage(self, outage: str | None) -> list[Entry]:
        """Return the entries of an outage; None: those that belong to none."""
        return [one for one in self.entries if one.outage == outage]


def first_broken(entries: Sequence[Entry], start: Start = (1, GENESIS)) -> int | None:
    """Return the index of the first entry that does not fit the chain, None if all do; `start` is where it begins."""
    first, before = start
    for index, one in enumerate(entries):
        fits = one.hash == _hash(one.seq, one.wall, one.kind, one.subject, one.text, one.data, one.before)
        if not fits or one.before != before or one.seq != first + index:
            return index
        before = one.hash
    return None


def _hash(seq: int, wall: float, kind: str, subject: str, text: str, data: Details, before: str) -> str:
    fields = [seq, wall, kind, subject, text, msgspec.to_builtins(data), before]
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
