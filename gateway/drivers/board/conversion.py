"""Power at the meter and power at the connector: set-points and limits are those of the meter, a DC stage has its own.

The losses of the converter are learned from the two measurements. Pure; powers signed, + into the vehicle.
"""

from __future__ import annotations

from protocols.quantities import clamp

LEAST_W = 500.0  # of both measurements, below which standby consumption hides the losses of the conversion
LEAST_RATIO = 0.5
WEIGHT = 0.3  # of a new measurement


class Conversion:
    """Ratio of the power at the connector to that at the meter, one for each direction."""

    def __init__(self, efficiency: float = 0.95) -> None:
        self._charging = clamp(efficiency, LEAST_RATIO, 1.0)
        self._discharging = 1 / self._charging

    def to_connector(self, meter_w: float) -> float:
        """Return the power at the connector for a power at the meter."""
        return meter_w * (self._charging if meter_w > 0 else self._discharging)

    def measured(self, meter_w: float, connector_w: float) -> None:
        """Learn from two steady measurements of the same moment."""
        if min(abs(meter_w), abs(connector_w)) < LEAST_W or meter_w * connector_w < 0:
            return
        ratio = connector_w / meter_w
        if meter_w > 0:
            self._charging += WEIGHT * (clamp(ratio, LEAST_RATIO, 1.0) - self._charging)
        else:
            self._discharging += WEIGHT * (clamp(ratio, 1.0, 1 / LEAST_RATIO) - self._discharging)
