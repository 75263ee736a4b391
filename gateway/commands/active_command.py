"""A command in force: what it asks of which EVSE, until when, and how far it has come. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.commands.submission import Channel
from gateway.model.command import Body, Schedule, Verb, signed_power
from gateway.model.journal import ReplyTo
from gateway.model.reason import Reason


class Stage(StrEnum):
    """How far a part of a command has come at its EVSE."""

    BOUND = "bound"
    CONFIRMED = "confirmed"
    SEEN = "seen"
    FAILED = "failed"


@dataclass(slots=True)
class Allocation:
    """What a command asks of one EVSE, in W, + into the vehicle."""

    evse: str
    power_w: float
    since: float  # monotonic
    stage: Stage = Stage.BOUND
    set_at: float | None = None
    confirmed_at: float | None = None
    confirmed_w: float | None = None
    measured_w: float | None = None
    failure: Reason | None = None
    judged_from: float = field(init=False)  # the meter's time to agree starts here
    doubted_w: float | None = None  # what the meter showed last instead, of this command or of those it renews
    seen_before: bool = False  # a command that this one renews was seen on the meter, and nothing has spoken against it

    def __post_init__(self) -> None:
        self.judged_from = self.since

    def ask(self, power_w: float, now: float) -> None:
        """Ask for another power; what was confirmed or seen no longer counts."""
        if power_w != self.power_w:
            self.power_w, self.since, self.judged_from, self.stage = power_w, now, now, Stage.BOUND
            self.set_at = self.confirmed_at = self.confirmed_w = self.doubted_w = None
            self.seen_before = False

    def renew(self, before: Allocation, same_w: float, still_w: float) -> None:
        """Take over the meter's time to agree from a command that asked for the same and was not seen either.

        Else a controller that renews its lease every few seconds would never hear that its car does not follow. A car
        at rest is one that does not follow whatever is asked, so there the power may differ, but not the direction.
        """
        if before.power_w * self.power_w <= 0 or before.stage is Stage.FAILED:
            return
        same = abs(before.power_w - self.power_w) <= same_w
        if before.stage is Stage.SEEN or (before.seen_before and before.doubted_w is None):
            self.seen_before = same
            return
        at_rest = before.doubted_w is not None and abs(before.doubted_w) <= still_w
        if at_rest or same:
            self.judged_from, self.doubted_w = before.judged_from, before.doubted_w


@dataclass(slots=True)
class ActiveCommand:
    """One command that acts. `evse` None is the site; then `parts` has one per EVSE that shares in it."""

    id: str
    evse: str | None
    verb: Verb
    body: Body
    channel: Channel
    started: float  # monotonic
    lease_until: float | None = None  # monotonic
    lease_wall: float | None = None
    reply: ReplyTo | None = None
    parts: dict[str, Allocation] = field(default_factory=dict)
    settled: bool = False  # its final result is given
    turn: int = 0  # counts commands in the order in which they were bound

    @property
    def priority(self) -> int:
        """What a newer command must reach to replace it."""
        return self.body.priority

    def asks(self, wall: float) -> float:
        """The power it asks for now; a schedule asks for its running period, 0 W between periods."""
        if isinstance(self.body, Schedule):
            return period_power(self.body, wall)
        return signed_power(self.verb, self.body) or 0.0

    def next_change(self, wall: float) -> float | None:
        """Seconds until a schedule asks for something else."""
        if not isinstance(self.body, Schedule):
            return None
        edges = [edge for one in self.body.periods for edge in (one.start, one.start + one.duration_s)]
        return min((edge - wall for edge in edges if edge > wall), default=None)

    def waits(self, wall: float) -> bool:
        """Whether a schedule has yet to reach its first period with power: until then there is nothing to judge."""
        if not isinstance(self.body, Schedule):
            return False
        starts = [one.start for one in self.body.periods if one.power_w]
        return bool(starts) and wall < min(starts)

    def over(self, wall: float) -> bool:
        """Whether a schedule has come to its end."""
        return isinstance(self.body, Schedule) and schedule_end(self.body) <= wall


def period_power(schedule: Schedule, wall: float) -> float:
    """What a schedule asks for at a moment (Unix time)."""
    for one in schedule.periods:
        if one.start <= wall < one.start + one.duration_s:
            return one.power_w + 0.0
    return 0.0


def schedule_end(schedule: Schedule) -> float:
    """When the last period ends (Unix time)."""
    return schedule.periods[-1].start + schedule.periods[-1].duration_s
