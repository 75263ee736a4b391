"""The control hierarchy: layers narrow an interval of power, from the hardware down to the local optimiser. Pure.

A layer is an interval. Each may only narrow what the layers above it leave; one that misses what is left yields the
nearest value that is left. The last layer is always "no request" (0 W), so that a decision is one power, and every
decision names its limiting constraint (`binding`): the layer that keeps the power from what the next one requests, or
that requests it. The content of each layer is in `layers.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import attrgetter

from gateway.model.reason import Code
from gateway.model.result import Layer
from protocols.frozen import frozen

MARGIN_W = 0.5  # powers that differ by less are the same
BY_RANK = attrgetter("layer.rank")
COMMAND_RANK = Layer.COMMAND.rank


@frozen
class Bound:
    """Interval that one layer allows, in W, + charge; `code` and `text` give the reason."""

    layer: Layer
    low_w: float = -math.inf
    high_w: float = math.inf
    code: Code = Code.GRANTED
    text: str = ""

    def __post_init__(self) -> None:
        if not self.low_w <= self.high_w:  # also refuses NaN
            raise ValueError(f"{self.layer}: {self.low_w} W to {self.high_w} W is no interval")


@frozen
class Narrowed:
    """A layer, and the interval that it and the layers above it leave."""

    bound: Bound
    low_w: float
    high_w: float


@frozen
class Decision:
    """The power, its limiting constraint and the reason; `layers` are all steps to it, for `explain`."""

    power_w: float
    binding: Layer
    code: Code
    text: str
    layers: tuple[Narrowed, ...]


@frozen
class DeadBand:
    """Powers at which station and vehicle cannot run: between 0 and these magnitudes."""

    discharge_w: float = 0.0
    charge_w: float = 0.0

    def inside(self, power_w: float) -> bool:
        """Return whether the hardware cannot run at this power."""
        return -self.discharge_w < power_w < 0 or 0 < power_w < self.charge_w


def same_direction(one_w: float, other_w: float) -> bool:
    """Return whether both are powers of the same direction; 0 W has none."""
    return one_w * other_w > 0


def ends_supply(decision: Decision) -> bool:
    """Return whether hardware or an emergency stop leaves nothing but 0 W: only these end the supply of an island."""
    return any(
        one.low_w == one.high_w == 0.0 for one in decision.layers if one.bound.layer.rank <= Layer.EMERGENCY_STOP.rank
    )


IDLE = Bound(Layer.IDLE, 0.0, 0.0, Code.IDLE, "No power is requested.")


def decide(bounds: Iterable[Bound], dead_band: DeadBand | None = None) -> Decision:
    """Narrow from the highest layer to the lowest; several bounds of one layer narrow in the order given.

    The result lies in every bound that is not in conflict with a higher one, except that a power inside the dead band
    of the hardware becomes 0 W, or the nearest runnable power where a layer above the command excludes 0 W.
    """
    low, high = Bound(Layer.STATION), Bound(Layer.STATION)  # the bound that sets each end
    low_w, high_w = -math.inf, math.inf
    binding: Bound | None = None
    meeting: Bound | None = None  # the bound that left a single power together with a higher one
    layers: list[Narrowed] = []
    above_w = (low_w, high_w)  # left by the layers above the command
    for bound in sorted([*bounds, IDLE], key=BY_RANK):
        if binding is None:
            binding = _limiting(bound, low, high, low_w, high_w)
        if bound.low_w > high_w:
            low_w = high_w
        elif bound.high_w < low_w:
            high_w = low_w
        else:
            if bound.low_w > low_w:
                low_w, low = bound.low_w, bound
            if bound.high_w < high_w:
                high_w, high = bound.high_w, bound
            if binding is None and low_w == high_w:
                meeting = meeting or bound
        layers.append(Narrowed(bound, low_w, high_w))
        if bound.layer.rank < COMMAND_RANK:
            above_w = (low_w, high_w)
    power_w = low_w + 0.0
    limiting = meeting if meeting is not None and binding is IDLE else binding or IDLE
    if dead_band is not None and dead_band.inside(power_w):
        return _runnable(power_w, dead_band, above_w, limiting, tuple(layers))
    return Decision(power_w, limiting.layer, limiting.code, limiting.text, tuple(layers))


def above_command(decision: Decision) -> tuple[float, float]:
    """Return the interval that the layers above the command leave."""
    above = [one for one in decision.layers if one.bound.layer.rank < COMMAND_RANK]
    return (above[-1].low_w, above[-1].high_w) if above else (-math.inf, math.inf)


def still_holds(decision: Decision, site_bounds: Iterable[Bound]) -> bool:
    """Return whether a decision is certain to be the same with other bounds of the connection, `site_bounds`.

    They leave it alone where they exclude neither its power nor more or less of it, now and before. Of bounds of
    another layer that is never certain.
    """
    if decision.code is Code.DEAD_BAND:
        return False
    low_w, high_w = above_command(decision)
    if not low_w <= 0 <= high_w:  # the dead band may have no other power
        return False
    before = [one.bound for one in decision.layers if one.bound.layer is Layer.SITE]
    bounds = (*before, *site_bounds)
    return all(one.layer is Layer.SITE and one.low_w < decision.power_w < one.high_w for one in bounds)


def _limiting(bound: Bound, low: Bound, high: Bound, low_w: float, high_w: float) -> Bound | None:
    """Return the bound that limits the power once `bound` meets what is left, None while more than one power is left.

    `low` and `high` set the ends of what is left. Where two of them meet at one power, the next bound that demands less
    is limited by the lower end, one that demands more by the upper end.
    """
    if bound.low_w > high_w:
        return high
    if bound.high_w < low_w:
        return low
    return bound if bound.low_w == bound.high_w else None


def _runnable(
    power_w: float, band: DeadBand, above_w: tuple[float, float], limiting: Bound, layers: tuple[Narrowed, ...]
) -> Decision:
    """Return the power to use instead of one inside the dead band: less before more, never outside the layers above."""
    edge = -band.discharge_w if power_w < 0 else band.charge_w
    for candidate in (0.0, edge):
        if above_w[0] <= candidate <= above_w[1]:
            text = f"{power_w:.0f} W is inside the dead band of the hardware (nearest: {edge:.0f} W)."
            return Decision(candidate, Layer.STATION, Code.DEAD_BAND, text, layers)
    return Decision(power_w, limiting.layer, limiting.code, limiting.text, layers)
