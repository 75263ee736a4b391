"""Messages on their way to NATS: those of one turn of the event loop to one subject travel as one.

The client of NATS costs several times what a message of a station costs here. No message waits for others: a batch has
what one turn brought, which is one message at low load and tens in a storm. They are written in the next turn, in one
step; what the connection does not take at present is published by a task, in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.cluster import messages
from gateway.cluster.messages import MAX_BYTES

Publish = Callable[[str, bytes], Awaitable[None]]
PublishAtOnce = Callable[[list[tuple[str, bytes]]], bool]


def _waits(_: list[tuple[str, bytes]]) -> bool:
    return False


class Outbox:
    """Queue of encoded messages by subject. Messages to one subject stay in order.

    `at_once` writes messages, or returns False and writes none: they are left to `run`.
    """

    def __init__(self, at_once: PublishAtOnce = _waits) -> None:
        self._at_once = at_once
        self._queued: dict[str, list[bytes]] = {}
        self._sending = False  # what is queued will be taken in a later turn
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.dropped = 0

    def put(self, subject: str, data: bytes) -> None:
        """Queue a message."""
        self._queued.setdefault(subject, []).append(data)
        if not self._sending:
            self._sending = True
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._send)

    async def flushed(self) -> None:
        """Return when everything so far has been handed to the client."""
        await self._idle.wait()

    def _send(self) -> None:
        if self._at_once(_packed(self._queued)):
            self._queued = {}
            self._done()
        else:
            self._wake.set()

    def _done(self) -> None:
        self._sending = False
        self._idle.set()

    async def run(self, publish: Publish, failures: tuple[type[Exception], ...]) -> None:
        """Publish what cannot be written at once, until cancelled; what fails is dropped and counted."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queued:
                queued, self._queued = self._queued, {}
                for subject, batch in queued.items():
                    for part in parts(batch):
                        try:
                            await publish(subject, messages.pack(part))
                        except failures:  # too many messages while no server is connected
                            self.dropped += len(part)
            self._done()


def _packed(queued: dict[str, list[bytes]]) -> list[tuple[str, bytes]]:
    return [(subject, messages.pack(part)) for subject, batch in queued.items() for part in parts(batch)]


def parts(batch: list[bytes]) -> list[list[bytes]]:
    """Divide messages into batches that NATS transports."""
    found: list[list[bytes]] = []
    size = 0
    for data in batch:
        if not found or size + len(data) > MAX_BYTES:
            found.append([])
            size = 0
        found[-1].append(data)
        size += len(data)
    return found
