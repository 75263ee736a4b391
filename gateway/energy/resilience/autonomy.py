"""Autonomy: for how many hours an island is supplied, with its uncertainty.

Energy above the floors against the load of the tiers less PV. Three runs through the outlook: as expected, and with
battery, load and PV at their 10 % and 90 % points. A shelter plans with `low`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.energy.forecast import Outlook

Z = 1.28  # one-sided 10 %
ENERGY_SIGMA = 0.06  # of usable energy: SoC is an estimate, too high for aged cells
HORIZON_H = 96.0


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours from now; `HORIZON_H` stands for at least that."""

    low: float
    expected: float
    high: float


def autonomy(
    energy_wh: float,
    free_wh: float,
    load_share: float,
    outlook: Outlook,
    deliveries: Sequence[tuple[float, float]] = (),
) -> Hours:
    """Return for how long `energy_wh` (at the meter, above floors) supplies `load_share` of the load.

    `free_wh`: capacity left for PV surplus. `deliveries`: (hours from now, Wh) of expected vehicles. The last day of
    the outlook is repeated.
    """
    runs = []
    for sign in (-1.0, 0.0, 1.0):
        energy = max(0.0, energy_wh * (1 + sign * Z * ENERGY_SIGMA))
        runs.append(_hours(energy, energy + free_wh, load_share, outlook, deliveries, sign))
    low, expected, high = runs
    return Hours(low, expected, high)


def _hours(
    energy_wh: float,
    full_wh: float,
    load_share: float,
    outlook: Outlook,
    deliveries: Sequence[tuple[float, float]],
    sign: float,
) -> float:
    h = outlook.step_s / 3600
    known = len(outlook)
    per_day = min(known, max(1, round(24 / h)))
    net_wh = [
        (load * load_share * max(0.1, 1 - sign * Z * load_sigma) - pv * max(0.0, 1 + sign * Z * pv_sigma)) * h
        for load, load_sigma, pv, pv_sigma in zip(
            outlook.load_w, outlook.load_sigma, outlook.pv_w, outlook.pv_sigma, strict=True
        )
    ]
    coming = sorted(deliveries, reverse=True)
    for step in range(int(HORIZON_H / h)):
        while coming and coming[-1][0] <= step * h:
            _, delivered_wh = coming.pop()
            energy_wh += delivered_wh
            full_wh += delivered_wh
        used_wh = net_wh[step if step < known else known - per_day + (step - known) % per_day]
        if used_wh > energy_wh:
            return (step + energy_wh / used_wh) * h
        energy_wh = min(energy_wh - used_wh, full_wh)
    return HORIZON_H
