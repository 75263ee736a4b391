"""Sharing of the site's target power over vehicles and storages.

Every share lies in its resource's interval and outside its dead band; the shares add up to the target whenever some
choice of running resources can reach it, and never go further from 0 than the target otherwise. Within that: vehicles
that must charge for their departure come first, then the order of merit selects (rank, degradation cost, energy,
already running), as few as suffice, and those that run share by their energy, so that they reach their floors
together. O(n log n) over arrays; the only state is the caller's `setpoint_w`.

Each share still passes the control hierarchy. Ramps are in `authority/ramp.py`, vehicles that do not follow in
`tracking_supervision.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from gateway.authority.soc_floors import TAPER_S, UNKNOWN_ENERGY_WH, taper_w
from gateway.energy.resource import Resource

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

WORKING = 0.9  # of the running resources' power: above it another one is added
RESTING = 0.6  # below it the last one is removed; the gap between the two prevents alternation
STICK = 0.10  # energy (of the fleet's highest) that another must have more to replace a running one
LATE = 0.8  # of the charge power: a vehicle that needs more until then charges at once
SLACK_S = 900.0  # before the departure: a vehicle is to be charged by then
ALIKE_WH = 1000.0  # vehicles that differ by less get equal shares of a command, and keep them
TINY_W = 1e-6
TRIED = 8  # resources that are tried as the first one


COLUMNS = (
    *("max_discharge_w", "max_charge_w", "min_discharge_w", "min_charge_w", "soc_pct", "capacity_wh", "floor_pct"),
    *("ceiling_pct", "wanted_pct", "departure", "due", "must_w", "charge_efficiency", "discharge_efficiency"),
    *("degradation_per_kwh", "rank", "setpoint_w"),
)
_columns = attrgetter(*COLUMNS)


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares in W, + charge. `short_w`: target minus sum, which no resource can provide."""

    power_w: Mapping[str, float]
    total_w: float
    short_w: float


def share(target_w: float, resources: Sequence[Resource], wall: float = 0.0) -> Shares:
    """Return the shares of `target_w` (+ charge) at Unix time `wall`; 0.0 for resources at rest."""
    return share_fleet(target_w, Fleet(resources, wall))


def share_fleet(target_w: float, fleet: Fleet) -> Shares:
    """Return the shares of `target_w` (+ charge) of a fleet; 0.0 for resources at rest."""
    if not fleet.resources:
        return Shares({}, 0.0, target_w)
    rest_w = target_w - fleet.must_w
    power = fleet.must + _spread(rest_w, fleet) if rest_w >= 0 else _counter(rest_w, fleet)
    total = float(power.sum())
    return Shares(fleet.by_name(power), total, target_w - total)


def share_command(total_w: float, resources: Sequence[Resource]) -> dict[str, float]:
    """Return the shares of a command to the site: each by its energy, without regard to its departure.

    All vehicles take part; equal ones get equal shares.
    """
    if not resources:
        return {}
    fleet = Fleet(resources)
    discharging = total_w < 0
    most = fleet.discharge if discharging else fleet.charge
    least = fleet.min_discharge if discharging else fleet.min_charge
    energy = np.round((fleet.usable if discharging else fleet.free) / ALIKE_WH) * ALIKE_WH
    order = np.lexsort((-energy, fleet.degradation, fleet.rank))
    order = order[most[order] > TINY_W]
    out = np.zeros_like(most)
    requested_w = abs(total_w)
    chosen = order
    while float(least[chosen].sum()) > requested_w + TINY_W:
        chosen = chosen[:-1]  # too little for all dead bands: those with the least energy rest
    if float(most[chosen].sum()) < requested_w - TINY_W:
        chosen = _fit(requested_w, least, most, order)
    out[chosen] = _pour(requested_w, least[chosen], most[chosen], np.maximum(energy[chosen], 1.0))
    signed = np.round(-out if discharging else out, 6) + 0.0
    return fleet.by_name(signed)


