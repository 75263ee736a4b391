"""A transaction of the emulated station, and the queue that loses none of its messages.

Messages of transactions leave in order, one at a time, and wait while the station is offline (2.1 E04, E12, E13; 1.6
4.8). A message that the CSMS cannot take is tried again as often as `attempts` says, then given up and counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

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
    vehicle: str | None = None
    remote_start: int | None = None
    reservation: int | None = None
    number: int | None = None  # 1.6: what the CSMS gave
    seq: int = 0
    authorized: bool = False
    ready_at: float | None = None  # authorised and connected
    state: str = "EVConnected"
    mode: str = "ChargingOnly"
    stopped: str | None = None  # why
    started_wh: float = 0.0
    seconds_charging: float = 0.0

    @property
    def name(self) -> str:
        """What profiles call it: the CSMS's id in 1.6, once it is known."""
        return self.id if self.number is None else str(self.number)

    def next_seq(self) -> int:
        """The number of the next event."""
        self.seq += 1
        return self.seq - 1


@dataclass(slots=True)
class Message:
    """A message of a transaction that waits for its turn. The payload is made when it is sent: 1.6 learns ids late."""

    action: str
    build: Callable[[], Payload]
    done: Callable[[Payload], None] | None = None
    essential: bool = True  # a beginning or an end
    tries: int = 0
    not_before: float = 0.0  # monotonic


@dataclass(slots=True)
class Queue:
    """Messages in the order they happened."""

    attempts: int = 5
    messages: deque[Message] = field(default_factory=deque)
    given_up: int = 0
    dropped: int = 0

    def put(self, message: Message) -> None:
        """Add at the end; where it is full the oldest sample makes room."""
        if len(self.messages) >= KEPT:
            for index, waiting in enumerate(self.messages):
                if not waiting.essential:
                    del self.messages[index]
                    self.dropped += 1
                    break
        self.messages.append(message)

    def head(self) -> Message | None:
        """The next one to send."""
        return self.messages[0] if self.messages else None

    def sent(self) -> None:
        """The head was answered."""
        self.messages.popleft()

    def failed(self) -> None:
        """The head was refused or not answered; after the last attempt it is given up."""
        head = self.messages[0]
        head.tries += 1
        if head.tries >= self.attempts:
            self.messages.popleft()
            self.given_up += 1

    @property
    def tells_turns(self) -> bool:
        """Whether a beginning or an end still waits."""
        return any(message.essential for message in self.messages)

    def __len__(self) -> int:
        return len(self.messages)
