"""Energy of a product without energy registers, integrated from its power readings. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_S = 10.0  # between two readings; a longer gap adds nothing


@dataclass(slots=True)
class EnergyIntegral:
    """Registers of one EVSE, Wh, both rising."""

    charged_wh: float = 0.0
    discharged_wh: float = 0.0
    _at: float | None = None
    _power_w: float = 0.0

    def add(self, power_w: float | None, at: float) -> None:
        """Add a reading, + charge; the power between two readings is their mean."""
        before, since = self._power_w, self._at
        self._at, self._power_w = (at, power_w) if power_w is not None else (None, 0.0)
        if since is None or power_w is None or not 0 < at - since <= LONGEST_S:
            return
        energy_wh = (before + power_w) / 2 * (at - since) / 3600
        self.charged_wh += max(0.0, energy_wh)
        self.discharged_wh += max(0.0, -energy_wh)
