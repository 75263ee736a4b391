"""Demand window: the power that may still be imported until the utility's metering interval ends. Pure.

Japanese contracts (and many others with 15 minutes) are charged by the highest average power of a clock-aligned
30-minute window, so one window above the contract costs for a year. `advance` integrates the imported energy,
`allowed_import_w` returns what is left of the energy over what is left of the time.

Near the end of a window the quotient grows without limit, and a late error cannot be corrected; `guard_s` is the least
time to divide by. A stale meter is never zero: it counts at the last known power, and after `stale_s` at the contract
power, the highest that a site within its contract can have drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

WINDOW_S = 1800.0  # s, the Japanese demand window
GUARD_S = 60.0  # s
STALE_S = 60.0  # s
CORRECTION_SHARE = 0.3  # of the power of all vehicles: they are discharged for a window when this much is needed


@dataclass(frozen=True, slots=True)
class DemandWindow:
    """The current window. `imported_wh`: energy imported since `start`; export is not deducted.

    `start` and `at` are Unix time. `offset_s` shifts all windows where the meter's clock is known to differ.
    """

    start: float
    at: float
    imported_wh: float = 0.0
    power_w: float = 0.0
    length_s: float = WINDOW_S
    offset_s: float = 0.0
    estimated_wh: float = 0.0  # of `imported_wh`, not measured

    @property
    def end(self) -> float:
        return self.start + self.length_s

    @property
    def average_w(self) -> float:
        """Return the average of the window if nothing more is imported."""
        return self.imported_wh / self.length_s * 3600


def open_window(wall: float, length_s: float = WINDOW_S, offset_s: float = 0.0) -> DemandWindow:
    """Return the window that contains `wall` (Unix time), with nothing imported."""
    start = math.floor((wall - offset_s) / length_s) * length_s + offset_s
    return DemandWindow(start=start, at=wall, length_s=length_s, offset_s=offset_s)


def advance(
    window: DemandWindow, wall: float, grid_w: float | None, contract_w: float, stale_s: float = STALE_S
) -> tuple[DemandWindow, DemandWindow | None]:
    """Integrate up to `wall`; `grid_w` is the measured power (+ import), None where the meter is stale.

    Return the current window, and the last one that has ended (None if none has). The power is constant since the last
    call; a gap longer than `stale_s` counts at the contract where that is more. A wall clock that went back counts no
    time, and one that left the window opens another.
    """
    if wall < window.start:
        window = replace(open_window(wall, window.length_s, window.offset_s), power_w=window.power_w)
    gap = wall - window.at
    imported_w = window.power_w if gap <= stale_s else max(window.power_w, contract_w)
    estimated = grid_w is None or gap > stale_s
    finished: DemandWindow | None = None
    if gap > 2 * window.length_s:  # a long pause: the windows in between are unknown
        window = open_window(wall, window.length_s, window.offset_s)
        window = replace(window, at=window.start)
    while wall >= window.end:
        finished = _integrate(window, window.end, imported_w, estimated, window.power_w)
        window = replace(window, start=window.end, at=window.end, imported_wh=0.0, estimated_wh=0.0)
    return _integrate(window, wall, imported_w, estimated, imported_w if grid_w is None else max(0.0, grid_w)), finished


def _integrate(window: DemandWindow, to: float, imported_w: float, estimated: bool, power_w: float) -> DemandWindow:
    """Return the window with `imported_w` until `to`, and `power_w` from then on."""
    energy = imported_w * max(0.0, to - window.at) / 3600
    return replace(
        window,
        at=max(window.at, to),
        power_w=power_w,
        imported_wh=window.imported_wh + energy,
        estimated_wh=window.estimated_wh + (energy if estimated else 0.0),
    )


def corrected(window: DemandWindow, wall: float, imported_wh: float, remaining_s: float | None = None) -> DemandWindow:
    """Return the window corrected by the utility's demand meter, whose count is billed.

    `remaining_s` shifts the windows to the meter's clock.
    """
    if remaining_s is not None:
        start = wall + remaining_s - window.length_s
        offset = start % window.length_s
        return replace(
            window, start=start, at=wall, offset_s=offset, imported_wh=max(0.0, imported_wh), estimated_wh=0.0
        )
    return replace(window, imported_wh=max(0.0, imported_wh), estimated_wh=0.0)


def allowed_import_w(window: DemandWindow, wall: float, contract_w: float, guard_s: float = GUARD_S) -> float:
    """Return the import allowed until the end of the window so that its average meets the contract."""
    left_wh = contract_w * window.length_s / 3600 - window.imported_wh
    return max(0.0, left_wh) * 3600 / max(window.end - wall, guard_s)


def correction_due(needed_w: float, able_w: float, begun: bool) -> bool:
    """Return whether batteries have to be discharged now for the window to meet the contract; once begun it continues.

    The window is an average: while `needed_w` is a small share of what they are able to, it can be corrected later.
    """
    return needed_w > 0 and (begun or needed_w >= CORRECTION_SHARE * able_w)
