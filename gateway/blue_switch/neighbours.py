"""Effects of another site's published state: vehicles there and, from the leading coordinator, its calls.

A coordinator that does not lead checks arrivals against the leader's calls; the leader reads in the other sites' states
where the vehicles are and their state of charge. Values out of range are left out.
"""

from __future__ import annotations

from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.registry import Status
from gateway.blue_switch.trips import SiteNeed, Trip
from gateway.model.energy_state import BlueSwitchState, SiteNeedState, VehicleCall
from gateway.model.message import is_moment

MAX_BAYS = 1000
HORIZON_S = 72 * 3600.0  # planned duration of supply


def need_of(site: str, need: SiteNeedState, wall: float) -> SiteNeed:
    """Return the need that another site publishes."""
    bays, until = min(need.bays, MAX_BAYS), wall + HORIZON_S
    return SiteNeed(site, need.draw_w, need.stored_wh, bays, until, store_wh=need.store_wh, store_w=need.store_w)


def apply_state(coordinator: Coordinator, site: str, state: BlueSwitchState, wall: float) -> None:
    """Apply the `blue_switch` part of another site's state."""
    if site not in coordinator.atlas:
        return
    here = {one.vehicle: _soc_pct(one.soc_pct) for one in state.there}
    for vehicle, car in list(coordinator.registry.cars.items()):
        if vehicle in here:
            coordinator.registry.seen(vehicle, max(wall, car.seen_at), site, here[vehicle], Status.DEPLOYED)
            coordinator.arrived(vehicle, site)
        elif car.place == site and car.status is Status.DEPLOYED and (site, vehicle) not in coordinator.deployments:
            coordinator.registry.seen(vehicle, max(wall, car.seen_at), site, None, Status.FREE)
    if state.leads and not coordinator.leads:
        trips = (_trip(call) for call in state.calls)
        coordinator.follow_leader([trip for trip in trips if trip is not None])


def _soc_pct(value: float | None) -> float | None:
    return value if value is not None and 0 <= value <= 100 else None


def _trip(call: VehicleCall) -> Trip | None:
    if not all(map(is_moment, (call.call_by, call.leave_at, call.arrive_at, call.supply_until))):
        return None
    times = (call.call_by, call.leave_at, call.arrive_at, call.arrive_at, call.supply_until)
    energies = (float(call.brings_wh), float(call.way_wh))
    return Trip(call.vehicle, call.agreement, call.site, 0, call.start, *times, *energies, call.leaves_pct)
