"""Control state of each EVSE and of the site: what is known, the command in force, and what the station holds.

An active command requests power of one EVSE or of several: one allocation for each, with its progress.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.authority.priority import Bound, Decision
from gateway.authority.ramp import Ramp
from gateway.authority.soc_floors import Reserve, ReserveInForce
from gateway.control.setpoint import Setpoint
from gateway.control.settings import ServiceSettings
from gateway.control.station_answer import WakeUp
from gateway.model.command import Body, Channel, Schedule, Verb, client_and_id, signed_power
from gateway.model.evse import Evse
from gateway.model.journal import ReplyTo
from gateway.model.reason import Reason
from gateway.model.station import EVSE_NUMBER, station_of


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
    limited: Reason | None = None  # the limit that leaves nothing of the power now, before the meter showed any
    limited_from: float = 0.0  # since when
    verified_from: float = field(init=False)  # start of the time within which the meter must show the power
    mismatch_w: float | None = None  # last reading that differed, during this command or those that it renews
    achieved_before: bool = False  # a command that this one renews was achieved, and no reading has differed since
    waits_until: float | None = None  # its station is not connected, and may be again until then

    def __post_init__(self) -> None:
        self.verified_from = self.since

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

    def limit(self, reason: Reason | None, now: float) -> None:
        """Note the limit that leaves nothing of the power now, None for none; its time does not count for the meter."""
        if not self.pending or self.limited is reason is None:
            return
        if self.limited is None:
            self.limited_from = now
        elif reason is None:
            self.verified_from += now - max(self.limited_from, self.verified_from)
        if self.limited is None or reason is None:
            self.stage, self.confirmed_at, self.confirmed_w = Stage.GRANTED, None, None
        self.limited = reason

    def resume(self, now: float, *, in_session: bool) -> None:
        """Go on where the station is connected again: it is sent the power anew, if a session runs."""
        self.waits_until = None
        if self.stage is Stage.ACHIEVED:
            if not in_session:  # a stop
                return
            self.verified_from, self.achieved_before = now, True
        self.stage, self.confirmed_at, self.confirmed_w = Stage.GRANTED, None, None
        self.limit(None, now)

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
    """One command in force. `evse` None is the site; then `allocations` has one for each EVSE that takes part.

    `id` is its name in store and journal (`command_key`); results have the id of the body, and the client.
    """

    id: str
    evse: str | None
    verb: Verb
    body: Body
    channel: Channel
    lease_until: float | None = None  # monotonic
    lease_wall: float | None = None
    session: str | None = None  # at its EVSE when it was granted; another one ends it
    reply: ReplyTo | None = None
    allocations: dict[str, Allocation] = field(default_factory=dict)
    settled: bool = False  # its final result has been given
    sequence: int = 0  # order in which commands were decided

    @property
    def priority(self) -> int:
        """Priority that a newer command must reach to replace it."""
        return self.body.priority

    @property
    def client(self) -> str | None:
        """Client of its topic."""
        return client_and_id(self.id)[0]

    @property
    def named(self) -> str:
        """Its verb, id and sender, for texts."""
        sender = self.client or self.body.source
        return f"{self.verb.value} {self.body.id}" + (f" from {sender}" if sender else "")

    def requested_w(self, wall: float) -> float:
        """Return the power requested now; a schedule requests that of its running period, 0 W between periods."""
        if isinstance(self.body, Schedule):
            return self.body.power_at(wall)
        return signed_power(self.body) or 0.0

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
        return isinstance(self.body, Schedule) and self.body.end <= wall


@dataclass(slots=True)
class EvseControlState:
    """Everything known and in force at one EVSE."""

    evse: Evse
    setpoint: Setpoint = field(default_factory=Setpoint)
    command: ActiveCommand | None = None
    sequence: int = 0  # of the newest command that was put in force here
    reserve: Reserve | None = None
    decision: Decision | None = None
    floor_pct: float = 0.0  # the highest floor, as of the last decision
    decided_soc_pct: float | None = None  # state of charge of the last decision
    floor_reached: bool = False  # memory of the hysteresis, for commands and energy management
    ramp: Ramp | None = None  # towards the decided power, from where it began
    optimiser: Bound | None = None
    extra: tuple[Bound, ...] = ()  # bounds of grid code and island, from the energy service
    schedule: ReserveInForce | None = None  # reserve of energy management; None: nothing is managed here
    agreed_pct: float | None = None  # floor of the vehicle's lending agreement
    forms_grid: bool = False  # forms the voltage of an island: no set-point is sent
    estimated_until: float = -math.inf  # up to when unmetered energy has been counted
    telemetry_count: int = 0
    steps: int = 0  # of its set-point controller
    wake: WakeUp = field(default_factory=WakeUp)

    @property
    def name(self) -> str:
        """Name of the EVSE."""
        return self.evse.name

    @property
    def allocation(self) -> Allocation | None:
        """Allocation of the command in force to this EVSE."""
        return self.command.allocations.get(self.evse.name) if self.command else None

    @property
    def waits_until(self) -> float | None:
        """Time until which the command in force waits for the station to connect again, None where it does not."""
        return self.allocation.waits_until if self.allocation is not None else None

    @property
    def acts(self) -> bool:
        """True with a command, or with power ordered by anything else."""
        return self.allocation is not None or bool(self.setpoint.sent_w) or self.effective_w != 0.0

    @property
    def effective_w(self) -> float:
        """Power decided last."""
        return self.decision.power_w if self.decision else 0.0

    @property
    def idle(self) -> bool:
        """True without station or session: 0 W by the hardware, whatever all other layers allow."""
        return self.evse.session is None or not self.evse.connected

    @property
    def counts(self) -> bool:
        """True where it takes power or may be taking some."""
        if self.setpoint.sent_w is not None or self.evse.power_w is not None or self.setpoint.left_w:
            return True
        return self.decision is not None and self.decision.power_w != 0.0

    def flowing_w(self, now: float) -> list[float]:
        """Return the way of the power that flows now: from what is measured over what was ordered since."""
        setpoint, measured_w = self.setpoint, self.evse.power_w
        if setpoint.left_w:
            return [*setpoint.left_w, 0.0]
        if self.idle or not self.counts:
            return [measured_w or 0.0]
        powers = setpoint.flowing_w(measured_w, self.evse.metered_at, now)
        if setpoint.sent_w is not None and self.effective_w != setpoint.sent_w and not self.forms_grid:
            powers.append(self.effective_w)  # the order is on its way
        return powers

    def span(self, low_w: float, high_w: float) -> tuple[float, float]:
        """Return the least and the most it may be taking now, in W, while set-point, station and meter differ.

        `low_w`, `high_w`: the least and the most by the history of its power.
        """
        for power_w in (self.effective_w, self.evse.power_w, self.setpoint.sent_w):
            if power_w is None:
                continue
            if power_w < low_w:
                low_w = power_w
            if power_w > high_w:
                high_w = power_w
        return low_w, high_w

    def apply_energy(
        self,
        optimiser: Bound | None,
        extra: tuple[Bound, ...],
        forms_grid: bool,
        schedule: ReserveInForce | None,
        *,
        wake: bool,
    ) -> None:
        """Apply the orders of the energy service; `wake`: they differ enough to decide again."""
        if wake or schedule != self.schedule:
            self.wake.set()
        self.optimiser, self.extra, self.forms_grid, self.schedule = optimiser, extra, forms_grid, schedule

    def assign(self, command: ActiveCommand, power_w: float, now: float) -> Allocation:
        """Put a command in force here with an allocation of its own."""
        self.command, self.ramp = command, None
        allocation = command.allocations[self.name] = Allocation(self.name, power_w, now)
        return allocation


@dataclass(slots=True)
class SiteControlState:
    """Command to the site in force, and the sequence number of the newest one."""

    command: ActiveCommand | None = None
    sequence: int = 0


class EvseRegistry:
    """Control states by EVSE; created when the EVSE is first reported, restored or commanded."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._states: dict[str, EvseControlState] = {}
        self._of_station: dict[str, list[str]] = {}  # names of the EVSEs of each station
        self._created: asyncio.Queue[EvseControlState] = asyncio.Queue()

    def __iter__(self) -> Iterator[EvseControlState]:
        return iter(self._states.values())

    def __contains__(self, evse: object) -> bool:
        return evse in self._states

    def names(self) -> list[str]:
        """Return the names of all EVSEs, sorted."""
        return sorted(self._states)

    def get(self, evse: str | None) -> EvseControlState | None:
        """Return the state of an EVSE that has been created."""
        return self._states.get(evse) if evse is not None else None

    def ensure(self, evse: str, station: str | None = None) -> EvseControlState:
        """Return the state of an EVSE, created where there is none."""
        found = self._states.get(evse)
        if found is None:
            found = self._states[evse] = self._new(evse, station or station_of(evse))
            self._of_station.setdefault(found.evse.station, []).append(evse)
            self._created.put_nowait(found)
        return found

    def find(self, evse: str) -> EvseControlState | None:
        """Return the state of an EVSE that exists or may exist.

        Of a configured station that has not reported its EVSEs yet any may exist: then a state that is not kept.
        """
        if evse in self._states:
            return self._states[evse]
        station, _, number = evse.rpartition("-")
        if evse in self._settings.evses:
            return self._new(evse, evse)
        if station not in self._settings.stations or EVSE_NUMBER.fullmatch(number) is None:
            return None
        if any(state.evse.limits is not None for state in self.of_station(station)):
            return None
        return self._new(evse, station)

    def of_station(self, station: str) -> list[EvseControlState]:
        """Return the states of a station's EVSEs."""
        return [self._states[evse] for evse in self._of_station.get(station, ())]

    def remove(self, evse: str) -> None:
        """Remove an EVSE for good."""
        state = self._states.pop(evse)
        self._of_station[state.evse.station].remove(evse)

    async def next_created(self) -> EvseControlState:
        """Wait for the next EVSE that has been created."""
        return await self._created.get()

    def wake_all(self) -> None:
        """Let every set-point controller decide again."""
        for state in self._states.values():
            state.wake.set()

    @staticmethod
    def wake(states: Iterable[EvseControlState]) -> None:
        """Let some set-point controllers decide again."""
        for state in states:
            state.wake.set()

    def wake_active(self) -> None:
        """Let those decide again whose decision can be another: without station or session it is 0 W in any case."""
        for state in self._states.values():
            if not state.idle:
                state.wake.set()

    def unreported(self, evse: str) -> EvseControlState:
        """Return the state of an EVSE before anything is reported; it is not kept."""
        return self._new(evse, station_of(evse))

    def _new(self, evse: str, station: str) -> EvseControlState:
        one = self._settings
        policy = one.policy
        known = Evse(
            evse,
            station,
            assumed_capacity_wh=policy.assumed_capacity_wh,
            configured_capacity_wh=policy.vehicle_capacity_wh,
        )
        return EvseControlState(
            known, Setpoint(one.valid_for_s, one.retry_s, one.achieve_within_s, one.tolerance_w, one.tolerance_share)
        )


def commands_in_force(states: Iterable[EvseControlState], site: SiteControlState) -> list[ActiveCommand]:
    """Return every command that holds a power somewhere, once."""
    found = {state.command.id: state.command for state in states if state.command is not None}
    if site.command is not None:
        found[site.command.id] = site.command
    return list(found.values())
