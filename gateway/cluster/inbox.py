"""Messages of other instances as NATS delivers them: in order, and a few in a turn of the event loop.

A message is processed in the step that reads it from the connection, unless one before it waits for its turn. What a
handler returns as an awaitable is completed by a task, so that what comes after it does not wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from gateway.cluster import messages
from gateway.cluster.messages import ClusterMessage, Failed, Message

MESSAGES_PER_TURN = 8  # of the event loop
MAX_WAITING = 100_000  # messages; more come only where this process gets too little time for seconds
Outcome: TypeAlias = Message | None  # the answer to a request
Handler: TypeAlias = Callable[[Message], Outcome | Awaitable[Outcome]]
Respond: TypeAlias = Callable[[str, bytes], Awaitable[None]]


class Inbox:
    """Messages to one instance. `failed` is called with the error of a handler."""

    def __init__(self, instance: str, handle: Handler, respond: Respond, failed: Callable[[str], None]) -> None:
        self._instance, self._handle, self._respond, self._failed = instance, handle, respond, failed
        self._waiting: deque[tuple[Message, str]] = deque()
        self._in_turn = 0  # messages that were processed in this turn of the event loop, or the ones before
        self._pausing = False  # until the next turn
        self._serving: set[asyncio.Task[None]] = set()

    def put(self, data: bytes, reply: str) -> None:
        """Take what was sent together; `reply` is the subject of the answer to a request, else empty.

        Beyond `MAX_WAITING` it is dropped, as NATS drops what no subscriber can take.
        """
        if len(self._waiting) >= MAX_WAITING:
            self._failed(f"messages of other instances are dropped, since {MAX_WAITING} wait")
        elif not reply:
            self._waiting.extend((one, "") for one in messages.unpack(data))
        elif (request := messages.decode(data)) is not None:
            self._waiting.append((request, reply))
        else:
            refusal = Failed("", f"instance {self._instance} does not know this request; its version differs")
            self._start(self._respond(reply, messages.encode(refusal)))
        if not self._pausing:
            self._process()

    def close(self) -> None:
        """Drop what waits, and end what runs."""
        self._waiting.clear()
        for task in self._serving:
            task.cancel()

    def _process(self) -> None:
        while self._waiting:
            if self._in_turn >= MESSAGES_PER_TURN:
                self._pausing = True
                asyncio.get_running_loop().call_soon(self._resume)  # so that what else is ready has its turn
                return
            self._in_turn += 1
            message, reply = self._waiting.popleft()
            try:
                outcome = self._handle(message)
            except Exception as error:
                self._failed(str(error) or type(error).__name__)
                continue
            if isinstance(outcome, ClusterMessage):
                if reply:
                    self._start(self._respond(reply, messages.encode(outcome)))
            elif outcome is not None:
                self._start(self._serve(outcome, reply))

    def _resume(self) -> None:
        self._pausing, self._in_turn = False, 0
        self._process()

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, outcome: Awaitable[Outcome], reply: str) -> None:
        answer = await outcome
        if answer is not None and reply:
            await self._respond(reply, messages.encode(answer))
