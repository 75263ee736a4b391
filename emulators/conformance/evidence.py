"""Evidence of one case: messages in both directions, notes, and values over time for a plot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

TESTER, DEVICE, NOTE = "tester", "device", "note"


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `at`: seconds since the start of the case; `text`: its content; `raw`: its bytes in hexadecimal."""

    at: float
    sender: str
    name: str
    text: str
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """Values at one time, by name and unit, such as {"power of the EVSE, W": -5000.0}."""

    at: float
    values: dict[str, float]


@dataclass(slots=True)
class Evidence:
    """Record of one case; `now` is monotonic time."""

    now: Callable[[], float]
    messages: list[Message] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    started: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.now()

    @property
    def elapsed(self) -> float:
        """Seconds since the start of the case."""
        return self.now() - self.started

    def sent(self, name: str, text: str, raw: bytes = b"") -> None:
        """Record a message of the tester."""
        self.messages.append(Message(self.elapsed, TESTER, name, text, raw.hex()))

    def received(self, name: str, text: str, raw: bytes = b"") -> None:
        """Record a message of the device."""
        self.messages.append(Message(self.elapsed, DEVICE, name, text, raw.hex()))

    def note(self, text: str) -> None:
        """Record what is no message: a connection, a step of the procedure."""
        self.messages.append(Message(self.elapsed, NOTE, "", text))

    def sample(self, **values: float) -> None:
        """Record values for the plot, such as `sample(power_w=-5000.0)`."""
        self.samples.append(Sample(self.elapsed, values))
