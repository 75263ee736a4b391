"""Results that the broker has not acknowledged yet, sent again on every link until it has.

A command whose first result the store does not have is acknowledged to the broker after that result was (`when_sent`):
a gateway that fails before receives the command again, so that no command stays without a result.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from gateway.model.journal import Phase
from gateway.mqtt.quarantine import Quarantine
from protocols.ports import Bus, BusMessage

MAX_PENDING = 20_000  # results
MAX_IN_FLIGHT = 100  # results
SLOW_FROM = 1000  # results that wait
MAX_URGENT_HELD = 250  # acknowledgements of stops that wait: half of what a broker sends without any


@dataclass(slots=True)
class PendingResult:
    """One result and the messages that carry it; `sent` of them are acknowledged or set aside.

    `stored`: the store has it, so that it is sent after a failure of the gateway as well.
    """

    messages: tuple[BusMessage, ...]
    command: str
    phase: Phase | None
    stored: bool = True
    sent: int = 0


class Outbox:
    """Queue of results that the broker has not acknowledged yet; `run` sends them over one link, several at once.

    Beyond `MAX_PENDING` the oldest are dropped from memory; the store still has them, and they are sent at the next
    start. `accepts_more` is set while few wait: the reader of commands waits for it.
    """

    def __init__(
        self, delivered: Callable[[str, Phase], None], quarantine: Quarantine, max_held: float = math.inf
    ) -> None:
        """`max_held`: acknowledgements of commands that wait at most; further ones are given at once."""
        self._delivered = delivered
        self._quarantine = quarantine
        self._max_held = max_held
        self._unstored: Counter[str] = Counter()  # pending results that are not stored, by command
        self._held: dict[str, list[Callable[[], None]]] = {}
        self._number_held = 0
        self._pending: OrderedDict[int, PendingResult] = OrderedDict()
        self._number = 0
        self._unsent: deque[int] = deque()  # numbers of those not sent on the present link, in order
        self._link: tuple[Bus, asyncio.TaskGroup] | None = None
        self._in_flight = 0
        self.accepts_more = asyncio.Event()
        self.accepts_more.set()

    def __len__(self) -> int:
        return len(self._pending)

    def put(self, result: PendingResult) -> None:
        """Queue a result."""
        self._number += 1
        self._pending[self._number] = result
        if not result.stored:
            self._unstored[result.command] += 1
        while len(self._pending) > MAX_PENDING:
            self._release(self._pending.popitem(last=False)[1])
        if len(self._pending) > SLOW_FROM:
            self.accepts_more.clear()
        if self._link is not None:
            self._unsent.append(self._number)
            self._send_more()

    def when_sent(self, command: str, then: Callable[[], None]) -> bool:
        """Call a function once no result of a command waits that is not stored; return whether it has to wait."""
        if command not in self._unstored or self._number_held >= self._max_held:
            then()
            return False
        self._held.setdefault(command, []).append(then)
        self._number_held += 1
        return True

    def _release(self, result: PendingResult) -> None:
        """Note that a result does not wait any more."""
        if result.stored:
            return
        self._unstored[result.command] -= 1
        if not self._unstored[result.command]:
            del self._unstored[result.command]
            held = self._held.pop(result.command, [])
            self._number_held -= len(held)
            for then in held:
                then()

    async def run(self, bus: Bus) -> None:
        """Send until cancelled or the link breaks (ConnectionError); unacknowledged results stay queued."""
        async with asyncio.TaskGroup() as tasks:
            self._link, self._in_flight = (bus, tasks), 0
            self._unsent = deque(self._pending)
            try:
                self._send_more()
                await asyncio.get_running_loop().create_future()
            finally:
                self._link = None

    def _send_more(self) -> None:
        """Begin to send what waits, as far as few are in flight."""
        while self._link is not None and self._unsent and self._in_flight < MAX_IN_FLIGHT:
            number = self._unsent.popleft()
            if (result := self._pending.get(number)) is not None:
                bus, tasks = self._link
                self._in_flight += 1
                tasks.create_task(self._send(bus, number, result))

    async def _send(self, bus: Bus, number: int, result: PendingResult) -> None:
        try:
            for message in result.messages[result.sent :]:
                await self._quarantine.publish(bus, message)
                result.sent += 1
            self._sent(number, result)
        except BaseException:  # the link is gone, or ends by a defect
            self._link = None
            raise
        self._in_flight -= 1
        self._send_more()

    def _sent(self, number: int, result: PendingResult) -> None:
        """Note that the broker has a result."""
        if self._pending.pop(number, None) is not None:
            self._release(result)
        if len(self._pending) <= SLOW_FROM:
            self.accepts_more.set()
        if result.phase is not None:
            self._delivered(result.command, result.phase)
