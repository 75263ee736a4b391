"""What the desk shows: the part of the site's state, the expected arrivals, and the rows of the admin API. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gateway.blue_switch.callout import Trip
from gateway.blue_switch.coordinator import Coordinator
from gateway.blue_switch.handback import Loan, owed
from gateway.blue_switch.registry import ETA, LentCar
from gateway.model.energy_state import BlueSwitchState, DeployedVehicle, SiteInNeed, SupplyGap, VehicleCall
from gateway.model.moment import rfc3339

Row = dict[str, Any]


def state(desk: Coordinator, place: str) -> BlueSwitchState:
    """Return the `blue_switch` part of the site's state: sites in need, calls, vehicles at this site, gaps."""
    plan = desk.plan
    until = plan.supplied_until if plan is not None else {}
    sites = (
        SiteInNeed(site=one.site, draw_w=one.draw_w, stored_wh=one.stored_wh, supplied_until=until.get(one.site))
        for one in desk.needs.values()
    )
    return BlueSwitchState(
        leads=desk.leads,
        outage=desk.current.id if desk.current is not None else None,
        sites=tuple(sites),
        calls=tuple(call(one) for one in sorted(desk.calls.values(), key=lambda one: one.leave_at)),
        there=tuple(there(loan) for (site, _), loan in sorted(desk.loans.items()) if site == place),
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


def there(loan: Loan) -> DeployedVehicle:
    """Return one plugged-in vehicle as published."""
    return DeployedVehicle(
        vehicle=loan.vehicle,
        site=loan.site,
        agreement=loan.agreement,
        arrived_at=loan.arrived_at,
        arrived_pct=loan.arrived_pct,
        soc_pct=loan.left_pct,
        lowest_pct=loan.lowest_pct,
        floor_pct=round(loan.floor_pct, 1),
        given_wh=round(loan.taken_wh, 1),
        charged_wh=round(loan.charged_wh, 1),
        way_wh=round(loan.way_wh),
    )


def arrivals(desk: Coordinator, site: str) -> list[Row]:
    """Cars on their way to a site, as its `site/input/arrival` takes them."""
    found = []
    for trip in desk.calls.values():
        car = desk.registry.cars.get(trip.vehicle)
        if trip.site == site and car is not None:
            soc = trip.leaves_pct + 100 * trip.brings_wh / ETA / car.capacity_wh
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


def checks(desk: Coordinator, limit: int) -> list[Row]:
    """Checks of cars that were plugged in, newest first."""
    kinds = (one for one in reversed(desk.audit.entries) if one.kind.startswith("arrival_"))
    return [
        {
            "at": rfc3339(one.wall),
            "vehicle": one.subject,
            "site": one.data.get("site"),
            "code": one.kind.removeprefix("arrival_"),
            "welcome": one.data.get("welcome"),
            "soc_pct": one.data.get("soc_pct"),
            "reason": one.text,
        }
        for one, _ in zip(kinds, range(limit), strict=False)
    ]


def car(one: LentCar) -> Row:
    """One car of the registry."""
    return {
        "vehicle": one.vehicle,
        "agreement": one.agreement.id,
        "lender": one.agreement.lender,
        "place": one.place,
        "base": one.base,
        "soc_pct": one.soc_pct,
        "capacity_wh": one.capacity_wh,
        "power_w": one.power_w,
        "connector": one.connector,
        "status": one.status.value,
        "seen_at": rfc3339(one.seen_at) if one.seen_at else None,
    }


def loans(desk: Coordinator, *, open_only: bool = False) -> list[Row]:
    """What each car gave and is owed, newest first; cars that are still there with what they would be owed now."""
    every = [*desk.loans.values(), *(loan for outage in desk.outages.values() for loan in outage.loans)]
    rows = []
    for loan in sorted(every, key=lambda one: one.arrived_at, reverse=True):
        lent = desk.registry.cars.get(loan.vehicle)
        if lent is None:
            continue
        debt = owed(loan, lent)
        if open_only and debt.settled and loan.left_at is not None:
            continue
        left_at = None if loan.left_at is None else rfc3339(loan.left_at)
        row = there(loan).model_dump(mode="json") | {
            "outage": loan.outage or None,
            "left_at": left_at,
            "paid_wh": round(loan.paid_wh, 1),
        }
        row |= {"floor_kept": loan.floor_kept, "owed_wh": round(debt.charge_wh, 1), "billed_wh": round(debt.bill_wh, 1)}
        rows.append(row | {"owed_because": debt.why, "settled": debt.settled})
    return rows


def outages(desk: Coordinator) -> list[Row]:
    """Outages in the books, newest first."""
    here = list(desk.loans.values())
    return [one.summary(desk.registry, here) for one in sorted(desk.outages.values(), key=lambda one: -one.began)]


def agreements(desk: Coordinator) -> list[Row]:
    """As the file says, with the defaults of their kinds."""
    by_id = {car.agreement.id: car.agreement for car in desk.registry.cars.values()}
    return [one.model_dump(mode="json") for _, one in sorted(by_id.items())]


def entries(desk: Coordinator, outage: str) -> list[Row]:
    """The chain's entries of an outage."""
    return [one.as_json() for one in desk.audit.entries if one.data.get("outage") == outage]


def plain(trip: Trip) -> Row:
    """A trip to be kept: JSON has no infinity."""
    row = asdict(trip)
    return {key: None if value == float("inf") else value for key, value in row.items()}
