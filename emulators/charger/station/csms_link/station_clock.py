"""Wall clock of an emulated station: set by the CSMS, stepped by quirks, continuous in between."""

from __future__ import annotations

from collections.abc import Callable

from protocols.ports import Clock

STEP_S = 0.5  # a clock that moves this much at once was set


class StationClock:
    """Unix time of one station. `on_step` receives the seconds by which the clock was stepped.

    Durations are measured on the steady clock. When the wall clock is stepped, times noted before move along;
    otherwise a clock set back would prolong a dynamic charging profile.
    """

    def __init__(self, clock: Clock, on_step: Callable[[float], None]) -> None:
        self._clock, self._on_step = clock, on_step
        self._offset = 0.0
        self._last: tuple[float, float] | None = None  # steady clock, wall clock

    def set(self, wall: float) -> None:
        """Set the wall clock."""
        self._offset = wall - self._clock.wall()

    def wall(self) -> float:
        """Return the wall clock."""
        wall, steady = self._clock.wall() + self._offset, self._clock.now()
        if self._last is not None:
            elapsed = steady - self._last[0]
            step = wall - self._last[1] - elapsed
            if abs(step) > STEP_S + elapsed * 1e-3:  # more than any drift
                self._on_step(step)
        self._last = steady, wall
        return wall
