"""Limits of the stationary storage: what its converter and, where it reports them, its modules allow. Pure.

Used cells differ in capacity, resistance and state of charge. In series all carry the same current, so the weakest
module sets the power and is empty and full first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.model.site import StorageModule

COLD_C, WARM_C, HOT_C = 0.0, 40.0, 55.0
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
        charge_w *= _derating(min(temperatures), max(temperatures), charging=True)
        discharge_w *= _derating(min(temperatures), max(temperatures), charging=False)
    socs = [one.soc_pct for one in modules if one.soc_pct is not None]
    if socs:  # the emptiest module ends the discharge, the fullest the charge: the range between them is usable
        capacity_wh *= max(1.0, 100.0 - (max(socs) - min(socs))) / 100
    return StorageLimits(charge_w, discharge_w, capacity_wh)


def _power_w(module: StorageModule) -> float:
    """Return the power of a module: its safe rate, or that at which the voltage drops by `SAG` over its resistance."""
    sag_w = module.voltage_v * (SAG * module.voltage_v / max(module.resistance_ohm, 1e-6))
    return min(module.new_wh * module.soh * SAFE_C_RATE, sag_w)


def _derating(coldest: float, hottest: float, charging: bool) -> float:
    """Return the share of power left by temperature: no charge below freezing, no power above `HOT_C`."""
    cold = min(1.0, max(0.0, (coldest - COLD_C) / 10.0)) if charging else min(1.0, max(0.2, (coldest + 20.0) / 30.0))
    hot = min(1.0, max(0.0, (HOT_C - hottest) / (HOT_C - WARM_C)))
    return cold * hot
