"""Active commands: what a command in force requests of which EVSE, until when, and how far it has been carried out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.model.command import Body, Schedule, Verb, signed_power
from gateway.model.journal import ReplyTo
from gateway.model.reason import Reason


class Channel(StrEnum):
    """Interface by which a command was received."""

    MQTT = "mqtt"
    API = "api"
    LOCAL = "local"


class Stage(StrEnum):
    """Progress of an allocation at its EVSE."""

    GRANTED = "granted"
    CONFIRMED = "confirmed"
    ACHIEVED = "achieved"
    FAILED = "failed"


@dataclass(slots=True)
class Allocation:
    """Power that a command requests of one EVSE, in W, + into the vehicle. Times are monotonic."""

    evse: str
    power_w: float
    since: float
    stage: Stage = Stage.GRANTED
    confirmed_at: float | None = None
    confirmed_w: float | None = None
    measured_w: float | None = None
    failure: Reason | None = None
    verified_from: float = field(init=False)  # start of the time within which the meter must show the power
    mismatch_w: float | None = None  # last reading that differed, during this command or those that it renews
    achieved_before: bool = False  # a command that this one renews was achieved, and no reading has differed since

    def __post_init__(self) -> None:
        self.verified_from = self.since

    @property
    def unconfirmed(self) -> bool:
        """True until the station has confirmed the power or the allocation has failed."""
        return self.stage is Stage.GRANTED

    @property
    def pending(self) -> bool:
        """True until the meter has shown the power or the allocation has failed."""
        return self.stage in (Stage.GRANTED, Stage.CONFIRMED)

    def request(self, power_w: float, now: float) -> None:
        """Request another power; an earlier confirmation or reading no longer counts."""
        if power_w != self.power_w:
            self.power_w, self.since, self.verified_from, self.stage = power_w, now, now, Stage.GRANTED
            self.confirmed_at = self.confirmed_w = self.mismatch_w = None
            self.achieved_before = False

    def confirm(self, power_w: float, now: float) -> bool:
        """Note that the station confirmed a power; True where it is the first confirmation of this allocation."""
        if self.stage is Stage.GRANTED:
            self.stage, self.confirmed_at, self.confirmed_w = Stage.CONFIRMED, now, power_w
            return True
        if self.confirmed_w != power_w:
            self.confirmed_w, self.confirmed_at = power_w, now
        return False

    def fail(self, reason: Reason) -> None:
        """Mark as failed."""
        self.stage, self.failure = Stage.FAILED, reason

    def renew(self, before: Allocation, tolerance_w: float, rest_tolerance_w: float) -> None:
        """Continue the verification time of a replaced command that requested the same and was not achieved either.

        Otherwise a controller that renews its lease every few seconds would never get a failure for a vehicle that does
        not follow. A vehicle at rest follows no power at all, so for it the power may differ, but not the direction.
        """
        if before.power_w * self.power_w <= 0 or before.stage is Stage.FAILED:
            return
        same = abs(before.power_w - self.power_w) <= tolerance_w
        if before.stage is Stage.ACHIEVED or (before.achieved_before and before.mismatch_w is None):
            self.achieved_before = same
            return
        at_rest = before.mismatch_w is not None and abs(before.mismatch_w) <= rest_tolerance_w
        if at_rest or same:
            self.verified_from, self.mismatch_w = before.verified_from, before.mismatch_w


@dataclass(slots=True)
class ActiveCommand:
    """One command in force. `evse` None is the site; then `allocations` has one for each EVSE that takes part."""

    id: str
    evse: str | None
    verb: Verb
    body: Body
    channel: Channel
    lease_until: float | None = None  # monotonic
    lease_wall: float | None = None
    reply: ReplyTo | None = None
    allocations: dict[str, Allocation] = field(default_factory=dict)
    settled: bool = False  # its final result has been given
    sequence: int = 0  # order in which commands were decided

    @property
    def priority(self) -> int:
        """Priority that a newer command must reach to replace it."""
        return self.body.priority

    @property
    def by_source(self) -> str:
        """Its source as the end of a clause, empty where none is given."""
        return f" from {self.body.source}" if self.body.source else ""

    def requested_w(self, wall: float) -> float:
        """Return the power requested now; a schedule requests that of its running period, 0 W between periods."""
        if isinstance(self.body, Schedule):
            return period_power(self.body, wall)
        return signed_power(self.verb, self.body) or 0.0

    def next_change_s(self, wall: float) -> float | None:
        """Return the seconds until a schedule requests another power."""
        if not isinstance(self.body, Schedule):
            return None
        edges = [edge for one in self.body.periods for edge in (one.start, one.start + one.duration_s)]
        return min((edge - wall for edge in edges if edge > wall), default=None)

    def before_first_power(self, wall: float) -> bool:
        """True while a schedule has not reached its first period with power: there is nothing to verify yet."""
        if not isinstance(self.body, Schedule):
            return False
        starts = [one.start for one in self.body.periods if one.power_w]
        return bool(starts) and wall < min(starts)

    def finished(self, wall: float) -> bool:
        """True when the last period of a schedule has ended."""
        return isinstance(self.body, Schedule) and schedule_end(self.body) <= wall


def period_power(schedule: Schedule, wall: float) -> float:
    """Return what a schedule requests at a Unix time."""
    for one in schedule.periods:
        if one.start <= wall < one.start + one.duration_s:
            return one.power_w + 0.0
    return 0.0


def schedule_end(schedule: Schedule) -> float:
    """Return the Unix time at which the last period ends."""
    return schedule.periods[-1].start + schedule.periods[-1].duration_s
