"""Utility meter: import and export registers and the 30-minute demand windows of Japanese supply contracts.

Windows begin at :00 and :30 of local time. The demand of a window is its mean import; the contract power follows the
highest demand of the month. + is import.
"""

from __future__ import annotations

from dataclasses import dataclass, field

WINDOW_S = 1800.0


@dataclass(frozen=True, slots=True)
class Window:
    """One completed demand window."""

    start: float  # Unix time
    energy_wh: float

    @property
    def demand_w(self) -> float:
        return self.energy_wh * 3600 / WINDOW_S


@dataclass(slots=True)
class DemandMeter:
    """Registers and windows. Local time differs from UTC by a multiple of 30 minutes, so windows are those of UTC."""

    import_wh: float = 0.0
    export_wh: float = 0.0
    power_w: float = 0.0
    window_start: float | None = None
    window_wh: float = 0.0
    windows: list[Window] = field(default_factory=list)
    stuck: bool = False

    def add(self, power_w: float, wall: float, seconds: float) -> None:
        """Add a constant power over some seconds that began at `wall`."""
        while seconds > 1e-9:
            start = wall // WINDOW_S * WINDOW_S
            if self.window_start is None:
                self.window_start = start
            elif start > self.window_start:
                self.windows.append(Window(self.window_start, self.window_wh))
                self.window_start, self.window_wh = start, 0.0
            part = min(seconds, start + WINDOW_S - wall)
            energy = power_w * part / 3600
            if not self.stuck:
                self.power_w = power_w
                if energy >= 0:
                    self.import_wh += energy
                    self.window_wh += energy
                else:
                    self.export_wh -= energy
            wall += part
            seconds -= part

    @property
    def peak_w(self) -> float:
        """Highest demand of a completed window."""
        return max((window.demand_w for window in self.windows), default=0.0)
