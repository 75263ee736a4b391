"""Limits of the hardware at one EVSE: what station and vehicle can do, and the dead band of both. Pure."""

from __future__ import annotations

import math

from gateway.authority.priority import Bound, DeadBand, Layer
from gateway.authority.soc_floors import below_v2x_window
from gateway.model.evse import Evse
from gateway.model.reason import Code


def hardware_bounds(evse: Evse) -> list[Bound]:
    """Return the bounds of the station and of the vehicle, in this order."""
    return [*_station(evse), *_vehicle(evse)]


def hardware_power(evse: Evse) -> tuple[float, float]:
    """Return (charge, discharge) that station, vehicle and V2X window leave, magnitudes in W.

    A direction without any limit counts as 0 W: a power that nobody states cannot be scheduled.
    """
    low_w, high_w = -math.inf, math.inf
    for bound in hardware_bounds(evse):
        low_w, high_w = max(low_w, bound.low_w), min(high_w, bound.high_w)
    charge_w = high_w if math.isfinite(high_w) else 0.0
    discharge_w = -low_w if math.isfinite(low_w) and not below_v2x_window(evse) else 0.0
    return max(0.0, charge_w), max(0.0, discharge_w)


def dead_band(evse: Evse) -> DeadBand:
    """Return the larger dead band of station and vehicle, for each direction."""
    stated = [limits for limits in (evse.limits, evse.needs.limits if evse.needs else None) if limits is not None]
    return DeadBand(
        max((limits.min_discharge_w for limits in stated), default=0.0),
        max((limits.min_charge_w for limits in stated), default=0.0),
    )


def _station(evse: Evse) -> list[Bound]:
    bounds = []
    if not evse.connected:
        bounds.append(Bound(Layer.STATION, 0.0, 0.0, Code.OFFLINE, "The station is not connected."))
    elif evse.session is None:
        bounds.append(Bound(Layer.STATION, 0.0, 0.0, Code.NO_SESSION, "No vehicle is in a session at this EVSE."))
    if (fault := evse.fault) is not None:
        bounds.append(Bound(Layer.STATION, 0.0, 0.0, Code.FAULT, f"The station reports a fault: {fault}."))
    if not evse.can_discharge:
        why = evse.why_not or "The station cannot discharge a vehicle."
        bounds.append(Bound(Layer.STATION, low_w=0.0, code=Code.CHARGING_ONLY, text=why))
    if evse.limits is not None:
        discharge_w = evse.limits.max_discharge_w if evse.can_discharge else 0.0
        charge_w = evse.limits.max_charge_w
        text = f"The station supports {discharge_w:.0f} W of discharge and {charge_w:.0f} W of charge."
        bounds.append(Bound(Layer.STATION, 0.0 - discharge_w, max(0.0, charge_w), Code.STATION_LIMIT, text))
    return bounds


def _vehicle(evse: Evse) -> list[Bound]:
    needs = evse.needs
    if needs is None:
        if evse.session is None:
            return []
        text = "The vehicle has not stated its limits, so it is not discharged."
        return [Bound(Layer.VEHICLE, low_w=0.0, code=Code.CHARGING_ONLY, text=text)]
    discharge_w = max(0.0, needs.limits.max_discharge_w) if needs.bidirectional else 0.0
    charge_w = max(0.0, needs.limits.max_charge_w)
    code = Code.VEHICLE_LIMIT if needs.bidirectional else Code.CHARGING_ONLY
    text = f"The vehicle allows {discharge_w:.0f} W of discharge."
    if not needs.bidirectional:
        text = f"The vehicle is in a session that can only charge ({needs.energy_transfer})."
    return [
        Bound(Layer.VEHICLE, low_w=0.0 - discharge_w, code=code, text=text),
        Bound(
            Layer.VEHICLE,
            high_w=charge_w,
            code=Code.VEHICLE_LIMIT,
            text=f"The vehicle allows {charge_w:.0f} W of charge.",
        ),
    ]
