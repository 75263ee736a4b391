"""Limits of the stationary storage: what its converter and, where it reports them, its modules allow. Pure.

Used cells differ in capacity, resistance and state of charge. In series all carry the same current, so the weakest
module sets the power and is empty and full first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.model.site import StorageModule
from protocols.quantities import clamp

WARM_C, HOT_C = 40.0, 55.0  # between them power falls to 0
SAFE_C_RATE = 0.5  # of used modules
SAG = 0.08  # voltage drop at full power, of the module's voltage


@dataclass(frozen=True, slots=True)
class StorageLimits:
    """Limits of a storage now: W at its terminals, and its usable capacity in Wh (None: unknown)."""

    max_charge_w: float
    max_discharge_w: float
    capacity_wh: float | None


def storage_limits(converter: StorageLimits, modules: Sequence[StorageModule] | None) -> StorageLimits:
    """Return the limits of converter and pack together; `modules` None: the converter's alone."""
    if modules is None:
        return converter
    pack = pack_limits(modules)
    known = [wh for wh in (converter.capacity_wh, pack.capacity_wh) if wh is not None]
    return StorageLimits(
        min(converter.max_charge_w, pack.max_charge_w),
        min(converter.max_discharge_w, pack.max_discharge_w),
        min(known),
    )


def pack_limits(modules: Sequence[StorageModule]) -> StorageLimits:
    """Return the limits of a pack of one or more modules, in strings of equal length."""
    count = len(modules)
    charge_w = discharge_w = min(_power_w(one) for one in modules) * count
    capacity_wh = min(one.new_wh * one.soh for one in modules) * count
    temperatures = [one.temperature_c for one in modules if one.temperature_c is not None]
    if temperatures:
        coldest_c, hot = min(temperatures), clamp((HOT_C - max(temperatures)) / (HOT_C - WARM_C), 0.0, 1.0)
        charge_w *= hot * clamp(coldest_c / 10.0, 0.0, 1.0)  # no charge below freezing
        discharge_w *= hot * clamp((coldest_c + 20.0) / 30.0, 0.2, 1.0)
    socs = [one.soc_pct for one in modules if one.soc_pct is not None]
    if socs:  # the emptiest module ends the discharge, the fullest the charge: the range between them is usable
        capacity_wh *= max(1.0, 100.0 - (max(socs) - min(socs))) / 100
    return StorageLimits(charge_w, discharge_w, capacity_wh)


def _power_w(module: StorageModule) -> float:
    """Return the power of a module: its safe rate, or that at which the voltage drops by `SAG` over its resistance."""
    sag_w = module.voltage_v * (SAG * module.voltage_v / max(module.resistance_ohm, 1e-6))
    return min(module.new_wh * module.soh * SAFE_C_RATE, sag_w)
