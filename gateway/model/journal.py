"""Records of the store: the lifecycle of every command step by step, and the events around it.

A command is written before it acts; what follows is written behind it, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias


class Step(StrEnum):
    """Steps of a command's lifecycle, in order; `event` and `operator` are for other entries."""

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
    """The two results of a command."""

    FIRST = "first"
    FINAL = "final"


AT_REST = ("site", "at_rest")  # kind and key of the record that the site waits for a command with power


@dataclass(frozen=True, slots=True)
class Entry:
    """Entry of the journal. `wall` is Unix time; `cause` is what led to it; `data` is small and JSON."""

    wall: float
    step: Step
    cause: str
    command: str | None = None
    evse: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    seq: int | None = None  # assigned by the store


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Reply topic of a command, besides the result topic."""

    topic: str
    correlation_data: bytes | None = None


@dataclass(frozen=True, slots=True)
class CommandOpened:
    """A command was accepted; its first result is in the same transaction. `id` is its `command_key`."""

    id: str
    evse: str | None
    verb: str
    fingerprint: str
    body: str  # JSON, as validated
    source: str | None
    channel: str
    received: float  # Unix time
    in_force: bool  # whether it is active after its first result
    reply: ReplyTo | None = None


@dataclass(frozen=True, slots=True)
class ResultGiven:
    """A result was made; it is sent until the broker has acknowledged it."""

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
    """A command is no longer active."""

    command: str
    wall: float


@dataclass(frozen=True, slots=True)
class Kept:
    """Persisted state; it replaces the row of the same kind and key.

    `body` is JSON; `wall` is Unix time. A row that has `ended` (Unix time) is deleted with the journal of its time.
    """

    kind: str
    key: str
    body: str
    wall: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A row of persisted state is deleted."""

    kind: str
    key: str


Record: TypeAlias = Entry | CommandOpened | ResultGiven | ResultDelivered | CommandEnded | Kept | Forgotten


@dataclass(frozen=True, slots=True)
class StoredCommand(CommandOpened):
    """A command as stored, with its results."""

    first: str | None = None
    final: str | None = None
    first_delivered: bool = False
    final_delivered: bool = False
    ended: float | None = None
