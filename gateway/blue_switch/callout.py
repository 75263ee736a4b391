"""Call-out plan: which vehicle goes to which site, when, and how long it supplies it.

A site without supply has lanes, as many as vehicles are needed at once for its power. A lane is covered by one vehicle
after the other; the next is plugged in before the one before leaves. The lane that runs out first is covered first, by
the vehicle that arrives in time and brings most for its way; a discharged vehicle drives to a place with power, charges
and can be called again. What cannot be covered is a gap. Where there are fewer vehicles than lanes, a vehicle fills the
site's own storage and goes on to the next site, instead of staying until it is discharged. Where no vehicle can charge,
it fills no more than this site's share of the energy of all storages and vehicles: all are supplied equally long.

The plan is greedy, not optimal, and made again every few minutes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.authority.soc_floors import METER_EFFICIENCY, agreement_floor
from gateway.blue_switch.locations import Atlas
from gateway.blue_switch.registry import ProvidedVehicle, Status
from gateway.blue_switch.trips import CallOut, ChargePlace, Gap, SiteNeed, Trip

SWAP_S = 900.0  # to plug in, check and start, before the vehicle before leaves
FULL_PCT = 90.0  # charging beyond takes long
ENERGY_MARGIN = 0.85  # share of a vehicle's energy that is planned with: SoC and capacity are estimates
MIN_TRIP_WH = 1000.0  # least energy that justifies a trip
KEPT = 0.5  # share of it that is enough for a call already made: estimates vary by a percent of SoC
EARLY = 0.5  # share of a storage that may be left when a vehicle comes to fill it
GO_ON_WH = 3000.0  # with this left a vehicle goes on to another site, with less it charges first
MAX_TRIPS = 2000


@dataclass(slots=True)
class _Lane:
    need: SiteNeed
    number: int
    draw_w: float
    covered_until: float

    @property
    def open(self) -> bool:
        return self.covered_until < self.need.until


@dataclass(slots=True)
class _Candidate:
    """A vehicle with the place and time from which it can be called."""

    car: ProvidedVehicle
    place: str
    energy_wh: float
    since: float
    called: bool = False  # already deployed, so no notice is needed
    calls_to: str = ""  # site that it is called to
    bound: str = ""  # plugged in at this site, or about to leave for it: not available to others


def call_out(
    wall: float,
    needs: Sequence[SiteNeed],
    cars: Iterable[ProvidedVehicle],
    atlas: Atlas,
    charging: Sequence[ChargePlace] = (),
    committed: Mapping[str, str] | None = None,
) -> CallOut:
    """Return the plan from now. KeyError for a place that the atlas does not contain.

    `committed`: by vehicle, the site it is about to leave for. Deployed and committed vehicles stay with their site;
    where vehicles are scarce, until they have filled its storage.
    """
    candidates = [
        _Candidate(car, car.place, car.energy_wh, max(wall, car.free_from), car.status is not Status.FREE)
        for car in sorted(cars, key=lambda one: one.vehicle)
        if car.status is not Status.UNAVAILABLE
    ]
    lanes = [lane for need in needs for lane in _lanes(wall, need, candidates)]
    planner = _Planner(wall, atlas, charging, candidates, len(candidates) < len(lanes))
    if planner.scarce:
        planner.level = planner.common_end(lanes)
    staying = {need.site for need in needs if not (planner.scarce and planner.is_filled(need))}
    for one in candidates:
        deployed = one.car.status is Status.DEPLOYED
        one.calls_to = (committed or {}).get(one.car.vehicle, "")
        site = one.place if deployed else one.calls_to
        one.bound = site if site in (staying if deployed else {need.site for need in needs}) else ""
    return planner.plan(lanes)


@dataclass(slots=True)
class _Planner:
    """Covers lanes until none is open."""

    wall: float
    atlas: Atlas
    charging: Sequence[ChargePlace]
    candidates: list[_Candidate]
    scarce: bool = False  # fewer vehicles than lanes
    level: float = math.inf  # until when a vehicle that goes on afterwards supplies a lane at most
    trips: list[Trip] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def common_end(self, lanes: Sequence[_Lane]) -> float:
        """Return until when the energy of all storages and vehicles supplies all lanes, divided equally.

        Of each vehicle the way to the nearest other site is deducted. Infinite where vehicles can charge: what is
        scarce then is their time.
        """
        if not lanes or any(one.bays > 0 for one in self.charging):
            return math.inf
        energy_wh = sum((lane.covered_until - self.wall) / 3600 * lane.draw_w for lane in lanes)
        for one in self.candidates:
            sites = {lane.need.site for lane in lanes if one.car.agreement.provides_to(lane.need.site)}
            usable_wh = [self._usable_wh(one, site) for site in sites - {one.place}]
            energy_wh += max(0.0, max(usable_wh, default=0.0))
        return self.wall + energy_wh / max(sum(lane.draw_w for lane in lanes), 1.0) * 3600

    def is_filled(self, need: SiteNeed) -> bool:
        """Return whether the storage of a site holds nearly what it should when a vehicle goes on."""
        share_wh = (self.level - self.wall) / 3600 * need.draw_w
        return need.store_wh > 0 and min(need.store_wh, share_wh) < need.stored_wh + MIN_TRIP_WH

    def plan(self, lanes: Sequence[_Lane]) -> CallOut:
        while len(self.trips) < MAX_TRIPS and (open_lanes := [lane for lane in lanes if lane.open]):
            lane = min(open_lanes, key=_order)
            self._cover(self._first(lane, open_lanes))
        supplied: dict[str, float] = {}
        for lane in lanes:
            site = lane.need.site
            first_gap = min((gap.start for gap in self.gaps if gap.site == site), default=lane.need.until)
            supplied[site] = min(supplied.get(site, math.inf), lane.covered_until, first_gap)
        self.trips.sort(key=lambda trip: (trip.leave_at, trip.vehicle))
        gaps = tuple(sorted(self.gaps, key=lambda gap: (gap.start, gap.site)))
        return CallOut(self.wall, tuple(self.trips), gaps, supplied)

    def _first(self, lane: _Lane, open_lanes: Sequence[_Lane]) -> _Lane:
        """Return the lane to cover first: where all vehicles are bound to other sites, one of those.

        A vehicle that fills the storage of its site there goes on afterwards.
        """
        if not self.scarce or self._options(lane):
            return lane
        bound = {one.bound for one in self.candidates if one.car.agreement.provides_to(lane.need.site)}
        return min((one for one in open_lanes if one.need.site in bound), key=_order, default=lane)

    def _options(self, lane: _Lane) -> list[tuple[Trip, _Candidate]]:
        return [
            (trip, one)
            for one in self.candidates
            if (trip := (self._trip(lane, one, fills=self.scarce) or self._trip(lane, one))) is not None
        ]

    def _cover(self, lane: _Lane) -> None:
        """Add the best trip to a lane, or a gap until its end."""
        options = self._options(lane)
        if not options:
            self.gaps.append(Gap(lane.need.site, lane.number, lane.covered_until, lane.need.until))
            lane.covered_until = lane.need.until
            return
        trip, one = min(options, key=lambda option: _cost(lane, option[0], option[1].car))
        if trip.supply_from > lane.covered_until + 1:
            self.gaps.append(Gap(lane.need.site, lane.number, lane.covered_until, trip.supply_from))
        self.trips.append(trip)
        lane.covered_until = trip.supply_until
        one.called, one.bound, one.since = True, "", trip.free_from
        if trip.then:
            one.place = trip.then
            one.energy_wh = one.car.capacity_wh * FULL_PCT / 100
        elif trip.fills_until:
            one.place, one.energy_wh = trip.site, one.car.capacity_wh * trip.leaves_pct / 100
        if not math.isfinite(one.since):
            self.candidates.remove(one)

    def _trip(self, lane: _Lane, one: _Candidate, *, fills: bool = False) -> Trip | None:
        """Return the trip of this vehicle to this lane, if agreement, energy and bays allow it.

        `fills`: it fills the site's storage and goes on.
        """
        car, need = one.car, lane.need
        if not _eligible(one, need):
            return None
        way = self.atlas.way(one.place, need.site)
        way_wh = way.energy_wh(car.wh_per_km)
        notice_s = 0.0 if one.called else car.agreement.notice_s
        plugged = car.status is Status.DEPLOYED and one.place == need.site and one.since <= self.wall
        at_once = plugged and not self.is_filled(need)
        early_s = (math.inf if at_once else EARLY * need.store_wh / lane.draw_w * 3600) if fills else 0.0
        leave_at = self._departure(lane, one, way.seconds, notice_s, early_s)
        if leave_at is None:
            return None
        arrive_at = leave_at + way.seconds
        then, back_wh, back_s = self._afterwards(car, need.site)
        there_wh = one.energy_wh - way_wh
        floor_wh = _floor_wh(car, back_wh)
        supply_from = max(lane.covered_until, arrive_at + (0.0 if plugged else SWAP_S))
        brings_wh = self._usable_wh(one, need.site)
        fills_until = 0.0
        if fills:
            begins = max(self.wall, arrive_at + (0.0 if plugged else SWAP_S))
            stay_s, brings_wh = _fill(lane, car, begins, brings_wh, self.level)
            fills_until = begins + stay_s
            if stay_s <= 0:
                return None
        closes = min(car.agreement.open_until(arrive_at), arrive_at + car.agreement.longest_stay_s) - SWAP_S
        supply_until = min(supply_from + brings_wh / lane.draw_w * 3600, closes, need.until)
        brings_wh = min(brings_wh, (supply_until - supply_from) / 3600 * lane.draw_w)
        if brings_wh < self._least_wh(one, need.site, way_wh) or supply_until <= supply_from or fills_until > closes:
            return None
        leaves_wh = there_wh - brings_wh / METER_EFFICIENCY
        free_from = supply_until + back_s + self._charging_s(car, then, leaves_wh - back_wh)
        if fills_until:
            left_wh = (leaves_wh - floor_wh) * METER_EFFICIENCY * ENERGY_MARGIN
            if left_wh >= GO_ON_WH or not then:  # it goes on with what it has
                then, free_from = "", fills_until
            else:
                free_from += fills_until - supply_until
        return Trip(
            car.vehicle,
            car.agreement.id,
            need.site,
            lane.number,
            one.place,
            leave_at - notice_s,
            leave_at,
            arrive_at,
            supply_from,
            supply_until,
            brings_wh,
            way_wh,
            100 * leaves_wh / car.capacity_wh,
            then,
            free_from,
            max(0.0, supply_from - lane.covered_until),
            fills_until,
        )

    def _usable_wh(self, one: _Candidate, site: str) -> float:
        """Return the energy that a vehicle can supply at a site, after its way there; below its floor < 0."""
        there_wh = one.energy_wh - self.atlas.way(one.place, site).energy_wh(one.car.wh_per_km)
        floor_wh = _floor_wh(one.car, self._afterwards(one.car, site)[1])
        return (there_wh - floor_wh) * METER_EFFICIENCY * ENERGY_MARGIN

    def _least_wh(self, one: _Candidate, site: str, way_wh: float) -> float:
        """Return the least energy that justifies a trip; where it is scarce, between two sites what the way uses."""
        goes_on = one.called and math.isfinite(self.level)
        least_wh = max(MIN_TRIP_WH, way_wh * METER_EFFICIENCY if goes_on else 0.0)
        return KEPT * least_wh if one.calls_to == site else least_wh

    def _departure(self, lane: _Lane, one: _Candidate, way_s: float, notice_s: float, early_s: float) -> float | None:
        """Return the departure with which the vehicle arrives in time for a free bay; None before the need ends.

        `early_s`: how much earlier than needed it may arrive.
        """
        need = lane.need
        wanted = max(one.since, self.wall + notice_s, lane.covered_until - SWAP_S - way_s - early_s)
        opens = one.car.agreement.opens_after(wanted)
        if opens is None or opens > need.until:
            return None
        bay_at = _bay(need, opens + way_s, lane.covered_until, self.trips)
        return None if bay_at is None or bay_at >= need.until else bay_at - way_s

    def _afterwards(self, car: ProvidedVehicle, site: str) -> tuple[str, float, float]:
        """Return (next charging place, energy of that way or of the way home, seconds of the way)."""
        home_wh = self.atlas.way(site, car.base).energy_wh(car.wh_per_km)
        ways = [
            (self.atlas.way(site, one.place), one.place) for one in self.charging if one.bays > 0 and one.place != site
        ]
        if not ways:
            return "", home_wh, 0.0
        way, place = min(ways, key=lambda one: (one[0].seconds, one[1]))
        return place, max(home_wh, way.energy_wh(car.wh_per_km)), way.seconds

    def _charging_s(self, car: ProvidedVehicle, place: str, energy_wh: float) -> float:
        """Return how long the vehicle charges at a place until it can be called again; infinite without power."""
        power_w = next((min(car.charge_w, one.power_w) for one in self.charging if one.place == place), 0.0)
        missing_wh = max(0.0, car.capacity_wh * FULL_PCT / 100 - energy_wh)
        return missing_wh / METER_EFFICIENCY / power_w * 3600 if power_w > 0 else math.inf


def _order(lane: _Lane) -> tuple[float, int, str, int]:
    return lane.covered_until, lane.need.priority, lane.need.site, lane.number


def _lanes(wall: float, need: SiteNeed, candidates: Sequence[_Candidate]) -> list[_Lane]:
    """Return as many lanes as vehicles are needed at once, counted by the weakest one that may come."""
    powers = [one.car.power_w for one in candidates if one.car.agreement.provides_to(need.site)]
    each_w = min(powers, default=need.draw_w) or need.draw_w
    count = min(max(1, math.ceil(need.draw_w / max(each_w, 1.0) - 1e-9)), max(1, need.bays))
    until = wall + need.stored_wh / max(need.draw_w, 1.0) * 3600
    return [_Lane(need, number, need.draw_w / count, until) for number in range(count)]


def _eligible(one: _Candidate, need: SiteNeed) -> bool:
    """Return whether agreement, connector and commitments let a vehicle go to a site."""
    fits = not need.connectors or "" in need.connectors or one.car.connector in need.connectors
    free = math.isfinite(one.since) and one.bound in ("", need.site)
    return fits and free and one.car.agreement.provides_to(need.site)


def _bay(need: SiteNeed, arrive_at: float, covered_until: float, trips: Sequence[Trip]) -> float | None:
    """Return when a bay is free, at or after the arrival. A bay is occupied from arrival to the end of supply."""
    there = sorted((trip.arrive_at, trip.there_until) for trip in trips if trip.site == need.site)
    if need.bays <= 0:
        return None
    while True:
        taken = [end for begin, end in there if begin <= arrive_at < end]
        later = [begin for begin, _ in there if arrive_at < begin < max(covered_until, arrive_at) + SWAP_S]
        if len(taken) + len(later) < need.bays or (need.bays == 1 and not taken):
            return arrive_at
        if not taken:
            return None
        arrive_at = min(taken)


def _floor_wh(car: ProvidedVehicle, back_wh: float) -> float:
    return car.capacity_wh * agreement_floor(car.agreement.floor_pct, back_wh, car.capacity_wh).pct / 100


def _fill(
    lane: _Lane, car: ProvidedVehicle, begins: float, brings_wh: float, level: float = math.inf
) -> tuple[float, float]:
    """Return for how long a vehicle fills the storage of a site, s, and the energy that it brings so, Wh.

    It goes on when the storage is full, or lasts until `level` if a trip there is justified so.
    (0, 0) where there is no storage to fill, or a lane of several is to be covered.
    """
    need = lane.need
    spare_w = min(car.power_w, lane.draw_w + need.store_w) - lane.draw_w
    left_wh = max(0.0, lane.covered_until - begins) / 3600 * lane.draw_w
    free_wh = need.store_wh - left_wh
    if lane.draw_w < need.draw_w or spare_w <= 0 or free_wh < MIN_TRIP_WH:
        return 0.0, 0.0
    share_wh = (level - max(begins, lane.covered_until)) / 3600 * lane.draw_w
    if share_wh >= MIN_TRIP_WH:
        brings_wh = min(brings_wh, share_wh)
    power_w = lane.draw_w + spare_w
    stay_s = min(free_wh / spare_w, max(0.0, brings_wh) / power_w) * 3600
    return stay_s, power_w * stay_s / 3600


def _cost(lane: _Lane, trip: Trip, car: ProvidedVehicle) -> tuple[float, ...]:
    """Return the cost of a trip: gap, priority of the agreement, share of energy used on the way, energy brought."""
    lost = trip.way_wh / max(trip.brings_wh, 1.0)
    late_s = max(0.0, trip.supply_from - lane.covered_until)
    return (late_s, float(car.agreement.priority), round(lost, 3), -trip.brings_wh)
