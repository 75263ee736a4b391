"""Least dark time of a town whose vehicles fill the storage of one shelter after the other.

The optimum is found by exhaustive search over the order of visits, with the same rules of ways, storage and floors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from gateway.blue_switch.callout import SWAP_S

SHELTERS = ("east", "north", "west")


@dataclass(frozen=True)
class Case:
    """A town: hours between its places, storage of each shelter (Wh), load (W), usable energy of each vehicle (Wh)."""

    way_h: float
    stored_wh: tuple[float, float, float]
    draw_w: float
    cars_wh: tuple[float, ...]
    store_wh: float = 10_000.0
    store_w: float = 5000.0
    car_w: float = 7000.0
    horizon_h: float = 8.0
    way_wh: float = 0.0  # of a vehicle's energy, for each way to another place


def least_dark_h(case: Case) -> float:
    """Return the dark hours of the best order of visits. A visit fills the storage, or empties the vehicle."""
    swap_h, spare_w = SWAP_S / 3600, min(case.car_w - case.draw_w, case.store_w)

    @cache
    def best(covered: tuple[float, ...], free: tuple[tuple[float, str, float], ...]) -> float:
        nothing = sum(max(0.0, case.horizon_h - end) for end in covered)
        found = nothing
        for number, (since, place, energy_wh) in enumerate(free):
            if energy_wh < 1000.0 or (number and free[0] == free[number]):
                continue
            for site, end in enumerate(covered):
                there = place == SHELTERS[site]
                arrives, has_wh = since + (0.0 if there else case.way_h) + swap_h, energy_wh - (not there) * case.way_wh
                for begins in {arrives, max(arrives, end - 0.5 * case.store_wh / case.draw_w), max(arrives, end)}:
                    free_wh = case.store_wh - max(0.0, end - begins) * case.draw_w
                    if begins >= case.horizon_h or free_wh < 1000.0 or has_wh < 1000.0:
                        continue
                    stay_h = min(free_wh / spare_w, has_wh / (case.draw_w + spare_w))
                    given_wh = (case.draw_w + spare_w) * stay_h
                    after = round(max(end, begins) + given_wh / case.draw_w, 3)
                    stays = (case.horizon_h, SHELTERS[site], 0.0), round(max(end, begins) + has_wh / case.draw_w, 3)
                    goes_on = (round(begins + stay_h, 3), SHELTERS[site], round(has_wh - given_wh)), after
                    for car, lasts in (goes_on, stays):
                        later = tuple(sorted(car if other == number else one for other, one in enumerate(free)))
                        supplied = tuple(lasts if other == site else one for other, one in enumerate(covered))
                        found = min(found, max(0.0, begins - end) + best(supplied, later))
        return found

    covered = tuple(wh / case.draw_w for wh in case.stored_wh)
    return best(covered, tuple(sorted((0.0, "depot", wh) for wh in case.cars_wh)))
