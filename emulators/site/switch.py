"""The main switch between site and grid: opens, proves that it is open, and closes only onto what is alive and in step.

No source of the site may make a voltage before the switch has proven itself open. Who orders it is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Position(StrEnum):
    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"  # proven
    CLOSING = "closing"


@dataclass(slots=True)
class TransferSwitch:
    """One switch. Time is an argument; orders take effect after its travel times."""

    open_s: float = 0.2
    prove_s: float = 0.3  # until the auxiliary contact says so
    close_s: float = 0.5
    position: Position = Position.CLOSED
    stuck: bool = False  # a fault: does not move, and says so by never proving itself
    _done_at: float = 0.0
    operations: int = 0

    @property
    def proven_open(self) -> bool:
        return self.position is Position.OPEN

    @property
    def conducts(self) -> bool:
        """Whether site and grid may be connected; a moving switch counts as closed."""
        return self.position is not Position.OPEN

    def open(self, now: float) -> None:
        """Order it open."""
        if self.position in (Position.CLOSED, Position.CLOSING):
            self.position, self._done_at = Position.OPENING, now + self.open_s + self.prove_s
            self.operations += 1

    def close(self, now: float) -> None:
        """Order it closed."""
        if self.position in (Position.OPEN, Position.OPENING):
            self.position, self._done_at = Position.CLOSING, now + self.close_s
            self.operations += 1

    def advance(self, now: float) -> Position:
        """Let it travel."""
        if not self.stuck and now >= self._done_at:
            if self.position is Position.OPENING:
                self.position = Position.OPEN
            elif self.position is Position.CLOSING:
                self.position = Position.CLOSED
        return self.position
