"""Sharing of the site's target power as the look-ahead plan divides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.energy.dispatch import Fleet, Shares, share
from gateway.energy.resource import Resource

PLAN_SHORT_W = 50.0  # if the resources of the plan miss the target by more, all take part
PLAN_SCALE = 0.5, 2.0  # a target further from the plan's power than this is not shared as planned


def share_as_planned(target_w: float, fleet: Fleet, planned: Mapping[str, float], wall: float) -> Shares | None:
    """Return shares of a target among the resources that the plan runs now; None where they cannot provide it.

    First choice are the plan's own powers, scaled to the target in its direction; what the plan runs in the other
    direction at the same time (a vehicle charged for its departure from a storage) stays as planned. Where that does
    not fit the moment, the resources that the plan runs in this direction share the target.
    """
    shares = _scaled(target_w, fleet, planned, wall)
    if shares is None:
        chosen = [
            replace(
                one,
                max_charge_w=one.max_charge_w if planned.get(one.name, 0.0) > 0 or target_w < 0 else 0.0,
                max_discharge_w=one.max_discharge_w if planned.get(one.name, 0.0) < 0 or target_w > 0 else 0.0,
            )
            for one in fleet.resources
        ]
        shares = share(target_w, chosen, wall)
    return shares if abs(shares.short_w) < PLAN_SHORT_W else None


def _scaled(target_w: float, fleet: Fleet, planned: Mapping[str, float], wall: float) -> Shares | None:
    charging, counted = target_w >= 0, fleet.resources
    powers = [planned.get(one.name, 0.0) for one in counted]
    along_w = sum(power_w for power_w in powers if (power_w > 0) is charging)
    against_w = sum(powers) - along_w
    if fleet.must_w > (along_w if charging else against_w) + PLAN_SHORT_W:
        return None  # a vehicle is later than the plan supposes
    against = share(against_w, _limited(counted, planned, not charging, 1.0), wall)
    rest_w = target_w - against.total_w
    if along_w == 0 or not PLAN_SCALE[0] <= rest_w / along_w <= PLAN_SCALE[1]:
        return None
    along = share(rest_w, _limited(counted, planned, charging, rest_w / along_w), wall)
    if abs(along.short_w) >= PLAN_SHORT_W:
        return None
    power_w = {name: along.power_w[name] + against.power_w[name] for name in along.power_w}
    return Shares(power_w, along.total_w + against.total_w, along.short_w)


def _limited(counted: Sequence[Resource], planned: Mapping[str, float], charging: bool, scale: float) -> list[Resource]:
    """Return the resources that the plan runs in this direction, each limited to `scale` of its planned power.

    The others have no power in it, and none has power in the other direction.
    """
    found = []
    for one in counted:
        planned_w = planned.get(one.name, 0.0)
        limit_w = scale * abs(planned_w) if planned_w != 0 and (planned_w > 0) is charging else 0.0
        charge_w = min(one.max_charge_w, limit_w) if charging else 0.0
        discharge_w = 0.0 if charging else min(one.max_discharge_w, limit_w)
        found.append(replace(one, max_charge_w=charge_w, max_discharge_w=discharge_w))
    return found
