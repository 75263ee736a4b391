"""Events of the RPC engine (`rpc`), the replies to a call, and the calls that it sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from protocols.frozen import frozen
from protocols.ocpp.schema import Payload, Violation

NO_ID = "-1"  # 4.2.3: where the message id cannot be read


@frozen
class CallReceived:
    """The peer sent a CALL; respond with `answer` or `refuse`. `text` is the received message."""

    id: str
    action: str
    payload: Payload
    text: str = field(default="", compare=False, repr=False)


@frozen
class SendReceived:
    """The peer sent a SEND, which has no response. `text` is the received message."""

    id: str
    action: str
    payload: Payload
    text: str = field(default="", compare=False, repr=False)


@frozen
class ResultReceived:
    """The peer responded to a CALL with a CALLRESULT. `violation` is set where it breaks its schema."""

    id: str
    action: str
    payload: Payload
    violation: Violation | None = None


@frozen
class ErrorReceived:
    """The peer responded to a CALL with a CALLERROR."""

    id: str
    action: str
    code: str
    description: str = ""
    details: Payload = field(default_factory=dict)


@frozen
class CallTimedOut:
    """No response to a CALL in time; whether it has taken effect is unknown."""

    id: str
    action: str


@frozen
class AnswerIgnored:
    """A response without a pending CALL. `action` is set if it only arrived late."""

    id: str
    action: str | None
    payload: Payload


@frozen
class ResultRefused:
    """The peer could not process a CALLRESULT (CALLRESULTERROR)."""

    id: str
    code: str
    description: str = ""


@frozen
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


@frozen
class Answered:
    """Reply: the peer responded; `violation` is set where the response breaks the schema."""

    payload: Payload
    violation: Violation | None = None


@frozen
class Refused:
    """Reply: the peer responded with a CALLERROR."""

    code: str
    description: str = ""
    details: Payload = field(default_factory=dict)


@frozen
class TimedOut:
    """Reply: the peer did not respond in time."""


@frozen
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
