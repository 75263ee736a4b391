"""What an EVSE of the emulated station feeds: a car on a power stage of this world, or an SECC with a car behind it.

The station gives it a signed power and reads it; who sits behind does the rest. `CarPowerPath` is the simple one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from emulators.charger.hardware.power_stage import Bounds, PowerStage
from emulators.ev.car import Car


@dataclass(frozen=True, slots=True)
class Needs:
    """What the vehicle stated. Powers are magnitudes in W, those of the EVSE counted in; energies are signed Wh."""

    max_charge_w: float
    max_discharge_w: float = 0.0
    min_charge_w: float = 0.0
    min_discharge_w: float = 0.0
    energy_transfer: str = "DC_BPT"
    available: tuple[str, ...] = ("DC_BPT", "DC")
    dynamic: bool = True
    vehicle: str | None = None  # EVCCID
    asked: bool = False  # stated anew because the station asked, not because the vehicle's wishes changed
    max_charge_a: float | None = None
    min_voltage_v: float | None = None
    max_voltage_v: float | None = None
    target_energy_wh: float | None = None
    min_energy_wh: float | None = None
    max_energy_wh: float | None = None
    min_v2x_energy_wh: float | None = None
    max_v2x_energy_wh: float | None = None
    soc_pct: float | None = None
    target_soc_pct: float | None = None
    capacity_wh: float | None = None
    departure_in_s: float | None = None

    @property
    def bidirectional(self) -> bool:
        return "BPT" in self.energy_transfer


@dataclass(frozen=True, slots=True)
class Reading:
    """What the EVSE's sensors and the vehicle say; + into the vehicle."""

    power_w: float
    charged_wh: float
    discharged_wh: float
    voltage_v: float | None = None
    current_a: float | None = None
    soc_pct: float | None = None
    min_energy_wh: float | None = None
    target_energy_wh: float | None = None
    max_energy_wh: float | None = None
    min_v2x_energy_wh: float | None = None
    max_v2x_energy_wh: float | None = None


class PowerPath(Protocol):
    """One EVSE's power path with a vehicle on it, or without. `stage` is its metal, with its meter."""

    stage: PowerStage

    @property
    def max_charge_w(self) -> float:
        """What the hardware can do, magnitude."""

    @property
    def max_discharge_w(self) -> float:
        """The same out of the vehicle; 0 where it cannot."""

    def set_power(self, power_w: float, now: float) -> None:
        """Go to this power at the AC side as limits and ramps allow; 0 keeps the session."""

    def reading(self, now: float) -> Reading:
        """The sensors now."""

    def open(self, now: float) -> None:
        """Close the contactors: energy may flow."""

    def close(self, now: float) -> None:
        """End the flow and open the contactors."""

    def renegotiate(self) -> bool:
        """Ask the vehicle to choose its service again; False where the station may choose for it at once."""


class CarPowerPath:
    """A power stage of this world with a car on it, and no protocol between them."""

    def __init__(self, stage: PowerStage) -> None:
        self.stage = stage
        self.car: Car | None = None

    @property
    def max_charge_w(self) -> float:
        return self.stage.spec.max_charge_w

    @property
    def max_discharge_w(self) -> float:
        return self.stage.spec.max_discharge_w

    def plug(self, car: Car, now: float) -> Needs:
        """Put a car on the connector; what it needs."""
        self.car = car
        car.plug()
        car.coupled = True
        self.stage.connect(car)
        return self.needs(now)

    def needs(self, now: float) -> Needs:
        """What the car says now, combined with what the stage can do."""
        assert self.car is not None
        car, limits, energy = self.car, self.car.limits(), self.car.energy()
        able = "dc_bpt" in car.spec.services or "chademo" in car.spec.protocols  # whose V2H needs no service of its own
        bidirectional = able and car.spec.max_discharge_w > 0 and self.max_discharge_w > 0
        return Needs(
            max_charge_w=min(limits.max_charge_w, self.max_charge_w),
            max_discharge_w=min(limits.max_discharge_w, self.max_discharge_w) if bidirectional else 0.0,
            min_charge_w=limits.min_charge_w,
            min_discharge_w=limits.min_discharge_w if bidirectional else 0.0,
            energy_transfer="DC_BPT" if bidirectional else "DC",
            available=("DC_BPT", "DC") if bidirectional else ("DC",),
            vehicle=car.spec.evcc_id,
            max_charge_a=limits.max_charge_a,
            min_voltage_v=limits.min_voltage_v,
            max_voltage_v=limits.max_voltage_v,
            target_energy_wh=energy.target_wh,
            min_energy_wh=energy.minimum_wh,
            max_energy_wh=energy.maximum_wh,
            min_v2x_energy_wh=energy.v2x_minimum_wh,
            max_v2x_energy_wh=energy.v2x_maximum_wh,
            soc_pct=car.reported_soc_pct,
            target_soc_pct=car.target_soc_pct,
            capacity_wh=None,
            departure_in_s=car.departure_in_s(now),
        )

    def set_power(self, power_w: float, now: float) -> None:
        self._heed_car(now)
        self.stage.set_point(power_w, now)

    def _heed_car(self, now: float) -> None:
        if self.car is not None:
            limits = self.car.limits()
            bounds = Bounds(limits.max_charge_a, limits.max_discharge_a, limits.max_charge_w, limits.max_discharge_w)
            self.stage.limit(bounds, now)

    def reading(self, now: float) -> Reading:
        self._heed_car(now)
        seen = self.stage.reading(now)
        meter, car = self.stage.meter, self.car
        energy = car.energy() if car is not None else None
        return Reading(
            power_w=meter.shows_w(seen.ac_power_w) if abs(seen.ac_power_w) > 0 else 0.0,
            charged_wh=meter.charged_wh,
            discharged_wh=meter.discharged_wh,
            voltage_v=seen.voltage_v if car is not None else None,
            current_a=seen.current_a,
            soc_pct=None if car is None else car.reported_soc_pct,
            min_energy_wh=None if energy is None else energy.minimum_wh,
            target_energy_wh=None if energy is None else energy.target_wh,
            max_energy_wh=None if energy is None else energy.maximum_wh,
            min_v2x_energy_wh=None if energy is None else energy.v2x_minimum_wh,
            max_v2x_energy_wh=None if energy is None else energy.v2x_maximum_wh,
        )

    def open(self, now: float) -> None:
        if self.car is not None:
            self.car.contactors_closed = True
            self.stage.precharge(self.car.voltage_v)
            self.stage.close(now)

    def close(self, now: float) -> None:
        self.stage.set_point(0.0, now)
        self.stage.open(now)
        if self.car is not None:
            self.car.contactors_closed = False

    def renegotiate(self) -> bool:
        return False

    def unplug(self, now: float) -> None:
        """The car leaves."""
        self.close(now)
        self.stage.disconnect()
        self.car = None
