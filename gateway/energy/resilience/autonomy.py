"""For how many hours the light stays on, and how sure that is.

Energy above the floors against the load of the tiers, less what the sun gives. Three runs through the outlook: as
expected, and with everything a little worse and a little better (battery, load and sky at the 10 % and 90 % points). A
shelter plans with `low`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.energy.forecast import Outlook

Z = 1.28  # one-sided 10 %
ENERGY_SIGMA = 0.06  # of usable energy: SoC is an estimate, and old cells are optimists
HORIZON_H = 96.0


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours from now; `HORIZON_H` stands for at least that."""

    low: float
    expected: float
    high: float

    @property
    def endless(self) -> bool:
        """Whether even the bad case reaches the horizon: the sun carries the load."""
        return self.low >= HORIZON_H


def autonomy(
    energy_wh: float,
    room_wh: float,
    load_share: float,
    outlook: Outlook,
    extra_load_w: float = 0.0,
    deliveries: Sequence[tuple[float, float]] = (),
    energy_sigma: float = ENERGY_SIGMA,
) -> Hours:
    """How long `energy_wh` (at the meter, above floors) carries `load_share` of the load plus `extra_load_w`.

    `room_wh` is what the batteries could still take from the sun. `deliveries` are (hours from now, Wh) that cars on
    their way will bring. The outlook's last day repeats itself.
    """
    runs = []
    for sign in (-1.0, 0.0, 1.0):
        energy = max(0.0, energy_wh * (1 + sign * Z * energy_sigma))
        runs.append(_last(energy, energy + room_wh, load_share, outlook, extra_load_w, deliveries, sign))
    low, expected, high = runs
    return Hours(low, expected, high)


def _last(
    energy_wh: float,
    most_wh: float,
    load_share: float,
    outlook: Outlook,
    extra_load_w: float,
    deliveries: Sequence[tuple[float, float]],
    sign: float,
) -> float:
    h = outlook.step_s / 3600
    steps = int(HORIZON_H / h)
    per_day = min(len(outlook), max(1, round(24 / h)))
    coming = sorted(deliveries)
    for step in range(steps):
        index = step if step < len(outlook) else len(outlook) - per_day + (step - len(outlook)) % per_day
        load = (outlook.load_w[index] * load_share + extra_load_w) * max(0.1, 1 - sign * Z * outlook.load_sigma[index])
        pv = outlook.pv_w[index] * max(0.0, 1 + sign * Z * outlook.pv_sigma[index])
        while coming and coming[0][0] <= step * h:
            energy_wh += coming[0][1]
            most_wh += coming[0][1]
            coming.pop(0)
        net_wh = (load - pv) * h
        if net_wh > energy_wh:
            return (step + energy_wh / net_wh) * h
        energy_wh = min(energy_wh - net_wh, most_wh)
    return HORIZON_H
