"""The call-out: which cars go where, by when, and for how long each keeps the light on.

Sites go dark at a known moment unless somebody comes. Whoever would be dark first is helped first, by the car that
can be there in time and brings most for its way; a car that has given what it may drives to a place with power,
charges, and can be called again. Each site is a row of lanes, as many as cars are needed at once for its power; a
lane is covered by one car after the other, with the next one plugged in before the last one leaves. What cannot be
covered is said as a gap.

A greedy plan, looked at again every few minutes, not an optimum: in an outage nothing stays as it was planned.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.blue_switch.locations import Atlas
from gateway.blue_switch.registry import ETA, LentCar, Status

SWAP_S = 900.0  # to plug in, check and start, before the one before it leaves
FULL_PCT = 90.0  # charging beyond takes long
CAREFUL = 0.85  # of a car's energy that is counted on: gauges and batteries are optimists, and nobody may be late
LEAST_WH = 1000.0  # a trip for less is not worth its way
MOST_TRIPS = 2000


@dataclass(frozen=True, slots=True)
class SiteNeed:
    """A site without a grid: `stored_wh` is what its own storage has (at the meter, above its floor).

    Cars of the registry that are there already are not in it. `draw_w` is its critical draw.

    `bays` is how many cars it can hold, `connectors` which fit ("" in it: any). `until`: to when it should be supplied.
    """

    site: str
    draw_w: float
    stored_wh: float
    bays: int
    until: float
    connectors: tuple[str, ...] = ()
    priority: int = 0


@dataclass(frozen=True, slots=True)
class ChargePlace:
    """A place that has power: `bays` cars at a time with `power_w` each."""

    place: str
    power_w: float
    bays: int = 4


@dataclass(frozen=True, slots=True)
class Trip:
    """One car to one site. Times are Unix time, energies Wh: `brings_wh` at the site's meter, `way_wh` on the way.

    `call_by`: when the lender has to know. `then`: where it goes afterwards ("" nowhere: it stays).
    """

    vehicle: str
    agreement: str
    site: str
    lane: int
    start: str
    call_by: float
    leave_at: float
    arrive_at: float
    supply_from: float
    supply_until: float
    brings_wh: float
    way_wh: float
    leaves_pct: float
    then: str = ""
    free_from: float = math.inf
    gap_s: float = 0.0

    @property
    def hours(self) -> float:
        """For how long it carries its lane."""
        return (self.supply_until - self.supply_from) / 3600


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a site has less than it needs: nobody can be there."""

    site: str
    lane: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class CallOut:
    """The plan: trips in order of leaving, gaps, and until when each site is fully supplied."""

    wall: float
    trips: tuple[Trip, ...]
    gaps: tuple[Gap, ...]
    supplied_until: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Lane:
    need: SiteNeed
    number: int
    draw_w: float
    covered_until: float
    own: bool = True  # the site's own storage carries it until then


@dataclass(slots=True)
class _Free:
    """A car where and when it can be called again."""

    car: LentCar
    place: str
    energy_wh: float
    since: float
    called: bool = False  # it has been out already, so no notice is needed
    bound: str = ""  # it is plugged in there, or about to leave for it: nowhere else before


def call_out(
    wall: float,
    needs: Sequence[SiteNeed],
    cars: Iterable[LentCar],
    atlas: Atlas,
    charging: Sequence[ChargePlace] = (),
    promised: Mapping[str, str] | None = None,
) -> CallOut:
    """The plan from now. KeyError for a place that the atlas does not know.

    `promised`: by car, the site it is about to leave for. Who is there or promised is not taken away from a site.
    """
    in_need = {need.site for need in needs}

    def bound(car: LentCar) -> str:
        site = car.place if car.status is Status.THERE else (promised or {}).get(car.vehicle, "")
        return site if site in in_need else ""

    free = [
        _Free(car, car.place, car.energy_wh, max(wall, car.free_from), car.status is not Status.FREE, bound(car))
        for car in sorted(cars, key=lambda one: one.vehicle)
        if car.status is not Status.UNAVAILABLE
    ]
    lanes = [lane for need in needs for lane in _lanes(wall, need, free)]
    trips: list[Trip] = []
    gaps: list[Gap] = []
    open_lanes = [lane for lane in lanes if lane.covered_until < lane.need.until]
    while open_lanes and len(trips) < MOST_TRIPS:
        lane = min(open_lanes, key=lambda one: (one.covered_until, one.need.priority, one.need.site, one.number))
        best: tuple[tuple[float, ...], Trip, _Free] | None = None
        for one in free:
            trip = _trip(wall, lane, one, atlas, charging, trips)
            if trip is not None:
                key = _worth(lane, trip, one.car)
                if best is None or key < best[0]:
                    best = (key, trip, one)
        if best is None:
            gaps.append(Gap(lane.need.site, lane.number, lane.covered_until, lane.need.until))
            lane.covered_until = lane.need.until
        else:
            _, trip, one = best
            if trip.supply_from > lane.covered_until + 1:
                gaps.append(Gap(lane.need.site, lane.number, lane.covered_until, trip.supply_from))
            trips.append(trip)
            lane.covered_until, lane.own = trip.supply_until, False
            _move(one, trip, charging)
            if not math.isfinite(one.since):
                free.remove(one)
        open_lanes = [lane for lane in lanes if lane.covered_until < lane.need.until]
    supplied: dict[str, float] = {}
    for lane in lanes:
        first_gap = min((gap.start for gap in gaps if gap.site == lane.need.site), default=lane.need.until)
        supplied[lane.need.site] = min(supplied.get(lane.need.site, math.inf), lane.covered_until, first_gap)
    trips.sort(key=lambda trip: (trip.leave_at, trip.vehicle))
    return CallOut(wall, tuple(trips), tuple(sorted(gaps, key=lambda gap: (gap.start, gap.site))), supplied)


