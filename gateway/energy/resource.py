"""A car or a storage as the energy room sees it: how much, how fast, down to where, until when.

Values only. Who computes them: the core from the model, after the order of authority has narrowed the power both ways.
Powers are W at the EVSE's meter; `max_*` and `min_*` are magnitudes, all else is + into the vehicle or storage.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What stands behind the power electronics."""

    CAR = "car"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True)
class Resource:
    """One source or sink that can be set. `None` is what nobody knows; nothing here is ever guessed to be zero.

    `max_charge_w`, `max_discharge_w`: what the layers above leave now. `min_charge_w`, `min_discharge_w`: below it the
    power stage cannot run, so a set-point is 0 or at least this. `floor_pct`: the floor in force (`reserve.py`).
    `departure`: Unix time; `wanted_pct`: SoC wanted then, or by `due` where that is sooner (such as a reserve to be
    filled: the car stays). `must_w`: what it is to be charged with now, whatever else is wanted (`recharging.py`).
    `rank`: lower is used first when equal otherwise (a storage that renewable energy fills first has 0).
    `wear_per_kwh`: money per kWh discharged. `can_form`: may form an island's voltage. `efficient_w`: the magnitude at
    which its power electronics work best, 0 if unknown.
    """

    name: str
    max_charge_w: float
    max_discharge_w: float
    kind: Kind = Kind.CAR
    min_charge_w: float = 0.0
    min_discharge_w: float = 0.0
    soc_pct: float | None = None
    capacity_wh: float | None = None
    floor_pct: float = 0.0
    ceiling_pct: float = 100.0
    wanted_pct: float | None = None
    departure: float | None = None
    due: float | None = None
    must_w: float = 0.0
    power_w: float | None = None
    setpoint_w: float = 0.0
    charge_efficiency: float = 0.94
    discharge_efficiency: float = 0.94
    wear_per_kwh: float = 0.0
    rank: int = 1
    can_form: bool = False
    efficient_w: float = 0.0
    vehicle: str = ""

    @property
    def present_w(self) -> float:
        """What it does: the meter where there is one, the set-point otherwise."""
        return self.setpoint_w if self.power_w is None else self.power_w


def usable_wh(resource: Resource, floor_pct: float | None = None) -> float:
    """Energy above the floor, in Wh at the meter (after discharge losses); 0.0 where SoC or capacity is unknown."""
    if resource.soc_pct is None or resource.capacity_wh is None:
        return 0.0
    above = resource.soc_pct - (resource.floor_pct if floor_pct is None else floor_pct)
    return max(0.0, above) / 100 * resource.capacity_wh * resource.discharge_efficiency


def room_wh(resource: Resource) -> float:
    """Energy it can still take up to its ceiling, in Wh at the meter; 0.0 where SoC or capacity is unknown."""
    if resource.soc_pct is None or resource.capacity_wh is None:
        return 0.0
    below = resource.ceiling_pct - resource.soc_pct
    return max(0.0, below) / 100 * resource.capacity_wh / resource.charge_efficiency


def wanted_wh(resource: Resource) -> float:
    """Energy at the meter still missing to the SoC wanted at departure; 0.0 where nobody asked for any."""
    if resource.wanted_pct is None or resource.soc_pct is None or resource.capacity_wh is None:
        return 0.0
    missing = min(resource.wanted_pct, resource.ceiling_pct) - resource.soc_pct
    return max(0.0, missing) / 100 * resource.capacity_wh / resource.charge_efficiency
