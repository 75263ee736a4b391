"""Queue of messages to the CSMS: in order, one at a time, kept while the station is offline.

OCPP 2.1 E04, E12, E13; 1.6 4.8. A message that the CSMS rejects is sent again as often as MessageAttempts allows, then
discarded and counted. With a store the queue survives the process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from emulators.charger.station.transaction import Transaction
from protocols.ocpp.schema import Payload

MAX_MESSAGES = 10_000  # the oldest samples are discarded first, starts and ends of transactions never


@dataclass(slots=True)
class Message:
    """A queued message. In 1.6 the transaction id is inserted when the message is sent."""

    action: str
    payload: Payload
    transaction: Transaction | None = None
    essential: bool = False  # start or end of a transaction
    tries: int = 0
    not_before: float = 0.0  # monotonic
    row: int = 0  # in the store, 0 without one


class MessageStore(Protocol):
    """Persistent copy of a queue."""

    def add(self, message: Message) -> None:
        """Store a message that was queued."""

    def remove(self, message: Message) -> None:
        """Delete a message that was delivered or discarded."""


@dataclass(slots=True)
class Queue:
    """Messages in order of creation, and in a store, if there is one."""

    store: MessageStore | None = None
    messages: deque[Message] = field(default_factory=deque)
    given_up: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, message: Message) -> None:
        """Append a message; a full queue discards its oldest sample."""
        if len(self.messages) >= MAX_MESSAGES:
            self._drop_oldest_sample()
        if self.store is not None:
            self.store.add(message)
        self.messages.append(message)
        self.changed.set()

    def _drop_oldest_sample(self) -> None:
        for index, waiting in enumerate(self.messages):
            if not waiting.essential and index:  # the head may be in transmission
                del self.messages[index]
                self._removed(waiting)
                return

    def head(self) -> Message | None:
        """Return the next message to send."""
        return self.messages[0] if self.messages else None

    def sent(self) -> None:
        """Remove the head after its response."""
        self._removed(self.messages.popleft())

    def failed(self, attempts: int) -> None:
        """Count a failed attempt of the head; discard it after the last one (E13.FR.04)."""
        head = self.messages[0]
        head.tries += 1
        if head.tries >= attempts:
            self._removed(self.messages.popleft())
            self.given_up += 1

    def _removed(self, message: Message) -> None:
        if self.store is not None:
            self.store.remove(message)

    @property
    def has_essential(self) -> bool:
        """True while the start or end of a transaction is queued."""
        return any(message.essential for message in self.messages)

    def of(self, transaction: str | None) -> Iterator[Message]:
        """Iterate over the messages of one transaction, or of all with None."""
        return (m for m in self.messages if m.transaction is not None and transaction in (None, m.transaction.id))

    def __len__(self) -> int:
        return len(self.messages)
