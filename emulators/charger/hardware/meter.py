"""Meter of an EVSE: energy in both directions at the AC side, with the error of its class and its faults.

+ is into the vehicle. Registers only grow. OCPP's measurands and formats are in `station/ocpp16` and `station/ocpp2`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MeterSpec:
    """Accuracy of a meter. `class_pct` 1 is the maximum error of a class 1 meter (IEC 62053-21) at full load."""

    class_pct: float = 0.0
    drift_pct_year: float = 0.0
    resolution_wh: float = 1.0


class Meter:
    """Registers of one measuring point. The error of an individual meter is drawn from `seed` within its class."""

    def __init__(self, spec: MeterSpec | None = None, seed: int = 0) -> None:
        self.spec = spec or MeterSpec()
        self._gain = 1.0 + random.Random(f"meter-{seed}").uniform(-1, 1) * self.spec.class_pct / 100
        self.true_charged_wh = self.true_discharged_wh = 0.0  # for tests: no station can measure them
        self._charged_wh = self._discharged_wh = 0.0
        self.power_w = 0.0  # mean of the last step, + into the vehicle
        self._age_s = 0.0
        self.stuck = False  # fault: registers and power do not change
        self.sign_swapped = False  # fault: installed with the wrong direction

    def add(self, energy_wh: float, seconds: float) -> None:
        """Add the energy of a period, + into the vehicle."""
        if energy_wh >= 0:
            self.true_charged_wh += energy_wh
        else:
            self.true_discharged_wh -= energy_wh
        self._age_s += seconds
        if self.stuck:
            return
        metered = energy_wh * self.gain * (-1 if self.sign_swapped else 1)
        if metered >= 0:
            self._charged_wh += metered
        else:
            self._discharged_wh -= metered
        if seconds > 0:
            self.power_w = metered * 3600 / seconds

    def preset(self, charged_wh: float, discharged_wh: float) -> None:
        """Set the registers to stored values."""
        self._charged_wh, self._discharged_wh = charged_wh, discharged_wh
        self.true_charged_wh, self.true_discharged_wh = charged_wh, discharged_wh

    @property
    def gain(self) -> float:
        """Ratio of metered to true energy, with drift."""
        return self._gain + self.spec.drift_pct_year / 100 * self._age_s / (365 * 86400)

    def shows_w(self, true_w: float) -> float:
        """Return the metered value of a true power, with the error and the faults of the meter."""
        if self.stuck:
            return self.power_w
        return true_w * self.gain * (-1 if self.sign_swapped else 1)

    @property
    def charged_wh(self) -> float:
        """Register of energy towards the vehicle, in steps of its resolution."""
        return self._shown(self._charged_wh)

    @property
    def discharged_wh(self) -> float:
        """Register of energy out of the vehicle, in steps of its resolution."""
        return self._shown(self._discharged_wh)

    def _shown(self, value: float) -> float:
        step = self.spec.resolution_wh
        return value if step <= 0 else (value + 1e-9) // step * step
