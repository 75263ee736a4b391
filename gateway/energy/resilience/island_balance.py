"""Power in an island: the grid-forming source balances what the grid-following ones leave.

The power of the grid-forming source cannot be set. The others supply their part of the load by the energy they have, so
that all reach their floors together and the grid-forming source keeps headroom in both directions for the next change.
PV beyond what load and batteries can take is curtailed before the frequency rises (`pv_curtailment`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.authority.island_limits import forming_power_w
from gateway.energy.dispatch import share
from gateway.energy.resource import Kind, Resource
from protocols.quantities import clamp


@dataclass(frozen=True, slots=True)
class IslandShares:
    """Set-points of the grid-following sources, expected power of the grid-forming one, PV limit (None: no limit).

    `short_w`: load beyond the power of all sources, > 0 in an overload. `commanded`: the least and the most that a
    source under a command may take, W. `evses_w`: what all vehicles together have to take.
    """

    power_w: Mapping[str, float]
    forming_w: float
    pv_limit_w: float | None = None
    short_w: float = 0.0
    commanded: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    evses_w: float = 0.0


def share_island(net_w: float, resources: Sequence[Resource], forming: str) -> IslandShares:
    """Return the shares of an island's `net_w` (load − PV), W, + charge."""
    ours = [replace(one, wanted_pct=None) for one in resources]  # no charge for a departure from the island's energy
    source = next((one for one in ours if one.name == forming), None)
    others = [one for one in ours if one.name != forming]
    if source is None:
        return IslandShares({one.name: 0.0 for one in others}, 0.0, short_w=max(0.0, net_w))
    whole = share(-net_w, ours)
    own_w = forming_power_w(whole.power_w[forming], source.max_charge_w, source.max_discharge_w)
    done = share(-(net_w + own_w), others)
    left_w = net_w + done.total_w  # discharge of the grid-forming source
    short_w = max(0.0, left_w - source.max_discharge_w)
    forming_w = clamp(0.0 - left_w, -source.max_discharge_w, source.max_charge_w)
    return IslandShares(done.power_w, forming_w, short_w=short_w)


def commanded_limits(
    net_w: float, free: Sequence[Resource], held: Sequence[Resource], forming: str
) -> dict[str, tuple[float, float]]:
    """Return the least and the most that each source under a command may take, W, + charge.

    `net_w`: load − PV without those sources, which `free` supplies as far as it can. A command may use what the
    grid-forming source can balance; what the others cannot supply, the sources under a command have to.
    """
    if not held:
        return {}
    rest = share_island(net_w, free, forming)
    source = next((one for one in free if one.name == forming), None)
    more_w = less_w = 0.0
    if source is not None:
        more_w = rest.forming_w - forming_power_w(-math.inf, source.max_charge_w, source.max_discharge_w)
        less_w = forming_power_w(math.inf, source.max_charge_w, source.max_discharge_w) - rest.forming_w
    needed = share(-rest.short_w, [replace(one, wanted_pct=None) for one in held]).power_w
    limits = {}
    for one in held:
        high_w = needed[one.name] if rest.short_w > 0 else max(0.0, more_w) / len(held)
        limits[one.name] = (min(high_w, 0.0 - max(0.0, less_w) / len(held)), high_w)
    return limits


def fill_storage(net_w: float, resources: Sequence[Resource], forming: str) -> IslandShares:
    """Return the shares of an island in which vehicles also fill the storage, before one of them goes on."""
    store = next((one for one in resources if one.kind is Kind.STORAGE), None)
    vehicles = [one for one in resources if one is not store]
    spare_w = sum(one.max_discharge_w for one in vehicles) - net_w
    if store is None or spare_w <= 0:
        return share_island(net_w, resources, forming)
    fill_w = forming_power_w(min(store.max_charge_w, spare_w), store.max_charge_w, store.max_discharge_w)
    if forming != store.name:
        shares = share_island(net_w + fill_w, vehicles, forming)
        return replace(shares, power_w={**shares.power_w, store.name: fill_w})
    done = share(-(net_w + fill_w), [replace(one, wanted_pct=None) for one in vehicles])
    return IslandShares(done.power_w, 0.0 - (net_w + done.total_w))
