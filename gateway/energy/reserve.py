"""Reserve of the site over time: on the grid, raised before a storm or by calendar, and in use during an outage.

On the grid the reserve is kept for an outage. Off the grid it is used down to the off-grid floor. A storm (reported by
the facility) or a season of the calendar raises the reserve in advance; afterwards it falls back with a delay, so that
the vehicles are not discharged into the evening peak. The floor of each battery is in `gateway.authority.soc_floors`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from gateway.authority.soc_floors import ReserveInForce
from gateway.energy.last_result import LastResult
from gateway.energy.reason import Decided
from gateway.energy.settings import EnergySection
from gateway.model.energy_state import AnnouncedReserve, ReserveState
from gateway.model.message import rfc3339
from gateway.model.site import Storm

PREPARE_S = 6 * 3600.0  # before a storm or season: the reserve is raised and charged
RELEASE_S = 3600.0  # after a warning: the raised reserve is kept, because a storm may be late
STORM = "a storm warning"


@dataclass(frozen=True, slots=True)
class Season:
    """A raised reserve, by calendar or because of a storm: from, until (Unix time), %."""

    start: float
    end: float
    pct: float
    why: str


_Coming: TypeAlias = tuple[float, float, str]  # a reserve to come: from (Unix time), %, because of


@dataclass(slots=True)
class SiteReserve:
    """The reserve in force: `pct` because of `why`, raised until `until` (Unix time)."""

    settings: EnergySection = field(default_factory=EnergySection)
    pct: float = 0.0
    why: str = ""
    until: float | None = None
    off_grid: bool = False
    needed: bool = False  # the outage needs the reserves of EVSEs, too
    in_force: ReserveInForce = field(init=False)  # the same in the form that the floors take
    _raised: bool = False
    _raised_pct: float = 0.0
    _ended: float | None = None
    _next: _Coming | None = None
    _in_force: Callable[[float, str, float, bool, bool], ReserveInForce] = field(init=False)
    _state: Callable[[ReserveInForce, bool, float | None, _Coming | None], ReserveState] = field(init=False)

    def __post_init__(self) -> None:
        self.pct, self.why = self.settings.reserve_pct, "the site's reserve"
        self.in_force = ReserveInForce(self.pct, self.why, self.settings.off_grid_pct)
        self._in_force, self._state = LastResult(ReserveInForce), LastResult(_state)

    def update(self, now: float, wall: float, warning: Storm | None, off_grid: bool) -> list[Decided]:
        """Update the reserve; `warning` is the one in force, None without any. Return what has changed."""
        seasons = [Season(one.start, one.end, one.pct, one.why) for one in self.settings.calendar]
        if warning is not None:
            pct = self.settings.storm_pct if warning.min_soc_pct is None else warning.min_soc_pct
            starts = wall if warning.starts is None else warning.starts
            seasons.append(Season(starts, warning.until or float("inf"), pct, STORM))
        events = self._announce(now, wall, seasons)
        pct, why, until, changes = self._raise_or_release(now, wall, seasons)
        events += changes
        if off_grid and not self.off_grid:
            floor_pct = self.settings.off_grid_pct
            text = f"Off the grid the reserve is used, down to {floor_pct:.0f} %."
            events.append(Decided(now, "reserve_in_use", text, figures=(("floor_pct", floor_pct),)))
        if self.off_grid and not off_grid:
            text = f"Back on the grid the reserve of {pct:.0f} % is kept again."
            events.append(Decided(now, "reserve_kept", text, figures=(("reserve_pct", pct),)))
        self.off_grid, self.pct, self.why, self.until = off_grid, pct, why, until
        self.needed = self.needed and off_grid
        self.in_force = self._in_force(pct, why, self.settings.off_grid_pct, off_grid, self.needed)
        return events

    def use_all(self, now: float) -> Decided:
        """Use the reserves of EVSEs, too, until the grid is back."""
        self.needed, self.in_force = True, replace(self.in_force, needed=True)
        floor_pct = self.settings.off_grid_pct
        text = f"No other source can supply the island: reserves of EVSEs are used, too, down to {floor_pct:.0f} %."
        return Decided(now, "reserve_in_use", text, figures=(("floor_pct", floor_pct),))

    def _announce(self, now: float, wall: float, seasons: Sequence[Season]) -> list[Decided]:
        """Update the next raise, and report a storm that is announced."""
        coming = [(one.start - PREPARE_S, one.pct, one.why) for one in seasons if wall < one.start - PREPARE_S]
        before, self._next = self._next, min(coming, default=None)
        if self._next is None or self._next == before or self._next[2] != STORM:
            return []
        start, pct, _ = self._next
        text = f"A storm is announced: the reserve is {pct:.0f} % from {rfc3339(start)}."
        return [Decided(now, "storm_announced", text, figures=(("reserve_pct", pct),))]

    def _raise_or_release(
        self, now: float, wall: float, seasons: Sequence[Season]
    ) -> tuple[float, str, float | None, list[Decided]]:
        """Return (reserve, reason, until, events) of this moment."""
        base_pct = self.settings.reserve_pct
        raised = [(one.pct, one.why, one.end) for one in seasons if one.start - PREPARE_S <= wall < one.end]
        pct, why, until = max(raised, default=(base_pct, "the site's reserve", None), key=lambda one: one[0])
        if pct > base_pct:
            events = []
            if not self._raised or pct != self._raised_pct:
                text = f"The reserve is raised from {self.pct:.0f} % to {pct:.0f} %, because of {why}."
                events.append(Decided(now, "reserve_raised", text, figures=(("reserve_pct", pct),)))
            self._raised, self._raised_pct, self._ended = True, pct, None
            return pct, why, until, events
        if not self._raised:
            return pct, why, until, []
        self._ended = wall if self._ended is None else self._ended
        if wall - self._ended < RELEASE_S:
            return self._raised_pct, "a warning that has just ended", self._ended + RELEASE_S, []
        self._raised, self._ended = False, None
        text = f"The reserve is released from {self._raised_pct:.0f} % to {base_pct:.0f} %: the warning is over."
        return pct, why, until, [Decided(now, "reserve_released", text, figures=(("reserve_pct", base_pct),))]

    def state(self) -> ReserveState:
        """Return the reserve as published in the site's state."""
        return self._state(self.in_force, self._raised, self.until, self._next)


def _state(in_force: ReserveInForce, raised: bool, until: float | None, coming: _Coming | None) -> ReserveState:
    announced = None
    if coming is not None:
        starts, pct, why = coming
        announced = AnnouncedReserve(starts=starts, reserve_pct=pct, because_of=why)
    return ReserveState(
        reserve_pct=in_force.pct,
        floor_pct=in_force.floor.pct,
        because_of=in_force.source,
        raised=raised,
        until=None if until == float("inf") else until,
        off_grid=in_force.off_grid,
        next=announced,
    )
