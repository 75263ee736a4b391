"""State of charge as a product reports it, without its known faults. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.modbus.register_map import Glitches

STEP_PCT = 5.0  # between two readings; more is an outlier until it is confirmed
CONFIRMED = 3  # readings in a row


@dataclass(slots=True)
class SocFilter:
    """Filter of one vehicle's readings."""

    glitches: Glitches
    last_pct: float | None = None
    _candidate_pct: float | None = None
    _seen: int = 0

    def reset(self) -> None:
        """Discard what is stored of the vehicle."""
        self.last_pct = self._candidate_pct = None
        self._seen = 0

    def read(self, soc_pct: float | None, running: bool) -> float | None:
        """Return the state of charge that a reading shows, None where it shows none."""
        if soc_pct is None or not 0.0 <= soc_pct <= 100.0:
            return None
        if soc_pct == 0 and self.glitches.soc_zero_when_idle and not running:
            return None
        suspect = soc_pct in (0.0, self.glitches.soc_outliers_pct)
        far = self.last_pct is not None and abs(soc_pct - self.last_pct) > STEP_PCT
        if far or (self.last_pct is None and suspect):
            near = self._candidate_pct is not None and abs(soc_pct - self._candidate_pct) <= STEP_PCT
            self._seen = self._seen + 1 if near else 1
            self._candidate_pct = soc_pct
            if self._seen < CONFIRMED:
                return None
        self.last_pct, self._candidate_pct, self._seen = soc_pct, None, 0
        return soc_pct
