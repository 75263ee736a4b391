"""Events of the RPC engine (`rpc`), the replies to a call, and the calls that it sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from protocols.ocpp.schema import Payload, Violation

NO_ID = "-1"  # 4.2.3: where the message id cannot be read


@dataclass(frozen=True, slots=True)
class CallReceived:
    """The peer sent a CALL; respond with `answer` or `refuse`. `text` is the received message."""

    id: str
    action: str
    payload: Payload
    text: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SendReceived:
    """The peer sent a SEND, which has no response. `text` is the received message."""

    id: str
    action: str
    payload: Payload
    text: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ResultReceived:
    """The peer responded to a CALL with a CALLRESULT. `violation` is set where it breaks its schema."""

    id: str
    action: str
    payload: Payload
    violation: Violation | None = None


@dataclass(frozen=True, slots=True)
class ErrorReceived:
    """The peer responded to a CALL with a CALLERROR."""

    id: str
    action: str
    code: str
    description: str = ""
    details: Payload = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallTimedOut:
    """No response to a CALL in time; whether it has taken effect is unknown."""

    id: str
    action: str


@dataclass(frozen=True, slots=True)
class AnswerIgnored:
    """A response without a pending CALL. `action` is set if it only arrived late."""

    id: str
    action: str | None
    payload: Payload


@dataclass(frozen=True, slots=True)
class ResultRefused:
    """The peer could not process a CALLRESULT (CALLRESULTERROR)."""

    id: str
    code: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Violated:
    """A message broke a rule. `ours` marks an outgoing message, which was not sent."""

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


@dataclass(frozen=True, slots=True)
class Answered:
    """Reply: the peer responded; `violation` is set where the response breaks the schema."""

    payload: Payload
    violation: Violation | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Reply: the peer responded with a CALLERROR."""

    code: str
    description: str = ""
    details: Payload = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Reply: the peer did not respond in time."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Reply: the connection ended before a response arrived."""


Reply: TypeAlias = Answered | Refused | TimedOut | Lost


class Priority(IntEnum):
    """Order in which calls are sent. A more urgent call than the outstanding one shortens the wait for its response."""

    URGENT = 0  # waits for no other call
    NORMAL = 1
    HOUSEKEEPING = 2  # gives way to every other call


@dataclass(slots=True)
class OutgoingCall:
    """A CALL to the peer that is sent, or waits to be."""

    id: str
    action: str
    text: str
    timeout: float
    priority: Priority = Priority.NORMAL
    deadline: float = 0.0
