"""Limits of one EVSE: the bounds of every layer of the control hierarchy, and the commands that are refused. Pure.

`layers` collects the bounds, `priority.decide` narrows them to one power. The hardware comes first: what station and
vehicle can do, with the dead band of both, and the vehicle's own needs. A charger of ISO 15118-20 applies those needs
to every set-point, and silently: it accepts the set-point and does not discharge. The gateway applies them first, with
a margin, and gives the commander the reason. Sources: EVMinimumEnergyRequest > 0 requests charging before anything
else; EVTargetEnergyRequest is the energy missing until DepartureTime (ISO 15118-20; OCPP 2.1 V2XChargingParameters and
EVChargingNeeds).
"""

from __future__ import annotations

import math
from dataclasses import field
from datetime import UTC, datetime
from functools import lru_cache

from gateway.authority.priority import Bound, DeadBand, Decision, same_direction
from gateway.authority.soc_floors import NO_FLOOR, Floor, below_v2x_window, floor_bound, taper_bound
from gateway.model.command import POWER_VERBS, Verb
from gateway.model.event import PlugState, PowerLimits
from gateway.model.evse import Evse
from gateway.model.message import rfc3339
from gateway.model.reason import Code, Reason, because
from gateway.model.result import Layer
from gateway.model.site import Grid, Site, SitePolicy
from protocols.frozen import frozen

KEPT = 4096  # bounds of so many different states of stations and vehicles
CHARGE_MARGIN = 0.85  # of the full charge power, for the time needed to charge
REFUSED = frozenset(
    {
        Code.OFFLINE,
        Code.NO_SESSION,
        Code.FAULT,
        Code.CHARGING_ONLY,
        Code.BELOW_FLOOR,
        Code.SOC_UNKNOWN,
        Code.OUTSIDE_V2X_WINDOW,
        Code.BELOW_CAR_MINIMUM,
        Code.NEEDED_FOR_DEPARTURE,
        Code.EMERGENCY_STOP,
        Code.GRID_LOST,
        Code.ISLAND,
        Code.INPUT_STALE,
    }
)
LASTING = REFUSED - {Code.INPUT_STALE}  # causes of 0 W that do not pass within the time of a command, or are events
HELD = (
    "To supply the building without the grid, send `backup` with action `enter` (and `leave` when the grid is back), or"
    " a `mode` other than `manual`."
)


@frozen
class PowerRequest:
    """Power that the command in force requests, W, + charge."""

    power_w: float
    min_soc_pct: float | None = None


@frozen
class Situation:
    """Everything that decides about one EVSE now.

    `site_bounds` come from `gateway.authority.site_limits`, `floor` and `floor_reached` from `soc_floors`.
    """

    evse: Evse
    site: Site
    now: float
    site_bounds: tuple[Bound, ...] = ()
    request: PowerRequest | None = None
    floor: Floor = NO_FLOOR
    floor_reached: bool = False
    optimiser: Bound | None = None
    extra: tuple[Bound, ...] = field(default=())  # bounds of energy management above any command
    wall: float | None = None  # Unix time, for the departure


def layers(situation: Situation) -> tuple[list[Bound], DeadBand]:
    """Return the bounds of all layers, highest first, and the dead band of the hardware."""
    evse, site = situation.evse, situation.site
    # in an island the departure does not end supply; the charger may still refuse by itself
    bounds = [*hardware_bounds(evse), *own_needs(evse, None if site.islanded else situation.wall)]
    if site.emergency_stop is not None or site.supply_held:
        text = "The site's emergency stop is active until it is released."
        if site.emergency_stop is None:
            text = f"The emergency stop was released without a grid, and no command has followed. {HELD}"
        bounds.append(Bound(Layer.EMERGENCY_STOP, 0.0, 0.0, Code.EMERGENCY_STOP, text))
    bounds += loss_of_mains(site, situation.now)
    bounds += situation.extra
    bounds += situation.site_bounds
    floor = floor_bound(evse, site, situation.floor, reached=situation.floor_reached)
    floor = floor or taper_bound(evse, site.policy, situation.floor)
    if floor is not None:
        bounds.append(floor)
    if situation.request is not None:
        power_w = situation.request.power_w
        text = f"The command requests {power_w:.0f} W."
        bounds.append(Bound(Layer.COMMAND, power_w, power_w, Code.GRANTED, text))
    optimiser = situation.optimiser or idle_bound(site.policy)
    if optimiser is not None and (site.islanded or not site.at_rest):
        bounds.append(optimiser)
    return bounds, dead_band(evse)


