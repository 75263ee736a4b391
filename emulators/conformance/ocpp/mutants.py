"""Mutants: devices that break exactly one rule, made of a sound device and a wire that alters its messages.

A mutant is declared beside the case that has to fail on it. It stands at the device's end of the connection: it alters,
drops, delays, repeats or invents messages of the device, and hides or alters those of the tester.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from emulators.conformance.ocpp import pattern
from protocols.ocpp.rpc import encode
from protocols.ocpp.schema import Payload
from protocols.ports import Clock, TextWire

Change: TypeAlias = Payload | Callable[[Payload], Payload]  # members to replace, None removes; or a function
CALL, RESULT, ERROR = 2, 3, 4
Frame: TypeAlias = list[Any]  # a message as JSON has it


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
        if frame[0] not in (RESULT, ERROR) or about.action != self.action:
            return [(0.0, frame)]
        if not pattern.matches(about.request, self.when):
            return [(0.0, frame)]
        before = frame[2] if frame[0] == RESULT and not self.whole else {}
        return [(0.0, [RESULT, frame[1], changed(before, self.change)])]


@dataclass(frozen=True)
class Errors(Mutant):
    """Responds to an action with another CALLERROR code; None leaves the request without a response."""

    action: str  # empty: any
    code: str | None = "InternalError"
    mid: str | None = None

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Change the response."""
        if frame[0] not in (RESULT, ERROR) or self.action not in ("", about.action):
            return [(0.0, frame)]
        if self.code is None:
            return []
        return [(0.0, [ERROR, frame[1] if self.mid is None else self.mid, self.code, "", {}])]


@dataclass(frozen=True)
class Sends(Mutant):
    """Sends a changed payload in its own calls of an action."""

    action: str
    change: Change
    where: object = pattern.ANY

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Change the call."""
        if frame[0] not in (CALL, 6) or frame[2] != self.action or not pattern.matches(frame[3], self.where):
            return [(0.0, frame)]
        return [(0.0, [frame[0], frame[1], frame[2], changed(frame[3], self.change)])]


@dataclass(frozen=True)
class Omits(Mutant):
    """Does not send its calls of an action; the device itself receives `response`."""

    action: str
    where: object = pattern.ANY
    response: Payload = field(default_factory=dict)

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Drop the call."""
        return [] if self._is_omitted(frame) else [(0.0, frame)]

    def to_itself(self, frame: Frame) -> Frame | None:
        """Answer the dropped call."""
        return [RESULT, frame[1], self.response] if self._is_omitted(frame) and frame[0] == CALL else None

    def _is_omitted(self, frame: Frame) -> bool:
        return frame[0] in (CALL, 6) and frame[2] == self.action and pattern.matches(frame[3], self.where)


@dataclass(frozen=True)
class Delays(Mutant):
    """Sends its calls of an action late."""

    action: str
    seconds: float
    where: object = pattern.ANY

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Delay the call."""
        late = frame[0] in (CALL, 6) and frame[2] == self.action and pattern.matches(frame[3], self.where)
        return [(self.seconds if late else 0.0, frame)]


@dataclass(frozen=True)
class LateAnswers(Mutant):
    """Responds to an action late, after messages that it sends meanwhile."""

    action: str
    seconds: float

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Delay the response."""
        late = frame[0] in (RESULT, ERROR) and about.action == self.action
        return [(self.seconds if late else 0.0, frame)]


@dataclass(frozen=True)
class Pretends(Mutant):
    """Responds to an action without performing it."""

    action: str
    response: Payload = field(default_factory=dict)
    when: object = pattern.ANY

    def incoming(self, frame: Frame, about: Context) -> Frame | None:
        """Hide the request."""
        return None if self._is_hidden(frame) else frame

    def instead(self, frame: Frame, about: Context) -> Iterable[Frame]:
        """Respond to the hidden request."""
        return [[RESULT, frame[1], self.response]]

    def _is_hidden(self, frame: Frame) -> bool:
        return frame[0] == CALL and frame[2] == self.action and pattern.matches(frame[3], self.when)


@dataclass(frozen=True)
class Misreads(Mutant):
    """Receives requests of an action changed, or responses to its own."""

    action: str
    change: Change
    when: object = pattern.ANY
    response: bool = False  # of the tester, to a call of the device

    def incoming(self, frame: Frame, about: Context) -> Frame | None:
        """Change what is received."""
        if about.action != self.action or frame[0] != (RESULT if self.response else CALL):
            return frame
        place = 2 if self.response else 3
        if not pattern.matches(frame[place], self.when):
            return frame
        return [*frame[:place], changed(frame[place], self.change), *frame[place + 1 :]]


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
        invented = [CALL, f"{INVENTED}{frame[1]}"[:36], self.action, deepcopy(self.payload)]
        if self.on_response:
            found = frame[0] == RESULT and about.action == self.after and pattern.matches(frame[2], self.where)
        else:
            found = frame[0] == CALL and frame[2] == self.after and pattern.matches(frame[3], self.where)
        return [(0.0, frame), (self.seconds, invented)] if found else [(0.0, frame)]


@dataclass(frozen=True)
class Mute(Mutant):
    """Does not respond to a frame that is no proper call."""

    def outgoing(self, frame: Frame, about: Context) -> Iterable[tuple[float, Frame]]:
        """Drop errors."""
        return [] if frame[0] == ERROR else [(0.0, frame)]


INVENTED = "invented-"


class MutantWire:
    """The device's end of a connection with a mutant in between."""

    def __init__(self, wire: TextWire, mutant: Mutant, clock: Clock) -> None:
        self._wire, self._mutant, self._clock = wire, mutant, clock
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
            frame = _frame(text)
            if frame is None:
                self._pending.put_nowait(text)
                continue
            if frame[0] in (RESULT, ERROR) and str(frame[1]).startswith(INVENTED):
                continue
            about = self._about(frame)
            passed = self._mutant.incoming(frame, about)
            if passed is not None:
                self._pending.put_nowait(text if passed is frame else encode(passed))
                continue
            for other in self._mutant.instead(frame, about):
                with contextlib.suppress(ConnectionError):
                    await self._wire.send(encode(other))
        self._pending.put_nowait(None)

    def _about(self, frame: Frame) -> Context:
        if frame[0] == CALL and len(frame) > 3 and isinstance(frame[3], dict):
            about = Context(str(frame[2]), frame[3])
            self._tester_calls[str(frame[1])] = about
            return about
        return self._own_calls.get(str(frame[1]), Context(""))

    async def send(self, text: str) -> None:
        """Send a message of the device as the mutant alters it."""
        frame = _frame(text)
        if frame is None:
            await self._wire.send(text)
            return
        if frame[0] == CALL:
            about = self._own_calls[str(frame[1])] = Context(str(frame[2]), frame[3])
        else:
            about = self._tester_calls.get(str(frame[1]), Context(""))
        own = self._mutant.to_itself(frame)
        if own is not None:
            self._pending.put_nowait(encode(own))
        for delay, other in self._mutant.outgoing(frame, about):
            if delay:
                task = asyncio.get_running_loop().create_task(self._late(delay, encode(other)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                await self._wire.send(text if other is frame else encode(other))

    async def _late(self, delay: float, text: str) -> None:
        await self._clock.sleep(delay)
        with contextlib.suppress(ConnectionError):
            await self._wire.send(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection."""
        for task in self._tasks:
            task.cancel()
        await self._wire.close(code, reason)


def _frame(text: str) -> Frame | None:
    try:
        decoded = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError):
        return None
    return decoded if isinstance(decoded, list) and len(decoded) >= 3 else None
