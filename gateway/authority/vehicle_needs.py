"""What the car keeps for itself: its minimum, and the time it needs to be charged before it leaves. Pure.

A charger of ISO 15118-20 holds the same against every set-point, and silently: it takes the order and does not
discharge. So it is looked at here first, a little sooner, and the commander gets the reason.
Sources: EVMinimumEnergyRequest > 0 asks for charging before anything else; EVTargetEnergyRequest is what is missing
until DepartureTime (ISO 15118-20; OCPP 2.1 V2XChargingParameters and EVChargingNeeds).
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from gateway.authority.priority import Bound, Layer
from gateway.model.evse import Evse
from gateway.model.reason import Code

MARGIN = 0.85  # of full charge power: from there on the time left is needed for charging


def own_needs(evse: Evse, wall: float | None) -> list[Bound]:
    """The bounds: no discharge while the car needs what it has. `wall` is Unix time, None where nobody asks for it."""
    needs = evse.needs
    found: list[Bound] = []
    if needs is None:
        return found
    if evse.min_energy_wh is not None and evse.min_energy_wh > 0:
        text = f"The car lacks {evse.min_energy_wh:.0f} Wh of the minimum its driver wants, so it is not discharged."
        found.append(Bound(Layer.VEHICLE, low_w=0.0, code=Code.BELOW_CAR_MINIMUM, text=text))
    if wall is not None and needs.departure is not None and wall >= _charges_from(evse):
        leaves = datetime.fromtimestamp(needs.departure, UTC).strftime("%H:%MZ")
        text = (
            f"The car leaves at {leaves} and still needs {evse.target_energy_wh or 0.0:.0f} Wh: "
            "the time until then is needed for charging."
        )
        found.append(Bound(Layer.VEHICLE, low_w=0.0, code=Code.NEEDED_FOR_DEPARTURE, text=text))
    return found


def charges_in_s(evse: Evse, wall: float) -> float:
    """Seconds until the car needs its time for charging; 0.0 where it does already, infinite where it will not."""
    return max(0.0, _charges_from(evse) - wall)


def _charges_from(evse: Evse) -> float:
    """The Unix time from which on the car must charge without a break."""
    needs = evse.needs
    if needs is None or needs.departure is None or not evse.target_energy_wh or evse.target_energy_wh <= 0:
        return math.inf
    charge_w = min(needs.limits.max_charge_w, evse.limits.max_charge_w if evse.limits else math.inf)
    if charge_w <= 0:
        return -math.inf  # what it would give could not be given back
    return needs.departure - evse.target_energy_wh * 3600 / (MARGIN * charge_w)
