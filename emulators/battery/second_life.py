"""Second-life pack: a stationary pack of used, unequal modules, limited by the weakest one.

Modules are connected in series, each with its own capacity, resistance and charge. The spread is drawn by a seed. A
`Pack` of equal cells is in `pack.py`; converter and control are in `site/storage.py`.

Source for the condition of used LEAF packs: W. Gao et al., "Evaluation of the second-life potential of the
first-generation Nissan Leaf battery packs in energy storage systems", eTransportation 20 (2024) 100313: 60-67 % of the
capacity remaining after some ten years, and good consistency within a pack. For the newer 40 kWh modules 70 % ± 3 % is
assumed (an estimate).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from emulators.battery.chemistry import NMC
from emulators.battery.pack import Pack, PackSpec

LEAF_40_MODULE = PackSpec(
    "leaf-40-module",
    NMC,
    series=4,
    capacity_ah=112.6,
    resistance_ohm=0.080 / 24,
    usable_low=0.05,
    usable_high=0.95,
    max_charge_a=60.0,
    max_discharge_a=60.0,
    max_charge_w=2_500.0,
    max_discharge_w=2_500.0,
    heat_j_per_k=9_000.0,
    cooling_w_per_k=0.8,
    self_discharge_pct_month=2.0,
    source="one of 24 modules of a LEAF ZE1 pack: 8 cells as 4s2p (see the profile leaf-40)",
)


@dataclass(frozen=True, slots=True)
class SecondLifeSpec:
    """Spread of the modules, in fractions of the fresh value; one module may be weaker."""

    module: PackSpec = LEAF_40_MODULE
    count: int = 24
    capacity: float = 0.70
    capacity_spread: float = 0.03  # standard deviation
    resistance: float = 1.6
    resistance_spread: float = 0.12
    imbalance_pct: float = 1.5  # standard deviation of the charge at the start
    weak_module: int | None = 7
    weak_capacity: float = 0.55
    weak_resistance: float = 2.4


@dataclass(slots=True)
class SecondLifePack:
    """Modules in series; a `Battery`. SoC 0 and 100 are reached when the first module is empty or full."""

    spec: SecondLifeSpec = field(default_factory=SecondLifeSpec)
    soc_start_pct: float = 50.0
    seed: int = 0
    ambient_c: float = 20.0
    modules: list[Pack] = field(default_factory=list)

    def __post_init__(self) -> None:
        draw = random.Random(f"second-life-{self.seed}")
        spec = self.spec
        for n in range(spec.count):
            capacity = max(0.3, draw.gauss(spec.capacity, spec.capacity_spread))
            resistance = max(0.8, draw.gauss(spec.resistance, spec.resistance_spread))
            soc = min(100.0, max(0.0, draw.gauss(self.soc_start_pct, spec.imbalance_pct)))
            if n == spec.weak_module:
                capacity, resistance = spec.weak_capacity, spec.weak_resistance
            module = Pack(
                spec.module,
                soc,
                temperature_c=self.ambient_c,
                ambient_c=self.ambient_c,
                capacity_factor=capacity,
                resistance_factor=resistance,
            )
            self.modules.append(module)

    @property
    def soc_pct(self) -> float:
        """SoC between the first module empty and the first module full."""
        out, into = self.dischargeable_ah, self.chargeable_ah
        return min(100.0, 100.0 * out / (out + into)) if out + into > 0 else 0.0

    @property
    def dischargeable_ah(self) -> float:
        """Charge until the first module is empty."""
        low = self.spec.module.usable_low
        return max(0.0, min((module.charge - low) * module.capacity_ah for module in self.modules))

    @property
    def chargeable_ah(self) -> float:
        """Charge until the first module is full."""
        high = self.spec.module.usable_high
        return max(0.0, min((high - module.charge) * module.capacity_ah for module in self.modules))

    @property
    def voltage_v(self) -> float:
        return sum(module.voltage_v for module in self.modules)

    @property
    def rest_v(self) -> float:
        return sum(module.rest_v for module in self.modules)

    @property
    def resistance_ohm(self) -> float:
        return sum(module.resistance_ohm for module in self.modules)

    @property
    def temperature_c(self) -> float:
        """Temperature of the hottest module."""
        return max(module.temperature_c for module in self.modules)

    @property
    def usable_wh(self) -> float:
        """Approximate energy between 0 % and 100 %: usable charge at the nominal voltage."""
        return (self.dischargeable_ah + self.chargeable_ah) * self.spec.count * self.spec.module.nominal_v

    @property
    def stored_wh(self) -> float:
        return sum(module.stored_wh for module in self.modules)

    @property
    def loss_wh(self) -> float:
        return sum(module.loss_wh for module in self.modules)

    def max_charge_a(self) -> float:
        return min(module.max_charge_a() for module in self.modules)

    def max_discharge_a(self) -> float:
        return min(module.max_discharge_a() for module in self.modules)

    def current_for(self, power_w: float) -> float:
        """Return the current of a power at the terminals."""
        rest, ohm = self.rest_v, self.resistance_ohm
        root = rest * rest + 4 * ohm * power_w
        return -rest / (2 * ohm) if root <= 0 else 2 * power_w / (rest + root**0.5)

    def flow(self, current_a: float, seconds: float) -> float:
        """Apply a current for some seconds; return the energy at the terminals, Wh."""
        return sum(module.flow(current_a, seconds) for module in self.modules)

    def balance(self, seconds: float, current_a: float = 0.1) -> None:
        """Balance the modules passively at rest: discharge the fuller ones through resistors."""
        lowest = min(module.charge for module in self.modules)
        for module in self.modules:
            excess_ah = (module.charge - lowest) * module.capacity_ah
            moved = min(excess_ah, current_a * seconds / 3600)
            if moved > 0:
                before = module.stored_wh
                module.charge -= moved / module.capacity_ah
                module.loss_wh += before - module.stored_wh
