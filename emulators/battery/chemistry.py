"""Cell chemistries: open-circuit voltage, resistance and limits over charge and temperature.

The curves are representative of published low-rate measurements of each chemistry on graphite, read to about 20 mV, and
describe no single product. Ageing is in `ageing.py`; packs are in `pack.py`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import exp


class Curve:
    """Piecewise linear function through points, constant outside; with its integral."""

    __slots__ = ("_areas", "_slopes", "xs", "ys")

    def __init__(self, points: Iterable[tuple[float, float]]) -> None:
        points = list(points)
        self.xs = [float(x) for x, _ in points]
        self.ys = [float(y) for _, y in points]
        if len(points) < 2 or any(b <= a for a, b in pairwise(self.xs)):
            raise ValueError(f"a curve needs at least two points in rising order, not {points}")
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
        i = bisect_right(self.xs, x, 1, len(self._slopes)) - 1
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
        zip(
            (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1),
            (3.0, 3.24, 3.38, 3.46, 3.56, 3.61, 3.65, 3.70, 3.79, 3.89, 3.98, 4.07, 4.12, 4.18),
            strict=True,
        )
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
        zip(
            (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1),
            (2.60, 2.96, 3.12, 3.20, 3.245, 3.28, 3.29, 3.295, 3.30, 3.325, 3.332, 3.336, 3.345, 3.38, 3.48),
            strict=True,
        )
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
        zip(
            (0, 0.03, 0.07, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1),
            (3.10, 3.36, 3.52, 3.58, 3.70, 3.77, 3.82, 3.87, 3.92, 3.97, 4.02, 4.07, 4.14),
            strict=True,
        )
    ),
    _RESISTANCE,
    2400.0,
    _CHARGE_DERATING,
    _DISCHARGE_DERATING,
    2.8,
    4.20,
)

CHEMISTRIES = {chemistry.name: chemistry for chemistry in (NMC, LFP, LMO)}
