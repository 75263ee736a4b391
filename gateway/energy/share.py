"""Shares a site's target power over its cars and storages.

The law: every share lies in its resource's interval and outside its dead band; the shares add up to the target whenever
some choice of running resources can make it, and never go further from 0 than the target otherwise. Within that: cars
that must charge to leave in time come first, then the order of merit decides who runs (rank, wear, energy, who runs
already), as few as work well, and those who run share by the energy they have, so that they come to their floors
together. O(n log n) over arrays; nothing is remembered but what the caller passes in as `setpoint_w`.

Ramps are `ramp.py`, cars that do not follow are `followers.py`, and each share still passes the order of authority.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.energy.resource import Resource

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

WORKING = 0.9  # of the running resources' power: beyond it another one joins
RESTING = 0.6  # below it the last one rests; the gap between the two is what stops them from taking turns
STICK = 0.10  # how much more energy (of the fleet's best) another must have to take over from one that runs
TAPER_S = (
    60.0  # s that energy above the floor (or below the ceiling) must last: power falls before the floor, not at it
)
SLACK_S = 900.0  # s before departure by which a car wants to be ready
ALIKE_WH = 1000.0  # cars that differ by less get equal parts of a command, and keep them
UNKNOWN_WH = 5000.0  # the weight of a car that does not tell its energy: a small battery half full
TINY_W = 1e-6


@dataclass(frozen=True, slots=True)
class Shares:
    """Who gets what, W, + into the resource. `short_w` is target minus sum: what nobody could take or give."""

    power_w: Mapping[str, float]
    total_w: float
    short_w: float
    must_w: float = 0.0  # of `total_w`: what cars that leave soon must charge


def share(target_w: float, resources: Sequence[Resource], wall: float = 0.0) -> Shares:
    """Share `target_w` (+ into the resources) at Unix time `wall`; 0.0 for those at rest."""
    if not resources:
        return Shares({}, 0.0, target_w)
    fleet = _Fleet(resources, wall)
    must = fleet.must_w()
    rest_w = target_w - float(must.sum())
    power = must + _spread(rest_w, fleet, must) if rest_w >= 0 else _counter(rest_w, fleet, must)
    power = power + 0.0  # no −0.0
    total = float(power.sum())
    names = [one.name for one in resources]
    return Shares(
        dict(zip(names, power.tolist(), strict=True)), total, target_w - total, float(np.maximum(must, 0.0).sum())
    )


def share_command(total_w: float, resources: Sequence[Resource]) -> dict[str, float]:
    """A command's power over those that may take part: each by the energy it has, none for its own departure.

    Who commands a site means all its cars, so nobody rests while another works; equal cars get equal parts.
    """
    if not resources:
        return {}
    fleet = _Fleet(resources, 0.0)
    discharging = total_w < 0
    most = fleet.discharge if discharging else fleet.charge
    least = fleet.min_discharge if discharging else fleet.min_charge
    energy = np.round((fleet.usable if discharging else fleet.room) / ALIKE_WH) * ALIKE_WH
    order = np.lexsort((-energy, fleet.wear, fleet.rank))
    order = order[most[order] > TINY_W]
    out = np.zeros_like(most)
    asked_w = abs(total_w)
    if order.size and asked_w > TINY_W:
        chosen = order
        while chosen.size > 1 and float(least[chosen].sum()) > asked_w + TINY_W:
            chosen = chosen[:-1]  # too little for all to run: those with the least energy rest
        if float(least[chosen].sum()) > asked_w + TINY_W or float(most[chosen].sum()) < asked_w - TINY_W:
            chosen = order if float(least[order].sum()) <= asked_w else _fit(asked_w, least, most, order)
        if chosen.size:
            out[chosen] = _pour(asked_w, least[chosen], most[chosen], np.maximum(energy[chosen], 1.0))
    signed = np.round(-out if discharging else out, 6) + 0.0
    return dict(zip([one.name for one in resources], signed.tolist(), strict=True))


def must_w(resources: Sequence[Resource], wall: float) -> tuple[float, float]:
    """(what cars that leave soon must charge now, what the others could give), W, both ≥ 0."""
    if not resources:
        return 0.0, 0.0
    fleet = _Fleet(resources, wall)
    must = fleet.must_w()
    return float(must.sum()), float(np.where(must > 0, 0.0, fleet.discharge).sum())


class _Fleet:
    """The resources as columns."""

    def __init__(self, resources: Sequence[Resource], wall: float) -> None:
        nan = float("nan")
        table = np.array(
            [
                (
                    one.max_charge_w,
                    one.max_discharge_w,
                    one.min_charge_w,
                    one.min_discharge_w,
                    nan if one.soc_pct is None else one.soc_pct,
                    nan if one.capacity_wh is None else one.capacity_wh,
                    one.floor_pct,
                    one.ceiling_pct,
                    nan if one.wanted_pct is None else one.wanted_pct,
                    nan if one.departure is None else one.departure,
                    nan if one.due is None else one.due,
                    one.must_w,
                    one.charge_efficiency,
                    one.discharge_efficiency,
                    one.wear_per_kwh,
                    one.rank,
                    one.setpoint_w,
                    one.efficient_w,
                )
                for one in resources
            ],
            dtype=np.float64,
        ).T
        charge, discharge, self.min_charge, self.min_discharge, soc, capacity, floor, ceiling, wanted = table[:9]
        departure, due, self.told_w = table[9:12]
        self.eta_charge, self.eta_discharge, self.wear, self.rank, self.setpoint, self.efficient = table[12:]
        known = ~(np.isnan(soc) | np.isnan(capacity))
        wh_per_pct = np.where(known, capacity, 0.0) / 100
        soc = np.where(known, soc, 0.0)
        self.usable = np.where(known, np.maximum(soc - floor, 0.0) * wh_per_pct * self.eta_discharge, UNKNOWN_WH)
        self.room = np.where(known, np.maximum(ceiling - soc, 0.0) * wh_per_pct / self.eta_charge, UNKNOWN_WH)
        self.discharge = np.minimum(discharge, np.where(known, self.usable * 3600 / TAPER_S, discharge))
        self.charge = np.minimum(charge, np.where(known, self.room * 3600 / TAPER_S, charge))
        self.discharge = np.where(self.discharge < np.maximum(self.min_discharge, TINY_W), 0.0, self.discharge)
        self.charge = np.where(self.charge < np.maximum(self.min_charge, TINY_W), 0.0, self.charge)
        missing = np.where(known, np.nan_to_num(np.minimum(wanted, ceiling) - soc, nan=0.0), 0.0)
        self.wanted = np.maximum(missing, 0.0) * wh_per_pct / self.eta_charge
        soonest = np.fmin(departure, due)
        self.left_s = np.where(np.isnan(soonest), np.inf, soonest - wall)

    def must_w(self) -> Array:
        """What each has to charge now: as it was told, and to be ready `SLACK_S` before it leaves."""
        time_s = np.maximum(self.left_s - SLACK_S, TAPER_S)
        needed = np.where(self.wanted > 0, self.wanted * 3600 / time_s, 0.0)
        full = self.charge > 0
        late = full & (needed >= 0.8 * self.charge) & np.isfinite(self.left_s)
        must = np.where(late, np.minimum(self.charge, np.maximum(needed, self.min_charge)), 0.0)
        told = np.where(self.told_w > 0, np.minimum(self.charge, np.maximum(self.told_w, self.min_charge)), 0.0)
        return np.maximum(must, told)


def _spread(power_w: float, fleet: _Fleet, must: Array) -> Array:
    """Charge `power_w` ≥ 0 on top of `must`."""
    if power_w <= TINY_W:
        return np.zeros_like(must)
    most = np.maximum(fleet.charge - must, 0.0)
    least = np.where(must > 0, 0.0, fleet.min_charge)
    hours = np.clip(fleet.left_s / 3600, 0.25, 24.0)
    weight = np.maximum(fleet.room + 4 * fleet.wanted * (24.0 / hours), 1.0)  # who leaves soon and lacks much gets most
    weight = weight * 1000.0 ** np.clip(fleet.rank.max() - fleet.rank, 0, 3)  # a lower rank is filled before the next
    running = (fleet.setpoint > TINY_W) | (must > 0)
    order = _merit(fleet, fleet.room, running, np.zeros_like(weight))
    return _fill(power_w, least, most, weight, order, running, fleet.efficient)


def _counter(rest_w: float, fleet: _Fleet, must: Array) -> Array:
    """The must-charge of some, and the others discharge for it and for the target; the must gives way."""
    wanted_w = -rest_w
    free = must <= 0
    most = np.where(free, fleet.discharge, 0.0)
    running = fleet.setpoint < -TINY_W
    order = _merit(fleet, fleet.usable, running, fleet.wear)
    out = _fill(wanted_w, fleet.min_discharge, most, fleet.usable, order, running, fleet.efficient)
    short_w = wanted_w - float(out.sum())
    total_must = float(must.sum())
    if short_w <= TINY_W or total_must <= 0:
        return must - out
    if short_w < total_must:  # they charge less, those with the most left over first to zero
        keep = _fill(
            total_must - short_w,
            fleet.min_charge,
            must,
            must,
            np.argsort(-must, kind="stable"),
            must > 0,
            fleet.efficient,
        )
        return keep - out if keep.sum() <= total_must - short_w + TINY_W else -out
    target_w = wanted_w - total_must  # nobody charges, everybody may discharge
    return 0.0 - _fill(target_w, fleet.min_discharge, fleet.discharge, fleet.usable, order, running, fleet.efficient)


def _merit(fleet: _Fleet, energy: Array, running: Mask, wear: Array) -> NDArray[np.intp]:
    """Who comes first: rank, then wear, then energy with a bonus for who runs already."""
    best = float(energy.max(initial=0.0)) or 1.0
    score = energy / best + np.where(running, STICK, 0.0)
    return np.lexsort((-score, wear, fleet.rank))


def _fill(
    power_w: float, least: Array, most: Array, weight: Array, order: NDArray[np.intp], running: Mask, efficient: Array
) -> Array:
    """Magnitudes that add up to `power_w` (≥ 0) where that is possible, each 0 or in [least, most]."""
    out = np.zeros_like(most)
    order = order[most[order] > TINY_W]
    if power_w <= TINY_W or not order.size:
        return out
    chosen = _choose(power_w, least, most, order, running, efficient)
    if chosen.size:
        out[chosen] = _pour(power_w, least[chosen], most[chosen], np.maximum(weight[chosen], 1.0))
    return out


def _choose(
    power_w: float, least: Array, most: Array, order: NDArray[np.intp], running: Mask, efficient: Array
) -> NDArray[np.intp]:
    """Who runs: as few in order of merit as work well, with those that run already, as dead bands allow."""
    works = np.where(
        efficient[order] > 0, np.minimum(np.maximum(efficient[order], least[order]), most[order]), WORKING * most[order]
    )
    at_most = np.cumsum(most[order])
    good = np.cumsum(works)
    fewest = int(np.searchsorted(good, power_w - TINY_W)) + 1
    many = int(np.searchsorted(good * (RESTING / WORKING), power_w - TINY_W)) + 1
    now = int(np.count_nonzero(running[order]))
    count = min(max(now, fewest), max(fewest, many), order.size)
    chosen = order[:count]
    low, high = float(least[chosen].sum()), float(at_most[count - 1])
    if low <= power_w + TINY_W and (high >= power_w - TINY_W or count == order.size):
        return chosen
    return _fit(power_w, least, most, order)


def _fit(power_w: float, least: Array, most: Array, order: NDArray[np.intp]) -> NDArray[np.intp]:
    """A choice whose dead bands leave room for `power_w`; the one that comes nearest from below where none does.

    Greedy by merit, then from each of the first few, which mends the cases in which the best one blocks the rest.
    """
    best: NDArray[np.intp] = order[:0]
    best_w = -1.0
    orders = [order, order[np.argsort(least[order], kind="stable")], order[np.argsort(-most[order], kind="stable")]]
    for one in [*orders, *(np.concatenate((order[skip:], order[:skip])) for skip in range(1, min(order.size, 8)))]:
        chosen, low, high = [], 0.0, 0.0
        for index in one.tolist():
            if low + least[index] > power_w + TINY_W:
                continue
            chosen.append(index)
            low += float(least[index])
            high += float(most[index])
            if high >= power_w - TINY_W:
                return np.array(chosen, dtype=np.intp)
        if high > best_w:
            best, best_w = np.array(chosen, dtype=np.intp), high
    return best


def _pour(power_w: float, least: Array, most: Array, weight: Array) -> Array:
    """clip(level · weight, least, most), with the level at which it adds up to `power_w` or comes nearest."""
    if power_w >= float(most.sum()):
        return most.copy()
    if power_w <= float(least.sum()):
        return least.copy()
    opens, closes = least / weight, most / weight
    level = np.concatenate((opens, closes))
    slope = np.concatenate((weight, -weight))
    order = np.argsort(level, kind="stable")
    level, slope = level[order], np.cumsum(slope[order])
    reached = float(least.sum()) + np.concatenate(([0.0], np.cumsum(slope[:-1] * np.diff(level))))
    at = int(np.searchsorted(reached, power_w, side="right")) - 1
    more = (power_w - float(reached[at])) / float(slope[at]) if slope[at] > 0 else 0.0
    poured: Array = np.clip((level[at] + more) * weight, least, most)
    return poured
