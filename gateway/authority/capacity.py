"""Capacity of a vehicle's battery: as the vehicle states it, as configured, else the one assumed capacity. Pure.

Every rule that turns Wh into % SoC or back takes the capacity from here, in commands and in energy management.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model.evse import Evse
from gateway.model.site import SitePolicy


@dataclass(frozen=True, slots=True)
class Capacity:
    """Energy content of a battery, in Wh; `assumed` where neither the vehicle nor the configuration states it."""

    energy_wh: float
    assumed: bool = False


def battery_capacity_wh(stated_wh: float | None, configured_wh: float | None, assumed_wh: float) -> float:
    """Return the capacity to calculate with: stated before configured before assumed."""
    return stated_wh or configured_wh or assumed_wh


def capacity_of(evse: Evse, policy: SitePolicy) -> Capacity:
    """Return the capacity of the battery of the vehicle at an EVSE."""
    known_wh = evse.known_capacity_wh
    return Capacity(known_wh or policy.assumed_capacity_wh, assumed=not known_wh)
