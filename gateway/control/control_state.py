"""Control state of each EVSE and of the site: what is known, what is in force, and what the station holds."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gateway.authority.priority import Bound, Decision
from gateway.authority.soc_floors import Reserve
from gateway.control.active_command import ActiveCommand, Allocation
from gateway.control.setpoint import Setpoint
from gateway.control.settings import ServiceSettings
from gateway.model.evse import Evse

EVSE_NUMBER = re.compile(r"[1-9][0-9]{0,2}")


@dataclass(frozen=True, slots=True)
class Ramp:
    """A ramp towards the decided power, begun at `start_w`."""

    start_w: float
    begun: float


@dataclass(slots=True)
class EvseControlState:
    """Everything known and in force at one EVSE."""

    evse: Evse
    setpoint: Setpoint = field(default_factory=Setpoint)
    command: ActiveCommand | None = None
    sequence: int = 0  # of the newest command that was put in force here
    reserve: Reserve | None = None
    decision: Decision | None = None
    floor_reached: bool = False
    ramp: Ramp | None = None
    optimiser: Bound | None = None
    extra: tuple[Bound, ...] = ()  # bounds of grid code and island, from the energy service
    forms_grid: bool = False  # forms the voltage of an island: no set-point is sent
    estimated_until: float = -math.inf  # up to when unmetered energy has been counted
    telemetry_count: int = 0
    steps: int = 0  # of its set-point controller
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """Name of the EVSE."""
        return self.evse.name

    @property
    def allocation(self) -> Allocation | None:
        """Allocation of the command in force to this EVSE."""
        return self.command.allocations.get(self.evse.name) if self.command else None

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
        return self.setpoint.sent_w is not None or self.evse.power_w is not None or self.effective_w != 0.0

    def estimated_w(self, now: float) -> float:
        """Return the best estimate of its power now."""
        return self.setpoint.estimated_w(self.evse.power_w, self.evse.metered_at, now)

    def span(self) -> tuple[float, float]:
        """Return the least and the most it may be taking now, in W, while set-point, station and meter differ."""
        powers = [self.effective_w]
        if self.evse.power_w is not None:
            powers.append(self.evse.power_w)
        if self.setpoint.sent_w is not None:
            powers.append(self.setpoint.sent_w)
        return min(powers), max(powers)

    def apply_energy(self, optimiser: Bound | None, extra: tuple[Bound, ...], forms_grid: bool, *, wake: bool) -> None:
        """Apply the orders of the energy service; `wake`: they differ enough to decide again."""
        self.optimiser, self.extra, self.forms_grid = optimiser, extra, forms_grid
        if wake:
            self.wake.set()

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
        self._created: asyncio.Queue[EvseControlState] = asyncio.Queue()

    def __iter__(self) -> Iterator[EvseControlState]:
        return iter(self._states.values())

    def __contains__(self, evse: object) -> bool:
        return evse in self._states

    def __len__(self) -> int:
        return len(self._states)

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
            found = self._states[evse] = self._new(evse, station or evse.rpartition("-")[0])
            self._created.put_nowait(found)
        return found

    def find(self, evse: str) -> EvseControlState | None:
        """Return the state of an EVSE that exists or may exist.

        Of a configured station that has not reported its EVSEs yet any may exist: then a state that is not kept.
        """
        if evse in self._states:
            return self._states[evse]
        station, _, number = evse.rpartition("-")
        if station not in self._settings.stations or EVSE_NUMBER.fullmatch(number) is None:
            return None
        if any(state.evse.limits is not None for state in self.of_station(station)):
            return None
        return self._new(evse, station)

    def of_station(self, station: str) -> list[EvseControlState]:
        """Return the states of a station's EVSEs."""
        return [state for state in self._states.values() if state.evse.station == station]

    def remove(self, evse: str) -> None:
        """Remove an EVSE for good."""
        del self._states[evse]

    async def next_created(self) -> EvseControlState:
        """Wait for the next EVSE that has been created."""
        return await self._created.get()

    def wake_all(self) -> None:
        """Let every set-point controller decide again."""
        for state in self._states.values():
            state.wake.set()

    def wake_active(self, besides: EvseControlState | None = None) -> None:
        """Let those decide again whose decision can be another: without station or session it is 0 W in any case."""
        for state in self._states.values():
            if state is not besides and not state.idle:
                state.wake.set()

    def _new(self, evse: str, station: str) -> EvseControlState:
        one = self._settings
        policy = one.policy
        known = Evse(
            evse,
            station,
            assumed_capacity_wh=policy.assumed_capacity_wh,
            configured_capacity_wh=policy.vehicle_capacity_wh,
        )
        return EvseControlState(known, Setpoint(one.valid_for_s, one.retry_s, one.achieve_within_s))


def commands_in_force(states: Iterable[EvseControlState], site: SiteControlState) -> list[ActiveCommand]:
    """Return every command that holds a power somewhere, once."""
    found = {state.command.id: state.command for state in states if state.command is not None}
    if site.command is not None:
        found[site.command.id] = site.command
    return list(found.values())
