"""One EVSE as the core keeps it: what the edge told, what is in force there, and what the station was last told."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

from gateway.authority.priority import Bound, Decision
from gateway.authority.soc_floors import Reserve
from gateway.commands.active_command import ActiveCommand, Allocation
from gateway.control.settings import SETTLE_S
from gateway.model.evse import Evse
from gateway.model.station import Answer


@dataclass(frozen=True, slots=True)
class Ramp:
    """A walk towards what is asked now, begun at `start_w`."""

    start_w: float
    begun: float


@dataclass(slots=True)
class EvseControlState:
    """All that is known and wanted of one EVSE. Only the core and its governor change it."""

    evse: Evse
    holding: ActiveCommand | None = None
    turn: int = 0  # of the newest command that was put in force here
    reserve: Reserve | None = None
    decision: Decision | None = None
    floor_reached: bool = False
    ramp: Ramp | None = None
    reconciled: bool = False
    sent_w: float | None = None  # what the station holds, as far as known
    sent_at: float = 0.0
    told_at: float = -math.inf  # when it was last told another power
    counted_at: float = -math.inf  # up to when energy that no meter told was counted
    held_until: float = 0.0  # then the station falls to 0 W by itself
    last_answer: Answer | None = None
    retry_at: float | None = None
    silent: int = 0  # orders without an answer, in a row
    refused_w: float | None = None  # what the station said no to last
    refusals: int = 0  # of that power, in a row
    ask_again_at: float = 0.0  # while nothing asks for more and nothing flows
    told: tuple[str, float] | None = None  # the trouble that was told last: the station's code, and the power
    seq: int = 0  # of telemetry
    looks: int = 0  # of its governor: what a wake-up too many would cost
    optimiser: Bound | None = None
    extra: tuple[Bound, ...] = ()  # grid code and island, from who runs them
    hands_off: bool = False  # a forming source in an island is not told a power
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """The EVSE's name."""
        return self.evse.name

    @property
    def part(self) -> Allocation | None:
        """The share of the command in force that is this EVSE's."""
        return self.holding.parts.get(self.name) if self.holding else None

    @property
    def effective_w(self) -> float:
        """What the order of authority granted last."""
        return self.decision.power_w if self.decision else 0.0

    @property
    def idle(self) -> bool:
        """No station or no session: 0 W by the hardware, whatever all other layers say."""
        return self.evse.session is None or not self.evse.connected

    @property
    def counts(self) -> bool:
        """Whether it takes or may be taking anything, as far as anybody knows."""
        return self.sent_w is not None or self.evse.power_w is not None or self.effective_w != 0.0

    def forgive(self) -> None:
        """What the station refused no longer counts."""
        self.retry_at = self.refused_w = self.told = None
        self.refusals, self.ask_again_at = 0, 0.0

    def believed_w(self, now: float) -> float:
        """What it takes now, as far as can be told.

        A reading from before the last change of the set-point says nothing about now. One from while the station was
        still on its way holds for that while only; after it the set-point is the better guess, until the meter tells.
        """
        power_w, at = self.evse.power_w, self.evse.metered_at
        if power_w is None or at is None:
            return self.sent_w or 0.0
        settled, fresh = at >= self.told_at + SETTLE_S, at > self.told_at and now - at <= SETTLE_S
        return power_w if settled or fresh or self.sent_w is None else self.sent_w

    def span(self) -> tuple[float, float]:
        """The least and the most it may be taking now, in W, while set-point, station and meter still differ."""
        seen = [self.effective_w]
        if self.evse.power_w is not None:
            seen.append(self.evse.power_w)
        if self.sent_w is not None:
            seen.append(self.sent_w)
        return min(seen), max(seen)
