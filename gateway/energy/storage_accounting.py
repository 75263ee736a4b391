"""Accounting of the stationary storage: share of renewable energy in it, and modules out of the ordinary.

On and off the grid, from the facility's readings; the limits are in `storage.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.energy.reason import Decided
from gateway.energy.resource import Resource
from gateway.energy.resources import STORAGE, modules_of
from gateway.energy.storage import RenewableAccount, watch_modules
from gateway.energy.view import View
from gateway.model.site import Load, Pv, Storage

LONGEST_S = 60.0  # between two steps: the energy of a longer gap is unknown


@dataclass(slots=True)
class StorageAccounting:
    """`update` each step; a module out of the ordinary is reported once, and again after it was normal."""

    renewable: RenewableAccount = field(default_factory=RenewableAccount)
    _at: float | None = None
    _reported: set[tuple[str, str]] = field(default_factory=set)

    def update(self, view: View, resources: Sequence[Resource], base_w: float | None) -> list[Decided]:
        """Account for one step; `base_w` is the site's base load (load − PV), None off the grid or unknown."""
        one = next((one for one in resources if one.name == STORAGE), None)
        reading = view.inputs.fresh(Storage, view.now)
        before, self._at = self._at, view.now
        if one is None or reading is None:
            return []
        if before is None and one.soc_pct is not None and one.capacity_wh is not None:
            # its origin is unknown: not counted as renewable
            self.renewable.stored_wh = one.soc_pct / 100 * one.capacity_wh
        if before is not None and 0 < view.now - before <= LONGEST_S:
            pv, load = view.inputs.fresh(Pv, view.now), view.inputs.fresh(Load, view.now)
            surplus = (pv.power_w if pv is not None else 0.0) - (load.power_w if load is not None else 0.0)
            surplus = max(surplus, -base_w) if base_w is not None else surplus
            eta = one.charge_efficiency, one.discharge_efficiency
            self.renewable.flow(reading.power_w, view.now - before, max(0.0, surplus), *eta)
        if reading.modules is None:
            return []
        found = watch_modules(modules_of(reading), view.now)
        fresh = [event for event in found if (event.code, event.subject) not in self._reported]
        self._reported = {(event.code, event.subject) for event in found}
        return fresh

    @property
    def renewable_share(self) -> float | None:
        """Return the share of renewable energy in the storage, None before anything was charged."""
        return self.renewable.share if self.renewable.charged_wh > 0 else None
