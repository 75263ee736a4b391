"""The Blue Switch desk: one object that follows outages over all sites, to the last kilowatt-hour owed.

What it is told are facts (an outage began, a car was plugged in, a meter showed); what it answers are events with
reasons and, on request, the call-out, the state and the reports. It keeps everything in an audit chain. Pure: time is
an argument. Of several desks (one at each site's gateway) one leads: it calls cars; the others take its calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.blue_switch.arrivals import Checked, check
from gateway.blue_switch.audit import Audit, SiteRecord
from gateway.blue_switch.callout import CallOut, ChargePlace, SiteNeed, Trip, call_out
from gateway.blue_switch.handback import Loan, owed
from gateway.blue_switch.locations import Atlas
from gateway.blue_switch.outages import Outage
from gateway.blue_switch.registry import LentCar, Registry, Status
from gateway.energy.reason import Decided
from gateway.model.moment import rfc3339

LOOK_AGAIN_S = 300.0
PROMISED_S = 3600.0  # before it leaves a car's call stays with its site
LOST_S = 1800.0  # after it was expected a car that has not come is planned anew
MOVED_S = 600.0  # a call that moves by less is not worth a message,
MOVED = 0.25  # nor by less than this of the time that is left until then


@dataclass(slots=True)
class Coordinator:
    """One municipality's, at one site's gateway. `leads`: it calls cars itself."""

    registry: Registry
    atlas: Atlas
    charging: Sequence[ChargePlace] = ()
    leads: bool = True
    audit: Audit = field(default_factory=Audit)
    needs: dict[str, SiteNeed] = field(default_factory=dict)
    outages: dict[str, Outage] = field(default_factory=dict)
    current: Outage | None = None
    loans: dict[tuple[str, str], Loan] = field(default_factory=dict)  # of cars that are there
    calls: dict[str, Trip] = field(default_factory=dict)
    payments: set[str] = field(default_factory=set)  # ids: each is counted once
    plan: CallOut | None = None
    _looked: float | None = None
    _gaps: frozenset[tuple[str, int]] = frozenset()

    # what it is told ------------------------------------------------------------------------------------------------

    def outage(self, need: SiteNeed, wall: float, now: float) -> list[Decided]:
        """A site has lost its grid, or tells its need anew."""
        if not self.atlas.knows(need.site):
            return []  # not one of ours: other municipalities share the broker
        events = []
        if need.site not in self.needs:
            if self.current is None:
                self.current = Outage(f"outage-{int(wall)}", wall)
                self.outages[self.current.id] = self.current
            self.current.records[need.site] = SiteRecord(need.site, wall, None)
            hours = need.stored_wh / max(need.draw_w, 1.0)
            text = f"{need.site} has lost the grid; its own storage lasts {hours:.1f} h."
            events.append(self._say(now, wall, "site_needs_cars", need.site, text, draw_w=need.draw_w))
            self._looked = None
        self.needs[need.site] = need
        return events

    def restored(self, site: str, wall: float, now: float) -> list[Decided]:
        """A site has its grid back. With the last one the outage is over, and nobody is called any more."""
        if self.needs.pop(site, None) is None or self.current is None:
            return []
        over = self.current
        over.records[site] = replace(over.records[site], ended=wall)
        self._looked = None
        events = [self._say(now, wall, "site_restored", site, f"{site} has its grid back: its cars are given back.")]
        if not self.needs:
            for vehicle in list(self.calls):
                events += self._withdraw(vehicle, wall, now)
            over.ended, self.current, self.plan, self._gaps = wall, None, None, frozenset()
        return events

    def supplied(self, site: str, seconds: float, served_wh: float, critical_unserved_wh: float, dark: bool) -> None:
        """What a site got since it was last told."""
        if self.current is not None:
            self.current.supplied(site, seconds, served_wh, critical_unserved_wh, dark)

    def plugged(
        self, vehicle: str | None, site: str, wall: float, now: float, soc_pct: float | None = None
    ) -> tuple[Checked, list[Decided]]:
        """A car was plugged in at a site: the check, and what follows."""
        trip = self.calls.get(vehicle or "")
        checked = check(vehicle, site, wall, soc_pct, self.registry, self.atlas, trip)
        code, subject = f"arrival_{checked.code}", checked.vehicle or site
        data: dict[str, Any] = {"site": site, "welcome": checked.welcome, "soc_pct": soc_pct}
        events = [self._say(now, wall, code, subject, checked.text, **data)]
        car = self.registry.cars.get(checked.vehicle)
        if checked.welcome and car is not None:
            self.loans[(site, car.vehicle)] = Loan(
                car.vehicle,
                site,
                checked.agreement,
                wall,
                soc_pct,
                checked.floor_pct,
                car.capacity_wh,
                trip.way_wh if trip is not None else 0.0,
                outage=self.current.id if self.current is not None else "",
            )
            self.registry.seen(car.vehicle, wall, site, soc_pct, Status.THERE)
            self.calls.pop(car.vehicle, None)
        return checked, events

    def metered(
        self,
        vehicle: str,
        site: str,
        taken_wh: float,
        charged_wh: float,
        soc_pct: float | None,
        wall: float,
        now: float,
    ) -> list[Decided]:
        """A car's registers since it arrived, Wh at the meter."""
        loan = self.loans.get((site, vehicle))
        if loan is None:
            return []
        kept = loan.floor_kept
        loan = self.loans[(site, vehicle)] = loan.metered(taken_wh, charged_wh, soc_pct)
        self.registry.seen(vehicle, wall, site, soc_pct)
        if kept is not False and loan.floor_kept is False:
            text = f"{vehicle} has come below its floor of {loan.floor_pct:.0f} %: {loan.lowest_pct:.1f} %."
            return [self._say(now, wall, "floor_crossed", vehicle, text, loan.outage, site=site)]
        return []

    def unplugged(
        self, vehicle: str, site: str, wall: float, now: float, soc_pct: float | None = None
    ) -> list[Decided]:
        """A car has left a site: what it gave and what it is owed."""
        loan = self.loans.pop((site, vehicle), None)
        car = self.registry.cars.get(vehicle)
        if loan is None or car is None:
            return []
        loan = loan.gone(wall, soc_pct)
        if loan.outage in self.outages:
            self.outages[loan.outage].loans.append(loan)
        self.registry.seen(vehicle, wall, site, soc_pct, Status.FREE)
        debt = owed(loan, car)
        text = f"{vehicle} leaves {site}; it gave {loan.taken_wh / 1000:.1f} kWh"
        text += "." if debt.settled else f" and is owed {(debt.charge_wh + debt.bill_wh) / 1000:.1f} kWh, {debt.why}."
        data: dict[str, Any] = {"site": site, "given_wh": round(loan.taken_wh, 1)}
        return [self._say(now, wall, "car_left", vehicle, text, loan.outage, **data)]

    def paid(
        self, vehicle: str, wh: float, wall: float, now: float, soc_pct: float | None = None, payment: str = ""
    ) -> list[Decided]:
        """Energy given back to a car (or paid for) after it left; the oldest loan first. `payment` counts once."""
        car = self.registry.cars.get(vehicle)
        if car is None or (payment and payment in self.payments):
            return []
        for outage in self.outages.values():
            for index, loan in enumerate(outage.loans):
                if loan.vehicle == vehicle and not owed(loan, car).settled:
                    self.payments |= {payment} if payment else set()
                    loan = loan.given_back(wh, soc_pct)
                    outage.loans[index] = loan
                    self.registry.seen(vehicle, wall, None, soc_pct)
                    left = owed(loan, car)
                    text = f"{vehicle} was given back {wh / 1000:.1f} kWh; "
                    still = f"{(left.charge_wh + left.bill_wh) / 1000:.1f} kWh are still owed."
                    text += "nothing is owed any more." if left.settled else still
                    data: dict[str, Any] = {"wh": round(wh, 1), "payment": payment}
                    return [self._say(now, wall, "given_back", vehicle, text, loan.outage, **data)]
        return []

    def seen(self, vehicle: str, wall: float, place: str | None, soc_pct: float | None, status: Status | None) -> bool:
        """Where a car is and how full, as its operator tells; False for a car that nobody lends."""
        known = place if place is None or self.atlas.knows(place) else None
        if status is not None:
            self._looked = None
        return self.registry.seen(vehicle, wall, known, soc_pct, status) is not None

    # what it decides ------------------------------------------------------------------------------------------------

    def look(self, wall: float, now: float) -> list[Decided]:
        """The call-out anew, every few minutes and after every change of a site; answers calls, changes and gaps."""
        if not self.leads or not self.needs or (self._looked is not None and now - self._looked < LOOK_AGAIN_S):
            return []
        self._looked = now
        cars = [self._where(car, wall) for car in self.registry.cars.values()]
        promised = {vehicle: trip.site for vehicle, trip in self.calls.items() if trip.leave_at - wall < PROMISED_S}
        self.plan = call_out(wall, list(self.needs.values()), cars, self.atlas, self.charging, promised)
        under_way = {one.vehicle: self.calls[one.vehicle] for one in cars if one is not self.registry.cars[one.vehicle]}
        first: dict[str, Trip] = dict(under_way)
        for trip in self.plan.trips:
            car = self.registry.cars[trip.vehicle]
            there = car.status is Status.THERE and car.place == trip.site
            if not there and trip.vehicle not in under_way:
                first.setdefault(trip.vehicle, trip)
        events = [
            event for trip in first.values() if trip.vehicle not in under_way for event in self._call(trip, wall, now)
        ]
        for vehicle in [one for one in self.calls if one not in first]:
            events += self._withdraw(vehicle, wall, now)
        gaps = frozenset((gap.site, gap.lane) for gap in self.plan.gaps)
        for gap in self.plan.gaps:
            if (gap.site, gap.lane) not in self._gaps:
                text = f"{gap.site} cannot be supplied from {rfc3339(gap.start)}: no car can be there in time."
                events.append(self._say(now, wall, "supply_gap", gap.site, text, until=rfc3339(gap.end)))
        self._gaps = gaps
        return events

    def _where(self, car: LentCar, wall: float) -> LentCar:
        """A car that has left for a site in need counts as there from when it is expected, until it is plainly late."""
        trip = self.calls.get(car.vehicle)
        if trip is None or trip.site not in self.needs or not trip.leave_at <= wall < trip.arrive_at + LOST_S:
            return car
        soc = max(0.0, car.soc_pct - 100 * trip.way_wh / car.capacity_wh)
        return replace(car, place=trip.site, soc_pct=soc, status=Status.THERE, free_from=max(wall, trip.arrive_at))

    def _withdraw(self, vehicle: str, wall: float, now: float) -> list[Decided]:
        old = self.calls.pop(vehicle)
        text = f"{vehicle} is not needed at {old.site} any more."
        return [self._say(now, wall, "call_withdrawn", vehicle, text, site=old.site)]

    def _call(self, trip: Trip, wall: float, now: float) -> list[Decided]:
        old = self.calls.get(trip.vehicle)
        if old is not None and old.site == trip.site:
            moved_s = abs(old.arrive_at - trip.arrive_at)
            if moved_s < max(MOVED_S, MOVED * (old.arrive_at - wall)):
                return []
        elif old is not None and old.site in self.needs and min(old.call_by, trip.call_by) - wall > PROMISED_S:
            return []  # two sites that need it about as much: who gets it is said when its lender has to know
        self.calls[trip.vehicle] = trip
        code = "car_called" if old is None else "call_changed"
        text = (
            f"{trip.vehicle} leaves {trip.start} at {rfc3339(trip.leave_at)}, is at {trip.site} by "
            f"{rfc3339(trip.arrive_at)} and supplies it for {trip.hours:.1f} h."
        )
        data: dict[str, Any] = {
            "site": trip.site,
            "call_by": rfc3339(trip.call_by),
            "leave_at": rfc3339(trip.leave_at),
            "arrive_at": rfc3339(trip.arrive_at),
            "hours": round(trip.hours, 2),
            "brings_wh": round(trip.brings_wh),
        }
        return [self._say(now, wall, code, trip.vehicle, text, **data)]

    def called_away(self, site: str) -> frozenset[str]:
        """Cars now at `site` that are wanted at another: the rotation there lets them go when it can."""
        return frozenset(vehicle for vehicle, trip in self.calls.items() if trip.start == site and trip.site != site)

    def is_called(self, vehicle: str) -> bool:
        """Whether this car is on its way to somewhere."""
        return vehicle in self.calls

    # what it shows --------------------------------------------------------------------------------------------------

    def report(self, outage: str) -> dict[str, Any]:
        """The audit report of an outage so far; KeyError for one that is not in the books."""
        return self.outages[outage].report(self.registry, list(self.loans.values()), self.audit)

    def _say(self, now: float, wall: float, code: str, subject: str, text: str, of: str = "", **data: Any) -> Decided:
        outage = of or (self.current.id if self.current is not None else "")
        self.audit.add(wall, code, subject, text, **data, **({"outage": outage} if outage else {}))
        return Decided(now, code, text, subject)
