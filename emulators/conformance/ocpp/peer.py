"""The tester's end of one OCPP connection: records every message and sends what a case states, valid or not.

Unlike `protocols.ocpp.rpc`, it validates only what it receives, so that a case can send messages that break the rules.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count

import msgspec

from protocols.ocpp import schema
from protocols.ocpp.events import Answered, Lost, Refused, Reply, TimedOut
from protocols.ocpp.incoming import error_fields
from protocols.ocpp.rpc import encode
from protocols.ocpp.schema import Part, Payload, Version, Violation
from protocols.ports import Clock, TextWire

CALL_WITHIN = 30.0  # s for the response to a call


class Kind(IntEnum):
    """Message types (part 4, table 3)."""

    CALL = 2
    RESULT = 3
    ERROR = 4
    RESULT_ERROR = 5
    SEND = 6
    OTHER = 0


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a connection. `action` of a response is that of its call."""

    at: float  # s, monotonic
    wall: float  # Unix time
    from_device: bool
    kind: Kind
    id: str
    action: str
    payload: Payload
    text: str
    violation: Violation | None = None
    code: str = ""  # of an error


class NoAnswer(Exception):
    """Raised by the answering function for a call that gets no response."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """A CALLERROR as the response to a call."""

    code: str
    description: str = ""
    details: Payload = field(default_factory=dict)


Answering = Callable[[Message], Payload | ErrorAnswer]


class Peer:
    """One connection. `answering` returns the response to a call of the device, or raises NoAnswer."""

    def __init__(
        self,
        wire: TextWire,
        version: Version,
        clock: Clock,
        record: Callable[[Message], None],
        answering: Answering,
        prefix: str = "t",
    ) -> None:
        self.wire, self.version, self.clock = wire, version, clock
        self._record, self._answering = record, answering
        self._prefix, self._numbers = prefix, count(1)
        self._calls: dict[str, tuple[str, asyncio.Future[Reply]]] = {}
        self._sent: dict[str, str] = {}  # actions of all calls sent, by id
        self._of_device: dict[str, str] = {}  # actions of the device's calls, by id
        self.closed = asyncio.Event()

    async def run(self) -> None:
        """Read until the connection ends."""
        try:
            while (text := await self.wire.receive()) is not None:
                await self._receive(text)
        except ConnectionError:
            pass
        finally:
            self.closed.set()
            for _, reply in self._calls.values():
                if not reply.done():
                    reply.set_result(Lost())
            await self.wire.close()

    async def _receive(self, text: str) -> None:
        message = self._read(text, from_device=True)
        self._record(message)
        if message.kind is Kind.CALL:
            self._of_device[message.id] = message.action
            with contextlib.suppress(NoAnswer):
                await self._answer(message)
        elif message.kind in (Kind.RESULT, Kind.ERROR) and message.id in self._calls:
            _, reply = self._calls.pop(message.id)
            if not reply.done():
                reply.set_result(_reply(message))

    async def _answer(self, call: Message) -> None:
        answer = self._answering(call)
        if isinstance(answer, ErrorAnswer):
            await self.send_text(encode([Kind.ERROR, call.id, answer.code, answer.description, answer.details]))
        else:
            await self.send_text(encode([Kind.RESULT, call.id, answer]))

    async def call(self, action: str, payload: object, within: float = CALL_WITHIN, mid: str | None = None) -> Reply:
        """Send a CALL, valid or not, and return its reply."""
        mid = mid or f"{self._prefix}{next(self._numbers)}"
        return await self.frame(mid, action, encode([Kind.CALL, mid, action, payload]), within)

    async def frame(self, mid: str, action: str, text: str, within: float = CALL_WITHIN) -> Reply:
        """Send a text and return the reply to its message id."""
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._calls[mid] = (action, reply)
        self._sent[mid] = action
        try:
            await self.send_text(text)
            async with self.clock.timeout_at(self.clock.now() + within):
                return await reply
        except TimeoutError:
            return TimedOut()
        except ConnectionError:
            return Lost()
        finally:
            self._calls.pop(mid, None)

    async def send_text(self, text: str) -> None:
        """Send a text as it is."""
        self._record(self._read(text, from_device=False))
        await self.wire.send(text)

    async def close(self) -> None:
        """Close the connection."""
        await self.wire.close()

    def _read(self, text: str, *, from_device: bool) -> Message:
        """Return a message with the violation of its schema."""
        kind, mid, action, payload, violation, code = Kind.OTHER, "", "", Payload(), None, ""
        with contextlib.suppress(msgspec.MsgspecError, ValueError):
            decoded = msgspec.json.decode(text)
            if isinstance(decoded, list) and len(decoded) >= 2 and decoded[0] in list(Kind):
                kind, mid = Kind(decoded[0]), str(decoded[1])
                answered = self._sent if from_device else self._of_device
                if kind in (Kind.CALL, Kind.SEND) and len(decoded) >= 4:
                    action, content, part = str(decoded[2]), decoded[3], _PARTS[kind]
                elif kind is Kind.RESULT and len(decoded) >= 3:
                    action, content, part = answered.get(mid, ""), decoded[2], Part.RESPONSE
                else:
                    action, content, part = answered.get(mid, ""), None, Part.RESPONSE
                    code = error_fields(decoded)[0]
                    content = {"errorCode": code, "errorDescription": error_fields(decoded)[1]}
                payload = content if isinstance(content, dict) else {}
                violation = self._violation(kind, action, part, content)
        now = self.clock.now(), self.clock.wall()
        return Message(*now, from_device, kind, mid, action, payload, text, violation, code)

    def _violation(self, kind: Kind, action: str, part: Part, content: object) -> Violation | None:
        if kind not in (Kind.CALL, Kind.RESULT, Kind.SEND) or not action:
            return None
        try:
            return schema.violation(self.version, action, part, content)
        except KeyError:
            return Violation(schema.ErrorCode.NOT_IMPLEMENTED, "", f"OCPP {self.version.number} has no {action}")


_PARTS = {Kind.CALL: Part.REQUEST, Kind.SEND: Part.SEND}


def _reply(message: Message) -> Reply:
    if message.kind is Kind.ERROR:
        return Refused(message.code, str(message.payload.get("errorDescription", "")))
    return Answered(message.payload, message.violation)
