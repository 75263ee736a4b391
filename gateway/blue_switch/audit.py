"""Audit chain of vehicle lending.

Each entry carries the hash of the one before it (SHA-256 over its canonical JSON), so the last hash, kept elsewhere,
proves that no earlier entry was added, removed or altered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gateway.model.moment import rfc3339

GENESIS = "0" * 64
Start: TypeAlias = tuple[int, str]  # number of the oldest stored entry, and the hash before it
Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `wall` is Unix time, `before` the hash of the entry before."""

    seq: int
    wall: float
    kind: str
    subject: str
    text: str
    data: dict[str, Scalar]
    before: str
    hash: str

    def as_json(self) -> dict[str, Any]:
        """Return the entry as published."""
        return {
            "seq": self.seq,
            "at": rfc3339(self.wall),
            "kind": self.kind,
            "subject": self.subject,
            "text": self.text,
            "data": self.data,
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

    def add(self, wall: float, kind: str, subject: str, text: str, **data: Scalar) -> Entry:
        """Append an entry."""
        before = self.entries[-1].hash if self.entries else self.start[1]
        seq = self.entries[-1].seq + 1 if self.entries else self.start[0]
        plain = json.loads(json.dumps(data, sort_keys=True, allow_nan=False))
        digest = _hash(seq, wall, kind, subject, text, plain, before)
        entry = Entry(seq, wall, kind, subject, text, plain, before, digest)
        self.entries.append(entry)
        return entry


def first_broken(entries: Sequence[Entry], start: Start = (1, GENESIS)) -> int | None:
    """Return the index of the first entry that does not fit the chain, None if all do; `start` is where it begins."""
    first, before = start
    for index, one in enumerate(entries):
        fits = one.hash == _hash(one.seq, one.wall, one.kind, one.subject, one.text, one.data, one.before)
        if not fits or one.before != before or one.seq != first + index:
            return index
        before = one.hash
    return None


def _hash(seq: int, wall: float, kind: str, subject: str, text: str, data: Mapping[str, Scalar], before: str) -> str:
    canonical = json.dumps([seq, wall, kind, subject, text, data, before], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
