"""What the site's connection leaves for one EVSE: fuse, contract, peak limit. Pure.

The site without its cars (`base`) comes from the facility's inputs. A site that never told any has its limits applied
to the cars alone, as an installer's allocation. An input that has gone stale leaves nothing in a limited direction: not
knowing is not zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.authority.priority import Bound, Layer
from gateway.model.reason import Code
from gateway.model.site import Freshness, Grid, InputKind, Load, Pv, Site, Storage


@dataclass(frozen=True, slots=True)
class Base:
    """The site's net power without its cars, + import; None while it is not known."""

    power_w: float | None
    stale: str = ""  # which input, when that is why


def metered(site: Site, now: float) -> bool:
    """Whether the meter at the grid says it all, so that load, PV and storage need not be added up."""
    grid = site.inputs.fresh(Grid, now)
    return grid is not None and grid.power_w is not None


def base_power(site: Site, cars_w: float, now: float) -> Base:
    """From the meter at the grid less the cars, or from load, PV and storage; `cars_w` is what the cars take now."""
    inputs = site.inputs
    grid = inputs.fresh(Grid, now)
    if grid is not None and grid.power_w is not None:
        return Base(grid.power_w - cars_w)
    load, pv, storage = inputs.fresh(Load, now), inputs.fresh(Pv, now), inputs.fresh(Storage, now)
    for kind in (InputKind.LOAD, InputKind.PV, InputKind.STORAGE):
        if inputs.freshness(kind, now) is Freshness.STALE:
            return Base(None, kind.value)
    parts = [load.power_w] if load is not None else []
    parts += [-pv.power_w] if pv is not None else []
    parts += [storage.power_w] if storage is not None else []
    if parts:
        return Base(sum(parts))
    if grid is None and inputs.freshness(InputKind.GRID, now) is Freshness.STALE:
        held = inputs.readings[InputKind.GRID].value
        if isinstance(held, Grid) and held.power_w is not None:
            return Base(None, "grid")
    return Base(0.0)


def site_bounds(site: Site, base: Base, others_high_w: float, others_low_w: float) -> list[Bound]:
    """What the connection leaves for one EVSE, given the most and the least the other EVSEs may be taking now, in W."""
    policy = site.policy
    bounds = []
    limits = ((policy.import_limit_w, Code.IMPORT_LIMIT), (site.peak_limit_w, Code.PEAK_LIMIT))
    for limit_w, code in limits:
        if limit_w is None:
            continue
        what = "peak limit" if code is Code.PEAK_LIMIT else "import limit"
        if base.power_w is None:
            bounds.append(_blind(base, what, high_w=0.0))
            continue
        left_w = limit_w - base.power_w - others_high_w
        text = f"The site's {what} of {limit_w:.0f} W leaves {max(0.0, left_w):.0f} W for this EVSE."
        # a limit forbids charging; that a car gives because others draw too much is for a command or a policy to say,
        # which stand below the car's floor
        bounds.append(Bound(Layer.SITE, high_w=max(0.0, left_w), code=code, text=text))
    if policy.export_limit_w is not None:
        if base.power_w is None:
            bounds.append(_blind(base, "export limit", low_w=0.0))
        else:
            left_w = policy.export_limit_w + base.power_w + others_low_w
            leaves = f"leaves {max(0.0, left_w):.0f} W of discharge for this EVSE."
            text = f"The site's export limit of {policy.export_limit_w:.0f} W {leaves}"
            # as above: what the roof exports too much is no reason to charge a car that nobody asked to charge
            bounds.append(Bound(Layer.SITE, low_w=0.0 - max(0.0, left_w), code=Code.EXPORT_LIMIT, text=text))
    return bounds


def _blind(base: Base, what: str, low_w: float = -math.inf, high_w: float = math.inf) -> Bound:
    text = f"The input {base.stale} has gone quiet, so the {what} cannot be kept with any power in this direction."
    return Bound(Layer.SITE, low_w, high_w, Code.INPUT_STALE, text)
