"""Mutants: devices that break exactly one rule, made of a sound device and a wire that alters its messages.

A mutant is declared beside the case that has to fail on it. It stands at the device's end of the connection
(`mutant_wire`): it alters, drops, delays, repeats or invents messages of the device, and hides or alters those of the
tester.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from emulators.conformance.ocpp import pattern
from emulators.conformance.ocpp.frames import CALL, ERROR, RESULT, SEND, Frame
from emulators.conformance.ocpp.opening import Opened
from emulators.conformance.ocpp.tester_csms import Handshake
from protocols.ocpp.schema import Payload

Change: TypeAlias = Payload | Callable[[Payload], Payload]  # members to replace, None removes; or a function


@dataclass(frozen=True, slots=True)
class Context:
    """Message as a mutant gets it: the action, and the request where the message is a response."""

    action: str
    request: Payload = field(default_factory=dict)


class Mutant:
    """A sound device: every mutant overrides one of the directions."""

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Return what is sent for a message of the device, each with a delay in s."""
        return [(0.0, frame)]

    def incoming(self, frame: Frame, about: Context) -> Frame | None:
        """Return what the device receives of a message of the tester; None for nothing."""
        return frame

    def instead(self, frame: Frame, about: Context) -> Iterable[Frame]:
        """Return what the device appears to send to a message that it does not receive."""
        return []

    def to_itself(self, frame: Frame) -> Frame | None:
        """Return the response that the device receives to a message of its own that is not sent."""
        return None

    def handshake(self, handshake: Handshake) -> Handshake:
        """Return the opening handshake of a connection of the device."""
        return handshake

    def opened(self, opened: Opened) -> Opened:
        """Return the answer of the device to an opening handshake of the tester."""
        return opened


def changed(payload: Payload, change: Change) -> Payload:
    """Return a payload with a change."""
    if callable(change):
        return change(deepcopy(payload))
    return _merged(payload, change)


def _merged(payload: Payload, change: Payload) -> Payload:
    found = deepcopy(payload)
    for name, value in change.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, dict) and isinstance(found.get(name), dict):
            found[name] = _merged(found[name], value)
        else:
            found[name] = value
    return found


@dataclass(frozen=True)
class Answers(Mutant):
    """Responds to an action with a changed payload; a CALLERROR becomes a response."""

    action: str
    change: Change
    when: object = pattern.ANY  # pattern of the request
    whole: bool = False  # replaces the payload

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Change the response."""
        if frame.kind not in (RESULT, ERROR) or about.action != self.action:
            return [(0.0, frame)]
        if not pattern.matches(about.request, self.when):
            return [(0.0, frame)]
        before = {} if self.whole else frame.payload
        return [(0.0, Frame(RESULT, frame.id, payload=changed(before, self.change)))]


@dataclass(frozen=True)
class AnswersAgain(Mutant):
    """Responds with a changed payload to a request that it has received before."""

    action: str
    change: Change
    seen: list[Payload] = field(default_factory=list)

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Change the response to a repeated request."""
        if frame.kind != RESULT or about.action != self.action:
            return [(0.0, frame)]
        repeated = about.request in self.seen
        self.seen.append(about.request)
        return [(0.0, replace(frame, payload=changed(frame.payload, self.change)) if repeated else frame)]


@dataclass(frozen=True)
class Errors(Mutant):
    """Responds to an action with another CALLERROR code; None leaves the request without a response."""

    action: str  # empty: any
    code: str | None = "InternalError"
    mid: str | None = None
    refusals: bool = False  # only where it responds with a CALLERROR
    when: object = pattern.ANY  # pattern of the request

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Change the response."""
        kinds = (ERROR,) if self.refusals else (RESULT, ERROR)
        matching = self.action in ("", about.action) and pattern.matches(about.request, self.when)
        if frame.kind not in kinds or not matching:
            return [(0.0, frame)]
        if self.code is None:
            return []
        return [(0.0, Frame(ERROR, frame.id if self.mid is None else self.mid, code=self.code))]


@dataclass(frozen=True)
class Sends(Mutant):
    """Sends a changed payload in its own calls of an action."""

    action: str
    change: Change
    where: object = pattern.ANY

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Change the call."""
        if not _is_of(frame, self.action, self.where):
            return [(0.0, frame)]
        return [(0.0, replace(frame, payload=changed(frame.payload, self.change)))]


