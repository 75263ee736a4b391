"""Cars that come and go in an outage: who forms next, who may leave, and when the next one has to be here.

A car is let go when it has come to its floor (which holds the way home), or is called to another site; never while it
carries the island alone. The next car is asked for early enough that it arrives, plugs in and starts while the others
still carry the load. All figures are hours of the present draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.energy.reason import Decided
from gateway.energy.resource import Kind, Resource, usable_wh

HAND_OVER_H = 0.25  # the forming source hands over when it has this left at the present draw
BETTER = 1.5  # times the usable energy another must have to be worth a blink of the light
SWAP_H = 0.25  # h to drive in, plug in and start
LET_GO_H = 1.0  # h that the others must last, before one may leave


@dataclass(frozen=True, slots=True)
class Swap:
    """What the rotation wants now. `needed_in_h`: when the next car must be plugged in, None if not in sight."""

    hand_to: str | None = None
    let_go: tuple[str, ...] = ()
    needed_in_h: float | None = None
    events: tuple[Decided, ...] = ()


@dataclass(slots=True)
class Rotation:
    """Keeps what it has said, so that everything is said once."""

    lead_h: float = 2.0  # how long before the light would go out the next car is asked for
    _let_go: set[str] = field(default_factory=set)
    _asked: bool = False

    def look(
        self,
        now: float,
        draw_w: float,
        resources: Sequence[Resource],
        forming: str | None,
        called: frozenset[str] = frozenset(),
    ) -> Swap:
        """One look, each minute. `draw_w` is what the sources carry together (> 0), `called` cars wanted elsewhere."""
        draw_w = max(draw_w, 1.0)
        energy = {one.name: usable_wh(one) for one in resources}
        events: list[Decided] = []
        hand_to = self._next(draw_w, resources, forming, energy)
        let_go = []
        for one in resources:
            if one.kind is not Kind.CAR or one.name == forming:
                continue
            others_h = sum(wh for name, wh in energy.items() if name != one.name) / draw_w
            done = energy[one.name] <= 0.0 and one.soc_pct is not None and one.capacity_wh is not None
            wanted = one.name in called or (one.vehicle != "" and one.vehicle in called)
            if done or (wanted and others_h >= LET_GO_H):
                let_go.append(one.name)
                if one.name not in self._let_go:
                    why = "has given what it may" if done else "is called to another place"
                    text = f"{one.vehicle or one.name} {why} and can drive; the others last {others_h:.1f} h."
                    events.append(Decided(now, "car_let_go", text, one.name))
        self._let_go = set(let_go)
        last_h = sum(energy.values()) / draw_w
        needed = max(0.0, last_h - SWAP_H) if last_h < self.lead_h + SWAP_H else None
        if needed is not None and not self._asked:
            text = f"The cars here last {last_h:.1f} h: the next one has to be plugged in within {needed:.1f} h."
            events.append(Decided(now, "car_needed", text, figures=(("needed_in_h", round(needed, 3)),)))
        self._asked = needed is not None
        return Swap(hand_to, tuple(let_go), needed, tuple(events))

    def _next(
        self, draw_w: float, resources: Sequence[Resource], forming: str | None, energy: dict[str, float]
    ) -> str | None:
        """Who should form instead: only when the present one is nearly done, and somebody is much better."""
        if forming is None or energy.get(forming, 0.0) / draw_w > HAND_OVER_H:
            return None
        able = [one for one in resources if one.can_form and one.name != forming and one.max_discharge_w > 0]
        best = max(able, key=lambda one: energy[one.name], default=None)
        if best is None or energy[best.name] <= max(BETTER * energy.get(forming, 0.0), draw_w * HAND_OVER_H):
            return None
        return best.name
