"""Curtailment of PV in an island: what load and batteries cannot take is ordered down before the frequency rises.

A nearly full battery takes less, at last nothing: a grid-forming inverter that cannot absorb a surplus raises the
frequency, and PV inverters trip by it, for minutes. What a battery
takes is `absorbable_w` in `gateway.authority.soc_floors`. Time is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass

SPARE, SPARE_W = 0.15, 200.0  # of the load, and at least: kept free for loads that are switched off
UNUSED, UNUSED_S = 0.8, 120.0  # PV below this part of its limit for so long is not limited by it


@dataclass(slots=True)
class PvCurtailment:
    """State of the curtailment of one site."""

    _active: bool = False
    _unused_since: float | None = None

    def limit_w(self, now: float, pv_w: float, load_w: float, absorbed_w: float) -> float | None:
        """Return the limit for PV, None for none. `absorbed_w`: what all batteries together can take."""
        usable_w = max(0.0, load_w + absorbed_w - max(SPARE * load_w, SPARE_W))
        if pv_w >= UNUSED * usable_w:
            self._unused_since = None
        elif self._unused_since is None:
            self._unused_since = now
        if pv_w > usable_w:
            self._active = True
        elif self._unused_since is not None and now - self._unused_since >= UNUSED_S:
            self._active = False
        return usable_w if self._active else None
