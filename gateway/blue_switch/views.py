"""Views of the coordinator: the part of the site's state, expected arrivals, and the rows of the admin API. Pure."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from gateway.authority.soc_floors import METER_EFFICIENCY
from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.handback import Deployment, energy_to_return
from gateway.blue_switch.registry import ProvidedVehicle
from gateway.blue_switch.trips import Trip
from gateway.model.energy_state import BlueSwitchState, DeployedVehicle, SiteInNeed, SupplyGap, VehicleCall
from gateway.model.message import rfc3339

Row = dict[str, Any]


def state(coordinator: Coordinator, place: str) -> BlueSwitchState:
    """Return the `blue_switch` part of the site's state: sites in need, calls, vehicles at this site, gaps."""
    plan = coordinator.plan
    until = plan.supplied_until if plan is not None else {}
    sites = (
        SiteInNeed(site=one.site, draw_w=one.draw_w, stored_wh=one.stored_wh, supplied_until=until.get(one.site))
        for one in coordinator.needs.values()
    )
    return BlueSwitchState(
        leads=coordinator.leads,
        outage=coordinator.current.id if coordinator.current is not None else None,
        sites=tuple(sites),
        calls=tuple(call(one) for one in sorted(coordinator.calls.values(), key=lambda one: one.leave_at)),
        there=tuple(
            there(deployment) for (site, _), deployment in sorted(coordinator.deployments.items()) if site == place
        ),
        gaps=tuple(
            SupplyGap(site=gap.site, start=gap.start, end=gap.end) for gap in (plan.gaps if plan is not None else ())
        ),
    )


def call(trip: Trip) -> VehicleCall:
    """Return one vehicle's call as published."""
    return VehicleCall(
        vehicle=trip.vehicle,
        agreement=trip.agreement,
        start=trip.start,
        site=trip.site,
        call_by=trip.call_by,
        leave_at=trip.leave_at,
        arrive_at=trip.arrive_at,
        supply_until=trip.supply_until,
        hours=round(trip.hours, 2),
        brings_wh=round(trip.brings_wh),
        way_wh=round(trip.way_wh),
        leaves_pct=round(trip.leaves_pct, 1),
        then=trip.then or None,
    )


def there(deployment: Deployment) -> DeployedVehicle:
    """Return one plugged-in vehicle as published."""
    return DeployedVehicle(
        vehicle=deployment.vehicle,
        site=deployment.site,
        agreement=deployment.agreement,
        arrived_at=deployment.arrived_at,
        arrived_pct=deployment.arrived_pct,
        soc_pct=deployment.left_pct,
        lowest_pct=deployment.lowest_pct,
        floor_pct=round(deployment.floor_pct, 1),
        given_wh=round(deployment.discharged_wh, 1),
        charged_wh=round(deployment.charged_wh, 1),
        way_wh=round(deployment.way_wh),
    )


def arrivals(coordinator: Coordinator, site: str) -> list[Row]:
    """Return the vehicles under way to a site, in the form of `site/input/arrival`."""
    found = []
    for trip in coordinator.calls.values():
        car = coordinator.registry.cars.get(trip.vehicle)
        if trip.site == site and car is not None:
            soc = trip.leaves_pct + 100 * trip.brings_wh / METER_EFFICIENCY / car.capacity_wh
            found.append(
                {
                    "vehicle": trip.vehicle,
                    "at": rfc3339(trip.arrive_at),
                    "soc_pct": round(min(100.0, max(0.0, soc)), 1),
                    "capacity_wh": car.capacity_wh,
                    "departure": rfc3339(max(trip.supply_until, trip.arrive_at)),
                }
            )
    return found


def checks(coordinator: Coordinator, limit: int) -> list[Row]:
    """Return the checks of vehicles that were plugged in, newest first."""
    checked = (one for one in reversed(coordinator.audit.entries) if one.data.welcome is not UNSET)
    return [
        {
            "at": rfc3339(one.wall),
            "vehicle": one.subject,
            "site": one.data.site,
            "code": one.kind.removeprefix("arrival_"),
            "welcome": one.data.welcome,
            "soc_pct": one.data.soc_pct,
            "reason": one.text,
        }
        for one, _ in zip(checked, range(limit), strict=False)
    ]


def car(one: ProvidedVehicle) -> Row:
    """Return one vehicle of the registry."""
    return {
        "vehicle": one.vehicle,
        "agreement": one.agreement.id,
        "lender": one.agreement.provider,
        "place": one.place,
        "base": one.base,
        "soc_pct": one.soc_pct,
        "capacity_wh": one.capacity_wh,
        "power_w": one.power_w,
        "connector": one.connector,
        "status": one.status.value,
        "seen_at": rfc3339(one.seen_at) if one.seen_at else None,
    }


def deployments(coordinator: Coordinator, *, open_only: bool = False) -> list[Row]:
    """Return every deployment with its energy to return, newest first; active ones with the balance as of now."""
    ended = (one for outage in coordinator.outages.values() for one in outage.deployments)
    rows = []
    for one in sorted([*coordinator.deployments.values(), *ended], key=lambda one: one.arrived_at, reverse=True):
        vehicle = coordinator.registry.cars.get(one.vehicle)
        if vehicle is None:
            continue
        balance = energy_to_return(one, vehicle)
        if open_only and balance.settled and one.left_at is not None:
            continue
        row = there(one).model_dump(mode="json") | {
            "outage": one.outage or None,
            "left_at": None if one.left_at is None else rfc3339(one.left_at),
            "paid_wh": round(one.returned_wh, 1),
            "floor_kept": one.floor_kept,
            "owed_wh": round(balance.charge_wh, 1),
            "billed_wh": round(balance.bill_wh, 1),
            "owed_because": balance.why,
            "settled": balance.settled,
        }
        rows.append(row)
    return rows


def outages(coordinator: Coordinator) -> list[Row]:
    """Return the outages, newest first."""
    active = list(coordinator.deployments.values())
    newest_first = sorted(coordinator.outages.values(), key=lambda one: -one.began)
    return [one.summary(coordinator.registry, active) for one in newest_first]


def agreements(coordinator: Coordinator) -> list[Row]:
    """Return the agreements of the file, with the defaults of their kinds."""
    by_id = {car.agreement.id: car.agreement for car in coordinator.registry.cars.values()}
    return [one.model_dump(mode="json") for _, one in sorted(by_id.items())]
