"""Battery pack of a vehicle or of a stationary storage.

Voltage, limits, heat and age follow from the charge moved; energy is accounted in both directions at the terminals and
balances with the stored energy and the losses. + is charge. Packs of unequal modules are in `second_life.py`; the
values that a vehicle reports about its pack are in `ev/car.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import exp, sqrt
from typing import Protocol

from emulators.battery.ageing import Age
from emulators.battery.ageing_laws import LAWS
from emulators.battery.chemistry import NMC, Chemistry, Curve

LONGEST_STEP_S = 60.0  # s of flow computed in one piece
AGE_EVERY_S = 600.0  # s between two updates of calendar ageing
MAX_KNOWN = 64  # integrals of fixed SoCs that are kept


class Battery(Protocol):
    """Battery that a power stage can be connected to."""

    @property
    def soc_pct(self) -> float: ...
    @property
    def voltage_v(self) -> float: ...
    def max_charge_a(self) -> float: ...
    def max_discharge_a(self) -> float: ...
    def current_for(self, power_w: float) -> float: ...
    def flow(self, current_a: float, seconds: float) -> float: ...


@dataclass(frozen=True, slots=True)
class PackSpec:
    """Design of a pack. Capacity and resistance are fresh values at 25 °C; limits apply at the terminals."""

    name: str
    chemistry: Chemistry = NMC
    series: int = 96
    capacity_ah: float = 180.0
    resistance_ohm: float = 0.075  # of the whole pack at 25 °C and half charge
    usable_low: float = 0.03  # charge fraction shown as 0 %
    usable_high: float = 0.97  # charge fraction shown as 100 %
    max_charge_a: float = 250.0
    max_discharge_a: float = 250.0
    max_charge_w: float = 100_000.0
    max_discharge_w: float = 100_000.0
    charge_map: tuple[tuple[float, float], ...] = ()  # (shown SoC %, fraction of the charge limits)
    heat_j_per_k: float = 300_000.0  # of cells and case
    cooling_w_per_k: float = 12.0  # to the ambient air
    self_discharge_pct_month: float = 1.5
    source: str = ""

    @property
    def nominal_v(self) -> float:
        return self.series * self.chemistry.ocv_v(0.5)

    @property
    def usable_wh(self) -> float:
        """Energy between 0 % and 100 % displayed SoC, fresh, at rest."""
        ocv = self.chemistry.ocv_v
        return self.series * self.capacity_ah * (ocv.integral(self.usable_high) - ocv.integral(self.usable_low))


GENERIC_63 = PackSpec(
    "generic-63", capacity_ah=186.0, source="a 400 V mid-size car: 96 NMC cells in series, 63 kWh usable; our estimates"
)


@dataclass(slots=True)
class Pack:
    """State of a pack, which starts at the displayed SoC `soc_start_pct`.

    `capacity_factor` and `resistance_factor` describe a used pack. The energy registers are in Wh and only increase.
    """

    spec: PackSpec = GENERIC_63
    soc_start_pct: float = 80.0
    temperature_c: float = 20.0
    ambient_c: float = 20.0
    capacity_factor: float = 1.0
    resistance_factor: float = 1.0
    age: Age = field(default_factory=Age)  # by the law of the pack's chemistry
    charge: float = 0.0  # fraction of the present capacity, 0..1
    current_a: float = 0.0  # of the last flow, for the voltage under load
    energy_in_wh: float = 0.0  # at the terminals
    energy_out_wh: float = 0.0
    loss_wh: float = 0.0  # heat, self-discharge, energy lost by ageing
    _unaged_s: float = 0.0
    _charge_map: Curve | None = None
    _cache_key: tuple[float, float] = (-1.0, 0.0)
    _cached: tuple[float, float] = (0.0, 0.0)
    _integrals: dict[float, float] = field(default_factory=dict)  # of the rest voltage, by displayed SoC

    def __post_init__(self) -> None:
        self.age.law = LAWS[self.spec.chemistry.name]
        if not 0 <= self.soc_start_pct <= 100:
            raise ValueError(f"soc_start_pct is 0..100, not {self.soc_start_pct}")
        self._charge_map = Curve(self.spec.charge_map) if self.spec.charge_map else None
        self.soc_pct = self.soc_start_pct

    # Measurements

    @property
    def soc_pct(self) -> float:
        """Displayed SoC: 0..100 of the usable window."""
        spec = self.spec
        return min(100.0, max(0.0, (self.charge - spec.usable_low) / (spec.usable_high - spec.usable_low) * 100))

    @soc_pct.setter
    def soc_pct(self, value: float) -> None:
        spec = self.spec
        self.charge = spec.usable_low + value / 100 * (spec.usable_high - spec.usable_low)

    @property
    def capacity_ah(self) -> float:
        return self.spec.capacity_ah * self.capacity_factor * self.age.capacity_factor

    @property
    def resistance_ohm(self) -> float:
        """Resistance at the present charge, temperature and age."""
        return self._electric()[1]

    @property
    def rest_v(self) -> float:
        """Terminal voltage without current."""
        return self._electric()[0]

    def _electric(self) -> tuple[float, float]:
        """Return rest voltage and resistance, cached for each charge and temperature."""
        key = (self.charge, self.temperature_c)
        if key != self._cache_key:
            spec = self.spec
            chemistry = spec.chemistry
            fresh = (
                spec.resistance_ohm
                * chemistry.resistance(self.charge)
                * chemistry.temperature_factor(self.temperature_c)
            )
            ohm = fresh * self.resistance_factor * self.age.resistance_factor
            self._cached = (spec.series * chemistry.ocv_v(self.charge), ohm)
            self._cache_key = key
        return self._cached

    @property
    def voltage_v(self) -> float:
        """Terminal voltage with the last current."""
        rest, ohm = self._electric()
        return rest + self.current_a * ohm

    @property
    def stored_wh(self) -> float:
        """Stored energy, including that below the usable window."""
        return self.spec.series * self.capacity_ah * self.spec.chemistry.ocv_v.integral(self.charge)

    def energy_between_wh(self, low_pct: float, high_pct: float) -> float:
        """Return the energy at rest between two displayed SoC; positive if `high_pct` is the higher."""
        spec = self.spec
        width = spec.usable_high - spec.usable_low
        ocv = spec.chemistry.ocv_v
        low, high = spec.usable_low + low_pct / 100 * width, spec.usable_low + high_pct / 100 * width
        return spec.series * self.capacity_ah * (ocv.integral(high) - ocv.integral(low))

    def energies_to_wh(self, low_pct: float, highs_pct: Iterable[float]) -> list[float]:
        """Return `energy_between_wh` of one SoC and each of several fixed ones."""
        spec = self.spec
        width, scale = spec.usable_high - spec.usable_low, spec.series * self.capacity_ah
        integral, known = spec.chemistry.ocv_v.integral, self._integrals
        below = integral(spec.usable_low + low_pct / 100 * width)
        found = []
        for high_pct in highs_pct:
            above = known.get(high_pct)
            if above is None:
                if len(known) >= MAX_KNOWN:
                    known.clear()
                above = known[high_pct] = integral(spec.usable_low + high_pct / 100 * width)
            found.append(scale * (above - below))
        return found

    # Limits of the battery management

    def max_charge_a(self) -> float:
        """Return the limit ≥ 0: least of cell current, power, temperature, charge map and voltage under load (CV)."""
        spec, chemistry = self.spec, self.spec.chemistry
        if self.charge >= spec.usable_high:
            return 0.0
        rest, ohm = self._electric()
        derated = chemistry.charge_derating(self.temperature_c)
        if self._charge_map is not None:
            derated *= self._charge_map(self.soc_pct)
        headroom = (spec.series * chemistry.max_v - rest) / ohm
        by_power = (sqrt(rest * rest + 4 * ohm * spec.max_charge_w * derated) - rest) / (2 * ohm)
        return max(0.0, min(spec.max_charge_a * derated, by_power, headroom))

    def max_discharge_a(self) -> float:
        """Return the limit ≥ 0, as for charging; at low SoC the voltage under load reduces it."""
        spec, chemistry = self.spec, self.spec.chemistry
        if self.charge <= spec.usable_low:
            return 0.0
        rest, ohm = self._electric()
        derated = chemistry.discharge_derating(self.temperature_c)
        headroom = (rest - spec.series * chemistry.min_v) / ohm
        by_power = -current_of(-spec.max_discharge_w * derated, rest, ohm)
        return max(0.0, min(spec.max_discharge_a * derated, by_power, headroom))

    def current_for(self, power_w: float) -> float:
        """Return the current of a power at the terminals, up to the physical limit of the cells."""
        return current_of(power_w, *self._electric())

    # Energy flow

    def flow(self, current_a: float, seconds: float) -> float:
        """Apply a current for some seconds; return the energy at the terminals, Wh, + is charge.

        When the cells are completely empty or full, the current ends early.
        """
        moved = 0.0
        remaining = seconds
        while remaining > 0:
            step = remaining if current_a == 0 else min(remaining, LONGEST_STEP_S)
            moved += self._step(current_a, step)
            remaining -= step
        self.current_a = current_a
        return moved

    def _step(self, current_a: float, seconds: float) -> float:
        before, ohm = self.charge, self.resistance_ohm
        hours = seconds / 3600
        capacity = self.capacity_ah
        after = before + current_a * hours / capacity
        if not 0.0 <= after <= 1.0:
            after = min(max(after, 0.0), 1.0)
            current_a = (after - before) * capacity / hours
        self.charge = after
        ocv = self.spec.chemistry.ocv_v
        chemical = self.spec.series * capacity * (ocv.integral(after) - ocv.integral(before)) if current_a else 0.0
        heat = current_a * current_a * ohm * hours
        energy = chemical + heat
        if energy >= 0:
            self.energy_in_wh += energy
        else:
            self.energy_out_wh -= energy
        self.loss_wh += heat
        self._update_temperature(current_a * current_a * ohm, seconds)
        if self.spec.self_discharge_pct_month:
            leaked = min(after, self.spec.self_discharge_pct_month / 100 * seconds / (30 * 86400))
            self.charge = after - leaked
            self.loss_wh += leaked * capacity * self.rest_v
        self._update_age(before, seconds)
        return energy

    def _update_temperature(self, heat_w: float, seconds: float) -> None:
        spec = self.spec
        settled = self.ambient_c + heat_w / spec.cooling_w_per_k
        decay = exp(-seconds * spec.cooling_w_per_k / spec.heat_j_per_k)
        self.temperature_c = settled + (self.temperature_c - settled) * decay

    def _update_age(self, before: float, seconds: float) -> None:
        capacity = self.capacity_ah
        self._unaged_s += seconds
        aged = self.age.move(self.charge, before)
        if self._unaged_s >= AGE_EVERY_S:
            self.age.rest(self.charge, self.temperature_c, self._unaged_s / 86400)
            self._unaged_s = 0.0
            aged = True
        if aged:  # energy beyond the reduced capacity is lost
            held = self.spec.series * self.spec.chemistry.ocv_v.integral(self.charge)
            self.loss_wh += held * (capacity - self.capacity_ah)


def current_of(power_w: float, rest_v: float, ohm: float) -> float:
    """Return the current of a power: power = (rest + I·ohm)·I, the branch near 0; the most of the source beyond."""
    root = rest_v * rest_v + 4 * ohm * power_w
    if root <= 0:
        return -rest_v / (2 * ohm)
    return 2 * power_w / (rest_v + sqrt(root))
