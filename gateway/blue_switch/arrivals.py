"""Check of a vehicle that was plugged in: is it covered by an agreement, here and now, and down to which floor?

The identity is the vehicle's own (EVCCID, contract id, or an RFID card of the registry). A vehicle that fails the check
may charge like any other, but is not discharged.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.authority.soc_floors import NO_DISCHARGE_PCT, agreement_floor
from gateway.blue_switch.locations import Atlas
from gateway.blue_switch.registry import ProvidedVehicle, VehicleRegistry
from gateway.blue_switch.trips import Trip

LATE_S = 900.0
SHORTFALL_PCT = 10.0  # a state of charge lower than expected by this is reported


class ArrivalCode(StrEnum):
    """Results of the check; kinds of entries of the audit chain."""

    NO_IDENTITY = "arrival_no_identity"
    UNKNOWN_CAR = "arrival_unknown_car"
    NOTHING_TO_GIVE = "arrival_nothing_to_give"
    OTHER_SITE = "arrival_other_site"
    NOT_IN_FORCE = "arrival_not_in_force"
    OUTSIDE_HOURS = "arrival_outside_hours"
    NOT_CALLED = "arrival_not_called"
    CALLED_ELSEWHERE = "arrival_called_elsewhere"
    LATE = "arrival_late"
    LESS_THAN_EXPECTED = "arrival_less_than_expected"
    WELCOME = "arrival_welcome"


@dataclass(frozen=True, slots=True)
class ArrivalCheck:
    """Result of the check. `floor_pct` holds for this vehicle at this site if `accepted`."""

    vehicle: str
    site: str
    accepted: bool
    code: ArrivalCode
    text: str
    floor_pct: float = NO_DISCHARGE_PCT
    until: float = 0.0
    agreement: str = ""


def check_arrival(
    vehicle: str | None,
    site: str,
    wall: float,
    soc_pct: float | None,
    registry: VehicleRegistry,
    atlas: Atlas,
    trip: Trip | None = None,
) -> ArrivalCheck:
    """Check a vehicle that was plugged in. `trip` is its call, None if it was not called."""
    if not vehicle:
        text = "The vehicle has not identified itself, so no agreement can cover it."
        return ArrivalCheck("", site, False, ArrivalCode.NO_IDENTITY, text)
    car = registry.cars.get(vehicle)
    if car is None:
        return ArrivalCheck(
            vehicle, site, False, ArrivalCode.UNKNOWN_CAR, f"No agreement covers the vehicle {vehicle}."
        )
    agreement = car.agreement
    if (refusal := _refusal(car, site, wall)) is not None:
        code, text = refusal
        return ArrivalCheck(vehicle, site, False, code, text, agreement=agreement.id)
    floor = floor_pct(car, site, atlas)
    until = min(agreement.open_until(wall), wall + agreement.longest_stay_s)
    if soc_pct is not None and soc_pct <= floor:
        text = f"{vehicle} arrives with {soc_pct:.0f} % and may not be discharged below {floor:.0f} %."
        return ArrivalCheck(vehicle, site, False, ArrivalCode.NOTHING_TO_GIVE, text, floor, until, agreement.id)
    code, text = _accepted(car, site, wall, soc_pct, floor, trip)
    return ArrivalCheck(vehicle, site, True, code, text, floor, until, agreement.id)


def _refusal(car: ProvidedVehicle, site: str, wall: float) -> tuple[ArrivalCode, str] | None:
    agreement = car.agreement
    if not agreement.provides_to(site):
        return ArrivalCode.OTHER_SITE, f"Agreement {agreement.id} with {agreement.provider} does not cover {site}."
    if not agreement.valid_at(wall):
        return ArrivalCode.NOT_IN_FORCE, f"Agreement {agreement.id} with {agreement.provider} is not in force today."
    if not agreement.open_at(wall):
        return ArrivalCode.OUTSIDE_HOURS, f"Agreement {agreement.id} covers {car.vehicle} at other hours only."
    return None


def _accepted(
    car: ProvidedVehicle, site: str, wall: float, soc_pct: float | None, floor: float, trip: Trip | None
) -> tuple[ArrivalCode, str]:
    vehicle, agreement = car.vehicle, car.agreement
    text = f"{vehicle} of {agreement.provider} may be discharged down to {floor:.0f} %."
    if trip is None:
        return ArrivalCode.NOT_CALLED, f"{vehicle} was not called, but agreement {agreement.id} covers it. {text}"
    if trip.site != site:
        text = f"{vehicle} was called to {trip.site}, but agreement {agreement.id} covers it here."
        return ArrivalCode.CALLED_ELSEWHERE, text
    if wall > trip.arrive_at + LATE_S:
        return ArrivalCode.LATE, f"{vehicle} arrives {(wall - trip.arrive_at) / 60:.0f} min later than expected. {text}"
    if soc_pct is not None and soc_pct < _expected_pct(trip, car) - SHORTFALL_PCT:
        return ArrivalCode.LESS_THAN_EXPECTED, f"{vehicle} arrives with {soc_pct:.0f} %, less than expected. {text}"
    return ArrivalCode.WELCOME, text


def floor_pct(car: ProvidedVehicle, site: str, atlas: Atlas) -> float:
    """Return the floor of this vehicle at this site, which includes its way home."""
    home_wh = atlas.way(site, car.base).energy_wh(car.wh_per_km)
    return agreement_floor(car.agreement.floor_pct, home_wh, car.capacity_wh).pct


def _expected_pct(trip: Trip, car: ProvidedVehicle) -> float:
    return trip.leaves_pct + 100 * trip.brings_wh / car.capacity_wh