class Fleet:
    """Resources of one moment as columns.

    `must`: the charge that each needs now, as handed out, and to be charged `SLACK_S` before its departure; `must_w`:
    its sum. `able_w`: discharge possible by the others.
    """

    def __init__(self, resources: Sequence[Resource], wall: float = 0.0) -> None:
        self.resources = resources
        values = chain.from_iterable(map(_columns, resources))
        table = np.fromiter(values, np.float64, len(resources) * len(COLUMNS))  # None is NaN
        table = table.reshape(-1, len(COLUMNS)).T.copy()
        most, least = table[:2], table[2:4]  # a row for discharge, one for charge
        soc, capacity, floor, ceiling, wanted, departure, due, handed_out_w, eta_charge, eta_discharge = table[4:14]
        self.degradation, self.rank, self.setpoint = table[14:]
        known = ~np.isnan(soc + capacity)
        wh_per_pct = capacity / 100
        energy = np.array(((soc - floor) * wh_per_pct * eta_discharge, (ceiling - soc) * wh_per_pct / eta_charge))
        energy = np.where(known, np.maximum(energy, 0.0), UNKNOWN_ENERGY_WH)
        power = np.minimum(most, np.where(known, taper_w(energy), np.inf))
        self.min_discharge, self.min_charge = least
        self.usable, self.free = energy
        self.discharge, self.charge = np.where(power < np.maximum(least, TINY_W), 0.0, power)
        self.wanted = np.fmax((np.minimum(wanted, ceiling) - soc) * wh_per_pct / eta_charge, 0.0)
        self.left_s = np.fmin(np.fmin(departure, due) - wall, np.inf)
        time_s = np.maximum(self.left_s - SLACK_S, TAPER_S)
        needed = self.wanted * 3600 / time_s
        needed = np.maximum(np.where(needed >= LATE * self.charge, needed, 0.0), handed_out_w)
        self.must = np.where(needed > 0, np.minimum(self.charge, np.maximum(needed, self.min_charge)), 0.0)
        self.must_w = float(self.must.sum())
        self.able_w = float(self.discharge[self.must <= 0].sum())

    def by_name(self, power: Array) -> dict[str, float]:
        """Return a column by the names of the resources."""
        return dict(zip([one.name for one in self.resources], power.tolist(), strict=True))


def _spread(power_w: float, fleet: Fleet) -> Array:
    """Return the charge of `power_w` ≥ 0 on top of what must be charged."""
    must = fleet.must
    most = np.maximum(fleet.charge - must, 0.0)
    least = np.where(must > 0, 0.0, fleet.min_charge)
    hours = np.minimum(np.maximum(fleet.left_s / 3600, 0.25), 24.0)
    # an early departure and much missing energy get most
    weight = np.maximum(fleet.free + 4 * fleet.wanted * (24.0 / hours), 1.0)
    weight = weight * 1000.0 ** np.minimum(fleet.rank.max() - fleet.rank, 3)  # a lower rank is charged before the next
    running = (fleet.setpoint > TINY_W) | (must > 0)
    order = _merit(fleet, fleet.free, running, np.zeros_like(weight))
    return _fill(power_w, least, most, weight, order, running)


def _counter(rest_w: float, fleet: Fleet) -> Array:
    """Return the required charge of some and the discharge of the others for it and the target, which has priority."""
    must, wanted_w = fleet.must, -rest_w
    most = np.where(must <= 0, fleet.discharge, 0.0)
    running = fleet.setpoint < -TINY_W
    order = _merit(fleet, fleet.usable, running, fleet.degradation)
    out = _fill(wanted_w, fleet.min_discharge, most, fleet.usable, order, running)
    short_w = wanted_w - float(out.sum())
    if short_w <= TINY_W:
        return must - out
    target_w = fleet.must_w - wanted_w
    plain = _plain(target_w, fleet)
    if short_w >= fleet.must_w:
        return plain  # no charge, all may discharge
    less = _fill(fleet.must_w - short_w, fleet.min_charge, must, must, _ascending(-must), must > 0)
    # dead bands may leave less charge than that: then the others discharge less too
    lowered = less - _fill(float(less.sum()) - target_w, fleet.min_discharge, most, fleet.usable, order, running)
    return min(lowered, plain, key=lambda power: round(abs(float(power.sum()) - target_w), 3))