def idle_bound(policy: SitePolicy) -> Bound | None:
    """Return the charging power of a vehicle without a command (`site.idle_power_w`), None where that is 0 W."""
    power_w = policy.idle_power_w
    if power_w <= 0:
        return None
    text = f"No command is in force; the site lets vehicles charge with {power_w:.0f} W."
    return Bound(Layer.OPTIMISER, power_w, power_w, Code.IDLE, text)


# hardware -------------------------------------------------------------------------------------------------------------


def hardware_bounds(evse: Evse) -> list[Bound]:
    """Return the bounds of the station and of the vehicle, in this order."""
    in_session = evse.session is not None
    station = _station(evse.connected, in_session, evse.fault, evse.can_discharge, evse.why_not, evse.limits)
    needs = evse.needs
    if needs is not None:
        return [*station, *_vehicle(needs.limits, needs.bidirectional, needs.energy_transfer)]
    return [*station, UNSTATED] if in_session else [*station]


def hardware_power(evse: Evse) -> tuple[float, float]:
    """Return (charge, discharge) that station, vehicle and V2X window leave, magnitudes in W.

    A direction without any limit counts as 0 W: a power that is not stated cannot be scheduled.
    """
    low_w, high_w = -math.inf, math.inf
    for bound in hardware_bounds(evse):
        low_w, high_w = max(low_w, bound.low_w), min(high_w, bound.high_w)
    charge_w = high_w if math.isfinite(high_w) else 0.0
    return max(0.0, charge_w), 0.0 if below_v2x_window(evse) else max(0.0, -low_w)


def stated_discharge_w(evse: Evse) -> float:
    """Return what the station could discharge by its ratings, whether or not it takes an order; W, a magnitude.

    A charger that states no discharge power and yet discharges counts as one that can give what it can take.
    """
    limits = evse.limits
    return 0.0 if limits is None else max(0.0, limits.max_discharge_w or limits.max_charge_w)


def dead_band(evse: Evse) -> DeadBand:
    """Return the larger dead band of station and vehicle, for each direction."""
    return _dead_band(evse.limits, evse.needs.limits if evse.needs else None)


@lru_cache(maxsize=KEPT)
def _dead_band(station: PowerLimits | None, vehicle: PowerLimits | None) -> DeadBand:
    stated = [limits for limits in (station, vehicle) if limits is not None]
    return DeadBand(
        max((limits.min_discharge_w for limits in stated), default=0.0),
        max((limits.min_charge_w for limits in stated), default=0.0),
    )


UNSTATED = Bound(
    Layer.VEHICLE,
    low_w=0.0,
    code=Code.CHARGING_ONLY,
    text="The vehicle has not stated its limits, so it is not discharged.",
)


@lru_cache(maxsize=KEPT)  # decided on each second, and changed with a session only
def _station(
    connected: bool, in_session: bool, fault: str | None, can_discharge: bool, why_not: str, limits: PowerLimits | None
) -> tuple[Bound, ...]:
    bounds = []
    if not connected:
        bounds.append(Bound(Layer.STATION, 0.0, 0.0, Code.OFFLINE, "The station is not connected."))
    elif not in_session:
        bounds.append(Bound(Layer.STATION, 0.0, 0.0, Code.NO_SESSION, "No vehicle is in a session at this EVSE."))
    if fault is not None:
        bounds.append(Bound(Layer.STATION, 0.0, 0.0, Code.FAULT, f"The station reports a fault: {fault}."))
    if not can_discharge:
        why = why_not or "The station cannot discharge a vehicle."
        bounds.append(Bound(Layer.STATION, low_w=0.0, code=Code.CHARGING_ONLY, text=why))
    if limits is not None:
        discharge_w, charge_w = limits.max_discharge_w if can_discharge else 0.0, limits.max_charge_w
        text = f"The station supports {discharge_w:.0f} W of discharge and {charge_w:.0f} W of charge."
        bounds.append(Bound(Layer.STATION, 0.0 - discharge_w, max(0.0, charge_w), Code.STATION_LIMIT, text))
    return tuple(bounds)


@lru_cache(maxsize=KEPT)
def _vehicle(limits: PowerLimits, bidirectional: bool, energy_transfer: str) -> tuple[Bound, Bound]:
    discharge_w = max(0.0, limits.max_discharge_w) if bidirectional else 0.0
    charge_w = max(0.0, limits.max_charge_w)
    code = Code.VEHICLE_LIMIT if bidirectional else Code.CHARGING_ONLY
    text = f"The vehicle allows {discharge_w:.0f} W of discharge."
    if not bidirectional:
        text = f"The vehicle is in a session that can only charge ({energy_transfer})."
    allows = f"The vehicle allows {charge_w:.0f} W of charge."
    return (
        Bound(Layer.VEHICLE, low_w=0.0 - discharge_w, code=code, text=text),
        Bound(Layer.VEHICLE, high_w=charge_w, code=Code.VEHICLE_LIMIT, text=allows),
    )


