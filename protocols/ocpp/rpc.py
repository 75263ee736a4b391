"""The RPC framework of OCPP-J (2.1 part 4, chapter 4), for either end and every version: text in, events and text out.

CALL, CALLRESULT, CALLERROR, and of 2.1 CALLRESULTERROR and SEND. One of our calls is on the wire at a time (4.1.1), the
rest wait in a bounded queue. Both directions are validated. What an action does lives with the two ends; who sleeps
until `deadline()` is `io`.

Where the text is silent, this engine
* answers a CALL whose id is still being handled once, if it is the same CALL, and refuses it if it is another;
* ignores an answer nobody waits for, and tells of it; an answer that came late is told as such;
* reads the id of an oversized message from its first characters, so that the sender learns which one it was.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import Any

import msgspec

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.ocpp import schema
from protocols.ocpp.events import (
    NO_ID,
    AnswerIgnored,
    CallReceived,
    CallTimedOut,
    ErrorReceived,
    Event,
    ResultReceived,
    ResultRefused,
    SendReceived,
    Violated,
)
from protocols.ocpp.schema import ErrorCode, Part, Payload, Version, Violation

__all__ = [
    "NO_ID",
    "AnswerIgnored",
    "CallReceived",
    "CallTimedOut",
    "ErrorReceived",
    "Event",
    "InvalidPayload",
    "MessageType",
    "QueueFull",
    "Refusal",
    "ResultReceived",
    "ResultRefused",
    "Rpc",
    "SendReceived",
    "UnknownAction",
    "Violated",
    "encode",
    "message_ids",
]

ID_LENGTH = 36  # string[36], 4.1.4
DESCRIPTION_LENGTH = 255  # string[255], 4.2.3
ANSWER_WITHIN = 30.0  # s; implementation-dependent (4.1.1)
MESSAGE_LENGTH = 128 * 1024  # characters; FullInventory reports are split by `tbc`, so that nothing needs more
WAITING_CALLS = 64  # of ours, behind the one on the wire
OPEN_CALLS = 16  # of the peer's, not yet answered; the rules allow one
REMEMBERED = 16  # calls that ran out of time, whose answers may still come


class MessageType(IntEnum):
    """Table 3 of part 4."""

    CALL = 2
    CALLRESULT = 3
    CALLERROR = 4
    CALLRESULTERROR = 5  # 2.1
    SEND = 6  # 2.1


class Refusal(RemoteProtocolError):
    """Raised by whoever handles a call: it becomes a CALLERROR with this code."""

    def __init__(self, code: ErrorCode, description: str = "", details: Payload | None = None) -> None:
        super().__init__(description, code=code)
        self.reason, self.description, self.details = code, description, details or {}


class InvalidPayload(LocalProtocolError):
    """We were about to send a payload that breaks its schema."""

    def __init__(self, action: str, violation: Violation) -> None:
        super().__init__(f"{action}: {violation.text} (at {violation.where})")
        self.action, self.violation = action, violation


class UnknownAction(LocalProtocolError):
    """The version has no such action."""


class QueueFull(LocalProtocolError):
    """Too many calls wait for the peer already."""


@dataclass(slots=True)
class _Ours:
    id: str
    action: str
    text: str
    timeout: float
    deadline: float = 0.0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_HEAD = re.compile(r'\s*\[\s*(\d)\s*,\s*"([^"\\]{1,36})"')


def encode(message: list[Any]) -> str:
    """A message as compact JSON, members in their order."""
    return str(_encode(message), "utf-8")


def message_ids() -> Callable[[], str]:
    """Ids that no other connection of the same station uses (4.1.4): a random prefix and a number."""
    prefix, numbers = os.urandom(9).hex(), count(1)
    return lambda: f"{prefix}-{next(numbers):x}"


class Rpc:
    """One end of one connection.

    `handles` is what this end answers: another action of the version is refused with NotSupported, any other name with
    NotImplemented. None leaves the choice to whoever takes the events.
    """

    __slots__ = (
        "_handles",
        "_length",
        "_new_id",
        "_open",
        "_out",
        "_outstanding",
        "_timed_out",
        "_timeout",
        "_waiting",
        "_waiting_limit",
        "version",
    )

    def __init__(
        self,
        version: Version,
        *,
        handles: frozenset[str] | None = None,
        answer_within: float = ANSWER_WITHIN,
        message_length: int = MESSAGE_LENGTH,
        waiting_calls: int = WAITING_CALLS,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.version = version
        self._handles = handles
        self._timeout = answer_within
        self._length = message_length
        self._waiting_limit = waiting_calls
        self._new_id = new_id or message_ids()
        self._out: list[str] = []
        self._outstanding: _Ours | None = None
        self._waiting: deque[_Ours] = deque()
        self._timed_out: OrderedDict[str, str] | None = None
        self._open: dict[str, tuple[str, Payload]] = {}

    # what goes out

    def call(self, action: str, payload: Payload, now: float, timeout: float | None = None) -> str:
        """Ask the peer; returns the message id. It goes out when the call before it is done.

        Raises UnknownAction, InvalidPayload or QueueFull, and then nothing is sent.
        """
        self._check(action, Part.REQUEST, payload)
        if len(self._waiting) >= self._waiting_limit:
            raise QueueFull(f"{self._waiting_limit} calls wait for the peer already; {action} was not sent")
        mid = self._new_id()
        ours = _Ours(mid, action, encode([2, mid, action, payload]), self._timeout if timeout is None else timeout)
        self._waiting.append(ours)
        self._next(now)
        return mid

    def send(self, action: str, payload: Payload) -> str:
        """Tell the peer without asking for an answer (2.1). Raises UnknownAction or InvalidPayload."""
        self._check(action, Part.SEND, payload)
        mid = self._new_id()
        self._out.append(encode([6, mid, action, payload]))
        return mid

    def answer(self, call: CallReceived, payload: Payload) -> list[Event]:
        """Answer a call. An answer that breaks its schema is our own fault: the peer gets InternalError."""
        if self._open.pop(call.id, None) is None:
            raise LocalProtocolError(f"the call {call.id!r} is not open: it was answered already or never came")
        if not schema.accepts(self.version, call.action, Part.RESPONSE)(payload):
            found = schema.violation(self.version, call.action, Part.RESPONSE, payload)
            if found is not None:
                self._error(call.id, ErrorCode.INTERNAL_ERROR, f"no valid answer to {call.action} could be made")
                return [Violated(True, call.action, found.code, f"{found.text} (at {found.where})", call.id)]
        self._out.append(encode([3, call.id, payload]))
        return []

    def refuse(
        self, call: CallReceived, code: ErrorCode, description: str = "", details: Payload | None = None
    ) -> None:
        """Refuse a call with a CALLERROR."""
        if self._open.pop(call.id, None) is None:
            raise LocalProtocolError(f"the call {call.id!r} is not open: it was answered already or never came")
        self._error(call.id, code, description, details)

    def forget(self, mid: str, now: float) -> None:
        """Stop waiting for the answer to a call of ours; one that still waits is not sent any more."""
        if self._outstanding is not None and self._outstanding.id == mid:
            self._remember(self._outstanding)
            self._outstanding = None
            self._next(now)
        else:
            self._waiting = deque(ours for ours in self._waiting if ours.id != mid)

    def data_to_send(self) -> list[str]:
        """The messages that are due on the wire, in order."""
        out, self._out = self._out, []
        return out

    # time

    def deadline(self) -> float | None:
        """When the outstanding call runs out of time."""
        return None if self._outstanding is None else self._outstanding.deadline

    def expire(self, now: float) -> list[Event]:
        """Give up the outstanding call if its time is over; the next one goes out."""
        events: list[Event] = []
        while (ours := self._outstanding) is not None and ours.deadline <= now:
            self._remember(ours)
            self._outstanding = None
            events.append(CallTimedOut(ours.id, ours.action))
            self._next(now)
        return events

    @property
    def pending(self) -> tuple[str, ...]:
        """The ids of our calls without an answer, the one on the wire first."""
        first = () if self._outstanding is None else (self._outstanding.id,)
        return first + tuple(ours.id for ours in self._waiting)

    # what comes in

    def receive(self, text: str, now: float) -> list[Event]:
        """Take one message. Never raises for what the peer wrote."""
        if len(text) > self._length:
            return self._too_large(text)
        try:
            message = _decode(text)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            return self._unreadable(f"not JSON: {error}", text)
        if type(message) is not list or len(message) < 2:
            return self._unreadable("not a JSON array of at least a message type and an id", text)
        kind, mid = message[0], message[1]
        if type(mid) is not str or not mid or len(mid) > ID_LENGTH:
            # An answer with a bad id is not answered: answers to answers would never end.
            return self._unreadable(f"the message id is not a text of 1 to {ID_LENGTH} characters", text, kind == 2)
        if kind == 2:
            return self._on_call(mid, message, text)
        if kind == 3:
            return self._on_result(mid, message, now)
        if kind == 4:
            return self._on_error(mid, message, now)
        if self.version is Version.V21:
            if kind == 5:
                return self._on_result_error(mid, message)
            if kind == 6:
                return self._on_send(mid, message, text)
        return self._on_other(kind, mid)

    def _on_call(self, mid: str, message: list[Any], text: str) -> list[Event]:
        version = self.version
        if len(message) != 4 or type(message[2]) is not str:
            return self._refused(mid, None, self._framework_error(), "a CALL is [2, id, action, payload]")
        action, payload = message[2], message[3]
        if action not in schema.actions(version):
            return self._refused(mid, action, ErrorCode.NOT_IMPLEMENTED, f"OCPP {version.number} has no {action[:50]}")
        if self._handles is not None and action not in self._handles:
            return self._refused(mid, action, ErrorCode.NOT_SUPPORTED, f"{action} is not taken by this end")
        if type(payload) is not dict:
            code = schema.form_error(version)
            return self._refused(mid, action, code, "the payload is not a JSON object")
        if mid in self._open:
            if self._open[mid] == (action, payload):
                return [Violated(False, action, "Duplicate", "the same call again; one answer serves both", mid)]
            self._error(mid, self._framework_error(), "a call with this id is being handled")
            return [Violated(False, action, self._framework_error(), "a second call with an id in use", mid)]
        if not schema.accepts(version, action, Part.REQUEST)(payload):
            found = schema.violation(version, action, Part.REQUEST, payload)
            if found is not None:
                return self._refused(mid, action, found.code, f"{found.text} (at {found.where})")
        if len(self._open) >= OPEN_CALLS:
            return self._refused(mid, action, ErrorCode.INTERNAL_ERROR, f"{OPEN_CALLS} calls are unanswered already")
        self._open[mid] = (action, payload)
        return [CallReceived(mid, action, payload, text)]

    def _on_send(self, mid: str, message: list[Any], text: str) -> list[Event]:
        """SEND is never answered, whatever is wrong with it (4.2.4)."""
        if len(message) != 4 or type(message[2]) is not str or type(message[3]) is not dict:
            return [Violated(False, None, self._framework_error(), "a SEND is [6, id, action, payload]", mid)]
        action, payload = message[2], message[3]
        if action not in schema.unanswered(self.version):
            return [Violated(False, action, ErrorCode.NOT_IMPLEMENTED, f"{action[:50]} is no SEND message", mid)]
        found = schema.violation(self.version, action, Part.SEND, payload)
        if found is not None:
            return [Violated(False, action, found.code, f"{found.text} (at {found.where})", mid)]
        return [SendReceived(mid, action, payload, text)]

    def _on_result(self, mid: str, message: list[Any], now: float) -> list[Event]:
        payload = message[2] if len(message) == 3 and type(message[2]) is dict else None
        ours = self._outstanding
        if ours is None or ours.id != mid:
            return [AnswerIgnored(mid, self._late(mid), payload or {})]
        self._outstanding = None
        self._next(now)
        if payload is None:
            found: Violation | None = Violation(self._framework_error(), "", "a CALLRESULT is [3, id, payload]")
        elif schema.accepts(self.version, ours.action, Part.RESPONSE)(payload):
            return [ResultReceived(mid, ours.action, payload)]
        else:
            found = schema.violation(self.version, ours.action, Part.RESPONSE, payload)
        if found is None:
            return [ResultReceived(mid, ours.action, payload or {})]
        text = f"{found.text} (at {found.where})"
        if self.version is Version.V21:
            self._out.append(encode([5, mid, found.code, text[:DESCRIPTION_LENGTH], {}]))
        return [
            Violated(False, ours.action, found.code, text, mid),
            ResultReceived(mid, ours.action, payload or {}, found),
        ]

    def _on_error(self, mid: str, message: list[Any], now: float) -> list[Event]:
        code, description, details = _error_fields(message)
        ours = self._outstanding
        if ours is None or ours.id != mid:
            # "-1" answers a message whose id the peer could not read: it can only be the one on the wire.
            if mid != NO_ID or ours is None:
                return [AnswerIgnored(mid, self._late(mid), details)]
            mid = ours.id
        self._outstanding = None
        self._next(now)
        return [ErrorReceived(mid, ours.action, code, description, details)]

    def _on_result_error(self, mid: str, message: list[Any]) -> list[Event]:
        code, description, _ = _error_fields(message)
        return [ResultRefused(mid, code, description)]

    def _on_other(self, kind: object, mid: str) -> list[Event]:
        """4.4: the payload of an unknown message type is ignored; 2.x has a code to say so."""
        if self.version is not Version.V16:
            self._error(mid, ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, "this message type is not known here")
        text = f"message type {str(kind)[:20]} is not one of OCPP {self.version.number}"
        return [Violated(False, None, ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, text, mid)]

    # refusals

    def _framework_error(self) -> ErrorCode:
        return ErrorCode.PROTOCOL_ERROR if self.version is Version.V16 else ErrorCode.RPC_FRAMEWORK_ERROR

    def _refused(self, mid: str, action: str | None, code: ErrorCode, text: str) -> list[Event]:
        self._error(mid, code, text)
        return [Violated(False, action, code, text, mid)]

    def _unreadable(self, reason: str, text: str, answered: bool = True) -> list[Event]:
        code = ErrorCode.GENERIC_ERROR if self.version is Version.V16 else ErrorCode.RPC_FRAMEWORK_ERROR
        if answered:
            self._error(NO_ID, code, reason)
        return [Violated(False, None, code, f"{reason}: {text[:100]!r}")]

    def _too_large(self, text: str) -> list[Event]:
        head = _HEAD.match(text[:100])
        mid = head.group(2) if head else NO_ID
        code = schema.form_error(self.version) if head else self._framework_error()
        reason = f"the message has {len(text)} characters; {self._length} are taken"
        if head is None or head.group(1) == "2":
            self._error(mid, code, reason)
        return [Violated(False, None, code, reason, mid)]

    def _error(self, mid: str, code: ErrorCode, description: str, details: Payload | None = None) -> None:
        self._out.append(encode([4, mid, code, description[:DESCRIPTION_LENGTH], details or {}]))

    # our own calls

    def _check(self, action: str, part: Part, payload: Payload) -> None:
        known = schema.unanswered(self.version) if part is Part.SEND else schema.actions(self.version)
        if action not in known:
            raise UnknownAction(f"OCPP {self.version.number} has no {action}")
        if not schema.accepts(self.version, action, part)(payload):
            found = schema.violation(self.version, action, part, payload)
            if found is not None:
                raise InvalidPayload(action, found)

    def _next(self, now: float) -> None:
        if self._outstanding is None and self._waiting:
            ours = self._waiting.popleft()
            ours.deadline = now + ours.timeout
            self._outstanding = ours
            self._out.append(ours.text)

    def _remember(self, ours: _Ours) -> None:
        if self._timed_out is None:
            self._timed_out = OrderedDict()
        self._timed_out[ours.id] = ours.action
        if len(self._timed_out) > REMEMBERED:
            self._timed_out.popitem(last=False)

    def _late(self, mid: str) -> str | None:
        return None if self._timed_out is None else self._timed_out.pop(mid, None)


def _error_fields(message: list[Any]) -> tuple[str, str, Payload]:
    fields = [*message[2:5], *[None] * 3]
    code = fields[0] if isinstance(fields[0], str) else ErrorCode.GENERIC_ERROR
    description = fields[1] if isinstance(fields[1], str) else ""
    details = fields[2] if isinstance(fields[2], dict) else {}
    return code, description, details
