"""Accounting of the stationary storage: renewable share, degradation cost, and modules out of the ordinary.

On and off the grid, from the facility's readings. The limits of the storage are in `gateway.authority.storage_limits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from gateway.energy.reason import Decided
from gateway.energy.resource import STORAGE, Resource
from gateway.energy.view import View
from gateway.model.site import Load, Pv, Storage, StorageModule

LONGEST_S = 60.0  # between two steps: the energy of a longer gap is unknown
WORST_SOH = 0.5  # state of health at which a module has to be replaced


@dataclass(slots=True)
class RenewableAccount:
    """Share of renewable energy in a battery; discharged energy has the mixture of the stored energy."""

    stored_wh: float = 0.0
    renewable_wh: float = 0.0
    charged_wh: float = 0.0  # since the start

    @property
    def share(self) -> float:
        """Return the share of renewable energy, 0 to 1."""
        return self.renewable_wh / self.stored_wh if self.stored_wh > 0 else 0.0

    def flow(self, power_w: float, seconds: float, surplus_w: float, eta_charge: float, eta_discharge: float) -> None:
        """Account for a step; `surplus_w`, PV beyond the site's own load, is renewable."""
        wh = power_w * seconds / 3600
        if wh >= 0:
            self.charged_wh += wh
            self.stored_wh += wh * eta_charge
            self.renewable_wh += min(wh, max(0.0, surplus_w) * seconds / 3600) * eta_charge
        elif self.stored_wh > 0:
            left = 1 - min(-wh / eta_discharge / self.stored_wh, 1.0)
            self.stored_wh *= left
            self.renewable_wh *= left


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
        found = watch_modules(reading.modules, view.now)
        fresh = [event for event in found if (event.code, event.subject) not in self._reported]
        self._reported = {(event.code, event.subject) for event in found}
        return fresh

    @property
    def renewable_share(self) -> float | None:
        """Return the share of renewable energy in the storage, None before anything was charged."""
        return self.renewable.share if self.renewable.charged_wh > 0 else None


def degradation_per_kwh(soh: float, new_per_kwh: float) -> float:
    """Return the cost of a kWh through a module of this health: it rises as the remaining life falls."""
    life_left = max(0.05, (min(soh, 1.0) - WORST_SOH) / (1 - WORST_SOH))
    return new_per_kwh / life_left


def watch_modules(modules: Sequence[StorageModule], now: float) -> list[Decided]:
    """Return events for modules with much less capacity or much more resistance than the rest, or out of balance."""
    events = []
    typical_ohm = median(one.resistance_ohm for one in modules)
    socs = [one.soc_pct for one in modules if one.soc_pct is not None]
    typical_soc = median(socs) if socs else None
    for one in modules:
        if one.soh <= WORST_SOH:
            events.append(
                Decided(now, "module_worn_out", f"{one.name} has {100 * one.soh:.0f} % of its capacity left.", one.name)
            )
        if typical_ohm > 0 and one.resistance_ohm > 2 * typical_ohm:
            text = f"{one.name} has {one.resistance_ohm / typical_ohm:.1f} times the usual resistance."
            events.append(Decided(now, "module_resistance", text, one.name))
        if typical_soc is not None and one.soc_pct is not None and abs(one.soc_pct - typical_soc) > 8.0:
            text = f"{one.name} is at {one.soc_pct:.0f} %, the others at {typical_soc:.0f} %: it needs balancing."
            events.append(Decided(now, "module_imbalance", text, one.name))
    return events
