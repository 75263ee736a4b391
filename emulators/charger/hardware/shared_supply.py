"""Shared supply of several EVSEs: power is divided among them within the rating of the fuse.

Shares are max-min fair over the requested powers, in either direction; the remainder is divided evenly, so that a
starting EVSE has power before the next division.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from emulators.charger.hardware.power_stage import Contactors, PowerStage

STEP_W = 50.0  # step of the shares: each change of a limit is sent to the car


@dataclass(slots=True)
class Supply:
    """Supply of one station: its converters with their requested powers (W, magnitude)."""

    limit_w: float
    users: list[tuple[PowerStage, Callable[[], float]]] = field(default_factory=list)

    def share(self) -> None:
        """Divide the supply; call it when set-points may have changed."""
        shares = fair(self.limit_w, [_requested(stage, requested_w()) for stage, requested_w in self.users])
        spare = (self.limit_w - sum(shares)) / max(1, len(shares))
        for (stage, _), share in zip(self.users, shares, strict=True):
            stage.supply_limit_w = (share + spare) // STEP_W * STEP_W


def fair(limit_w: float, requested: list[float]) -> list[float]:
    """Return max-min fair shares: none exceeds its request, none can grow without reducing a smaller one."""
    shares, left = [0.0] * len(requested), limit_w
    waiting = sorted(range(len(requested)), key=lambda n: requested[n])
    while waiting:
        first = waiting.pop(0)
        shares[first] = min(requested[first], left / (len(waiting) + 1))
        left -= shares[first]
    return shares


def _requested(stage: PowerStage, requested_w: float) -> float:
    if stage.battery is None or stage.contactors is Contactors.OPEN or stage.faults:
        return 0.0
    return requested_w if stage.island_w is None else abs(stage.island_w)
