"""An OCPP connection over a message stream: a WebSocket, or a wire in memory. No protocol rules.

`Link` runs one end of one connection: it feeds the engine, calls handlers and completes outgoing calls. Calls of the
peer are handled one after the other; a handler that waits (and may call the peer) does not block reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from protocols.ocpp import rpc
from protocols.ocpp.rpc import (
    AnswerIgnored,
    CallReceived,
    CallTimedOut,
    ErrorReceived,
    Refusal,
    ResultReceived,
    Rpc,
    SendReceived,
)
from protocols.ocpp.schema import ErrorCode, Payload, Violation
from protocols.ports import Clock, TextWire

log = logging.getLogger("v2x.ocpp")


@dataclass(frozen=True, slots=True)
class Answered:
    """The peer responded; `violation` is set where the response breaks the schema."""

    payload: Payload
    violation: Violation | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The peer responded with a CALLERROR."""

    code: str
    description: str = ""
    details: Payload = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The peer did not respond in time."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection ended before a response arrived."""


Reply: TypeAlias = Answered | Refused | TimedOut | Lost
Handler: TypeAlias = Callable[[CallReceived], Payload | Awaitable[Payload]]


class Link:
    """One end of one connection.

    `handle` responds to calls, directly or as a coroutine, and raises `Refusal` for a CALLERROR. `observe` receives
    every event of the engine except calls, such as violations and late responses, before it is processed.
    """

    __slots__ = (
        "_flushing",
        "_handle",
        "_inbox",
        "_observe",
        "_on_send",
        "_replies",
        "_wakes_at",
        "_watch",
        "_worker",
        "clock",
        "closed",
        "engine",
        "wire",
    )

    def __init__(
        self,
        wire: TextWire,
        engine: Rpc,
        handle: Handler,
        clock: Clock,
        observe: Callable[[rpc.Event], None] | None = None,
        on_send: Callable[[SendReceived], None] | None = None,
    ) -> None:
        self.wire, self.engine, self.clock = wire, engine, clock
        self._handle, self._observe, self._on_send = handle, observe, on_send
        self._replies: dict[str, asyncio.Future[Reply]] = {}
        self._inbox: deque[CallReceived] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._wakes_at = float("-inf")
        self._flushing = False
        self.closed = False

    async def run(self) -> None:
        """Read until the stream ends. Pending calls then return `Lost`."""
        engine, wire, clock = self.engine, self.wire, self.clock
        push_to = getattr(wire, "push_to", None)
        if push_to is not None:
            push_to(self._pushed)
        try:
            await self._flush()
            while (text := await wire.receive()) is not None:
                for event in engine.receive(text, clock.now()):
                    self._take(event)
                await self._flush()
        except ConnectionError:
            pass
        finally:
            await self.close()

    def _pushed(self, text: str) -> list[str]:
        """Process one message from a wire that pushes messages; return the messages to send at once."""
        for event in self.engine.receive(text, self.clock.now()):
            self._take(event)
        return [] if self._flushing or self.closed else self.engine.data_to_send()

    async def call(self, action: str, payload: Payload, timeout: float | None = None) -> Reply:
        """Send a CALL and wait for its response. Raises LocalProtocolError, without sending, if the payload breaks its
        schema."""
        if self.closed:
            return Lost()
        mid = self.engine.call(action, payload, self.clock.now(), timeout)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[mid] = reply
        self._ensure_watch()
        try:
            await self._flush()
            return await reply
        except ConnectionError:
            return Lost()
        finally:
            if self._replies.pop(mid, None) is not None and not self.closed:
                self.engine.cancel(mid, self.clock.now())

    async def send(self, action: str, payload: Payload) -> None:
        """Send a SEND, which has no response (2.1)."""
        self.engine.send(action, payload)
        await self._flush()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; idempotent."""
        if self.closed:
            return
        self.closed = True
        for reply in self._replies.values():
            if not reply.done():
                reply.set_result(Lost())
        self._replies.clear()
        self._inbox.clear()
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        await self.wire.close(code, reason)

    def _take(self, event: rpc.Event) -> None:
        if type(event) is CallReceived:
            if self._worker is None and not self._inbox:
                self._begin(event)
            else:
                self._inbox.append(event)
            return
        if self._observe is not None:
            self._observe(event)
        if isinstance(event, ResultReceived):
            self._complete(event.id, Answered(event.payload, event.violation))
        elif isinstance(event, ErrorReceived):
            self._complete(event.id, Refused(event.code, event.description, event.details))
        elif isinstance(event, CallTimedOut):
            self._complete(event.id, TimedOut())
        elif isinstance(event, SendReceived) and self._on_send is not None:
            self._on_send(event)
        elif isinstance(event, AnswerIgnored):
            log.info("%s: response without a pending call: %s %s", self.wire.peer, event.id, event.action or "")

    def _complete(self, mid: str, reply: Reply) -> None:
        future = self._replies.pop(mid, None)
        if future is not None and not future.done():
            future.set_result(reply)

    # calls of the peer

    def _begin(self, call: CallReceived) -> None:
        try:
            outcome = self._handle(call)
        except Exception as error:
            self._failed(call, error)
            return
        if isinstance(outcome, dict):
            self._answer(call, outcome)
        else:
            self._worker = asyncio.get_running_loop().create_task(self._work(call, outcome))

    async def _work(self, call: CallReceived, outcome: Awaitable[Payload]) -> None:
        try:
            try:
                self._answer(call, await outcome)
            except Exception as error:
                self._failed(call, error)
            await self._flush()
        except ConnectionError:
            await self.close()
        self._worker = None
        while self._inbox and self._worker is None:
            self._begin(self._inbox.popleft())
        with contextlib.suppress(ConnectionError):
            await self._flush()

    def _answer(self, call: CallReceived, payload: Payload) -> None:
        for event in self.engine.answer(call, payload):
            log.error("%s: invalid response to %s: %s", self.wire.peer, call.action, event)
            if self._observe is not None:
                self._observe(event)

    def _failed(self, call: CallReceived, error: Exception) -> None:
        if isinstance(error, Refusal):
            self.engine.refuse(call, error.reason, error.description, error.details)
            return
        log.exception("%s: handling %s failed", self.wire.peer, call.action, exc_info=error)
        self.engine.refuse(call, ErrorCode.INTERNAL_ERROR, f"{call.action} could not be processed")

    # time and the wire

    def _ensure_watch(self) -> None:
        deadline = self.engine.deadline()
        if self._watch is not None and not self._watch.done():
            if deadline is None or deadline >= self._wakes_at:
                return
            self._watch.cancel()  # it sleeps beyond the deadline of the new call
        self._watch = asyncio.get_running_loop().create_task(self._expire())

    async def _expire(self) -> None:
        """Sleep until the outstanding call times out; one task serves consecutive calls."""
        try:
            while (deadline := self.engine.deadline()) is not None:
                self._wakes_at = deadline
                await self.clock.sleep(max(0.0, deadline - self.clock.now()))
                self._wakes_at = float("-inf")  # active: must not be cancelled
                for event in self.engine.expire(self.clock.now()):
                    self._take(event)
                await self._flush()
        except ConnectionError:
            await self.close()

    async def _flush(self) -> None:
        if self._flushing:
            return
        self._flushing = True
        try:
            while out := self.engine.data_to_send():
                for text in out:
                    await self.wire.send(text)
        finally:
            self._flushing = False
