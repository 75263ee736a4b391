"""Cell chemistries: open-circuit voltage, resistance and limits over charge and temperature.

The curves are representative of published low-rate measurements of each chemistry on graphite, read to about 20 mV, and
describe no single product. Ageing is in `ageing.py`; packs are in `pack.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp


class Curve:
    """Piecewise linear function through points, constant outside; with its integral."""

    __slots__ = ("_areas", "_slopes", "xs", "ys")

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        self.xs = [float(x) for x, _ in points]
        self.ys = [float(y) for _, y in points]
        if len(points) < 2 or any(b <= a for a, b in pairwise(self.xs)):
            raise ValueError(f"a curve needs at least two points in rising order, not {list(points)}")
        self._slopes = [(y1 - y0) / (x1 - x0) for (x0, y0), (x1, y1) in pairwise(points)]
        self._areas = [0.0]
        for (x0, y0), (x1, y1) in pairwise(points):
            self._areas.append(self._areas[-1] + (y0 + y1) / 2 * (x1 - x0))

    def __call__(self, x: float) -> float:
        xs = self.xs
        if x <= xs[0]:
            return self.ys[0]
        if x >= xs[-1]:
            return self.ys[-1]
        i = bisect_right(xs, x) - 1
        return self.ys[i] + self._slopes[i] * (x - xs[i])

    def integral(self, x: float) -> float:
        """Return the integral from the first point to `x`, which must be within the points."""
        i = min(max(bisect_right(self.xs, x) - 1, 0), len(self._slopes) - 1)
        d = x - self.xs[i]
        return self._areas[i] + (self.ys[i] + self._slopes[i] * d / 2) * d


@dataclass(frozen=True, slots=True)
class Chemistry:
    """Properties of a cell. Curves take the state of charge as a fraction or the temperature in °C."""

    name: str
    ocv_v: Curve  # V over the charge fraction, at rest
    resistance: Curve  # factor on the resistance over the charge fraction
    activation_k: float  # K: the resistance is proportional to exp(activation / T)
    charge_derating: Curve  # fraction of the charge limits over °C
    discharge_derating: Curve  # fraction of the discharge limits over °C
    min_v: float  # V per cell under load
    max_v: float  # V per cell under load

    def temperature_factor(self, celsius: float) -> float:
        """Return the factor on the resistance at a temperature; 1 at 25 °C."""
        return exp(self.activation_k * (1 / (celsius + 273.15) - 1 / 298.15))


_RESISTANCE = Curve([(0, 2.2), (0.05, 1.6), (0.1, 1.35), (0.2, 1.1), (0.4, 1.0), (0.8, 1.0), (1.0, 1.15)])
_CHARGE_DERATING = Curve([(-20, 0), (-10, 0.1), (0, 0.3), (10, 0.65), (20, 1), (42, 1), (50, 0.35), (55, 0)])
_DISCHARGE_DERATING = Curve([(-30, 0), (-20, 0.35), (-10, 0.65), (0, 0.9), (5, 1), (48, 1), (55, 0.35), (60, 0)])

NMC = Chemistry(
    "NMC",
    Curve(
        [
            (0, 3.0),
            (0.02, 3.24),
            (0.05, 3.38),
            (0.1, 3.46),
            (0.2, 3.56),
            (0.3, 3.61),
            (0.4, 3.65),
            (0.5, 3.70),
            (0.6, 3.79),
            (0.7, 3.89),
            (0.8, 3.98),
            (0.9, 4.07),
            (0.95, 4.12),
            (1, 4.18),
        ]
    ),
    _RESISTANCE,
    2600.0,
    _CHARGE_DERATING,
    _DISCHARGE_DERATING,
    2.8,
    4.20,
)
LFP = Chemistry(
    "LFP",
    Curve(
        [
            (0, 2.60),
            (0.02, 2.96),
            (0.05, 3.12),
            (0.1, 3.20),
            (0.2, 3.245),
            (0.3, 3.28),
            (0.4, 3.29),
            (0.5, 3.295),
            (0.6, 3.30),
            (0.7, 3.325),
            (0.8, 3.332),
            (0.9, 3.336),
            (0.95, 3.345),
            (0.98, 3.38),
            (1, 3.48),
        ]
    ),
    _RESISTANCE,
    3200.0,
    Curve([(-20, 0), (-5, 0.05), (0, 0.15), (10, 0.5), (20, 1), (45, 1), (55, 0.35), (60, 0)]),
    _DISCHARGE_DERATING,
    2.5,
    3.65,
)
LMO = Chemistry(
    "LMO",
    Curve(
        [
            (0, 3.10),
            (0.03, 3.36),
            (0.07, 3.52),
            (0.1, 3.58),
            (0.2, 3.70),
            (0.3, 3.77),
            (0.4, 3.82),
            (0.5, 3.87),
            (0.6, 3.92),
            (0.7, 3.97),
            (0.8, 4.02),
            (0.9, 4.07),
            (1, 4.14),
        ]
    ),
    _RESISTANCE,
    2400.0,
    _CHARGE_DERATING,
    _DISCHARGE_DERATING,
    2.8,
    4.20,
)

CHEMISTRIES = {chemistry.name: chemistry for chemistry in (NMC, LFP, LMO)}
