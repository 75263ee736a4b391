"""Inverter of a photovoltaic array that the gateway reads and limits over Modbus (SunSpec)."""

from __future__ import annotations

from dataclasses import dataclass, field

from emulators.modbus.device import EmulatedDevice
from emulators.modbus.sunspec import PvPlant, sunspec_device
from emulators.site.pv import Pv
from protocols.modbus.register_map import shipped
from protocols.ports import Clock

MODELS = [1, 701, 702, 704]
LIMIT = {"m704_wmaxlimpct_sf": -2}  # its scale factor: hundredths of a per cent


@dataclass
class Inverter:
    """One inverter. `update` is called in each step of the site."""

    array: Pv
    clock: Clock
    plant: PvPlant = field(init=False)
    device: EmulatedDevice = field(init=False)

    def __post_init__(self) -> None:
        rated_w = self.array.spec.inverter_w or self.array.spec.peak_w
        self.plant = PvPlant(self._feeds, rated_w)
        self.device = sunspec_device(shipped("sunspec-pv"), MODELS, self.plant, self.clock, exponents=LIMIT)

    def update(self, now: float) -> None:
        """Apply the limit in force to the array; it ends by its reversion time."""
        self.plant.requested(now)
        limit_pct = self.plant.limit_pct
        self.array.limit_w = None if limit_pct is None else self.plant.rated_w * limit_pct / 100

    def _feeds(self, now: float) -> float:
        return self.array.feeds(self.clock.wall(), now)
