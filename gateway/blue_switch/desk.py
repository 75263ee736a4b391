"""The Blue Switch desk: one object that follows an outage over all sites, to the last kilowatt-hour owed.

What it is told are facts (an outage began, a car was plugged in, a meter showed); what it answers are events with
reasons and, on request, the call-out, the state and the report. It keeps everything in an audit chain. Pure: time is an
argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.blue_switch.arrivals import Checked, check
from gateway.blue_switch.audit import Audit, SiteRecord, report
from gateway.blue_switch.callout import CallOut, ChargePlace, SiteNeed, Trip, call_out
from gateway.blue_switch.handback import Loan, Owed, owed
from gateway.blue_switch.places import Atlas
from gateway.blue_switch.registry import LentCar, Registry, Status
from gateway.energy.reason import Decided
from gateway.model.moment import rfc3339

LOOK_AGAIN_S = 300.0
MOVED_S = 600.0  # a call that moves by less is not worth a message


@dataclass(slots=True)
class Desk:
    """One municipality."""

    registry: Registry
    atlas: Atlas
    charging: Sequence[ChargePlace] = ()
    audit: Audit = field(default_factory=Audit)
    needs: dict[str, SiteNeed] = field(default_factory=dict)
    records: dict[str, SiteRecord] = field(default_factory=dict)
    loans: dict[tuple[str, str], Loan] = field(default_factory=dict)
    past: list[Loan] = field(default_factory=list)
    plan: CallOut | None = None
    _calls: dict[str, Trip] = field(default_factory=dict)
    _looked: float | None = None
    _gaps: frozenset[tuple[str, int]] = frozenset()

    # what it is told ------------------------------------------------------------------------------------------------

    def outage(self, need: SiteNeed, wall: float, now: float) -> list[Decided]:
        """A site has lost its grid, or tells its need anew."""
        events = []
        if not self.atlas.knows(need.site):
            return []  # not one of ours: other municipalities share the broker
        if need.site not in self.needs:
            self.records[need.site] = SiteRecord(need.site, wall, None)
            hours = need.stored_wh / max(need.draw_w, 1.0)
            text = f"{need.site} has lost the grid; its own storage lasts {hours:.1f} h."
            events.append(self._say(now, wall, "site_needs_cars", need.site, text, draw_w=need.draw_w))
            self._looked = None
        self.needs[need.site] = need
        return events

    def restored(self, site: str, wall: float, now: float) -> list[Decided]:
        """A site has its grid back."""
        if self.needs.pop(site, None) is None:
            return []
        self.records[site] = replace(self.records[site], ended=wall)
        self._looked = None
        return [self._say(now, wall, "site_restored", site, f"{site} has its grid back: its cars are given back.")]

    def supplied(self, site: str, seconds: float, served_wh: float, critical_unserved_wh: float, dark: bool) -> None:
        """What a site got since it was last told."""
        record = self.records.get(site)
        if record is not None and record.ended is None:
            self.records[site] = replace(
                record,
                dark_s=record.dark_s + (seconds if dark else 0.0),
                served_wh=record.served_wh + served_wh,
                critical_unserved_wh=record.critical_unserved_wh + critical_unserved_wh,
            )

    def plugged(
        self, vehicle: str | None, site: str, wall: float, now: float, soc_pct: float | None = None
    ) -> tuple[Checked, list[Decided]]:
        """A car was plugged in at a site: the check, and what follows."""
        trip = self._calls.get(vehicle or "")
        checked = check(vehicle, site, wall, soc_pct, self.registry, self.atlas, trip)
        events = [self._say(now, wall, f"arrival_{checked.code}", checked.vehicle or site, checked.text, site=site)]
        car = self.registry.cars.get(checked.vehicle)
        if checked.welcome and car is not None:
            way_wh = trip.way_wh if trip is not None else 0.0
            self.loans[(site, car.vehicle)] = Loan(
                car.vehicle, site, checked.agreement, wall, soc_pct, checked.floor_pct, car.capacity_wh, way_wh
            )
            self.registry.seen(car.vehicle, wall, site, soc_pct, Status.THERE)
            self._calls.pop(car.vehicle, None)
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
            return [self._say(now, wall, "floor_crossed", vehicle, text, site=site)]
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
        self.past.append(loan)
        self.registry.seen(vehicle, wall, site, soc_pct, Status.FREE)
        debt = owed(loan, car)
        text = f"{vehicle} leaves {site}; it gave {loan.taken_wh / 1000:.1f} kWh"
        text += "." if debt.settled else f" and is owed {(debt.charge_wh + debt.bill_wh) / 1000:.1f} kWh, {debt.why}."
        return [self._say(now, wall, "car_left", vehicle, text, site=site, given_wh=round(loan.taken_wh, 1))]

    def paid(self, vehicle: str, wh: float, wall: float, now: float, soc_pct: float | None = None) -> list[Decided]:
        """Energy given back to a car (or paid for) after it left."""
        for index, loan in enumerate(self.past):
            car = self.registry.cars.get(vehicle)
            if loan.vehicle == vehicle and car is not None and not owed(loan, car).settled:
                self.past[index] = replace(loan, paid_wh=loan.paid_wh + wh, left_pct=soc_pct or loan.left_pct)
                left = owed(self.past[index], car)
                text = f"{vehicle} was given back {wh / 1000:.1f} kWh; "
                text += (
                    "nothing is owed any more." if left.settled else f"{left.charge_wh / 1000:.1f} kWh are still owed."
                )
                return [self._say(now, wall, "given_back", vehicle, text, wh=round(wh, 1))]
        return []

    def seen(self, vehicle: str, wall: float, place: str | None, soc_pct: float | None, status: Status | None) -> None:
        """Where a car is and how full, as its operator tells."""
        known = place if place is None or self.atlas.knows(place) else None
        self.registry.seen(vehicle, wall, known, soc_pct, status)

    # what it decides ------------------------------------------------------------------------------------------------

    def look(self, wall: float, now: float) -> list[Decided]:
        """The call-out anew, every few minutes and after every change of a site; answers calls, changes and gaps."""
        if not self.needs or (self._looked is not None and now - self._looked < LOOK_AGAIN_S):
            return []
        self._looked = now
        self.plan = call_out(wall, list(self.needs.values()), self.registry.cars.values(), self.atlas, self.charging)
        first: dict[str, Trip] = {}
        for trip in self.plan.trips:
            car = self.registry.cars[trip.vehicle]
            there = car.status is Status.THERE and car.place == trip.site
            if not there:
                first.setdefault(trip.vehicle, trip)
        events = [event for trip in first.values() for event in self._call(trip, wall, now)]
        for vehicle in [one for one in self._calls if one not in first]:
            old = self._calls.pop(vehicle)
            text = f"{vehicle} is not needed at {old.site} any more."
            events.append(self._say(now, wall, "call_withdrawn", vehicle, text, site=old.site))
        gaps = frozenset((gap.site, gap.lane) for gap in self.plan.gaps)
        for gap in self.plan.gaps:
            if (gap.site, gap.lane) not in self._gaps:
                text = f"{gap.site} cannot be supplied from {rfc3339(gap.start)}: no car can be there in time."
                events.append(self._say(now, wall, "supply_gap", gap.site, text, until=rfc3339(gap.end)))
        self._gaps = gaps
        return events

    def _call(self, trip: Trip, wall: float, now: float) -> list[Decided]:
        old = self._calls.get(trip.vehicle)
        if old is not None and old.site == trip.site and abs(old.arrive_at - trip.arrive_at) < MOVED_S:
            return []
        self._calls[trip.vehicle] = trip
        code = "car_called" if old is None else "call_changed"
        text = (
            f"{trip.vehicle} leaves {trip.start} at {rfc3339(trip.leave_at)}, is at {trip.site} by "
            f"{rfc3339(trip.arrive_at)} and supplies it for {trip.hours:.1f} h."
        )
        data = {
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
        return frozenset(vehicle for vehicle, trip in self._calls.items() if trip.start == site and trip.site != site)

    def is_called(self, vehicle: str) -> bool:
        """Whether this car is on its way to somewhere."""
        return vehicle in self._calls

    def arrivals(self, site: str) -> list[dict[str, Any]]:
        """Cars on their way to a site, as its `site/input/arrival` takes them."""
        found = []
        for trip in self._calls.values():
            if trip.site == site:
                car = self.registry.cars[trip.vehicle]
                soc = trip.leaves_pct + 100 * trip.brings_wh / 0.93 / car.capacity_wh
                found.append(
                    {
                        "vehicle": trip.vehicle,
                        "at": rfc3339(trip.arrive_at),
                        "soc_pct": round(min(100.0, max(0.0, soc)), 1),
                        "capacity_wh": car.capacity_wh,
                        "departure": rfc3339(trip.supply_until),
                    }
                )
        return found

    # what it shows --------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """For MQTT and the API: sites in need, calls, cars there, gaps."""
        return {
            "sites": [
                {
                    "site": need.site,
                    "draw_w": need.draw_w,
                    "stored_wh": need.stored_wh,
                    "supplied_until": None
                    if self.plan is None or need.site not in self.plan.supplied_until
                    else rfc3339(self.plan.supplied_until[need.site]),
                }
                for need in self.needs.values()
            ],
            "calls": [
                {
                    "vehicle": one.vehicle,
                    "site": one.site,
                    "agreement": one.agreement,
                    "arrive_at": rfc3339(one.arrive_at),
                }
                | {"leave_at": rfc3339(one.leave_at), "hours": round(one.hours, 2)}
                for one in sorted(self._calls.values(), key=lambda one: one.leave_at)
            ],
            "there": [{"vehicle": vehicle, "site": site} for site, vehicle in sorted(self.loans)],
            "gaps": [
                {"site": gap.site, "start": rfc3339(gap.start), "end": rfc3339(gap.end)}
                for gap in (self.plan.gaps if self.plan is not None else ())
            ],
        }

    def report(self) -> dict[str, Any]:
        """The audit report so far."""
        return report(self.records.values(), self._debts(), self.audit)

    def _debts(self) -> Iterable[tuple[Loan, Owed]]:
        for loan in [*self.past, *self.loans.values()]:
            car: LentCar = self.registry.cars[loan.vehicle]
            yield loan, owed(loan, car)

    def _say(self, now: float, wall: float, code: str, subject: str, text: str, **data: Any) -> Decided:
        self.audit.add(wall, code, subject, text, **data)
        return Decided(now, code, text, subject)
