"""Curtailment of PV in an island: what load and batteries cannot take is ordered down before the frequency rises.

A nearly full battery takes less, at last nothing: a grid-forming inverter that cannot absorb a surplus raises the
frequency, and PV inverters trip by it, for minutes. What a battery takes is `absorbable_w` in
`gateway.authority.soc_floors`.
"""

from __future__ import annotations

from dataclasses import dataclass

SPARE, SPARE_W = 0.15, 200.0  # of the load, and at least: kept free for loads that are switched off
RELEASED = 1.25  # of the most that the PV has fed: batteries and load that take more need no limit


@dataclass(slots=True)
class PvCurtailment:
    """State of the curtailment of one site.

    A limit stays while the PV feeds less, under a cloud or after a trip: it may return within a second.
    """

    _active: bool = False
    _most_w: float = 0.0  # that the PV has fed

    def limit_w(self, pv_w: float, load_w: float, absorbed_w: float) -> float | None:
        """Return the limit for PV, None for none. `absorbed_w`: what all batteries together can take."""
        usable_w = max(0.0, load_w + absorbed_w - max(SPARE * load_w, SPARE_W))
        self._most_w = max(self._most_w, pv_w)
        self._active = pv_w > usable_w or (self._active and usable_w < RELEASED * self._most_w)
        return usable_w if self._active else None
