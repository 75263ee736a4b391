"""Bounds of every layer of the control hierarchy for one EVSE. Pure; `priority.decide` narrows them to one power."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.authority.hardware_limits import dead_band, hardware_bounds
from gateway.authority.priority import Bound, DeadBand, Layer
from gateway.authority.soc_floors import Reserve, floor_bound, floors, unmeasurable
from gateway.authority.vehicle_needs import own_needs
from gateway.model.evse import Evse
from gateway.model.reason import Code
from gateway.model.site import Freshness, Grid, InputKind, Site


@dataclass(frozen=True, slots=True)
class Asked:
    """Request of the command in force, in W, + charge."""

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
    optimiser: Bound | None = None
    extra: tuple[Bound, ...] = field(default=())  # bounds of energy management above any command
    wall: float | None = None  # Unix time, for the departure


def layers(situation: Situation) -> tuple[list[Bound], DeadBand]:
    """Return the bounds of all layers, highest first, and the dead band of the hardware."""
    evse, site = situation.evse, situation.site
    # in an island the departure does not end supply; the charger may still refuse by itself
    bounds = [*hardware_bounds(evse), *own_needs(evse, None if site.islanded else situation.wall)]
    if site.emergency_stop is not None:
        text = "The site's emergency stop is active until it is released."
        bounds.append(Bound(Layer.EMERGENCY_STOP, 0.0, 0.0, Code.EMERGENCY_STOP, text))
    bounds += _loss_of_mains(site, situation.now)
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
        text = f"The command requests {power_w:.0f} W."
        bounds.append(Bound(Layer.COMMAND, power_w, power_w, Code.GRANTED, text))
    if situation.optimiser is not None:
        bounds.append(situation.optimiser)
    return bounds, dead_band(evse)


def _loss_of_mains(site: Site, now: float) -> list[Bound]:
    """Return the bounds without a grid and outside an island: no infeed, and no load where the loss is confirmed."""
    if site.islanded:
        return []
    grid = site.inputs.fresh(Grid, now)
    if grid is not None and not grid.present:
        text = "The grid is lost and the site is not in island operation, so no power flows."
        return [Bound(Layer.GRID_CODE, 0.0, 0.0, Code.GRID_LOST, text)]
    if site.inputs.freshness(InputKind.GRID, now) is Freshness.STALE:
        text = "The input grid is stale, so nothing is fed into the grid."
        return [Bound(Layer.GRID_CODE, low_w=0.0, code=Code.INPUT_STALE, text=text)]
    return []
