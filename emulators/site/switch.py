"""Main switch between site and grid, with confirmed position feedback.

No source of the site may form a voltage before the switch is confirmed open. When it opens and closes is decided in
`site.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Position(StrEnum):
    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"  # confirmed
    CLOSING = "closing"


@dataclass(slots=True)
class TransferSwitch:
    """One switch. Time is an argument; commands take effect after its travel times."""

    open_s: float = 0.2
    confirm_s: float = 0.3  # until the auxiliary contact confirms the position
    close_s: float = 0.5
    position: Position = Position.CLOSED
    stuck: bool = False  # a fault: does not move, so its position is never confirmed
    _done_at: float = 0.0
    operations: int = 0

    @property
    def confirmed_open(self) -> bool:
        return self.position is Position.OPEN

    @property
    def conducts(self) -> bool:
        """Return whether site and grid may be connected; a switch in motion counts as closed."""
        return self.position is not Position.OPEN

    def open(self, now: float) -> None:
        """Command the switch to open."""
        if self.position in (Position.CLOSED, Position.CLOSING):
            self.position, self._done_at = Position.OPENING, now + self.open_s + self.confirm_s
            self.operations += 1

    def close(self, now: float) -> None:
        """Command the switch to close."""
        if self.position in (Position.OPEN, Position.OPENING):
            self.position, self._done_at = Position.CLOSING, now + self.close_s
            self.operations += 1

    def advance(self, now: float) -> Position:
        """Complete the motion if its time has passed; return the position."""
        if not self.stuck and now >= self._done_at:
            if self.position is Position.OPENING:
                self.position = Position.OPEN
            elif self.position is Position.CLOSING:
                self.position = Position.CLOSED
        return self.position
