"""SoC floors: the state of charge that must stay in a battery, and whether it may be discharged now. Pure.

The floor in force is the highest of the floors that apply (`floor_in_force`): those set for the EVSE and its vehicle
(`floors_of`), the reserve of energy management and the command's own floor; for the storage it is `storage_floor`.
Commands and energy management use the same floors and the same hysteresis: once a floor is reached, discharge waits
until the battery is a configured margin above it (`floor_reached`). OCPP 2.1 has no low-SoC floor in a charging
profile, so the gateway applies it here. `evMinV2XEnergyRequest` > 0 means that the SoC is below the EV's V2X window
(OCPP 2.1, V2XChargingParameters); an EV above its window is bound by its own limits.

Every rule that turns Wh into % SoC or back takes the capacity of the battery from here (`capacity_of`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.authority.priority import Bound, Layer
from gateway.model.evse import Evse, battery_capacity_wh
from gateway.model.reason import Code
from gateway.model.site import Site, SitePolicy

NO_DISCHARGE_PCT = 100.0  # floor of a vehicle that no agreement covers
METER_EFFICIENCY = 0.94  # between battery and meter, in either direction
UNKNOWN_ENERGY_WH = 5000.0  # counted for a battery of unknown energy: a small one, half full
TAPER_S = 60.0  # for which energy above the floor (or below the ceiling) must last: power tapers before either
TRIP_MARGIN = 0.2  # added to the energy of a trip: roads may be closed


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Capacity:
    """Energy content of a battery, in Wh; `assumed` where neither the vehicle nor the configuration states it."""

    energy_wh: float
    assumed: bool = False


def capacity_of(evse: Evse, policy: SitePolicy) -> Capacity:
    """Return the capacity of the battery of the vehicle at an EVSE."""
    known_wh = evse.known_capacity_wh
    return Capacity(battery_capacity_wh(known_wh, policy.assumed_capacity_wh), assumed=not known_wh)


# floors that apply ----------------------------------------------------------------------------------------------------


def floors_of(
    evse: Evse, site: Site, reserve: Reserve | None, agreed_pct: float | None = None, *, of_vehicle: bool = True
) -> tuple[Floor, ...]:
    """Return the floors set for an EVSE and its vehicle, whatever the state of the grid.

    `agreed_pct`: of the vehicle's lending agreement; `of_vehicle` False: without those of the vehicle and of its EVSE.
    """
    policy, capacity = site.policy, capacity_of(evse, site.policy)
    found = [Floor(policy.min_soc_pct, "the site's floor")]
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
    floors = [schedule.floor, *(one for one in found if not (schedule.off_grid and _used(one, schedule)))]
    if command_pct is not None:
        floors.append(Floor(command_pct, "the command's floor"))
    return max(floors, key=lambda one: one.pct)


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
    """Return whether the floor counts as reached: at it, then until the battery is `hysteresis_pct` above it."""
    if soc_pct is None or floor_pct <= 0:
        return False
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
