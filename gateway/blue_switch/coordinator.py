"""Coordinator of vehicle lending: follows outages over all sites, calls vehicles and balances their energy.

Facts come in (an outage began, a vehicle was plugged in, a meter was read); events with reasons come out, and on
request the call-out, the state and the reports. Every fact is recorded in an audit chain. Of several coordinators
(one at each site's gateway) one leads: it calls vehicles, the others follow its calls. Pure: time is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from gateway.blue_switch.arrivals import ArrivalCheck, ArrivalCode, check_arrival
from gateway.blue_switch.audit import Audit, Details, Entry
from gateway.blue_switch.callout import call_out
from gateway.blue_switch.handback import Deployment, energy_to_return
from gateway.blue_switch.locations import Atlas
from gateway.blue_switch.outages import Outage, SiteRecord
from gateway.blue_switch.registry import ProvidedVehicle, Status, VehicleRegistry
from gateway.blue_switch.trips import CallOut, ChargePlace, SiteNeed, Trip
from gateway.energy.reason import Decided, LendingCode
from gateway.model.message import rfc3339

REPLAN_S = 300.0
COMMITTED_S = 3600.0  # before departure a vehicle's call stays with its site
OVERDUE_S = 1800.0  # after its expected arrival a missing vehicle is planned again
MIN_CHANGE_S = 600.0  # a call is changed only if it moves by this,
MIN_CHANGE_SHARE = 0.25  # and by this share of the time left until arrival


@dataclass(frozen=True, slots=True)
class Sighting:
    """Position, state of charge and availability of a vehicle, as last reported."""

    vehicle: str
    place: str
    soc_pct: float
    status: Status
    seen_at: float


@dataclass(frozen=True, slots=True)
class StoredState:
    """State of a coordinator apart from its outages; `current` is the id of the outage."""

    current: str | None = None
    needs: Sequence[SiteNeed] = ()
    deployments: Sequence[Deployment] = ()
    calls: Sequence[Trip] = ()
    payments: Iterable[str] = ()
    sightings: Sequence[Sighting] = ()


@dataclass(slots=True)
class Coordinator:
    """Coordinator of one municipality at one site's gateway. `leads`: it calls vehicles itself."""

    registry: VehicleRegistry
    atlas: Atlas
    charging: Sequence[ChargePlace] = ()
    leads: bool = True
    audit: Audit = field(default_factory=Audit)
    needs: dict[str, SiteNeed] = field(default_factory=dict)
    outages: dict[str, Outage] = field(default_factory=dict)
    current: Outage | None = None
    deployments: dict[tuple[str, str], Deployment] = field(default_factory=dict)  # active, by site and vehicle
    calls: dict[str, Trip] = field(default_factory=dict)
    payments: set[str] = field(default_factory=set)  # ids: each counts once
    plan: CallOut | None = None
    _planned_at: float | None = None
    _gaps: frozenset[tuple[str, int]] = frozenset()

    def restore(self, outages: Mapping[str, Outage], state: StoredState, entries: Iterable[Entry]) -> None:
        """Restore what an earlier run stored, into a new coordinator; what this one does not cover is left out."""
        cars = self.registry.cars
        self.outages = dict(outages)
        self.current = self.outages.get(state.current or "")
        if self.current is not None:
            self.needs = {one.site: one for one in state.needs if one.site in self.atlas}
        self.deployments = {(one.site, one.vehicle): one for one in state.deployments if one.vehicle in cars}
        self.follow_leader(state.calls)
        self.payments = set(state.payments)
        for one in state.sightings:
            if one.place in self.atlas:
                self.registry.seen(one.vehicle, one.seen_at, one.place, one.soc_pct, one.status)
        self.audit.restore(entries)

    # facts ----------------------------------------------------------------------------------------------------------

    def outage(self, need: SiteNeed, wall: float, now: float) -> list[Decided]:
        """Apply the need of a site without grid supply."""
        if need.site not in self.atlas:
            return []  # a site of another municipality on the same broker
        events = []
        if need.site not in self.needs:
            if self.current is None:
                self.current = Outage(f"outage-{int(wall)}", wall)
                self.outages[self.current.id] = self.current
            self.current.records[need.site] = SiteRecord(need.site, wall, None)
            hours = need.stored_wh / max(need.draw_w, 1.0)
            text = f"{need.site} has lost the grid; its own storage lasts {hours:.1f} h."
            events.append(self._record(now, wall, "site_needs_cars", need.site, text, Details(draw_w=need.draw_w)))
            self._planned_at = None
        self.needs[need.site] = need
        return events

    def restored(self, site: str, wall: float, now: float) -> list[Decided]:
        """Apply the return of a site's grid. With the last site the outage ends and every call is withdrawn."""
        if self.needs.pop(site, None) is None or self.current is None:
            return []
        over = self.current
        over.records[site] = replace(over.records[site], ended=wall)
        self._planned_at = None
        text = f"{site} has its grid back: its vehicles are returned."
        events = [self._record(now, wall, "site_restored", site, text, Details())]
        if not self.needs:
            for vehicle in list(self.calls):
                events += self._withdraw(vehicle, wall, now)
            over.ended, self.current, self.plan, self._gaps = wall, None, None, frozenset()
        return events

    def supplied(
        self, site: str, seconds: float, served_wh: float, critical_unserved_wh: float, unsupplied: bool
    ) -> None:
        """Add the supply of a site since the last call."""
        if self.current is not None:
            self.current.supplied(site, seconds, served_wh, critical_unserved_wh, unsupplied)

    def plugged(
        self, vehicle: str | None, site: str, wall: float, now: float, soc_pct: float | None = None
    ) -> tuple[ArrivalCheck, list[Decided]]:
        """Check a vehicle that was plugged in at a site; a covered one begins a deployment."""
        trip = self.calls.get(vehicle or "")
        check = check_arrival(vehicle, site, wall, soc_pct, self.registry, self.atlas, trip)
        data = Details(site=site, welcome=check.accepted, soc_pct=soc_pct)
        events = [self._record(now, wall, check.code, check.vehicle or site, check.text, data)]
        car = self.registry.cars.get(check.vehicle)
        if check.accepted and car is not None:
            self.deployments[(site, car.vehicle)] = Deployment(
                car.vehicle,
                site,
                check.agreement,
                wall,
                soc_pct,
                check.floor_pct,
                car.capacity_wh,
                trip.way_wh if trip is not None else 0.0,
                outage=self.current.id if self.current is not None else "",
            )
            self.registry.seen(car.vehicle, wall, site, soc_pct, Status.DEPLOYED)
            self.calls.pop(car.vehicle, None)
        return check, events

    def metered(
        self,
        vehicle: str,
        site: str,
        discharged_wh: float,
        charged_wh: float,
        soc_pct: float | None,
        wall: float,
        now: float,
    ) -> list[Decided]:
        """Apply a vehicle's registers since its arrival, Wh at the meter."""
        before = self.deployments.get((site, vehicle))
        if before is None:
            return []
        after = self.deployments[(site, vehicle)] = before.metered(discharged_wh, charged_wh, soc_pct)
        self.registry.seen(vehicle, wall, site, soc_pct)
        if before.floor_kept is not False and after.floor_kept is False:
            text = f"{vehicle} is below its floor of {after.floor_pct:.0f} %: {after.lowest_pct:.1f} %."
            return [self._record(now, wall, "floor_crossed", vehicle, text, Details(site=site), after.outage)]
        return []

    def unplugged(
        self, vehicle: str, site: str, wall: float, now: float, soc_pct: float | None = None
    ) -> list[Decided]:
        """End the deployment of a vehicle that left a site."""
        deployment = self.deployments.pop((site, vehicle), None)
        car = self.registry.cars.get(vehicle)
        if deployment is None or car is None:
            return []
        deployment = deployment.ended_at(wall, soc_pct)
        if deployment.outage in self.outages:
            self.outages[deployment.outage].deployments.append(deployment)
        self.registry.seen(vehicle, wall, site, soc_pct, Status.FREE)
        left = energy_to_return(deployment, car)
        text = f"{vehicle} leaves {site}; it discharged {deployment.discharged_wh / 1000:.1f} kWh"
        text += "." if left.settled else f"; {left.total_wh / 1000:.1f} kWh are to be returned, {left.why}."
        data = Details(site=site, given_wh=round(deployment.discharged_wh, 1))
        return [self._record(now, wall, "car_left", vehicle, text, data, deployment.outage)]

    def energy_returned(
        self, vehicle: str, wh: float, wall: float, now: float, soc_pct: float | None = None, payment: str = ""
    ) -> tuple[str, Decided] | None:
        """Settle energy returned to a vehicle (or paid for), the oldest deployment first. `payment` counts once.

        Returns the outage of the deployment and the event; None where nothing was to be returned.
        """
        car = self.registry.cars.get(vehicle)
        if car is None or (payment and payment in self.payments):
            return None
        for outage in self.outages.values():
            for index, deployment in enumerate(outage.deployments):
                if deployment.vehicle != vehicle or energy_to_return(deployment, car).settled:
                    continue
                self.payments |= {payment} if payment else set()
                outage.deployments[index] = after = deployment.with_returned(wh, soc_pct)
                self.registry.seen(vehicle, wall, None, soc_pct)
                left = energy_to_return(after, car)
                text = f"{wh / 1000:.1f} kWh were returned to {vehicle}; "
                text += (
                    "it is settled." if left.settled else f"{left.total_wh / 1000:.1f} kWh are still to be returned."
                )
                data = Details(wh=round(wh, 1), payment=payment)
                return outage.id, self._record(now, wall, "given_back", vehicle, text, data, after.outage)
        return None

    def seen(self, vehicle: str, wall: float, place: str | None, soc_pct: float | None, status: Status | None) -> bool:
        """Apply an operator's report of a vehicle; False for one that no agreement covers."""
        known = place if place is None or place in self.atlas else None
        if status is not None:
            self._planned_at = None
        return self.registry.seen(vehicle, wall, known, soc_pct, status) is not None

    def arrived(self, vehicle: str, site: str) -> None:
        """End the call of a vehicle that is plugged in at another site."""
        if (trip := self.calls.get(vehicle)) is not None and trip.site == site:
            del self.calls[vehicle]

    def follow_leader(self, calls: Iterable[Trip]) -> None:
        """Replace the calls by those of the coordinator that leads."""
        self.calls = {trip.vehicle: trip for trip in calls if trip.vehicle in self.registry.cars}

    # decisions ------------------------------------------------------------------------------------------------------

    def update(self, wall: float, now: float) -> list[Decided]:
        """Plan the call-out every few minutes and after every change of a site; return calls, changes and gaps."""
        if not self.leads or not self.needs or (self._planned_at is not None and now - self._planned_at < REPLAN_S):
            return []
        self._planned_at = now
        cars = [self._expected(car, wall) for car in self.registry.cars.values()]
        committed = {vehicle: trip.site for vehicle, trip in self.calls.items() if trip.leave_at - wall < COMMITTED_S}
        self.plan = call_out(wall, list(self.needs.values()), cars, self.atlas, self.charging, committed)
        under_way = {one.vehicle: self.calls[one.vehicle] for one in cars if one is not self.registry.cars[one.vehicle]}
        first: dict[str, Trip] = dict(under_way)
        for trip in self.plan.trips:
            car = self.registry.cars[trip.vehicle]
            there = car.status is Status.DEPLOYED and car.place == trip.site
            if not there and trip.vehicle not in under_way:
                first.setdefault(trip.vehicle, trip)
        events = [
            event for trip in first.values() if trip.vehicle not in under_way for event in self._call(trip, wall, now)
        ]
        for vehicle in [one for one in self.calls if one not in first]:
            events += self._withdraw(vehicle, wall, now)
        return events + self._new_gaps(self.plan, wall, now)

    def _new_gaps(self, plan: CallOut, wall: float, now: float) -> list[Decided]:
        events = []
        for gap in plan.gaps:
            if (gap.site, gap.lane) not in self._gaps:
                text = f"{gap.site} cannot be supplied from {rfc3339(gap.start)}: no vehicle can arrive in time."
                events.append(self._record(now, wall, "supply_gap", gap.site, text, Details(until=rfc3339(gap.end))))
        self._gaps = frozenset((gap.site, gap.lane) for gap in plan.gaps)
        return events

    def _expected(self, car: ProvidedVehicle, wall: float) -> ProvidedVehicle:
        """Return a vehicle under way to a site in need as deployed there from its expected arrival, until overdue."""
        trip = self.calls.get(car.vehicle)
        if trip is None or trip.site not in self.needs or not trip.leave_at <= wall < trip.arrive_at + OVERDUE_S:
            return car
        if car.status is Status.DEPLOYED and car.place == trip.start:
            return car  # its site has not released it yet
        soc = max(0.0, car.soc_pct - 100 * trip.way_wh / car.capacity_wh)
        return replace(car, place=trip.site, soc_pct=soc, status=Status.DEPLOYED, free_from=max(wall, trip.arrive_at))

    def _withdraw(self, vehicle: str, wall: float, now: float) -> list[Decided]:
        old = self.calls.pop(vehicle)
        text = f"{vehicle} is not needed at {old.site} any more."
        return [self._record(now, wall, "call_withdrawn", vehicle, text, Details(site=old.site))]

    def _call(self, trip: Trip, wall: float, now: float) -> list[Decided]:
        old = self.calls.get(trip.vehicle)
        if old is not None and old.site == trip.site:
            moved_s = abs(old.arrive_at - trip.arrive_at)
            if moved_s < max(MIN_CHANGE_S, MIN_CHANGE_SHARE * (old.arrive_at - wall)):
                return []
        elif old is not None and old.site in self.needs and min(old.call_by, trip.call_by) - wall > COMMITTED_S:
            return []  # two sites with about the same need: decided when the provider must be notified
        self.calls[trip.vehicle] = trip
        code: LendingCode = "car_called" if old is None else "call_changed"
        text = (
            f"{trip.vehicle} leaves {trip.start} at {rfc3339(trip.leave_at)}, is at {trip.site} by "
            f"{rfc3339(trip.arrive_at)} and supplies it for {trip.hours:.1f} h."
        )
        data = Details(
            site=trip.site,
            call_by=rfc3339(trip.call_by),
            leave_at=rfc3339(trip.leave_at),
            arrive_at=rfc3339(trip.arrive_at),
            hours=round(trip.hours, 2),
            brings_wh=round(trip.brings_wh),
        )
        return [self._record(now, wall, code, trip.vehicle, text, data)]

    def called_away(self, site: str, until: float = math.inf) -> frozenset[str]:
        """Return the vehicles at `site` that are called to another one and are to leave by `until` (Unix time)."""
        calls = self.calls.items()
        return frozenset(
            vehicle for vehicle, one in calls if one.start == site and one.site != site and one.leave_at <= until
        )

    def is_called(self, vehicle: str) -> bool:
        """Return whether this vehicle has a call."""
        return vehicle in self.calls

    def report(self, outage: str) -> dict[str, Any]:
        """Return the audit report of an outage so far; KeyError for an unknown one."""
        return self.outages[outage].report(self.registry, list(self.deployments.values()), self.audit)

    def _record(
        self,
        now: float,
        wall: float,
        code: LendingCode | ArrivalCode,
        subject: str,
        text: str,
        data: Details,
        of: str = "",
    ) -> Decided:
        outage = of or (self.current.id if self.current is not None else "")
        if outage:
            data = msgspec.structs.replace(data, outage=outage)
        self.audit.add(wall, code, subject, text, data)
        return Decided(now, code, text, subject)
