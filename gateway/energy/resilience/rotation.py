"""Rotation of vehicles in an outage: which source forms the island next, which vehicle may leave, when one is needed.

A vehicle is released when it has reached its floor (which includes the trip home), or is called to another site; never
while it supplies the island alone. The next vehicle is requested early enough to arrive, plug in and start while the
others still supply the load. All figures are hours of the present load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.energy.reason import Decided
from gateway.energy.resource import Kind, Resource, usable_wh

HAND_OVER_H = 0.25  # the grid-forming source hands over when it has this left at the present load
BETTER = 1.5  # times the usable energy that another must have to justify an interruption
SWAP_H = 0.25  # h to drive in, plug in and start
FULL_PCT = 3.0  # below its ceiling a storage is full
RELEASE_H = 1.0  # h that the others must last before one may leave


@dataclass(frozen=True, slots=True)
class RotationStep:
    """Result of one update. `needed_in_h`: until the next vehicle must be plugged in, None if beyond the lead time."""

    hand_to: str | None = None
    released: tuple[str, ...] = ()
    needed_in_h: float | None = None
    events: tuple[Decided, ...] = ()


@dataclass(slots=True)
class Rotation:
    """State of the rotation; every change is reported once."""

    lead_h: float = 2.0  # the next vehicle is requested this long before the energy is used up
    _released: set[str] = field(default_factory=set)
    _requested: bool = False

    def update(
        self,
        now: float,
        draw_w: float,
        resources: Sequence[Resource],
        forming: str | None,
        called: frozenset[str] = frozenset(),
        due: frozenset[str] = frozenset(),
    ) -> RotationStep:
        """Update, each minute. `draw_w`: load of all sources (> 0), `called`: vehicles requested at another site.

        `due`: those that should have left; they leave although the storage is not full.
        """
        draw_w = max(draw_w, 1.0)
        energy = {one.name: usable_wh(one) for one in resources}
        events: list[Decided] = []
        filling = {one.name for one in resources if not called_away(one, due) and _filling(resources, energy[one.name])}
        hand_to = self._next(draw_w, resources, forming, energy, called, filling)
        released = []
        for one in resources:
            if one.kind is not Kind.CAR or one.name == forming:
                continue
            others_h = sum(wh for name, wh in energy.items() if name != one.name) / draw_w
            done = energy[one.name] <= 0.0 and one.soc_pct is not None and one.capacity_wh is not None
            leaves = called_away(one, called) and others_h >= RELEASE_H and one.name not in filling
            if done or leaves:
                released.append(one.name)
                if one.name not in self._released:
                    why = "has reached its floor" if done else "is called to another site"
                    text = f"{one.vehicle or one.name} {why} and may leave; the others last {others_h:.1f} h."
                    events.append(Decided(now, "car_let_go", text, one.name))
        self._released = set(released)
        last_h = sum(energy.values()) / draw_w
        needed = max(0.0, last_h - SWAP_H) if last_h < self.lead_h + SWAP_H else None
        if needed is not None and not self._requested:
            text = f"The batteries last {last_h:.1f} h: the next vehicle must be plugged in within {needed:.1f} h."
            events.append(Decided(now, "car_needed", text, figures=(("needed_in_h", round(needed, 3)),)))
        self._requested = needed is not None
        return RotationStep(hand_to, tuple(released), needed, tuple(events))

    def _next(
        self,
        draw_w: float,
        resources: Sequence[Resource],
        forming: str | None,
        energy: dict[str, float],
        called: frozenset[str],
        filling: set[str],
    ) -> str | None:
        """Return the source to hand over to: when the present one is nearly empty and another has much more.

        Also when it is called to another site, the storage here is full and another source lasts.
        """
        if forming is None:
            return None
        if any(one.name == forming and called_away(one, called) for one in resources):
            others = [one for one in resources if one.can_form and one.name != forming and one.max_discharge_w > 0]
            ready = [one for one in others if energy[one.name] / draw_w >= RELEASE_H]
            if ready and forming not in filling:
                return max(ready, key=lambda one: energy[one.name]).name
        if energy.get(forming, 0.0) / draw_w > HAND_OVER_H:
            return None
        able = [one for one in resources if one.can_form and one.name != forming and one.max_discharge_w > 0]
        best = max(able, key=lambda one: energy[one.name], default=None)
        if best is None or energy[best.name] <= max(BETTER * energy.get(forming, 0.0), draw_w * HAND_OVER_H):
            return None
        return best.name


def called_away(one: Resource, called: frozenset[str]) -> bool:
    """Return whether a vehicle is requested at another site."""
    return one.name in called or (one.vehicle != "" and one.vehicle in called)


def _filling(resources: Sequence[Resource], energy_wh: float) -> bool:
    """Return whether a vehicle with this energy still has the storage of the site to fill, before it goes on."""
    return energy_wh > 0 and any(
        one.kind is Kind.STORAGE and one.soc_pct is not None and one.soc_pct < one.ceiling_pct - FULL_PCT
        for one in resources
    )
