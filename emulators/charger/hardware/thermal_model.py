"""Thermal model of an emulated EVSE: converter losses heat it, the ambient air cools it."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

AMBIENT_C = 25.0
KELVIN_PER_W = 0.06  # at rest: 40 K over the air at 670 W of losses, a full-load figure of a 10 kW converter
TIME_CONSTANT_S = 600.0


@dataclass(slots=True)
class ThermalModel:
    """One thermal mass with a first-order response."""

    ambient_c: float = AMBIENT_C
    celsius: float = AMBIENT_C
    _loss_wh: float | None = None

    def update(self, loss_wh: float, seconds: float) -> None:
        """Advance by `seconds`, at the end of which the register of losses shows `loss_wh`."""
        before, self._loss_wh = self._loss_wh, loss_wh
        if before is None or seconds <= 0:
            return
        loss_w = max(0.0, loss_wh - before) * 3600 / seconds
        rest = self.ambient_c + KELVIN_PER_W * loss_w
        self.celsius = rest + (self.celsius - rest) * exp(-seconds / TIME_CONSTANT_S)
