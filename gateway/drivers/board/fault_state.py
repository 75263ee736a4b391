"""Active and latched faults of a board, and the detection of an unsteady pilot (pure)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from gateway.drivers.board.faults import GRID_FAULTS, FaultName, Part, Reaction, rule_of
from gateway.drivers.board.ports import FaultCleared, FaultRaised

BOUNCES = 10  # changes of the pilot within BOUNCE_WINDOW_S; a wake-up toggles at most 6 times in 3.5 s
BOUNCE_WINDOW_S = 3.0
STEADY_S = 2.0  # without a change, after which the pilot counts as steady again

SEVERITY = {reaction: level for level, reaction in enumerate(Reaction)}


@dataclass(slots=True)
class FaultState:
    """Faults by part and name. A latched fault remains until it is cleared and the operator resets it."""

    active: dict[tuple[Part, FaultName], Reaction] = field(default_factory=dict)
    latched: set[tuple[Part, FaultName]] = field(default_factory=set)
    own: set[tuple[Part, FaultName]] = field(default_factory=set)  # detected by the supervisor, which ends them
    _events: list[FaultRaised | FaultCleared] = field(default_factory=list)

    def begin(self, part: Part, name: FaultName, detail: str, now: float) -> list[FaultRaised]:
        """Add a fault; return its event, or nothing if it is active already."""
        key = (part, name)
        if key in self.active:
            return []
        reaction = self.active[key] = rule_of(name, part).reaction
        if reaction is Reaction.LATCH:
            self.latched.add(key)
        return [FaultRaised(part, name, detail, now)]

    def end(self, part: Part, name: FaultName, now: float) -> list[FaultCleared]:
        """Remove a fault; return its event, or nothing if it is not active."""
        self.own.discard((part, name))
        if self.active.pop((part, name), None) is None:
            return []
        return [FaultCleared(part, name, now)]

    def detect(self, part: Part, name: FaultName, detail: str, now: float) -> None:
        """Begin a fault that the supervisor detected; its event waits in `detected`."""
        if (part, name) not in self.active:
            self.own.add((part, name))
            self._events += self.begin(part, name, detail, now)

    def end_own(self, part: Part, name: FaultName, now: float) -> None:
        """End a fault that the supervisor detected."""
        if (part, name) in self.own:
            self._events += self.end(part, name, now)

    def detected(self) -> list[FaultRaised | FaultCleared]:
        """Return the events of the supervisor's own faults since the last call."""
        events, self._events = self._events, []
        return events

    def reset(self) -> None:
        """Release the latched faults that are not active any more."""
        self.latched &= set(self.active)

    def reaction(self, *, forming: bool = False) -> Reaction:
        """Return the most severe reaction that is required; faults of the grid do not stop a grid-forming source."""
        required = [reaction for (_, name), reaction in self.active.items() if not (forming and name in GRID_FAULTS)]
        if self.latched:
            required.append(Reaction.LATCH)
        return max(required, key=SEVERITY.__getitem__, default=Reaction.NOTE)

    def at_least(self, reaction: Reaction, *, forming: bool = False) -> bool:
        """Return True if this or a more severe reaction is required."""
        return SEVERITY[self.reaction(forming=forming)] >= SEVERITY[reaction]


@dataclass(slots=True)
class PilotWatch:
    """Detects a pilot that bounces."""

    _changes: deque[float] = field(default_factory=lambda: deque(maxlen=BOUNCES))

    def changed(self, now: float) -> bool:
        """Record a change; return True if the pilot is not steady."""
        self._changes.append(now)
        return len(self._changes) == BOUNCES and now - self._changes[0] <= BOUNCE_WINDOW_S

    def steady(self, now: float) -> bool:
        """Return True after STEADY_S without a change."""
        return not self._changes or now - self._changes[-1] >= STEADY_S