def _lanes(wall: float, need: SiteNeed, free: Sequence[_Free]) -> list[_Lane]:
    """As many as cars are needed at once: by the weakest car that may come, so that any may."""
    powers = [one.car.power_w for one in free if one.car.agreement.lends_to(need.site)]
    each_w = min(powers, default=need.draw_w) or need.draw_w
    count = min(max(1, math.ceil(need.draw_w / max(each_w, 1.0) - 1e-9)), max(1, need.bays))
    until = wall + need.stored_wh / max(need.draw_w, 1.0) * 3600
    return [_Lane(need, number, need.draw_w / count, until) for number in range(count)]


def _trip(
    wall: float, lane: _Lane, one: _Free, atlas: Atlas, charging: Sequence[ChargePlace], trips: Sequence[Trip]
) -> Trip | None:
    """The trip of this car to this lane, if the agreement, its energy and the bays allow it."""
    car, need, agreement = one.car, lane.need, one.car.agreement
    if not agreement.lends_to(need.site) or not math.isfinite(one.since) or one.bound not in ("", need.site):
        return None
    if need.connectors and "" not in need.connectors and car.connector not in need.connectors:
        return None
    way = atlas.way(one.place, need.site)
    notice = 0.0 if one.called else agreement.notice_s
    earliest = max(one.since, wall + notice)
    wanted = lane.covered_until - SWAP_S - way.seconds
    leave_at = max(earliest, wanted)
    opens = agreement.opens_after(leave_at)
    if opens is None or opens > need.until:
        return None
    leave_at = opens
    bay_at = _bay(need, leave_at + way.seconds, lane.covered_until, trips)
    if bay_at is None or bay_at >= need.until:
        return None
    arrive_at, leave_at = bay_at, bay_at - way.seconds
    way_wh = way.energy_wh(car.wh_per_km)
    then, back_wh, back_s = _afterwards(car, need.site, atlas, charging)
    there_wh = one.energy_wh - way_wh
    left_wh = max(car.floor_wh, back_wh)
    brings_wh = (there_wh - left_wh) * ETA * CAREFUL
    plugged = car.status is Status.THERE and one.place == need.site and one.since <= wall
    supply_from = max(lane.covered_until, arrive_at + (0.0 if plugged else SWAP_S))
    closes = min(agreement.open_until(arrive_at), arrive_at + agreement.longest_stay_s) - SWAP_S
    supply_until = min(supply_from + brings_wh / lane.draw_w * 3600, closes, need.until)
    brings_wh = min(brings_wh, (supply_until - supply_from) / 3600 * lane.draw_w)
    if brings_wh < LEAST_WH or supply_until <= supply_from:
        return None
    leaves_wh = there_wh - brings_wh / ETA
    free_from = math.inf
    if then:
        place = next((one_place for one_place in charging if one_place.place == then), None)
        power_w = min(car.charge_w, place.power_w) if place is not None else 0.0
        needs_wh = max(0.0, car.capacity_wh * FULL_PCT / 100 - (leaves_wh - back_wh))
        free_from = supply_until + back_s + (needs_wh / ETA / power_w * 3600 if power_w > 0 else math.inf)
    return Trip(
        car.vehicle,
        agreement.id,
        need.site,
        lane.number,
        one.place,
        leave_at - notice,
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
    )


def _afterwards(car: LentCar, site: str, atlas: Atlas, charging: Sequence[ChargePlace]) -> tuple[str, float, float]:
    """(where it can charge, energy of that way or of the way home, seconds of the way)."""
    home = atlas.way(site, car.base).energy_wh(car.wh_per_km)
    ways = [(atlas.way(site, one.place), one.place) for one in charging if one.bays > 0 and one.place != site]
    if not ways:
        return "", home, 0.0
    way, place = min(ways, key=lambda one: (one[0].seconds, one[1]))
    return place, max(home, way.energy_wh(car.wh_per_km)), way.seconds


def _bay(need: SiteNeed, arrive_at: float, covered_until: float, trips: Sequence[Trip]) -> float | None:
    """When there is a bay for it, at or after its arrival. Bays count from arrival to the end of supply."""
    there = sorted((trip.arrive_at, trip.supply_until) for trip in trips if trip.site == need.site)
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


def _worth(lane: _Lane, trip: Trip, car: LentCar) -> tuple[float, ...]:
    """Less is better: no gap before a short one, the lender's rank, energy for the way, energy at all."""
    lost = trip.way_wh / max(trip.brings_wh, 1.0)
    late_s = max(0.0, trip.supply_from - lane.covered_until)
    return (late_s, float(car.agreement.priority), round(lost, 3), -trip.brings_wh)


def _move(one: _Free, trip: Trip, charging: Sequence[ChargePlace]) -> None:
    one.called, one.bound = True, ""
    one.since = trip.free_from
    if trip.then:
        one.place = trip.then
        one.energy_wh = one.car.capacity_wh * FULL_PCT / 100
