"""Ramps: the power of a resource or of the site changes at a limited rate; only a harder layer may step it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.quantities import clamp


@dataclass(frozen=True, slots=True)
class Ramp:
    """A power on its way to a target: `power_w` at the time `at`, s."""

    power_w: float = 0.0
    at: float = 0.0


def ramp(start_w: float, target_w: float, rate_w_per_s: float, elapsed_s: float) -> float:
    """Return the power `elapsed_s` after the start of a ramp; a rate of 0 or less is a step."""
    if rate_w_per_s <= 0:
        return target_w
    change_w = rate_w_per_s * max(0.0, elapsed_s)
    return clamp(target_w, start_w - change_w, start_w + change_w)


def ramp_s(start_w: float, target_w: float, rate_w_per_s: float) -> float:
    """Return the duration of a ramp, s."""
    return 0.0 if rate_w_per_s <= 0 else abs(target_w - start_w) / rate_w_per_s


def walk(
    before: Ramp,
    target_w: float,
    now: float,
    rate_w_per_s: float,
    low_w: float = -float("inf"),
    high_w: float = float("inf"),
) -> Ramp:
    """Return the ramp one step further; the interval [low_w, high_w] of the harder layers is met at once.

    A clock that stands still or runs backwards changes nothing.
    """
    power_w = ramp(before.power_w, target_w, rate_w_per_s, now - before.at)
    return Ramp(clamp(power_w, low_w, high_w), max(now, before.at))
