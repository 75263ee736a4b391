"""What the RPC engine reports of a connection, in the past tense; the engine is `rpc`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from protocols.ocpp.schema import Payload, Violation

NO_ID = "-1"  # 4.2.3: where the message id cannot be read


@dataclass(frozen=True, slots=True)
class CallReceived:
    """The peer asks; answer with `answer` or `refuse`. `text` is the message as it came."""

    id: str
    action: str
    payload: Payload
    text: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SendReceived:
    """The peer tells, and waits for nothing. `text` is the message as it came."""

    id: str
    action: str
    payload: Payload
    text: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ResultReceived:
    """The peer answered our call. `violation` where the answer breaks its schema."""

    id: str
    action: str
    payload: Payload
    violation: Violation | None = None


@dataclass(frozen=True, slots=True)
class ErrorReceived:
    """The peer refused our call."""

    id: str
    action: str
    code: str
    description: str = ""
    details: Payload = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallTimedOut:
    """No answer to our call in time; it may or may not have taken effect."""

    id: str
    action: str


@dataclass(frozen=True, slots=True)
class AnswerIgnored:
    """An answer nobody waits for. `action` is known where it only came late."""

    id: str
    action: str | None
    payload: Payload


@dataclass(frozen=True, slots=True)
class ResultRefused:
    """The peer could not process our answer (CALLRESULTERROR)."""

    id: str
    code: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Violated:
    """A message broke a rule. `ours` where we would have sent it; it was not sent."""

    ours: bool
    action: str | None
    code: str
    text: str
    id: str = NO_ID


Event: TypeAlias = (
    CallReceived
    | SendReceived
    | ResultReceived
    | ErrorReceived
    | CallTimedOut
    | AnswerIgnored
    | ResultRefused
    | Violated
)