@dataclass(frozen=True)
class Authenticates(Mutant):
    """Connects with another header for HTTP authentication; empty for none."""

    authorization: str = ""

    def handshake(self, handshake: Handshake) -> Handshake:
        """Change the header."""
        return replace(handshake, authorization=self.authorization)


@dataclass(frozen=True)
class Opens(Mutant):
    """Answers opening handshakes otherwise; None leaves a value."""

    status: int | None = None
    subprotocol: str | None = None
    closed: bool | None = None

    def opened(self, opened: Opened) -> Opened:
        """Change the answer."""
        values = {"status": self.status, "subprotocol": self.subprotocol, "closed": self.closed}
        changes: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
        return replace(opened, **changes)


@dataclass(frozen=True)
class AnswersSends(Mutant):
    """Responds to a SEND, which has no response."""

    def incoming(self, frame: Frame, about: Context) -> Frame | None:
        """Hide the SEND."""
        return None if frame.kind == SEND else frame

    def instead(self, frame: Frame, about: Context) -> Iterable[Frame]:
        """Respond to it."""
        return [Frame(RESULT, frame.id)]


@dataclass(frozen=True)
class Omits(Mutant):
    """Does not send its calls of an action; the device itself receives `response`."""

    action: str
    where: object = pattern.ANY
    response: Payload = field(default_factory=dict)

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Drop the call."""
        return [] if _is_of(frame, self.action, self.where) else [(0.0, frame)]

    def to_itself(self, frame: Frame) -> Frame | None:
        """Answer the dropped call."""
        omitted = frame.kind == CALL and _is_of(frame, self.action, self.where)
        return Frame(RESULT, frame.id, payload=self.response) if omitted else None


@dataclass(frozen=True)
class LateAnswers(Mutant):
    """Responds to an action late, after messages that it sends meanwhile."""

    action: str
    seconds: float

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Delay the response."""
        late = frame.kind in (RESULT, ERROR) and about.action == self.action
        return [(self.seconds if late else 0.0, frame)]


@dataclass(frozen=True)
class Pretends(Mutant):
    """Responds to an action without performing it."""

    action: str
    response: Payload = field(default_factory=dict)
    when: object = pattern.ANY

    def incoming(self, frame: Frame, about: Context) -> Frame | None:
        """Hide the request."""
        return None if _is_of(frame, self.action, self.when) else frame

    def instead(self, frame: Frame, about: Context) -> Iterable[Frame]:
        """Respond to the hidden request."""
        return [Frame(RESULT, frame.id, payload=self.response)]


@dataclass(frozen=True)
class Misreads(Mutant):
    """Receives requests of an action changed, or responses to its own."""

    action: str
    change: Change
    when: object = pattern.ANY
    response: bool = False  # of the tester, to a call of the device

    def incoming(self, frame: Frame, about: Context) -> Frame | None:
        """Change what is received."""
        if about.action != self.action or frame.kind != (RESULT if self.response else CALL):
            return frame
        if not pattern.matches(frame.payload, self.when):
            return frame
        return replace(frame, payload=changed(frame.payload, self.change))


@dataclass(frozen=True)
class Intrudes(Mutant):
    """Sends a call of its own invention after each of its messages of an action, or after a request of the tester."""

    action: str
    payload: Payload
    after: str
    where: object = pattern.ANY
    on_response: bool = False  # after its response to `after`
    seconds: float = 0.0

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Add a call."""
        invented = Frame(CALL, f"{INVENTED}{frame.id}"[:36], self.action, deepcopy(self.payload))
        if self.on_response:
            found = frame.kind == RESULT and about.action == self.after and pattern.matches(frame.payload, self.where)
        else:
            found = _is_of(frame, self.after, self.where)
        return [(0.0, frame), (self.seconds, invented)] if found else [(0.0, frame)]


INVENTED = "invented-"


def _is_of(frame: Frame, action: str, where: object) -> bool:
    return frame.is_request and frame.action == action and pattern.matches(frame.payload, where)
