"""A car at the gate: is it the one that was called, may it be used here and now, and down to where?

Identity is the vehicle's own (EVCCID, contract id, or a RFID card that the registry knows). A car that fails the
check is not turned away: it may charge as any other where there is power, but nobody takes energy out of it under an
agreement that does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.blue_switch.callout import Trip
from gateway.blue_switch.locations import Atlas
from gateway.blue_switch.registry import LentCar, Registry

LATE_S = 900.0
LESS_PCT = 10.0  # so much less than expected is worth telling


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict.

    `floor_pct` is the floor for this car at this site if `welcome`; `code` is stable, `text` a sentence.
    """

    vehicle: str
    site: str
    welcome: bool
    code: str
    text: str
    floor_pct: float = 100.0
    until: float = 0.0
    agreement: str = ""


def check(
    vehicle: str | None,
    site: str,
    wall: float,
    soc_pct: float | None,
    registry: Registry,
    atlas: Atlas,
    trip: Trip | None = None,
) -> Checked:
    """Check a car that has just been plugged in. `trip` is the call-out's for this car, None if it was not called."""
    if not vehicle:
        return Checked("", site, False, "no_identity", "The car has not told who it is, so no agreement can cover it.")
    car = registry.cars.get(vehicle)
    if car is None:
        return Checked(vehicle, site, False, "unknown_car", f"No agreement knows the car {vehicle}.")
    agreement = car.agreement
    if not agreement.lends_to(site):
        text = f"Agreement {agreement.id} with {agreement.lender} does not lend cars to {site}."
        return Checked(vehicle, site, False, "other_site", text, agreement=agreement.id)
    if not agreement.valid_at(wall):
        text = f"Agreement {agreement.id} with {agreement.lender} is not in force today."
        return Checked(vehicle, site, False, "not_in_force", text, agreement=agreement.id)
    if not agreement.open_at(wall):
        text = f"Agreement {agreement.id} lends {vehicle} at other hours only."
        return Checked(vehicle, site, False, "outside_hours", text, agreement=agreement.id)
    floor = floor_pct(car, site, atlas)
    until = min(agreement.open_until(wall), wall + agreement.longest_stay_s)
    if soc_pct is not None and soc_pct <= floor:
        text = f"{vehicle} arrives with {soc_pct:.0f} % and may not go below {floor:.0f} %: it has nothing to give."
        return Checked(vehicle, site, False, "nothing_to_give", text, floor, until, agreement.id)
    code, text = "welcome", f"{vehicle} of {agreement.lender} may be used down to {floor:.0f} %."
    if trip is None:
        code, text = "not_called", f"{vehicle} was not called, but agreement {agreement.id} covers it. " + text
    elif trip.site != site:
        code, text = (
            "called_elsewhere",
            f"{vehicle} was called to {trip.site}, but agreement {agreement.id} covers it here.",
        )
    elif wall > trip.arrive_at + LATE_S:
        code, text = "late", f"{vehicle} comes {(wall - trip.arrive_at) / 60:.0f} min after it was expected. " + text
    elif soc_pct is not None and soc_pct < _expected_pct(trip, car) - LESS_PCT:
        code, text = "less_than_expected", f"{vehicle} comes with {soc_pct:.0f} %, less than expected. " + text
    return Checked(vehicle, site, True, code, text, floor, until, agreement.id)


def floor_pct(car: LentCar, site: str, atlas: Atlas) -> float:
    """The floor of this car at this site: the agreement's, or what the way home needs, if that is more."""
    home_wh = atlas.way(site, car.base).energy_wh(car.wh_per_km)
    return min(100.0, max(car.agreement.floor_pct, 100 * home_wh / car.capacity_wh))


def _expected_pct(trip: Trip, car: LentCar) -> float:
    return trip.leaves_pct + 100 * trip.brings_wh / car.capacity_wh
