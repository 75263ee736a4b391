"""A pack of cells: what a car drives on and a stationary storage is made of.

Voltage, limits, heat and age follow from charge moved; energy is accounted both ways at the terminals, and closes with
what is stored and lost. + is into the pack. Chemistry and ageing have files of their own; packs of unlike modules are
in `second_life.py`; what a car says about its pack is in `ev/car.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, sqrt
from typing import Protocol

from emulators.battery.ageing import Age
from emulators.battery.ageing_laws import LAWS
from emulators.battery.chemistry import NMC, Chemistry, Curve
from protocols.frozen import frozen

LONGEST_STEP_S = 60.0  # s of flow computed in one piece
AGE_EVERY_S = 600.0  # s between two looks at the age


class Battery(Protocol):
    """What a power stage can be connected to."""

    @property
    def soc_pct(self) -> float: ...
    @property
    def voltage_v(self) -> float: ...
    def max_charge_a(self) -> float: ...
    def max_discharge_a(self) -> float: ...
    def current_for(self, power_w: float) -> float: ...
    def flow(self, current_a: float, seconds: float) -> float: ...


@frozen
class PackSpec:
    """A pack as built. Capacity and resistance are fresh values at 25 °C; limits are those of the terminals."""

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
    heat_j_per_k: float = 300_000.0  # cells and case
    cooling_w_per_k: float = 12.0  # to the air around
    self_discharge_pct_month: float = 1.5
    source: str = ""

    @property
    def nominal_v(self) -> float:
        return self.series * self.chemistry.ocv_v(0.5)

    @property
    def usable_wh(self) -> float:
        """Between 0 % and 100 % shown, fresh, at rest."""
        ocv = self.chemistry.ocv_v
        return self.series * self.capacity_ah * (ocv.integral(self.usable_high) - ocv.integral(self.usable_low))


GENERIC_63 = PackSpec(
    "generic-63",
    capacity_ah=186.0,
    source="a 400 V car of the middle class: 96 NMC cells in series, 63 kWh usable; figures are ours",
)


@dataclass(slots=True)
class Pack:
    """A pack in use. Start it with `soc_pct` shown; then `flow` charge through it.

    `capacity_factor` and `resistance_factor` make it a used one. All energy in Wh, from 0 and only growing.
    """

    spec: PackSpec = GENERIC_63
    soc_start_pct: float = 80.0
    temperature_c: float = 20.0
    ambient_c: float = 20.0
    capacity_factor: float = 1.0
    resistance_factor: float = 1.0
    age: Age = field(default_factory=Age)  # takes the law of the pack's chemistry
    charge: float = 0.0  # fraction of the present capacity, 0..1
    current_a: float = 0.0  # last flow, for the voltage under load
    energy_in_wh: float = 0.0  # at the terminals
    energy_out_wh: float = 0.0
    loss_wh: float = 0.0  # heat, self-discharge and what ageing took
    throughput_ah: float = 0.0
    _unaged_s: float = 0.0
    _charge_map: Curve | None = None
    _seen: tuple[float, float] = (-1.0, 0.0)
    _found: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        self.age.law = LAWS[self.spec.chemistry.name]
        if not 0 <= self.soc_start_pct <= 100:
            raise ValueError(f"soc_start_pct is 0..100, not {self.soc_start_pct}")
        self._charge_map = Curve(self.spec.charge_map) if self.spec.charge_map else None
        self.soc_pct = self.soc_start_pct

    # What the pack shows

    @property
    def soc_pct(self) -> float:
        """As shown to the driver: 0..100 of the usable window."""
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
        """Now: at this charge, temperature and age."""
        return self._electric()[1]

    @property
    def rest_v(self) -> float:
        """At the terminals without current."""
        return self._electric()[0]

    def _electric(self) -> tuple[float, float]:
        """Rest voltage and resistance; computed once for each charge and temperature, for they are asked often."""
        key = (self.charge, self.temperature_c)
        if key != self._seen:
            spec = self.spec
            chemistry = spec.chemistry
            fresh = spec.resistance_ohm * chemistry.resistance(self.charge) * chemistry.warmth(self.temperature_c)
            ohm = fresh * self.resistance_factor * self.age.resistance_factor
            self._found = (spec.series * chemistry.ocv_v(self.charge), ohm)
            self._seen = key
        return self._found

    @property
    def voltage_v(self) -> float:
        """At the terminals with the last current."""
        return self.rest_v + self.current_a * self.resistance_ohm

    @property
    def stored_wh(self) -> float:
        """All that is chemically there, the unusable bottom included."""
        return self.spec.series * self.capacity_ah * self.spec.chemistry.ocv_v.integral(self.charge)

    def energy_between_wh(self, low_pct: float, high_pct: float) -> float:
        """At rest between two shown SoC; signed, positive when `high_pct` is the higher."""
        spec = self.spec
        width = spec.usable_high - spec.usable_low
        ocv = spec.chemistry.ocv_v
        low, high = (spec.usable_low + pct / 100 * width for pct in (low_pct, high_pct))
        return spec.series * self.capacity_ah * (ocv.integral(high) - ocv.integral(low))

    # What the battery management allows at this moment

    def max_charge_a(self) -> float:
        """≥ 0: the least of the cells' current, the power, the temperature, the map and the voltage under load (CV)."""
        spec, chemistry = self.spec, self.spec.chemistry
        if self.charge >= spec.usable_high:
            return 0.0
        rest, ohm = self.rest_v, self.resistance_ohm
        derated = chemistry.charge_derating(self.temperature_c)
        if self._charge_map is not None:
            derated *= self._charge_map(self.soc_pct)
        headroom = (spec.series * chemistry.max_v - rest) / ohm
        by_power = (sqrt(rest * rest + 4 * ohm * spec.max_charge_w * derated) - rest) / (2 * ohm)
        return max(0.0, min(spec.max_charge_a * derated, by_power, headroom))

    def max_discharge_a(self) -> float:
        """≥ 0: as for charging; near the bottom the voltage under load tapers it."""
        spec, chemistry = self.spec, self.spec.chemistry
        if self.charge <= spec.usable_low:
            return 0.0
        rest, ohm = self.rest_v, self.resistance_ohm
        derated = chemistry.discharge_derating(self.temperature_c)
        footroom = (rest - spec.series * chemistry.min_v) / ohm
        by_power = -_current(-spec.max_discharge_w * derated, rest, ohm)
        return max(0.0, min(spec.max_discharge_a * derated, by_power, footroom))

    def current_for(self, power_w: float) -> float:
        """The current that makes this power at the terminals; within what the cells can physically give."""
        return _current(power_w, self.rest_v, self.resistance_ohm)

    # What happens to it

    def flow(self, current_a: float, seconds: float) -> float:
        """Let a current pass for a while; returns the energy at the terminals, Wh, + into the pack.

        At the ends of the chemistry (empty, full to the brim) the cells carry no more: the current is cut short.
        """
        moved = 0.0
        left = seconds
        while left > 0:
            step = left if current_a == 0 else min(left, LONGEST_STEP_S)
            moved += self._step(current_a, step)
            left -= step
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
        self.throughput_ah += abs(current_a) * hours
        self._warm(current_a * current_a * ohm, seconds)
        if self.spec.self_discharge_pct_month:
            leaked = min(after, self.spec.self_discharge_pct_month / 100 * seconds / (30 * 86400))
            self.charge = after - leaked
            self.loss_wh += leaked * capacity * self.rest_v
        self._grow_old(before, seconds)
        return energy

    def _warm(self, heat_w: float, seconds: float) -> None:
        spec = self.spec
        settled = self.ambient_c + heat_w / spec.cooling_w_per_k
        decay = exp(-seconds * spec.cooling_w_per_k / spec.heat_j_per_k)
        self.temperature_c = settled + (self.temperature_c - settled) * decay

    def _grow_old(self, before: float, seconds: float) -> None:
        capacity = self.capacity_ah
        self._unaged_s += seconds
        grown = self.age.move(self.charge, before)
        if self._unaged_s >= AGE_EVERY_S:
            self.age.rest(self.charge, self.temperature_c, self._unaged_s / 86400)
            self._unaged_s = 0.0
            grown = True
        if grown:  # what no longer fits is lost
            held = self.spec.series * self.spec.chemistry.ocv_v.integral(self.charge)
            self.loss_wh += held * (capacity - self.capacity_ah)


def _current(power_w: float, rest_v: float, ohm: float) -> float:
    """Solve power = (rest + I·ohm)·I for the branch near 0; the most the source can give where it has no solution."""
    root = rest_v * rest_v + 4 * ohm * power_w
    if root <= 0:
        return -rest_v / (2 * ohm)
    return 2 * power_w / (rest_v + sqrt(root))
