"""A transaction of the emulated station, and the queue that loses none of its messages.

Messages of transactions leave in order, one at a time, and wait while the station is offline (2.1 E04, E12, E13; 1.6
4.8). A message that the CSMS cannot take is tried again as often as the CSMS has set, then given up and counted. Both
are data: with a folder they outlive the process (`store.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from protocols.ocpp.schema import Payload

KEPT = 10_000  # messages; the oldest samples go first, beginnings and ends stay


@dataclass(slots=True)
class Transaction:
    """One transaction. Times are Unix time of the station's own clock."""

    id: str
    evse: int
    started_at: float
    token: str = ""
    token_type: str = "Central"
    group: str | None = None
    vehicle: str | None = None
    remote_start: int | None = None
    reservation: int | None = None
    number: int | None = None  # 1.6: what the CSMS gave
    seq: int = 0
    authorized: bool = False
    ready_at: float | None = None  # authorised and connected
    state: str = "Idle"
    mode: str = "ChargingOnly"
    stopped: str | None = None  # why
    started_wh: float = 0.0
    seconds_charging: float = 0.0
    tariff: dict[str, Any] | None = None
    tariff_told: bool = False  # transactionInfo.tariffId is said once
    reserved_at: float | None = None
    kept: list[Payload] = field(default_factory=list)  # MeterValues that go with its end
    cost_updated: float | None = None  # I02: what the CSMS said last

    @property
    def name(self) -> str:
        """What profiles call it: the CSMS's id in 1.6, once it is known."""
        return self.id if self.number is None else str(self.number)

    def next_seq(self) -> int:
        """The number of the next event."""
        self.seq += 1
        return self.seq - 1

    def saved(self) -> dict[str, Any]:
        """What is kept over a restart."""
        return asdict(self)


@dataclass(slots=True)
class Message:
    """A message that waits for its turn. 1.6 learns transaction ids late: its dialect puts them in when it is sent."""

    action: str
    payload: Payload
    transaction: Transaction | None = None
    essential: bool = False  # a beginning or an end
    tries: int = 0
    not_before: float = 0.0  # monotonic
    row: int = 0  # in the store, 0 for none


@dataclass(slots=True)
class Queue:
    """Messages in the order they happened. `on_put` and `on_gone` keep what is stored in step."""

    messages: deque[Message] = field(default_factory=deque)
    given_up: int = 0
    dropped: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    on_put: Callable[[Message], None] | None = None
    on_gone: Callable[[Message], None] | None = None

    def put(self, message: Message) -> None:
        """Add at the end; where it is full the oldest sample makes room."""
        if len(self.messages) >= KEPT:
            for index, waiting in enumerate(self.messages):
                if not waiting.essential and index:  # the head may be on its way
                    del self.messages[index]
                    self._gone(waiting)
                    self.dropped += 1
                    break
        if self.on_put is not None:
            self.on_put(message)
        self.messages.append(message)
        self.changed.set()

    def head(self) -> Message | None:
        """The next one to send."""
        return self.messages[0] if self.messages else None

    def sent(self) -> None:
        """The head was answered."""
        self._gone(self.messages.popleft())

    def failed(self, attempts: int) -> None:
        """The head was refused or not answered; after the last attempt it is given up (E13.FR.04)."""
        head = self.messages[0]
        head.tries += 1
        if head.tries >= attempts:
            self._gone(self.messages.popleft())
            self.given_up += 1

    def _gone(self, message: Message) -> None:
        if self.on_gone is not None:
            self.on_gone(message)

    @property
    def tells_turns(self) -> bool:
        """Whether a beginning or an end still waits."""
        return any(message.essential for message in self.messages)

    def of(self, transaction: str | None) -> Iterator[Message]:
        """The messages of one transaction, or of any."""
        return (m for m in self.messages if m.transaction is not None and transaction in (None, m.transaction.id))

    def __len__(self) -> int:
        return len(self.messages)
