"""Supervision of set-point tracking: detects vehicles that do not follow, so that others take over their share.

A vehicle may be full, cold, stopped by its driver, or at a charger that accepts a set-point and does not apply it. The
meter decides. One that deviates by more than the tolerance for `CONFIRM_S`, and comes no nearer, counts at its measured
power, and the rest is shared anew. It is retried after an interval that doubles each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gateway.energy.reason import Decided
from gateway.energy.resource import Resource

# After a changed set-point stations answer late and ramp. The two together are twice the longest time that limits allow
# for that (`RESPONSE_S` in `authority/power_history.py`): a slow vehicle must not be excluded for a minute.
SETTLE_S = 10.0
CONFIRM_S = 20.0
TOLERANCE_W = 400.0
TOLERANCE_SHARE = 0.10
NEARER_W = 100.0  # within `CONFIRM_S`: a vehicle on a slow ramp is on its way
RETRY_S, LONGEST_RETRY_S = 60.0, 900.0


@dataclass(slots=True)
class _Tracking:
    """Tracking of one resource; it is excluded until `excluded_until`, at `measured_w`."""

    setpoint_w: float = 0.0
    changed_at: float = 0.0
    deviates_since: float | None = None
    power_w: float = 0.0  # measured then
    excluded_until: float | None = None
    retry_s: float = RETRY_S
    measured_w: float = 0.0


@dataclass(slots=True)
class TrackingSupervision:
    """Supervises every resource; `update` is called each step, before sharing."""

    _tracked: dict[str, _Tracking] = field(default_factory=dict)

    def update(self, resources: Iterable[Resource], now: float) -> tuple[list[Resource], list[Decided]]:
        """Return the resources, those that do not follow at their measured power, and what has changed."""
        counted, events = [], []
        names = set()
        for one in resources:
            names.add(one.name)
            tracking = self._tracked.get(one.name)
            if tracking is None:
                tracking = self._tracked[one.name] = _Tracking(one.setpoint_w, now)
            events += _judge(one, tracking, now)
            counted.append(one if tracking.excluded_until is None else _as_measured(one, tracking.measured_w))
        for gone in self._tracked.keys() - names:
            del self._tracked[gone]
        return counted, events


def _judge(one: Resource, tracking: _Tracking, now: float) -> list[Decided]:
    if tracking.excluded_until is not None:
        if one.power_w is not None:
            tracking.measured_w = one.power_w
        if now < tracking.excluded_until:
            return []
        tracking.excluded_until, tracking.deviates_since = None, None
        tracking.setpoint_w, tracking.changed_at = one.setpoint_w, now
        return [Decided(now, "follower_retried", f"{one.name} is used again, to retry its set-point.", one.name)]
    tolerance_w = max(TOLERANCE_W, TOLERANCE_SHARE * abs(one.setpoint_w))
    if abs(one.setpoint_w - tracking.setpoint_w) > tolerance_w:
        # a step restarts the settling time, a slowly changing set-point does not
        tracking.setpoint_w, tracking.changed_at, tracking.deviates_since = one.setpoint_w, now, None
        return []
    tracking.setpoint_w = one.setpoint_w
    if one.power_w is None or now - tracking.changed_at < SETTLE_S:
        return []
    deviation_w = abs(one.power_w - one.setpoint_w)
    if deviation_w <= tolerance_w:
        tracking.deviates_since = None
        if abs(one.setpoint_w) > tolerance_w:  # it has followed a real set-point
            tracking.retry_s = RETRY_S
        return []
    if tracking.deviates_since is None or deviation_w < abs(tracking.power_w - one.setpoint_w) - NEARER_W:
        tracking.deviates_since, tracking.power_w = now, one.power_w
    if now - tracking.deviates_since < CONFIRM_S:
        return []
    tracking.excluded_until, tracking.measured_w = now + tracking.retry_s, one.power_w
    tracking.retry_s = min(2 * tracking.retry_s, LONGEST_RETRY_S)
    text = f"{one.name} has a set-point of {one.setpoint_w:.0f} W and measures {one.power_w:.0f} W; others take over."
    return [Decided(now, "not_following", text, one.name, (("setpoint_w", one.setpoint_w), ("power_w", one.power_w)))]


def _as_measured(one: Resource, measured_w: float) -> Resource:
    """Return the resource with its measured power as its limit, in the direction of that power."""
    charge, discharge = max(0.0, measured_w), max(0.0, -measured_w)
    return replace(
        one,
        max_charge_w=min(one.max_charge_w, charge),
        max_discharge_w=min(one.max_discharge_w, discharge),
        min_charge_w=min(one.min_charge_w, charge),
        min_discharge_w=min(one.min_discharge_w, discharge),
    )
