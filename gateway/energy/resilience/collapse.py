"""Collapse of an island: detection by the load, attempts with growing pauses, and what the loads really draw.

An overloaded inverter switches off and most start again by themselves, into the same load. The load meter shows it (or,
without one, the meters of the sources): it falls to nothing although load tiers are on. Each collapse lowers what is
connected at the next start. Time is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from protocols.quantities import clamp

DEAD_W = 10.0  # a load up to this is nothing
LIVE_W = 200.0  # a load that has been above this and falls to nothing was interrupted
MEASURED_SUPPLY_W = 50.0  # a source that is measured above this does supply
CONFIRM_S = 2.0
START_S = 15.0  # without any load since the start of the source, although tiers are on: it collapsed at once
WINDOW_S = 3600.0  # collapses are counted for so long
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 300.0  # before the second attempt and the following ones
LARGER = 1.3  # per collapse: the loads are expected to draw so much more than measured
MOST = 4.0  # times the expected draw that is counted with, before collapses


@dataclass(slots=True)
class CollapseWatch:
    """State of the detection; `update` each step in which a source forms the island."""

    dark: bool = False  # the voltage is gone although a source should form it
    last_w: float = 0.0  # load before the collapse
    draws: float = 1.0  # measured load, times the expected one of the tiers that are on
    _live: bool = False
    _begun: float | None = None
    _dead_since: float | None = None
    _losses: list[float] = field(default_factory=list)
    _interruptions: list[float] = field(default_factory=list)  # those of a load that had been seen

    def draw(self, load_w: float | None, expected_w: float) -> None:
        """Measure what the tiers that are on draw, compared with what is expected of them."""
        if load_w is not None and load_w > DEAD_W and expected_w > 0:
            self.draws = clamp(load_w / expected_w, 1.0, MOST)

    def count(self, now: float) -> int:
        """Return the number of collapses within the hour."""
        self._losses = [at for at in self._losses if now - at < WINDOW_S]
        return len(self._losses)

    def factor(self, now: float, *, trial: bool = False) -> float:
        """Return how many times its expected power a tier is counted with.

        `trial`: nothing is on, so that what was measured on the grid must not keep the first tier off.
        """
        return (1.0 if trial else self.draws) * float(LARGER ** self.count(now))

    def pause_s(self, now: float) -> float:
        """Return the pause before the next attempt: none after the first collapse."""
        self._interruptions = [at for at in self._interruptions if now - at < WINDOW_S]
        count = len(self._interruptions)
        return 0.0 if count < 2 else min(FIRST_PAUSE_S * 2.0 ** (count - 2), LONGEST_PAUSE_S)

    def update(
        self, now: float, load_w: float | None, expected_w: float, supplied_w: float = 0.0, metered_at: float = -inf
    ) -> bool | None:
        """Return False when the voltage is lost, True when it is back, None without a change.

        `expected_w`: of the tiers that are on; `supplied_w`: discharge of the source, measured at `metered_at`.
        """
        if load_w is None:
            self._dead_since = self._begun = None
            return None
        if load_w > DEAD_W:
            self._live = self._live or load_w >= LIVE_W
            self.last_w, self._dead_since = load_w, None
            was_dark, self.dark = self.dark, False
            return True if was_dark else None
        self._begun = now if self._begun is None else self._begun
        if self.dark or not (self._live or now - self._begun >= START_S):
            return None
        self._dead_since = now if self._dead_since is None else self._dead_since
        supplies = supplied_w > MEASURED_SUPPLY_W and metered_at > self._dead_since
        if expected_w < LIVE_W or supplies:  # nothing is on, or the source does supply
            self._live, self._dead_since, self._begun = False, None, now
            return None
        if now - self._dead_since < CONFIRM_S:
            return None
        self._losses.append(now)
        if self._live:
            self._interruptions.append(now)
        self.dark, self._live, self._dead_since, self._begun = True, False, None, None
        return False

    def attempt_failed(self, now: float) -> None:
        """Count an attempt after a collapse that brought no voltage back."""
        self._losses.append(now)
        self._interruptions.append(now)

    def reset(self) -> None:
        """End the detection: no source should form the island."""
        self.dark, self._live, self._dead_since, self._begun = False, False, None, None
