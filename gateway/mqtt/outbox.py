"""Results on their way to the broker: kept until it has acknowledged them, sent again on every new link.

In order, with several under way at once. Bounded: beyond that the oldest go from here; the store still knows them and
tells them again at the next start.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gateway.model.journal import Phase
from protocols.ports import Bus, BusMessage

MOST = 20_000
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Parcel:
    """One result and the topics it goes to."""

    messages: tuple[BusMessage, ...]
    command: str
    phase: Phase | None


class Outbox:
    """Sends parcels over whatever link there is."""

    def __init__(self, delivered: Callable[[str, Phase], None]) -> None:
        self._delivered = delivered
        self._parcels: OrderedDict[int, Parcel] = OrderedDict()
        self._number = 0
        self._new = asyncio.Event()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._parcels)

    def put(self, parcel: Parcel) -> None:
        """Send it as soon as possible."""
        self._number += 1
        self._parcels[self._number] = parcel
        while len(self._parcels) > MOST:
            self._parcels.popitem(last=False)
            self.dropped += 1
        self._new.set()

    async def run(self, bus: Bus) -> None:
        """Send until cancelled or the link breaks (ConnectionError); what was not acknowledged stays."""
        sent = 0
        gate = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as under_way:
            while True:
                self._new.clear()
                for number, parcel in [(n, p) for n, p in self._parcels.items() if n > sent]:
                    await gate.acquire()
                    sent = number
                    under_way.create_task(self._send(bus, number, parcel, gate))
                await self._new.wait()

    async def _send(self, bus: Bus, number: int, parcel: Parcel, gate: asyncio.Semaphore) -> None:
        try:
            for message in parcel.messages:
                await bus.publish(message)
            self._parcels.pop(number, None)
            if parcel.phase is not None:
                self._delivered(parcel.command, parcel.phase)
        finally:
            gate.release()
