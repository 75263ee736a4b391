"""Every layer of the order of authority for one EVSE, from what is known. Pure; `authority.decide` narrows."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.authority.priority import Bound, DeadBand, Layer
from gateway.authority.soc_floors import Reserve, floor_bound, floors, unmeasurable
from gateway.authority.vehicle_needs import own_needs
from gateway.model.evse import Evse
from gateway.model.reason import Code
from gateway.model.site import Freshness, Grid, InputKind, Site


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command in force asks for, in W, + into the vehicle."""

    power_w: float
    command: str
    min_soc_pct: float | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that decides about one EVSE now. `site_bounds` come from `gateway.authority.site_limits`."""

    evse: Evse
    site: Site
    now: float
    site_bounds: tuple[Bound, ...] = ()
    asked: Asked | None = None
    reserve: Reserve | None = None
    floor_reached: bool = False
    upstream: Bound | None = None
    optimiser: Bound | None = None
    extra: tuple[Bound, ...] = field(default=())  # grid code and island, from who runs them
    wall: float | None = None  # Unix time, for what the car wants by when


def layers(situation: Situation) -> tuple[list[Bound], DeadBand]:
    """The bounds of all layers, highest first, and the dead band of the hardware."""
    evse, site = situation.evse, situation.site
    # in an island nobody is left in the dark for a departure; the charger may still refuse by itself
    bounds = [*_hardware(evse), *own_needs(evse, None if site.islanded else situation.wall)]
    if site.emergency_stop is not None:
        text = "The site's emergency stop is on, until the site is released."
        bounds.append(Bound(Layer.EMERGENCY_STOP, 0.0, 0.0, Code.EMERGENCY_STOP, text))
    bounds += _grid(site, situation.now)
    bounds += situation.extra
    bounds += situation.site_bounds
    command_floor = situation.asked.min_soc_pct if situation.asked else None
    floor = floor_bound(
        evse,
        site,
        floors(evse, site, situation.reserve, command_floor),
        reached=situation.floor_reached,
        blind=unmeasurable(evse, site, situation.reserve),
    )
    if floor is not None:
        bounds.append(floor)
    if situation.asked is not None:
        power_w = situation.asked.power_w
        bounds.append(Bound(Layer.COMMAND, power_w, power_w, Code.GRANTED, f"The command asks for {power_w:.0f} W."))
    bounds += [bound for bound in (situation.upstream, situation.optimiser) if bound is not None]
    return bounds, dead_band(evse)


def dead_band(evse: Evse) -> DeadBand:
    """The larger of what station and vehicle cannot run at, each way."""
    said = [limits for limits in (evse.limits, evse.needs.limits if evse.needs else None) if limits is not None]
    return DeadBand(
        max((limits.min_discharge_w for limits in said), default=0.0),
        max((limits.min_charge_w for limits in said), default=0.0),
    )


def _hardware(evse: Evse) -> list[Bound]:
    bounds = []
    if not evse.connected or evse.session is None:
        text = "The station is not connected." if not evse.connected else "No car is in a session here."
        code = Code.OFFLINE if not evse.connected else Code.NO_SESSION
        bounds.append(Bound(Layer.STATION, 0.0, 0.0, code, text))
    if (fault := evse.fault) is not None:
        bounds.append(Bound(Layer.STATION, 0.0, 0.0, Code.FAULT, f"The station reports a fault: {fault}."))
    if not evse.can_discharge:
        why = evse.why_not or "The station cannot discharge a car."
        bounds.append(Bound(Layer.STATION, low_w=0.0, code=Code.CHARGING_ONLY, text=why))
    if evse.limits is not None:
        can_w = evse.limits.max_discharge_w if evse.can_discharge else 0.0
        text = f"The station can do {can_w:.0f} W out of the car and {evse.limits.max_charge_w:.0f} W into it."
        bounds.append(Bound(Layer.STATION, 0.0 - can_w, max(0.0, evse.limits.max_charge_w), Code.STATION_LIMIT, text))
    if evse.needs is not None:
        limits = evse.needs.limits
        out_w = limits.max_discharge_w if evse.needs.bidirectional else 0.0
        text = f"The car allows {out_w:.0f} W out of it and {limits.max_charge_w:.0f} W into it."
        if not evse.needs.bidirectional:
            text = f"The car takes part in a session that can only charge ({evse.needs.energy_transfer})."
        code = Code.VEHICLE_LIMIT if evse.needs.bidirectional else Code.CHARGING_ONLY
        bounds.append(Bound(Layer.VEHICLE, low_w=0.0 - max(0.0, out_w), code=code, text=text))
        charge_text = f"The car takes {limits.max_charge_w:.0f} W at most."
        bounds.append(
            Bound(Layer.VEHICLE, high_w=max(0.0, limits.max_charge_w), code=Code.VEHICLE_LIMIT, text=charge_text)
        )
    elif evse.session is not None:
        text = "The car has not said what it can do, so it is not discharged."
        bounds.append(Bound(Layer.VEHICLE, low_w=0.0, code=Code.CHARGING_ONLY, text=text))
    return bounds


def _grid(site: Site, now: float) -> list[Bound]:
    """Without a grid and outside an island nothing may feed and nothing should load (loss of mains)."""
    grid = site.inputs.fresh(Grid, now)
    if site.islanded:
        return []
    if grid is not None and not grid.present:
        text = "The grid is gone and the site is not an island, so no power flows."
        return [Bound(Layer.GRID_CODE, 0.0, 0.0, Code.GRID_LOST, text)]
    if site.inputs.freshness(InputKind.GRID, now) is Freshness.STALE:
        text = "The input grid has gone quiet, so nothing is fed into it."
        return [Bound(Layer.GRID_CODE, low_w=0.0, code=Code.INPUT_STALE, text=text)]
    return []
