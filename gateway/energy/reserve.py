"""The reserve: how far down a battery may be used, on the grid and off it, and higher before a storm.

On the grid the reserve is kept for an outage. Off the grid the outage is here: the reserve is spent down to the
off-grid floor. The way home of a car is kept in both. A storm (announced by the facility, or in the site's calendar)
raises the floor and fills up to it; when it is over it falls back, slowly enough that nobody empties the cars into
the evening peak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.energy.reason import Decided
from gateway.energy.state_messages import reserve_state
from gateway.model.energy_state import ReserveState
from gateway.model.moment import rfc3339

PREPARE_S = 6 * 3600.0  # s before a storm's or season's beginning from which the reserve is raised and filled up to
RELEASE_S = 3600.0  # s after a warning's end during which the raised floor still holds: storms are late as well


@dataclass(frozen=True, slots=True)
class Season:
    """A raised reserve by calendar: from, until (Unix time), %."""

    start: float
    end: float
    pct: float
    why: str = "the calendar"


@dataclass(frozen=True, slots=True)
class StormWarning:
    """A storm warning as the facility gave it; `pct` None means the site's own storm reserve.

    `starts`: when it is expected (Unix time), None is now.
    """

    until: float | None
    pct: float | None
    starts: float | None = None


@dataclass(frozen=True, slots=True)
class ReserveSettings:
    """Floors in % SoC. `margin` is added to the energy of the way home."""

    on_grid_pct: float = 30.0
    off_grid_pct: float = 10.0
    storm_pct: float = 80.0
    calendar: Sequence[Season] = ()
    margin: float = 0.2
    release_s: float = RELEASE_S
    prepare_s: float = PREPARE_S


@dataclass(frozen=True, slots=True)
class Floor:
    """A floor in force, in % SoC, and whose it is."""

    pct: float
    whose: str


@dataclass(slots=True)
class Reserve:
    """The reserve in force. `look` each minute or on a new warning; `floor` for each battery."""

    settings: ReserveSettings = field(default_factory=ReserveSettings)
    pct: float = 0.0
    why: str = ""
    until: float | None = None
    off_grid: bool = False
    _raised: bool = False
    _held_pct: float = 0.0
    _ended: float | None = None
    _ahead: tuple[float, float, str] | None = None  # raised from (Unix time), to (%), because of

    def __post_init__(self) -> None:
        self.pct, self.why = self.settings.on_grid_pct, "the site's reserve"

    def look(self, now: float, wall: float, warning: StormWarning | None, off_grid: bool) -> list[Decided]:
        """What holds now. `warning` is the one in force, None without any; `off_grid` that the grid is gone."""
        seasons = list(self.settings.calendar)
        if warning is not None:
            pct = self.settings.storm_pct if warning.pct is None else warning.pct
            starts = wall if warning.starts is None else warning.starts
            seasons.append(Season(starts, warning.until or float("inf"), pct, "a storm warning"))
        from_s = self.settings.prepare_s  # so that it is full when it begins
        raised = [(one.pct, one.why, one.end) for one in seasons if one.start - from_s <= wall < one.end]
        base_pct = self.settings.on_grid_pct
        coming = [(one.start - from_s, one.pct, one.why) for one in seasons if wall < one.start - from_s]
        ahead, before = min(coming, default=None), self._ahead
        events: list[Decided] = []
        if ahead is not None and ahead != before and ahead[2] == "a storm warning":
            text = f"A storm is announced: from {rfc3339(ahead[0])} on the reserve is {ahead[1]:.0f} %."
            events.append(Decided(now, "storm_announced", text, figures=(("reserve_pct", ahead[1]),)))
        self._ahead = ahead
        pct, why, until = max(raised, default=(base_pct, "the site's reserve", None), key=lambda one: one[0])
        if pct > base_pct:
            self._ended = None
            if not self._raised or pct != self._held_pct:
                text = f"The reserve rises from {self.pct:.0f} % to {pct:.0f} %, because of {why}."
                events.append(Decided(now, "reserve_raised", text, figures=(("reserve_pct", pct),)))
            self._raised, self._held_pct = True, pct
        elif self._raised:
            self._ended = wall if self._ended is None else self._ended
            if wall - self._ended < self.settings.release_s:
                pct, why, until = self._held_pct, "a warning that has just ended", self._ended + self.settings.release_s
            else:
                self._raised, self._ended = False, None
                text = f"The reserve falls back from {self._held_pct:.0f} % to {base_pct:.0f} %: the warning is over."
                events.append(Decided(now, "reserve_released", text, figures=(("reserve_pct", base_pct),)))
        if off_grid and not self.off_grid:
            text = f"Off the grid the reserve is there to be used, down to {self.settings.off_grid_pct:.0f} %."
            events.append(Decided(now, "reserve_in_use", text, figures=(("floor_pct", self.settings.off_grid_pct),)))
        if self.off_grid and not off_grid:
            text = f"Back on the grid the reserve of {pct:.0f} % is kept again."
            events.append(Decided(now, "reserve_kept", text, figures=(("reserve_pct", pct),)))
        self.off_grid, self.pct, self.why, self.until = off_grid, pct, why, until
        return events

    def floor(
        self,
        capacity_wh: float | None,
        home_wh: float | None = None,
        vehicle_pct: float = 0.0,
        own_pct: float = 0.0,
        agreed_pct: float = 0.0,
    ) -> Floor:
        """The floor of one battery: the highest of site, way home, vehicle, its own reserve and its agreement.

        `home_wh` (in the battery) of a car of unknown capacity keeps it from being discharged: 100 %.
        """
        pct = self.settings.off_grid_pct if self.off_grid else self.pct
        whose = "the site's off-grid floor" if self.off_grid else self.why
        if vehicle_pct > pct:
            pct, whose = vehicle_pct, "the vehicle"
        if own_pct > pct:
            pct, whose = own_pct, "the reserve of this EVSE"
        if agreed_pct > pct:
            pct, whose = agreed_pct, "the agreement"
        if home_wh is not None and home_wh > 0:
            home = min(100.0, 100.0 * home_wh * (1 + self.settings.margin) / capacity_wh) if capacity_wh else 100.0
            if home > pct:
                pct, whose = home, "the way home"
        return Floor(pct, whose)

    def state(self) -> ReserveState:
        """Return the reserve as published in the site's state."""
        floor_pct = self.settings.off_grid_pct if self.off_grid else self.pct
        until = None if self.until == float("inf") else self.until
        return reserve_state(self.pct, floor_pct, self.why, self._raised, until, self.off_grid, self._ahead)


def home_wh(distance_km: float, wh_per_km: float) -> float:
    """Energy of the way home, in the battery."""
    return max(0.0, distance_km) * max(0.0, wh_per_km)
