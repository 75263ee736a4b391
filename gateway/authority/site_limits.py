"""Limits of the site's connection: fuse and contract, export, peak limit, demand window. Pure.

`headroom` returns what they leave for all vehicles and storages together, `site_bounds` what they leave for one EVSE.
The base power is the site's net power without them. A site whose inputs never reported any load has its limits applied
to the EVSEs alone, as an installer's allocation. An input that has gone stale leaves nothing in a limited direction: a
missing value is not zero.
"""

from __future__ import annotations

import math
from dataclasses import replace

from gateway.authority.demand_window import DemandWindow, allowed_import_w
from gateway.authority.meter_model import Band, BaseLoad
from gateway.authority.priority import Bound
from gateway.model.reason import Code
from gateway.model.result import Layer
from gateway.model.site import Freshness, Grid, InputKind, Load, Pv, Site, Storage
from protocols.frozen import frozen

CONNECTION_FACTOR = 2.0  # times the limit: more cannot flow through a connection
SMALLEST_CONNECTION_W = 15_000.0
WINDOW_MARGIN = 0.02  # of the contract, kept free in the demand window for changes between two steps


# base power -----------------------------------------------------------------------------------------------------------


@frozen
class Base:
    """The site's net power without its EVSEs, + import; None while it is unknown.

    It may be up to `below_w` less and up to `above_w` more; limits are kept for either.
    """

    power_w: float | None
    stale: str = ""  # the input that is the reason for None
    below_w: float = 0.0
    above_w: float = 0.0


def metered(site: Site, now: float) -> bool:
    """Return whether the grid meter covers everything, so that load, PV and storage need not be added up."""
    grid = site.inputs.fresh(Grid, now)
    return grid is not None and grid.power_w is not None


def base_power(site: Site, seen: BaseLoad | None, now: float) -> Base:
    """Return the base power: what the grid meter implies (`seen`), else load, PV and storage added up."""
    inputs = site.inputs
    grid = inputs.fresh(Grid, now)
    if grid is not None and grid.power_w is not None:
        if seen is None:
            return Base(grid.power_w)
        return Base(seen.power_w, "", seen.power_w - seen.low_w, seen.high_w - seen.power_w)
    load, pv, storage = inputs.fresh(Load, now), inputs.fresh(Pv, now), inputs.fresh(Storage, now)
    for kind in (InputKind.LOAD, InputKind.PV, InputKind.STORAGE):
        if inputs.freshness(kind, now) is Freshness.STALE:
            return Base(None, kind.value)
    parts = [load.power_w] if load is not None else []
    parts += [-pv.power_w] if pv is not None else []
    parts += [storage.power_w] if storage is not None else []
    if parts:
        return Base(sum(parts))
    if inputs.freshness(InputKind.GRID, now) is Freshness.STALE:
        last = inputs.readings[InputKind.GRID].value
        if isinstance(last, Grid) and last.power_w is not None:
            return Base(None, "grid")
    return Base(0.0)


def connection_w(site: Site) -> float | None:
    """Return the power beyond which a reading of the grid meter is impossible, None where no fuse is configured.

    A connection carries some times its fuse until that trips, whatever the limits leave for EVSEs.
    """
    policy = site.policy
    if policy.import_limit_w is None:
        return None
    largest_w = max(one for one in (policy.import_limit_w, policy.export_limit_w) if one is not None)
    return max(CONNECTION_FACTOR * largest_w, SMALLEST_CONNECTION_W)


# limits in force ------------------------------------------------------------------------------------------------------


@frozen
class SiteLimits:
    """Limits in W, None for no limit. `contract_w`: average of each demand window; `peak_w`: limit set by command."""

    import_w: float | None = None
    export_w: float | None = None
    contract_w: float | None = None
    peak_w: float | None = None


def limits_of(site: Site) -> SiteLimits:
    """Return the limits that hold at every moment; the demand window is known to energy management only."""
    return SiteLimits(site.policy.import_limit_w, site.policy.export_limit_w, None, site.peak_limit_w)


def allowed_grid_w(limits: SiteLimits) -> Band:
    """Return the powers at the grid's meter that the limits allow at every moment."""
    ceilings = [limit_w for _, limit_w in import_limits(limits)]
    return Band(-math.inf if limits.export_w is None else -limits.export_w, min(ceilings, default=math.inf))


def window_limit_w(limits: SiteLimits, window: DemandWindow | None, wall: float) -> float | None:
    """Return the import that the demand window allows at Unix time `wall`; None without a contract."""
    if limits.contract_w is None or window is None:
        return None
    return allowed_import_w(window, wall, limits.contract_w * (1 - WINDOW_MARGIN))


