"""The vehicle's own needs: its minimum energy, and the time that it needs for charging before its departure. Pure.

A charger of ISO 15118-20 applies the same rules to every set-point, and silently: it accepts the set-point and does not
discharge. The gateway applies them first, with a margin, and gives the commander the reason.
Sources: EVMinimumEnergyRequest > 0 requests charging before anything else; EVTargetEnergyRequest is the energy missing
until DepartureTime (ISO 15118-20; OCPP 2.1 V2XChargingParameters and EVChargingNeeds).
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from gateway.authority.priority import Bound, Layer
from gateway.model.evse import Evse
from gateway.model.reason import Code

MARGIN = 0.85  # of the full charge power, for the time needed to charge


def own_needs(evse: Evse, wall: float | None) -> list[Bound]:
    """Return the bounds: no discharge while the vehicle needs its energy. `wall` is Unix time, None: no departure."""
    needs = evse.needs
    found: list[Bound] = []
    if needs is None:
        return found
    if evse.min_energy_wh is not None and evse.min_energy_wh > 0:
        text = f"The vehicle is {evse.min_energy_wh:.0f} Wh below its driver's minimum, so it is not discharged."
        found.append(Bound(Layer.VEHICLE, low_w=0.0, code=Code.BELOW_CAR_MINIMUM, text=text))
    if wall is not None and needs.departure is not None and wall >= _charge_start(evse):
        departure = datetime.fromtimestamp(needs.departure, UTC).strftime("%H:%MZ")
        text = (
            f"The vehicle leaves at {departure} and still needs {evse.target_energy_wh or 0.0:.0f} Wh: "
            "the time until then is needed for charging."
        )
        found.append(Bound(Layer.VEHICLE, low_w=0.0, code=Code.NEEDED_FOR_DEPARTURE, text=text))
    return found


def charges_in_s(evse: Evse, wall: float) -> float:
    """Return the seconds until the vehicle needs its time for charging; 0.0 if it does already, infinite if never."""
    return max(0.0, _charge_start(evse) - wall)


def _charge_start(evse: Evse) -> float:
    """Return the Unix time from which the vehicle must charge without interruption."""
    needs = evse.needs
    if needs is None or needs.departure is None or not evse.target_energy_wh or evse.target_energy_wh <= 0:
        return math.inf
    charge_w = min(needs.limits.max_charge_w, evse.limits.max_charge_w if evse.limits else math.inf)
    if charge_w <= 0:
        return -math.inf  # discharged energy could not be charged again
    return needs.departure - evse.target_energy_wh * 3600 / (MARGIN * charge_w)
