"""Self-consumption: the cars take what the roof gives too much, and give what the house lacks.

The wish is simply the residual turned round. What takes care is the edge: a charger cannot run below some 1.4 kW, and
a cloud must not switch it on and off. So charging starts when the surplus has held for a minute and rests when it has
been missing for three; meanwhile it runs at its least power.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.energy.modes.mode import Situation, Wish

START_S = 60.0
REST_S = 180.0
DEAD_BAND_W = 150.0  # less than this is not worth a change: meters are not better


@dataclass(slots=True)
class SelfConsumption:
    """`bias_w` is the import it aims at, so that nothing is exported by mistake.

    `discharge` lets cars feed the house.
    """

    bias_w: float = 50.0
    discharge: bool = True
    _charging: bool = False
    _since: float | None = None  # since when the other state would be right

    def enter(self, situation: Situation) -> None:
        self._charging, self._since = False, None

    def wish(self, situation: Situation) -> Wish:
        if situation.residual_w is None:
            return Wish(0.0, "input_stale", "The meters are silent, so nobody knows what is left over.")
        surplus_w = -situation.residual_w + self.bias_w
        least_w = min((one.min_charge_w for one in situation.resources if one.max_charge_w > 0), default=0.0)
        self._latch(surplus_w >= max(least_w, DEAD_BAND_W), situation.now)
        if self._charging:
            power_w = max(surplus_w, least_w)
            return Wish(power_w, "surplus", f"The site has {surplus_w:.0f} W to spare.")
        if surplus_w < -DEAD_BAND_W and self.discharge:
            return Wish(surplus_w, "self_supply", f"The site lacks {-surplus_w:.0f} W.")
        return Wish(0.0, "balanced", "There is nothing to spare and nothing to give.")

    def _latch(self, right: bool, now: float) -> None:
        if right == self._charging:
            self._since = None
            return
        self._since = now if self._since is None else self._since
        if now - self._since >= (REST_S if self._charging else START_S):
            self._charging, self._since = right, None
