"""The RPC framework of OCPP-J (2.1 part 4, chapter 4), for either end and every version: text in, events and text out.

CALL, CALLRESULT, CALLERROR, and of 2.1 CALLRESULTERROR and SEND. At most one outgoing CALL is outstanding (4.1.1), the
others wait in a bounded queue. Both directions are validated. The actions are implemented by the two ends; `io`
sleeps until `deadline()`.

Where the specification is silent, this engine
* responds once to a CALL that is repeated while it is handled, and rejects another CALL with the same id;
* ignores responses without a pending CALL, and reports them as events; late ones are reported as such;
* reads the id of an oversized message from its first characters, so that the CALLERROR carries it.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Container, Mapping
from itertools import count

import msgspec

from protocols.errors import LocalProtocolError
from protocols.ocpp import lenient, schema
from protocols.ocpp.errors import InvalidPayload, QueueFull, UnknownAction
from protocols.ocpp.events import (
    NO_ID,
    AnswerIgnored,
    CallReceived,
    CallTimedOut,
    ErrorReceived,
    Event,
    OutgoingCall,
    Priority,
    ResultReceived,
    ResultRefused,
    SendReceived,
    Violated,
)
from protocols.ocpp.incoming import ACTION, HEAD, decode, error_fields, repetition
from protocols.ocpp.schema import ErrorCode, Part, Payload, Version, Violation

# message types, table 3 of part 4; the last two of 2.1
_CALL, _CALLRESULT, _CALLERROR, _CALLRESULTERROR, _SEND = 2, 3, 4, 5, 6

ID_LENGTH = 36  # string[36], 4.1.4
DESCRIPTION_LENGTH = 255  # string[255], 4.2.3
ANSWER_WITHIN = 30.0  # s; implementation-dependent (4.1.1)
MESSAGE_LENGTH = 128 * 1024  # characters; FullInventory reports are split by `tbc`, so that no message needs more
WAITING_CALLS = 64  # outgoing calls waiting for the outstanding one
YIELD_WITHIN = 1.0  # s for the response to a call that a more urgent one waits for
YIELD_URGENT_WITHIN = 10.0  # s, where both are urgent: slow stations respond within 9 s
OPEN_CALLS = 16  # unanswered calls of the peer; the specification allows one
REMEMBERED = 16  # timed-out calls whose responses may still arrive


_encode = msgspec.json.Encoder().encode


def encode(message: list[object]) -> str:
    """Return a message as compact JSON, members in their order."""
    return str(_encode(message), "utf-8")


class Rpc:
    """One end of one connection.

    `handles` are the actions that this end implements: another action of the version is rejected with NotSupported, any
    other name with NotImplemented. None leaves the choice to the recipient of the events.
    """

    def __init__(
        self,
        version: Version,
        *,
        handles: Container[str] | None = None,
        answer_within: float = ANSWER_WITHIN,
        message_length: int = MESSAGE_LENGTH,
        longer: Mapping[str, int] | None = None,
        waiting_calls: int = WAITING_CALLS,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.version = version
        self._handles = handles
        self._timeout = answer_within
        self._length = message_length
        self._longer = longer or {}  # length by action, where it may be longer
        self.lenient = False  # repair calls and responses that break their schema; see `lenient`
        self._waiting_limit = waiting_calls
        prefix, numbers = os.urandom(9).hex(), count(1)
        self._new_id = new_id or (lambda: f"{prefix}-{next(numbers):x}")  # unique among all connections (4.1.4)
        self._out: list[str] = []
        self._outstanding: OutgoingCall | None = None
        self._waiting: list[OutgoingCall] = []  # an empty deque takes 700 bytes
        self._timed_out: OrderedDict[str, str] | None = None
        self._open: dict[str, tuple[str, Payload]] = {}

    # outgoing messages

    def call(
        self,
        action: str,
        payload: Payload,
        now: float,
        timeout: float | None = None,
        priority: Priority = Priority.NORMAL,
    ) -> str:
        """Send a CALL and return its message id. It waits for the responses to previous calls of its priority.

        Raises UnknownAction, InvalidPayload or QueueFull; nothing is sent then.
        """
        self._check(action, Part.REQUEST, payload)
        if len(self._waiting) >= self._waiting_limit and priority is not Priority.URGENT:
            raise QueueFull(f"{self._waiting_limit} calls are queued already; {action} was not sent")
        mid = self._new_id()
        text = encode([_CALL, mid, action, payload])
        outgoing = OutgoingCall(mid, action, text, self._timeout if timeout is None else timeout, priority)
        ahead = sum(other.priority <= priority for other in self._waiting)
        self._waiting.insert(ahead, outgoing)
        self.hurry(now, priority)
        self._next(now)
        return mid

    def hurry(self, now: float, priority: Priority = Priority.URGENT) -> None:
        """Shorten the wait for the response to the outstanding call where it is less urgent, or both are urgent.

        A second CALL before the response is forbidden (part 4, 4.1.1), so the outstanding one times out instead.
        """
        outstanding = self._outstanding
        if outstanding is None:
            return
        if priority < outstanding.priority:
            outstanding.deadline = min(outstanding.deadline, now + YIELD_WITHIN)
        elif priority is Priority.URGENT:
            outstanding.deadline = min(outstanding.deadline, now + YIELD_URGENT_WITHIN)

    def send(self, action: str, payload: Payload) -> str:
        """Send a SEND, which has no response (2.1). Raises UnknownAction or InvalidPayload."""
        self._check(action, Part.SEND, payload)
        mid = self._new_id()
        self._out.append(encode([_SEND, mid, action, payload]))
        return mid

    def answer(self, call: CallReceived, payload: Payload) -> list[Event]:
        """Respond to a CALL. For a response that breaks its schema, the peer receives InternalError."""
        if self._open.pop(call.id, None) is None:
            raise LocalProtocolError(f"the call {call.id!r} is not open: it was answered already or was never received")
        if not schema.accepts(self.version, call.action, Part.RESPONSE)(payload):
            found = schema.violation(self.version, call.action, Part.RESPONSE, payload)
            if found is not None:
                self._error(call.id, ErrorCode.INTERNAL_ERROR, f"no valid response to {call.action} could be created")
                return [Violated(True, call.action, found.code, f"{found.text} (at {found.where})", call.id)]
        self._out.append(encode([_CALLRESULT, call.id, payload]))
        return []

    def refuse(
        self, call: CallReceived, code: ErrorCode, description: str = "", details: Payload | None = None
    ) -> None:
        """Respond to a CALL with a CALLERROR."""
        if self._open.pop(call.id, None) is None:
            raise LocalProtocolError(f"the call {call.id!r} is not open: it was answered already or was never received")
        self._error(call.id, code, description, details)

    def cancel(self, mid: str, now: float) -> None:
        """Stop waiting for the response to an outgoing call; a queued call is not sent."""
        if self._outstanding is not None and self._outstanding.id == mid:
            self._remember(self._outstanding)
            self._outstanding = None
            self._next(now)
        else:
            self._waiting = [outgoing for outgoing in self._waiting if outgoing.id != mid]

    def data_to_send(self) -> list[str]:
        """Return the messages to send, in order."""
        out, self._out = self._out, []
        return out

    # time

    def deadline(self) -> float | None:
        """Return the time at which the outstanding call times out."""
        return None if self._outstanding is None else self._outstanding.deadline

    def expire(self, now: float) -> list[Event]:
        """Time out the outstanding call if it is due; the next one is sent."""
        events: list[Event] = []
        while (outgoing := self._outstanding) is not None and outgoing.deadline <= now:
            self._remember(outgoing)
            self._outstanding = None
            events.append(CallTimedOut(outgoing.id, outgoing.action))
            self._next(now)
        return events

    @property
    def pending(self) -> tuple[str, ...]:
        """Ids of outgoing calls without a response, the outstanding one first."""
        first = () if self._outstanding is None else (self._outstanding.id,)
        return first + tuple(outgoing.id for outgoing in self._waiting)

    # incoming messages

    def receive(self, text: str, now: float) -> list[Event]:
        """Process one message. Never raises for the peer's input."""
        if len(text) > self._length and len(text) > self._limit(text):
            return self._too_large(text)
        try:
            message = decode(text)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            return self._unreadable(f"not JSON: {error}", text)
        if type(message) is not list or len(message) < 2:
            return self._unreadable("not a JSON array of at least a message type and an id", text)
        kind, mid = message[0], message[1]
        if type(mid) is not str or not mid or len(mid) > ID_LENGTH:
            # A response with an invalid id gets no response, to avoid endless loops.
            return self._unreadable(f"the message id is not a text of 1 to {ID_LENGTH} characters", text, kind == _CALL)
        if (repeated := repetition(text, message)) is not None:
            return self._rejected(schema.form_error(self.version), repeated, mid, answered=kind == _CALL)
        if kind == _CALL:
            return self._on_call(mid, message, text)
        if kind == _CALLRESULT:
            return self._on_result(mid, message, now)
        if kind == _CALLERROR:
            return self._on_error(mid, message, now)
        if self.version is Version.V21:
            if kind == _CALLRESULTERROR:
                return self._on_result_error(mid, message)
            if kind == _SEND:
                return self._on_send(mid, message, text)
        return self._on_other(kind, mid)

    def _on_call(self, mid: str, message: list[object], text: str) -> list[Event]:
        version = self.version
        if len(message) != 4 or type(message[2]) is not str:
            return self._refused(mid, None, self._framework_error(), "a CALL is [2, id, action, payload]")
        action, payload = message[2], message[3]
        if action not in schema.actions(version):
            return self._refused(mid, action, ErrorCode.NOT_IMPLEMENTED, f"OCPP {version.number} has no {action[:50]}")
        if self._handles is not None and action not in self._handles:
            return self._refused(mid, action, ErrorCode.NOT_SUPPORTED, f"{action} is not supported by this end")
        if type(payload) is not dict:
            code = schema.form_error(version)
            return self._refused(mid, action, code, "the payload is not a JSON object")
        if mid in self._open:
            if self._open[mid] == (action, payload):
                return [Violated(False, action, "Duplicate", "repeated call; one response serves both", mid)]
            self._error(mid, self._framework_error(), "a call with this id is pending")
            return [Violated(False, action, self._framework_error(), "a second call with an id in use", mid)]
        repairs: list[Event] = []
        found = self._violation(action, Part.REQUEST, payload)
        if found is not None:
            fault = f"{found.text} (at {found.where})"
            repaired = lenient.repaired(version, action, Part.REQUEST, payload) if self.lenient else None
            if repaired is None:
                return self._refused(mid, action, found.code, fault)
            payload, repairs = repaired, [Violated(False, action, found.code, f"repaired: {fault}", mid)]
        if len(self._open) >= OPEN_CALLS:
            return self._refused(mid, action, ErrorCode.INTERNAL_ERROR, f"{OPEN_CALLS} calls are pending already")
        self._open[mid] = (action, payload)
        return [*repairs, CallReceived(mid, action, payload, text)]

    def _on_send(self, mid: str, message: list[object], text: str) -> list[Event]:
        """Process a SEND, which never gets a response, not even an error (4.2.4)."""
        if len(message) != 4 or type(message[2]) is not str or type(message[3]) is not dict:
            return [Violated(False, None, self._framework_error(), "a SEND is [6, id, action, payload]", mid)]
        action, payload = message[2], message[3]
        if action not in schema.unanswered(self.version):
            return [Violated(False, action, ErrorCode.NOT_IMPLEMENTED, f"{action[:50]} is not a SEND message", mid)]
        found = self._violation(action, Part.SEND, payload)
        if found is not None:
            return [Violated(False, action, found.code, f"{found.text} (at {found.where})", mid)]
        return [SendReceived(mid, action, payload, text)]

    def _on_result(self, mid: str, message: list[object], now: float) -> list[Event]:
        payload = message[2] if len(message) == 3 and type(message[2]) is dict else None
        outgoing = self._outstanding
        if outgoing is None or outgoing.id != mid:
            return [AnswerIgnored(mid, self._late(mid), payload or {})]
        self._outstanding = None
        self._next(now)
        if payload is None:
            found: Violation | None = Violation(self._framework_error(), "", "a CALLRESULT is [3, id, payload]")
        else:
            found = self._violation(outgoing.action, Part.RESPONSE, payload)
            if found is not None and self.lenient:
                repaired = lenient.repaired(self.version, outgoing.action, Part.RESPONSE, payload)
                payload, found = (payload, found) if repaired is None else (repaired, None)
        if found is None:
            return [ResultReceived(mid, outgoing.action, payload or {})]
        text = f"{found.text} (at {found.where})"
        if self.version is Version.V21:
            self._out.append(encode([_CALLRESULTERROR, mid, found.code, text[:DESCRIPTION_LENGTH], {}]))
        return [
            Violated(False, outgoing.action, found.code, text, mid),
            ResultReceived(mid, outgoing.action, payload or {}, found),
        ]

    def _on_error(self, mid: str, message: list[object], now: float) -> list[Event]:
        code, description, details = error_fields(message)
        outgoing = self._outstanding
        if outgoing is None or outgoing.id != mid:
            # "-1" responds to a message whose id the peer could not read: the outstanding one.
            if mid != NO_ID or outgoing is None:
                return [AnswerIgnored(mid, self._late(mid), details)]
            mid = outgoing.id
        self._outstanding = None
        self._next(now)
        return [ErrorReceived(mid, outgoing.action, code, description, details)]

    def _on_result_error(self, mid: str, message: list[object]) -> list[Event]:
        code, description, _ = error_fields(message)
        return [ResultRefused(mid, code, description)]

    def _on_other(self, kind: object, mid: str) -> list[Event]:
        """Reject an unknown message type without its payload (4.4); 2.x has an error code for it."""
        if self.version is not Version.V16:
            self._error(mid, ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, "unknown message type")
        text = f"message type {str(kind)[:20]} is not one of OCPP {self.version.number}"
        return [Violated(False, None, ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED, text, mid)]

    def _violation(self, action: str, part: Part, payload: object) -> Violation | None:
        """Return how a payload breaks its schema, None where it does not."""
        try:
            if schema.accepts(self.version, action, part)(payload):
                return None
            return schema.violation(self.version, action, part, payload)
        except ValueError:
            return Violation(schema.form_error(self.version), "", "the payload is nested too deeply")

    def _limit(self, text: str) -> int:
        """Return the length of a message that is accepted for its action."""
        action = ACTION.match(text[:200]) if self._longer else None
        return max(self._length, self._longer.get(action[1], 0)) if action else self._length

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

    def _rejected(self, code: ErrorCode, reason: str, mid: str, *, answered: bool) -> list[Event]:
        if answered:
            self._error(mid, code, reason)
        return [Violated(False, None, code, reason, mid)]

    def _too_large(self, text: str) -> list[Event]:
        head = HEAD.match(text[:100])
        mid, code = (head[2], schema.form_error(self.version)) if head else (NO_ID, self._framework_error())
        reason = f"the message has {len(text)} characters; at most {self._length} are accepted"
        return self._rejected(code, reason, mid, answered=head is None or head.group(1) == "2")

    def _error(self, mid: str, code: ErrorCode, description: str, details: Payload | None = None) -> None:
        self._out.append(encode([_CALLERROR, mid, code, description[:DESCRIPTION_LENGTH], details or {}]))

    # outgoing calls

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
            outgoing = self._waiting.pop(0)
            outgoing.deadline = now + outgoing.timeout
            self._outstanding = outgoing
            self._out.append(outgoing.text)
            if self._waiting:
                self.hurry(now, self._waiting[0].priority)

    def _remember(self, outgoing: OutgoingCall) -> None:
        if self._timed_out is None:
            self._timed_out = OrderedDict()
        self._timed_out[outgoing.id] = outgoing.action
        if len(self._timed_out) > REMEMBERED:
            self._timed_out.popitem(last=False)

    def _late(self, mid: str) -> str | None:
        return None if self._timed_out is None else self._timed_out.pop(mid, None)
