"""A vehicle or storage as energy management sets it: energy, power limits, floor, wanted energy.

Values only, built by `resources.py`. Powers are W at the EVSE's meter; `max_*` and `min_*` are magnitudes, all others
are + charge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.authority import meter_model
from gateway.authority.soc_floors import METER_EFFICIENCY

STORAGE = meter_model.STORAGE  # name of the storage as a resource
REFILL_S = 7200.0  # time within which a battery below its floor, or below a raised reserve, is to be charged up to it


class Kind(StrEnum):
    """Kind of battery."""

    CAR = "car"
    STORAGE = "storage"


@dataclass(slots=True)
class Resource:
    """One source or sink that can be set. `None` is unknown; an unknown value is never taken as zero.

    No code changes one, but it is not frozen: each step makes one per EVSE, at a quarter of the cost of a frozen one.

    `max_charge_w`, `max_discharge_w`: left by the layers above, now. `min_charge_w`, `min_discharge_w`: dead band, a
    set-point is 0 or at least this. `floor_pct`: the floor in force. `departure`: Unix time; `wanted_pct`: SoC wanted
    then, or by `due` where that is sooner (such as a reserve to be charged). `must_w`: charge power that has priority
    (`recharge_control.py`). `rank`: of two equal ones the lower is used first (0: a storage charged from PV first).
    `degradation_per_kwh`: cost per kWh discharged. `can_form`: may form an island. `max_discharge_above_w`: as
    `max_discharge_w`, but above the floor, where it is not now; None: the same. `flowing_w`: the way on which the power
    of the storage is now, from what is measured over what was ordered since.
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
    charge_efficiency: float = METER_EFFICIENCY
    discharge_efficiency: float = METER_EFFICIENCY
    degradation_per_kwh: float = 0.0
    rank: int = 1
    can_form: bool = False
    vehicle: str = ""
    max_discharge_above_w: float | None = None
    flowing_w: tuple[float, ...] = ()

    @property
    def present_w(self) -> float:
        """Return the present power: measured, else the set-point."""
        return self.setpoint_w if self.power_w is None else self.power_w


def usable_wh(resource: Resource, floor_pct: float | None = None) -> float:
    """Return the energy above the floor, in Wh at the meter; 0.0 where SoC or capacity is unknown."""
    if resource.soc_pct is None or resource.capacity_wh is None:
        return 0.0
    above = resource.soc_pct - (resource.floor_pct if floor_pct is None else floor_pct)
    return max(0.0, above) / 100 * resource.capacity_wh * resource.discharge_efficiency


def free_capacity_wh(resource: Resource) -> float:
    """Return the energy up to the ceiling, in Wh at the meter; 0.0 where SoC or capacity is unknown."""
    if resource.soc_pct is None or resource.capacity_wh is None:
        return 0.0
    below = resource.ceiling_pct - resource.soc_pct
    return max(0.0, below) / 100 * resource.capacity_wh / resource.charge_efficiency


def wanted_wh(resource: Resource) -> float:
    """Return the energy missing to the wanted SoC, in Wh at the meter; 0.0 where none is wanted or known."""
    if resource.wanted_pct is None or resource.soc_pct is None or resource.capacity_wh is None:
        return 0.0
    missing = min(resource.wanted_pct, resource.ceiling_pct) - resource.soc_pct
    return max(0.0, missing) / 100 * resource.capacity_wh / resource.charge_efficiency
