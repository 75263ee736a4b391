"""SoC floors: what must stay in the car, and whether it may be discharged now.

The floor is the highest of the site's floor, the reserves in force, the command's own floor and the EV's V2X window.
With hysteresis: once reached, discharge waits until the battery is a little above it. OCPP 2.1 has no low-SoC floor in
a profile, so this is where it is kept. `evMinV2XEnergyRequest` > 0 means that the SoC is below the EV's V2X window
(OCPP 2.1, V2XChargingParameters); what an EV above its window wants is not said there, and is left to its limits.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.authority.priority import Bound, Layer
from gateway.model.evse import Evse
from gateway.model.reason import Code
from gateway.model.site import Site


@dataclass(frozen=True, slots=True)
class Floor:
    """A state of charge that must not be undercut, and who wants it."""

    pct: float
    whose: str


@dataclass(frozen=True, slots=True)
class Reserve:
    """Energy that must stay in the car, as a state of charge or in Wh."""

    pct: float | None = None
    energy_wh: float | None = None


def floors(evse: Evse, site: Site, reserve: Reserve | None, command_pct: float | None) -> list[Floor]:
    """All floors that can be said as a state of charge, highest first."""
    found = [Floor(site.policy.min_soc_pct, "the site's floor")]
    for whose, pct, energy_wh in (
        # off the grid the reserve is there to be used; how far down is the island's own floor
        ("the site's reserve", None if site.islanded else site.reserve_pct, None if site.islanded else site.reserve_wh),
        ("the reserve of this EVSE", reserve.pct if reserve else None, reserve.energy_wh if reserve else None),
    ):
        if pct is not None:
            found.append(Floor(pct, whose))
        if energy_wh is not None and evse.capacity_wh:
            found.append(Floor(min(100.0, 100.0 * energy_wh / evse.capacity_wh), whose))
    if command_pct is not None:
        found.append(Floor(command_pct, "the command's floor"))
    return sorted(found, key=lambda floor: -floor.pct)


def unmeasurable(evse: Evse, site: Site, reserve: Reserve | None) -> bool:
    """Whether a reserve in Wh is in force for a car whose battery size is unknown."""
    wanted = (site.reserve_wh or 0.0) + ((reserve.energy_wh or 0.0) if reserve else 0.0)
    return wanted > 0 and not evse.capacity_wh


def floor_bound(evse: Evse, site: Site, found: list[Floor], *, reached: bool, blind: bool) -> Bound | None:
    """What the floors allow: no discharge below them. `reached` is the hysteresis, `blind` an unmeasurable reserve."""
    if evse.min_v2x_energy_wh is not None and evse.min_v2x_energy_wh > 0:
        text = f"The car is {evse.min_v2x_energy_wh:.0f} Wh below the range in which it lets itself be discharged."
        return Bound(Layer.SOC_FLOOR, low_w=0.0, code=Code.OUTSIDE_V2X_WINDOW, text=text)
    highest = found[0] if found else Floor(0.0, "")
    if (evse.soc_pct is None and highest.pct > 0) or blind:
        if site.policy.discharge_without_soc and not blind:
            return None
        what = "its battery's size is unknown" if blind else "it has not told its state of charge"
        text = f"The car cannot be discharged down to a floor, because {what}."
        return Bound(Layer.SOC_FLOOR, low_w=0.0, code=Code.SOC_UNKNOWN, text=text)
    if evse.soc_pct is not None and (reached or evse.soc_pct <= highest.pct) and highest.pct > 0:
        text = f"The battery is at {evse.soc_pct:.1f} %, and {highest.whose} is {highest.pct:.1f} %."
        return Bound(Layer.SOC_FLOOR, low_w=0.0, code=Code.BELOW_FLOOR, text=text)
    return None


def floor_reached(before: bool, soc_pct: float | None, floor_pct: float, hysteresis_pct: float) -> bool:
    """Whether the floor counts as reached: at it, and then until the battery is `hysteresis_pct` above it."""
    if soc_pct is None or floor_pct <= 0:
        return False
    return soc_pct <= floor_pct or (before and soc_pct < min(100.0, floor_pct + hysteresis_pct))
