"""SoC floors: the state of charge that must stay in a battery, and whether it may be discharged now. Pure.

The floor in force is the highest of the floors that apply (`floor_in_force`): those set for the EVSE and its vehicle
(`floors_of`), the reserve of energy management and the command's own floor; for the storage it is `storage_floor`.
Commands and energy management use the same floors and the same hysteresis: once a floor is reached, discharge waits
until the battery is a configured margin above it (`floor_reached`). OCPP 2.1 has no low-SoC floor in a charging
profile, so the gateway applies it here. `evMinV2XEnergyRequest` > 0 means that the SoC is below the EV's V2X window
(OCPP 2.1, V2XChargingParameters); an EV above its window is bound by its own limits.

Near the floor, power is limited to what the energy above it supplies for `TAPER_S`, so that no set-point carries the
battery through its floor before the next reading (`taper_bound`); commands and energy management meet this limit. Near
the ceiling energy management plans with the same rule, but a command does not meet it: a vehicle ends its own charge.
A battery that forms an island cannot refuse power, so there it counts as full before it is (`absorbable_w`).

Every rule that turns Wh into % SoC or back takes the capacity of the battery from here (`capacity_of`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gateway.authority.priority import Bound
from gateway.model.battery import ASSUMED_CAPACITY_WH as ASSUMED_CAPACITY_WH
from gateway.model.battery import METER_EFFICIENCY as METER_EFFICIENCY
from gateway.model.evse import Evse
from gateway.model.reason import Code
from gateway.model.result import Layer
from gateway.model.site import Site, SitePolicy
from protocols.frozen import frozen
from protocols.quantities import clamp

Energy = TypeVar("Energy", float, NDArray[np.float64])

NO_DISCHARGE_PCT = 100.0  # floor of a vehicle that no agreement covers
TAPER_S = 60.0  # for which energy above the floor (or below the ceiling) lasts at the tapered power
LEAST_W = 100.0  # with which the last of it flows: otherwise the floor would never be reached
# Below the ceiling, in an island: from the first on less, from the second on nothing. A vehicle reports whole percents,
# rounded down, and takes nothing from one percent below its ceiling on.
TAPER_PCT, FULL_PCT = 5.0, 2.0
UNKNOWN_ENERGY_WH = 5000.0  # counted for a battery of unknown energy: a small one, half full
KEPT = 4096  # floors of so many different vehicles
TRIP_MARGIN = 0.2  # added to the energy of a trip: roads may be closed


@frozen
class Floor:
    """A state of charge below which a battery is not discharged, in %, and what sets it.

    `on_grid_only`: a reserve for an outage, which is used in one. `unless_needed`: a reserve that an island uses where
    no other source can supply it. `beyond`: it is more energy than a battery of the assumed capacity holds.
    """

    pct: float
    source: str
    on_grid_only: bool = False
    beyond: bool = False
    unless_needed: bool = False


NO_FLOOR = Floor(0.0, "the site's floor")


@frozen
class Reserve:
    """Energy that a command reserves in a vehicle, as a state of charge or in Wh."""

    pct: float | None = None
    energy_wh: float | None = None


@dataclass(frozen=True, slots=True)
class ReserveInForce:
    """The site's reserve now, in % SoC: `pct` on the grid, set by `source`; `off_grid_pct` during an outage.

    `needed`: the outage needs the reserves of EVSEs, too.
    """

    pct: float = 0.0
    source: str = "the site's reserve"
    off_grid_pct: float = 0.0
    off_grid: bool = False
    needed: bool = False
    floor: Floor = field(init=False)

    def __post_init__(self) -> None:
        off_grid = Floor(self.off_grid_pct, "the site's off-grid floor")
        object.__setattr__(self, "floor", off_grid if self.off_grid else Floor(self.pct, self.source))


# capacity -------------------------------------------------------------------------------------------------------------


@frozen
class Capacity:
    """Energy content of a battery, in Wh; `assumed` where neither the vehicle nor the configuration states it."""

    energy_wh: float
    assumed: bool = False


def capacity(known_wh: float | None, assumed_wh: float) -> Capacity:
    """Return the capacity to calculate with: the known one, else the one that the site assumes."""
    return Capacity(known_wh or assumed_wh, assumed=not known_wh)


def capacity_of(evse: Evse, policy: SitePolicy) -> Capacity:
    """Return the capacity of the battery of the vehicle at an EVSE."""
    return capacity(evse.known_capacity_wh, policy.assumed_capacity_wh)


# floors that apply ----------------------------------------------------------------------------------------------------


def floors_of(
    evse: Evse, site: Site, reserve: Reserve | None, agreed_pct: float | None = None, *, of_vehicle: bool = True
) -> tuple[Floor, ...]:
    """Return the floors set for an EVSE and its vehicle, whatever the state of the grid.

    `agreed_pct`: of the vehicle's lending agreement; `of_vehicle` False: without those of the vehicle and of its EVSE.
    """
    policy, capacity = site.policy, capacity_of(evse, site.policy)
    found = [_site_floor(policy.min_soc_pct)]
    own = reserve if reserve is not None and of_vehicle else Reserve()
    for source, pct, energy_wh, of_site in (
        ("the site's commanded reserve", site.reserve_pct, site.reserve_wh, True),
        ("the reserve of this EVSE", own.pct, own.energy_wh, False),
    ):
        if pct is not None:
            found.append(Floor(pct, source, of_site, unless_needed=not of_site))
        if energy_wh is not None:
            pct, beyond = 100.0 * energy_wh / capacity.energy_wh, capacity.assumed and energy_wh >= capacity.energy_wh
            of_what = f"{source} (of an assumed {capacity.energy_wh:.0f} Wh)" if capacity.assumed else source
            found.append(Floor(min(100.0, pct), of_what, of_site, beyond, not of_site))
    if of_vehicle and evse.vehicle is not None:
        own_pct = policy.vehicle_floor_pct.get(evse.vehicle, 0.0)
        trip_wh = policy.vehicle_trip_wh.get(evse.vehicle, 0.0)
        found += vehicle_floors(own_pct, trip_wh, capacity.energy_wh)
    if of_vehicle and agreed_pct is not None:
        found.append(Floor(agreed_pct, "the agreement"))
    return tuple(found)


@lru_cache(maxsize=KEPT)
def _site_floor(pct: float) -> Floor:
    return Floor(pct, "the site's floor")


@lru_cache(maxsize=KEPT)
def vehicle_floors(own_pct: float, trip_wh: float, capacity_wh: float) -> tuple[Floor, Floor]:
    """Return the floor that a vehicle's owner sets, and that of its trip home (energy in the battery, with margin)."""
    return Floor(own_pct, "the owner's floor"), _trip_floor(trip_wh, capacity_wh)


