"""Mutants: devices that break exactly one rule, made of a sound device and a wire that alters its messages.

A mutant is declared beside the case that has to fail on it. It stands at the device's end of the connection: it alters,
drops, delays, repeats or invents messages of the device, and hides or alters those of the tester.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import msgspec

from emulators.conformance.ocpp import pattern
from emulators.conformance.ocpp.tester_csms import Handshake
from protocols.ocpp.rpc import encode
from protocols.ocpp.schema import Payload
from protocols.ports import Clock, TextWire

Change: TypeAlias = Payload | Callable[[Payload], Payload]  # members to replace, None removes; or a function
CALL, RESULT, ERROR, SEND = 2, 3, 4, 6


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: kind, id, the action of a call, its payload or that of a response, and the code of an error."""

    kind: int
    id: str
    action: str = ""
    payload: Payload = field(default_factory=dict)
    code: str = ""
    text: str = field(default="", compare=False)  # as received

    @property
    def is_request(self) -> bool:
        """Return whether it is a CALL or a SEND."""
        return self.kind in (CALL, SEND)

    def encoded(self) -> str:
        """Return the message as text; unchanged where it is as received."""
        if self.text and read(self.text) == self:
            return self.text
        if self.is_request:
            return encode([self.kind, self.id, self.action, self.payload])
        if self.kind == RESULT:
            return encode([RESULT, self.id, self.payload])
        return encode([self.kind, self.id, self.code, "", {}])


def read(text: str) -> Frame | None:
    """Return the message of a text; None where it is none of OCPP."""
    try:
        message: object = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError):
        return None
    if not isinstance(message, list) or len(message) < 3 or not isinstance(message[0], int):
        return None
    kind, mid = message[0], str(message[1])
    if kind in (CALL, SEND) and len(message) > 3 and isinstance(message[3], dict):
        return Frame(kind, mid, str(message[2]), message[3], text=text)
    if kind == RESULT and isinstance(message[2], dict):
        return Frame(kind, mid, payload=message[2], text=text)
    return Frame(kind, mid, code=str(message[2]), text=text) if kind in (ERROR, 5) else None


@dataclass(frozen=True, slots=True)
class Context:
    """What a mutant knows of a message: the action, and the request where the message is a response."""

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

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Change the response."""
        kinds = (ERROR,) if self.refusals else (RESULT, ERROR)
        if frame.kind not in kinds or self.action not in ("", about.action):
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
class Delays(Mutant):
    """Sends its calls of an action late."""

    action: str
    seconds: float
    where: object = pattern.ANY

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Delay the call."""
        late = _is_of(frame, self.action, self.where)
        return [(self.seconds if late else 0.0, frame)]


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


def _is_of(frame: Frame, action: str, where: object) -> bool:
    return frame.is_request and frame.action == action and pattern.matches(frame.payload, where)


INVENTED = "invented-"


class MutantWire:
    """The device's end of a connection with a mutant in between."""

    def __init__(self, wire: TextWire, mutant: Mutant, clock: Clock) -> None:
        self._wire, self._mutant, self._clock = wire, deepcopy(mutant), clock
        self._tester_calls: dict[str, Context] = {}
        self._own_calls: dict[str, Context] = {}
        self._pending: asyncio.Queue[str | None] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def peer(self) -> str:
        """Name of the peer."""
        return self._wire.peer

    @property
    def subprotocol(self) -> str:
        """The negotiated subprotocol."""
        return self._wire.subprotocol

    async def receive(self) -> str | None:
        """Return the next message that the device receives."""
        if self._reader is None:
            self._reader = asyncio.get_running_loop().create_task(self._read())
        return await self._pending.get()

    async def _read(self) -> None:
        while (text := await self._wire.receive()) is not None:
            frame = read(text)
            if frame is None:
                self._pending.put_nowait(text)
                continue
            if frame.kind in (RESULT, ERROR) and frame.id.startswith(INVENTED):
                continue
            about = self._about(frame)
            passed = self._mutant.incoming(frame, about)
            if passed is not None:
                self._pending.put_nowait(passed.encoded())
                continue
            for other in self._mutant.instead(frame, about):
                with contextlib.suppress(ConnectionError):
                    await self._wire.send(other.encoded())
        self._pending.put_nowait(None)

    def _about(self, frame: Frame) -> Context:
        if frame.kind == CALL:
            about = self._tester_calls[frame.id] = Context(frame.action, frame.payload)
            return about
        return self._own_calls.get(frame.id, Context(""))

    async def send(self, text: str) -> None:
        """Send a message of the device as the mutant alters it."""
        frame = read(text)
        if frame is None:
            await self._wire.send(text)
            return
        if frame.kind == CALL:
            about = self._own_calls[frame.id] = Context(frame.action, frame.payload)
        else:
            about = self._tester_calls.get(frame.id, Context(""))
        own = self._mutant.to_itself(frame)
        if own is not None:
            self._pending.put_nowait(own.encoded())
        for delay, other in self._mutant.outgoing(frame, about):
            if delay:
                task = asyncio.get_running_loop().create_task(self._late(delay, other.encoded()))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                await self._wire.send(other.encoded())

    async def _late(self, delay: float, text: str) -> None:
        await self._clock.sleep(delay)
        with contextlib.suppress(ConnectionError):
            await self._wire.send(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection."""
        for task in self._tasks:
            task.cancel()
        await self._wire.close(code, reason)
