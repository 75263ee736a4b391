"""One supply for several EVSEs: who wants power gets it, all together never more than the fuse carries.

The shares are max-min fair over what each is asked for, both ways of power alike; what is left over is spread evenly,
so that who begins next need not wait for a new share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from emulators.charger.hardware.power_stage import Contactors, PowerStage

STEP_W = 50.0  # shares move in steps: a limit that trembles would be told to the car each time


@dataclass(slots=True)
class Supply:
    """The feed of one station: its converters, and what each of them is asked for at the moment (W, magnitude)."""

    limit_w: float
    users: list[tuple[PowerStage, Callable[[], float]]] = field(default_factory=list)

    def share(self) -> None:
        """Divide the supply anew; call it whenever orders may have changed."""
        shares = fair(self.limit_w, [_wish(stage, asked_w()) for stage, asked_w in self.users])
        spare = (self.limit_w - sum(shares)) / max(1, len(shares))
        for (stage, _), share in zip(self.users, shares, strict=True):
            stage.supply_limit_w = (share + spare) // STEP_W * STEP_W


def fair(limit_w: float, wishes: list[float]) -> list[float]:
    """Max-min fair: nobody gets more than he wishes, and nobody could get more without one who has less losing."""
    shares, left = [0.0] * len(wishes), limit_w
    waiting = sorted(range(len(wishes)), key=lambda n: wishes[n])
    while waiting:
        first = waiting.pop(0)
        shares[first] = min(wishes[first], left / (len(waiting) + 1))
        left -= shares[first]
    return shares


def _wish(stage: PowerStage, asked_w: float) -> float:
    if stage.battery is None or stage.contactors is Contactors.OPEN or stage.faults:
        return 0.0
    return asked_w if stage.island_w is None else abs(stage.island_w)
