"""What the journal keeps: the life of every command, step by step, and what happened around it.

These are the records a store writes (`gateway/store`). A command is written before it acts; what follows is written
behind it, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias


class Step(StrEnum):
    """The life of a command, in order; `event` and `operator` are for what happened around it."""

    RECEIVED = "received"
    VALIDATED = "validated"
    JOURNALLED = "journalled"
    BOUND = "bound"
    SET = "set"
    CONFIRMED = "confirmed"
    METERED = "metered"
    RESULT = "result"
    ENDED = "ended"
    EVENT = "event"
    OPERATOR = "operator"


class Phase(StrEnum):
    """Which of a command's two results."""

    FIRST = "first"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal. `wall` is Unix time; `cause` says what led to it; `data` is small and JSON."""

    wall: float
    step: Step
    cause: str
    command: str | None = None
    evse: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    seq: int | None = None  # given by the store


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Where a result goes besides the result topic."""

    topic: str
    correlation_data: bytes | None = None


@dataclass(frozen=True, slots=True)
class CommandOpened:
    """A command was taken; its first result stands beside it in the same transaction."""

    id: str
    evse: str | None
    verb: str
    fingerprint: str
    body: str  # JSON, as validated
    source: str | None
    channel: str
    received: float  # Unix time
    in_force: bool  # whether it goes on acting after its first result
    reply: ReplyTo | None = None


@dataclass(frozen=True, slots=True)
class ResultGiven:
    """A result was made; it is delivered until the broker has acknowledged it."""

    command: str
    phase: Phase
    result: str  # JSON
    wall: float


@dataclass(frozen=True, slots=True)
class ResultDelivered:
    """The broker has acknowledged a result."""

    command: str
    phase: Phase


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """A command no longer acts."""

    command: str
    wall: float


@dataclass(frozen=True, slots=True)
class Kept:
    """A thing that outlives the process, as it is now; it takes the place of what was kept under its kind and key.

    `body` is JSON; `wall` is Unix time. What has `ended` (Unix time) is forgotten with the journal of its time.
    """

    kind: str
    key: str
    body: str
    wall: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A thing is no longer kept."""

    kind: str
    key: str


Record: TypeAlias = Entry | CommandOpened | ResultGiven | ResultDelivered | CommandEnded | Kept | Forgotten


@dataclass(slots=True)
class StoredCommand:
    """A command as the store knows it."""

    id: str
    evse: str | None
    verb: str
    fingerprint: str
    body: str
    source: str | None
    channel: str
    received: float
    in_force: bool
    reply: ReplyTo | None = None
    first: str | None = None
    final: str | None = None
    first_delivered: bool = False
    final_delivered: bool = False
    ended: float | None = None