def _plain(target_w: float, fleet: Fleet) -> Array:
    """Return the target spread over all, without regard to what some must charge."""
    discharging = target_w < 0
    running = fleet.setpoint < -TINY_W if discharging else fleet.setpoint > TINY_W
    if discharging:
        order = _merit(fleet, fleet.usable, running, fleet.degradation)
        return 0.0 - _fill(-target_w, fleet.min_discharge, fleet.discharge, fleet.usable, order, running)
    order = _merit(fleet, fleet.free, running, np.zeros_like(fleet.charge))
    return _fill(target_w, fleet.min_charge, fleet.charge, fleet.free, order, running)


def _merit(fleet: Fleet, energy: Array, running: Mask, degradation: Array) -> NDArray[np.intp]:
    """Return the order of merit: rank, then degradation cost, then energy with a bonus for running resources."""
    best = float(energy.max()) or 1.0
    score = energy / best + np.where(running, STICK, 0.0)
    return np.lexsort((-score, degradation, fleet.rank))


def _fill(power_w: float, least: Array, most: Array, weight: Array, order: NDArray[np.intp], running: Mask) -> Array:
    """Return magnitudes that add up to `power_w` (≥ 0) where possible, each 0 or in [least, most]."""
    out = np.zeros(most.size)
    order = order[most[order] > TINY_W]
    if power_w <= TINY_W:
        return out
    chosen = _choose(power_w, least, most, order, running)
    out[chosen] = _pour(power_w, least[chosen], most[chosen], np.maximum(weight[chosen], 1.0))
    return out


def _choose(power_w: float, least: Array, most: Array, order: NDArray[np.intp], running: Mask) -> NDArray[np.intp]:
    """Return the resources that run: as few in order of merit as suffice, as dead bands allow."""
    good = (WORKING * most[order]).cumsum()
    fewest = int(good.searchsorted(power_w - TINY_W)) + 1
    many = int((good * (RESTING / WORKING)).searchsorted(power_w - TINY_W)) + 1
    now = int(np.count_nonzero(running[order]))
    chosen = order[: min(max(now, fewest), max(fewest, many))]
    return chosen if float(least[chosen].sum()) <= power_w + TINY_W else _fit(power_w, least, most, order)


def _fit(power_w: float, least: Array, most: Array, order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return a choice whose dead bands allow `power_w`; without any, the one that comes nearest from below.

    Greedy by merit, then from each of the first few, for the cases in which the first one blocks the rest.
    """
    by_least, by_most = order[_ascending(least[order])], order[_ascending(-most[order])]
    best = order[:0]
    for one in (order, by_least, by_most, *(np.roll(order, -skip) for skip in range(1, min(order.size, TRIED)))):
        chosen = _greedy(power_w, least, most, one)
        best = chosen if most[chosen].sum() > most[best].sum() else best
        if most[best].sum() >= power_w - TINY_W:
            break
    return best


def _ascending(values: Array) -> NDArray[np.intp]:
    """Return the order from the least to the most; equal ones stay as they are, so that shares do not alternate."""
    return values.argsort(kind="stable")


def _greedy(power_w: float, least: Array, most: Array, order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return those that run together, in this order, until they reach `power_w`."""
    chosen: list[int] = []
    low_w = high_w = 0.0
    for index in order.tolist():
        if high_w < power_w - TINY_W and low_w + least[index] <= power_w + TINY_W:
            chosen.append(index)
            low_w, high_w = low_w + float(least[index]), high_w + float(most[index])
    return np.array(chosen, dtype=np.intp)


def _pour(power_w: float, least: Array, most: Array, weight: Array) -> Array:
    """Return clip(level · weight, least, most), with the level at which it adds up to `power_w` or comes nearest."""
    least_w = float(least.sum())
    if power_w >= float(most.sum()):
        return most.copy()
    if power_w <= least_w:
        return least.copy()
    opens, closes = least / weight, most / weight
    level = np.concatenate((opens, closes))
    slope = np.concatenate((weight, -weight))
    order = _ascending(level)
    level, slope = level[order], slope[order].cumsum()
    reached = np.zeros(level.size)
    (slope[:-1] * (level[1:] - level[:-1])).cumsum(out=reached[1:])
    reached += least_w
    at = int(reached.searchsorted(power_w)) - 1
    more = (power_w - reached[at]) / max(slope[at], TINY_W)  # at the very end rounding may leave a slope of 0
    poured: Array = np.minimum(np.maximum((level[at] + more) * weight, least), most)
    return poured
