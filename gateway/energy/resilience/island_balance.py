"""Power in an island: the grid-forming source balances what the grid-following ones leave.

The power of the grid-forming source cannot be set. The others supply their part of the load by the energy they have, so
that all reach their floors together and the grid-forming source keeps headroom in both directions for the next change.
PV beyond the capacity of all batteries is curtailed before the frequency rises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.authority.grid_limits import forming_power_w
from gateway.energy.dispatch import share
from gateway.energy.resource import Resource


@dataclass(frozen=True, slots=True)
class IslandShares:
    """Set-points of the grid-following sources, expected power of the grid-forming one, PV limit (None: no limit).

    `short_w`: load beyond the power of all sources, > 0 in an overload.
    """

    power_w: Mapping[str, float]
    forming_w: float
    pv_limit_w: float | None = None
    short_w: float = 0.0


def share_island(net_w: float, pv_w: float, resources: Sequence[Resource], forming: str) -> IslandShares:
    """Return the shares of an island's `net_w` (load − PV, of which PV is `pv_w`), W, + charge."""
    ours = [replace(one, wanted_pct=None) for one in resources]  # no charge for a departure from the island's energy
    source = next((one for one in ours if one.name == forming), None)
    others = [one for one in ours if one.name != forming]
    if source is None:
        return IslandShares({one.name: 0.0 for one in others}, 0.0, 0.0, max(0.0, net_w))
    whole = share(-net_w, ours)
    own_w = forming_power_w(whole.power_w[forming], source.max_charge_w, source.max_discharge_w)
    done = share(-(net_w + own_w), others)
    left_w = net_w + done.total_w  # discharge of the grid-forming source
    short_w = max(0.0, left_w - source.max_discharge_w)
    pv_limit: float | None = None
    too_much_w = -source.max_charge_w - left_w
    if too_much_w > 0:
        pv_limit = max(0.0, pv_w - too_much_w)
        left_w = -source.max_charge_w
    return IslandShares(done.power_w, 0.0 - min(left_w, source.max_discharge_w), pv_limit, short_w)
