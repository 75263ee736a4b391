"""Messages on their way to NATS: those of one step of the event loop to one subject travel as one.

The client of NATS costs several times what a message of a station costs here. No message waits for others: a batch has
what is there when the client can take it, which is one message at low load and tens in a storm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.cluster import messages
from gateway.cluster.messages import MAX_BYTES

Publish = Callable[[str, bytes], Awaitable[None]]


class Outbox:
    """Queue of encoded messages by subject. Messages to one subject stay in order."""

    def __init__(self) -> None:
        self._queued: dict[str, list[bytes]] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.dropped = 0

    def put(self, subject: str, data: bytes) -> None:
        """Queue a message."""
        self._queued.setdefault(subject, []).append(data)
        self._idle.clear()
        self._wake.set()

    async def flushed(self) -> None:
        """Return when everything so far has been handed to the client."""
        await self._idle.wait()

    async def run(self, publish: Publish, failures: tuple[type[Exception], ...]) -> None:
        """Publish until cancelled; what fails is dropped and counted."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            queued, self._queued = self._queued, {}
            for subject, batch in queued.items():
                for part in parts(batch):
                    try:
                        await publish(subject, messages.pack(part))
                    except failures:  # too many messages while no server is connected
                        self.dropped += len(part)
            if not self._queued:
                self._idle.set()


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
