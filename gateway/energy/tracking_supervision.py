"""Notices cars that do not follow their set-point, so that their share can go to others.

A car may be full, cold, stopped by its driver, or behind a charger that says yes and does nothing. What counts is the
meter. One that is off by more than its allowance for `PATIENCE_S` is taken at what it does: its interval shrinks to its
present power, the rest is shared anew. It is tried again after a while, at first soon, then more and more seldom.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gateway.energy.reason import Decided
from gateway.energy.resource import Resource

SETTLE_S = 10.0  # s after a changed set-point in which nothing is judged: stations answer late and ramp
PATIENCE_S = 20.0  # s
ALLOWED_W = 400.0
ALLOWED_SHARE = 0.10
RETRY_S, LONGEST_RETRY_S = 60.0, 900.0


@dataclass(slots=True)
class _Watched:
    setpoint_w: float = 0.0
    changed_at: float = 0.0
    off_since: float | None = None
    distrusted_until: float | None = None
    retry_s: float = RETRY_S
    does_w: float = 0.0


@dataclass(slots=True)
class Followers:
    """Watches every resource. `look` is called each step, before sharing."""

    _watched: dict[str, _Watched] = field(default_factory=dict)

    def look(self, resources: Iterable[Resource], now: float) -> tuple[list[Resource], list[Decided]]:
        """The resources as they can be counted on, and what was noticed."""
        counted, events = [], []
        names = set()
        for one in resources:
            names.add(one.name)
            watched = self._watched.setdefault(one.name, _Watched(one.setpoint_w, now))
            events += _judge(one, watched, now)
            counted.append(one if watched.distrusted_until is None else _as_it_does(one, watched.does_w))
        for gone in self._watched.keys() - names:
            del self._watched[gone]
        return counted, events

    def trusted(self, name: str) -> bool:
        """Whether this one is counted on."""
        watched = self._watched.get(name)
        return watched is None or watched.distrusted_until is None


def _judge(one: Resource, watched: _Watched, now: float) -> list[Decided]:
    if watched.distrusted_until is not None:
        if one.power_w is not None:
            watched.does_w = one.power_w
        if now < watched.distrusted_until:
            return []
        watched.distrusted_until, watched.off_since = None, None
        watched.setpoint_w, watched.changed_at = one.setpoint_w, now
        return [Decided(now, "follower_retried", f"{one.name} is tried again.", one.name)]
    allowed = max(ALLOWED_W, ALLOWED_SHARE * abs(one.setpoint_w))
    if abs(one.setpoint_w - watched.setpoint_w) > allowed:
        # a step starts the settling time anew, a creeping set-point does not
        watched.setpoint_w, watched.changed_at, watched.off_since = one.setpoint_w, now, None
        return []
    watched.setpoint_w = one.setpoint_w
    if one.power_w is None or now - watched.changed_at < SETTLE_S:
        return []
    if abs(one.power_w - one.setpoint_w) <= allowed:
        watched.off_since = None
        if abs(one.setpoint_w) > allowed:  # it did real work as told: the next doubt starts from fresh
            watched.retry_s = RETRY_S
        return []
    watched.off_since = now if watched.off_since is None else watched.off_since
    if now - watched.off_since < PATIENCE_S:
        return []
    watched.distrusted_until, watched.does_w = now + watched.retry_s, one.power_w
    watched.retry_s = min(2 * watched.retry_s, LONGEST_RETRY_S)
    text = f"{one.name} was told {one.setpoint_w:.0f} W and does {one.power_w:.0f} W; its share goes to the others."
    return [Decided(now, "not_following", text, one.name, (("setpoint_w", one.setpoint_w), ("power_w", one.power_w)))]


def _as_it_does(one: Resource, does_w: float) -> Resource:
    """Counted at no more than what it does, in the direction in which it does it."""
    charge, discharge = max(0.0, does_w), max(0.0, -does_w)
    return replace(
        one,
        max_charge_w=min(one.max_charge_w, charge),
        max_discharge_w=min(one.max_discharge_w, discharge),
        min_charge_w=min(one.min_charge_w, charge),
        min_discharge_w=min(one.min_discharge_w, discharge),
    )
