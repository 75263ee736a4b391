"""Nobody forms a voltage before the main switch is proven open.

Beyond the switch somebody may stand with his hands on the line. So forming begins only on a fresh proof from a witness
that has not been caught lying, and ends at once on any evidence that the switch is closed: its own word, or power that
flows through a switch said to be open. Once begun, silence alone does not end it: the switch stands where it was proven
to stand, and a broker that dies in the night must not put out the light. The certified interlock of the hardware stands
above all this; here is only what keeps the gateway from ever contradicting it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.energy.reason import Decided

FLOW_W = 300.0  # through an open switch nothing flows; a meter's noise does
FLOW_S = 2.0


@dataclass(slots=True)
class Interlock:
    """Folds what is known about the main switch. `may_start` and `must_end` are the two questions asked of it."""

    proven: bool | None = None  # True open, False closed, None nobody says (or stale)
    forming: bool = False
    _flow_since: float | None = None
    _liar: bool = False

    def look(self, proof: bool | None, through_w: float | None, now: float) -> list[Decided]:
        """The switch's own word (None: silent) and the power through the connection; answers what was noticed."""
        self.proven = proof
        flows = through_w is not None and abs(through_w) > FLOW_W
        if flows and proof is True:
            self._flow_since = now if self._flow_since is None else self._flow_since
            if not self._liar and now - self._flow_since >= FLOW_S:
                self._liar = True
                text = (
                    f"The main switch says that it is open, but {through_w:.0f} W flow through it: it is not believed."
                )
                return [Decided(now, "switch_proof_contradicted", text)]
            return []
        self._flow_since = None
        if self._liar and proof is False:
            self._liar = False
            return [
                Decided(now, "switch_proof_believed", "The main switch says closed, as it is: it is believed again.")
            ]
        return []

    @property
    def may_start(self) -> bool:
        """Whether a source may begin to form a voltage now."""
        return self.proven is True and not self._liar and self._flow_since is None

    @property
    def must_end(self) -> str:
        """Why forming has to end at once; "" while it may go on."""
        if self._liar or self._flow_since is not None:
            return "power flows through the main switch"
        return "the main switch says that it is closed" if self.proven is False else ""
