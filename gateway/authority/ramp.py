"""No jump: a power walks towards what is wanted, and only a harder layer makes it run.

Used for the site's target, so that a change of mode, of plan or of command is not seen on the grid, and for each
resource, so that a change of hands is not felt by the power electronics.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ramp:
    """W and s. `power_w` is where it stands at `at`."""

    power_w: float = 0.0
    at: float = 0.0


def walk(
    ramp: Ramp,
    wanted_w: float,
    now: float,
    rate_w_per_s: float,
    low_w: float = -float("inf"),
    high_w: float = float("inf"),
) -> Ramp:
    """One step towards `wanted_w` at no more than `rate_w_per_s`; then into [low_w, high_w] at once.

    A clock that stands still or runs backwards moves nothing.
    """
    step = rate_w_per_s * max(0.0, now - ramp.at)
    power_w = min(max(wanted_w, ramp.power_w - step), ramp.power_w + step)
    return Ramp(min(max(power_w, low_w), high_w), max(now, ramp.at))
