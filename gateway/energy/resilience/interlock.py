"""Interlock: no source forms an island before the main switch is confirmed open by position feedback.

People may work on the line beyond the switch. Grid-forming begins only on fresh feedback from a switch that has
not contradicted the meter, and ends at once on any evidence that the switch is closed: its own feedback, or power
through a switch reported open. Once begun, missing feedback alone does not end it: the switch is where it was
confirmed, and a failed broker must not end supply. The certified interlock of the hardware stands above all this; this
one keeps the gateway from contradicting it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.energy.reason import Decided

FLOW_W = 300.0  # above the noise of a meter: no such power passes an open switch
FLOW_S = 2.0


@dataclass(slots=True)
class Interlock:
    """State of the main switch; `may_start` and `must_end` are the conditions for grid-forming."""

    open: bool | None = None  # position feedback; None is stale or never reported
    _flow_since: float | None = None
    _contradicted: bool = False

    def update(self, switch_open: bool | None, through_w: float | None, now: float) -> list[Decided]:
        """Apply the position feedback (None: silent) and the power through the connection; return what has changed."""
        self.open = switch_open
        flows = through_w is not None and abs(through_w) > FLOW_W
        if flows and switch_open is True:
            self._flow_since = now if self._flow_since is None else self._flow_since
            if not self._contradicted and now - self._flow_since >= FLOW_S:
                self._contradicted = True
                text = f"The main switch reports open, but {through_w:.0f} W pass it: its feedback is not used."
                return [Decided(now, "switch_proof_contradicted", text)]
            return []
        self._flow_since = None
        if self._contradicted and switch_open is False:
            self._contradicted = False
            text = "The main switch reports closed, as measured: its feedback is used again."
            return [Decided(now, "switch_proof_believed", text)]
        return []

    @property
    def may_start(self) -> bool:
        """Return whether a source may begin to form an island now."""
        return self.open is True and not self._contradicted and self._flow_since is None

    @property
    def must_end(self) -> str:
        """Return why grid-forming has to end at once; "" while it may continue."""
        if self._contradicted or self._flow_since is not None:
            return "power flows through the main switch"
        return "the main switch reports closed" if self.open is False else ""
