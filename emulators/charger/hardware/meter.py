"""The meter of an EVSE: energy both ways at the AC side, as exact as its class and as honest as its faults let it be.

+ is into the vehicle. Registers only grow. OCPP's measurands and formats are in `charger/station.py`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MeterSpec:
    """`class_pct` 1 is the error that a class 1 meter (IEC 62053-21) may show at full load."""

    class_pct: float = 0.0
    drift_pct_year: float = 0.0
    resolution_wh: float = 1.0


class Meter:
    """Registers of one measuring point. The error of this very meter is drawn once from `seed` within its class."""

    def __init__(self, spec: MeterSpec | None = None, seed: int = 0) -> None:
        self.spec = spec or MeterSpec()
        self._gain = 1.0 + random.Random(f"meter-{seed}").uniform(-1, 1) * self.spec.class_pct / 100
        self._true_charged_wh = 0.0
        self._true_discharged_wh = 0.0
        self._charged_wh = 0.0
        self._discharged_wh = 0.0
        self._power_w = 0.0
        self._age_s = 0.0
        self.stuck = False  # a fault: registers and power stay as they are
        self.sign_swapped = False  # a fault: installed the wrong way round

    def add(self, energy_wh: float, seconds: float) -> None:
        """Energy that passed in this time, + into the vehicle."""
        if energy_wh >= 0:
            self._true_charged_wh += energy_wh
        else:
            self._true_discharged_wh -= energy_wh
        self._age_s += seconds
        if self.stuck:
            return
        seen = energy_wh * self.gain * (-1 if self.sign_swapped else 1)
        if seen >= 0:
            self._charged_wh += seen
        else:
            self._discharged_wh -= seen
        if seconds > 0:
            self._power_w = seen * 3600 / seconds

    def preset(self, charged_wh: float, discharged_wh: float) -> None:
        """Registers as they were when they were last read: a meter does not forget."""
        self._charged_wh, self._discharged_wh = charged_wh, discharged_wh
        self._true_charged_wh, self._true_discharged_wh = charged_wh, discharged_wh

    @property
    def gain(self) -> float:
        return self._gain + self.spec.drift_pct_year / 100 * self._age_s / (365 * 86400)

    @property
    def power_w(self) -> float:
        """Mean of the last step, + into the vehicle."""
        return self._power_w

    def shows_w(self, true_w: float) -> float:
        """The display while this much passes: off by the meter's error, and by its faults."""
        if self.stuck:
            return self._power_w
        return true_w * self.gain * (-1 if self.sign_swapped else 1)

    @property
    def charged_wh(self) -> float:
        """Register of energy towards the vehicle, in steps of its resolution."""
        return self._shown(self._charged_wh)

    @property
    def discharged_wh(self) -> float:
        """Register of energy out of the vehicle, in steps of its resolution."""
        return self._shown(self._discharged_wh)

    @property
    def true_charged_wh(self) -> float:
        """What really passed: for asserting, no station can know it."""
        return self._true_charged_wh

    @property
    def true_discharged_wh(self) -> float:
        return self._true_discharged_wh

    def _shown(self, value: float) -> float:
        step = self.spec.resolution_wh
        return value if step <= 0 else (value + 1e-9) // step * step
