"""Results on their way to the broker."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gateway.model.journal import Phase
from gateway.mqtt.quarantine import Quarantine
from protocols.ports import Bus, BusMessage

MAX_PENDING = 20_000  # results
MAX_IN_FLIGHT = 100  # results


@dataclass(slots=True)
class PendingResult:
    """One result and the messages that carry it; `sent` of them are acknowledged or set aside."""

    messages: tuple[BusMessage, ...]
    command: str
    phase: Phase | None
    sent: int = 0


class Outbox:
    """Queue of results that the broker has not acknowledged yet; `run` sends them over one link, several at once.

    Beyond `MAX_PENDING` the oldest are dropped from memory; the store still has them, and they are sent at the next
    start.
    """

    def __init__(self, delivered: Callable[[str, Phase], None], quarantine: Quarantine) -> None:
        self._delivered = delivered
        self._quarantine = quarantine
        self._pending: OrderedDict[int, PendingResult] = OrderedDict()
        self._number = 0
        self._new = asyncio.Event()

    def __len__(self) -> int:
        return len(self._pending)

    def put(self, result: PendingResult) -> None:
        """Queue a result."""
        self._number += 1
        self._pending[self._number] = result
        while len(self._pending) > MAX_PENDING:
            self._pending.popitem(last=False)
        self._new.set()

    async def run(self, bus: Bus) -> None:
        """Send until cancelled or the link breaks (ConnectionError); unacknowledged results stay queued."""
        sent = 0
        slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        async with asyncio.TaskGroup() as in_flight:
            while True:
                self._new.clear()
                for number, result in [(n, r) for n, r in self._pending.items() if n > sent]:
                    await slots.acquire()
                    sent = number
                    in_flight.create_task(self._send(bus, number, result, slots))
                await self._new.wait()

    async def _send(self, bus: Bus, number: int, result: PendingResult, slots: asyncio.Semaphore) -> None:
        try:
            for message in result.messages[result.sent :]:
                await self._quarantine.publish(bus, message)
                result.sent += 1
            self._pending.pop(number, None)
            if result.phase is not None:
                self._delivered(result.command, result.phase)
        finally:
            slots.release()
