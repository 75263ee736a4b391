"""Energy register of a meter that only grows, also where the meter is replaced, starts at 0 or is misread once. Pure.

No more energy counts than the power that can flow and the time allow. A reading beyond that (a register that reads 0
once and then its old value, or ten times its value) is set aside: it counts as the new base when a second reading
confirms it, and is discarded when the register continues from where it was.
"""

from __future__ import annotations

from dataclasses import dataclass

RESOLUTION_WH = 1000.0  # the coarsest registers count in kWh: one reading may be ahead by so much
CATCH_UP_S = 900.0  # a register ahead by what this time allows is waited for


@dataclass(slots=True)
class Register:
    """Readings and the energy counted from them, in Wh; times are monotonic."""

    total_wh: float | None = None
    last_wh: float | None = None
    _read_at: float = 0.0
    _allowed_wh: float = 0.0  # what may have flowed since the reading `last_wh`
    _flowed_wh: float = 0.0  # counted from powers since the register last grew
    _aside: tuple[float, float] | None = None  # a reading that does not fit, and the energy allowed when it was made

    def flowed(self, energy_wh: float) -> None:
        """Record energy that is counted from powers already."""
        self._flowed_wh += energy_wh

    def read(self, value_wh: float, at: float, most_w: float, *, late: bool = False) -> float:
        """Apply a reading; return the energy that is not counted yet, below 0 where powers have counted too much.

        `late`: a reading of before that is received now.
        """
        if self.last_wh is None:
            self.total_wh = value_wh if self.total_wh is None else self.total_wh
            self.last_wh, self._read_at, self._flowed_wh = value_wh, at, 0.0
            return 0.0
        if at > self._read_at:
            self._allowed_wh += most_w * (at - self._read_at) / 3600
            self._read_at = at
        grown_wh = value_wh - self.last_wh
        if late and grown_wh <= 0:
            return 0.0
        if 0.0 <= grown_wh <= self._allowed_wh + RESOLUTION_WH:
            return self._count(value_wh, grown_wh, late)
        if not late:
            self._set_aside(value_wh, grown_wh, most_w)
        return 0.0

    def _count(self, value_wh: float, grown_wh: float, late: bool) -> float:
        self.total_wh = (self.total_wh or 0.0) + grown_wh
        self.last_wh, self._aside = value_wh, None
        allowed_wh = self._allowed_wh - grown_wh
        if not late and allowed_wh > RESOLUTION_WH:  # what could have flowed and did not, cannot any more
            allowed_wh = RESOLUTION_WH
        self._allowed_wh = allowed_wh if allowed_wh > 0.0 else 0.0
        if not grown_wh:
            return 0.0
        uncounted_wh, self._flowed_wh = grown_wh - self._flowed_wh, 0.0
        return uncounted_wh

    def _set_aside(self, value_wh: float, grown_wh: float, most_w: float) -> None:
        """Keep a reading that does not fit; a second one that continues it is the new base."""
        aside = self._aside
        waits = 0 < grown_wh <= most_w * CATCH_UP_S / 3600 + RESOLUTION_WH
        if aside is not None and not waits:
            continued_wh = value_wh - aside[0]
            if 0.0 <= continued_wh <= self._allowed_wh - aside[1] + RESOLUTION_WH:
                self.last_wh, self._aside = value_wh, None
                self._allowed_wh = self._flowed_wh = 0.0
                return
        self._aside = value_wh, self._allowed_wh
