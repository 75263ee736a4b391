"""The connection of OCPP-J: the WebSocket, and the adapter that runs the RPC engine over a message stream.

`Link` runs one end of one connection over a WebSocket or a wire in memory: it feeds the engine, calls handlers and
completes outgoing calls. Calls of the peer are handled one after the other; a handler that waits (and may call the
peer) does not block reading. No rule of the protocol is implemented here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event

from protocols.ocpp import events
from protocols.ocpp.errors import Refusal
from protocols.ocpp.events import Answered, CallReceived, Lost, Priority, Refused, Reply, SendReceived, TimedOut
from protocols.ocpp.rpc import Rpc
from protocols.ocpp.schema import ErrorCode, Payload
from protocols.ports import Clock, PushesText, TextWire

log = logging.getLogger("v2x.ocpp")

FRAME_LENGTH = 1024 * 1024  # bytes; longer frames close the connection; `rpc` rejects shorter oversized messages
PING_INTERVAL = 20.0  # s
PING_TIMEOUT = 20.0  # s without a pong until the connection counts as lost
CLOSE_WITHIN = 5.0  # s
ANSWER_CHECKED_EVERY = 0.05  # s
MAX_UNSENT = 32_768  # bytes that wait for the peer to read, until a sender waits
_TEXT = Opcode.TEXT  # a member of an enum is slow to look up
_MESSAGE_PARTS = (_TEXT, Opcode.BINARY, Opcode.CONT)

Handler: TypeAlias = Callable[[CallReceived], Payload | Awaitable[Payload]]


class Link:
    """One end of one connection.

    `handle` responds to calls, directly or as a coroutine, and raises `Refusal` for a CALLERROR. `observe` receives
    every event of the engine except calls, such as violations and late responses, before it is processed; `on_sent`
    receives the messages that are sent.
    """

    __slots__ = (
        "_flusher", "_flushing", "_handle", "_inbox", "_observe", "_on_send", "_on_sent", "_replies", "_turns",
        "_wakes_at", "_watch", "_worker", "clock", "closed", "engine", "wire",
    )  # fmt: skip

    def __init__(
        self,
        wire: TextWire,
        engine: Rpc,
        handle: Handler,
        clock: Clock,
        observe: Callable[[events.Event], None] | None = None,
        on_send: Callable[[SendReceived], None] | None = None,
        on_sent: Callable[[list[str]], None] | None = None,
    ) -> None:
        self.wire, self.engine, self.clock = wire, engine, clock
        self._handle, self._observe, self._on_send, self._on_sent = handle, observe, on_send, on_sent
        self._replies: dict[str, asyncio.Future[Reply]] = {}
        self._turns: list[asyncio.Future[None]] = []  # of those in `free`
        self._inbox: list[CallReceived] = []
        self._worker: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._wakes_at = float("-inf")
        self._flusher: asyncio.Task[None] | None = None  # after a call that was cancelled
        self._flushing = self.closed = False

    async def run(self) -> None:
        """Read until the stream ends. Pending calls then return `Lost`."""
        engine, wire, clock = self.engine, self.wire, self.clock
        if isinstance(wire, PushesText):
            wire.push_to(self._pushed)
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
        return [] if self._flushing or self.closed else self._outgoing()

    def hurry(self, priority: Priority = Priority.URGENT) -> None:
        """Shorten the wait for the response to a call that is less urgent."""
        self.engine.hurry(self.clock.now(), priority)
        self._ensure_watch()

    async def call(
        self, action: str, payload: Payload, timeout: float | None = None, priority: Priority = Priority.NORMAL
    ) -> Reply:
        """Send a CALL and wait for its response. Raises LocalProtocolError if the payload breaks its schema."""
        while priority is Priority.HOUSEKEEPING and self._turns and not self.closed:
            await asyncio.wait(self._turns)
        if self.closed:
            return Lost()
        mid = self.engine.call(action, payload, self.clock.now(), timeout, priority)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[mid] = reply
        self._ensure_watch()
        try:
            await self._flush()
            return await reply
        except ConnectionError:
            return Lost()
        finally:
            reply.cancel()  # where it was not received, so that `free` does not wait for it
            if self._replies.pop(mid, None) is not None and not self.closed:
                self.engine.cancel(mid, self.clock.now())
                if self.engine.deadline() is not None:  # the next call was sent instead
                    self._ensure_watch()
                    self._flusher = asyncio.get_running_loop().create_task(self._flush_or_end())

    async def free(self, priority: Priority = Priority.NORMAL) -> None:
        """Return when a call is sent at once, in the same step, or the connection has ended; housekeeping waits."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            while self._replies:
                self.hurry(priority)
                await asyncio.wait(self._replies.values(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._turns.remove(turn)
            turn.set_result(None)

    @property
    def calls_waiting(self) -> int:
        """Number of calls that wait for their response."""
        return len(self._replies)

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

    def _take(self, event: events.Event) -> None:
        if type(event) is CallReceived:
            if self._worker is None and not self._inbox:
                self._begin(event)
            else:
                self._inbox.append(event)
            return
        if self._observe is not None:
            self._observe(event)
        if isinstance(event, events.ResultReceived):
            self._complete(event.id, Answered(event.payload, event.violation))
        elif isinstance(event, events.ErrorReceived):
            self._complete(event.id, Refused(event.code, event.description, event.details))
        elif isinstance(event, events.CallTimedOut):
            self._complete(event.id, TimedOut())
        elif isinstance(event, SendReceived) and self._on_send is not None:
            self._on_send(event)
        elif isinstance(event, events.AnswerIgnored):
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
            self._answer(call, await outcome)
        except Exception as error:
            self._failed(call, error)
        await self._flush_or_end()
        self._worker = None
        while self._inbox and self._worker is None:
            self._begin(self._inbox.pop(0))
        await self._flush_or_end()

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

    def _ensure_watch(self) -> None:
        deadline = self.engine.deadline()
        if self._watch is not None and not self._watch.done():
            if deadline is None or deadline >= self._wakes_at:
                return
            self._watch.cancel()  # it sleeps beyond the deadline of the new call
        self._watch = asyncio.get_running_loop().create_task(self._expire())

    async def _expire(self) -> None:
        """Sleep until the outstanding call times out; one task serves consecutive calls."""
        while not self.closed and (deadline := self.engine.deadline()) is not None:
            self._wakes_at = deadline
            await self.clock.sleep(max(0.0, deadline - self.clock.now()))
            self._wakes_at = float("-inf")  # active: must not be cancelled
            for event in self.engine.expire(self.clock.now()):
                self._take(event)
            await self._flush_or_end()

    async def _flush_or_end(self) -> None:
        try:
            await self._flush()
        except ConnectionError:
            await self.close()

    async def _flush(self) -> None:
        if self._flushing:
            return
        self._flushing = True
        try:
            while out := self._outgoing():
                for text in out:
                    await self.wire.send(text)
        finally:
            self._flushing = False

    def _outgoing(self) -> list[str]:
        out = self.engine.data_to_send()
        if out and self._on_sent is not None:
            self._on_sent(out)
        return out


class PushingConnection(ServerConnection):
    """A server connection that passes whole text messages on as they arrive, without waking a reader for each.

    That halves the cost of a small message. All other cases (a fragmented message, a peer that does not read, a message
    that follows one of these) use the ordinary queue and its reader, which preserves order and back-pressure.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sink: Callable[[str], list[str]] | None = None
        self.queued = 0  # messages in the ordinary queue
        self._received_at = 0.0  # loop time of the last data
        self._fragmented = False

    def data_received(self, data: bytes) -> None:
        """Process data; any data proves that the connection works."""
        self._received_at = self.loop.time()
        super().data_received(data)

    async def keepalive(self) -> None:
        """Send a Ping at regular intervals, and close the connection of a peer that sends nothing at all."""
        assert self.ping_interval is not None
        self._received_at = self.loop.time()
        while True:
            await asyncio.sleep(self.ping_interval)
            silent_s = self.loop.time() - self._received_at
            if self.ping_timeout is not None and silent_s >= self.ping_interval + self.ping_timeout:
                if self.paused:  # it does not read either: not even a Close frame
                    self.transport.abort()
                    return
                async with self.send_context():
                    self.protocol.fail(CloseCode.INTERNAL_ERROR, "nothing was received, not even a Pong")
                return
            self.protocol.send_ping(b"")
            self.send_data()

    async def answers(self, within_s: float) -> bool:
        """Send a Ping; return whether anything arrives after it in time."""
        sent_at = self.loop.time()
        try:
            self.protocol.send_ping(b"")
            self.send_data()
        except (ConnectionClosed, InvalidState, OSError):
            return False
        for _ in range(round(within_s / ANSWER_CHECKED_EVERY)):
            await asyncio.sleep(ANSWER_CHECKED_EVERY)
            if self._received_at > sent_at:
                return True
        return False

    def process_event(self, event: Event) -> None:
        """Process one frame, or the handshake."""
        if self.sink is not None and isinstance(event, Frame) and event.opcode in _MESSAGE_PARTS:
            whole = event.fin and event.opcode is _TEXT and not self._fragmented
            if whole and not self.queued and not self.paused and self._push(event, self.sink):
                return
            self._fragmented = not event.fin
            self.queued += event.fin
        super().process_event(event)

    def _push(self, frame: Frame, sink: Callable[[str], list[str]]) -> bool:
        try:
            text = str(frame.data, "utf-8")
        except UnicodeDecodeError:
            return False  # the reader closes the connection (RFC 6455)
        all(map(self.send_at_once, sink(text)))  # the reader detects the end
        return True

    def send_at_once(self, text: str) -> bool:
        """Send one message without waiting; False where the connection has ended."""
        try:
            self.protocol.send_text(text.encode())
            self.send_data()
        except (ConnectionClosed, InvalidState, OSError):
            return False
        return True


class WebSocketWire:
    """A WebSocket as a `TextWire`."""

    __slots__ = ("_socket",)

    def __init__(self, socket: Connection) -> None:
        self._socket = socket

    def push_to(self, sink: Callable[[str], list[str]]) -> None:
        """Pass messages to `sink`, which returns the messages to send, instead of to `receive` where possible."""
        if isinstance(self._socket, PushingConnection):
            self._socket.sink = sink

    @property
    def peer(self) -> str:
        """Address and port of the peer."""
        address = self._socket.remote_address
        return f"{address[0]}:{address[1]}" if address else "closed"

    @property
    def subprotocol(self) -> str:
        """The negotiated subprotocol; empty without one."""
        return self._socket.subprotocol or ""

    async def receive(self) -> str | None:
        """Return the next message; binary frames are read as text, as OCPP has no others."""
        try:
            message = await self._socket.recv()
        except ConnectionClosed:
            return None
        if isinstance(self._socket, PushingConnection) and self._socket.queued:
            self._socket.queued -= 1
        return message if isinstance(message, str) else bytes(message).decode("utf-8", "replace")

    async def send(self, text: str) -> None:
        """Send one message. Raises ConnectionError when the connection has ended."""
        try:
            await self._socket.send(text)
        except ConnectionClosed as error:
            raise ConnectionError(str(error)) from error

    def send_at_once(self, text: str) -> bool:
        """Send one message without waiting, where the peer reads what it is sent; False: it was not sent."""
        socket = self._socket
        if not isinstance(socket, PushingConnection) or socket.transport.get_write_buffer_size() > MAX_UNSENT:
            return False
        return socket.send_at_once(text)

    async def answers(self, within_s: float) -> bool:
        """Return whether the peer of a connection of the server answers to a Ping in time."""
        return not isinstance(self._socket, PushingConnection) or await self._socket.answers(within_s)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a handshake; the reason is truncated to the 123 bytes of a close frame."""
        await self._socket.close(code, reason.encode()[:123].decode(errors="ignore"))