def agreement_floor(agreed_pct: float, way_wh: float, capacity_wh: float) -> Floor:
    """Return the floor of a vehicle under a lending agreement: the agreed one, or the energy of its way if higher."""
    return max(Floor(agreed_pct, "the agreement"), _trip_floor(way_wh, capacity_wh), key=lambda one: one.pct)


def _trip_floor(trip_wh: float, capacity_wh: float) -> Floor:
    return Floor(min(100.0, 100.0 * trip_wh / capacity_wh), "the trip home")


def floor_in_force(found: Iterable[Floor], schedule: ReserveInForce, command_pct: float | None = None) -> Floor:
    """Return the highest floor: of those set, the reserve of energy management and the command's own floor."""
    highest = schedule.floor
    for one in found:
        if one.pct > highest.pct and not (schedule.off_grid and _used(one, schedule)):
            highest = one
    if command_pct is not None and command_pct > highest.pct:
        return Floor(command_pct, "the command's floor")
    return highest


def _used(one: Floor, schedule: ReserveInForce) -> bool:
    return one.on_grid_only or (one.unless_needed and schedule.needed)


def storage_floor(reserve: ReserveInForce, own_pct: float) -> Floor:
    """Return the floor of the site's stationary storage."""
    if reserve.off_grid and reserve.off_grid_pct > own_pct:
        return reserve.floor
    return Floor(own_pct, "the storage") if reserve.off_grid else Floor(max(own_pct, reserve.pct), "the reserve")


def trip_wh(distance_km: float, wh_per_km: float) -> float:
    """Return the energy of a trip, in the battery, with its margin."""
    return max(0.0, distance_km) * max(0.0, wh_per_km) * (1 + TRIP_MARGIN)


