"""The books of the stationary storage: what in it came from the sun, and which of its modules stand out.

Kept on and off the grid, from what the facility tells; nothing is decided here (`storage.py` has the limits).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.energy.reason import Decided
from gateway.energy.resource import Resource
from gateway.energy.resources import STORAGE, modules_of
from gateway.energy.storage import GreenBook, watch_modules
from gateway.energy.view import View
from gateway.model.site import Load, Pv, Storage

LONGEST_S = 60.0  # between two looks: what flowed in a longer gap nobody knows


@dataclass(slots=True)
class Storekeeper:
    """`look` each step; modules that stand out are told once, and again when they stood out anew."""

    green: GreenBook = field(default_factory=GreenBook)
    _at: float | None = None
    _told: set[tuple[str, str]] = field(default_factory=set)

    def look(self, view: View, resources: Sequence[Resource], grid_w: float | None) -> list[Decided]:
        """One step; `grid_w` is the site's own draw (load − PV) by the grid's meter, None off the grid or unknown."""
        one = next((one for one in resources if one.name == STORAGE), None)
        told = view.inputs.fresh(Storage, view.now)
        before, self._at = self._at, view.now
        if one is None or told is None:
            return []
        if before is None and one.soc_pct is not None and one.capacity_wh is not None:
            # where that came from nobody knows: not from the sun
            self.green.stored_wh = one.soc_pct / 100 * one.capacity_wh
        if before is not None and 0 < view.now - before <= LONGEST_S:
            pv, load = view.inputs.fresh(Pv, view.now), view.inputs.fresh(Load, view.now)
            surplus = (pv.power_w if pv is not None else 0.0) - (load.power_w if load is not None else 0.0)
            surplus = max(surplus, -grid_w) if grid_w is not None else surplus
            eta = one.charge_efficiency, one.discharge_efficiency
            self.green.flow(told.power_w, view.now - before, max(0.0, surplus), *eta)
        if told.modules is None:
            return []
        found = watch_modules(modules_of(told), view.now)
        fresh = [event for event in found if (event.code, event.subject) not in self._told]
        self._told = {(event.code, event.subject) for event in found}
        return fresh

    @property
    def green_share(self) -> float | None:
        """Part of the energy in it that came from the sun, None before anything was stored."""
        return self.green.green_share if self.green.in_wh > 0 else None
