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
URGENT_IN_FLIGHT = 50
SLOW_FROM = 1000  # results that wait


@dataclass(slots=True)
class PendingResult:
    """One result and the messages that carry it; `sent` of them are acknowledged or set aside."""

    messages: tuple[BusMessage, ...]
    command: str
    phase: Phase | None
    sent: int = 0


class Outbox:
    """Queue of results that the broker has not acknowledged yet; `run` sends them over one link, several at once.

    Those of stop commands have their own queue. `wait_for_room` slows the reader of commands down while the broker
    accepts results more slowly than they are made. Beyond `MAX_PENDING` the oldest are dropped from memory; the store
    still has them, and they are sent at the next start.
    """

    def __init__(self, delivered: Callable[[str, Phase], None], quarantine: Quarantine) -> None:
        self._urgent = _Lane(delivered, quarantine, URGENT_IN_FLIGHT)
        self._others = _Lane(delivered, quarantine, MAX_IN_FLIGHT)

    def __len__(self) -> int:
        return len(self._urgent.pending) + len(self._others.pending)

    def put(self, result: PendingResult, *, urgent: bool = False) -> None:
        """Queue a result."""
        (self._urgent if urgent else self._others).put(result)

    async def wait_for_room(self) -> None:
        """Return when few results wait."""
        await self._others.room.wait()

    async def run(self, bus: Bus) -> None:
        """Send until cancelled or the link breaks (ConnectionError); unacknowledged results stay queued."""
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(self._urgent.run(bus))
            lanes.create_task(self._others.run(bus))


class _Lane:
    """One queue of the outbox."""

    def __init__(self, delivered: Callable[[str, Phase], None], quarantine: Quarantine, in_flight: int) -> None:
        self._delivered = delivered
        self._quarantine = quarantine
        self._in_flight = in_flight
        self.pending: OrderedDict[int, PendingResult] = OrderedDict()
        self._number = 0
        self._new = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()

    def put(self, result: PendingResult) -> None:
        self._number += 1
        self.pending[self._number] = result
        while len(self.pending) > MAX_PENDING:
            self.pending.popitem(last=False)
        if len(self.pending) > SLOW_FROM:
            self.room.clear()
        self._new.set()

    async def run(self, bus: Bus) -> None:
        sent = 0
        slots = asyncio.Semaphore(self._in_flight)
        async with asyncio.TaskGroup() as in_flight:
            while True:
                self._new.clear()
                for number, result in [(n, r) for n, r in self.pending.items() if n > sent]:
                    await slots.acquire()
                    sent = number
                    in_flight.create_task(self._send(bus, number, result, slots))
                await self._new.wait()

    async def _send(self, bus: Bus, number: int, result: PendingResult, slots: asyncio.Semaphore) -> None:
        try:
            for message in result.messages[result.sent :]:
                await self._quarantine.publish(bus, message)
                result.sent += 1
            self.pending.pop(number, None)
            if len(self.pending) <= SLOW_FROM:
                self.room.set()
            if result.phase is not None:
                self._delivered(result.command, result.phase)
        finally:
            slots.release()