# loss of mains --------------------------------------------------------------------------------------------------------


def loss_of_mains(site: Site, now: float) -> list[Bound]:
    """Return the bounds without a grid and outside an island: no infeed, and no load where the loss is known."""
    if site.islanded:
        return []
    last, fresh = site.last_grid, site.inputs.fresh(Grid, now) is not None
    if last is None or (fresh and last.present):
        return []
    if last.present:
        text = "The input grid is stale, so nothing is fed into the grid."
        return [Bound(Layer.GRID_CODE, low_w=0.0, code=Code.INPUT_STALE, text=text)]
    if fresh and last.dead:
        text = "The grid is reported as present, but measured without voltage, so no power flows."
        return [zero_bound(text)]
    if fresh:
        return [zero_bound("The grid is lost and the site is not in island operation, so no power flows.")]
    text = f"The grid was lost at {rfc3339(last.at)} and has not been reported since, so no power flows."
    return [zero_bound(text)]


def zero_bound(text: str) -> Bound:
    """Return the bound of every EVSE while no power may flow at the site, such as before an island starts."""
    return Bound(Layer.GRID_CODE, 0.0, 0.0, Code.GRID_LOST, text)


# needs of the vehicle -------------------------------------------------------------------------------------------------


def own_needs(evse: Evse, wall: float | None) -> list[Bound]:
    """Return the bounds: no discharge while the vehicle needs its energy. `wall` is Unix time, None: no departure."""
    needs = evse.needs
    found: list[Bound] = []
    if needs is None:
        return found
    if evse.min_energy_wh is not None and evse.min_energy_wh > 0:
        text = f"The vehicle is {evse.min_energy_wh:.0f} Wh below its driver's minimum, so it is not discharged."
        found.append(Bound(Layer.VEHICLE, low_w=0.0, code=Code.BELOW_CAR_MINIMUM, text=text))
    if wall is not None and needs.departure is not None and wall >= _charge_start(evse):
        departure = datetime.fromtimestamp(needs.departure, UTC).strftime("%H:%MZ")
        text = (
            f"The vehicle leaves at {departure} and still needs {evse.target_energy_wh or 0.0:.0f} Wh: "
            "the time until then is needed for charging."
        )
        found.append(Bound(Layer.VEHICLE, low_w=0.0, code=Code.NEEDED_FOR_DEPARTURE, text=text))
    return found


def charges_in_s(evse: Evse, wall: float) -> float:
    """Return the seconds until the vehicle needs its time for charging; 0.0 if it does already, infinite if never."""
    return max(0.0, _charge_start(evse) - wall)


def _charge_start(evse: Evse) -> float:
    """Return the Unix time from which the vehicle must charge without interruption."""
    needs, missing_wh = evse.needs, evse.target_energy_wh or 0.0
    if needs is None or needs.departure is None or missing_wh <= 0:
        return math.inf
    charge_w = min(needs.limits.max_charge_w, evse.limits.max_charge_w if evse.limits else math.inf)
    if charge_w <= 0:
        return -math.inf  # discharged energy could not be charged again
    return needs.departure - missing_wh * 3600 / (CHARGE_MARGIN * charge_w)


# commands that are refused --------------------------------------------------------------------------------------------


def cannot_reach(evse: Evse, verb: Verb) -> Reason | None:
    """Return why a command that sets power cannot be carried out at this EVSE at all: offline, unplugged, in fault."""
    if verb not in POWER_VERBS:
        return None
    if not evse.connected:
        return because(Code.OFFLINE, f"The station of {evse.name} is not connected.")
    if verb is Verb.STOP:
        return None  # a stop is never refused because of a state that may be outdated
    if (fault := evse.fault) is not None:
        return because(Code.FAULT, f"{evse.name} is in fault: {fault}.")
    if evse.session is None:
        if evse.plug is PlugState.OCCUPIED:
            return because(Code.NO_SESSION, f"A vehicle is plugged in at {evse.name}, but it has no session yet.")
        return because(Code.UNPLUGGED, f"No vehicle is plugged in at {evse.name}.")
    return None


def nothing_left(requested_w: float, decision: Decision) -> Reason | None:
    """Return why a command gets nothing of the power requested: then it is refused rather than clamped to 0 W."""
    if requested_w == 0 or same_direction(requested_w, decision.power_w):
        return None
    if decision.code in REFUSED or decision.power_w == 0:
        return because(decision.code, decision.text)
    return None
