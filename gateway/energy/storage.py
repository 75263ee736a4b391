"""Second-life storage: limits and degradation cost of a pack from the state of its modules; share of PV energy in it.

Used cells differ in capacity, resistance and state of charge. In series all carry the same current, so the weakest
module sets the power and is empty and full first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from gateway.energy.reason import Decided

NEW_DEGRADATION_PER_KWH = 4.0  # cost per kWh through a pack in good health, in the unit of the site's prices
WORST_SOH = 0.5  # state of health at which a module has to be replaced
COLD_C, WARM_C, HOT_C = 0.0, 40.0, 55.0
SAFE_C_RATE = 0.5  # of used modules
SAG = 0.08  # voltage drop at full power, of the module's voltage


@dataclass(frozen=True, slots=True)
class Module:
    """One module as its monitor reports it. `soh` is 0 to 1 of `new_wh`; None is not measured."""

    name: str
    new_wh: float
    soh: float
    voltage_v: float
    resistance_ohm: float
    temperature_c: float | None = None
    soc_pct: float | None = None


@dataclass(frozen=True, slots=True)
class PackLimits:
    """Limits of the pack now, W and Wh at its terminals, and the property that limits it."""

    max_charge_w: float
    max_discharge_w: float
    capacity_wh: float
    soc_pct: float | None
    degradation_per_kwh: float
    binding: str


def pack_limits(
    modules: Sequence[Module], strings: int = 1, new_per_kwh: float = NEW_DEGRADATION_PER_KWH
) -> PackLimits:
    """Return the limits of modules in series (`strings` of equal length in parallel); ValueError without modules."""
    if not modules:
        raise ValueError("a pack has at least one module")
    size = len(modules) / strings
    smallest = min(modules, key=lambda one: one.new_wh * one.soh)
    each_wh = smallest.new_wh * smallest.soh
    powers = [(_power_w(one), one) for one in modules]
    power_w, slowest = min(powers, key=lambda one: one[0])
    pack_w = max(0.0, power_w) * size * strings
    charge_w = discharge_w = pack_w
    binding = "resistance" if _sag_w(slowest) <= _rate_w(slowest) else "capacity"
    temperatures = [one.temperature_c for one in modules if one.temperature_c is not None]
    if temperatures:
        charge_w *= _derating(min(temperatures), max(temperatures), charging=True)
        discharge_w *= _derating(min(temperatures), max(temperatures), charging=False)
        if charge_w < pack_w or discharge_w < pack_w:
            binding = "temperature"
    socs = [one.soc_pct for one in modules if one.soc_pct is not None]
    soc: float | None = None
    capacity_wh = each_wh * len(modules)
    if socs:
        # the emptiest module ends the discharge, the fullest the charge: the range between them is usable
        low, high = min(socs), max(socs)
        usable = max(1.0, 100.0 - (high - low))
        soc = 100.0 * low / usable if usable > 0 else low
        capacity_wh *= usable / 100
        if high - low > 5.0:
            binding = "imbalance"
    degradation = fmean(degradation_per_kwh(one.soh, new_per_kwh) for one in modules)
    return PackLimits(charge_w, discharge_w, capacity_wh, soc, degradation, binding)


def _rate_w(module: Module) -> float:
    return module.new_wh * module.soh * SAFE_C_RATE


def _sag_w(module: Module) -> float:
    """Return the power at which the voltage drop over the module's resistance is `SAG`."""
    return module.voltage_v * (SAG * module.voltage_v / max(module.resistance_ohm, 1e-6))


def _power_w(module: Module) -> float:
    return min(_rate_w(module), _sag_w(module))


def _derating(coldest: float, hottest: float, charging: bool) -> float:
    """Return the share of power left by temperature: no charge below freezing, no power above `HOT_C`."""
    cold = min(1.0, max(0.0, (coldest - COLD_C) / 10.0)) if charging else min(1.0, max(0.2, (coldest + 20.0) / 30.0))
    hot = min(1.0, max(0.0, (HOT_C - hottest) / (HOT_C - WARM_C)))
    return cold * hot


def degradation_per_kwh(soh: float, new_per_kwh: float = NEW_DEGRADATION_PER_KWH) -> float:
    """Return the cost of a kWh through a module of this health: it rises as the remaining life falls."""
    life_left = max(0.05, (min(soh, 1.0) - WORST_SOH) / (1 - WORST_SOH))
    return new_per_kwh / life_left


def watch_modules(modules: Sequence[Module], now: float) -> list[Decided]:
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