def import_limits(limits: SiteLimits, window_w: float | None = None) -> list[tuple[Code, float]]:
    """Return the limits on import in force; `window_w`: what the demand window allows."""
    found = [
        (Code.IMPORT_LIMIT, limits.import_w),
        (Code.PEAK_LIMIT, limits.peak_w),
        (Code.DEMAND_WINDOW, window_w),
    ]
    return [(code, limit_w) for code, limit_w in found if limit_w is not None]


# what they leave ------------------------------------------------------------------------------------------------------


@frozen
class Headroom:
    """The interval for the sum of vehicles and storages, + charge, and the limit that sets each end."""

    low_w: float = -math.inf
    high_w: float = math.inf
    high_code: Code | None = None
    low_code: Code | None = None

    def without_correction(self) -> Headroom:
        """Return the headroom while the correction of the demand window is not due: nothing has to be discharged."""
        return replace(self, high_w=0.0, low_w=min(self.low_w, 0.0))


def headroom(limits: SiteLimits, base: Base, measured: bool = True, window_w: float | None = None) -> Headroom:
    """Return what the limits leave for the sum of vehicles and storages.

    A limit on import gives the most that they may charge (below zero: the least that they must discharge), a limit on
    export the most that they may discharge. `measured`: the facility reports load at all; an unknown `base` means a
    silent meter. `window_w`: import that the demand window allows.
    """
    base_w = base.power_w or 0.0
    silent = measured and base.power_w is None
    ceilings = import_limits(limits, window_w)
    high_w, low_w = math.inf, -math.inf
    high_code: Code | None = None
    low_code: Code | None = None
    if ceilings:
        high_code, limit_w = min(ceilings, key=lambda one: one[1])
        high_w = limit_w - base_w - base.above_w
    if limits.export_w is not None:
        low_code = Code.EXPORT_LIMIT
        low_w = -limits.export_w - base_w + base.below_w
    if silent:
        high_w, high_code = (0.0, Code.INPUT_STALE) if high_code else (high_w, high_code)
        low_w, low_code = (0.0, Code.INPUT_STALE) if low_code else (low_w, low_code)
    # where both cannot be met, import above the limit trips the fuse: the site must not draw more
    return Headroom(min(low_w, high_w), high_w, high_code, low_code)


def site_bounds(site: Site, base: Base, others_high_w: float, others_low_w: float) -> list[Bound]:
    """Return what the limits leave for one EVSE; the others may be at up to `others_high_w`, down to `others_low_w`.

    A limit only forbids charge or discharge here. It never forces the opposite: that is left to a command or to the
    optimiser, which rank below the vehicle's floor.
    """
    limits, bounds = limits_of(site), []
    for code, limit_w in import_limits(limits):
        what = "peak limit" if code is Code.PEAK_LIMIT else "import limit"
        if base.power_w is None:
            bounds.append(_stale(base, what, high_w=0.0))
            continue
        left_w = max(0.0, limit_w - base.power_w - base.above_w - others_high_w)
        text = f"The site's {what} of {limit_w:.0f} W leaves {left_w:.0f} W for this EVSE."
        bounds.append(Bound(Layer.SITE, high_w=left_w, code=code, text=text))
    if limits.export_w is not None:
        if base.power_w is None:
            bounds.append(_stale(base, "export limit", low_w=0.0))
        else:
            left_w = max(0.0, limits.export_w + base.power_w - base.below_w + others_low_w)
            leaves = f"leaves {left_w:.0f} W of discharge for this EVSE."
            text = f"The site's export limit of {limits.export_w:.0f} W {leaves}"
            bounds.append(Bound(Layer.SITE, low_w=0.0 - left_w, code=Code.EXPORT_LIMIT, text=text))
    return bounds


def demand_window_bound(left: Headroom, others_w: float) -> Bound | None:
    """Return what the demand window leaves for one EVSE beside `others_w`; None where it is not the tightest limit.

    While the meter is silent, no limit on import leaves anything, the contract of the demand window included.
    """
    if left.high_code is Code.INPUT_STALE:
        return _stale(Base(None, "grid"), "limit on import", high_w=0.0)
    if left.high_code is not Code.DEMAND_WINDOW:
        return None
    left_w = max(0.0, left.high_w - others_w)
    text = f"The demand window leaves {left_w:.0f} W for this EVSE."
    return Bound(Layer.SITE, high_w=left_w, code=Code.DEMAND_WINDOW, text=text)


def _stale(base: Base, what: str, low_w: float = -math.inf, high_w: float = math.inf) -> Bound:
    text = f"The input {base.stale} is stale, so the {what} allows no power in this direction."
    return Bound(Layer.SITE, low_w, high_w, Code.INPUT_STALE, text)
