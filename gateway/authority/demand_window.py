"""The demand meter's window: how much may still be imported until it ends.

Japanese contracts (and many others with 15 minutes) are charged by the average power of each clock-aligned 30-minute
window, so one bad window costs for a year. The law here is the energy budget: what is left of it over what is left of
the time. Pure: `advance` integrates, `allowed_import_w` answers. What to do with the answer is the modes' business.

Near the end of a window the quotient explodes, and a late error cannot be made good any more; `guard_s` divides by at
least that much time. A silent meter is never zero: it counts at the last known power, and after `stale_s` at the
contract power, which is the worst a site that keeps its contract can have drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

WINDOW_S = 1800.0  # s, the Japanese demand window
GUARD_S = 60.0  # s
STALE_S = 60.0  # s


@dataclass(frozen=True, slots=True)
class DemandWindow:
    """One running window. `imported_wh` is net energy drawn since `start`; only import counts.

    `start` and `at` are Unix time. `offset_s` shifts the grid of windows where the meter's clock is known to be off.
    """

    start: float
    at: float
    imported_wh: float = 0.0
    power_w: float = 0.0
    length_s: float = WINDOW_S
    offset_s: float = 0.0
    estimated_wh: float = 0.0  # how much of `imported_wh` was never measured

    @property
    def end(self) -> float:
        return self.start + self.length_s

    @property
    def average_w(self) -> float:
        """The window's average if nothing more were drawn: a floor of what the meter will say."""
        return self.imported_wh / self.length_s * 3600


def open_window(wall: float, length_s: float = WINDOW_S, offset_s: float = 0.0) -> DemandWindow:
    """The window that holds `wall` (Unix time), with nothing drawn yet."""
    start = math.floor((wall - offset_s) / length_s) * length_s + offset_s
    return DemandWindow(start=start, at=wall, length_s=length_s, offset_s=offset_s)


def advance(
    window: DemandWindow, wall: float, grid_w: float | None, contract_w: float, stale_s: float = STALE_S
) -> tuple[DemandWindow, DemandWindow | None]:
    """Integrate up to `wall`; `grid_w` is the power measured now (+ import), None where the meter is silent.

    Answers the window that runs now, and the last one that ended on the way (None if none did). Power is held since the
    last call; a gap longer than `stale_s` counts at the contract where that is more. A wall clock that went back
    counts no time, and one that left the window opens another.
    """
    if wall < window.start:
        window = open_window(wall, window.length_s, window.offset_s)
    gap = wall - window.at
    drawn_w = window.power_w if gap <= stale_s else max(window.power_w, contract_w)
    unsure = grid_w is None or gap > stale_s
    finished: DemandWindow | None = None
    if gap > 2 * window.length_s:  # a long sleep: nothing is known of the windows in between
        window = open_window(wall, window.length_s, window.offset_s)
        window = replace(window, at=window.start)
    while wall >= window.end:
        finished = _integrate(window, window.end, drawn_w, unsure)
        window = replace(window, start=window.end, at=window.end, imported_wh=0.0, estimated_wh=0.0)
    window = _integrate(window, wall, drawn_w, unsure)
    return replace(window, power_w=drawn_w if grid_w is None else max(0.0, grid_w)), finished


def _integrate(window: DemandWindow, to: float, drawn_w: float, unsure: bool) -> DemandWindow:
    energy = drawn_w * max(0.0, to - window.at) / 3600
    return replace(
        window,
        at=max(window.at, to),
        imported_wh=window.imported_wh + energy,
        estimated_wh=window.estimated_wh + (energy if unsure else 0.0),
    )


def corrected(window: DemandWindow, wall: float, imported_wh: float, remaining_s: float | None = None) -> DemandWindow:
    """The window as the utility's own demand meter states it: its count is the one that is billed.

    `remaining_s` moves the grid of windows to the meter's clock.
    """
    if remaining_s is not None:
        start = wall + remaining_s - window.length_s
        offset = start % window.length_s
        return replace(
            window, start=start, at=wall, offset_s=offset, imported_wh=max(0.0, imported_wh), estimated_wh=0.0
        )
    return replace(window, imported_wh=max(0.0, imported_wh), estimated_wh=0.0)


def allowed_import_w(window: DemandWindow, wall: float, contract_w: float, guard_s: float = GUARD_S) -> float:
    """The power that may be drawn from now to the end of the window so that its average meets the contract."""
    left_wh = contract_w * window.length_s / 3600 - window.imported_wh
    return max(0.0, left_wh) * 3600 / max(window.end - wall, guard_s)


def projected_w(window: DemandWindow, wall: float, grid_w: float) -> float:
    """The average the window will show if the site keeps drawing `grid_w`."""
    more = max(0.0, grid_w) * max(0.0, window.end - wall) / 3600
    return (window.imported_wh + more) / window.length_s * 3600
