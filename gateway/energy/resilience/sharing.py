"""Power in an island: the forming source takes what is left, so the others are set to leave it little.

Who forms a voltage cannot be told a power. The others can, and carry their part of the load by the energy they have,
so that all come to their floors together and the forming source keeps room both ways for the next kettle or cloud.
What the sun gives beyond all batteries is cut at the roof, before the frequency has to say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.energy.resource import Resource
from gateway.energy.share import share

KEEP = 0.15  # of the forming source's power kept free both ways


@dataclass(frozen=True, slots=True)
class IslandShares:
    """Set-points of the followers, what the forming source will see, and what the roof may give (None: all of it).

    `short_w` is load that nobody can carry, > 0 in an overload.
    """

    power_w: Mapping[str, float]
    forming_w: float
    pv_limit_w: float | None = None
    short_w: float = 0.0


def share_island(
    net_w: float, pv_w: float, resources: Sequence[Resource], forming: str, wall: float = 0.0
) -> IslandShares:
    """Share an island's `net_w` (load − PV, of which PV is `pv_w`) between its sources; W, + into them."""
    ours = [
        replace(one, wanted_pct=None) for one in resources
    ]  # nobody charges for a departure out of somebody's light
    source = next((one for one in ours if one.name == forming), None)
    others = [one for one in ours if one.name != forming]
    if source is None:
        return IslandShares({one.name: 0.0 for one in others}, 0.0, 0.0, max(0.0, net_w))
    whole = share(-net_w, ours, wall)
    most_w = source.max_discharge_w * (1 - KEEP)
    least_w = -source.max_charge_w * (1 - KEEP)
    own_w = min(max(-whole.power_w[forming], least_w), most_w)  # + out of it
    done = share(-(net_w - own_w), others, wall)
    left_w = net_w + done.total_w  # what the forming source has to give
    short_w = max(0.0, left_w - source.max_discharge_w)
    pv_limit: float | None = None
    too_much_w = -source.max_charge_w - left_w
    if too_much_w > 0:
        pv_limit = max(0.0, pv_w - too_much_w)
        left_w = -source.max_charge_w
    return IslandShares(done.power_w, 0.0 - min(left_w, source.max_discharge_w), pv_limit, short_w)