# what they allow ------------------------------------------------------------------------------------------------------


def floor_reached(before: bool, soc_pct: float | None, floor_pct: float, hysteresis_pct: float) -> bool:
    """Return whether the floor counts as reached: at it, then until the battery is `hysteresis_pct` above it.

    An unknown state of charge changes nothing: after a restart the vehicle's session is reported before its meter.
    """
    if floor_pct <= 0:
        return False
    if soc_pct is None:
        return before
    return soc_pct <= floor_pct or (before and soc_pct < min(100.0, floor_pct + hysteresis_pct))


def discharge_bound(soc_pct: float | None, floor: Floor, *, reached: bool, without_soc: bool) -> Bound | None:
    """Return what one floor allows, None for no limit. `without_soc`: a battery of unknown SoC may be discharged."""
    if floor.pct <= 0:
        return None
    if soc_pct is None:
        if without_soc:
            return None
        text = "The vehicle cannot be discharged down to a floor, because its state of charge is unknown."
        return Bound(Layer.SOC_FLOOR, low_w=0.0, code=Code.SOC_UNKNOWN, text=text)
    if floor.beyond:
        text = f"The vehicle cannot keep {floor.source}, because its battery capacity is unknown."
        return Bound(Layer.SOC_FLOOR, low_w=0.0, code=Code.SOC_UNKNOWN, text=text)
    if not reached and soc_pct > floor.pct:
        return None
    text = f"The battery is at {soc_pct:.1f} %, and {floor.source} is {floor.pct:.1f} %."
    return Bound(Layer.SOC_FLOOR, low_w=0.0, code=Code.BELOW_FLOOR, text=text)


def below_v2x_window(evse: Evse) -> bool:
    """Return whether the vehicle reports a SoC below the range in which it allows discharge."""
    return evse.min_v2x_energy_wh is not None and evse.min_v2x_energy_wh > 0


def floor_bound(evse: Evse, site: Site, floor: Floor, *, reached: bool) -> Bound | None:
    """Return what the floor in force at an EVSE allows, None for no limit; `reached`: by hysteresis."""
    if below_v2x_window(evse):
        text = f"The vehicle is {evse.min_v2x_energy_wh:.0f} Wh below its V2X window."
        return Bound(Layer.SOC_FLOOR, low_w=0.0, code=Code.OUTSIDE_V2X_WINDOW, text=text)
    return discharge_bound(evse.soc_pct, floor, reached=reached, without_soc=site.policy.discharge_without_soc)


# power near a floor or a ceiling --------------------------------------------------------------------------------------


def taper_w(energy_wh: Energy) -> Energy:
    """Return the power (≥ 0) at which energy at the meter, above a floor or below a ceiling, lasts `TAPER_S`."""
    tapered: Energy = np.maximum(energy_wh * 3600 / TAPER_S, LEAST_W) * (energy_wh > 0)
    return tapered


def taper_bound(evse: Evse, policy: SitePolicy, floor: Floor) -> Bound | None:
    """Return what the energy above the floor in force allows, None for no limit or where the floor does not count."""
    if evse.soc_pct is None or floor.pct <= 0:
        return None
    above_wh = (evse.soc_pct - floor.pct) / 100 * capacity_of(evse, policy).energy_wh * METER_EFFICIENCY
    power_w = float(taper_w(above_wh))
    if power_w >= evse.most_w(-1):
        return None
    text = f"The battery is at {evse.soc_pct:.2f} %, near the floor of {floor.pct:.1f} % ({floor.source}): "
    text += f"it supplies {power_w:.0f} W until then."
    return Bound(Layer.SOC_FLOOR, low_w=0.0 - power_w, code=Code.NEAR_FLOOR, text=text)


def absorbable_w(max_charge_w: float, soc_pct: float | None, ceiling_pct: float) -> float:
    """Return the charge power that a battery can take in an island at its state of charge; unknown is nothing."""
    if soc_pct is None:
        return 0.0
    free_pct = ceiling_pct - FULL_PCT - soc_pct
    return max_charge_w * clamp(free_pct / (TAPER_PCT - FULL_PCT), 0.0, 1.0)
